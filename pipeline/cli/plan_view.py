"""Show what a run over a range would do: for people, or as JSON."""

from collections.abc import Iterator
from typing import Any

from pipeline.cli.screen import Screen
from pipeline.cli.tracking import spell
from pipeline.jobs.planning import Plan


def show_plan(screen: Screen, plan: Plan, workers: int, *, as_json: bool) -> None:
    """Write a plan to standard output."""
    if as_json:
        screen.write_json(_as_json(plan, workers))
        return
    for line in _in_words(plan, workers):
        screen.say(line)


def _as_json(plan: Plan, workers: int) -> dict[str, Any]:
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


def _in_words(plan: Plan, workers: int) -> Iterator[str]:
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
    fit = (
        "they fit" if shards.fit else "they do NOT fit: `alb-logs setup --period month` needs less"
    )
    yield f"{shards.needed} shards more; the cluster has {shards.present} of {shards.most}: {fit}"
