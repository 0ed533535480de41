"""Join the commands into `alb-logs`, and turn every error into one sentence and an exit code."""

import sys
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from pipeline.cli.screen import Screen, complain, verbosity_options
from pipeline.errors import ConfigError, PipelineError
from pipeline.version import VERSION

_COMMANDS = {
    "audit": "Say what of a range of time is missing, and ingest it.",
    "backfill": "Ingest the objects of a range of time.",
    "completion": "Print what makes a shell complete commands and options.",
    "connect": "Have a bucket announce its new objects.",
    "erase": "Strip what is personal from a person's documents.",
    "ingest": "Index one S3 object or file now.",
    "parse": "Turn log lines into documents, on standard output.",
    "raw": "Print the raw lines of documents, found again in S3.",
    "replay": "Index what is in dead letters and can be indexed today.",
    "setup": "Prepare a cluster: templates, lifecycle, enrichment.",
}
"""Each command is the function of its name in the module of its name, loaded when it is called."""

_SETTINGS = """\b
Settings are environment variables, all listed in docs/settings.md:
  ALB_LOGS_ES_URL       address of Elasticsearch
  ALB_LOGS_ES_API_KEY   its API key (or ALB_LOGS_ES_USERNAME and _PASSWORD)
  AWS_…                 as every AWS tool reads them

\b
Exit codes: 0 success, 1 something failed or was rejected,
2 the call or a setting is wrong, 130 interrupted by Ctrl-C."""

_FAILED, _WRONG, _INTERRUPTED = 1, 2, 130


class _Commands(click.Group):
    """
    Load a command only when it is called.

    The libraries of AWS and Elasticsearch take ten times as long to load as parsing a file needs.
    """

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None where there is none of this name."""
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"pipeline.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101  for the type checker
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without loading any, or an option."""
        commands = [
            CompletionItem(name, help=about)
            for name, about in sorted(_COMMANDS.items())
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=_Commands,
    name="alb-logs",
    epilog=_SETTINGS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@verbosity_options()
@click.version_option(VERSION, prog_name="alb-logs")
@click.pass_context
def alb_logs(context: click.Context) -> None:
    """Load AWS Application Load Balancer logs into Elasticsearch, every line once."""
    context.with_resource(context.ensure_object(Screen).log_lines())


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code. Whatever fails is said in one sentence."""
    try:
        code = alb_logs.main(arguments, prog_name="alb-logs", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except ConfigError as error:
        complain(str(error))
        code = _WRONG
    except PipelineError as error:
        complain(str(error), has_lines=error.has_lines)
        code = _FAILED
    except click.Abort as error:
        code = _aborted(error)
    except OSError as error:  # of click's own output: help, the version
        sys.stdout = None  # Python would fail to flush it again
        complain(f"{error.filename or 'standard output'} cannot be written: {error.strerror}")
        code = _FAILED
    return code or 0


def _aborted(error: click.Abort) -> int:
    """Say that a command ended early; click hides a Ctrl-C behind its own exception."""
    if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
        complain("interrupted; it is safe to run it again")
        return _INTERRUPTED
    complain("nothing was answered")
    return _FAILED
