"""
Run the parent's part of a backfill over so many objects, and print the peak of its memory in bytes.

    python -m tests.support.backfill_process OBJECTS

The listing is made up, the ledger knows nothing, and the process that ingests only counts.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.cli.range_run import RangeRun
from pipeline.cli.screen import Screen
from pipeline.jobs.backfill import Selection
from pipeline.jobs.selecting import Choice, Survey, survey, with_entries
from pipeline.jobs.workers import Work, Workers
from pipeline.source.objects import ObjectRef
from tests.support.ledgers import store_of
from tests.support.workers import obeying, ref_at


def main() -> None:
    """Run, and print the peak."""
    number = int(sys.argv[1])

    def listed() -> Iterator[ObjectRef]:
        return (ref_at(at) for at in range(number))

    selection = Selection(listed, Choice.OPEN, store_of({}))
    found = Survey()
    survey(with_entries(listed(), selection.store), Choice.OPEN, found)
    code = RangeRun(Screen(), found, as_json=True).go(
        selection, Workers(1, Work("backfill", 1), obeying)
    )
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    print(json.dumps({"code": code, "peak": int(peak) * 1024}))  # noqa: T201


if __name__ == "__main__":
    main()
