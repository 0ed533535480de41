"""
A second grok engine reads the pattern file alike, and so does the linear check that guards it.

Oniguruma is the C library whose Java port matches grok patterns in Logstash.
"""

import re
from random import Random

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
from pipeline.alb.escapes import decode_tail, decode_text
from pipeline.alb.fields import COLUMNS, Kind
from pipeline.alb.parsing import LINE_SHAPE, kind_of_line
from pipeline.shipped import shipped
from tests.fuzz.mutations import damaged_line
from tests.support.factories import START
from tests.support.golden import CASES

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
    """Match one kind of line with the second engine."""

    def __init__(self, kind: Kind) -> None:
        """Compile the kind's pattern."""
        pattern = expand(kind)
        self._names = re.findall(r"\(\?<(\w+)>", pattern)
        self._compiled = onigurumacffi.compile(pattern)

    def match(self, text: str) -> dict[str, str | None] | None:
        """Return what each name captured."""
        found = self._compiled.match(text)
        if found is None:
            return None
        # The engine returns "" for a group that took no part; no column is ever empty.
        return {name: found.group(at) or None for at, name in enumerate(self._names, start=1)}


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Return every golden line, and generated lines of every sort."""
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


@pytest.fixture(scope="module")
def damaged(lines: list[bytes]) -> list[bytes]:
    """Return 30,000 lines, most of them damaged; short ones, because the grok is not linear."""
    rng = Random(11)
    short = [line for line in lines if line and len(line) < 2_000]
    texts = [part for _ in range(30_000) for part in damaged_line(short, rng).split(b"\n")]
    return [text for text in texts if len(text) < 3_000]


@pytest.mark.parametrize("kind", Kind)
def test_the_linear_check_agrees_with_the_grok(
    kind: Kind, lines: list[bytes], damaged: list[bytes]
) -> None:
    """It lets through the lines that the grok matches, and takes off the tail that it captures."""
    grok = Grok(f"%{{ALB_{kind.name}}}", custom_patterns_dir=str(PATTERNS))
    texts = [line.decode("latin-1") for line in (*lines, *damaged) if len(line) < 3_000]

    matched = 0
    for text in texts:
        shape, captured = LINE_SHAPE[kind].fullmatch(text), grok.match(text)
        assert (shape is None) == (captured is None), text
        if shape and captured:
            assert grok.match(shape["columns"]) == captured | {"extra_fields": ""}, text
            assert shape["tail"] == captured["extra_fields"], text
            tokens = re.findall(r'"[^"]*"|[^" ]+', captured["extra_fields"])
            assert decode_tail(shape["tail"]) == [*filter(None, map(decode_text, tokens))], text
            matched += 1

    assert matched > 3_000
    assert len(texts) - matched > 3_000


@pytest.mark.parametrize("kind", Kind)
def test_pattern_captures_the_columns_of_the_table(kind: Kind) -> None:
    """The pattern's names are the field table's columns, in their order, and the tail."""
    names = re.findall(r"\(\?<(\w+)>", expand(kind))

    assert names == [*(column.name for column in COLUMNS[kind]), "extra_fields"]


def test_lines_are_told_apart() -> None:
    """Each generated line is recognised as a line of its own log."""
    kinds = {
        Kind.ACCESS: ordinary_lines(1, 100, start=START),
        Kind.CONNECTION: connection_lines(1, 100, start=START),
        Kind.HEALTH_CHECK: health_check_lines(1, 100, start=START),
    }
    for kind, lines in kinds.items():
        assert {kind_of_line(line) for line in lines} == {kind}
