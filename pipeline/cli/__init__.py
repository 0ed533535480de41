"""
The command `alb-logs`: a thin file per command; what commands share is in `options` and `screen`.

Exit codes are the same everywhere: 0 success, 1 something failed or was rejected, 2 the call or a
setting is wrong, 130 interrupted by Ctrl-C.
"""

import os
import sys
import threading
from typing import NoReturn

_INTERRUPTED = 130

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit, by Ctrl-C too, at any moment: even while code is loaded."""
    try:
        from pipeline.cli.group import run  # noqa: PLC0415  takes time, during which it is guarded

        code = run(arguments)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Exit; after an interruption without waiting for requests that are still under way."""
    if code == _INTERRUPTED and any(each.name.startswith("bulk") for each in threading.enumerate()):
        os._exit(code)
    sys.exit(code)
