"""
The pattern file means the same to a second grok engine.

Oniguruma is the C library whose Java port matches grok patterns in Logstash.
"""

import re
from datetime import UTC, datetime

import onigurumacffi
import pytest
from pygrok import Grok

from devstack.traffic import (
    bad_lines,
    connection_lines,
    health_check_lines,
    odd_lines,
    ordinary_lines,
)
from pipeline.alb.fields import COLUMNS, Kind
from pipeline.alb.parsing import kind_of_line
from pipeline.shipped import shipped
from tests.unit.test_golden import CASES

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
PATTERNS = shipped("logstash/patterns")


def expand(kind: Kind) -> str:
    """Expand a grok pattern as Logstash does: captures are named groups."""
    lines = (PATTERNS / "alb").read_text(encoding="ascii").splitlines()
    known = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    pattern = f"%{{ALB_{kind.name}}}"
    while "%{" in pattern:
        pattern = re.sub(
            r"%\{(\w+)(?::(\w+))?\}",
            lambda found: f"(?{f'<{found[2]}>' if found[2] else ':'}{known[found[1]]})",
            pattern,
        )
    return pattern


class Oniguruma:
    """The second engine, for one kind of line."""

    def __init__(self, kind: Kind) -> None:
        """Compile the kind's pattern."""
        pattern = expand(kind)
        self._names = re.findall(r"\(\?<(\w+)>", pattern)
        self._compiled = onigurumacffi.compile(pattern)

    def match(self, text: str) -> dict[str, str | None] | None:
        """Give what each name captured."""
        found = self._compiled.match(text)
        if found is None:
            return None
        # It gives an empty text for a group that took no part; no column is ever empty.
        return {name: found.group(at) or None for at, name in enumerate(self._names, start=1)}


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Give every golden line, and generated ones of every sort."""
    golden = [line for path in CASES for line in path.read_bytes().split(b"\n")]
    return [
        *golden,
        *ordinary_lines(5, 500, start=START),
        *odd_lines(6, 1_000, start=START),
        *bad_lines(7, 500, start=START),
        *connection_lines(8, 300, start=START),
        *health_check_lines(9, 300, start=START),
    ]


@pytest.mark.parametrize("kind", Kind)
def test_both_engines_capture_the_same(kind: Kind, lines: list[bytes]) -> None:
    """On every line both engines match or neither, and every capture is equal."""
    pygrok = Grok(f"%{{ALB_{kind.name}}}", custom_patterns_dir=str(PATTERNS))
    oniguruma = Oniguruma(kind)
    texts = [line.decode("latin-1") for line in lines if len(line) < 20_000]

    matched = 0
    for text in texts:
        captured = pygrok.match(text)
        wanted = captured and {name: part or None for name, part in captured.items()}
        assert oniguruma.match(text) == wanted, text
        matched += captured is not None

    assert matched > 200


@pytest.mark.parametrize("kind", Kind)
def test_pattern_captures_the_columns_of_the_table(kind: Kind) -> None:
    """The pattern's names are the field table's columns, in their order, and the tail."""
    names = re.findall(r"\(\?<(\w+)>", expand(kind))

    assert names == [*(column.name for column in COLUMNS[kind]), "extra_fields"]


def test_lines_are_told_apart() -> None:
    """Each generated line is taken for the log it is of."""
    kinds = {
        Kind.ACCESS: ordinary_lines(1, 100, start=START),
        Kind.CONNECTION: connection_lines(1, 100, start=START),
        Kind.HEALTH_CHECK: health_check_lines(1, 100, start=START),
    }
    for kind, lines in kinds.items():
        assert {kind_of_line(line) for line in lines} == {kind}
