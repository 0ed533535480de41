"""
Run `alb-logs` with shorter limits of time: no test can wait for the real ones.

    python -m tests.support.ingest_process REQUEST_SECONDS=1 LONGEST_PAUSE=0.3 -- ingest …

A limit is a constant of `pipeline.sink.bulk`, or LONGEST_PAUSE: the most seconds between two
attempts. Without seconds (LONGEST_PAUSE=none) there is one attempt.
"""

import sys

from pipeline.cli import main
from pipeline.deadline import Deadline
from pipeline.sink import bulk

_back_off = Deadline.back_off


def pause_at_most(longest: float) -> None:
    """Let no pause between attempts be longer."""

    def back_off(self: Deadline, attempt: int, *, first: float = 0.25) -> bool:
        return _back_off(self, 0, first=min(longest, first * 2.0**attempt))

    Deadline.back_off = back_off  # type: ignore[method-assign]


def try_once() -> None:
    """Let there be no second attempt."""
    Deadline.back_off = lambda *_, **_first: False  # type: ignore[method-assign]


def set_limit(name: str, seconds: str) -> None:
    """Set one limit."""
    if name != "LONGEST_PAUSE":
        if not isinstance(getattr(bulk, name), float):
            raise TypeError(name)
        setattr(bulk, name, float(seconds))
    elif seconds == "none":
        try_once()
    else:
        pause_at_most(float(seconds))


if __name__ in {"__main__", "__mp_main__"}:  # the second: a process of `backfill`
    end = sys.argv.index("--")
    for limit in sys.argv[1:end]:
        set_limit(*limit.split("="))
    if __name__ == "__main__":
        main(sys.argv[end + 1 :])
