"""
The command `alb-logs`: thin front doors to the rooms, one file per command.

Exit codes are the same everywhere: 0 all well, 1 something failed or was rejected, 2 the call or a
setting is wrong.
"""

from pipeline.cli.main import main

__all__ = ["main"]
