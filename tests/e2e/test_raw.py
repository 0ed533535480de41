"""
The command `raw`: lines of real documents, found again in an emulated S3 byte for byte.

Documents are redacted in these tests, so nothing but S3 has the whole of a line.
"""

import base64
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer, environment
from devstack.traffic import WrittenObject, hour_of_objects, line_id
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.alb.privacy import Bits, Privacy
from pipeline.cli import main
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.ingest import Options, ingest_object
from pipeline.sink.store import Store, open_store
from pipeline.source.objects import ObjectRef
from tests.support.cluster import prepared
from tests.support.factories import KEY, alb_line, gz
from tests.support.keys import log_key
from tests.support.secure import PREFIX, Secure
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COMMAND = Path(sys.executable).parent / "alb-logs"
BUCKET, ARCHIVE = "raw-lines", "raw-lines-archive"
START = datetime(2026, 9, 17, 23, 40, tzinfo=UTC)  # an hour that ends on the next day
REDACTED = Privacy(
    redact=("*",),
    bits=Bits(24, 48),
    drop=frozenset({"user_agent.original", "url.path", "url.original", "cloud.account.id"}),
    rejected_lines=False,
)
TRACE = "1-58337262-36d228ad5d99923122bbe354"
CONNECTION = f"TID_{7:032x}"


@dataclass(frozen=True, slots=True)
class Stock:
    """What is in S3 and in Elasticsearch: objects, all good lines and all bad ones, by id."""

    store: Store
    s3: "S3Client"
    keys: list[str]
    good: dict[str, bytes]
    bad: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of the command ended, and what it printed."""

    code: object
    out: bytes
    err: str

    @property
    def lines(self) -> dict[str, bytes]:
        """Return the lines on standard output by the ids worked out from them."""
        return {line_id(line): line for line in self.out.split(b"\n")[:-1]}


Raw = Callable[..., Run]


def new_bucket(s3: "S3Client", name: str) -> None:
    """Make a bucket."""
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})


def stored(s3: "S3Client", bucket: str, key: str, body: bytes) -> ObjectRef:
    """Put an object, and return its reference."""
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    name = classify_key(key)
    return ObjectRef(bucket, key, name if isinstance(name, ObjectName) else None)


def ids_in(written: list[WrittenObject]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the good lines of objects and the bad ones, by id."""
    lines = {line_id(line): line for each in written for line in each.lines}
    good = {id_ for each in written for id_ in each.good_ids}
    bad = {id_ for each in written for id_ in each.rejected_ids}
    return {id_: lines[id_] for id_ in good}, {id_: lines[id_] for id_ in bad}


@pytest.fixture(scope="module")
def stock(es: Elasticsearch, aws: AwsServer) -> Iterator[Stock]:
    """Ingest the objects of half an hour around midnight, with all logs, odd and bad lines."""
    s3 = aws.s3()
    new_bucket(s3, BUCKET)
    new_bucket(s3, ARCHIVE)
    written = [
        each
        for each in hour_of_objects(
            5, start=START, lines_per_object=40, odd_share=0.2, bad_share=0.1
        )
        if each.kind not in {"sibling", "test-file"}
    ][:60]
    good, bad = ids_in(written)
    with prepared(es) as store:
        for each in written:
            ref = stored(s3, BUCKET, each.key, each.body)
            outcome = ingest_object(ref, s3=s3, store=store, options=Options(privacy=REDACTED))
            assert outcome.error is None
        es.indices.refresh(index=f"{store.prefix}-*")
        yield Stock(store, s3, [each.key for each in written], good, bad)


@pytest.fixture
def raw(
    aws: AwsServer,
    elasticsearch_url: str,
    stock: Stock,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Raw:
    """Return the command, run in this process with settings of its own."""
    settings = {
        **environment(aws.url),
        "ALB_LOGS_ES_URL": elasticsearch_url,
        "ALB_LOGS_INDEX_PREFIX": stock.store.prefix,
    }
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    def run(*arguments: str, **changed: str) -> Run:
        with pytest.MonkeyPatch.context() as patch:
            for name, text in (settings | changed).items():
                patch.setenv(name, text)
            with pytest.raises(SystemExit) as ended:
                main(["raw", *arguments])
        captured = capsysbinary.readouterr()
        return Run(ended.value.code, captured.out, captured.err.decode())

    return run


# --- by documents and the ledger -----------------------------------------------------------------


def test_a_hundred_of_a_hundred(raw: Raw, stock: Stock) -> None:
    """A hundred random documents, redacted as they are, lead to exactly their lines."""
    chosen = random.Random(1).sample(sorted(stock.good), 100)
    kinds = {stock.good[each].split(b" ", 1)[0] for each in chosen}
    assert len(kinds) > 3  # of several logs

    run = raw(*chosen)

    assert 0 == run.code, run.err
    assert {each: stock.good[each] for each in chosen} == run.lines
    assert 100 == run.out.count(b"\n")
    assert run.err.startswith("alb-logs: 100 found, objects read: ")


def test_an_object_is_read_once(raw: Raw, stock: Stock) -> None:
    """Lines of one object cost one object, however many they are; a line as few as may hold it."""
    one = raw(min(stock.good), "--quiet")
    every = raw(*stock.good)

    assert (0, "") == (one.code, one.err)
    assert stock.good == every.lines
    assert f"{len(stock.good):,} found, objects read: {len(stock.keys)}\n" in every.err


def test_json_says_where_a_line_is(raw: Raw, stock: Stock) -> None:
    """As JSON each line comes with its object and its offset in the text of it."""
    chosen = sorted(stock.good)[:20]

    run = raw("--json", *chosen)

    assert 0 == run.code
    told = [json.loads(line) for line in run.out.splitlines()]
    assert set(chosen) == {each["id"] for each in told}
    for each in told:
        assert BUCKET == each["bucket"]
        assert stock.good[each["id"]] == each["event"]["original"].encode()
        body = stock.s3.get_object(Bucket=BUCKET, Key=each["key"])["Body"].read()
        line = stock.good[each["id"]]
        assert line == gzip.decompress(body)[each["offset"] :][: len(line)]


def test_dead_letters(raw: Raw, stock: Stock) -> None:
    """Lines that were rejected, and kept nowhere else, are found at the object they name."""
    run = raw("--json", *stock.bad)

    assert 0 == run.code, run.err
    lines = {}
    for each in map(json.loads, run.out.splitlines()):
        event = each["event"]
        whole = base64.b64decode(event.get("original_base64", ""))
        lines[each["id"]] = whole or event["original"].encode()
    assert stock.bad == lines


def test_an_id_may_begin_with_a_hyphen(raw: Raw, stock: Stock) -> None:
    """An id is an id, whatever it begins with, and wherever it stands."""
    id_ = next(each for each in sorted(stock.good) if each.startswith("-"))
    other = max(stock.good)

    for arguments in ([id_, other, "--json"], ["--json", "--", other, id_]):
        run = raw(*arguments)
        assert 0 == run.code
        assert 2 == run.out.count(b"\n")


def test_what_is_not_found(raw: Raw, stock: Stock) -> None:
    """An id that nobody knows is named, with what it may be; the others are printed."""
    unknown, known = "A" * 20, min(stock.good)

    run = raw(unknown, known)

    assert 1 == run.code
    assert {known: stock.good[known]} == run.lines
    assert f"{unknown} was not found: no document has it. Check it" in run.err


def test_another_prefix(raw: Raw, stock: Stock) -> None:
    """Where nothing has the prefix the setting is wrong, and not the id."""
    run = raw(min(stock.good), ALB_LOGS_INDEX_PREFIX="nobodys")

    assert (2, b"") == (run.code, run.out)
    assert "no logs of the prefix 'nobodys'" in run.err


@pytest.fixture
def forged(es: Elasticsearch, stock: Stock) -> Iterator[str]:
    """Write what nobody but a forger writes; return the id of a document."""
    id_, index = "F" * 20, f"{stock.store.prefix}-access-2026.09.17"
    time = {"event": {"start": "2016-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}}
    owner = {"aws": {"elb": {"name": ["app/a/b"]}}, "cloud": {"account": {"id": 5}}}
    entries: list[dict[str, Any]] = [
        {"kind": "access", **time},
        {"kind": "access", "@timestamp": 5, **time},
        {"kind": "access", "@timestamp": "2026-09-17", "aws": {"elb": {}}, **time},
    ]
    ledger = f"{stock.store.ledger}-2026.09.01"
    made = [es.index(index=ledger, document=entry)["_id"] for entry in entries]
    es.index(index=index, id=id_, document={"@timestamp": 1_789_000_000_000, **owner})
    es.indices.refresh(index=f"{stock.store.prefix}-*")
    yield id_
    es.delete(index=index, id=id_, refresh=True)
    for each in made:
        es.delete(index=ledger, id=each, refresh=True)


def test_what_is_forged_hides_nothing(raw: Raw, stock: Stock, forged: str) -> None:
    """Entries and documents with values of other kinds than we write are passed over."""
    known = sorted(stock.good)[:20]

    run = raw(forged, *known)

    assert 1 == run.code
    assert {id_: stock.good[id_] for id_ in known} == run.lines
    assert f"{forged} was not found" in run.err


def test_a_line_cannot_command_the_terminal(stock: Stock, aws: AwsServer) -> None:
    """On a terminal it is escaped; whoever may write to the bucket writes the line."""
    line = alb_line(1, time="2026-09-17T10:02:00.000000Z").replace(b"curl", b"\x1b[2J\xff")
    key = log_key("2026-09-17T10:05")
    stock.s3.put_object(Bucket=ARCHIVE, Key=key, Body=gz(line))
    where = ("--bucket", ARCHIVE, "--at", "2026-09-17T10:02")
    settings = {"PATH": os.defpath, **environment(aws.url)}

    with Terminal() as terminal:
        subprocess.run(
            [COMMAND, "raw", *where, line_id(line)], env=settings, stdout=terminal.end, check=True
        )
        shown = terminal.drawn()

    assert r"\x1b[2J\xff" in shown
    assert "\x1b" not in shown


# --- by a bucket ---------------------------------------------------------------------------------


def forget(es: Elasticsearch, entries: list[dict[str, Any]]) -> None:
    """Delete entries of the ledger."""
    actions = [{"delete": {"_index": each["_index"], "_id": each["_id"]}} for each in entries]
    es.bulk(operations=actions, refresh=True)


@pytest.fixture
def forgotten(es: Elasticsearch, stock: Stock) -> Iterator[None]:
    """Empty the ledger for a while, as one that was begun later would be."""
    index = f"{stock.store.prefix}-ledger-*"
    entries = es.search(index=index, size=1_000)["hits"]["hits"]
    assert len(stock.keys) == len(entries)
    forget(es, entries)
    yield
    for each in entries:
        es.index(index=each["_index"], id=each["_id"], document=each["_source"])
    es.indices.refresh(index=index)


@pytest.mark.usefixtures("forgotten")
def test_without_the_ledger_a_bucket_is_listed(raw: Raw, stock: Stock) -> None:
    """Objects that are in no ledger are found in the bucket, around the time of the event."""
    chosen = random.Random(2).sample(sorted(stock.good), 100)

    lost, run = raw(*chosen), raw("--bucket", BUCKET, *chosen)

    assert (1, b"") == (lost.code, lost.out)
    assert 100 == lost.err.count("no object that is known for its time holds it")
    assert "name its bucket by --bucket" in lost.err
    assert 0 == run.code, run.err
    assert {each: stock.good[each] for each in chosen} == run.lines


def test_objects_that_were_moved(raw: Raw, stock: Stock) -> None:
    """Where a bucket is named, no other is read: an archive has other keys and later objects."""
    id_ = max(stock.good)
    address = raw("--json", id_)
    key = json.loads(address.out)["key"]
    body = stock.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    stock.s3.put_object(Bucket=ARCHIVE, Key=f"2026/old/{key}", Body=body)

    run = raw("--bucket", ARCHIVE, "--prefix", "2026/old", "--json", id_)
    elsewhere = raw("--bucket", ARCHIVE, "--prefix", "2025", id_)

    assert 0 == run.code, run.err
    found = json.loads(run.out)
    assert (ARCHIVE, f"2026/old/{key}") == (found["bucket"], found["key"])
    assert 2 == elsewhere.code
    assert f"there is no folder s3://{ARCHIVE}/2025/AWSLogs/" in elsewhere.err


def test_objects_that_are_gone(raw: Raw, stock: Stock, es: Elasticsearch) -> None:
    """An object that the bucket's lifecycle deleted is named, and what may be the reason."""
    line = alb_line(1, time="2026-09-01T10:02:00.000000Z")
    key = KEY.replace("2026/11/20", "2026/09/01").replace("20261120", "20260901")
    ref = stored(stock.s3, BUCKET, key, gz(line))
    ingest_object(ref, s3=stock.s3, store=stock.store)
    stock.s3.delete_object(Bucket=BUCKET, Key=key)
    es.indices.refresh(index=f"{stock.store.prefix}-*")

    run = raw(line_id(line))

    assert 1 == run.code
    assert f"s3://{BUCKET}/{key}: there is no such object" in run.err
    assert "S3's lifecycle may have deleted" in run.err


# --- by a trace ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traced(stock: Stock, es: Elasticsearch) -> list[bytes]:
    """Ingest a request that went through two load balancers, and others around it."""
    lines = []
    for at, name in enumerate(("frontend-alb", "backend-alb")):
        line = alb_line(
            at,
            time=f"2026-11-20T10:04:5{at}.000000Z",
            elb=f"app/{name}/50dc6c495c0c9188",
            trace_id=f'"Self=1-6;Root={TRACE}"' if at else f'"Root={TRACE}"',
            conn_trace_id=CONNECTION,
        )
        key = KEY.replace("frontend-alb", name)
        others = [alb_line(n, trace_id=f'"Root={TRACE}{n}"') for n in range(10, 20)]
        ref = stored(stock.s3, BUCKET, key, gz(*others, line, others[0]))
        ingest_object(ref, s3=stock.s3, store=stock.store)
        lines.append(line)
    es.indices.refresh(index=f"{stock.store.prefix}-*")
    return lines


@pytest.mark.parametrize("trace", [TRACE, f"Root={TRACE}", f"Self=1-6;Root={TRACE}", CONNECTION])
@pytest.mark.parametrize(
    "where", [[], ["--bucket", BUCKET, "--at", "2026-11-20T11:05", "--time-zone", "Europe/Berlin"]]
)
def test_a_trace(raw: Raw, traced: list[bytes], trace: str, where: list[str]) -> None:
    """All lines of a trace are found, by their documents or by a time alone."""
    run = raw(
        "--trace", trace, *where, **({"ALB_LOGS_ES_URL": "http://127.0.0.1:1"} if where else {})
    )

    assert 0 == run.code, run.err
    assert sorted(traced) == sorted(run.out.splitlines())


def test_an_id_by_its_time_alone(raw: Raw, traced: list[bytes]) -> None:
    """With a bucket and a time no Elasticsearch is needed for ids either."""
    ids = [line_id(line) for line in traced]
    where = ["--bucket", BUCKET, "--at", "2026-11-20T10:00"]

    run = raw(*ids, *where, ALB_LOGS_ES_URL="")
    one = raw(*ids, *where, "--load-balancer", "backend-alb", ALB_LOGS_ES_URL="")

    assert 0 == run.code, run.err
    assert sorted(traced) == sorted(run.lines.values())
    assert 1 == one.code
    assert [traced[1]] == [*one.lines.values()]


@pytest.mark.usefixtures("traced")
def test_a_trace_of_very_many(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there may be more documents of a trace than are looked at, it is said."""
    monkeypatch.setattr("pipeline.cli.raw.MOST_TRACED", 2)

    assert "more than 2 documents" in raw("--trace", TRACE).err


@pytest.mark.parametrize("where", [[], ["--bucket", BUCKET, "--at", "2026-11-20T10:05"]])
@pytest.mark.usefixtures("traced")
def test_a_trace_that_nobody_has(raw: Raw, where: list[str]) -> None:
    """A trace that is not found is an error, with what it may be."""
    run = raw("--trace", "1-0-0", *where)

    assert (1, b"") == (run.code, run.out)
    assert "1-0-0 was not found: no " in run.err


# --- roles ---------------------------------------------------------------------------------------


def test_a_role_that_reads_is_enough(secure: Secure, raw: Raw, aws: AwsServer) -> None:
    """The role `operate` may find a line; who may only ingest is told which role can."""
    s3, bucket, line = aws.s3(), "raw-lines-of-a-role", alb_line(3)
    new_bucket(s3, bucket)
    apply_setup(es := secure.client("admin"), plan_setup(es, Layout(PREFIX, replicas=0)))
    store = open_store(secure.client("ingest"), PREFIX)
    ingest_object(stored(s3, bucket, KEY, gz(line)), s3=s3, store=store)
    es.indices.refresh(index=f"{PREFIX}-*")

    reads, ingests = (raw(line_id(line), **secure.settings(role)) for role in ("operate", "ingest"))

    assert (0, line + b"\n") == (reads.code, reads.out), reads.err
    assert 2 == ingests.code
    assert "--print-role operate" in ingests.err


def test_days_apart(raw: Raw, stock: Stock, es: Elasticsearch) -> None:
    """Lines of days far apart, and of another region, are each looked for at their own time."""
    lines = []
    for number, day in enumerate(("2026-06-01", "2026-06-20", "2026-07-31")):
        line = alb_line(number, time=f"{day}T10:02:00.000000Z")
        key = KEY.replace("2026/11/20", day.replace("-", "/"))
        key = key.replace("20261120", day.replace("-", "")).replace("eu-central-1", "eu-west-1")
        ingest_object(stored(stock.s3, ARCHIVE, key, gz(line)), s3=stock.s3, store=stock.store)
        lines.append(line)
    es.indices.refresh(index=f"{stock.store.prefix}-*")
    query = {"term": {"aws.s3.bucket.name": ARCHIVE}}
    forget(es, es.search(index=f"{stock.store.prefix}-ledger-*", query=query)["hits"]["hits"])

    run = raw("--bucket", ARCHIVE, *(line_id(line) for line in lines))

    assert 0 == run.code, run.err
    assert lines == [*run.lines.values()]
