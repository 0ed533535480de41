"""A run of `alb-logs`, in this process or another."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of the command ended, and what it printed."""

    code: object
    out: str
    err: str

    @property
    def said(self) -> str:
        """Return the one sentence on standard error, without the command's name before it."""
        (line,) = self.err.splitlines()
        assert line.startswith("alb-logs: ")
        return line.removeprefix("alb-logs: ")


Command = Callable[..., Run]
"""Run the command in this process, with these arguments."""
