"""A backfill in trouble: it slows down, ends where it must, and says so; nothing is lost."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle, pairwise
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer
from pipeline.sink.store import Store
from tests.support.archive import Archive, assert_exact, ids_in, made_archive
from tests.support.faults import answering, refusing, unharmed
from tests.support.proxy import Bulks, Forward, LostError, Proxy, Request, Response, late

if TYPE_CHECKING:
    import subprocess

HURRIED = (
    *(sys.executable, "-m", "tests.support.ingest_process"),
    *("BUDGET_SECONDS=1.5", "LONGEST_PAUSE=0.3", "--"),
)
FROM = ("--from", "2026-10-01")


@pytest.fixture(scope="module")
def archive(aws: AwsServer, elasticsearch_url: str) -> Archive:
    """Return a bucket of 48 objects of one day."""
    filled = made_archive(aws, elasticsearch_url, "troubled-archive")
    filled.fill(datetime(2026, 10, 1, tzinfo=UTC), 1, 4, 4)
    return filled


@pytest.fixture
def proxy(elasticsearch_url: str) -> Iterator[Proxy]:
    """Yield a proxy before the cluster."""
    with Proxy(elasticsearch_url) as between:
        yield between


class Heard:
    """What a process says on standard error, each line with its time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr
        self.lines: list[tuple[float, str]] = [(time.monotonic(), "started")]
        self._thread = Thread(target=self._read, args=(process.stderr,))
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.lines.append((time.monotonic(), line.removeprefix("alb-logs: ").rstrip()))

    def end(self) -> list[str]:
        """Return all lines, once no process can write any more."""
        self._thread.join()
        self.lines.append((time.monotonic(), "ended"))
        return [line for _, line in self.lines[1:-1]]

    def wait_for(self, words: str) -> None:
        """Wait until a line has these words."""
        until = time.monotonic() + 30
        while not any(words in line for _, line in self.lines):
            assert time.monotonic() < until, self.lines
            time.sleep(0.05)

    @property
    def longest_silence(self) -> float:
        """Return the longest time without a line, in seconds."""
        times = [at for at, _ in self.lines]
        return max(after - before for before, after in pairwise(times))


def progress_in(lines: list[str]) -> list[dict[str, Any]]:
    """Return the progress that was told in a pipe."""
    return [json.loads(line)["progress"] for line in lines if line.startswith("{")]


def test_it_slows_down_when_elasticsearch_asks_for_patience(
    archive: Archive, es: Elasticsearch, store: Store, proxy: Proxy
) -> None:
    """Refusals (429) halve the pace, calm restores it, both are said; it ends exact, never mute."""
    faults = cycle([answering(429, "es_rejected_execution_exception"), refusing({0: 429})])
    calm: list[float] = []

    def busy(forward: Forward, request: Request) -> Response:
        if not request.target.startswith("/_bulk"):
            return forward(request)
        calm.append(time.monotonic() + 12)  # the first counts
        fault = next(faults) if time.monotonic() < calm[0] else unharmed
        return Bulks(otherwise=fault)(forward, request)

    proxy.plan = busy
    command = ("backfill", "--bucket", archive.bucket, *FROM, "--json")
    with archive.through(proxy).start(store.prefix, *command) as process:
        heard = Heard(process)
        assert process.stdout
        end = json.loads(process.stdout.read().splitlines()[-1])
        lines = heard.end()

    assert 0 == process.returncode, lines
    assert (48, 0, 192) == tuple(end["total"][name] for name in ("done", "failed", "lines"))
    notes = [line for line in lines if line.startswith("Elasticsearch") and "at a time" in line]
    assert [
        "Elasticsearch does not keep up: 1 of 2 objects at a time",
        "Elasticsearch keeps up again: 2 of 2 objects at a time",
    ] == notes
    assert any("Elasticsearch has taken nothing for" in line for line in lines)
    progress = progress_in(lines)
    assert progress
    assert 48 == progress[-1]["objects"]
    assert heard.longest_silence < 10
    assert_exact(archive, es, store.prefix)


def test_it_ends_when_elasticsearch_is_gone(
    archive: Archive, es: Elasticsearch, store: Store, proxy: Proxy
) -> None:
    """A few objects fail one after another, then it stops, says why, and goes on another time."""

    def lost(forward: Forward, request: Request) -> Response:
        if seen.answered >= 6:
            raise LostError
        return seen(forward, request)

    seen, proxy.plan = Bulks(), lost
    hurried = replace(archive.through(proxy), command=HURRIED)
    command = ("backfill", "--bucket", archive.bucket, *FROM, "--json")

    ended = hurried.run(store.prefix, *command)

    total = ended.json[-1]["total"]
    assert 1 == ended.code
    assert 6 == total["done"] - total["failed"], ended.err
    assert 4 <= total["failed"] <= 6  # the last of the six may be done after the first that failed
    assert {"SinkUnavailableError"} == {each["type"] for each in ended.json[-1]["failures"]}
    last = ended.err.splitlines()[-1]
    assert "4 objects in a row failed for a reason outside of them, the last by: Elastic" in last
    assert "objects are left: run the same command again to go on" in ended.err
    assert 0 == archive.run(store.prefix, *command).code
    assert_exact(archive, es, store.prefix)


def test_a_missing_permission_ends_it_at_once(
    archive: Archive, es: Elasticsearch, store: Store, proxy: Proxy
) -> None:
    """What would fail every object ends the run with its first: exit code 2, and the fix."""
    reason = "action [indices:data/write/bulk[s]] is unauthorized for API key id [x]"
    proxy.plan = Bulks(otherwise=answering(403, "security_exception", reason))

    ended = archive.through(proxy).run(store.prefix, "backfill", "--bucket", archive.bucket, *FROM)

    assert 2 == ended.code
    assert "--print-role ingest" in ended.err.splitlines()[-1]
    assert "Together: 1 objects, 0 lines" in ended.out
    assert [] == ids_in(es, store.prefix)


def test_a_second_ctrl_c_ends_at_once(archive: Archive, store: Store, proxy: Proxy) -> None:
    """Nothing that is under way is waited for, and no process is left."""
    proxy.plan = bulks = Bulks(otherwise=late(20))
    command = ("backfill", "--bucket", archive.bucket, *FROM)
    with archive.through(proxy).start(store.prefix, *command) as process:
        heard = Heard(process)
        while bulks.seen < 2:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        heard.wait_for("Ctrl-C again ends at once")
        again = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        lines = heard.end()  # which is when no process holds the other end any more
        took = time.monotonic() - again

    assert 130 == process.wait()
    assert took < 8
    assert "interrupted; it is safe to run it again" == lines[-1]
