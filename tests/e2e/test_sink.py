"""What the real Elasticsearch refuses for its content is kept as a dead letter, with the reason."""

import base64
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from devstack.traffic import BAD_SHAPES, bad_lines
from devstack.traffic import line_id as id_of
from pipeline.alb.fields import Kind
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.errors import ClusterRefusedError
from pipeline.ingest import Ingestion, Options, context_for
from pipeline.outcome import Outcome, Tally
from pipeline.sink.store import Store
from pipeline.source.reading import read_stream
from pipeline.version import VERSION
from tests.support.cluster import documents_in, index_of, letters_of, prepared
from tests.support.factories import KEY, alb_line, ids_of, lines_of, text_of

BUCKET = "some-logs"
STATUS = ("http", "response", "status_code")
URL = ("url", "original")


@pytest.fixture(scope="module")
def store(es: Elasticsearch) -> Iterator[Store]:
    """Share one prepared cluster among the tests of this file: each has a day of its own."""
    with prepared(es) as store:
        yield store


@pytest.fixture
def own_store(es: Elasticsearch) -> Iterator[Store]:
    """Yield a prepared cluster whose dead letters a test may spoil."""
    with prepared(es) as store:
        yield store


def ingest(store: Store, data: bytes, options: Options | None = None) -> Outcome:
    """Ingest these bytes as if they were an object in S3."""
    chosen = options or Options()
    context = context_for(store, chosen, bucket=BUCKET, key=KEY)
    chunks = read_stream(io.BytesIO(data), name=KEY, chunk_bytes=chosen.chunk_bytes)
    return Ingestion(context, store, chosen).run(chunks)


def mapped(path: tuple[str, ...], leaf: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping of one field."""
    for name in reversed(path):
        leaf = {"properties": {name: leaf}}
    return leaf


def offsets_of(lines: list[bytes]) -> dict[str, int]:
    """Return where each line begins, by its id."""
    ends = accumulate(len(line) + 1 for line in lines)
    return {id_of(line): end - len(line) - 1 for line, end in zip(lines, ends, strict=True)}


def mark_of(letter: dict[str, Any]) -> dict[str, Any]:
    """Return what a dead letter holds besides its time, which must be now."""
    now, rejected = datetime.now(UTC), datetime.fromisoformat(letter["@timestamp"])
    assert now - timedelta(minutes=2) < rejected <= now
    return {name: part for name, part in letter.items() if name != "@timestamp"}


def expected_letter(line: bytes, offset: int, error: dict[str, Any]) -> dict[str, Any]:
    """Return what the dead letter of a line must hold besides its time."""
    return {
        "error": error,
        "event": {"original": line.decode()},
        "aws": {"s3": {"bucket": {"name": BUCKET}, "object": {"key": KEY}}},
        "log": {"offset": offset},
        "labels": {"pipeline_version": VERSION},
    }


# --- refused for what it holds -------------------------------------------------------------------

LONG_URL = f'"GET https://www.example.com:443/{"x" * 40_000} HTTP/2.0"'

REFUSALS = [
    pytest.param(
        mapped(STATUS, {"type": "ip"}),
        {"elb_status_code": "200"},
        ("document_parsing_exception", "'200' is not an IP string literal"),
        id="a value of another type",
    ),
    pytest.param(
        mapped(URL, {"type": "text", "analyzer": "keyword"}),
        {"request_line": LONG_URL},
        ("illegal_argument_exception", 'at least one immense term in field="url.original"'),
        id="an immense term",
    ),
]


@pytest.mark.parametrize(("mapping", "bad", "why"), REFUSALS)
def test_a_refused_document_becomes_a_dead_letter(
    store: Store, day: str, mapping: dict[str, Any], bad: dict[str, str], why: tuple[str, str]
) -> None:
    """Its raw line, the reason, the object and the offset are kept, and the others are indexed."""
    es = store.es
    es.indices.create(index=index_of(store, day), mappings=mapping)
    good = lines_of(day, 4, elb="app/other/1", elb_status_code="-")
    lines = [line for pair in zip(lines_of(day, 4, **bad), good, strict=True) for line in pair]

    outcomes = [ingest(store, text_of(lines)) for _ in range(2)]

    size = len(text_of(lines))
    assert [
        Outcome(Tally(lines=8, indexed=4, rejected=4, bytes=size)),
        Outcome(Tally(lines=8, duplicates=4, rejected=4, bytes=size)),
    ] == outcomes
    assert ids_of(lines[1::2]) == documents_in(es, index_of(store, day)).keys()
    letters = letters_of(es, store, lines)
    assert ids_of(lines[0::2]) == letters.keys()
    for line in lines[0::2]:
        letter = mark_of(letters[id_of(line)])
        type_, message = why
        assert type_ == letter["error"]["type"]
        assert message in letter["error"]["message"]
        assert letter == expected_letter(line, offsets_of(lines)[id_of(line)], letter["error"])


def test_a_field_that_a_strict_mapping_does_not_know_is_a_dead_letter(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """A mapping of ours that was made strict refuses what it lacks, and nothing gets lost."""
    index = index_of(store, day)
    mark = {"alb_logs": {"schema": 1, "period": "day"}}
    es.indices.put_index_template(
        name=f"{store.prefix}-strict",
        index_patterns=[index],
        priority=600,
        template={"mappings": {"dynamic": "strict", "_meta": mark}},
    )
    try:
        es.indices.create(index=index)
    finally:
        es.indices.delete_index_template(name=f"{store.prefix}-strict")
    [line] = lines_of(day, 1)

    outcome = ingest(store, text_of([line]))

    assert Outcome(Tally(lines=1, rejected=1, bytes=len(line) + 1)) == outcome
    [letter] = letters_of(es, store, [line]).values()
    assert "strict_dynamic_mapping_exception" == letter["error"]["type"]
    assert expected_letter(line, 0, letter["error"]) == mark_of(letter)


def test_offsets_are_those_in_the_object_whatever_the_chunks(store: Store, day: str) -> None:
    """Of an object of many chunks each dead letter says where in the whole its line begins."""
    wrong = list(bad_lines(3, 60, start=datetime(2026, 9, 17, 12, 0, tzinfo=UTC)))
    lines = [line for pair in zip(wrong, lines_of(day, 60), strict=True) for line in pair]

    outcome = ingest(store, text_of(lines), Options(bulk_bytes=6_000, kind=Kind.ACCESS))

    assert (120, 60, 60) == (outcome.tally.lines, outcome.tally.indexed, outcome.tally.rejected)
    letters = letters_of(store.es, store, wrong)
    expected = offsets_of(lines)
    assert {id_of(line): expected[id_of(line)] for line in wrong} == {
        id_: letter["log"]["offset"] for id_, letter in letters.items()
    }


# --- lines that do not parse ---------------------------------------------------------------------


def raw_line(letter: dict[str, Any]) -> bytes:
    """Return the raw bytes that a dead letter keeps, in the one form or the other."""
    [(form, text)] = letter["event"].items()
    if form == "original_base64":
        return base64.b64decode(text, validate=True)
    assert "original" == form
    return str(text).encode()


def test_every_kind_of_bad_line_is_kept_to_the_byte(es: Elasticsearch, store: Store) -> None:
    """From the dead letters the bad lines can be restored, whatever bytes they hold."""
    lines = list(bad_lines(5, 2 * len(BAD_SHAPES), start=datetime(2026, 9, 17, 12, 0, tzinfo=UTC)))
    text = text_of([*lines, alb_line()])

    outcome = ingest(store, text, Options(kind=Kind.ACCESS))

    assert (
        Outcome(Tally(lines=len(lines) + 1, rejected=len(lines), indexed=1, bytes=len(text)))
        == outcome
    )
    letters = letters_of(es, store, lines)
    assert {id_of(line): line for line in lines} == {
        id_: raw_line(letter) for id_, letter in letters.items()
    }
    assert all(letter["error"]["message"] for letter in letters.values())
    forms = {form for letter in letters.values() for form in letter["event"]}
    assert {"original", "original_base64"} == forms


@pytest.mark.parametrize(
    ("line", "form"),
    [
        pytest.param("ünd kein Log 1".encode(), "original", id="UTF-8"),
        pytest.param("ünd kein Log 1".encode("latin-1"), "original_base64", id="latin-1"),
        pytest.param(b"half a character \xf0\x9f\x98", "original_base64", id="cut character"),
        pytest.param(b"a surrogate \xed\xa0\x80", "original_base64", id="surrogate"),
        pytest.param(b"a NUL \x00 and a tab\t", "original", id="control characters"),
    ],
)
def test_a_line_is_text_where_it_can_be(
    es: Elasticsearch, store: Store, line: bytes, form: str
) -> None:
    """UTF-8 is kept as text for people to read, anything else in base64."""
    ingest(store, text_of([line]))

    [letter] = letters_of(es, store, [line]).values()
    assert [form] == list(letter["event"])
    assert line == raw_line(letter)


def test_a_line_that_is_too_long_leaves_its_head(es: Elasticsearch, store: Store) -> None:
    """Of a line above 256 KiB 8 KiB and the length are kept; its id is that of the whole line."""
    line = alb_line(7, user_agent=f'"{"x" * 300_000}"')

    outcome = ingest(store, text_of([b"", line]))

    size = len(line)
    assert Outcome(Tally(lines=2, rejected=1, blank=1, bytes=size + 2)) == outcome
    [letter] = letters_of(es, store, [line]).values()
    assert (
        expected_letter(
            line[:8_192],
            1,
            {
                "type": "line_too_long",
                "message": f"the line has {size} bytes; no load balancer writes one above 256 KiB",
            },
        )
        | {"log": {"offset": 1, "length": size}}
    ) == mark_of(letter)


# --- dead letters that are refused themselves ----------------------------------------------------


def spoil_dead_letters(store: Store, mapping: dict[str, Any]) -> None:
    """Make the index of dead letters again, with a field that refuses what we write."""
    first = f"{store.dead_letters}-000001"
    store.es.indices.delete(index=first)
    aliases = {store.dead_letters: {"is_write_index": True}}
    store.es.indices.create(index=first, aliases=aliases, mappings=mapping)


def test_a_refused_dead_letter_is_written_in_short(
    es: Elasticsearch, own_store: Store, day: str
) -> None:
    """Without its raw line it still says what, why and where; a letter that fits stays whole."""
    store = own_store
    spoil_dead_letters(store, mapped(("event", "original"), {"type": "long"}))
    es.indices.create(index=index_of(store, day), mappings=mapped(URL, {"type": "ip"}))
    [refused] = lines_of(day, 1, request_line=LONG_URL)
    unparsed, fitting = b"no log line", b"no log \xff either"

    outcome = ingest(store, text_of([unparsed, fitting, refused]))

    assert (3, 3) == (outcome.tally.lines, outcome.tally.rejected)
    assert outcome.error is None
    letters = {id_: mark_of(letter) for id_, letter in documents_in(es, store.dead_letters).items()}
    offsets = offsets_of([unparsed, fitting, refused])
    assert offsets.keys() == letters.keys()
    assert fitting == raw_line(letters[id_of(fitting)])
    for line in (unparsed, refused):
        letter = letters[id_of(line)]
        short = expected_letter(line, offsets[id_of(line)], letter["error"])
        del short["event"]
        assert short == letter
    assert "too_few_fields" == letters[id_of(unparsed)]["error"]["type"]
    message = letters[id_of(refused)]["error"]["message"]
    assert 500 == len(message)  # it quotes the whole value
    assert "failed to parse field [url.original] of type [ip]" in message


def test_an_object_fails_whose_dead_letters_are_refused_in_any_form(
    es: Elasticsearch, own_store: Store, day: str
) -> None:
    """Then nothing is rejected, the error names the fix, and after it no line is missing."""
    store = own_store
    spoil_dead_letters(store, mapped(("error", "type"), {"type": "long"}))
    good, bad = lines_of(day, 3), [b"no log line 1", b"no log line 2"]

    failed = ingest(store, text_of([*good, *bad]))

    assert isinstance(failed.error, ClusterRefusedError)
    fix = "is not ours; delete its indices and run `alb-logs setup`"
    assert f"the mapping of {store.dead_letters} {fix}" in str(failed.error)
    assert Tally() == failed.tally
    assert {} == documents_in(es, store.dead_letters)

    es.indices.delete(index=f"{store.dead_letters}-000001")
    apply_setup(es, plan_setup(es, Layout(prefix=store.prefix, replicas=0)))
    repaired = ingest(store, text_of([*good, *bad]))

    assert repaired.error is None
    assert (5, 3, 2) == (repaired.tally.lines, repaired.tally.duplicates, repaired.tally.rejected)
    assert ids_of(good) == documents_in(es, index_of(store, day)).keys()
    assert ids_of(bad) == documents_in(es, store.dead_letters).keys()
