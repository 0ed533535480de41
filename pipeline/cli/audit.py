"""The command `audit`: say what of a range of time is not in Elasticsearch, and ingest it."""

import click

from pipeline.cli.audit_run import AuditRun
from pipeline.cli.options import json_option
from pipeline.cli.ranges import Range, range_options
from pipeline.cli.screen import Screen, verbosity_options
from pipeline.config import Config
from pipeline.jobs.workers import Work
from pipeline.recording import BACKFILL
from pipeline.sink.ledger import require_ledger
from pipeline.wiring import open_pipeline


@click.command
@range_options()
@click.option(
    "--deep",
    is_flag=True,
    help="Read every object again and look for each of its lines, instead of asking the ledger.",
)
@click.option("--repair", is_flag=True, help="Ingest what is not in, and audit it again.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Processes that ingest for --repair.",
)
@json_option(
    "Write one JSON object per object that is not in, day and load balancer; one at the end."
)
@verbosity_options()
@click.pass_obj
def audit(  # noqa: PLR0913  one parameter an option
    screen: Screen, /, *, chosen: Range, deep: bool, repair: bool, workers: int, as_json: bool
) -> int:
    """
    Say what of a range of time is missing, by the bucket and the ledger.

    Each object of the range is ingested, or else missing (nobody read it), failed, partial, changed
    (overwritten since) or, by --deep, incomplete: lines of it are neither documents nor dead
    letters. A line is found whoever indexed it and from whichever copy of the object.

    An interval without an object, in which other load balancers of the same account and region
    have some, was never delivered by AWS, as far as the bucket shows. It is listed apart, and
    does not change the exit code: AWS delivers logs on a best-effort basis, and a load balancer
    without traffic writes none.

    \b
    Examples:
      alb-logs audit --bucket my-logs --from yesterday --to today
      alb-logs audit --bucket my-logs --from 2026-11-01 --to 2026-11-08 --deep
      alb-logs audit --bucket my-logs --from "2d ago" --load-balancer frontend-alb --repair
      alb-logs audit --bucket my-logs --from 2026-11-01 --json | jq 'select(.verdict)'

    Exit codes: 0 nothing is missing, 1 something is, 2 the call or a setting is wrong, 130 stopped
    by Ctrl-C.
    """  # noqa: D301  \b is click's
    config = Config.from_env()
    with screen.waiting("Elasticsearch"):
        pipeline = open_pipeline(config, route=BACKFILL)
    require_ledger(pipeline.store)
    run = AuditRun(screen, pipeline, deep=deep, as_json=as_json)
    work = Work(BACKFILL, max(workers, config.es_connections))
    return run.go(chosen, workers, work if repair else None)
