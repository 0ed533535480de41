"""The named cases under tests/data/alb: raw lines, each file beside what must come of it."""

from pathlib import Path

CASES = sorted((Path(__file__).parent.parent / "data" / "alb").glob("*.log"))
