"""The command `audit`: every hole that is planted is found and repaired, and no other is."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstack.aws import AwsServer, environment
from pipeline.cli import tracking
from pipeline.clients.buckets import Buckets
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.errors import ObjectCorruptError
from pipeline.ingest import Options, ingest_object
from pipeline.jobs.auditing import Audit, Verdict
from pipeline.sink.ledger import COUNTED, Entry, State, Version, write_entry
from pipeline.sink.store import Store, open_store
from pipeline.source.listing import objects_between
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline
from tests.support.cluster import documents_in
from tests.support.commands import Run
from tests.support.factories import alb_line, gz, ids_of, no_log_lines
from tests.support.keys import FIVE_MINUTES, log_key, utc, wanted
from tests.support.secure import PREFIX, Secure, run
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COMMAND = Path(sys.executable).parent / "alb-logs"
DAY = "2026-11-20"
FIRST = utc(f"{DAY}T10:05")
RANGE = ("--from", f"{DAY}T10:00", "--to", f"{DAY}T12:00")
A_DAY = wanted(DAY, "2026-11-21")

Command = Callable[..., Run]


@dataclass(frozen=True, slots=True)
class Logs:
    """A bucket, and the store that its objects are ingested into."""

    bucket: str
    s3: "S3Client"
    store: Store

    def put(self, key: str, *lines: bytes) -> ObjectRef:
        """Put an object; return what a listing says of it."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=gz(*lines))
        return next(ref for ref in self.listed() if ref.key == key)

    def listed(self) -> Iterator[ObjectRef]:
        """Yield the objects of the bucket."""
        return objects_between(self.bucket, A_DAY, s3=self.s3)

    def ingest(self, ref: ObjectRef, options: Options | None = None) -> None:
        """Ingest an object as the function does."""
        ingest_object(ref, s3=self.s3, store=self.store, options=options or Options())

    def note(self, ref: ObjectRef, state: State, error: tuple[str, str] | None = None) -> None:
        """Write an entry of an object that did not come to its end."""
        assert ref.name is not None
        version = Version(ref.bucket, ref.key, ref.etag or "", ref.name)
        counts = dict.fromkeys(COUNTED, 0) | {"lines": 1}
        write_entry(version, Entry(state, counts, 10, "lambda", error=error), store=self.store)

    def documents(self) -> set[str]:
        """Return the ids of all documents."""
        return {*documents_in(self.store.es, f"{self.store.prefix}-access-*")}

    def letters(self) -> set[str]:
        """Return the ids of all dead letters."""
        return {*documents_in(self.store.es, self.store.dead_letters)}

    def forget(self, lines: list[bytes], index: str | None = None) -> None:
        """Delete the documents of lines behind the ledger's back."""
        index = index or f"{self.store.prefix}-access-{DAY.replace('-', '.')}"
        for id_ in ids_of(lines):
            self.store.es.delete(index=index, id=id_)


@pytest.fixture
def logs(aws: AwsServer, store: Store, monkeypatch: pytest.MonkeyPatch) -> Logs:
    """Return an empty bucket, to which this process's own clients lead, and a prepared store."""
    for name, text in environment(aws.url).items():
        monkeypatch.setenv(name, text)
    return new_logs(aws, store)


def new_logs(aws: AwsServer, store: Store) -> Logs:
    """Return an empty bucket."""
    bucket = f"audited-{uuid.uuid4().hex}"
    s3 = aws.s3()
    location: Any = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
    return Logs(bucket, s3, store)


@pytest.fixture
def audit(logs: Logs, elasticsearch_url: str) -> Command:
    """Return the command for the range of these tests."""
    settings = {
        "ALB_LOGS_ES_URL": elasticsearch_url,
        "ALB_LOGS_INDEX_PREFIX": logs.store.prefix,
    }

    def audit(*arguments: str, **more: str) -> Run:
        return run(settings | more, "audit", "--bucket", logs.bucket, *RANGE, *arguments)

    return audit


def results(ended: Run) -> list[dict[str, Any]]:
    """Return the lines of JSON on standard output."""
    return [json.loads(line) for line in ended.out.splitlines()]


def verdicts(ended: Run) -> dict[str, str]:
    """Return the verdict of each object that is named."""
    return {each["key"]: each["verdict"] for each in results(ended) if "verdict" in each}


def total(ended: Run) -> dict[str, int]:
    """Return the numbers of all together."""
    found: dict[str, int] = results(ended)[-1]["total"]
    return found


def key_of(number: int, **changed: str) -> str:
    """Return the key of the object of an interval."""
    return log_key(FIRST + number * FIVE_MINUTES, **changed)  # type: ignore[arg-type]


def lines_from(number: int, count: int = 20) -> list[bytes]:
    """Return lines of their own for an object of a number."""
    return [alb_line(number * 1_000 + at) for at in range(count)]


def plant(logs: Logs) -> tuple[dict[str, str], set[str]]:
    """Put objects of which each but the first lacks something; return verdicts, and all ids."""
    refs = [logs.put(key_of(number), *lines_from(number)) for number in range(5)]
    good, missing, partial, failed, changed = refs
    logs.ingest(good)
    logs.ingest(changed)
    new = [*lines_from(4), *lines_from(5)]
    logs.put(changed.key, *new)
    logs.note(partial, State.PARTIAL)
    logs.note(failed, State.FAILED, ("ClusterRefusedError", "the disk is full"))
    logs.store.es.indices.refresh(index=logs.store.ledger)
    holes = {missing: "missing", partial: "partial", failed: "failed", changed: "changed"}
    every = {id_ for number in range(6) for id_ in ids_of(lines_from(number))}
    return {ref.key: verdict for ref, verdict in holes.items()}, every


def test_each_hole_is_found(logs: Logs, audit: Command) -> None:
    """Never read, half read, failed, overwritten: each is named with its reason; the rest is in."""
    holes, _ = plant(logs)

    ended = audit("--json")

    assert (1, "") == (ended.code, ended.err)
    assert holes == verdicts(ended)
    reasons = {each["verdict"]: each["reason"] for each in results(ended) if "verdict" in each}
    assert "ClusterRefusedError: the disk is full" == reasons["failed"]
    assert "only 10 bytes of its text are in" == reasons["partial"]
    assert "another ETag" in reasons["changed"]
    (group,) = (each for each in results(ended) if "day" in each)
    assert (DAY, "access") == (group["day"], group["kind"])
    names = ("present", "ingested", "missing", "failed", "partial", "changed", "lines")
    assert [5, 1, 1, 1, 1, 1, 22] == [group[name] for name in names]
    assert [5, 1, 1, 1, 1, 1, 22] == [total(ended)[name] for name in names]
    assert 4 == results(ended)[-1]["not_in"]


def test_each_hole_is_repaired(logs: Logs, audit: Command) -> None:
    """What was missing is in, each line once, and a second audit finds nothing."""
    holes, every = plant(logs)

    repaired = audit("--repair", "--json", "--workers", "1")
    again = audit()

    assert 0 == repaired.code, repaired
    assert holes == verdicts(repaired)
    after = {each["after_repair"]["verdict"] for each in results(repaired) if "verdict" in each}
    assert {"ingested"} == after
    assert (5, 4) == (total(repaired)["ingested"], total(repaired)["repaired"])
    assert every == logs.documents()
    assert 0 == again.code
    assert again.out.endswith("\nNothing is missing.\n")


def test_a_deep_audit_looks_for_each_line(logs: Logs, audit: Command) -> None:
    """Documents and a dead letter deleted behind the ledger's back are found, and repaired."""
    bad = no_log_lines(3)
    whole, holed = lines_from(0), lines_from(1)
    logs.ingest(logs.put(key_of(0), *whole, bad[0]))
    logs.ingest(logs.put(key_of(1), *holed, b"", *bad[1:]))
    logs.forget(holed[5:7])
    logs.forget(bad[1:2], logs.store.dead_letters)

    shallow, deep = audit(), audit("--deep", "--json")
    repaired = audit("--deep", "--repair", "--workers", "1")
    again = audit("--deep", "--json")

    assert 0 == shallow.code
    assert 1 == deep.code
    assert {key_of(1): "incomplete"} == verdicts(deep)
    offsets = [sum(len(line) + 1 for line in holed[:5])]
    offsets += [offsets[0] + len(holed[5]) + 1, sum(len(line) + 1 for line in holed) + 1]
    (told,) = (each for each in results(deep) if "verdict" in each)
    assert (3, offsets) == (told["lines_missing"], told["first_offsets"])
    assert (44, 3, 2) == tuple(
        total(deep)[name] for name in ("lines", "lines_missing", "lines_rejected")
    )
    assert 0 == repaired.code, repaired
    assert "1 objects were not in before, and are now." in repaired.out
    assert (0, 0, 3) == (again.code, total(again)["lines_missing"], total(again)["lines_rejected"])
    assert ids_of([*whole, *holed]) == logs.documents()
    assert ids_of(bad) == logs.letters()


def test_a_refused_document_is_a_dead_letter(logs: Logs, audit: Command) -> None:
    """A line whose document Elasticsearch refused is no hole: its dead letter is there."""
    long = alb_line(1, user_agent=f'"{"x" * 40_000}"')
    good = alb_line(2)
    logs.store.es.indices.create(
        index=f"{logs.store.prefix}-access-{DAY.replace('-', '.')}",
        mappings={"properties": {"user_agent": {"properties": {"original": {"type": "long"}}}}},
    )
    logs.ingest(logs.put(key_of(0), long, good))
    assert ids_of([long, good]) == logs.letters()

    ended = audit("--deep", "--json")

    assert (0, 2) == (ended.code, total(ended)["lines_rejected"])


def test_a_copy_is_no_hole(logs: Logs, audit: Command) -> None:
    """The lines of a re-compacted or renamed object are there, whoever indexed them."""
    first, second = lines_from(0), lines_from(1)
    for number, lines in enumerate((first, second)):
        logs.ingest(logs.put(key_of(number), *lines))
    logs.put(key_of(2), *first, *second[5:])
    logs.put(key_of(0, tag="renamed"), *first)

    shallow, deep = audit("--json"), audit("--deep")

    assert {key_of(2): "missing", key_of(0, tag="renamed"): "missing"} == verdicts(shallow)
    assert 0 == deep.code
    assert "2 objects are in by their lines, though not by the ledger" in deep.out
    assert deep.out.endswith("\nNothing is missing.\n")


def test_what_a_rule_leaves_out_is_no_hole(logs: Logs, audit: Command) -> None:
    """Lines that are filtered count as filtered, whether the rule is still in force or not."""
    rule = {"ALB_LOGS_EXCLUDE": "user_agent.original=ELB-HealthChecker/2.0"}
    checks = [alb_line(number, user_agent='"ELB-HealthChecker/2.0"') for number in range(7)]
    ref = logs.put(key_of(0), *checks, *lines_from(1))
    assert 1 == audit(**rule).code
    assert 0 == audit("--repair", "--workers", "1", **rule).code
    assert ids_of(lines_from(1)) == logs.documents()

    runs = [audit("--deep", "--json", **rule), audit("--deep", "--json")]

    assert [(0, 7), (0, 7)] == [(each.code, total(each)["lines_filtered"]) for each in runs]
    assert ref.key == key_of(0)


def test_what_cannot_be_read(logs: Logs, audit: Command) -> None:
    """An object that is cut fails again: a repair says why, and what is missing stays missing."""
    body = gz(*lines_from(0, 2_000))
    logs.s3.put_object(Bucket=logs.bucket, Key=key_of(0), Body=body[: len(body) // 2])

    ended = audit("--repair", "--workers", "1")
    deep = audit("--deep", "--json")

    assert 1 == ended.code
    assert f"failed: s3://{logs.bucket}/{key_of(0)}: {ObjectCorruptError.__name__}" in ended.out
    assert ended.out.endswith("\n1 of 1 objects are not in.\n")
    assert {key_of(0): "failed"} == verdicts(deep)


def test_an_object_damaged_since_it_was_read(logs: Logs, audit: Command) -> None:
    """A deep audit cannot vouch for what it cannot read, though every line was in."""
    body = gz(*lines_from(0, 2_000))
    ref = logs.put(key_of(0), *lines_from(0, 2_000))
    logs.ingest(ref)
    logs.s3.put_object(Bucket=logs.bucket, Key=ref.key, Body=body[: len(body) // 2])
    (cut,) = logs.listed()
    logs.note(cut, State.COMPLETE)

    ended = audit("--deep", "--json")

    assert {ref.key: "failed"} == verdicts(ended)
    (told,) = (each for each in results(ended) if "verdict" in each)
    assert told["reason"].startswith("read again: ObjectCorruptError: ")


def test_a_key_cannot_command_the_terminal(logs: Logs, audit: Command) -> None:
    """Whoever may write to the bucket chooses folders, with escape sequences in them."""
    folder, _, name = key_of(0).rpartition("/")
    logs.s3.put_object(Bucket=logs.bucket, Key=f"{folder}/\x1b[2J\u202e/{name}", Body=b"")

    ended = audit()

    assert 1 == ended.code
    assert ended.out.replace("\n", "").isprintable()
    assert r"/\x1b[2J\x202e/" in ended.out


def test_a_range_without_objects(logs: Logs, audit: Command) -> None:
    """It is said: nothing is missing would be false comfort for a misspelled name."""
    logs.put(key_of(0), *lines_from(0))

    ended = audit("--load-balancer", "misspelled")

    assert 0 == ended.code
    assert ended.out.startswith("The bucket holds no object of this range")
    assert "Nothing is missing" not in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--prefix", "elsewhere"), id="prefix"),
        pytest.param(("--account", "210987654321"), id="account"),
    ],
)
def test_what_cannot_be_listed(logs: Logs, audit: Command, arguments: tuple[str, str]) -> None:
    """A prefix or an account without a folder is a wrong call, about which nothing is found."""
    logs.put(key_of(0), *lines_from(0))

    ended = audit(*arguments)

    assert (2, "") == (ended.code, ended.out)
    assert arguments[1] in ended.said


@pytest.mark.parametrize("arguments", [(), ("--repair", "--workers", "1")], ids=str)
def test_stopping(
    logs: Logs, audit: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Ctrl-C ends it after the object under way; what was looked at until then is told."""
    for number in range(3):
        logs.ingest(logs.put(key_of(number), *lines_from(number)))
    buckets = Buckets.client_of

    def client_of(self: Buckets, bucket: str) -> "S3Client":
        signal.raise_signal(signal.SIGINT)
        return buckets(self, bucket)

    monkeypatch.setattr(Buckets, "client_of", client_of)

    ended = audit(*arguments)

    assert 130 == ended.code
    assert ended.out.endswith("\nIt ended early: only what is said above was looked at.\n")
    assert "\ntogether " in ended.out


def test_stopping_while_empty_folders_are_listed(
    logs: Logs, audit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten years without an object are thousands of requests: Ctrl-C waits for one of them."""
    logs.put(key_of(0), *lines_from(0))
    requests: list[str] = []

    def stop(params: dict[str, Any], **_: object) -> None:
        requests.append(params["url"])
        if len(requests) == 10:
            signal.raise_signal(signal.SIGINT)

    def client_of(_buckets: Buckets, _bucket: str) -> "S3Client":
        logs.s3.meta.events.register("before-call.s3.ListObjectsV2", stop)
        return logs.s3

    monkeypatch.setattr(Buckets, "client_of", client_of)

    ended = audit("--from", "2016-01-01")

    assert (130, 10) == (ended.code, len(requests))
    assert "It ended early" in ended.out


def test_what_was_never_delivered(logs: Logs, audit: Command) -> None:
    """A gap of the bucket is told apart, and is no reason to fail."""
    other = "app/api/73e2d6bc24d8a067"
    keys = [*map(key_of, (0, 3)), *(key_of(number, load_balancer=other) for number in range(4))]
    for number, key in enumerate(keys):
        logs.ingest(logs.put(key, *lines_from(number)))

    told, for_machines = audit(), audit("--json")

    assert 0 == told.code
    assert (
        "Never delivered by AWS: access logs of 123456789012 eu-central-1 "
        f"frontend-alb/50dc6c495c0c9188, 2 intervals of five minutes: {DAY} 10:05 to 10:15 UTC\n"
        "AWS delivers logs on a best-effort basis"
    ) in told.out
    assert told.out.endswith("\nNothing is missing.\n")
    (gap,) = (each for each in results(for_machines) if "never_delivered" in each)
    spans = [{"from": f"{DAY}T10:05:00+00:00", "to": f"{DAY}T10:15:00+00:00"}]
    assert (2, spans) == (gap["never_delivered"]["intervals"], gap["never_delivered"]["gaps"])
    assert 2 == total(for_machines)["intervals_never_delivered"]


def test_many_holes(logs: Logs, audit: Command) -> None:
    """People see the first twenty, machines all; quiet, only what is wrong is said."""
    for number in range(22):
        logs.s3.put_object(Bucket=logs.bucket, Key=key_of(number), Body=b"")

    told, for_machines, quiet = audit(), audit("--json"), audit("-q")

    assert 20 == told.out.count("\nmissing: s3://")
    assert "\n… and 2 more; --json lists them all\n" in told.out
    assert (
        "22 of the objects that are not in arrived within the last 15 minutes and may be under way"
        in told.out
    )
    assert 22 == len(verdicts(for_machines))
    assert (1, "") == (quiet.code, quiet.out)
    assert 21 == len(quiet.err.splitlines())


# --- when something is wrong ---------------------------------------------------------------------


def test_a_cluster_without_a_ledger(logs: Logs, audit: Command) -> None:
    """A cluster that was set up by an early version has none: it is to be set up again."""
    letters = logs.store.dead_letters
    meta = logs.store.es.indices.get_mapping(index=letters)[f"{letters}-000001"]["mappings"][
        "_meta"
    ]
    meta["alb_logs"]["ledger"] = False
    logs.store.es.indices.put_mapping(index=letters, meta=meta)

    ended = audit()

    assert (2, "") == (ended.code, ended.out)
    assert ended.said.endswith("yet: run `alb-logs setup`")


def test_a_ledger_that_cannot_be_written(logs: Logs, audit: Command) -> None:
    """What is ingested but not recorded is still missing by the ledger, and the reason is told."""
    logs.put(key_of(0), *lines_from(0))
    index = f"{logs.store.ledger}-2026.11.01"
    logs.store.es.indices.create(index=index)
    logs.store.es.indices.put_settings(index=index, settings={"index.blocks.write": True})

    ended = audit("--repair", "--workers", "1")

    assert 1 == ended.code
    assert (
        "the ledger has no entry of it: Elasticsearch refused with 403 cluster_block" in ended.out
    )
    assert ids_of(lines_from(0)) == logs.documents()


def test_documents_that_cannot_be_looked_for(logs: Logs, audit: Command) -> None:
    """A closed index is nobody's hole: the audit ends with the fix, after what it found so far."""
    logs.ingest(logs.put(key_of(0)))
    logs.ingest(logs.put(key_of(1), *lines_from(1)))
    index = f"{logs.store.prefix}-access-{DAY.replace('-', '.')}"
    logs.store.es.indices.close(index=index)

    ended = audit("--deep")

    assert 1 == ended.code
    assert f"POST /{index}/_open" in ended.said
    assert ended.out.endswith("\nIt ended early: only what is said above was looked at.\n")


def test_progress_in_a_pipe(logs: Logs, audit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every now and then a line on standard error says how far it is, and the last how it ended."""
    monkeypatch.setattr(tracking, "INTERVAL_SECONDS", 0.01)
    logs.ingest(logs.put(key_of(0), *lines_from(0)))

    ended = audit("--deep")

    told = [json.loads(line)["progress"] for line in ended.err.splitlines()]
    assert {"objects": 0, "missing": 0, "lines_looked_for": 0} == told[0]
    assert {"objects": 1, "missing": 0, "lines_looked_for": 20} == told[-1]


def test_progress_on_a_terminal(logs: Logs, aws: AwsServer, elasticsearch_url: str) -> None:
    """There it is drawn."""
    logs.ingest(logs.put(key_of(0), *lines_from(0)))
    settings = {
        "ALB_LOGS_ES_URL": elasticsearch_url,
        "ALB_LOGS_INDEX_PREFIX": logs.store.prefix,
        "PATH": os.defpath,
        "TERM": "xterm",
        **environment(aws.url),
    }
    with Terminal() as terminal:
        subprocess.run(
            [COMMAND, "audit", "--bucket", logs.bucket, *RANGE, "--deep"],
            env=settings,
            stdout=subprocess.PIPE,
            stderr=terminal.end,
            check=True,
        )
        drawn = terminal.drawn()

    assert "1 objects, 0 of them not in, 20 lines looked for" in drawn


# --- what grows old ------------------------------------------------------------------------------


@pytest.fixture
def pipeline(logs: Logs) -> Pipeline:
    """Return the pipeline of the store."""
    return Pipeline(Buckets({}), logs.store, Options())


def test_dead_letters_that_grew_old(logs: Logs, audit: Command) -> None:
    """Letters that the lifecycle may have deleted are told apart; later ones must be there."""
    es, alias = logs.store.es, logs.store.dead_letters
    old, new = no_log_lines(2), no_log_lines(1)
    logs.ingest(logs.put(key_of(0), *lines_from(0), *old))
    es.indices.rollover(alias=alias)
    es.indices.delete(index=f"{alias}-000001")
    logs.ingest(logs.put(key_of(1), *lines_from(1), *new))
    assert ids_of(new) == logs.letters()

    ended = audit("--deep", "--json")

    assert (0, 2, 1) == (
        ended.code,
        total(ended)["dead_letters_expired"],
        total(ended)["lines_rejected"],
    )
    assert "2 rejected lines have no dead letter any more" in audit("--deep").out


@pytest.mark.parametrize("deep", [False, True])
def test_days_that_grew_old(logs: Logs, pipeline: Pipeline, deep: bool) -> None:  # noqa: FBT001
    """What the lifecycle deletes at once is neither missing nor to be repaired."""
    ref = logs.put(key_of(0), *lines_from(0))
    store = replace(logs.store, retention_days=30)
    at = utc(DAY) + timedelta(days=30)
    kept, old = (
        Audit(replace(pipeline, store=store), deep, now) for now in (at, at + timedelta(days=1))
    )

    found = [next(each.findings([ref])).verdict for each in (kept, old)]

    assert [Verdict.MISSING, Verdict.EXPIRED] == found


# --- by whom -------------------------------------------------------------------------------------


def test_whoever_operates_may_audit_and_repair(
    aws: AwsServer, secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role `operate` is enough for all of it."""
    apply_setup(es := secure.client("setup"), plan_setup(es, Layout(PREFIX, replicas=0)))
    for name, text in environment(aws.url).items():
        monkeypatch.setenv(name, text)
    logs = new_logs(aws, open_store(secure.client("admin"), PREFIX))
    holed = logs.put(key_of(0), *lines_from(0), *no_log_lines(1))
    logs.ingest(holed)
    logs.put(key_of(1), *lines_from(1))
    logs.forget(lines_from(0)[:1])
    settings = secure.settings("operate")

    def audit(*arguments: str) -> Run:
        return run(settings, "audit", "--bucket", logs.bucket, *RANGE, "--json", *arguments)

    assert {key_of(1): "missing"} == verdicts(audit())
    assert {key_of(0): "incomplete", key_of(1): "missing"} == verdicts(audit("--deep"))
    assert 0 == audit("--deep", "--repair").code
    assert 0 == audit("--deep").code
