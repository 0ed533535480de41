"""Whole objects on their way into the real Elasticsearch: every line once, every line told of."""

import gzip
import io
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any

import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer
from devstack.traffic import WrittenObject, connection_lines, health_check_lines, hour_of_objects
from devstack.traffic import line_id as id_of
from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, Skipped, classify_key
from pipeline.alb.parsing import Record, parse_line
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.errors import (
    AccountingError,
    ObjectCorruptError,
    ObjectMissingError,
    ObjectNotAlbError,
    PipelineError,
    SinkUnavailableError,
    SourceUnavailableError,
)
from pipeline.ingest import (
    Budget,
    Chunks,
    Options,
    _Ingestion,
    context_of,
    ingest_object,
    ingest_stream,
    latest_instant,
    with_name,
)
from pipeline.outcome import Outcome, Tally
from pipeline.sink.bulk import Deadline
from pipeline.sink.encoding import encode_chunk
from pipeline.sink.store import Store, open_store
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, read_object, read_stream
from tests.conftest import remove
from tests.factories import KEY, alb_line, gz
from tests.faults import Faults, edited, refusing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-logs-of-these-tests"


@contextmanager
def prepared(es: Elasticsearch, layout: Layout | None = None) -> Iterator[Store]:
    """Prepare the cluster under a prefix of its own, and remove all that was made under it."""
    prefix = f"t{uuid.uuid4().hex[:10]}"
    try:
        apply_setup(es, plan_setup(es, replace(layout or Layout(replicas=0), prefix=prefix)))
        yield open_store(es, prefix)
    finally:
        remove(es, prefix)


@pytest.fixture(scope="module")
def store(es: Elasticsearch) -> Iterator[Store]:
    """Share one prepared cluster among the tests of this file: each has a day of its own."""
    with prepared(es) as store:
        yield store


DAYS = (date(2025, 1, 1) + timedelta(number) for number in count())


@pytest.fixture
def day() -> str:
    """Give a day that no other test has lines of."""
    return next(DAYS).isoformat()


@pytest.fixture(scope="module")
def s3(aws: AwsServer) -> "S3Client":
    """Give a client of an emulated S3 that has a bucket."""
    client = aws.s3()
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return client


def lines_of(day: str, number: int, **changed: str) -> list[bytes]:
    """Give so many access log lines of a day, no two alike."""
    return [
        alb_line(at, time=f"{day}T10:{at // 60 % 60:02}:{at % 60:02}.{at:06}Z", **changed)
        for at in range(number)
    ]


def index_of(store: Store, day: str, kind: Kind = Kind.ACCESS) -> str:
    """Name the index of a day."""
    return f"{store.prefix}-{kind}-{day.replace('-', '.')}"


def ingest(store: Store, data: bytes, options: Options | None = None) -> Outcome:
    """Ingest these bytes as a local file."""
    chosen = options or Options()
    context = context_of(store, chosen)
    return ingest_stream(
        io.BytesIO(data), "these.log", context=context, store=store, options=chosen
    )


def documents_in(
    es: Elasticsearch, index: str, query: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Give the documents of an index by id."""
    es.indices.refresh(index=index, ignore_unavailable=True)
    found = es.search(index=index, query=query, size=10_000, ignore_unavailable=True)
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


def letters_of(es: Elasticsearch, store: Store, lines: list[bytes]) -> dict[str, Any]:
    """Give the dead letters of these lines by id."""
    query = {"ids": {"values": [id_of(line) for line in lines]}}
    return documents_in(es, store.dead_letters, query)


def ids_of(lines: list[bytes]) -> set[str]:
    """Give the ids that lines must get, worked out without the pipeline."""
    return {id_of(line) for line in lines}


def text_of(lines: list[bytes]) -> bytes:
    """Give lines as they stand in an object."""
    return b"".join(line + b"\n" for line in lines)


# --- every line once -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ingested:
    """One object of the traffic generator, and what became of it."""

    written: WrittenObject
    ref: ObjectRef
    outcome: Outcome


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
        Ingested(written, ref, ingest_object(ref, s3=s3, store=store))
        for written in islice(objects, 40)
        for ref in stored(s3, written)
    ]


def stored(s3: "S3Client", written: WrittenObject) -> Iterator[ObjectRef]:
    """Put an object, and give its reference where it is one to ingest."""
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
    """The ids in the indices are those worked out from the lines: none lost, none besides."""
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
                "provider": "aws",
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
    """A line that stands twice is indexed once, and told of as repeated."""
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
    """Where the kind is given, neither the object's name nor its lines are asked."""
    options = Options(kind=Kind.HEALTH_CHECK)
    name = classify_key(KEY)
    assert isinstance(name, ObjectName)

    context = with_name(context_of(store, options), name)
    outcome = ingest(store, gz(*lines_of(day, 2)), options)

    assert (Kind.HEALTH_CHECK, name.account, name.region) == (
        context.kind,
        context.account,
        context.region,
    )
    assert (2, 2) == (outcome.tally.lines, outcome.tally.rejected)


def test_a_name_says_kind_account_and_region(store: Store) -> None:
    """A recognised name fills the context; no name leaves it as it is."""
    plain = context_of(store, Options())
    name = classify_key(KEY)
    assert isinstance(name, ObjectName)

    assert plain is with_name(plain, None)
    assert (
        replace(plain, kind=Kind.ACCESS, account="123456789012", region="eu-central-1")
    ) == with_name(plain, name)


def test_clocks_may_be_wrong_by_a_day() -> None:
    """The last instant that an event may have is a day from now."""
    assert "2027-01-01T12:30:59Z" == latest_instant(
        datetime(2026, 12, 31, 12, 30, 59, 999_999, tzinfo=UTC)
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


def stored_gz(lines: list[bytes]) -> tuple[bytes, int]:
    """Give a gzip object whose text stands in it as it is, and where that text begins."""
    body = gzip.compress(text_of(lines), 0)
    return body, body.index(text_of(lines))


class CutS3:
    """Serve an object of the emulated S3, whose connection breaks at a byte each time."""

    def __init__(self, s3: "S3Client", key: str, at: int) -> None:
        answer = s3.get_object(Bucket=BUCKET, Key=key)
        self._answer = {"ETag": answer["ETag"], "ContentLength": answer["ContentLength"]}
        self._data, self.at = answer["Body"].read(), at

    def get_object(self, **request: str) -> dict[str, Any]:
        """Give what is left of the object before the cut."""
        start = int(request.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        body = io.BytesIO(self._data[start : self.at])
        return self._answer | {"Body": body, "ContentRange": f"bytes {start}-"}


def outcome_of(chunks: Chunks, store: Store) -> tuple[set[str], PipelineError | None]:
    """Encode chunks as ingestion does; give the ids of the documents, and the error at the end."""
    context, ids, error = context_of(store, Options()), set[str](), None
    try:
        for chunk in chunks:
            batch = encode_chunk(chunk, context)
            assert not batch.rejects
            ids |= set(batch.ids)
    except PipelineError as caught:
        error = caught
    return ids, error


def parsed_at(line: bytes) -> list[int]:
    """Give every place at which a cut line would pass for a line of an older generation."""
    return [
        cut
        for cut in range(len(line))
        if isinstance(parse_line(line[:cut], Kind.ACCESS, latest="2027-01-01T00:00:00Z"), Record)
    ]


def test_a_gzip_cut_in_its_last_line_makes_no_phantom(store: Store, day: str) -> None:
    """Wherever its last line is cut, the lines before it are all that comes of the object."""
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
        chunks = read_object(BUCKET, "plain.log", s3=cutting, sleep=lambda _: None)  # type: ignore[arg-type]
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
    chunks = read_object(ref.bucket, ref.key, s3=cutting, sleep=lambda _: None)  # type: ignore[arg-type]

    first = _Ingestion(context_of(store, Options()), store, Options(), Deadline()).run(chunks)
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

    outcome = ingest_object(ref, s3=s3, store=store, budget=Budget(0.0))

    assert isinstance(outcome.error, SinkUnavailableError)
    assert "more memory or a longer timeout" in str(outcome.error)
    assert Tally() == outcome.tally
    assert not es.indices.exists(index=index_of(store, day))


def test_no_index_is_looked_at_without_time(store: Store, day: str) -> None:
    """When the time is up, no request is begun that would take more of it."""
    index = f"{store.prefix}-access-{day}"

    with pytest.raises(SinkUnavailableError, match="which indices exist"):
        store.admit({index}, within=0.0)

    assert index not in store.prepared


def test_an_object_ends_with_its_time(es: Elasticsearch, store: Store, day: str) -> None:
    """What was done when the time is up stays done and counted; a later run adds the rest."""
    lines = lines_of(day, 4)
    options = Options(connections=1)
    running = _Ingestion(context_of(store, options), store, options, Deadline())

    def chunks() -> Chunks:
        yield Chunk(0, text_of(lines[:1]), 1)
        yield Chunk(len(text_of(lines[:1])), text_of(lines[1:3]), 2)
        # With one connection this is asked for once the first batch is done.
        running.deadline = replace(running.deadline, end=0.0)
        yield Chunk(len(text_of(lines[:3])), text_of(lines[3:]), 1)

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


def no_log_lines(number: int) -> list[bytes]:
    """Give lines of something else, no two alike."""
    tag = uuid.uuid4().hex
    return [f"{tag} is no log line {at}".encode() for at in range(number)]


def test_an_object_of_other_lines_is_not_dead_lettered(es: Elasticsearch, store: Store) -> None:
    """Above 1,000 lines that do not parse, and more than half of all, the object fails whole."""
    lines = no_log_lines(1_001)

    outcome = ingest(store, gz(*lines))

    assert isinstance(outcome.error, ObjectNotAlbError)
    assert "1001 of the first 1001 lines are no ALB log lines" in str(outcome.error)
    assert "such as: 6 of the 18 fields" in str(outcome.error)
    assert Tally() == outcome.tally
    assert {} == letters_of(es, store, lines)


def test_a_thousand_bad_lines_are_dead_letters(es: Elasticsearch, store: Store) -> None:
    """Up to 1,000 lines that do not parse are kept, even where nothing else is there."""
    lines = no_log_lines(1_000)

    outcome = ingest(store, gz(*lines))

    assert Outcome(Tally(lines=1_000, rejected=1_000, bytes=len(text_of(lines)))) == outcome
    assert ids_of(lines) == letters_of(es, store, lines).keys()


@pytest.mark.parametrize(
    ("lines", "fails"),
    [
        pytest.param((1_600, 1_040), False, id="two fifths"),
        pytest.param((1_001, 1_001), False, id="half"),
        pytest.param((1_001, 1_002), True, id="more than half"),
    ],
)
def test_an_object_may_be_bad_by_half(
    es: Elasticsearch, store: Store, day: str, lines: tuple[int, int], *, fails: bool
) -> None:
    """However many bad lines there are, up to half of an object's lines they are dead letters."""
    good, bad = lines_of(day, lines[0]), no_log_lines(lines[1])

    outcome = ingest(store, gz(*good, *bad))

    assert fails == isinstance(outcome.error, ObjectNotAlbError)
    assert ((0, 0) if fails else lines) == (outcome.tally.indexed, outcome.tally.rejected)
    assert (set() if fails else ids_of(bad)) == letters_of(es, store, bad).keys()


def test_a_large_object_of_other_lines_leaves_few_dead_letters(
    es: Elasticsearch, store: Store
) -> None:
    """In an object of many chunks those sent before it is known are 1,000 lines at most."""
    lines = no_log_lines(3_000)

    outcome = ingest(store, gz(*lines), Options(bulk_bytes=20_000))

    assert isinstance(outcome.error, ObjectNotAlbError)
    outcome.tally.check()
    assert 0 < outcome.tally.rejected <= 1_000
    assert len(letters_of(es, store, lines)) <= 1_000


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

    outcome = _Ingestion(context_of(store, Options()), store, Options(), Deadline()).run(
        iter([Chunk(0, text, 3)])
    )

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
