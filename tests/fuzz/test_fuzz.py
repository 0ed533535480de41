"""
Every case that was ever found, and a share of new ones, the same in each run.

For more: `python -m tests.fuzz --seconds 3600 --seed 7`.
"""

import io
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from elasticsearch import Elasticsearch

from devstack.traffic import line_id
from pipeline.alb.fields import Kind
from pipeline.ingest import Options, context_for, ingest_stream
from pipeline.sink.encoding import encode_chunk
from pipeline.sink.store import Store
from pipeline.source.reading import Chunk
from tests.fuzz import mutations
from tests.fuzz.targets import TARGETS, Target, cases_of, checked, smallest
from tests.support.factories import START, alb_line, documents

SEED = 20_261_120

FOUND = [
    pytest.param(target, path, id=f"{target.name}-{path.name}")
    for target in TARGETS.values()
    for path in sorted(target.corpus.glob("*"))
]


@pytest.mark.parametrize(("target", "path"), FOUND)
def test_what_was_found_stays_fixed(target: Target, path: Path) -> None:
    """A case that failed once is always checked again."""
    assert checked(target, path.read_bytes()) > 0


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_new_cases_hold(target: Target) -> None:
    """Whatever a line, a compressed object or a message holds, all of it is accounted for."""
    inputs = 0
    for case in cases_of(target, SEED):
        inputs += checked(target, case)
        if inputs >= target.enough:
            break


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_case_can_be_made_again(target: Target) -> None:
    """A case depends on the seed and its number alone, and cases differ."""
    first, second = islice(cases_of(target, SEED), 2)

    assert first != second
    assert second == next(cases_of(target, SEED, first=1))


def test_a_found_case_is_made_small() -> None:
    """Of many inputs those are kept without which the case would not fail."""

    def check(case: bytes) -> int:
        if {b"7", b"42"} <= set(case.split(b" ")):
            raise ValueError
        return 1

    case = b" ".join(str(number).encode() for number in range(100))

    assert b"7 42" == smallest(Target("any", Path(), lambda _: case, check, b" "), case)
    assert case == smallest(Target("whole", Path(), lambda _: case, check), case)


@pytest.mark.parametrize("damage", [*dict.fromkeys((*mutations.LITTLE, *mutations.MUCH))])
def test_every_damage_does_some(damage: mutations.Damage) -> None:
    """No way of damaging a line gives it back as it was, time and again."""
    rng = Random(1)
    line = alb_line()

    assert {line} != {damage(line, rng) for _ in range(50)}


def damaged_lines(kind: Kind, store: Store) -> tuple[set[bytes], set[bytes]]:
    """Return damaged lines of a kind that are documents of one day, and some that are rejected."""
    good, bad = set[bytes](), set[bytes]()
    index = f"{store.prefix}-{kind}-{START:%Y.%m.%d}"
    for case in islice(cases_of(TARGETS[f"lines-{kind}"], SEED), 6):
        chunk = Chunk(0, case, case.count(b"\n") + 1)
        batch = encode_chunk(chunk, context_for(store, Options(kind=kind)))
        good |= {action.line for action in batch.actions if action.index == index}
        bad |= {reject.line for reject in batch.rejects}
    return good, set(sorted(bad)[::3])


@pytest.mark.parametrize("kind", Kind)
def test_the_server_takes_what_passes_for_a_line(
    es: Elasticsearch, store: Store, kind: Kind
) -> None:
    """Every damaged line that is a document fits the mapping, and every other is a dead letter."""
    good, bad = damaged_lines(kind, store)
    options = Options(kind=kind)

    outcome = ingest_stream(
        io.BytesIO(b"".join(line + b"\r\n" for line in (*good, *bad))),
        "damaged",
        store=store,
        options=options,
    )

    assert outcome.error is None
    assert (len(good), len(bad)) == (outcome.tally.indexed, outcome.tally.rejected)
    assert len(good) > 300
    assert {line_id(line) for line in good} == documents(es, store.prefix, kind).keys()
    assert {line_id(line) for line in bad} == documents(es, store.prefix, "dead-letter").keys()
