"""The command `backfill`: ingest the objects of a range of time."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import json_option
from pipeline.cli.plan_view import show_plan
from pipeline.cli.queue_run import Aim, fan_out
from pipeline.cli.range_run import RangeRun
from pipeline.cli.ranges import Range, range_options
from pipeline.cli.screen import Screen, verbosity_options
from pipeline.cli.tracking import tracked
from pipeline.config import Config
from pipeline.jobs.backfill import Objects, Selection, open_for
from pipeline.jobs.manifest import write_manifest
from pipeline.jobs.planning import Plan, measure, plan_run, refuse_doomed
from pipeline.jobs.selecting import Choice, Survey, survey, with_entries
from pipeline.jobs.workers import Work, Workers
from pipeline.recording import BACKFILL
from pipeline.sink.ledger import require_ledger
from pipeline.source.inventory import objects_of_inventory
from pipeline.source.listing import objects_between
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline, open_pipeline


@click.command
@range_options()
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would be done and how long it would take; change nothing.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Processes that read and encode; they share ALB_LOGS_ES_CONNECTIONS connections.",
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Leave out what the ledger knows to be complete.",
)
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Only what the ledger knows to have failed, or to be in partly.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace documents that are there, as a newer version would make them.",
)
@click.option("--force", is_flag=True, help="Index days that the lifecycle deletes at once, too.")
@click.option(
    "--inventory",
    metavar="FILE|s3://…",
    help="Take the keys from an S3 Inventory (manifest.json, or one of its CSV files).",
)
@click.option(
    "--queue-url", metavar="URL", help="Let the function do it: send the objects to its queue."
)
@click.option(
    "--wait/--no-wait", default=True, help="With --queue-url: follow the ledger to the end."
)
@click.option(
    "--manifest",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a manifest for S3 Batch Operations, and do nothing else.",
)
@json_option("Write one JSON object per day, and one at the end.")
@verbosity_options()
@click.pass_obj
def backfill(  # noqa: PLR0913  one parameter an option
    screen: Screen,
    /,
    *,
    chosen: Range,
    inventory: str | None,
    queue_url: str | None,
    manifest: Path | None,
    as_json: bool,
    **how: Any,  # noqa: ANN401  click's
) -> int:
    """
    Ingest the objects of a range of time that are not in yet.

    An object is wanted if its five minutes overlap the range. The ledger knows which objects are
    complete: those are left out, so a run that was interrupted, or killed, goes on where it was
    when it is started again. Nothing is indexed twice, whatever else ingests the same objects.

    Ctrl-C finishes the objects under way and ends; a second one ends at once.

    \b
    Examples:
      alb-logs backfill --bucket my-logs --from 2026-11-01 --to 2026-11-08 --dry-run
      alb-logs backfill --bucket my-logs --from yesterday --to today --workers 4
      alb-logs backfill --bucket my-logs --from "2h ago" --load-balancer frontend-alb
      alb-logs backfill --bucket my-logs --from 2026-01-01 --queue-url https://sqs.…/alb-logs
      alb-logs backfill --bucket my-logs --from 2025-01-01 --manifest manifest.csv

    Exit codes: 0 all is in, 1 an object failed, 2 the call or a setting is wrong, 130 stopped by
    Ctrl-C.
    """  # noqa: D301  \b is click's
    choice = _choice(resume=how["resume"], retry_failed=how["retry_failed"])
    _refuse_together(
        {"--manifest": manifest, "--queue-url": queue_url},
        {"--dry-run": how["dry_run"]} if manifest else {"--overwrite": how["overwrite"]},
    )
    with screen.waiting("Elasticsearch"):
        pipeline = open_pipeline(Config.from_env(), route=BACKFILL)
    require_ledger(pipeline.store)
    selection = Selection(_objects(chosen, inventory, pipeline), choice, pipeline.store)
    if manifest:
        return _write_manifest(screen, selection, manifest, as_json=as_json)
    plan = _plan(screen, selection)
    if how["dry_run"]:
        show_plan(screen, _measured(screen, plan, pipeline), how["workers"], as_json=as_json)
        return 0
    if not how["force"]:
        refuse_doomed(plan)
    if queue_url:
        aim = Aim(queue_url, plan.survey.total.objects, wait=how["wait"], as_json=as_json)
        return fan_out(screen, selection, aim)
    connections = max(how["workers"], Config.from_env().es_connections)
    work = Work(BACKFILL, connections, overwrite=how["overwrite"])
    workers = Workers(how["workers"], work, open_for)
    return RangeRun(screen, plan.survey, as_json=as_json).go(selection, workers)


def _choice(*, resume: bool, retry_failed: bool) -> Choice:
    if retry_failed:
        if not resume:
            raise click.UsageError("--retry-failed asks the ledger, and --no-resume leaves it out")
        return Choice.STUCK
    return Choice.OPEN if resume else Choice.ALL


def _refuse_together(ways: Mapping[str, object], others: Mapping[str, object]) -> None:
    """Raise UsageError where somebody else is to do the work, and an option says how to do it."""
    chosen = [name for name, value in ways.items() if value]
    wrong = [name for name, value in others.items() if value]
    if len(chosen) > 1 or (chosen and wrong):
        raise click.UsageError(f"{' and '.join([*chosen, *wrong])} do not go together: keep one")


def _objects(chosen: Range, inventory: str | None, pipeline: Pipeline) -> Objects:
    """Return what lists the objects: the bucket, or an inventory of it."""
    bucket = chosen.bucket or ""

    def listed() -> Iterator[ObjectRef]:
        if inventory:
            return objects_of_inventory(
                inventory, chosen.wanted, bucket=bucket, client_of=pipeline.buckets.client_of
            )
        s3 = pipeline.buckets.client_of(bucket)
        return objects_between(bucket, chosen.wanted, s3=s3, prefix=chosen.prefix)

    return listed


def _plan(screen: Screen, selection: Selection) -> Plan:
    found = Survey()

    def in_words() -> str:
        listed = found.total.objects + found.done.objects
        return f"Listing: {listed:,} objects, {found.done.objects:,} of them complete"

    def as_dict() -> dict[str, Any]:
        return {"listed": found.total.objects + found.done.objects, "done": found.done.objects}

    with tracked(screen, in_words, as_dict):
        survey(with_entries(selection.objects(), selection.store), selection.choice, found)
        return plan_run(found, selection.store, datetime.now(UTC))


def _measured(screen: Screen, plan: Plan, pipeline: Pipeline) -> Plan:
    refs = plan.survey.sample
    about = f"Trying {len(refs)} objects, to estimate the time"
    with tracked(screen, lambda: about, lambda: {"trying": len(refs)}):
        return replace(plan, sample=measure(refs, pipeline))


def _write_manifest(screen: Screen, selection: Selection, file: Path, *, as_json: bool) -> int:
    written = 0

    def counted() -> Iterator[ObjectRef]:
        nonlocal written
        for ref in selection.due():
            yield ref
            written += 1

    with (
        tracked(screen, lambda: f"Listing: {written:,} objects", lambda: {"written": written}),
        file.open("w", newline="", encoding="utf-8") as stream,
    ):
        write_manifest(counted(), stream)
    if as_json:
        screen.write_json({"manifest": f"{file}", "objects": written})
    else:
        screen.say(f"{written:,} objects in {file}; docs/deploy.md says how a job is made of it")
    return 0
