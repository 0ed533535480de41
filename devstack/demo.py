"""
Run the whole pipeline for real: an hour of three load balancers, from S3 into Elasticsearch.

Run by `make demo`. It starts the servers, prepares the cluster, writes the objects, lets the real
handler process the notifications in the queue, and then asks Elasticsearch what is there. Then it
backfills and audits another day. It exits with 0 only if the ids found are exactly the ids written.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from elasticsearch import Elasticsearch
from rich.console import Console
from rich.progress import Progress

from devstack.aws import LogBucket, create_log_bucket, environment, start_aws
from devstack.elasticsearch import start_elasticsearch
from devstack.poller import waiting
from devstack.process import ServerError
from devstack.report import (
    bytes_per_document,
    print_accounts,
    print_dead_letters,
    print_traffic,
    take_accounts,
)
from devstack.traffic import WrittenObject, hour_of_objects, line_id
from devstack.yesterday import Yesterday, put_unannounced, run
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.errors import PipelineError
from pipeline.sink.refusals import elasticsearch_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

BUCKET = "demo-alb-logs"
TWICE_EVERY = 5
SEED = 20161201
_RECEIVES = 2
_SHOWN = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
_INTERRUPTED = 130
_STARTING = "Starting Elasticsearch (the first time downloads 98 MB; 0.3 GB on disk)"


@dataclass(frozen=True, slots=True)
class Stage:
    """The servers and clients that the demo uses."""

    es: Elasticsearch
    s3: "S3Client"
    sqs: "SQSClient"
    bucket: LogBucket
    env: dict[str, str]
    log: Path


def main() -> None:
    """Run the demo with the options of the command line, and stop what it started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the servers up at the end")
    parser.add_argument("--lines", type=int, default=1_000, metavar="N", help="lines per object")
    given = parser.parse_args()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: clean up
    try:
        right = _run(console, lines_per_object=given.lines, keep=given.keep)
    except KeyboardInterrupt:
        console.print("Stopped.")
        sys.exit(_INTERRUPTED)
    except (PipelineError, ServerError) as error:
        sys.exit(f"make demo: {error}")
    sys.exit(0 if right else 1)


def _run(console: Console, *, lines_per_object: int, keep: bool) -> bool:
    _say(console, "An hour of three load balancers' logs, from S3 into Elasticsearch: a minute")
    with ExitStack() as servers:
        stage = _set_stage(servers, console)
        with elasticsearch_errors():
            right = play(stage, console, lines_per_object=lines_per_object)
        if keep:
            _wait(stage, console)
    return right


def play(stage: Stage, console: Console, *, lines_per_object: int) -> bool:
    """Ingest one hour of logs, print the result and return whether it is right."""
    _say(console, "Preparing the cluster: alb-logs setup --replicas 0")
    alb_logs = Path(sys.executable).parent / "alb-logs"
    prepared = subprocess.run([alb_logs, "setup", "--replicas", "0"], env=stage.env, check=False)
    if prepared.returncode:
        sys.exit(prepared.returncode)  # it said why
    written = list(_damage_one(_an_hour(lines_per_object)))
    lines = sum(len(each.lines) for each in written)
    _say(console, f"Writing {lines:,} lines in {len(written)} objects to s3://{BUCKET}")
    for each in written:
        stage.s3.put_object(Bucket=BUCKET, Key=each.key, Body=each.body)
    seconds = _ingest(stage, console)
    right = _report(stage, written, seconds, console)
    return _play_yesterday(stage, written, lines_per_object, console) and right


def _play_yesterday(
    stage: Stage, written: list[WrittenObject], lines_per_object: int, console: Console
) -> bool:
    """Backfill a day that nobody announced, audit it, and return whether every line is in once."""
    day = Yesterday.before(datetime.now(UTC) - timedelta(hours=1))
    objects = day.objects(max(1, lines_per_object // 10))
    put_unannounced(stage.s3, BUCKET, objects)
    _say(console, "Of the day before there is an hour that nobody announced: backfill it")
    filled = _command(stage, console, "backfill", "--bucket", BUCKET, *day.range)
    _say(console, "Is anything missing? Look for every line of that day")
    audited = _command(stage, console, "audit", "--bucket", BUCKET, *day.range, "--deep")
    accounts = take_accounts(stage.es, stage.env["ALB_LOGS_INDEX_PREFIX"], [*written, *objects])
    right = all(account.right for account in accounts.values())
    console.print(
        "[green]With that day, too, every line is in Elasticsearch, once.[/green]"
        if right
        else "[red]With that day, what is in Elasticsearch is not what was written.[/red]"
    )
    return filled and audited and right


def _command(stage: Stage, console: Console, *arguments: str) -> bool:
    """Run `alb-logs` in front of the user; return whether it ended well."""
    console.print(f"    alb-logs {' '.join(arguments)}", highlight=False, soft_wrap=True)
    return run(stage.env, *arguments)


def _set_stage(servers: ExitStack, console: Console) -> Stage:
    given = os.environ.get("ALB_LOGS_ES_URL")  # noqa: TID251  replaces our own server
    _say(console, f"Using Elasticsearch at {given}" if given else _STARTING)
    url = given or servers.enter_context(start_elasticsearch()).url
    aws = servers.enter_context(start_aws())
    folder = servers.enter_context(tempfile.TemporaryDirectory(prefix="alb-logs-demo-"))
    s3, sqs = aws.s3(), aws.sqs()
    bucket = create_log_bucket(
        s3=s3, sqs=sqs, bucket=BUCKET, queue="alb-logs", max_receive_count=_RECEIVES
    )
    sqs.set_queue_attributes(QueueUrl=bucket.queue_url, Attributes={"VisibilityTimeout": "10"})
    prefix = f"demo-{datetime.now(UTC):%H%M%S}" if given else "alb-logs"
    env = os.environ | environment(aws.url)  # noqa: TID251  for the processes it starts
    env |= {"ALB_LOGS_ES_URL": url, "ALB_LOGS_INDEX_PREFIX": prefix}
    es = make_elasticsearch(Config.from_env(env))
    return Stage(es, s3, sqs, bucket, env, Path(folder) / "handler.log")


def _an_hour(lines_per_object: int) -> Iterator[WrittenObject]:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    return hour_of_objects(SEED, start=start, lines_per_object=lines_per_object)


def _damage_one(objects: Iterator[WrittenObject]) -> Iterator[WrittenObject]:
    """Cut one access log object short; only the whole lines left in it are expected."""
    damaged = False
    for each in objects:
        if damaged or each.kind != "access":
            yield each
            continue
        damaged = True
        yield _cut(each)


def _cut(whole: WrittenObject) -> WrittenObject:
    body = whole.body[: len(whole.body) * 2 // 3]
    lines = whole.lines[: _text_of(body).count(b"\n")]
    ids = {line_id(line) for line in lines}
    return replace(
        whole,
        body=body,
        lines=lines,
        good_ids=whole.good_ids & ids,
        rejected_ids=whole.rejected_ids & ids,
        blank=sum(not line.strip() for line in lines),
    )


def _text_of(body: bytes) -> bytes:
    """Decompress all members of a gzip object that may be cut short."""
    text = b""
    while body:
        member = zlib.decompressobj(wbits=31)
        text += member.decompress(body)
        body = member.unused_data
    return text


def _ingest(stage: Stage, console: Console) -> float:
    """Let the handler empty the queue and return the seconds it took."""
    _say(
        console,
        f"Lambda's handler reads the notifications, one in {TWICE_EVERY} twice; one object is cut",
    )
    began = time.monotonic()
    command = [sys.executable, "-m", "devstack.poller", stage.bucket.queue_url]
    command += ["--twice-every", str(TWICE_EVERY)]
    with stage.log.open("wb") as log, Progress(console=console, transient=True) as progress:
        total = waiting(stage.bucket.queue_url, stage.sqs)
        task = progress.add_task("notifications", total=total)
        last = began
        with _poller(command, stage.env, log) as poller:
            while poller.poll() is None:
                left = waiting(stage.bucket.queue_url, stage.sqs)
                last = time.monotonic() if left > 1 else last  # the cut object alone comes again
                progress.update(task, completed=total - left)
                time.sleep(0.2)
    if poller.returncode:
        raise SystemExit(f"the poller failed:\n{stage.log.read_text()[-3_000:]}")
    return last - began


@contextmanager
def _poller(
    command: list[str], env: dict[str, str], log: BinaryIO
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the poller, and leave none behind."""
    with subprocess.Popen(command, env=env, stdout=log, stderr=log) as poller:
        try:
            yield poller
        finally:
            poller.kill()


def _report(stage: Stage, written: list[WrittenObject], seconds: float, console: Console) -> bool:
    """Print what is in Elasticsearch and return whether it is exactly what was written."""
    prefix = stage.env["ALB_LOGS_INDEX_PREFIX"]
    accounts = take_accounts(stage.es, prefix, written)
    handled = _metrics(stage.log)
    print_accounts(accounts, handled, console)
    print_dead_letters(stage.es, prefix, console)
    print_traffic(stage.es, prefix, {each.load_balancer for each in written}, console)
    console.print(
        f"{handled['Lines'] / seconds:,.0f} lines per second, "
        f"{bytes_per_document(stage.es, prefix):,.0f} bytes per access log document on disk; "
        f"{waiting(stage.bucket.dlq_url, stage.sqs)} message (the cut object) in the DLQ",
        highlight=False,
        soft_wrap=True,
    )
    right = all(account.right for account in accounts.values())
    console.print(
        "[green]Every line that was written is in Elasticsearch, once.[/green]"
        if right
        else "[red]What is in Elasticsearch is not what was written.[/red]"
    )
    return right


def _metrics(log: Path) -> dict[str, float]:
    """Sum the metrics that the handler wrote into its log, as CloudWatch would."""
    totals: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        if '"CloudWatchMetrics"' not in line:
            continue
        emitted = json.loads(line)
        for directive in emitted["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                totals[metric["Name"]] += sum(emitted[metric["Name"]])
    return dict(totals)


def _say(console: Console, text: str) -> None:
    console.print(f"[bold]==>[/bold] {text}", highlight=False)


def _wait(stage: Stage, console: Console) -> None:
    """Leave the servers up until the user stops them, and print how to look around."""
    es, prefix = stage.env["ALB_LOGS_ES_URL"], stage.env["ALB_LOGS_INDEX_PREFIX"]
    aws = " ".join(f"{name}={stage.env[name]}" for name in _SHOWN)
    console.print(
        f"""
The servers stay up until you press Ctrl-C here (or: kill {os.getpid()}). To look around:

  curl '{es}/{prefix}-access-*/_search?size=1&pretty'
  curl '{es}/{prefix}-dead-letter/_search?size=3&pretty'
  curl '{es}/_cat/indices/{prefix}-*?v'

To ingest something of your own, a file or an object of the emulated AWS (bucket {BUCKET}):

  export ALB_LOGS_ES_URL={es} ALB_LOGS_INDEX_PREFIX={prefix}
  export {aws}
  .venv/bin/alb-logs ingest FILE.log.gz
  .venv/bin/alb-logs ingest s3://{BUCKET}/KEY

The handler's log is {stage.log}.""",
        highlight=False,
        soft_wrap=True,
    )
    try:
        while True:
            time.sleep(3_600)
    except KeyboardInterrupt:
        console.print("Stopping the servers.")


if __name__ == "__main__":
    main()
