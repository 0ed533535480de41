"""The command `setup`: prepare a cluster for ALB logs."""

import json
from dataclasses import replace
from typing import Any

import click

from pipeline.alb.document import Period
from pipeline.clients.elasticsearch import make_elasticsearch
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


@click.command(short_help="Prepare a cluster: templates, lifecycle, enrichment.")
@click.option(
    "--period",
    type=click.Choice([each.value for each in Period]),
    help="How much time an index holds; day unless set up otherwise.",
)
@click.option("--shards", type=click.IntRange(1, 1024), help="Shards of a new index; first 1.")
@click.option("--replicas", type=click.IntRange(0, 10), help="Replicas of a new index; first 1.")
@click.option(
    "--retention",
    type=click.IntRange(1, 36_500),
    metavar="DAYS",
    help="Delete an index so many days after its events; first 90.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option(
    "--print", "print_", is_flag=True, help="Print every request as JSON; asks no cluster."
)
@click.option(
    "--print-role",
    type=click.Choice([each.value for each in Role]),
    help="Print the role that is least for this work, as JSON; asks no cluster.",
)
@click.option("--force", is_flag=True, help="Change the period of a cluster that is in use.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for machines.")
def setup(  # noqa: PLR0913  one parameter an option
    period: str | None,
    shards: int | None,
    replicas: int | None,
    retention: int | None,
    *,
    dry_run: bool,
    print_: bool,
    print_role: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """
    Install or update what ALB logs need in Elasticsearch.

    Index templates, lifecycle policy, enrich pipeline and the dead-letter index. Run it before the
    first line is ingested, and again after every upgrade: what is in place already stays as it is.
    What an option does not say stays as it was set up before.

    What --print-role prints is the body of PUT /_security/role/alb-logs-ingest (or -operate,
    -setup) in Kibana's Dev Tools, and may stand in an API key's role_descriptors, to restrict the
    key to it: docs/security.md has both requests.

    \b
    Examples:
      alb-logs setup --dry-run
      alb-logs setup --retention 30 --replicas 2
      alb-logs setup --print > templates.json
      alb-logs setup --print-role ingest

    Exit codes: 0 done, 1 the cluster does not answer or refuses, 2 a setting is wrong.
    """  # noqa: D301  \b is click's
    config = Config.from_env()
    if print_role:
        click.echo(json.dumps(role_body(Role(print_role), config.index_prefix), indent=2))
        return
    chosen: dict[str, Any] = {
        "period": None if period is None else Period(period),
        "shards": shards,
        "replicas": replicas,
        "retention_days": retention,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    if print_:
        _print_parts(replace(Layout(prefix=config.index_prefix), **given))
        return
    es = make_elasticsearch(config)
    before = recorded_layout(es, config.index_prefix) or Layout(prefix=config.index_prefix)
    plan = plan_setup(es, replace(before, **given), force=force)
    if not dry_run:
        apply_setup(es, plan)
    _report(plan, dry_run=dry_run, as_json=as_json)


def _print_parts(wanted: Layout) -> None:
    requests = [
        {"method": "PUT", "path": part.path, "body": part.body} for part in all_parts(wanted)
    ]
    click.echo(json.dumps(requests, indent=2))


def _report(plan: Plan, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        parts = [
            {"what": part.what, "path": part.path, "change": part.change} for part in plan.parts
        ]
        click.echo(json.dumps({"parts": parts, "lacks": plan.lacks, "dry_run": dry_run}))
        return
    for part in plan.parts:
        click.echo(f"{part.change:<10} {part.what:<19} {part.path}")
    for lack in plan.lacks:
        click.echo(f"This cluster has {lack}.")
    changes = sum(part.change is not Change.UNCHANGED for part in plan.parts)
    if not changes:
        click.echo("Everything is in place.")
    elif dry_run:
        click.echo(f"{changes} of {len(plan.parts)} parts would change; nothing was changed.")
    else:
        click.echo(f"{changes} of {len(plan.parts)} parts installed. The cluster is ready.")
