"""Join the commands into `alb-logs`, and turn every error into one sentence and an exit code."""

import sys
from typing import NoReturn

import click

from pipeline.cli.connect import connect
from pipeline.cli.ingest import ingest
from pipeline.cli.parse import parse
from pipeline.cli.setup import setup
from pipeline.errors import ConfigError, PipelineError
from pipeline.version import VERSION

_SETTINGS = """\b
Settings are environment variables, all listed in docs/settings.md:
  ALB_LOGS_ES_URL       address of Elasticsearch
  ALB_LOGS_ES_API_KEY   key to it (or ALB_LOGS_ES_USERNAME and _PASSWORD)
  AWS_…                 as every AWS tool reads them

\b
Exit codes: 0 all well, 1 something failed or was rejected,
2 the call or a setting is wrong."""


@click.group(
    name="alb-logs",
    epilog=_SETTINGS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="alb-logs")
def alb_logs() -> None:
    """Carry AWS Application Load Balancer logs into Elasticsearch, every line once."""


alb_logs.add_command(parse)
alb_logs.add_command(setup)
alb_logs.add_command(ingest)
alb_logs.add_command(connect)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    try:
        alb_logs.main(arguments, prog_name="alb-logs")
    except ConfigError as error:
        click.echo(f"alb-logs: {error}", err=True)
        sys.exit(2)
    except PipelineError as error:
        click.echo(f"alb-logs: {error}", err=True)
        sys.exit(1)
