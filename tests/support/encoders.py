"""Compare the two encoders line by line, on lines that are nearly right."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import orjson

from devstack.traffic import CHARACTERS, GENERATIONS, as_generation, ordinary_lines
from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.sink.encoding import Batch, encode_by_reference, encode_chunk
from tests.fuzz.mutations import flip, on_tokens, remove_token, swap_tokens
from tests.support.factories import START, chunk_of

ACCESS = Context(
    latest="2026-11-23T00:00:00Z",
    kind=Kind.ACCESS,
    bucket="logs<ip>",
    key='AWSLogs/100%/<time>"\\é.log.gz',
    account="123456789012",
    region="eu-central-1",
    ingested="2026-11-22T10:00:00.000Z",
    provenance=True,
)
BATCH = 2_000


def assert_same(lines: list[bytes], context: Context) -> Batch:
    """Encode lines both ways, compare everything that comes out, and return the fast batch."""
    chunk = chunk_of(lines, offset=7)

    fast, slow = encode_chunk(chunk, context), encode_by_reference(chunk, context)

    assert_equal(fast, slow)
    return fast


def assert_equal(fast: Batch, slow: Batch) -> None:
    """Compare what both paths made of a chunk; how they wrote the JSON makes no difference."""
    for one, other in zip(fast.actions, slow.actions, strict=True):
        assert one._replace(text="") == other._replace(text="")
        assert one.text == other.text or orjson.loads(one.source) == orjson.loads(other.source)
    plain = replace(fast, actions=[], fallback=0)
    assert plain == replace(slow, actions=[], fallback=0)


def assert_all_same(lines: Iterator[bytes], context: Context = ACCESS) -> float:
    """Compare batch by batch; return the share of lines that took the fast path."""
    count = fallback = 0
    while batch := [line for _, line in zip(range(BATCH), lines, strict=False)]:
        encoded = assert_same(batch, context)
        count += len(batch)
        fallback += encoded.fallback
    return 1 - fallback / count


# --- damage that leaves a line nearly right ------------------------------------------------------


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


MUTATIONS = (flip, _drop, _double, swap_tokens, remove_token, _replace, _replace)


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
