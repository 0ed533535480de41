"""
The fast path gives the documents of the reference path, or gives up.

Compared as JSON values, with id and index, on golden lines, on generated ones of every sort, and on
lines damaged in ways that keep them nearly right, where a wrong short cut would show.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from random import Random

import orjson
import pytest

from devstack.traffic import (
    CHARACTERS,
    GENERATIONS,
    as_generation,
    bad_lines,
    connection_lines,
    health_check_lines,
    odd_lines,
    ordinary_lines,
)
from pipeline.alb.document import Context, Period
from pipeline.alb.fields import Kind
from pipeline.sink.encoding import Batch, encode_by_reference, encode_chunk
from pipeline.source.reading import Chunk
from tests.factories import START
from tests.fuzz.mutations import on_tokens, remove_token, swap_tokens
from tests.unit.test_golden import CASES

ACCESS = Context(
    latest="2026-11-23T00:00:00Z",
    kind=Kind.ACCESS,
    bucket="logs<ip>",
    key='AWSLogs/100%/<time>"\\é.log.gz',
    account="123456789012",
    region="eu-central-1",
    ingested="2026-11-22T10:00:00.000Z",
)
CONTEXTS = [
    pytest.param(ACCESS, id="access"),
    pytest.param(Context(latest=ACCESS.latest), id="auto"),
    pytest.param(
        replace(ACCESS, period=Period.MONTH, keep_original=True, prefix="p"), id="month-original"
    ),
]
BATCH = 2_000

# Two hundred thousand lines by the slow path: tracing them would take minutes and tell nothing.
pytestmark = pytest.mark.no_cover


def assert_same(lines: list[bytes], context: Context) -> Batch:
    """Encode lines both ways and compare all that comes out; give the fast one."""
    chunk = Chunk(7, b"".join(line + b"\n" for line in lines), len(lines))

    fast, slow = encode_chunk(chunk, context), encode_by_reference(chunk, context)

    assert fast.ids == slow.ids
    assert fast.offsets == slow.offsets
    assert fast.lines == slow.lines
    assert fast.rejects == slow.rejects
    assert fast.blank == slow.blank
    assert fast.indices == slow.indices
    for one, other, line in zip(fast.items, slow.items, fast.lines, strict=True):
        assert list(map(orjson.loads, one.splitlines())) == list(
            map(orjson.loads, other.splitlines())
        ), line
    return fast


def assert_all_same(lines: Iterator[bytes], context: Context = ACCESS) -> float:
    """Compare batch by batch; give the share of lines that took the fast path."""
    count = fallback = 0
    while batch := [line for _, line in zip(range(BATCH), lines, strict=False)]:
        encoded = assert_same(batch, context)
        count += len(batch)
        fallback += encoded.fallback
    return 1 - fallback / count


# --- damage that keeps a line nearly right -------------------------------------------------------


def _flip(line: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(line))
    return line[:at] + bytes([line[at] ^ (1 << rng.randrange(8))]) + line[at + 1 :]


def _drop(line: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(line))
    return line[:at] + line[at + 1 :]


def _double(line: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(line))
    return line[:at] + line[at : at + 1] + line[at:]


ODDITIES = (
    *(
        b"-",
        b'"-"',
        b'""',
        b"-1",
        b"0",
        b"000",
        b"007",
        b"1.5",
        b"-0",
        b"-0.5",
        b"1e5",
        b"99999999999",
    ),
    *(b"460", b"561", b"403", b"9" * 19, b'"waf,"', b'"waf-failed"', b'"authenticate"', b'"a,,b"'),
    *(b'"JWTHeaderNotPresent"', b'"LambdaUnhandled"', b"TLSv1", b"TLSv1.9", b"SSLv3", b"a/b/c/d"),
    *(b"::1:80", b"1.2.3.4:-", b"1.2.3.4", b"[::1]:443", b"2026-11-20T10:00:00Z", b":0", b"a:b:1"),
    *(
        b'"Self=1;Root=2"',
        b'"Root="',
        b'"Root=;Root=1"',
        b'"x; Root=3"',
        b'" Root=4"',
        b'"fixed-response"',
    ),
    *(
        b"2026-02-30T10:00:00.123456Z",
        b"1850-01-01T00:00:00.000000Z",
        b"2027-01-01T00:00:00.000000Z",
    ),
    *(
        b'"http://h:80-/1/2/a1b2c3d4e5f6a7b8"',
        b"http://h:80-/1/2/abcdefabcdefabcd",
        b"http://[::1]:1/",
    ),
    *(
        b"https://h:123456789012345678901/",
        b"http://:80/",
        b"http://h?",
        b"http://h/?",
        b"http://h:/",
    ),
    *(
        b"http://h/%41?a?b#c",
        b"/x",
        b"HTTP/1",
        b"HTTP/",
        b"HTTP/2.0\r",
        b"\t",
        b"\xc3\xa9",
        b"\\x22",
    ),
)


@on_tokens
def _replace(fields: list[bytes], rng: Random) -> None:
    fields[rng.randrange(len(fields))] = rng.choice(ODDITIES)


MUTATIONS = (_flip, _drop, _double, swap_tokens, remove_token, _replace, _replace)


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """Damage generated lines, one in four of them twice."""
    rng = Random(seed)
    names = list(CHARACTERS)
    lines = list(ordinary_lines(seed, 2_000, start=START, load_balancer=names[seed % len(names)]))
    for number in range(count):
        line = lines[number % len(lines)]
        if rng.random() < 0.3:
            line = as_generation(line, rng.choice(GENERATIONS))
        for _ in range(rng.choice((1, 1, 1, 2))):
            line = rng.choice(MUTATIONS)(line, rng) or b" "
        yield line.replace(b"\n", b"N")


# --- the claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize("context", CONTEXTS)
def test_golden_lines_are_the_same_by_both_paths(context: Context) -> None:
    """Every golden line, of every log, is encoded alike."""
    assert_all_same(chain.from_iterable(path.read_bytes().split(b"\n") for path in CASES), context)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_is_the_same_and_fast(generation: int, context: Context) -> None:
    """Lines of every generation are encoded alike, and by the fast path."""
    lines = (as_generation(line, generation) for line in ordinary_lines(3, 400, start=START))

    assert assert_all_same(lines, context) == 1


@pytest.mark.parametrize("seed", range(6))
def test_generated_lines_are_the_same_by_both_paths(seed: int) -> None:
    """Ordinary lines of every load balancer, and odd ones, are encoded alike."""
    name = list(CHARACTERS)[seed % len(CHARACTERS)]
    ordinary = ordinary_lines(seed, 12_000, start=START, load_balancer=name)

    assert assert_all_same(chain(ordinary, odd_lines(seed, 5_000, start=START))) > 0.7


@pytest.mark.parametrize("seed", range(6))
def test_damaged_lines_are_the_same_by_both_paths(seed: int) -> None:
    """Damaged lines are encoded or rejected alike; a good part of them still passes as plain."""
    assert assert_all_same(mutated(seed, 17_000)) > 0.2


def test_other_logs_are_told_apart_by_both_paths() -> None:
    """Without a key, connection, health-check, bad and access lines are told apart alike."""
    lines = chain(
        connection_lines(1, 500, start=START),
        health_check_lines(1, 500, start=START),
        bad_lines(1, 1_000, start=START),
        [b"", b"  ", b"\t"],
        ordinary_lines(1, 500, start=START),
    )

    assert_all_same(lines, Context(latest=ACCESS.latest))


@pytest.mark.parametrize("name", CHARACTERS)
def test_ordinary_traffic_hardly_falls_back(name: str) -> None:
    """Less than one ordinary line in a hundred takes the slow path: it is ten times as slow."""
    lines = list(ordinary_lines(11, 10_000, start=START, load_balancer=name))
    chunk = Chunk(0, b"".join(line + b"\r\n" for line in lines), len(lines))

    assert encode_chunk(chunk, ACCESS).fallback < 100


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_line_ends_are_the_same_by_both_paths(end: bytes) -> None:
    """A line end, or its lack at the end of the object, changes neither id nor document."""
    one, other = ordinary_lines(5, 2, start=START)
    chunk = Chunk(0, one + b"\r\n" + other + end, 2)

    fast = encode_chunk(chunk, ACCESS)

    assert (fast.lines, fast.fallback) == ([one, other], 0)
    assert fast.ids == encode_by_reference(chunk, ACCESS).ids
