"""
Draw from tables: the ways in which the generator makes a choice.

`random.Random.choice` and `choices` are several times slower than an index made from
`random()`, and a generator of millions of lines draws some thirty times per line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

Choice = TypeVar("Choice")


def spread(*weighted: tuple[int, Choice]) -> tuple[Choice, ...]:
    """Repeat each choice as often as its weight says, so that one index draws by weight."""
    return tuple(choice for weight, choice in weighted for _ in range(weight))


def pick(choices: Sequence[Choice], rng: Random) -> Choice:
    """Draw one, all equally likely."""
    return choices[int(rng.random() * len(choices))]


def favour_early(choices: Sequence[Choice], rng: Random) -> Choice:
    """Draw one, early ones more often: a few are popular, most are rare."""
    return choices[int(rng.random() ** 2 * len(choices))]
