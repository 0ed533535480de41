"""
Lines built to cost time: in any column, any character or short text, repeated up to 256 KiB.

Time that grows with the square of a length shows here. `python -m tests.fuzz.hostile` measures
every column with every text, and shows how the time of the dearest grows with the length.
"""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from devstack.traffic import ordinary_lines
from pipeline.alb.document import Context
from pipeline.alb.fields import COLUMNS, Kind
from pipeline.sink.encoding import encode_chunk
from pipeline.source.reading import LONGEST_LINE, Chunk
from tests.support.factories import START, alb_line, chunk_of

UNITS = (
    *(b'"', b'" "', b'"a" ', b'"" ', b'a "b" ', b" ", b"a ", b"- ", b"ab ", b"@ ", b'"@" '),
    *(b"\\", b"\\x", b"\\xg", b"\\x22", b"\\x41", b"a\\xE9", b"\\x000000E9", b'"\\x4a\\x@" '),
    *(b"/", b"/a", b"/1", b"//1", b"/12", b"/@", b"//@", b"/a1b2c3d4e5f6@", b"/1234-", b"/-"),
    *(b"/12345678-1234-", b"?", b"&a=", b"#", b"%", b"%41", b"=", b".", b"-", b"HTTP/1.1 "),
    *(b";", b"; ", b";Root=", b"; Root", b";Root=1", b"Root=", b",", b"a,", b"-,", b"@,"),
    *(b":", b"1:", b"[", b"]", b"[:]", b"0", b"9", b"9.", b":targetgroup/", b"a"),
    *(b"NotBefore=;", b"T", b"2026-11-20T", b"\xe9", b"\xc3\xa9", b"\xe2", b"\0", b"\t", b"\r"),
)  # fmt: skip
"""Texts to repeat; @ is a number, another in each repetition."""

LENGTHS = (4 * 1024, 16 * 1024, 64 * 1024, LONGEST_LINE)


class Form(StrEnum):
    """How the text stands in a column."""

    BARE = "bare"
    QUOTED = "quoted"
    WITHIN = "within"  # in quotes, after an ordinary value; in a request line before its version
    OPEN = "open"  # a quote that ends with the next one of the line, if there is any


@dataclass(frozen=True, slots=True)
class Case:
    """One text in one column of one log; the column after the last is the tail."""

    kind: Kind
    column: int
    unit: bytes
    form: Form

    def line(self, length: int) -> bytes:
        """Build the line of this length."""
        tokens = [*_ORDINARY[self.kind], b'"-"']
        before, after = _around(self.form, tokens[self.column].strip(b'"'))
        tokens[self.column] = before + after
        filler = _filled(self.unit, length - len(b" ".join(tokens)))
        tokens[self.column] = before + filler + after
        return b" ".join(tokens)

    def __str__(self) -> str:
        """Return what a report calls it."""
        names = [*(column.name for column in COLUMNS[self.kind]), "tail"]
        return f"{self.kind} {names[self.column]} {self.form} {self.unit!r}"


_ORDINARY = {
    kind: re.findall(rb'"[^"]*"|[^" ]+', line)
    for kind, line in {
        Kind.ACCESS: alb_line(1),
        Kind.CONNECTION: (
            b"2026-11-20T10:00:00.101202Z 203.0.113.7 51324 443 TLSv1.3 TLS_AES_128_GCM_SHA256 "
            b'0.012 "CN=a" NotBefore=2026-01-10T08:00:00Z;NotAfter=2027-01-10T08:00:00Z 0A1B2C3D '
            b"Success TID_0f1e2d3c4b5a6978 X25519 app/shop/50dc6c495c0c9188 10.0.1.17"
        ),
        Kind.HEALTH_CHECK: (
            b"http 2026-11-20T10:00:05.250000Z 0.004 10.0.12.34:8080 web/943f017f100becff PASS "
            b"200 - app/shop/50dc6c495c0c9188 10.0.1.17"
        ),
    }.items()
}


def _around(form: Form, value: bytes) -> tuple[bytes, bytes]:
    match form:
        case Form.BARE:
            return b"", b""
        case Form.QUOTED:
            return b'"', b'"'
        case Form.OPEN:
            return b'"', b""
        case Form.WITHIN:
            head, space, version = value.rpartition(b" ")
            return b'"' + (head or value), space + (version if space else b"") + b'"'


def _filled(unit: bytes, length: int) -> bytes:
    count = length // len(unit) + 1
    if b"@" in unit:
        return b"".join(unit.replace(b"@", b"%05d" % at) for at in range(count))[:length]
    return (unit * count)[:length]


def all_cases(*, every_column: bool = True) -> Iterator[Case]:
    """Yield a case of every form and unit, for every column or for one of each sort."""
    for kind, columns in COLUMNS.items():
        seen = set()
        for at, sort in enumerate([*(column.form for column in columns), "tail"]):
            if every_column or sort not in seen:
                yield from (Case(kind, at, unit, form) for unit in UNITS for form in Form)
            seen.add(sort)


def case_of_hostile(rng: Random) -> bytes:
    """Make a text of a few hostile lines, some with several texts in turn."""
    lines, size = list[bytes](), 0
    while size < 4 * LONGEST_LINE:
        kind = rng.choice([*Kind])
        unit = b"".join(rng.choices(UNITS, k=rng.choice((1, 1, 2, 3))))
        case = Case(kind, rng.randrange(len(COLUMNS[kind]) + 1), unit, rng.choice([*Form]))
        lines.append(case.line(rng.choice((*LENGTHS, LONGEST_LINE))))
        size += len(lines[-1])
    return b"\n".join(lines)


# --- what they cost ------------------------------------------------------------------------------


def seconds(case: Case, length: int, times: int = 1) -> float:
    """Return the CPU time of encoding a case's line: the least of several, as in `seconds_of`."""
    return seconds_of([case.line(length)], times, case.kind)


def seconds_of(lines: list[bytes], times: int = 1, kind: Kind = Kind.ACCESS) -> float:
    """
    Return the CPU time of encoding these lines: the least of several measurements.

    That is what the code takes; whatever else the machine does can only add to it.
    """
    chunk = chunk_of(lines)
    context = Context(latest="2026-11-23T00:00:00Z", kind=kind)
    return min(_once(chunk, context) for _ in range(times))


def _once(chunk: Chunk, context: Context) -> float:
    start = time.thread_time()
    encode_chunk(chunk, context)
    return time.thread_time() - start


def ordinary_seconds(length: int) -> float:
    """Return what ordinary lines of this length in all cost, however fast the machine is."""
    lines = list(ordinary_lines(1, 4_000, start=START))
    return seconds_of(lines, 5) * length / sum(map(len, lines))


def dearest(cases: Iterable[Case], length: int, number: int) -> list[Case]:
    """Return the cases that cost most at this length, measured once each."""
    costs = {case: seconds(case, length) for case in cases}
    return sorted(costs, key=lambda case: -costs[case])[:number]


def main() -> None:
    """Show how the time of the dearest cases grows."""
    worst = dearest(all_cases(), LONGEST_LINE, 40)
    print("ms at " + ", ".join(f"{length // 1024} KiB" for length in LENGTHS))  # noqa: T201
    for case in worst:
        costs = (f"{seconds(case, length, 5) * 1_000:8.2f}" for length in LENGTHS)
        print(*costs, case)  # noqa: T201
    ordinary = (f"{ordinary_seconds(length) * 1_000:8.2f}" for length in LENGTHS)
    print(*ordinary, "ordinary lines of that length in all")  # noqa: T201


if __name__ == "__main__":
    main()
