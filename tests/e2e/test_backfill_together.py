"""Backfills beside each other, the fleet of a queue and live ingestion: every line once."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

from elasticsearch import Elasticsearch

from devstack.aws import AwsServer, create_log_bucket
from devstack.poller import waiting
from pipeline.sink.store import Store
from tests.support.archive import Archive, assert_exact, made_archive
from tests.support.factories import alb_line, gz
from tests.support.keys import log_key

FIRST = datetime(2026, 10, 1, tzinfo=UTC)
FROM = ("--from", "2026-10-01", "--to", "2026-10-03")


def fleet(archive: Archive, prefix: str, queue_url: str) -> "subprocess.Popen[bytes]":
    """Start what stands for the function: a poller that invokes the handler until nothing waits."""
    return subprocess.Popen(
        [sys.executable, "-m", "devstack.poller", queue_url, "--twice-every", "5"],
        env=archive.environment(prefix) | {"ALB_LOGS_QUEUE_URL": queue_url},
        stdout=subprocess.DEVNULL,
    )


def test_live_ingestion_the_fleet_and_backfills_at_once(
    aws: AwsServer, elasticsearch_url: str, es: Elasticsearch, store: Store
) -> None:
    """All read the same objects at the same time, some twice: the end is exact."""
    made = create_log_bucket(s3=aws.s3(), sqs=aws.sqs(), bucket="busy-archive", queue="busy")
    archive, queue = Archive(aws, made.bucket, elasticsearch_url), made.queue_url
    archive.fill(FIRST, 2, 3, 4)
    command = ("backfill", "--bucket", archive.bucket, *FROM)

    with ExitStack() as all_of_them:
        pollers = [all_of_them.enter_context(fleet(archive, store.prefix, queue)) for _ in "ab"]
        runs = [
            all_of_them.enter_context(archive.start(store.prefix, *command, *more))
            for more in (["--json"], ["--no-resume"], ["--queue-url", queue, "--no-wait"])
        ]
        ended = [run.communicate(timeout=120) for run in runs]
    with fleet(archive, store.prefix, queue) as last:  # what was sent when the others had ended
        last.wait(timeout=120)

    assert [0, 0, 0] == [run.returncode for run in runs], ended
    assert [0, 0, 0] == [each.returncode for each in (*pollers, last)]
    assert 0 == waiting(queue, aws.sqs())
    assert_exact(archive, es, store.prefix)
    again = archive.run(store.prefix, *command, "--json")
    assert (0, 0) == (again.code, again.json[-1]["total"]["objects"])


def test_a_fan_out_is_followed_to_its_end(
    aws: AwsServer, elasticsearch_url: str, es: Elasticsearch, store: Store
) -> None:
    """It sends the objects, follows the ledger, and ends with 0 when all is in, 1 if some fail."""
    archive = made_archive(aws, elasticsearch_url, "fanned-out-archive")
    archive.fill(FIRST, 2, 1, 4)
    queue = aws.sqs().create_queue(QueueName="fanned-out")["QueueUrl"]
    command = ("backfill", "--bucket", archive.bucket, *FROM, "--queue-url", queue)

    with archive.start(store.prefix, *command) as run:
        wait_until(lambda: waiting(queue, aws.sqs()) == 24)
        with fleet(archive, store.prefix, queue):
            out, err = run.communicate(timeout=60)

    told = [f"24 objects were sent to {queue}", "24 of 24 objects are in, 0 failed, 0 are waiting"]
    assert (0, told) == (run.returncode, out.splitlines()), err
    assert_exact(archive, es, store.prefix)

    broken = log_key("2026-10-01T12:00")
    lines = [alb_line(at, time=f"2026-10-01T11:58:00.{at:06}Z") for at in range(500)]
    aws.s3().put_object(Bucket=archive.bucket, Key=broken, Body=gz(*lines)[:-100])
    with archive.start(store.prefix, *command) as run:
        wait_until(lambda: waiting(queue, aws.sqs()) == 1)
        with fleet(archive, store.prefix, queue) as poller:
            out, err = run.communicate(timeout=60)
            poller.terminate()  # the message failed, and would come again
    assert (1, "0 of 1 objects are in, 1 failed, 0 are waiting") == (
        run.returncode,
        out.splitlines()[-1],
    )
    assert f"alb-logs: {broken} failed: " in err.splitlines()[-1]


def wait_until(claim: Callable[[], bool]) -> None:
    """Wait for a claim to come true."""
    end = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.1)
