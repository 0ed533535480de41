"""
Fuzz for as long as you like: `python -m tests.fuzz --seconds 3600 --seed 7`.

Targets take turns. A case that fails is made as small as its target allows and kept under
`corpus/`, where every later test run checks it again.
"""

import argparse
import hashlib
import sys
import time
import traceback
from dataclasses import dataclass
from itertools import cycle

from tests.fuzz.targets import TARGETS, Target, cases_of, checked, smallest

_TURN_SECONDS = 20.0
_REPORT_SECONDS = 300.0


@dataclass(slots=True)
class Score:
    """What was done for one target."""

    inputs: int = 0
    cases: int = 0
    seconds: float = 0.0
    found: int = 0


def main() -> int:
    """Run the targets in turns until the time is up; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long, all targets together"
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same inputs")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this, repeatable")
    chosen = parser.parse_args()
    scores = run(chosen.target or [*TARGETS], chosen.seed, chosen.seconds)
    _report(scores, chosen.seed)
    return 1 if any(score.found for score in scores.values()) else 0


def run(names: list[str], seed: int, seconds: float) -> dict[str, Score]:
    """Fuzz these targets in turns."""
    scores = {name: Score() for name in names}
    start = reported = time.monotonic()
    for name in cycle(names):
        left = start + seconds - time.monotonic()
        if left <= 0:
            return scores
        _turn(TARGETS[name], seed, min(left, _TURN_SECONDS), scores[name])
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            _report(scores, seed)
    raise AssertionError("there is no target")


def _turn(target: Target, seed: int, seconds: float, score: Score) -> None:
    start = time.monotonic()
    for case in cases_of(target, seed, score.cases):
        score.cases += 1
        try:
            score.inputs += checked(target, case)
        except Exception:  # noqa: BLE001  anything at all is a find
            score.found += 1
            _keep(target, case)
        if time.monotonic() - start > seconds:
            break
    score.seconds += time.monotonic() - start


def _keep(target: Target, case: bytes) -> None:
    traceback.print_exc()
    small = smallest(target, case)
    path = target.corpus / hashlib.sha256(small).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(small)
    print(f"{target.name}: found {path} ({len(small)} bytes)", flush=True)  # noqa: T201


def _report(scores: dict[str, Score], seed: int) -> None:
    for name, score in scores.items():
        print(  # noqa: T201
            f"{name:20} {score.inputs:>12,} inputs in {score.cases:>9,} cases,"
            f" {score.seconds:>8,.0f} s, {score.found} found"
        )
    total = sum(score.inputs for score in scores.values())
    print(f"seed {seed}: {total:,} inputs", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
