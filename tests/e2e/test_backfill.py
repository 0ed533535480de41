"""The command `backfill`: every line of a range once, however often and wherever it is ended."""

import json
import os
import random
import signal
import time
from datetime import UTC, datetime

import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer
from devstack.traffic import line_id
from pipeline.sink.store import Store
from tests.support.archive import Archive, assert_exact, ids_in, made_archive
from tests.support.factories import alb_line, gz
from tests.support.keys import log_key

FIRST = datetime(2026, 10, 1, tzinfo=UTC)
DAYS, A_DAY, LINES = 3, 56, 4
RANGE = ("--from", "2026-10-01", "--to", "2026-10-04")


@pytest.fixture(scope="module")
def large(aws: AwsServer, elasticsearch_url: str) -> Archive:
    """Return a bucket of 2,016 objects: 3 days, 2 accounts, 2 regions, 3 load balancers."""
    filled = made_archive(aws, elasticsearch_url, "large-archive")
    filled.fill(FIRST, DAYS, A_DAY, LINES)
    assert 2_016 == len(filled.objects)
    return filled


@pytest.fixture(scope="module")
def archive(aws: AwsServer, elasticsearch_url: str) -> Archive:
    """Return a bucket of 324 objects of three days."""
    filled = made_archive(aws, elasticsearch_url, "medium-archive")
    filled.fill(FIRST, DAYS, 9, LINES)
    return filled


_NUMBERS = iter(range(1_000))


@pytest.fixture
def small(aws: AwsServer, elasticsearch_url: str) -> Archive:
    """Return a bucket of 36 objects of one day."""
    filled = made_archive(aws, elasticsearch_url, f"small-{next(_NUMBERS)}")
    filled.fill(FIRST, 1, 3, LINES)
    return filled


def test_every_line_is_in_once_and_the_second_run_reads_nothing(
    large: Archive, es: Elasticsearch, store: Store
) -> None:
    """2,016 objects of 2 accounts and 2 regions; then the ledger says that all is done."""
    bucket = ("--bucket", large.bucket)

    first = large.run(store.prefix, "backfill", *bucket, *RANGE, "--json", "--workers", "2")
    again = large.run(store.prefix, "backfill", *bucket, *RANGE, "--json")

    assert (0, 0) == (first.code, again.code), first.err
    assert_exact(large, es, store.prefix)
    *days, end = first.json
    assert ["2026-10-01", "2026-10-02", "2026-10-03"] == sorted(day["day"] for day in days)
    assert [672 * LINES] * 3 == [day["indexed"] for day in days]
    assert (2_016, 2_016, 0) == tuple(end["total"][name] for name in ("objects", "done", "failed"))
    assert [{"total": {**again.json[0]["total"], "objects": 0, "lines": 0}, "failures": []}] == (
        again.json
    )


def wait_for_entries(es: Elasticsearch, prefix: str, number: int) -> None:
    """Wait until the ledger has so many entries."""
    end, index = time.monotonic() + 60, f"{prefix}-ledger-*"
    while time.monotonic() < end:
        es.indices.refresh(index=index, allow_no_indices=True)
        if es.count(index=index, allow_no_indices=True)["count"] >= number:
            return
        time.sleep(0.05)
    raise AssertionError(f"the ledger does not have {number} entries")


def test_a_run_that_is_killed_goes_on(archive: Archive, es: Elasticsearch, store: Store) -> None:
    """SIGKILL at three random moments, then a run to the end: every line once."""
    arguments = ("backfill", "--bucket", archive.bucket, *RANGE, "--workers", "2")
    rng = random.Random(7)
    done = 0
    for _ in range(3):
        done += rng.randrange(1, 80)
        with archive.start(store.prefix, *arguments) as process:
            wait_for_entries(es, store.prefix, done)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)  # ends when its workers have let go of the pipes

    ended = archive.run(store.prefix, *arguments, "--json")

    assert 0 == ended.code, ended.err
    assert_exact(archive, es, store.prefix)
    assert done <= 324 - ended.json[-1]["total"]["objects"]  # it went on where others had ended


def test_ctrl_c_finishes_what_is_under_way(
    archive: Archive, es: Elasticsearch, store: Store
) -> None:
    """It ends between objects, with 130, and says how to go on; then all is in."""
    arguments = ("backfill", "--bucket", archive.bucket, *RANGE)
    with archive.start(store.prefix, *arguments, "--json") as process:
        wait_for_entries(es, store.prefix, 10)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        out, err = process.communicate(timeout=60)
    end = json.loads(out.splitlines()[-1])["total"]

    assert 130 == process.returncode, err
    assert ["finishing the objects under way; Ctrl-C again ends at once"] == [
        line.removeprefix("alb-logs: ") for line in err.splitlines() if "finishing" in line
    ]
    assert "objects are left: run the same command again to go on" in err
    es.indices.refresh(index=f"{store.prefix}-*")
    assert end["done"] == es.count(index=f"{store.prefix}-ledger")["count"]
    assert end["lines"] == len(ids_in(es, store.prefix))
    assert 0 == archive.run(store.prefix, *arguments).code
    assert_exact(archive, es, store.prefix)


def test_what_failed_is_named_and_tried_again(
    small: Archive, es: Elasticsearch, store: Store
) -> None:
    """A damaged object is listed with its reason and exit 1; once it is whole it is read alone."""
    broken = log_key("2026-10-01T12:00")
    lines = [alb_line(at, time=f"2026-10-01T11:58:00.{at:06}Z") for at in range(500)]
    small.aws.s3().put_object(Bucket=small.bucket, Key=broken, Body=gz(*lines)[:-100])
    arguments = ("backfill", "--bucket", small.bucket, "--from", "2026-10-01", "--json")

    first = small.run(store.prefix, *arguments)
    retried = small.run(store.prefix, *arguments, "--retry-failed")
    small.put(broken, lines)
    mended = small.run(store.prefix, *arguments)

    assert (1, 1, 0) == (first.code, retried.code, mended.code)
    assert f"{broken} failed: " in first.err
    (failure,) = first.json[-1]["failures"]
    assert (broken, "ObjectCorruptError") == (failure["key"], failure["type"])
    assert [37, 1, 1] == [each.json[-1]["total"]["objects"] for each in (first, retried, mended)]
    assert set(ids_in(es, store.prefix)) == small.ids


def test_a_dry_run_changes_nothing(small: Archive, es: Elasticsearch, store: Store) -> None:
    """It says what there is to do, by day, with indices, shards, lines and time."""
    arguments = ("backfill", "--bucket", small.bucket, "--from", "2026-10-01", "--dry-run")

    told, as_json = (small.run(store.prefix, *arguments, *more) for more in ((), ("--json",)))

    assert (0, 0) == (told.code, as_json.code), told.err
    (plan,) = as_json.json
    assert (36, 0) == (plan["objects"], plan["complete_already"])
    assert plan["bytes_stored"] > 0
    assert 36 * LINES == pytest.approx(plan["lines_estimated"], rel=0.2)
    assert {"2026-10-01": 36} == plan["days"]
    assert [f"{store.prefix}-access-2026.10.01"] == plan["new_indices"] == plan["indices"]
    assert 2 == plan["shards_needed"]
    assert plan["shards_most"] >= 1_000
    assert plan["seconds_estimated"] >= 0
    for words in ("36 objects to read", "2026-10-01  36 objects", "Nothing was changed"):
        assert words in told.out
    assert not es.indices.exists(index=f"{store.prefix}-access-2026.10.01")
    assert not es.indices.exists(index=f"{store.prefix}-ledger-2026.10.01")


def test_filters_choose(small: Archive, es: Elasticsearch, store: Store) -> None:
    """By load balancer, account and region, and by time to the minute."""
    chosen = ("--load-balancer", "front-alb", "--account", "111111111111", "--region", "us-east-1")
    times = ("--from", "2026-10-01T07:00", "--to", "2026-10-01T09:00")

    ended = small.run(store.prefix, "backfill", "--bucket", small.bucket, *times, *chosen)

    assert 0 == ended.code, ended.err
    (wanted,) = [
        each
        for each in small.objects
        if all(part in each.key for part in ("front-alb", "111111111111_", "us-east-1_", "T0805Z"))
    ]
    assert {line_id(line) for line in wanted.lines} == set(ids_in(es, store.prefix))


def test_all_is_read_again_where_it_is_asked_for(small: Archive, store: Store) -> None:
    """Without resuming every object is read: all lines are duplicates."""
    arguments = ("backfill", "--bucket", small.bucket, "--from", "2026-10-01", "--json")
    small.run(store.prefix, *arguments)

    again = small.run(store.prefix, *arguments, "--no-resume")

    end = again.json[-1]["total"]
    assert (36, len(small.ids)) == (end["objects"], end["duplicates"])
