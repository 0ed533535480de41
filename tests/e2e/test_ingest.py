"""Whole objects on their way into the real Elasticsearch: every line once, every line reported."""

import bz2
import gzip
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer
from devstack.traffic import WrittenObject, connection_lines, health_check_lines, hour_of_objects
from devstack.traffic import line_id as id_of
from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, Skipped, classify_key
from pipeline.alb.parsing import Record, parse_line
from pipeline.deadline import Deadline
from pipeline.errors import (
    AccountingError,
    ObjectCorruptError,
    ObjectMissingError,
    ObjectNotAlbError,
    PipelineError,
    SinkUnavailableError,
    SourceUnavailableError,
    TooManyIndicesError,
    TooManyRejectsError,
)
from pipeline.ingest import Ingestion, Options, Time, context_for, ingest_object
from pipeline.outcome import Outcome, Tally
from pipeline.sink.encoding import encode_chunk
from pipeline.sink.store import Store, open_store
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, LongLine, ObjectReader, read_stream
from tests.support.cluster import documents_in, index_of, ingest, letters_of, prepared
from tests.support.deadlines import at_once
from tests.support.factories import (
    KEY,
    alb_line,
    gz,
    ids_of,
    lines_of,
    no_log_lines,
    stored_gz,
    text_of,
)
from tests.support.faults import Faults, edited, refusing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-logs-of-these-tests"


@pytest.fixture(scope="module")
def store(es: Elasticsearch) -> Iterator[Store]:
    """Share one prepared cluster among the tests of this file: each has a day of its own."""
    with prepared(es) as store:
        yield store


@pytest.fixture(scope="module")
def s3(aws: AwsServer) -> "S3Client":
    """Return a client of an emulated S3 that has a bucket."""
    client = aws.s3()
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return client


# --- every line once -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ingested:
    """One object of the traffic generator, and its outcome."""

    written: WrittenObject
    ref: ObjectRef
    outcome: Outcome


TOLD = Options(provenance=True)


@pytest.fixture(scope="module")
def traffic(store: Store, s3: "S3Client") -> list[Ingested]:
    """Ingest the objects of some minutes: all three logs, odd lines, bad lines, blank lines."""
    objects = hour_of_objects(
        11,
        start=datetime(2026, 9, 17, 12, 0, tzinfo=UTC),
        lines_per_object=30,
        odd_share=0.3,
        bad_share=0.2,
    )
    return [
        Ingested(written, ref, ingest_object(ref, s3=s3, store=store, options=TOLD))
        for written in islice(objects, 40)
        for ref in stored(s3, written)
    ]


def stored(s3: "S3Client", written: WrittenObject) -> Iterator[ObjectRef]:
    """Put an object, and yield its reference where it is one to ingest."""
    s3.put_object(Bucket=BUCKET, Key=written.key, Body=written.body)
    name = classify_key(written.key)
    assert isinstance(name, Skipped) == (written.kind in {"sibling", "test-file"})
    if isinstance(name, ObjectName):
        yield ObjectRef(BUCKET, written.key, name)


def expected_tally(written: WrittenObject) -> Tally:
    """Count what the generator says of an object."""
    return Tally(
        lines=len(written.lines),
        indexed=len(written.good_ids),
        rejected=len(written.rejected_ids),
        blank=written.blank,
        bytes=len(text_of(list(written.lines))),
    )


def test_every_line_of_every_object_is_accounted_for(traffic: list[Ingested]) -> None:
    """The tally of each object is what its writer says of it, in every term."""
    assert {"access", "connection", "health-check"} == {each.written.kind for each in traffic}
    assert sum(each.outcome.tally.rejected for each in traffic) > 50
    assert sum(each.outcome.tally.blank for each in traffic) > 0
    for each in traffic:
        assert Outcome(expected_tally(each.written)) == each.outcome, each.ref.key


def test_the_index_holds_each_line_once(
    traffic: list[Ingested], es: Elasticsearch, store: Store
) -> None:
    """The ids in the indices are those worked out from the lines: none lost, none added."""
    for each in traffic:
        query = {"term": {"aws.s3.object.key": each.ref.key}}
        index = f"{store.prefix}-{each.written.kind}-2026.09.17"

        assert each.written.good_ids == documents_in(es, index, query).keys()
        assert each.written.rejected_ids == documents_in(es, store.dead_letters, query).keys()


def test_documents_say_where_they_come_from(
    traffic: list[Ingested], es: Elasticsearch, store: Store
) -> None:
    """Bucket, key, account, region and the time of ingestion stand in every document."""
    now = datetime.now(UTC)
    for each in traffic:
        query = {"term": {"aws.s3.object.key": each.ref.key}}
        found = documents_in(es, f"{store.prefix}-{each.written.kind}-2026.09.17", query)
        for source in found.values():
            assert {
                "bucket": {"name": BUCKET},
                "object": {"key": each.ref.key},
            } == source["aws"]["s3"]
            assert each.ref.name
            assert {
                "account": {"id": each.ref.name.account},
                "region": each.ref.name.region,
            } == source["cloud"]
            ingested = datetime.fromisoformat(source["event"]["ingested"])
            assert now - timedelta(minutes=30) < ingested <= now
            assert "original" not in source["event"]


def test_ingesting_again_indexes_nothing(
    traffic: list[Ingested], es: Elasticsearch, store: Store, s3: "S3Client"
) -> None:
    """What was indexed is duplicate, what was rejected is rejected again: no document is new."""
    everything = f"{store.prefix}-*"
    before = documents_in(es, everything)

    for each in traffic:
        again = ingest_object(each.ref, s3=s3, store=store)
        first = expected_tally(each.written)
        assert Outcome(replace(first, indexed=0, duplicates=first.indexed)) == again

    assert before == documents_in(es, everything)


@pytest.mark.parametrize("stores", [1, 2], ids=["one process", "two processes"])
def test_two_at_once_index_each_line_once(
    es: Elasticsearch, store: Store, day: str, stores: int
) -> None:
    """The same object, ingested twice at once into a day that is not there yet, adds up."""
    lines = lines_of(day, 400)
    options = Options(bulk_bytes=40_000)
    chosen = [open_store(es, store.prefix) for _ in range(stores)]

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(ingest, chosen[at % stores], gz(*lines), options) for at in range(2)]
    outcomes = [run.result() for run in runs]

    assert [None, None] == [outcome.error for outcome in outcomes]
    for outcome in outcomes:
        outcome.tally.check()
    total = outcomes[0].tally + outcomes[1].tally
    assert (800, 400, 400) == (total.lines, total.indexed, total.duplicates)
    assert ids_of(lines) == documents_in(es, index_of(store, day)).keys()


def test_equal_lines_of_an_object_are_one_document(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """A line that occurs twice is indexed once, and reported as repeated."""
    first, second = lines_of(day, 2)

    outcome = ingest(store, text_of([first, second, first]))

    assert (
        Outcome(Tally(lines=3, indexed=2, duplicates=1, repeated=1, bytes=outcome.tally.bytes))
        == outcome
    )
    assert ids_of([first, second]) == documents_in(es, index_of(store, day)).keys()


def test_line_ends_are_no_part_of_a_line(es: Elasticsearch, store: Store, day: str) -> None:
    r"""With `\n`, `\r\n` or, at the very end, without one, a line is the same line."""
    lines = lines_of(day, 3)

    unix = ingest(store, b"\n".join(lines))
    windows = ingest(store, b"\r\n".join([*lines, b"", b" \t"]))

    assert (3, 3) == (unix.tally.lines, unix.tally.indexed)
    assert (5, 3, 2) == (windows.tally.lines, windows.tally.duplicates, windows.tally.blank)
    assert ids_of(lines) == documents_in(es, index_of(store, day)).keys()


def test_an_empty_object_is_a_success(store: Store) -> None:
    """An object without a line has nothing to account for."""
    assert Outcome(Tally()) == ingest(store, b"")
    assert Outcome(Tally()) == ingest(store, gz())


# --- options -------------------------------------------------------------------------------------


def test_the_raw_line_is_kept_where_asked_for(es: Elasticsearch, store: Store, day: str) -> None:
    """With `keep_original` each document holds its line."""
    lines = lines_of(day, 3)

    ingest(store, gz(*lines), Options(keep_original=True))

    assert {id_of(line): line.decode() for line in lines} == {
        id_: source["event"]["original"]
        for id_, source in documents_in(es, index_of(store, day)).items()
    }


def test_each_line_tells_its_kind_where_no_name_does(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """Lines of all three logs in one file go to the index of their own kind."""
    start = datetime.fromisoformat(f"{day}T10:00:00Z")
    lines = {
        Kind.ACCESS: lines_of(day, 5),
        Kind.CONNECTION: list(connection_lines(1, 5, start=start)),
        Kind.HEALTH_CHECK: list(health_check_lines(1, 5, start=start)),
    }

    outcome = ingest(store, gz(*chain.from_iterable(lines.values())))

    assert (15, 15) == (outcome.tally.lines, outcome.tally.indexed)
    for kind, own in lines.items():
        assert ids_of(own) == documents_in(es, index_of(store, day, kind)).keys()


def test_a_chosen_kind_counts_more_than_the_name(store: Store, day: str) -> None:
    """Where the kind is given, neither the object's name nor its lines decide."""
    options = Options(kind=Kind.HEALTH_CHECK)
    name = classify_key(KEY)
    assert isinstance(name, ObjectName)

    context = context_for(store, options, name)
    outcome = ingest(store, gz(*lines_of(day, 2)), options)

    assert (Kind.HEALTH_CHECK, name.account, name.region) == (
        context.kind,
        context.account,
        context.region,
    )
    assert (2, 2) == (outcome.tally.lines, outcome.tally.rejected)


def test_a_name_says_kind_account_and_region(store: Store) -> None:
    """A recognised name fills the context; no name leaves it as it is."""
    plain = context_for(store, Options())
    name = classify_key(KEY)
    assert isinstance(name, ObjectName)

    named = context_for(store, Options(), name)

    assert (None, None, None) == (plain.kind, plain.account, plain.region)
    assert (
        replace(
            plain,
            kind=Kind.ACCESS,
            account="123456789012",
            region="eu-central-1",
            earliest=named.earliest,
            latest=named.latest,
            ingested=named.ingested,
        )
        == named
    )


def test_an_event_of_the_day_after_tomorrow_is_rejected(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """A time beyond what clocks explain would make an index of its own: it is a dead letter."""
    now = datetime.now(UTC)
    wrong = alb_line(1, time=f"{now + timedelta(days=2):%Y-%m-%dT%H:%M:%S}.000000Z")

    outcome = ingest(store, gz(wrong, *lines_of(day, 1)))

    assert (1, 1) == (outcome.tally.indexed, outcome.tally.rejected)
    [letter] = letters_of(es, store, [wrong]).values()
    assert "time_out_of_range" == letter["error"]["type"]


def test_a_bulk_body_is_about_as_large_as_asked_for(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """Chunks are read so that their documents about fill a body."""
    lines = lines_of(day, 400)
    faults = Faults(es)

    ingest(replace(store, es=faults.es), gz(*lines), Options(connections=1, bulk_bytes=100_000))

    *full, _ = [len(body) for body in faults.bodies]
    assert len(full) >= 3
    assert all(60_000 < size < 150_000 for size in full)


# --- objects that end too early ------------------------------------------------------------------


class CutS3:
    """Serve an object of the emulated S3, whose connection breaks at a byte each time."""

    def __init__(self, s3: "S3Client", key: str, at: int) -> None:
        answer = s3.get_object(Bucket=BUCKET, Key=key)
        self._answer = {"ETag": answer["ETag"], "ContentLength": answer["ContentLength"]}
        self._data, self.at = answer["Body"].read(), at

    def get_object(self, **request: str) -> dict[str, Any]:
        """Return what is left of the object before the cut."""
        start = int(request.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        body = io.BytesIO(self._data[start : self.at])
        return self._answer | {"Body": body, "ContentRange": f"bytes {start}-"}


def outcome_of(
    chunks: Iterable[Chunk | LongLine], store: Store
) -> tuple[set[str], PipelineError | None]:
    """Encode chunks as ingestion does; return the documents' ids, and the error at the end."""
    context, ids, error = context_for(store, Options()), set[str](), None
    try:
        for chunk in chunks:
            batch = encode_chunk(chunk, context)
            assert not batch.rejects
            ids |= {action.id for action in batch.actions}
    except PipelineError as caught:
        error = caught
    return ids, error


def parsed_at(line: bytes) -> list[int]:
    """Return every offset at which a cut line would pass for a line of an older generation."""
    return [
        cut
        for cut in range(len(line))
        if isinstance(parse_line(line[:cut], Kind.ACCESS, latest="2027-01-01T00:00:00Z"), Record)
    ]


def test_a_gzip_cut_in_its_last_line_makes_no_phantom(store: Store, day: str) -> None:
    """Wherever its last line is cut, the lines before it are all that comes out of the object."""
    lines = lines_of(day, 4)
    body, start = stored_gz(lines)
    last = start + len(text_of(lines[:-1]))
    assert len(parsed_at(lines[-1])) > 50  # each a phantom, if the cut were not seen

    for cut in range(len(lines[-1]) + 1):
        chunks = read_stream(io.BytesIO(body[: last + cut]), name="cut.gz")
        ids, error = outcome_of(chunks, store)
        assert ids_of(lines[:-1]) == ids
        assert isinstance(error, ObjectCorruptError)
        assert (cut > 0) == error.truncated


def test_a_plain_object_cut_in_its_last_line_makes_no_phantom(
    store: Store, s3: "S3Client", day: str
) -> None:
    """A plain object whose body ends before the announced length is not at its end."""
    lines = lines_of(day, 4)
    s3.put_object(Bucket=BUCKET, Key="plain.log", Body=b"\n".join(lines))
    cutting = CutS3(s3, "plain.log", 0)

    for cut in range(len(lines[-1])):
        cutting.at = len(text_of(lines[:-1])) + cut
        chunks = ObjectReader(BUCKET, "plain.log", s3=cutting, deadline=at_once())  # type: ignore[arg-type]
        ids, error = outcome_of(chunks, store)
        assert ids_of(lines[:-1]) == ids
        assert isinstance(error, SourceUnavailableError)


@pytest.mark.parametrize("source", ["file", "object"])
def test_whole_lines_before_a_cut_are_indexed(
    es: Elasticsearch, store: Store, s3: "S3Client", day: str, source: str
) -> None:
    """A cut gzip fails as corrupt with its whole lines indexed and the broken one counted."""
    lines = lines_of(day, 50)
    body, start = stored_gz(lines)
    cut = body[: start + len(text_of(lines[:-1])) + parsed_at(lines[-1])[0]]

    if source == "file":
        outcome = ingest(store, cut, Options(bulk_bytes=10_000))
    else:
        s3.put_object(Bucket=BUCKET, Key=f"{day}.log.gz", Body=cut)
        outcome = ingest_object(ObjectRef(BUCKET, f"{day}.log.gz"), s3=s3, store=store)

    assert isinstance(outcome.error, ObjectCorruptError)
    assert 1 == outcome.error.truncated
    assert Tally(lines=50, indexed=49, truncated=1, bytes=len(text_of(lines[:-1]))) == outcome.tally
    assert ids_of(lines[:-1]) == documents_in(es, index_of(store, day)).keys()


def test_a_cut_between_two_lines_breaks_none(es: Elasticsearch, store: Store, day: str) -> None:
    """A gzip that ends after a line end is corrupt, and no line of it is truncated."""
    lines = lines_of(day, 3)
    body, start = stored_gz(lines)

    outcome = ingest(store, body[: start + len(text_of(lines[:2]))])

    assert isinstance(outcome.error, ObjectCorruptError)
    assert (2, 2, 0) == (outcome.tally.lines, outcome.tally.indexed, outcome.tally.truncated)
    assert ids_of(lines[:2]) == documents_in(es, index_of(store, day)).keys()


def test_an_object_that_s3_stops_sending_is_completed_later(
    es: Elasticsearch, store: Store, s3: "S3Client", day: str
) -> None:
    """What arrived is indexed, the object fails as retriable, and the retry adds the rest."""
    lines = lines_of(day, 6)
    ref = ObjectRef(BUCKET, f"{day}.log")
    s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=text_of(lines))
    cutting = CutS3(s3, ref.key, len(text_of(lines[:4])) + 300)
    # As `ingest_object` does, but without pauses between the attempts.
    chunks = ObjectReader(ref.bucket, ref.key, s3=cutting, deadline=at_once())  # type: ignore[arg-type]

    first = Ingestion(context_for(store, Options()), store).run(chunks)
    second = ingest_object(ref, s3=s3, store=store)

    assert isinstance(first.error, SourceUnavailableError)
    assert Tally(lines=4, indexed=4, bytes=len(text_of(lines[:4]))) == first.tally
    assert second.error is None
    assert (6, 2, 4) == (second.tally.lines, second.tally.indexed, second.tally.duplicates)
    assert ids_of(lines) == documents_in(es, index_of(store, day)).keys()


def test_a_missing_object_is_told(store: Store, s3: "S3Client") -> None:
    """An object that is not there has no line, and an error that says so."""
    outcome = ingest_object(ObjectRef(BUCKET, "missing.log.gz"), s3=s3, store=store)

    assert isinstance(outcome.error, ObjectMissingError)
    assert Tally() == outcome.tally


# --- time ----------------------------------------------------------------------------------------


def test_no_object_is_begun_without_time(
    es: Elasticsearch, store: Store, s3: "S3Client", day: str
) -> None:
    """With no time left nothing is sent, and the error names the two remedies."""
    s3.put_object(Bucket=BUCKET, Key=f"{day}.log.gz", Body=gz(*lines_of(day, 3)))
    ref = ObjectRef(BUCKET, f"{day}.log.gz")

    outcome = ingest_object(ref, s3=s3, store=store, time=Time(Deadline().within(0.0)))

    assert isinstance(outcome.error, SinkUnavailableError)
    assert "more memory or a longer timeout" in str(outcome.error)
    assert Tally() == outcome.tally
    assert not es.indices.exists(index=index_of(store, day))


def test_no_index_is_looked_at_without_time(store: Store, day: str) -> None:
    """When the time is up, no request is begun that would take more of it."""
    index = f"{store.prefix}-access-{day}"

    with pytest.raises(SinkUnavailableError, match="which indices exist"):
        store.admit({index}, deadline=Deadline().within(0.0))

    assert not store.has_prepared(index)


def test_an_object_ends_with_its_time(es: Elasticsearch, store: Store, day: str) -> None:
    """What was done when the time is up stays done and counted; a later run adds the rest."""
    lines = lines_of(day, 4)
    options = Options(connections=1)
    deadline = Deadline().within(3.0)

    def chunks() -> Iterator[Chunk]:
        yield Chunk(0, text_of(lines[:1]), 1)
        yield Chunk(len(text_of(lines[:1])), text_of(lines[1:3]), 2)
        # With one connection this is asked for once the first batch is done.
        time.sleep(deadline.seconds_left)
        yield Chunk(len(text_of(lines[:3])), text_of(lines[3:]), 1)

    running = Ingestion(context_for(store, options), store, options, Time(deadline))
    cut_off = running.run(chunks())
    again = ingest(store, text_of(lines))

    assert isinstance(cut_off.error, SinkUnavailableError)
    assert "the time is up before the object is" in str(cut_off.error)
    assert cut_off.tally.lines == cut_off.tally.indexed
    assert 1 <= cut_off.tally.lines < 4
    assert again.error is None
    assert 4 == again.tally.lines
    assert ids_of(lines) == documents_in(es, index_of(store, day)).keys()


# --- objects that are no ALB logs ----------------------------------------------------------------


@pytest.mark.parametrize("number", [20, 3_000])
def test_an_object_of_other_lines_is_not_dead_lettered(
    es: Elasticsearch, store: Store, number: int
) -> None:
    """Where no line at all parses, 20 lines are enough to say that the object is no ALB log."""
    lines = no_log_lines(number)

    outcome = ingest(store, gz(*lines), Options(bulk_bytes=20_000))

    assert isinstance(outcome.error, ObjectNotAlbError)
    assert f"none of its {number} lines is one of an ALB log" in str(outcome.error)
    assert "too_few_fields" in str(outcome.error)
    assert Tally() == outcome.tally
    assert {} == letters_of(es, store, lines)


def test_a_few_bad_lines_are_dead_letters(es: Elasticsearch, store: Store) -> None:
    """Fewer than 20 lines that do not parse are kept, even if nothing else is there."""
    lines = no_log_lines(19)

    outcome = ingest(store, gz(*lines))

    assert Outcome(Tally(lines=19, rejected=19, bytes=len(text_of(lines)))) == outcome
    assert ids_of(lines) == letters_of(es, store, lines).keys()


@pytest.mark.parametrize("good_at", [0, 1_500, 3_000], ids=["first", "middle", "last"])
def test_one_good_line_makes_an_alb_log(
    es: Elasticsearch, store: Store, day: str, good_at: int
) -> None:
    """Wherever it is, one line that parses makes all others dead letters: the order is nothing."""
    bad = [b"%s %d" % (day.encode(), number) for number in range(3_000)]
    lines = [*bad[:good_at], *lines_of(day, 1), *bad[good_at:]]

    outcome = ingest(store, gz(*lines), Options(bulk_bytes=20_000))

    assert outcome.error is None
    assert (3_001, 1, 3_000) == (
        outcome.tally.lines,
        outcome.tally.indexed,
        outcome.tally.rejected,
    )
    for sample in (bad[0], bad[-1]):
        assert letters_of(es, store, [sample])


def test_more_rejects_than_are_allowed_fail_the_object(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """An object that is an ALB log by its first line fails once too many others do not parse."""
    good = lines_of(day, 1)
    bad = [b"%s %d" % (day.encode(), number) for number in range(500)]
    options = Options(bulk_bytes=20_000, most_rejects=200)

    outcome = ingest(store, gz(*good, *bad), options)

    assert isinstance(outcome.error, TooManyRejectsError)
    assert "ALB_LOGS_MOST_REJECTS" in str(outcome.error)
    assert outcome.tally.rejected <= 200
    assert len(letters_of(es, store, bad)) <= 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda text: gzip.compress(gzip.compress(text)), id="gzip-in-gzip"),
        pytest.param(bz2.compress, id="bzip2"),
        pytest.param(lambda text: b"\x1e" + gzip.compress(text)[1:], id="spoilt-magic"),
        pytest.param(lambda text: gzip.compress(gzip.compress(text[:400])), id="a-few-lines"),
    ],
)
def test_binary_content_is_not_dead_lettered(
    es: Elasticsearch, store: Store, day: str, body: Callable[[bytes], bytes]
) -> None:
    """What is no text fails as no ALB log, whatever its size: no binary line is kept anywhere."""
    before = documents_in(es, store.dead_letters)

    outcome = ingest(store, body(text_of(lines_of(day, 200))))

    assert isinstance(outcome.error, ObjectNotAlbError)
    assert "binary" in str(outcome.error)
    assert before == documents_in(es, store.dead_letters)


def test_what_a_line_holds_is_in_no_error(store: Store) -> None:
    """The reason why an object is no ALB log quotes nothing of it: it goes into other logs."""
    outcome = ingest(store, gz(*[b"password=hunter2 %d" % number for number in range(30)]))

    assert isinstance(outcome.error, ObjectNotAlbError)
    assert "hunter2" not in str(outcome.error)


def test_one_object_makes_a_hundred_indices_at_most(es: Elasticsearch, store: Store) -> None:
    """A forged object of thousands of days fails; it does not fill the cluster with indices."""
    start = date(2017, 1, 1)
    days = [(start + timedelta(number)).isoformat() for number in range(1_000)]
    lines = [alb_line(at, time=f"{day}T10:00:00.000000Z") for at, day in enumerate(days)]

    outcome = ingest(store, gz(*lines), Options(bulk_bytes=40_000))

    assert isinstance(outcome.error, TooManyIndicesError)
    assert "--period month" in str(outcome.error)
    made = es.indices.get(index=f"{store.prefix}-access-201*", expand_wildcards="all")
    assert len(made) <= 100


def test_dead_letters_go_out_in_bodies_of_their_own(store: Store, day: str) -> None:
    """However small the lines, no request is much larger than asked for."""
    bad = [b"%d" % number for number in range(4_000)]
    faults = Faults(store.es)
    options = Options(bulk_bytes=100_000)

    outcome = ingest(replace(store, es=faults.es), gz(*lines_of(day, 1), *bad), options)

    assert outcome.error is None
    assert 4_000 == outcome.tally.rejected
    assert max(map(len, faults.bodies)) < 300_000


# --- the books -----------------------------------------------------------------------------------


def test_a_reply_lost_and_another_doubled_are_seen(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """Replies that are as many as the documents, but not theirs, fail the object."""
    faults = Faults(es, edited(lambda items: [items[0], items[0], *items[2:]]))

    outcome = ingest(replace(store, es=faults.es), gz(*lines_of(day, 5)))

    assert isinstance(outcome.error, AccountingError)
    assert Tally() == outcome.tally


def test_a_line_that_gets_lost_on_the_way_is_seen(store: Store, day: str) -> None:
    """An object whose lines were counted otherwise than they came out fails, though all is sent."""
    text = text_of(lines_of(day, 2))

    outcome = Ingestion(context_for(store, Options()), store).run(iter([Chunk(0, text, 3)]))

    assert isinstance(outcome.error, AccountingError)
    assert "3 lines were read but 2 are accounted for" in str(outcome.error)


def test_a_busy_cluster_delays_and_changes_nothing(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """Items refused for now come again, of documents and of dead letters alike."""
    good, bad = lines_of(day, 5), no_log_lines(3)
    faults = Faults(es, refusing({1: 429, 3: 503}), otherwise=None)

    outcome = ingest(replace(store, es=faults.es), gz(*good, *bad))

    assert (8, 5, 3) == (outcome.tally.lines, outcome.tally.indexed, outcome.tally.rejected)
    assert [5, 2, 3] == [len(ids) for ids in faults.sent]
    assert ids_of(good) == documents_in(es, index_of(store, day)).keys()
    assert ids_of(bad) == letters_of(es, store, bad).keys()


def test_the_rest_of_an_object_with_refused_documents_goes_on(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """Documents that Elasticsearch refused before are no lines that did not parse."""
    before = Tally(lines=3_000, indexed=1_000, rejected=2_000)
    chunk = Chunk(0, text_of(lines_of(day, 3)), 3)

    outcome = Ingestion(context_for(store, Options()), store, before=before).run([chunk])

    assert outcome.error is None
    assert 3 == outcome.tally.indexed
    assert ids_of(lines_of(day, 3)) == documents_in(es, index_of(store, day)).keys()


PEAK_OF = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Run a command from a small process: the peak of a process counts what it was started from."""


def test_an_object_of_nothing_but_rejects_needs_little_memory(
    elasticsearch_url: str, store: Store, day: str, tmp_path: Path
) -> None:
    """A small gzip of a hundred megabytes of tiny lines costs no more memory than any other."""
    bomb = tmp_path / "bomb.log.gz"
    bomb.write_bytes(gz(*lines_of(day, 1)) + gzip.compress(b"x\n" * 5_000_000) * 10)
    environment = {
        **os.environ,  # noqa: TID251  PATH and the like
        "ALB_LOGS_ES_URL": elasticsearch_url,
        "ALB_LOGS_INDEX_PREFIX": store.prefix,
    }
    command = [str(Path(sys.executable).with_name("alb-logs")), "ingest", str(bomb)]

    run = subprocess.run(
        [sys.executable, "-c", PEAK_OF, *command], env=environment, capture_output=True, check=True
    )

    assert b"ALB_LOGS_MOST_REJECTS" in run.stderr
    assert int(run.stdout.splitlines()[-1]) * 1024 < 200_000_000
