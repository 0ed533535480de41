"""
The worst day: processes and servers that die, networks that break, in the middle of an object.

The ingesting process is the installed command, in a process of its own; the server is a real one
that these tests may kill; between them stands a proxy where single answers are to be spoiled.
After every fault the ids in the index and the dead letters are, once the object has gone through,
those hashed here from the lines that were written; and what each run reports is true.

Whatever is to be killed or delayed waits for it: no claim here depends on a fast machine.

The environment variable FAULT_RUNS says how often a process is killed (8), each time at another
point that the number of the run seeds; the other random faults follow in proportion. The long run:

    FAULT_RUNS=100 .venv/bin/pytest tests/e2e/test_faults.py
    FAULT_RUNS=100 .venv/bin/pytest tests/e2e/test_faults.py -k killed    # of processes alone
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, cycle, repeat
from pathlib import Path
from threading import Event, Lock, Timer
from typing import Any

import pytest
from elastic_transport import ConnectionError as LostConnectionError
from elastic_transport import TransportApiResponse
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from devstack.aws import AwsServer, environment
from devstack.elasticsearch import ElasticsearchServer, start_elasticsearch
from devstack.traffic import bad_lines, gz, line_id, ordinary_lines
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from tests.support.cluster import prepared
from tests.support.factories import KEY, START
from tests.support.faults import (
    Fault,
    Send,
    answering,
    cut_answer,
    lost_after,
    lost_before,
    refusing,
    unharmed,
)
from tests.support.proxy import Bulks, Cuts, Proxy, after, late

RUNS = int(os.environ.get("FAULT_RUNS", "8"))  # noqa: TID251  of the tests, not of the pipeline
COMMAND = (str(Path(sys.executable).parent / "alb-logs"),)

_CHILD = (sys.executable, "-m", "tests.support.ingest_process")
QUICK = (*_CHILD, "REQUEST_SECONDS=1", "LONGEST_PAUSE=0.3", "--")
"""The same command, which waits one second for an answer, and never long before the next try."""

HURRIED = (*_CHILD, "BUDGET_SECONDS=6", "--")
"""The same command, which gives a body up after some seconds."""

HASTY = (*_CHILD, "LONGEST_PAUSE=none", "--")
"""The same command, which gives a body up when it was not taken at once."""

PATIENT = (*_CHILD, "LONGEST_PAUSE=2", "--")
"""The same command, which soon sees that a server is there again."""

ROOT = Path(__file__).resolve().parents[2]
BULK_BYTES = 100_000
REQUESTS = 35
"""Bulk requests that an object of `write` takes at least."""

QUICK_START = {"jvm.options.d/quick-start.options": b"-XX:TieredStopAtLevel=1\n"}
"""Compile less: a server that restarts so often never profits from more."""

PATIENCE = 170.0
"""Seconds: beyond the command's own two minutes."""


# --- what is ingested ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """An object's lines, and what must come of them."""

    lines: list[bytes]
    documents: set[str]
    letters: set[str]
    blank: int

    @property
    def text(self) -> bytes:
        """Return the object, uncompressed."""
        return b"".join(line + b"\n" for line in self.lines)


def key_of(number: int) -> str:
    """Name one of several access log objects."""
    return Path(KEY).name.replace("3q2xk9fz", f"{number:08}")


def write(seed: int, number: int = 1_800, *, start: datetime = START) -> Written:
    """Write ordinary lines of one hour; some of them twice, and among them bad and blank ones."""
    good = list(ordinary_lines(seed, number, start=start))
    bad = list(bad_lines(seed, number // 60, start=start))
    lines = [*good, *good[::50], *bad, b"", b" \t"]
    random.Random(seed).shuffle(lines)
    return Written(lines, {*map(line_id, good)}, {*map(line_id, bad)}, 2)


# --- who ingests it ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """How a process ended, and what it reported of each object."""

    code: int
    told: list[dict[str, Any]]
    err: str


@dataclass(slots=True)
class Target:
    """A prepared server of our own, and the processes that ingest into it."""

    server: ElasticsearchServer
    proxy: Proxy
    es: Elasticsearch
    prefix: str
    place: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def save(self, data: bytes, number: int = 0) -> Path:
        """Write an object to a file whose name says what it is."""
        path = self.place / key_of(number)
        path.write_bytes(data)
        return path

    def start(
        self,
        *sources: object,
        command: tuple[str, ...] = COMMAND,
        env: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start to ingest sources in a process of its own, by way of the proxy."""
        settings = {
            "PATH": os.defpath,
            "ALB_LOGS_ES_URL": self.proxy.url,
            "ALB_LOGS_INDEX_PREFIX": self.prefix,
            "ALB_LOGS_BULK_BYTES": str(BULK_BYTES),
        }
        process = subprocess.Popen(
            [*command, "ingest", "--json", *map(str, sources)],
            cwd=ROOT,
            env={**settings, **(env or {})},
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    def ingest(
        self,
        *sources: object,
        command: tuple[str, ...] = COMMAND,
        env: Mapping[str, str] | None = None,
    ) -> Run:
        """Ingest sources, and wait until the process has ended."""
        return ended(self.start(*sources, command=command, env=env))

    def ids(self) -> tuple[list[str], list[str]]:
        """Return the ids of all documents under the prefix, and those of all dead letters."""
        self.proxy.wait_until_left()
        self.es.indices.refresh(index=f"{self.prefix}-*")
        names = f"{self.prefix}-*,-{self.prefix}-ledger-*"
        hits = list(scan(self.es, index=names, size=10_000, _source=False))
        letters = f"{self.prefix}-dead-letter-000001"
        return (
            sorted(hit["_id"] for hit in hits if hit["_index"] != letters),
            sorted(hit["_id"] for hit in hits if hit["_index"] == letters),
        )


def ended(process: "subprocess.Popen[bytes]", rest: bytes = b"") -> Run:
    """Send a process the rest of its input and wait for its end; none may crash."""
    out, err = process.communicate(rest, timeout=PATIENCE)
    assert b"Traceback" not in err, err.decode()
    told = [json.loads(line) for line in out.splitlines()]
    for each in told:
        check_sum(each)
    return Run(process.returncode, told, err.decode())


def check_sum(told: dict[str, Any]) -> None:
    """Check that what a run reports of an object adds up."""
    terms = ("indexed", "duplicates", "rejected", "filtered", "blank", "truncated")
    assert told["lines"] == sum(told[term] for term in terms)


@pytest.fixture(scope="module")
def server() -> Iterator[ElasticsearchServer]:
    """Start a server of our own, for it will be killed."""
    with start_elasticsearch(config_files=QUICK_START) as server:
        yield server


@pytest.fixture(scope="module")
def own_es(server: ElasticsearchServer) -> Iterator[Elasticsearch]:
    """Yield a client straight to that server."""
    client = make_elasticsearch(Config(es_url=(server.url,)))
    yield client.options(request_timeout=60.0)
    client.close()


@pytest.fixture(scope="module")
def prefix(own_es: Elasticsearch) -> Iterator[str]:
    """Prepare that server under one prefix."""
    with prepared(own_es) as store:
        yield store.prefix


@pytest.fixture
def empty(server: ElasticsearchServer, own_es: Elasticsearch, prefix: str) -> Iterator[str]:
    """Yield that prefix, and remove its documents after the test, however it went."""
    yield prefix
    if not server.running:
        server.restart()
    own_es.indices.delete(index=[*own_es.indices.get(index=f"{prefix}-*")])
    aliases = {f"{prefix}-dead-letter": {"is_write_index": True}}
    own_es.indices.create(index=f"{prefix}-dead-letter-000001", aliases=aliases)


@pytest.fixture
def target(
    server: ElasticsearchServer, own_es: Elasticsearch, empty: str, tmp_path: Path
) -> Iterator[Target]:
    """Yield the prepared server, by way of a proxy."""
    with Proxy(server.url) as proxy:
        target = Target(server, proxy, own_es, empty, tmp_path)
        yield target
        for process in target.processes:
            process.kill()
            process.communicate()


# --- what must hold ------------------------------------------------------------------------------


def assert_whole(target: Target, *objects: Written) -> None:
    """Compare the ids that are there with those of the lines: none missing, none too many."""
    documents = set().union(*(each.documents for each in objects))
    letters = set().union(*(each.letters for each in objects))
    assert (sorted(documents), sorted(letters)) == target.ids()


def assert_complete(run: Run, written: Written) -> dict[str, Any]:
    """Check that a run rightly says that it went through, and return what it reported."""
    assert int(bool(written.letters)) == run.code, run
    [told] = run.told
    documents = len(written.lines) - len(written.letters) - written.blank
    assert {
        "lines": len(written.lines),
        "rejected": len(written.letters),
        "blank": written.blank,
        "filtered": 0,
        "truncated": 0,
        "bytes": len(written.text),
        "error": None,
    }.items() <= told.items()
    assert documents == told["indexed"] + told["duplicates"]
    return told


def assert_completed_later(target: Target, path: Path, written: Written, *others: Written) -> None:
    """Ingest an object again, undisturbed: it adds just what was missing, and says so."""
    missing = written.documents.difference(target.ids()[0])
    target.proxy.plan = Bulks()
    told = assert_complete(target.ingest(path), written)
    assert len(missing) == told["indexed"]
    assert_whole(target, written, *others)


def assert_broken_off(target: Target, run: Run, written: Written, error: str) -> dict[str, Any]:
    """Check that a run rightly says how far it came, and return what it reported."""
    assert 1 == run.code, run
    [told] = run.told
    assert error == told["error"]["type"]
    assert told["lines"] < len(written.lines)
    documents, letters = target.ids()
    assert told["indexed"] <= len(written.documents.intersection(documents))
    assert told["rejected"] <= len(written.letters.intersection(letters))
    assert not written.documents <= set(documents)
    return told


# --- the process is killed -----------------------------------------------------------------------


@dataclass(slots=True)
class Killer:
    """Kill the process at its nth bulk request: before the server acts, or after it has."""

    rng: random.Random
    process: "subprocess.Popen[bytes] | None" = None
    dead: Event = field(default_factory=Event)

    def kill(self) -> None:
        """Kill the process at once."""
        while self.process is None:
            time.sleep(0.001)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.dead.set()

    def soon(self) -> None:
        """Kill it in some thousandths of a second."""
        Timer(self.rng.uniform(0.0, 0.01), self.kill).start()

    def before(self, _send: Send, _body: bytes) -> TransportApiResponse:
        """Kill it when its request is under way."""
        self.kill()
        raise LostConnectionError("nobody is there to be answered")

    def during(self, send: Send, body: bytes) -> TransportApiResponse:
        """Kill it while the server acts."""
        self.soon()
        return send(body)

    def afterwards(self, send: Send, body: bytes) -> TransportApiResponse:
        """Kill it when the server has acted and the answer is under way."""
        answer = send(body)
        self.kill()
        return answer

    def answered(self, send: Send, body: bytes) -> TransportApiResponse:
        """Kill it soon after it has its answer."""
        answer = send(body)
        self.soon()
        return answer

    def hold(self, send: Send, body: bytes) -> TransportApiResponse:
        """Let no later request get through before it is dead: the object must not be done."""
        assert self.dead.wait(PATIENCE)
        return send(body)

    def plan(self, number: int) -> Bulks:
        """Let so many bulk requests be answered, then kill the process by one of the ways."""
        way = self.rng.choice((self.before, self.during, self.afterwards, self.answered))
        return Bulks(after(number, way), self.hold)


def test_nothing_in_the_way(target: Target) -> None:
    """Without a fault an object takes the requests that the tests below count on."""
    written = write(0)
    plan = target.proxy.plan = Bulks()

    assert_complete(target.ingest(target.save(gz(written.lines))), written)

    assert plan.seen == plan.answered > REQUESTS
    assert_whole(target, written)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_killed_process_costs_no_line(target: Target, seed: int) -> None:
    """Killed anywhere between its first and last answer, once or twice: run again, all is there."""
    rng = random.Random(seed)
    written = write(seed)
    path = target.save(gz(written.lines, members=rng.choice((1, 4))))
    for _ in range(rng.choice((1, 1, 2))):
        killer = Killer(rng)
        plan = target.proxy.plan = killer.plan(rng.randrange(1, REQUESTS))
        killer.process = target.start(path)
        killer.process.wait(PATIENCE)

        assert -signal.SIGKILL == killer.process.returncode
        documents, letters = target.ids()
        assert 0 < len(documents) + len(letters) < len(written.documents) + len(written.letters)
        assert plan.answered > 0
        assert set(documents) < written.documents
        assert set(letters) <= written.letters

    assert_completed_later(target, path, written)


# --- the server dies -----------------------------------------------------------------------------


LAST = 300
"""Lines that an object ends with, which come only when the server is dead."""


def fed(process: "subprocess.Popen[bytes]", written: Written, dead: Event) -> Run:
    """Write an object to a process as fast as it reads, the last lines when the server is dead."""
    assert process.stdin
    end = len(written.text) - sum(len(line) + 1 for line in written.lines[-LAST:])
    with suppress(BrokenPipeError):
        process.stdin.write(written.text[:end])
    assert dead.wait(PATIENCE)
    return ended(process, written.text[end:])


def wait_until_begun(target: Target, processes: list["subprocess.Popen[bytes]"]) -> None:
    """Wait until each process, which has a day of its own, is in the middle of its object."""
    begun: list[bool] = []
    last = time.monotonic() + PATIENCE
    while begun.count(True) < len(processes):
        assert time.monotonic() < last
        time.sleep(0.01)
        assert [None, None] == [process.poll() for process in processes]
        found = target.es.indices.stats(index=f"{target.prefix}-access-*", metric="indexing")
        totals = [each["primaries"]["indexing"] for each in found.get("indices", {}).values()]
        begun = [total["index_total"] > 200 for total in totals]


@pytest.mark.parametrize("way", ["kill", "stop"])
@pytest.mark.parametrize("seed", range(1 + RUNS // 25))
def test_a_server_that_dies_costs_no_line(target: Target, seed: int, way: str) -> None:
    """Killed or shut down amid two objects: a process that waits is done, another says so."""
    objects = write(2 * seed), write(2 * seed + 1, start=START - timedelta(hours=12))
    path = target.save(gz(objects[1].lines))
    dead, straight = Event(), {"ALB_LOGS_ES_URL": target.server.url}
    processes = [
        target.start("--kind", "access", "-", command=command, env=straight)
        for command in (PATIENT, HASTY)
    ]
    with ThreadPoolExecutor(2) as pool:
        waits, hurries = (
            pool.submit(fed, *each, dead) for each in zip(processes, objects, strict=True)
        )
        try:
            wait_until_begun(target, processes)
            getattr(target.server, way)()
        finally:
            dead.set()
        given_up = hurries.result()
        assert not waits.done()
        target.server.restart()

    assert_complete(waits.result(), objects[0])
    told = assert_broken_off(target, given_up, objects[1], "SinkUnavailableError")
    assert "Elasticsearch did not take the documents in time" in told["error"]["message"]
    assert_completed_later(target, path, *reversed(objects))


@dataclass(slots=True)
class Hang:
    """Freeze the server when it is to take documents, until it is asked the same again."""

    server: ElasticsearchServer
    body: bytes = b""
    lock: Lock = field(default_factory=Lock)
    acted: Event = field(default_factory=Event)

    def __call__(self, send: Send, body: bytes) -> TransportApiResponse:
        """Answer one request, late if it is the one at which the server freezes."""
        with self.lock:
            first = not self.body and b"-dead-letter" not in body
            self.body = body if first else self.body
        if first:
            return self.late(send, body)
        if body == self.body:
            self.thaw()
            assert self.acted.wait(PATIENCE)
        return send(body)

    def late(self, send: Send, body: bytes) -> TransportApiResponse:
        """Freeze the server, and return the answer that comes in the end."""
        os.killpg(self.server.pid, signal.SIGSTOP)
        answer = send(body)
        self.acted.set()
        return answer

    def thaw(self) -> None:
        """Let the server go on, if it is frozen."""
        os.killpg(self.server.pid, signal.SIGCONT)


def test_a_server_that_hangs_acts_later(target: Target) -> None:
    """What a frozen server acts on later was tried again meanwhile: it is there once."""
    written = write(3)
    hang = Hang(target.server)
    target.proxy.plan = Bulks(after(9), otherwise=hang)

    try:
        run = target.ingest(target.save(written.text), command=QUICK)
    finally:
        hang.thaw()

    assert hang.acted.is_set()
    assert len(written.documents) > assert_complete(run, written)["indexed"]
    assert_whole(target, written)


# --- the network and what stands in it -----------------------------------------------------------


def some_items(statuses: list[int], *, acted: bool) -> Fault:
    """Refuse every fourth item for now."""
    return refusing(dict(zip(range(0, 80, 4), cycle(statuses), strict=False)), acted=acted)


STORMS = [
    pytest.param([*map(answering, (429, 429, 500, 502, 503, 504))] * 2, id="statuses"),
    pytest.param([lost_before, lost_after, cut_answer] * 5, id="connections lost"),
    pytest.param([late(1.3)] * 3, id="late answers"),
    pytest.param(
        [some_items([429, 503], acted=False), some_items([500, 429], acted=True)] * 6, id="items"
    ),
]


@pytest.mark.parametrize("faults", STORMS)
def test_a_storm_is_ridden_out(target: Target, faults: list[Fault]) -> None:
    """Whatever happens to requests and answers, each line is there once, and none is forgotten."""
    written = write(4, 900)
    plan = target.proxy.plan = Bulks(after(2, *faults))

    told = assert_complete(target.ingest(target.save(written.text), command=QUICK), written)

    assert plan.seen > len(faults) + 2
    assert told["indexed"] <= len(written.documents)
    assert_whole(target, written)


@pytest.mark.parametrize("limit", [3_500, 40_000])
def test_bodies_that_are_too_large_are_split(target: Target, limit: int) -> None:
    """What lets only small bodies through gets small ones, of one or two lines if need be."""
    written = write(5, 450)
    target.proxy.plan = Bulks(limit=limit)

    assert_complete(target.ingest(target.save(written.text)), written)

    assert_whole(target, written)


def any_fault(rng: random.Random) -> Fault:
    """Return some fault, or none."""
    statuses = rng.choices([429, 500, 502, 503, 504], k=rng.randint(1, 9))
    mixture = {rng.randrange(90): status for status in statuses}
    whole = [unharmed, unharmed, lost_before, lost_after, cut_answer, answering(statuses[0])]
    return rng.choice([*whole, refusing(mixture, acted=rng.random() < 0.5), late(rng.random())])


@pytest.mark.parametrize("seed", range(RUNS // 2))
def test_any_mixture_of_faults_costs_no_line(target: Target, seed: int) -> None:
    """Faults of every kind in a row, on both connections, change nothing but the time it takes."""
    rng = random.Random(seed)
    written = write(seed, 900)
    faults = [any_fault(rng) for _ in range(rng.randint(10, 40))]
    target.proxy.plan = Bulks(iter(faults), limit=rng.choice([None, None, 30_000]))

    assert_complete(target.ingest(target.save(gz(written.lines)), command=QUICK), written)

    assert_whole(target, written)


# --- what does not pass --------------------------------------------------------------------------


def test_a_storm_without_end_is_told(target: Target) -> None:
    """An object that is not taken in time fails, says what was done, and is completed later."""
    written = write(6, 1_200)
    path = target.save(written.text)
    storm = cycle([lost_after, some_items([503], acted=False)])
    target.proxy.plan = Bulks(chain(after(5), storm))

    run = target.ingest(path, command=HURRIED)

    told = assert_broken_off(target, run, written, "SinkUnavailableError")
    assert "See whether the cluster is up and keeps pace" in told["error"]["message"]
    assert told["indexed"] > 0
    assert_completed_later(target, path, written)


@pytest.mark.parametrize("index", ["access-*", "dead-letter"])
def test_an_index_made_read_only_is_told(target: Target, index: str) -> None:
    """On a full disk the object fails at once, with the fix; once there is space, it goes on."""
    written = write(7, 1_200)
    path = target.save(gz(written.lines))
    block = "index.blocks.read_only_allow_delete"
    name = f"{target.prefix}-{index}"

    def flood(send: Send, body: bytes) -> TransportApiResponse:
        target.es.indices.put_settings(index=name, settings={block: True})
        return send(body)

    target.proxy.plan = Bulks(after(6, flood))
    told = assert_broken_off(target, target.ingest(path), written, "ClusterRefusedError")
    assert "disk" in told["error"]["message"]
    assert f'{{"{block}": null}}' in told["error"]["message"]

    target.es.indices.put_settings(index=name, settings={block: None})
    assert_completed_later(target, path, written)


# --- bodies from S3 that are cut -----------------------------------------------------------------

CUT_OBJECTS = 6


def put(aws: AwsServer, bucket: str) -> dict[str, Written]:
    """Put objects of different lengths into a bucket, plain and gzip, by their keys."""
    s3 = aws.s3()
    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    objects = {}
    for number in range(CUT_OBJECTS):
        plain = number % 3 == 0
        written = write(1_000 + number, 500 if plain else 240)
        body = written.text if plain else gz(written.lines, members=3)
        key = key_of(number).removesuffix(".gz" if plain else "")
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        objects[key] = written
    return objects


def any_cuts(rng: random.Random, size: int) -> Iterator[int]:
    """Return offsets at which an object is cut, fewer than make the pipeline give it up."""
    return iter(sorted(rng.sample(range(-1, size), rng.randint(1, 4))))


@pytest.mark.parametrize("seed", range(1 + RUNS // 25))
def test_objects_cut_at_any_byte_are_whole(target: Target, aws: AwsServer, seed: int) -> None:
    """Wherever connections to S3 break, every line comes once, while the server has its faults."""
    rng = random.Random(seed)
    bucket = f"cut-objects-{seed}"
    objects = put(aws, bucket)
    sizes = {
        each: aws.s3().head_object(Bucket=bucket, Key=each)["ContentLength"] for each in objects
    }
    broken, *others = objects
    cuts = {key: any_cuts(rng, sizes[key]) for key in others} | {broken: repeat(sizes[broken] // 2)}
    target.proxy.plan = Bulks(any_fault(rng) for _ in range(2 * CUT_OBJECTS))

    with Proxy(aws.url) as proxy:
        proxy.plan = Cuts(cuts)
        sources = [f"s3://{bucket}/{key}" for key in objects]
        run = target.ingest(*sources, command=QUICK, env=environment(proxy.url))

    assert 1 == run.code
    first, *rest = run.told
    assert "SourceUnavailableError" == first["error"]["type"]
    assert 0 < first["lines"] < len(objects[broken].lines)
    for key, told in zip(others, rest, strict=True):
        assert_complete(Run(run.code, [told], ""), objects[key])
        assert next(cuts[key], None) is None

    again = target.ingest(sources[0], env=environment(aws.url))
    assert_complete(again, objects[broken])
    assert_whole(target, *objects.values())
