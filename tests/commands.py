"""What a run of `alb-logs` gives, in this process or another."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the command gave."""

    code: object
    out: str
    err: str

    @property
    def said(self) -> str:
        """Give the one sentence on standard error, without the command's name before it."""
        (line,) = self.err.splitlines()
        assert line.startswith("alb-logs: ")
        return line.removeprefix("alb-logs: ")
