"""
The fast path makes the documents that the reference path makes, or gives up.

They are compared as JSON values, with id and index, on golden lines, on generated lines of every
sort, and on lines damaged so little that a wrong shortcut would show.
"""

from dataclasses import replace
from itertools import chain

import pytest

from devstack.traffic import (
    CHARACTERS,
    GENERATIONS,
    as_generation,
    bad_lines,
    connection_lines,
    health_check_lines,
    odd_lines,
    ordinary_lines,
)
from pipeline.alb.document import Context, Period
from pipeline.sink.encoding import encode_by_reference, encode_chunk
from pipeline.source.reading import Chunk
from tests.support.encoders import ACCESS, assert_all_same, mutated
from tests.support.factories import START, chunk_of
from tests.support.golden import CASES

CONTEXTS = [
    pytest.param(ACCESS, id="access"),
    pytest.param(Context(latest=ACCESS.latest), id="auto"),
    pytest.param(
        replace(ACCESS, period=Period.MONTH, keep_original=True, prefix="p"), id="month-original"
    ),
]

# Two hundred thousand lines by the slow path: tracing them would take minutes and show nothing.
pytestmark = pytest.mark.no_cover


# --- the claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize("context", CONTEXTS)
def test_golden_lines_are_the_same_by_both_paths(context: Context) -> None:
    """Every golden line, of every log, is encoded alike."""
    assert_all_same(chain.from_iterable(path.read_bytes().split(b"\n") for path in CASES), context)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_is_the_same_and_fast(generation: int, context: Context) -> None:
    """Lines of every generation are encoded alike, all of them by the fast path."""
    lines = (as_generation(line, generation) for line in ordinary_lines(3, 400, start=START))

    assert assert_all_same(lines, context) == 1


@pytest.mark.parametrize("seed", range(6))
def test_generated_lines_are_the_same_by_both_paths(seed: int) -> None:
    """Ordinary lines of every load balancer, and odd ones, are encoded alike."""
    name = list(CHARACTERS)[seed % len(CHARACTERS)]
    ordinary = ordinary_lines(seed, 12_000, start=START, load_balancer=name)

    assert assert_all_same(chain(ordinary, odd_lines(seed, 5_000, start=START))) > 0.7


@pytest.mark.parametrize("seed", range(6))
def test_damaged_lines_are_the_same_by_both_paths(seed: int) -> None:
    """Damaged lines are encoded or rejected alike; many of them still count as plain."""
    assert assert_all_same(mutated(seed, 17_000)) > 0.2


def test_other_logs_are_told_apart_by_both_paths() -> None:
    """Without a key, both paths tell connection, health-check, bad and access lines apart alike."""
    lines = chain(
        connection_lines(1, 500, start=START),
        health_check_lines(1, 500, start=START),
        bad_lines(1, 1_000, start=START),
        [b"", b"  ", b"\t"],
        ordinary_lines(1, 500, start=START),
    )

    assert_all_same(lines, Context(latest=ACCESS.latest))


@pytest.mark.parametrize("name", CHARACTERS)
def test_ordinary_traffic_hardly_falls_back(name: str) -> None:
    """Fewer than one ordinary line in a hundred takes the slow path, which is ten times as slow."""
    lines = list(ordinary_lines(11, 10_000, start=START, load_balancer=name))
    chunk = chunk_of(lines, end=b"\r\n")

    assert encode_chunk(chunk, ACCESS).fallback < 100


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_line_ends_are_the_same_by_both_paths(end: bytes) -> None:
    """A line end, or none at the end of the object, changes neither id nor document."""
    one, other = ordinary_lines(5, 2, start=START)
    chunk = Chunk(0, one + b"\r\n" + other + end, 2)

    fast = encode_chunk(chunk, ACCESS)

    slow = encode_by_reference(chunk, ACCESS)
    assert ([each.line for each in fast.actions], fast.fallback) == ([one, other], 0)
    assert [each.id for each in fast.actions] == [each.id for each in slow.actions]
