"""The command `setup`: prepare a cluster for ALB logs."""

import json
from dataclasses import dataclass, replace
from typing import Any

import click

from pipeline.alb.document import Period
from pipeline.cli import dashboards
from pipeline.cli.options import dry_run_option, json_option
from pipeline.cli.screen import Screen, verbosity_options
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.cluster.firsts import create_first_indices
from pipeline.cluster.roles import Role, role_body
from pipeline.cluster.templates import (
    Change,
    Layout,
    Plan,
    all_parts,
    apply_setup,
    plan_setup,
    recorded_layout,
)
from pipeline.config import Config


@click.command
@click.option(
    "--period",
    type=click.Choice([each.value for each in Period]),
    help="The time that an index covers; initially a day.",
)
@click.option("--shards", type=click.IntRange(1, 1024), help="Shards of a new index; initially 1.")
@click.option(
    "--replicas", type=click.IntRange(0, 10), help="Replicas of a new index; initially 1."
)
@click.option(
    "--retention",
    type=click.IntRange(1, 36_500),
    metavar="DAYS",
    help="Delete an index this many days after its events; initially 90.",
)
@click.option(
    "--dead-letter-retention",
    type=click.IntRange(1, 36_500),
    metavar="DAYS",
    help="Keep a dead letter this many days, and at most a week longer; initially 30.",
)
@dry_run_option()
@click.option(
    "--print", "print_", is_flag=True, help="Print every request as JSON; contacts no cluster."
)
@click.option(
    "--print-role",
    type=click.Choice([each.value for each in Role]),
    help="Print the least role that this work needs, as JSON; contacts no cluster.",
)
@dashboards.kibana_options()
@click.option("--force", is_flag=True, help="Change the period of a cluster that is in use.")
@json_option()
@verbosity_options()
@click.pass_obj
def setup(  # noqa: PLR0913, PLR0917  one parameter an option
    screen: Screen,
    period: str | None,
    shards: int | None,
    replicas: int | None,
    retention: int | None,
    dead_letter_retention: int | None,
    *,
    dry_run: bool,
    print_: bool,
    print_role: str | None,
    print_dashboards: bool,
    kibana_url: str | None,
    kibana_space: str,
    monitors: tuple[dashboards.Monitor, ...],
    force: bool,
    as_json: bool,
) -> None:
    """
    Install or update what ALB logs need in Elasticsearch.

    These are index templates, lifecycle policies, an enrich pipeline and the dead-letter index. Run
    it before the first line is ingested, and again after every upgrade: what is already in place
    is left alone. An option that is not given keeps the value of the last run.

    --print-role prints the body of PUT /_security/role/alb-logs-ingest (or -operate, -setup) for
    Kibana's Dev Tools. It can also restrict an API key, in its role_descriptors: docs/security.md
    has both requests.

    --kibana-url also imports the dashboards, over those of an earlier run: docs/dashboards.md says
    what they show. Objects under other ids are left alone.

    \b
    Examples:
      alb-logs setup --dry-run
      alb-logs setup --retention 30 --replicas 2
      alb-logs setup --print > templates.json
      alb-logs setup --print-role ingest
      alb-logs setup --kibana-url https://kibana.example.org:5601 --monitor Shop=frontend-alb
      alb-logs setup --print-dashboards > dashboards.ndjson

    Exit codes: 0 done, 1 the cluster does not answer or refuses, 2 the call or a setting is
    wrong.
    """  # noqa: D301  \b is click's
    config = Config.from_env()
    given = _given(period, shards, replicas, retention, dead_letter_retention)
    if print_role:
        _print(screen, role_body(Role(print_role), config.index_prefix))
    elif print_dashboards:
        writer = dashboards.writer_for(config.index_prefix, kibana_space)
        screen.write(dashboards.saved_objects(writer, monitors))
    elif print_:
        _print(screen, _requests(replace(Layout(prefix=config.index_prefix), **given)))
    else:
        choice = dashboards.Choice(kibana_url, kibana_space, monitors)
        plan, imported = _install(screen, config, given, choice, _How(dry_run=dry_run, force=force))
        _report(screen, plan, imported, dry_run=dry_run, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    dry_run: bool
    force: bool


def _given(
    period: str | None,
    shards: int | None,
    replicas: int | None,
    retention: int | None,
    dead_letter_retention: int | None,
) -> dict[str, Any]:
    """Return what of the layout was given."""
    chosen: dict[str, Any] = {
        "period": None if period is None else Period(period),
        "shards": shards,
        "replicas": replicas,
        "retention_days": retention,
        "letter_retention_days": dead_letter_retention,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def _install(
    screen: Screen,
    config: Config,
    given: dict[str, Any],
    choice: dashboards.Choice,
    how: _How,
) -> tuple[Plan, dashboards.Import | None]:
    """Install what is missing, after a look at Kibana: a wrong address of it changes nothing."""
    es = make_elasticsearch(config)
    target = dashboards.connect(choice, config, screen)
    with screen.waiting("Elasticsearch"):
        before = recorded_layout(es, config.index_prefix) or Layout(prefix=config.index_prefix)
        wanted = replace(before, **given)
        plan = plan_setup(es, wanted, force=how.force)
        if not how.dry_run:
            apply_setup(es, plan)
    if target is None:
        return plan, None
    if not how.dry_run and not create_first_indices(es, wanted):
        screen.note(_UNTIL_THE_FIRST_LINE)
    return plan, target.run(screen, dry_run=how.dry_run)


_UNTIL_THE_FIRST_LINE = (
    "this user may not create indices: panels show errors until the first line of each log is in"
)


def _print(screen: Screen, document: object) -> None:
    screen.write(json.dumps(document, indent=2) + "\n")


def _requests(wanted: Layout) -> list[dict[str, Any]]:
    return [{"method": "PUT", "path": part.path, "body": part.body} for part in all_parts(wanted)]


def _report(
    screen: Screen,
    plan: Plan,
    imported: dashboards.Import | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    if as_json:
        parts = [
            {"what": part.what, "path": part.path, "change": part.change} for part in plan.parts
        ]
        told = {"parts": parts, "lacks": plan.lacks, "notes": plan.notes, "dry_run": dry_run}
        screen.write_json({**told, **({"kibana": imported.as_dict()} if imported else {})})
        return
    for part in plan.parts:
        screen.say(f"{part.change:<10} {part.what:<19} {part.path}")
    for lack in plan.lacks:
        screen.say(f"This cluster has {lack}.")
    for note in plan.notes:
        screen.say(f"{note}.")
    changes = sum(part.change is not Change.UNCHANGED for part in plan.parts)
    if not changes:
        screen.say("Everything is in place.")
    elif dry_run:
        screen.say(f"{changes} of {len(plan.parts)} parts would change; nothing was changed.")
    else:
        screen.say(f"{changes} of {len(plan.parts)} parts installed. The cluster is ready.")
    for line in imported.told() if imported else ():
        screen.say(line)
