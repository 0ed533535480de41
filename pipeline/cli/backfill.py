"""The command `backfill`: ingest the objects of a range of time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import json_option
from pipeline.cli.ranges import Range, range_options
from pipeline.cli.screen import Screen, complain, verbosity_options
from pipeline.cli.stopping import stoppable
from pipeline.cli.tracking import Standing, spell, tracked
from pipeline.clients.aws import make_sqs
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.jobs.backfill import Objects, Selection, run_backfill
from pipeline.jobs.fanout import send_objects
from pipeline.jobs.manifest import write_manifest
from pipeline.jobs.pace import Pace
from pipeline.jobs.planning import Plan, measure, plan_run, refuse_doomed
from pipeline.jobs.selecting import Choice, Survey, day_of, survey, with_entries
from pipeline.jobs.workers import Done, Note, Work, Workers
from pipeline.outcome import Outcome, Tally
from pipeline.recording import BACKFILL
from pipeline.source.inventory import objects_of_inventory
from pipeline.source.listing import objects_between
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline, Queue, open_pipeline

_STOPPED = 130
_MOST_FAILED_SHOWN = 20
_FOLLOW_SECONDS = 15.0


@click.command
@range_options()
@click.option(
    "--dry-run", is_flag=True, help="Show what would be done, and how long it would take; do it not."
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
@click.option("--retry-failed", is_flag=True, help="Only what failed, or is in by half.")
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
    with screen.waiting("Elasticsearch"):
        pipeline = open_pipeline(Config.from_env(), route=BACKFILL)
    choice = _choice(resume=how["resume"], retry_failed=how["retry_failed"])
    selection = Selection(_objects(chosen, inventory, pipeline), choice, pipeline.store)
    if manifest:
        return _write_manifest(screen, selection, manifest)
    plan = _plan(screen, selection)
    if how["dry_run"]:
        _show_plan(screen, _measured(screen, plan, pipeline), how["workers"], as_json=as_json)
        return 0
    if not how["force"]:
        refuse_doomed(plan)
    if queue_url:
        return _fan_out(screen, selection, plan, queue_url, wait=how["wait"])
    connections = max(how["workers"], Config.from_env().es_connections)
    work = Work(BACKFILL, connections, overwrite=how["overwrite"])
    return _Run(screen, plan.survey, as_json=as_json).go(selection, how["workers"], work)


def _choice(*, resume: bool, retry_failed: bool) -> Choice:
    if retry_failed:
        if not resume:
            raise click.UsageError("--retry-failed asks the ledger, and --no-resume leaves it out")
        return Choice.STUCK
    return Choice.OPEN if resume else Choice.ALL


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


# --- before anything is done ---------------------------------------------------------------------


def _plan(screen: Screen, selection: Selection) -> Plan:
    found = Survey()

    def in_words() -> str:
        listed = found.total.objects + found.done.objects
        return f"Listing: {listed:,} objects, {found.done.objects:,} of them complete"

    def as_dict() -> dict[str, Any]:
        return {"listed": found.total.objects + found.done.objects, "done": found.done.objects}

    with tracked(screen, in_words, as_dict) as show:

        def watch(so_far: Survey) -> None:
            nonlocal found
            found = so_far
            show()

        found = survey(with_entries(selection.objects(), selection.store), selection.choice, watch)
    return plan_run(found, selection.store, datetime.now(UTC))


def _measured(screen: Screen, plan: Plan, pipeline: Pipeline) -> Plan:
    with screen.waiting("a few objects that are read to estimate the time"):
        return replace(plan, sample=measure(plan.survey.sample, pipeline))


def _show_plan(screen: Screen, plan: Plan, workers: int, *, as_json: bool) -> None:
    if as_json:
        screen.write_json(_plan_as_json(plan, workers))
        return
    for line in _plan_in_words(plan, workers):
        screen.say(line)


def _plan_as_json(plan: Plan, workers: int) -> dict[str, Any]:
    total, seconds = plan.survey.total, plan.seconds
    return {
        "dry_run": True,
        "objects": total.objects,
        "bytes_stored": total.bytes,
        "complete_already": plan.survey.done.objects,
        "lines_estimated": plan.lines,
        "seconds_estimated": None if seconds is None else round(seconds / workers, 1),
        "days": {f"{day}": count for day, count in sorted(plan.survey.days.items())},
        "indices": sorted(plan.indices),
        "new_indices": sorted(plan.new_indices),
        "shards_needed": plan.shards.needed,
        "shards_present": plan.shards.present,
        "shards_most": plan.shards.most,
        "days_deleted_at_once": [f"{day}" for day in plan.doomed],
    }


def _plan_in_words(plan: Plan, workers: int) -> Iterator[str]:
    total, days = plan.survey.total, sorted(plan.survey.days)
    lines = "" if plan.lines is None else f", about {plan.lines:,} lines"
    yield f"{total.objects:,} objects to read, {total.bytes / 1e6:,.1f} MB as stored{lines}"
    yield f"{plan.survey.done.objects:,} objects are complete already, by the ledger"
    for day in days:
        objects = plan.survey.days[day]
        yield f"  {day}  {objects:,} objects" + (" (deleted at once)" if day in plan.doomed else "")
    yield f"{len(plan.indices)} indices, {len(plan.new_indices)} of them new"
    yield from _shards_in_words(plan)
    if plan.seconds is not None:
        yield (
            f"{spell(plan.seconds / workers)} for {workers} workers to read and encode, by "
            f"{plan.sample.lines:,} lines that were tried; Elasticsearch may need longer"
        )
    if plan.doomed:
        yield f"The lifecycle would delete {len(plan.doomed)} of the days at once: --force, or not"
    yield "Nothing was changed."


def _shards_in_words(plan: Plan) -> Iterator[str]:
    shards = plan.shards
    if shards.most is None or shards.present is None:
        yield f"{shards.needed} shards more; how many the cluster may have, this role cannot see"
        return
    fit = "they fit" if shards.fit else "they do NOT fit: `alb-logs setup --period month` needs less"
    yield f"{shards.needed} shards more; the cluster has {shards.present} of {shards.most}: {fit}"


def _write_manifest(screen: Screen, selection: Selection, file: Path) -> int:
    with screen.waiting("the listing"), file.open("w", newline="", encoding="utf-8") as stream:
        count = write_manifest(selection.due(), stream)
    screen.say(f"{count:,} objects in {file}; docs/deploy.md says how a job is made of it")
    return 0


# --- the run -------------------------------------------------------------------------------------


class _Run:
    """One run by processes of our own: shows it day by day, and says at the end what is missing."""

    def __init__(self, screen: Screen, found: Survey, *, as_json: bool) -> None:
        self._screen, self._as_json = screen, as_json
        self._standing = Standing(found.total.objects, found.total.bytes)
        self._left = found.days.copy()
        self._days: dict[date, Standing] = {}
        self._failed: list[Done] = []

    def go(self, selection: Selection, workers: int, work: Work) -> int:
        """Ingest; return the exit code."""
        standing, pace = self._standing, Pace(workers)
        with stoppable() as stopped, self._told():
            with tracked(self._screen, standing.in_words, standing.as_dict) as show:
                with Workers(min(workers, max(1, standing.objects)), work) as processes:
                    for event in run_backfill(selection, processes, pace, self._hears(stopped)):
                        self._take(event)
                        show()
        if stopped():
            return _STOPPED
        return int(bool(self._failed))

    def _hears(self, stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Return what tells whether to stop, and says so once."""
        said = False

        def hears() -> bool:
            nonlocal said
            if stopped() and not said:
                said = True
                self._screen.note("finishing the objects under way; Ctrl-C again ends at once")
            return said

        return hears

    def _take(self, event: object) -> None:
        match event:
            case Note(text):
                self._screen.note(text)
            case Done(ref, outcome):
                self._add(ref, outcome)

    def _add(self, ref: ObjectRef, outcome: Outcome) -> None:
        day = day_of(ref)
        self._standing.add(ref, outcome)
        if day not in self._days:
            self._days[day] = Standing(self._standing.objects, 0)
        self._days[day].add(ref, outcome)
        if outcome.error:
            self._failed.append(Done(ref, outcome))
        if outcome.unrecorded:
            complain(f"{ref.key}: the ledger has no entry of it: {outcome.unrecorded}")
        self._left[day] -= 1
        if self._left[day] <= 0:
            self._say_day(day, self._days.pop(day))

    def _say_day(self, day: date, standing: Standing) -> None:
        if self._as_json:
            terms = standing.tally.as_dict()
            told = {"day": f"{day}", "objects": standing.done, "failed": standing.failed, **terms}
            self._screen.write_json(told)
        else:
            self._screen.say(f"{day}: {_in_words(standing)}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say at the end, whatever ends it, what is in and what is not."""
        try:
            yield
        finally:
            for day, standing in sorted(self._days.items()):
                self._say_day(day, standing)
            self._say_end()

    def _say_end(self) -> None:
        standing = self._standing
        for each in self._failed[:_MOST_FAILED_SHOWN]:
            complain(f"{each.ref.key} failed: {each.outcome.error}")
        if more := len(self._failed) - _MOST_FAILED_SHOWN:
            complain(f"… and {more:,} more objects failed") if more > 0 else None
        if self._as_json:
            reasons = [
                {"key": each.ref.key, "type": type(each.outcome.error).__name__,
                 "message": f"{each.outcome.error}"}
                for each in self._failed
            ]
            self._screen.write_json({"total": standing.as_dict(), "failures": reasons})
        else:
            took = f"{spell(standing.seconds)}, {standing.rate:,.0f} lines/s"
            self._screen.say(f"Together: {_in_words(standing)}; {took}")
        if self._failed:
            self._screen.note("run it again with --retry-failed once the reasons are dealt with")
        if standing.done < standing.objects:
            left = standing.objects - standing.done
            self._screen.note(f"{left:,} objects are left: run the same command again to go on")


def _in_words(standing: Standing) -> str:
    tally = standing.tally
    return (
        f"{standing.done:,} objects, {tally.lines:,} lines, {tally.indexed:,} indexed, "
        f"{tally.duplicates:,} duplicates, {tally.rejected:,} rejected, {standing.failed:,} failed"
    )


# --- the queue -----------------------------------------------------------------------------------


def _fan_out(screen: Screen, selection: Selection, plan: Plan, url: str, *, wait: bool) -> int:
    """Send what is due to the function's queue; follow the ledger until it is in."""
    sent = 0
    total = plan.survey.total.objects

    def count(number: int) -> None:
        nonlocal sent
        sent = number

    with tracked(screen, lambda: f"{sent:,} of {total:,} sent", lambda: {"sent": sent}):
        send_objects(selection.due(), Queue(url, make_sqs()), watch=count)
    screen.say(f"{sent:,} objects were sent to {url}")
    return 0
