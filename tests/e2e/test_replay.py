"""Dead letters go through today's parser; what the index takes has no dead letter any more."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from elastic_transport import TransportApiResponse
from elasticsearch import Elasticsearch

from devstack.traffic import line_id
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.config import Config
from pipeline.ingest import MOST_INDICES, Options
from pipeline.jobs.letterbox import Selection
from pipeline.jobs.replay import ABOUT, End, Replay
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef
from tests.support.cluster import documents_in, index_of, ingest
from tests.support.commands import Command, Run
from tests.support.factories import KEY, alb_line, documents, gz, ids_of, lines_of, text_of
from tests.support.faults import Fault, Faults, Send, lost_after, lost_before, unharmed
from tests.support.letters import (
    BUCKET,
    OneS3,
    emulated_s3,
    forge,
    offsets_of,
    pipeline_of,
    write_letters,
)
from tests.support.secure import run
from tests.support.terminal import Terminal

DAY = "2026-11-20"
GOOD = [alb_line(number) for number in range(12)]
BAD = [b"this is no log line", alb_line(1, elb_status_code="many")]
ALL = Selection()


@pytest.fixture(scope="module")
def module_s3() -> Iterator[OneS3]:
    """Start one emulated S3 for all tests."""
    with emulated_s3() as s3:
        yield s3


@pytest.fixture
def s3(module_s3: OneS3) -> OneS3:
    """Return the emulated S3, of which nothing was read yet."""
    module_s3.read.clear()
    return module_s3


def options(**settings: str) -> Options:
    """Return the options that a user's settings make."""
    config = Config.from_env({f"ALB_LOGS_{name}": text for name, text in settings.items()})
    return Options(privacy=config.privacy, exclude=config.exclude)


def replayed(replay: Replay, selection: Selection = ALL) -> Counter[tuple[str, str]]:
    """Replay, and count the letters by reason and end."""
    return Counter((fate.letter.reason, fate.end) for fate in replay.run(selection))


def classify(key: str) -> ObjectName:
    """Return what a key says."""
    name = classify_key(key)
    assert isinstance(name, ObjectName)
    return name


def without_moment(found: dict[str, Any]) -> dict[str, Any]:
    """Return documents without the moment at which they were sent."""
    return {
        id_: {**each, "event": {k: v for k, v in each["event"].items() if k != "ingested"}}
        for id_, each in found.items()
    }


def letters(es: Elasticsearch, store: Store) -> dict[str, Any]:
    """Return the letters that are left, by id."""
    return documents(es, store.prefix, "dead-letter")


# --- what becomes of letters ---------------------------------------------------------------------


def test_what_parses_today_is_indexed_and_its_letter_removed(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """What is indexed is the lines' own documents; what is still bad keeps its letter."""
    write_letters(store, GOOD)
    bad = write_letters(store, BAD, reason="bad_time", offsets=[70_000, 80_000])
    replay = Replay(pipeline_of(store, s3))

    assert {
        ("bad_number", "indexed"): 12,
        ("bad_time", "too_few_fields"): 1,
        ("bad_time", "bad_number"): 1,
    } == replayed(replay)
    assert (12, 0) == (replay.new, replay.duplicates)
    assert bad == letters(es, store).keys()
    assert ids_of(GOOD) == documents(es, store.prefix).keys()
    assert [] == s3.read  # the letters hold their lines


def test_documents_are_those_of_the_object(es: Elasticsearch, store: Store, s3: OneS3) -> None:
    """A replayed line has the document that ingesting its object makes, by today's settings."""
    private = options(REDACT_QUERY="*", ANONYMIZE_IP="24,48", DEAD_LETTER_LINES="on")
    pipeline = pipeline_of(store, s3, replace(private, provenance=True))
    write_letters(store, GOOD)
    replayed(Replay(pipeline))
    found = documents(es, store.prefix)
    es.indices.delete(index=index_of(store, DAY))
    store.forget()
    s3.put(KEY, gz(*GOOD))

    assert 12 == pipeline.ingest(ObjectRef(BUCKET, KEY, classify(KEY))).tally.indexed

    assert without_moment(documents(es, store.prefix)) == without_moment(found)
    assert "203.0.113.0" == min(each["source"]["ip"] for each in found.values())  # type: ignore[index]


def test_a_line_that_is_indexed_already_has_no_letter_any_more(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """It is a duplicate, which is as good."""
    write_letters(store, GOOD)
    ingest(store, text_of(GOOD[:5]))
    replay = Replay(pipeline_of(store, s3))

    assert {("bad_number", "indexed"): 12} == replayed(replay)
    assert (7, 5) == (replay.new, replay.duplicates)
    assert {} == letters(es, store)


def test_a_dry_run_changes_nothing(es: Elasticsearch, store: Store, s3: OneS3) -> None:
    """It says what a run would do, and neither makes an index nor removes a letter."""
    ids = write_letters(store, [*GOOD, BAD[0]])

    counted = replayed(Replay(pipeline_of(store, s3), dry_run=True))

    assert {("bad_number", "indexed"): 12, ("bad_number", "too_few_fields"): 1} == counted
    assert ids == letters(es, store).keys()
    assert not es.indices.exists(index=f"{store.prefix}-access-*", allow_no_indices=False)


def test_what_a_rule_excludes_keeps_its_letter(es: Elasticsearch, store: Store, s3: OneS3) -> None:
    """It is no document, so the letter is the only thing that speaks of the line."""
    write_letters(store, GOOD)
    pipeline = pipeline_of(store, s3, options(EXCLUDE="url.path=/cart/7"))

    counted = replayed(Replay(pipeline))

    assert {("bad_number", "indexed"): 11, ("bad_number", End.FILTERED): 1} == counted
    assert {line_id(GOOD[7])} == letters(es, store).keys()


def test_what_a_pipeline_drops_keeps_its_letter(es: Elasticsearch, store: Store, s3: OneS3) -> None:
    """A cluster that answers that it dropped documents does not say which: that is found out."""
    write_letters(store, GOOD[:3])

    def drop_second(send: Send, body: bytes) -> TransportApiResponse:
        lines = body.split(b"\n")
        meta, reply = send(b"\n".join([*lines[:2], *lines[4:]]))
        dropped = {"create": {"_id": line_id(GOOD[1]), "status": 200}}
        first, third = reply["items"]
        return TransportApiResponse(meta, {**reply, "items": [first, dropped, third]})

    faulty = replace(store, es=Faults(es, drop_second).es)

    counted = replayed(Replay(pipeline_of(faulty, s3)))

    assert {("bad_number", "indexed"): 2, ("bad_number", End.FILTERED): 1} == counted
    assert {line_id(GOOD[1])} == letters(es, store).keys()


def test_a_document_that_is_refused_keeps_its_letter(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """What the mapping of its index does not take is counted by Elasticsearch's reason."""
    index = index_of(store, DAY)
    meta = {"alb_logs": {"schema": 2}}
    es.indices.create(index=index, mappings={"_meta": meta, "properties": {"http": STRICT}})
    write_letters(store, [GOOD[0], alb_line(1, elb_status_code="503")])

    counted = replayed(Replay(pipeline_of(store, s3)))

    assert {("bad_number", "document_parsing_exception"): 2} == counted
    assert 2 == len(letters(es, store))


STRICT: dict[str, Any] = {
    "properties": {"response": {"properties": {"status_code": {"type": "ip"}}}}
}


def test_a_closed_index_costs_its_own_letters_only(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """Letters of another day, in the same body, are indexed; why the others are not is said."""
    other = lines_of("2026-11-19", 4)
    ingest(store, text_of(GOOD[:1]))
    es.indices.close(index=index_of(store, DAY))
    write_letters(store, GOOD[1:4])
    write_letters(store, other, key=KEY.replace("20261120T", "20261119T"))

    fates = list(Replay(pipeline_of(store, s3)).run(ALL))

    refused = [fate for fate in fates if fate.end == End.CLUSTER_REFUSED]
    assert ids_of(GOOD[1:4]) == {fate.letter.hit.id for fate in refused} == {*letters(es, store)}
    assert all(f"POST /{index_of(store, DAY)}/_open" in fate.why for fate in refused)
    assert ids_of(other) == documents_in(es, index_of(store, "2026-11-19")).keys()


def test_letters_of_lines_without_an_object_are_of_so_many_days(store: Store, s3: OneS3) -> None:
    """No object's name bounds their time: they do not fill the cluster with indices."""
    days = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(day) for day in range(MOST_INDICES + 3)]
    lines = [line for day in days for line in lines_of(f"{day:%Y-%m-%d}", 1)]
    write_letters(store, lines, key=None)

    counted = replayed(Replay(pipeline_of(store, s3), dry_run=True))

    assert {
        ("bad_number", "indexed"): MOST_INDICES,
        ("bad_number", End.TOO_MANY_INDICES): 3,
    } == counted


# --- lines that letters do not hold --------------------------------------------------------------


def test_lines_are_read_from_their_object_once(es: Elasticsearch, store: Store, s3: OneS3) -> None:
    """However many letters without a line an object has, and whether it is gzip or plain."""
    private = replace(options(REDACT_QUERY="token"), bulk_bytes=8_000)
    lines = [*lines_of("2026-11-20", 300), b"the last line has no end"]
    plain = KEY.replace("3q2xk9fz", "plain").removesuffix(".gz")
    s3.put(KEY, gz(*GOOD, BAD[0], *lines))
    s3.put(plain, text_of(lines).removesuffix(b"\n"))
    chosen = [GOOD[2], GOOD[3], BAD[0], lines[5], lines[250]]
    at = offsets_of([*GOOD, BAD[0], *lines])
    offsets = [at[2], at[3], at[12], at[13 + 5], at[13 + 250]]
    write_letters(store, chosen, options=private, offsets=offsets)
    last = [lines[0], lines[-1]]
    write_letters(store, last, options=private, key=plain, offsets=[0, offsets_of(lines)[-1]])
    assert not any("event" in each for each in letters(es, store).values())

    counted = replayed(Replay(pipeline_of(store, s3, private)))

    assert {("bad_number", "indexed"): 5, ("bad_number", "too_few_fields"): 2} == counted
    assert sorted([KEY, plain]) == sorted(s3.read)
    assert {line_id(BAD[0]), line_id(lines[-1])} == letters(es, store).keys()
    wanted = [each for each in [*chosen, *last] if each not in (BAD[0], lines[-1])]
    assert ids_of(wanted) == documents(es, store.prefix).keys()


def test_a_line_of_which_the_letter_has_the_head_is_read_whole(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """So are lines that were held back in a large object; one that is too long stays so."""
    key = KEY.replace("3q2xk9fz", "heads")
    long = alb_line(9, user_agent=f'"{"x" * 300_000}"')
    s3.put(key, gz(GOOD[0], long, GOOD[1]))
    write_letters(store, [GOOD[0], long, GOOD[1]], key=key, head=64)

    counted = replayed(Replay(pipeline_of(store, s3)))

    assert {("bad_number", "indexed"): 2, ("bad_number", "line_too_long"): 1} == counted
    assert [key] == s3.read
    assert {line_id(long)} == letters(es, store).keys()


def test_an_object_that_is_gone_or_cut_is_explained(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """Letters whose lines cannot be read stay; those before the damage are replayed."""
    private = replace(options(REDACT_QUERY="token"), bulk_bytes=4_000)
    gone, cut, changed = (KEY.replace("3q2xk9fz", name) for name in ("gone", "cut", "changed"))
    lines = lines_of(DAY, 400)
    body = gzip.compress(text_of(lines), 0)
    s3.put(cut, body[: len(body) // 2])
    s3.put(changed, gz(*reversed(lines)))
    at = offsets_of(lines)
    for key in (gone, cut, changed):
        chosen = [lines[1], lines[398]]
        write_letters(store, chosen, options=private, key=key, offsets=[at[1], at[398]])
        fates = list(Replay(pipeline_of(store, s3, private)).run(Selection()))
        name = key.rpartition("_")[2].partition(".")[0]
        assert ENDS[name] == {fate.end for fate in fates}
        whys = [fate.why for fate in fates if fate.end == End.OBJECT_UNREADABLE]
        assert all(f"s3://{BUCKET}/{cut}" in why for why in whys)
        clear(es, store)


ENDS = {
    "gone": {End.OBJECT_MISSING},
    "cut": {End.INDEXED, End.OBJECT_UNREADABLE},
    "changed": {End.NOT_ITS_LINE},
}


def clear(es: Elasticsearch, store: Store) -> None:
    """Remove every letter."""
    for id_ in letters(es, store):
        es.delete(index=f"{store.dead_letters}-000001", id=id_)
    es.indices.refresh(index=store.dead_letters)


# --- each letter by itself -----------------------------------------------------------------------


def test_both_letters_of_a_line_that_was_rejected_in_two_weeks_are_removed(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """They are in two indices under one id; the line is indexed once."""
    write_letters(store, GOOD)
    es.indices.rollover(alias=store.dead_letters)
    write_letters(store, GOOD[:4])
    assert 16 == es.count(index=store.dead_letters)["count"]
    replay = Replay(pipeline_of(store, s3))

    assert {("bad_number", "indexed"): 16} == replayed(replay)
    assert 12 == replay.new
    es.indices.refresh(index=store.dead_letters)
    assert 0 == es.count(index=store.dead_letters)["count"]


def test_a_letter_that_was_written_again_meanwhile_survives(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """Whoever wrote it knows something newer: it is looked at by the next run."""
    write_letters(store, GOOD[:3])

    def write_again(send: Send, body: bytes) -> TransportApiResponse:
        es.delete(index=store.dead_letters, id=line_id(GOOD[1]))
        write_letters(store, GOOD[1:2], reason="bad_time")
        return send(body)

    faulty = replace(store, es=Faults(es, write_again).es)

    counted = replayed(Replay(pipeline_of(faulty, s3)))

    assert {("bad_number", "indexed"): 2, ("bad_number", End.CHANGED): 1} == counted
    assert {line_id(GOOD[1])} == letters(es, store).keys()
    assert {("bad_time", "indexed"): 1} == replayed(Replay(pipeline_of(store, s3)))


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("lost", [lost_before, lost_after])
def test_an_answer_that_is_lost_loses_nothing(
    es: Elasticsearch, store: Store, s3: OneS3, lost: Fault, at: int
) -> None:
    """Neither that to the documents, nor that to the removal of their letters."""
    write_letters(store, GOOD)
    faults = Faults(es, *[unharmed] * at, lost)

    counted = replayed(Replay(pipeline_of(replace(store, es=faults.es), s3)))

    assert {("bad_number", "indexed"): 12} == counted
    assert {} == letters(es, store)
    assert ids_of(GOOD) == documents(es, store.prefix).keys()


@pytest.mark.parametrize("moment", [0, 1])
def test_it_may_be_interrupted_at_any_moment(
    es: Elasticsearch, store: Store, s3: OneS3, moment: int
) -> None:
    """Before the documents or before the letters: nothing is lost, and the next run goes on."""
    write_letters(store, GOOD)

    def interrupt(_send: Send, _body: bytes) -> TransportApiResponse:
        raise KeyboardInterrupt

    faulty = replace(store, es=Faults(es, *[unharmed] * moment, interrupt).es)
    with pytest.raises(KeyboardInterrupt):
        replayed(Replay(pipeline_of(faulty, s3)))
    assert ids_of(GOOD) == letters(es, store).keys()
    replay = Replay(pipeline_of(store, s3))

    assert {("bad_number", "indexed"): 12} == replayed(replay)
    assert (12 * (1 - moment), 12 * moment) == (replay.new, replay.duplicates)
    assert {} == letters(es, store)


def test_any_number_of_letters(es: Elasticsearch, store: Store, s3: OneS3) -> None:
    """They are read in pages, indexed in bodies and removed; each is met once."""
    lines = lines_of(DAY, 2_345)
    write_letters(store, lines)
    faults = Faults(es)
    pipeline = pipeline_of(replace(store, es=faults.es), s3, Options(bulk_bytes=200_000))

    assert {("bad_number", "indexed"): 2_345} == replayed(Replay(pipeline))

    searches = [target for _, target in faults.requests if target.startswith("/_search")]
    assert 5 < len(searches) < 12
    assert max(map(len, faults.bodies)) < 500_000
    assert ("DELETE", "/_pit") in faults.requests
    assert {} == letters(es, store)


# --- which letters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(reasons=("bad_time", "empty_field")), {1}),
        (Selection(reasons=("bad_number", "bad_time")), {0, 1}),
        (Selection(bucket=BUCKET), {0, 2}),
        (Selection(load_balancers=("frontend-alb",)), {0}),
        (Selection(load_balancers=("other", "app/frontend-alb/50dc6c495c0c9188")), {0, 2}),
        (Selection(load_balancers=("frontend",)), set()),
        (Selection(load_balancers=("*",)), set()),
        (Selection(since=datetime(2016, 1, 1, tzinfo=UTC), bucket=BUCKET), {0, 2}),
        (Selection(since=datetime.now(UTC) + timedelta(hours=1)), set()),
    ],
    ids=str,
)
def test_letters_are_selected(
    store: Store, s3: OneS3, selection: Selection, expected: set[int]
) -> None:
    """By when and why the line was rejected, and by where it came from."""
    other = KEY.replace("app.frontend-alb.", "app.other.")
    write_letters(store, GOOD[:1])
    write_letters(store, GOOD[1:2], reason="bad_time", key=None)
    write_letters(store, GOOD[2:3], reason="bad_quoting", key=other)

    fates = Replay(pipeline_of(store, s3), dry_run=True).run(selection)

    assert {line_id(GOOD[at]) for at in expected} == {fate.letter.hit.id for fate in fates}


# --- letters that are forged ---------------------------------------------------------------------


def forged(**fields: object) -> bytes:
    """Return a letter as JSON; fields are named with underscores for dots."""
    return json.dumps({name.replace("__", "."): value for name, value in fields.items()}).encode()


def original(line: bytes, **more: object) -> bytes:
    """Return a letter that holds a line."""
    event = {"original": line.decode("latin-1")}
    return json.dumps({"event": event, "error": {"type": "bad_time"}, **more}).encode()


LINE = alb_line(77)
HUGE = "x" * 1_000_000
FORGERIES = {
    "an id that is not its line's": (original(LINE), "A" * 20, End.NOT_ITS_LINE),
    "no base64": (b'{"event":{"original_base64":"%%%"}}', line_id(LINE), End.NO_OBJECT),
    "another base64": (b'{"event":{"original_base64":"YQ=="}}', "I" * 20, End.NOT_ITS_LINE),
    "two lines": (original(LINE + b"\n" + LINE), line_id(LINE + b"\n" + LINE), End.NOT_ITS_LINE),
    "a blank line": (original(b"  "), line_id(b"  "), End.NOT_ITS_LINE),
    "no line": (original(b""), line_id(b""), End.NOT_ITS_LINE),
    "nothing": (b"{}", "B" * 20, End.NO_OBJECT),
    "values of other kinds": (
        b'{"event":{"original":["a","b"]},"error":{"type":["a"]},"log":{"offset":"5"}}',
        "C" * 20,
        End.NO_OBJECT,
    ),
    "a million bytes": (original(HUGE.encode()), line_id(HUGE.encode()), "line_too_long"),
    "a reason of a million bytes": (
        json.dumps({"error": {"type": HUGE, "message": HUGE}}).encode(),
        "D" * 20,
        End.NO_OBJECT,
    ),
    "half a surrogate pair": (
        b'{"event":{"original":"a\\ud800b"},"error":{"type":"\\ud800"}}',
        "E" * 20,
        End.NOT_ITS_LINE,
    ),
    "a key that is none": (
        json.dumps(
            {
                "aws": {"s3": {"bucket": {"name": BUCKET}, "object": {"key": "../etc/passwd"}}},
                "log": {"offset": 0},
            }
        ).encode(),
        "F" * 20,
        End.NO_OBJECT,
    ),
    "a bucket that is none": (
        json.dumps(
            {
                "aws": {"s3": {"bucket": {"name": "no/bucket"}, "object": {"key": KEY}}},
                "log": {"offset": 0},
            }
        ).encode(),
        "G" * 20,
        End.OBJECT_UNREADABLE,
    ),
    "nested": (b'{"labels":{"more":' + b'{"a":' * 500 + b"1" + b"}" * 502, "H" * 20, End.NO_OBJECT),
}


def test_a_forged_letter_costs_nothing_but_itself(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """Each is counted, left and explained, and every genuine letter is replayed."""
    for body, id_, _ in FORGERIES.values():
        forge(es, store, id_, body)
    write_letters(store, GOOD)

    fates = list(Replay(pipeline_of(store, s3)).run(ALL))

    ends = {fate.letter.hit.id: fate.end for fate in fates}
    assert {id_: end for _, id_, end in FORGERIES.values()} | dict.fromkeys(
        ids_of(GOOD), "indexed"
    ) == ends
    assert len(ends) == len(fates)
    assert ids_of(GOOD) == documents(es, store.prefix).keys()
    es.indices.refresh(index=store.dead_letters)
    assert len(FORGERIES) == es.count(index=store.dead_letters)["count"]
    assert {fate.letter.reason for fate in fates} == {"bad_number", "bad_time", "unknown"}


def test_an_offset_within_a_line_is_none(store: Store, s3: OneS3) -> None:
    """Not even where the rest of the line is the line that the id is of."""
    key = KEY.replace("3q2xk9fz", "within")
    private = options(REDACT_QUERY="token")
    s3.put(key, gz(b"x" + LINE, GOOD[0]))
    write_letters(store, [LINE, GOOD[0]], key=key, options=private, offsets=[1, len(LINE) + 2])

    counted = replayed(Replay(pipeline_of(store, s3, private)))

    assert {("bad_number", End.NOT_ITS_LINE): 1, ("bad_number", "indexed"): 1} == counted


def test_a_line_that_was_erased_is_not_read_again(
    es: Elasticsearch, store: Store, s3: OneS3
) -> None:
    """Its letter stays, and its object is not even opened."""
    erased = {
        "labels": {"erased": "2026-11-21T00:00:00Z"},
        "aws": {"s3": {"bucket": {"name": BUCKET}, "object": {"key": KEY}}},
        "log": {"offset": 0},
    }
    s3.put(KEY, gz(*GOOD))
    forge(es, store, line_id(GOOD[0]), json.dumps(erased).encode())

    assert {("unknown", End.ERASED): 1} == replayed(Replay(pipeline_of(store, s3)))
    assert [] == s3.read


def test_every_end_is_explained() -> None:
    """No end is without a sentence."""
    assert {*End} == ABOUT.keys()


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def alb_logs(elasticsearch_url: str, store: Store) -> Command:
    """Return the command `replay`, with the settings of the test's own prefix."""
    settings = {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": store.prefix}
    return partial(run, settings, "replay")


def test_the_command_says_what_became_of_letters(store: Store, alb_logs: Command) -> None:
    """By reason before and after; it ends with 1 where any remain, and with 0 where none do."""
    write_letters(store, [*GOOD, BAD[0]])
    write_letters(store, BAD[1:], reason="bad_time", offsets=[90_000])
    forge(store.es, store, "B" * 20, b"{}")

    planned = alb_logs("--dry-run")
    ended = alb_logs()
    again = alb_logs("--reason", "bad_time")
    nothing = alb_logs("--since", "now")

    assert [1, 1, 1, 0] == [planned.code, ended.code, again.code, nothing.code]
    assert planned.out.splitlines()[:-1] == ended.out.splitlines()[:-1]
    assert planned.out.endswith(
        "15 dead letters: 12 would be replayed, 3 would remain; nothing was changed.\n"
    )
    none = "0 replayed (0 new documents, 0 duplicates)"
    assert [
        "was                        is                         letters",
        "bad_number                 indexed                         12",
        "bad_number                 too_few_fields                   1",
        "bad_time                   bad_number                       1",
        "unknown                    no_object                        1",
        "no_object: it holds no raw line, and names no ALB log object to read it from.",
        "15 dead letters: 12 replayed (12 new documents, 0 duplicates), 3 remain.",
    ] == ended.out.splitlines()
    assert again.out.endswith(f"1 dead letters: {none}, 1 remain.\n")
    assert f"0 dead letters: {none}, 0 remain.\n" == nothing.out


def test_machines_are_told_the_same(store: Store, alb_logs: Command) -> None:
    """With --json it is one object."""
    write_letters(store, [*GOOD, BAD[0]])

    told = json.loads(alb_logs("--json").out)

    assert {
        "letters": 13,
        "replayed": 12,
        "remaining": 1,
        "new": 12,
        "duplicates": 0,
        "outcomes": [
            {"was": "bad_number", "is": "indexed", "letters": 12},
            {"was": "bad_number", "is": "too_few_fields", "letters": 1},
        ],
        "causes": {},
        "dry_run": False,
    } == told


def test_all_that_can_be_replayed_ends_well(store: Store, alb_logs: Command) -> None:
    """Nothing remains: 0, and --quiet says nothing."""
    write_letters(store, GOOD)

    assert Run(0, "", "") == alb_logs("--quiet")


def test_an_error_comes_after_what_was_done(
    es: Elasticsearch, store: Store, alb_logs: Command
) -> None:
    """What was done until then is said, and why the rest was not."""
    write_letters(store, GOOD)
    es.indices.create(index=index_of(store, DAY), mappings={"properties": {}})
    es.indices.put_mapping(index=index_of(store, DAY), meta={"alb_logs": {"schema": 99}})

    ended = alb_logs()

    assert 2 == ended.code
    assert "0 dead letters: 0 replayed" in ended.out
    assert "was not made from this version's templates" in ended.said


def test_a_closed_index_is_named(es: Elasticsearch, store: Store, alb_logs: Command) -> None:
    """The cause stands beside the table."""
    ingest(store, text_of(GOOD[:1]))
    es.indices.close(index=index_of(store, DAY))
    write_letters(store, GOOD[1:3])

    ended = alb_logs()

    assert 1 == ended.code
    assert ended.said.startswith("cluster_refused: Elasticsearch refused with 400 index_closed")


def test_a_wrong_call_is_refused(alb_logs: Command) -> None:
    """Before anything is read."""
    for arguments in (
        ("--since", "soon"),
        ("--load-balancer", "a*b"),
        ("--bucket", "s3://x"),
        ("x",),
    ):
        ended = alb_logs(*arguments)
        assert (2, "") == (ended.code, ended.out)


def test_a_terminal_shows_progress(elasticsearch_url: str, store: Store) -> None:
    """There is a bar while it goes on."""
    write_letters(store, lines_of(DAY, 500))
    settings = {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": store.prefix}
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "replay"]

    with Terminal() as terminal:
        ended = subprocess.run(
            command,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=terminal.end,
            check=False,
            timeout=60,
        )

    assert 0 == ended.returncode
    assert b"500 replayed" in ended.stdout
    assert "dead letters" in terminal.drawn()
