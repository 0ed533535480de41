"""The options of `backfill`: other sources of keys, days that would be lost, what is shown."""

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote_plus, unquote

import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer
from pipeline.cli.group import run
from pipeline.deadline import Deadline
from pipeline.sink.store import Store, letters_meta
from tests.support.archive import Archive, assert_exact, ids_in, made_archive
from tests.support.commands import Run
from tests.support.terminal import Terminal

FROM = ("--from", "2026-10-01")
Backfill = Callable[..., Run]


@pytest.fixture(scope="module")
def archive(aws: AwsServer, elasticsearch_url: str) -> Archive:
    """Return a bucket of 36 objects of one day: at 00:05, 08:05 and 16:05."""
    filled = made_archive(aws, elasticsearch_url, "optional-archive")
    filled.fill(datetime(2026, 10, 1, tzinfo=UTC), 1, 3, 4)
    return filled


@pytest.fixture
def backfill(
    archive: Archive,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Backfill:
    """Return what runs the command in this process."""
    for name, value in archive.environment(store.prefix).items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> Run:
        code = run(["backfill", "--bucket", archive.bucket, *FROM, *arguments])
        return Run(code, *capfd.readouterr())

    return call


def total(ended: Run) -> tuple[int, int]:
    """Return how many objects a run had to read, and how many lines it indexed."""
    end = json.loads(ended.out.splitlines()[-1])["total"]
    return end["objects"], end["indexed"]


def test_an_inventory_is_a_source_of_keys(
    backfill: Backfill, archive: Archive, es: Elasticsearch, store: Store, tmp_path: Path
) -> None:
    """What it names is ingested, and with its ETags the ledger knows the second time."""
    pages = archive.aws.s3().get_paginator("list_objects_v2").paginate(Bucket=archive.bucket)
    stored = [each for page in pages for each in page["Contents"]][::2]
    rows = [
        ",".join(
            f'"{value}"'
            for value in (
                archive.bucket,
                quote_plus(each["Key"], safe="/"),
                each["Size"],
                each["LastModified"].isoformat(),
                each["ETag"].strip('"'),
            )
        )
        for each in stored
    ]
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n")
    manifest = {
        "sourceBucket": archive.bucket,
        "destinationBucket": "arn:aws:s3:::inventories",
        "version": "2016-11-30",
        "creationTimestamp": f"{1_000 * datetime.now(UTC).timestamp():.0f}",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag",
        "files": [{"key": "data.csv", "size": 1, "MD5checksum": "0" * 32}],
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    inventory = (
        *("--to", "2026-10-02", "--json"),
        *("--inventory", str(tmp_path / "manifest.json")),
    )

    first, second, rest = backfill(*inventory), backfill(*inventory), backfill("--json")

    assert [0, 0, 0] == [each.code for each in (first, second, rest)], first.err
    assert [(18, 72), (0, 0), (18, 72)] == [total(each) for each in (first, second, rest)]
    assert_exact(archive, es, store.prefix)


def test_a_manifest_names_what_is_due(
    backfill: Backfill, archive: Archive, es: Elasticsearch, store: Store, tmp_path: Path
) -> None:
    """It is written for S3 Batch Operations, and nothing is ingested."""
    file = tmp_path / "manifest.csv"

    ended = backfill("--manifest", str(file), "--account", "111111111111")

    assert 0 == ended.code, ended.err
    rows = list(csv.reader(file.read_text().splitlines()))
    wanted = {each.key for each in archive.objects if "/111111111111/" in each.key}
    assert {(archive.bucket, key) for key in wanted} == {(row[0], unquote(row[1])) for row in rows}
    assert 18 == len(rows)
    assert ended.out.startswith(f"18 objects in {file}")
    assert [] == ids_in(es, store.prefix)


def test_times_are_of_the_zone_that_is_named(backfill: Backfill) -> None:
    """Nine o'clock in Berlin is seven in UTC in October."""
    times = ("--from", "2026-10-01T09:00", "--to", "2026-10-01T11:00", "--dry-run", "--json")

    plans = [backfill(*times, *zone) for zone in ((), ("--time-zone", "Europe/Berlin"))]

    assert [0, 12] == [json.loads(plan.out)["objects"] for plan in plans]


@pytest.fixture
def retention(es: Elasticsearch, store: Store) -> None:
    """Have `setup` say that documents are kept for a week: this server has no lifecycle."""
    meta = letters_meta(es, store.prefix, Deadline())
    es.indices.put_mapping(
        index=store.dead_letters, meta={"alb_logs": {**(meta or {}), "retention_days": 7}}
    )


@pytest.mark.usefixtures("retention")
def test_days_that_would_be_deleted_are_refused(
    backfill: Backfill, archive: Archive, es: Elasticsearch, store: Store
) -> None:
    """A dry run shows them, a run refuses them with exit code 2, and --force ingests them."""
    shown, told = backfill("--dry-run", "--json"), backfill("--dry-run")
    refused = backfill()
    nothing = ids_in(es, store.prefix)
    forced = backfill("--force", "-q")

    assert (0, 0, 2, 0) == tuple(each.code for each in (shown, told, refused, forced)), forced.err
    assert ["2026-10-01"] == json.loads(shown.out)["days_deleted_at_once"]
    assert "2026-10-01  36 objects (deleted at once)" in told.out
    assert "older than the 7 days that documents are kept" in refused.said
    assert "--force" in refused.said
    assert [] == nothing
    assert ("", "") == (forced.out, forced.err)  # -q: nothing went wrong
    assert_exact(archive, es, store.prefix)


def test_a_terminal_shows_how_it_goes(archive: Archive, es: Elasticsearch, store: Store) -> None:
    """The foot has objects, bytes, lines, the time left, duplicates and rejects; days go above."""
    with Terminal() as terminal:
        command = ("backfill", "--bucket", archive.bucket, *FROM)
        with archive.start(store.prefix, *command, stderr=terminal.end) as process:
            out, _ = process.communicate(timeout=60)
        drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.drawn())

    assert 0 == process.returncode, drawn
    assert "2026-10-01: 36 objects, 144 lines, 144 indexed, 0 duplicates" in out
    shown = re.search(
        r"\d+ of 36 objects, 0\.\d of 0\.\d MB, \d+ lines \(\d+/s\), \d+ duplicates, "
        r"\d+ rejected, \d+ failed, about \d:\d\d:\d\d left",
        " ".join(drawn.split()),
    )
    assert shown, drawn
    assert "{" not in drawn
    assert_exact(archive, es, store.prefix)
