"""The command `completion`: have the shell complete commands, options and files."""

import click
from click.shell_completion import get_completion_class

from pipeline.cli.screen import Screen, verbosity_options

_SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_ALB_LOGS_COMPLETE"
"""By which the shell asks `alb-logs` what is possible."""


@click.command
@click.argument("shell", type=click.Choice(_SHELLS))
@verbosity_options()
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Print the script that makes a shell complete commands, options and files.

    \b
    Examples:
      alb-logs completion bash > ~/.local/share/bash-completion/completions/alb-logs
      alb-logs completion zsh > "${fpath[1]}/_alb-logs"
      alb-logs completion fish > ~/.config/fish/completions/alb-logs.fish
      source <(alb-logs completion bash)     # for this shell only

    Exit codes: 0 done, 2 the call is wrong.
    """  # noqa: D301  \b is click's
    kind = get_completion_class(shell)
    root = context.find_root()
    assert kind is not None  # noqa: S101  click has all three
    script = kind(root.command, {}, "alb-logs", _VARIABLE).source()
    context.ensure_object(Screen).write(script + "\n")
