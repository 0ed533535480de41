"""Write the pages of `docs/` that say how the front doors are used: commands, settings, metrics."""

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

import click

from pipeline.cli.main import alb_logs
from pipeline.config import Config, variable_of
from pipeline.metrics import METRICS

_WIDTH = 80
"""Of the help, whatever terminal the page is written on."""

_COMMANDS = """\
# Commands

What each command says of itself with `--help` (`make docs` writes this page).
"""

_SETTINGS = """\
# Settings

Every setting is an environment variable, read once by `pipeline/config.py` (`make docs` writes this
page). A wrong or missing one ends the command or the invocation with its name and the fix. Secrets
are never printed.

AWS settings are boto3's own: `AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` and the like.

Say where Elasticsearch is by addresses or by a cloud id, never both. Authenticate in at most one
way: an API key, a parameter or a secret that holds one, or a user with a password.
"""

_METRICS = """\
# Metrics

What the Lambda function counts, in the CloudWatch namespace `alb-logs` (`make docs` writes this
page). Each is summed over the objects of an invocation; it costs no call, for CloudWatch reads it
out of the function's log.

For every object, Lines = Indexed + Duplicates + Rejected + Filtered + Blank + Truncated, of the
part that was ingested before it failed, if it failed.
"""


def commands_page() -> str:
    """Give `docs/cli.md`."""
    top = _context("alb-logs", alb_logs)
    below = [_context(name, alb_logs.commands[name], top) for name in sorted(alb_logs.commands)]
    sections = (
        f"## `{context.command_path}`\n\n```text\n{context.get_help()}\n```\n"
        for context in (top, *below)
    )
    return "\n".join((_COMMANDS, *sections))


def _context(
    name: str, command: click.Command, parent: click.Context | None = None
) -> click.Context:
    return command.make_context(name, [], parent, resilient_parsing=True, terminal_width=_WIDTH)


def settings_page() -> str:
    """Give `docs/settings.md`."""
    return _SETTINGS + "\n" + table(("variable", "default", "what it says"), _setting_rows())


def metrics_page() -> str:
    """Give `docs/metrics.md`."""
    rows = ((f"`{name}`", metric.unit, metric.about) for name, metric in METRICS.items())
    return _METRICS + "\n" + table(("metric", "unit", "what it counts"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Give a Markdown table."""
    names = list(head)
    lines = [names, ["--"] * len(names), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _setting_rows() -> Iterator[tuple[str, str, str]]:
    for setting in fields(Config):
        secret = "" if setting.repr else " (secret)"
        about = setting.metadata["about"] + secret
        yield f"`{variable_of(setting.name)}`", _default(setting), about


def _default(setting: Field[Any]) -> str:
    default = setting.default
    if default is MISSING or default is None or default == ():
        return ""
    return f"`{str(default).lower()}`"
