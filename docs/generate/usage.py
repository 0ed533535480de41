"""Write the pages that say how to use the pipeline: commands, settings, metrics."""

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

import click

from pipeline.cli.group import alb_logs
from pipeline.config import Config, variable_of
from pipeline.metrics import METRICS

_WIDTH = 80
"""Columns of the help text, however wide the terminal is."""

_COMMANDS = """\
# Commands

The `--help` of each command (`make docs` writes this page). Results go to standard output,
everything else to standard error. On a terminal long work shows its progress; in a pipe it is
silent but for warnings, such as that Elasticsearch has taken nothing for five seconds.
"""

_SETTINGS = """\
# Settings

Every setting is an environment variable, read once by `pipeline/config.py` (`make docs` writes this
page). If one is wrong or missing, the command or invocation ends with its name and the fix. Secrets
are never printed: [security](security.md) says how they are kept.

AWS settings are boto3's own: `AWS_DEFAULT_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` and the like.

Set either the addresses of Elasticsearch or a cloud id. Authenticate in at most one way: an API
key, a parameter or a secret that holds one, or a user with a password.
"""

_METRICS = """\
# Metrics

What the Lambda function counts, in the CloudWatch namespace `alb-logs` (`make docs` writes this
page). Each metric is summed over the objects of an invocation. This costs no API call, because
CloudWatch reads the metrics from the function's log.

For every object, Lines = Indexed + Duplicates + Rejected + Filtered + Blank + Truncated; for one
that failed, of the part before the failure.
"""


def commands_page() -> str:
    """Return `docs/cli.md`."""
    top = _context("alb-logs", alb_logs)
    below = [
        _context(name, command, top)
        for name in alb_logs.list_commands(top)
        if (command := alb_logs.get_command(top, name))
    ]
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
    """Return `docs/settings.md`."""
    return _SETTINGS + "\n" + table(("variable", "default", "what it says"), _setting_rows())


def metrics_page() -> str:
    """Return `docs/metrics.md`."""
    rows = ((f"`{name}`", metric.unit, metric.about) for name, metric in METRICS.items())
    return _METRICS + "\n" + table(("metric", "unit", "what it counts"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
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
