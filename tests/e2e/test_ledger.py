"""The ledger: one entry for every version of an object, by the run that came furthest."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from elasticsearch import Elasticsearch
from moto import mock_aws

from pipeline.alb.keys import ObjectName, classify_key
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError
from pipeline.ingest import Options, ingest_object
from pipeline.sink.ledger import COUNTED, Entry, State, Version, read_entries, write_entry
from pipeline.sink.store import Store
from pipeline.source.continuation import Continuation, ResumePoint
from pipeline.source.objects import ObjectRef
from tests.support.factories import KEY, alb_line, gz, no_log_lines, text_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-log-bucket"
_NAME = classify_key(KEY)
assert isinstance(_NAME, ObjectName)
NAME: ObjectName = _NAME
LINES = [alb_line(number) for number in range(3_000)]
INDEX_OF_ENTRIES = "ledger-2026.11.01"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    """Yield a client of S3, with the bucket."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield client


def put(s3: "S3Client", body: bytes) -> ObjectRef:
    """Put the object; return what its notification says."""
    etag = s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)["ETag"].strip('"')
    created = NAME.end_time + timedelta(seconds=12)
    return ObjectRef(BUCKET, KEY, NAME, etag=etag, created=created)


def entry_of(store: Store, ref: ObjectRef) -> dict[str, Any]:
    """Return the entry of an object as it is stored."""
    assert ref.etag
    version = Version(ref.bucket, ref.key, ref.etag, NAME)
    found = store.es.get(index=version.index(store), id=version.id)
    return dict(found["_source"])


def counts(**given: int) -> dict[str, int]:
    """Return the terms of a tally."""
    return dict.fromkeys(COUNTED, 0) | given


def test_an_object_that_is_in_has_an_entry(store: Store, s3: "S3Client") -> None:
    """State, counts, times, lags and where it lies: all that an audit and a dashboard ask for."""
    ref = put(s3, gz(*LINES[:100], b"", b"no log line"))

    outcome = ingest_object(ref, s3=s3, store=store, options=Options(route="lambda"))

    assert (outcome.error, outcome.unrecorded) == (None, None)
    entry = entry_of(store, ref)
    assert ("complete", "lambda") == (entry["state"], entry["route"])
    assert (102, 100, 0, 1, 1) == tuple(
        entry[term] for term in ("lines", "indexed", "duplicates", "rejected", "blank")
    )
    assert len(text_of(LINES[:100])) + 1 + len(b"no log line\n") == entry["bytes"]
    assert entry["bytes"] == entry["offset"]
    assert "2026-11-20T10:05:00+00:00" == entry["@timestamp"]
    assert "2026-11-20T10:00:00.000000Z" == entry["event"]["start"]
    assert "2026-11-20T10:00:00.099000Z" == entry["event"]["end"]
    assert 12.0 == entry["lag"]["delivery"]["sec"]
    assert entry["lag"]["ingest"]["sec"] > 0
    assert ("app/frontend-alb/50dc6c495c0c9188", "frontend-alb") == (
        entry["aws"]["elb"]["name"],
        entry["observer"]["name"],
    )
    assert (BUCKET, KEY, ref.etag) == (
        entry["aws"]["s3"]["bucket"]["name"],
        entry["aws"]["s3"]["object"]["key"],
        entry["aws"]["s3"]["object"]["etag"],
    )


def test_a_repeated_run_leaves_the_entry_alone(store: Store, s3: "S3Client") -> None:
    """What the first complete run found is kept: the second would say that all was there."""
    ref = put(s3, gz(*LINES[:50]))
    ingest_object(ref, s3=s3, store=store)
    before = entry_of(store, ref)

    again = ingest_object(ref, s3=s3, store=store, options=Options(route="backfill"))

    assert (50, None) == (again.tally.duplicates, again.unrecorded)
    assert before == entry_of(store, ref)


def test_a_new_version_has_an_entry_of_its_own(store: Store, s3: "S3Client") -> None:
    """An entry is of one ETag: what an object held before does not vouch for what it holds now."""
    first = put(s3, gz(*LINES[:10]))
    ingest_object(first, s3=s3, store=store)
    second = put(s3, gz(*LINES[:20]))
    ingest_object(second, s3=s3, store=store)

    assert (10, 20) == (entry_of(store, first)["lines"], entry_of(store, second)["lines"])


def test_a_failed_object_has_its_reason(store: Store, s3: "S3Client") -> None:
    """An object that is cut is failed, with what came in before the cut."""
    body = gz(*LINES)
    ref = put(s3, body[: len(body) // 2])

    outcome = ingest_object(ref, s3=s3, store=store)

    entry = entry_of(store, ref)
    assert ("failed", "ObjectCorruptError") == (entry["state"], entry["error"]["type"])
    assert outcome.tally.lines == entry["lines"] > entry["indexed"] > 0
    assert str(outcome.error)[:500] == entry["error"]["message"]


def test_what_is_no_log_has_its_reason_too(store: Store, s3: "S3Client") -> None:
    """An audit can say why an object is not in."""
    ref = put(s3, gz(*no_log_lines(200)))

    ingest_object(ref, s3=s3, store=store)

    assert "ObjectNotAlbError" == entry_of(store, ref)["error"]["type"]


def test_the_parts_of_an_object_add_up(store: Store, s3: "S3Client") -> None:
    """A continuation's entry counts the lines before it, and keeps the time of the first event."""
    text = text_of(LINES)
    ref = put(s3, text)
    half = len(text_of(LINES[:1_500]))
    version = Version(BUCKET, KEY, str(ref.etag), NAME)
    before = counts(lines=1_500, indexed=1_500, bytes=half)
    times = ("2026-11-20T10:00:00.000000Z", "2026-11-20T10:00:01.499000Z")
    write_entry(
        version, Entry(State.PARTIAL, before, half, "lambda", times, seconds=8.0), store=store
    )
    point = ResumePoint(half, version.etag, None)
    rest = Continuation(BUCKET, KEY, 1, point, before)

    outcome = ingest_object(replace(ref, continuation=rest), s3=s3, store=store)

    assert 1_500 == outcome.tally.indexed
    entry = entry_of(store, ref)
    assert ("complete", 3_000, 3_000) == (entry["state"], entry["lines"], entry["indexed"])
    assert len(text) == entry["bytes"] == entry["offset"]
    assert times[0] == entry["event"]["start"]
    assert "2026-11-20T10:00:02.999000Z" == entry["event"]["end"]
    assert entry["duration"]["sec"] > 8.0


@pytest.mark.parametrize("seed", range(5))
def test_the_run_that_came_furthest_stands(store: Store, seed: int) -> None:
    """In whatever order runs report, the entry is that of the one that came furthest."""
    version = Version(BUCKET, KEY, f"{seed:032x}", NAME)
    entries = [Entry(State.FAILED, counts(lines=at), at, f"run {at}") for at in (0, 10, 20, 30)]
    done = Entry(State.COMPLETE, counts(lines=30), 30, "the one that completed it")
    late = [Entry(State.PARTIAL, counts(lines=30), 30, "late"), replace(done, route="again")]
    reports = random.Random(seed).sample([*entries, done], 5) + late

    for entry in reports:
        write_entry(version, entry, store=store)

    assert [done] == list(read_entries([version], store=store))


def test_entries_are_read_in_order_and_at_once(store: Store) -> None:
    """More versions than one request asks for, some without an entry, of months never seen."""
    names = [replace(NAME, end_time=datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 5, 9)]
    versions = [Version(BUCKET, f"{at}", "e", names[at % 3]) for at in range(1_203)]
    for at in (0, 501, 1_201):
        entry = Entry(State.COMPLETE, counts(lines=at), at, "ingest")
        write_entry(versions[at], entry, store=store)

    found = list(read_entries(versions, store=store))

    assert 1_203 == len(found)
    assert {0: 0, 501: 501, 1_201: 1_201} == {
        at: entry.offset for at, entry in enumerate(found) if entry
    }


def test_without_a_ledger_the_object_is_in(store: Store, s3: "S3Client") -> None:
    """A cluster that an older version prepared takes the lines; the outcome says what to run."""
    ref = put(s3, gz(*LINES[:5]))

    outcome = ingest_object(ref, s3=s3, store=replace(store, has_ledger=False))

    assert (5, None) == (outcome.tally.indexed, outcome.error)
    assert "run `alb-logs setup`" in str(outcome.unrecorded)
    assert not store.es.indices.exists(index=f"{store.prefix}-{INDEX_OF_ENTRIES}")


def test_a_ledger_that_takes_nothing_fails_no_object(store: Store, s3: "S3Client") -> None:
    """Whatever is wrong with the ledger, the object is in, and the outcome says what is wrong."""
    store.es.indices.create(index=f"{store.prefix}-{INDEX_OF_ENTRIES}")
    store.es.indices.put_settings(
        index=f"{store.prefix}-{INDEX_OF_ENTRIES}", settings={"index.blocks.write": True}
    )
    ref = put(s3, gz(*LINES[:5]))

    outcome = ingest_object(ref, s3=s3, store=store)

    assert (5, None) == (outcome.tally.indexed, outcome.error)
    assert INDEX_OF_ENTRIES in str(outcome.unrecorded)


def test_time_that_is_up_is_not_waited_for(store: Store) -> None:
    """At the deadline the entry is given up."""
    with pytest.raises(Exception, match="in time"):
        write_entry(
            Version(BUCKET, KEY, "e", NAME),
            Entry(State.COMPLETE, counts(), 0, "lambda"),
            store=store,
            deadline=Deadline().within(0),
        )


def test_an_old_cluster_is_not_given_a_wrong_index(store: Store) -> None:
    """Where there is no template for it, no index of the ledger is made: its mapping would stay."""
    with pytest.raises(ConfigError, match="alb-logs setup"):
        write_entry(
            Version(BUCKET, KEY, "e", NAME),
            Entry(State.COMPLETE, counts(), 0, "lambda"),
            store=replace(store, has_ledger=False),
        )


def test_entries_are_found_by_what_people_ask(
    es: Elasticsearch, store: Store, s3: "S3Client"
) -> None:
    """Behind the alias, by state, load balancer and key."""
    ref = put(s3, gz(*LINES[:5]))
    ingest_object(ref, s3=s3, store=store)
    es.indices.refresh(index=store.ledger)

    for query in (
        "state:complete AND lines:5",
        'observer.name:"frontend-alb"',
        f'aws.s3.object.key:"{KEY}"',
        "event.start:[2026-11-20T10:00:00Z TO 2026-11-20T10:01:00Z]",
    ):
        found = es.search(index=store.ledger, q=query)
        assert 1 == found["hits"]["total"]["value"], query


FORGED: dict[str, object] = {
    "not a number": {"lines": "12"},
    "below nothing": {"lines": -1},
    "several": {"state": ["complete"]},
    "unknown": {"state": "perfect"},
    "lacking": {"offset": None},
    "no text": {"route": 5},
}


@pytest.mark.parametrize("facts", [pytest.param(each, id=name) for name, each in FORGED.items()])
def test_a_forged_entry_is_none(
    store: Store, facts: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may ingest may write there: one odd entry must not end a backfill of thousands."""
    versions = [Version(BUCKET, KEY, etag, NAME) for etag in ("forged", "sound")]
    entry = Entry(State.COMPLETE, counts(lines=1), 1, "ingest")
    for version in versions:
        write_entry(version, entry, store=store)
    forged = entry.document(versions[0], datetime.now(UTC)) | facts
    store.es.index(index=versions[0].index(store), id=versions[0].id, document=forged)

    assert [None, entry] == list(read_entries(versions, store=store))
    assert f"{versions[0].index(store)}/_doc/{versions[0].id}" in caplog.text


def test_odd_details_of_an_entry_do_not_count(store: Store) -> None:
    """The rest of an object is recorded, whatever somebody wrote into its entry meanwhile."""
    version = Version(BUCKET, KEY, "odd", NAME)
    entry = Entry(State.PARTIAL, counts(lines=1), 1, "lambda")
    write_entry(version, entry, store=store)
    odd: dict[str, object] = {"duration": {"sec": "5"}, "lag": None, "error": {"type": 5}}
    document = entry.document(version, datetime.now(UTC)) | odd | {"event": [{"start": "2026"}]}
    store.es.index(index=version.index(store), id=version.id, document=document)

    (found,) = read_entries([version], store=store)

    assert entry == found
