"""Values at the edge of the field rules, one rule per test, by both paths."""

import re
from dataclasses import replace
from typing import Any

import orjson
import pytest

from pipeline.alb.document import Context, document_id, document_ids
from pipeline.alb.fastpath import SLOTS, WHOLE_SLOTS, slots_of_shapes
from pipeline.alb.fields import Kind
from pipeline.alb.parsing import ABOUT, Reason
from pipeline.sink.encoding import encode_by_reference, encode_chunk
from pipeline.source.reading import Chunk, LongLine
from tests.support.factories import alb_line

CONTEXT = Context(latest="2026-11-23T00:00:00Z", kind=Kind.ACCESS)


def encode_one(line: bytes) -> dict[str, Any] | str:
    """Return a line's document, or why it is rejected; both paths must agree."""
    chunk = Chunk(0, line + b"\n", 1)
    fast, slow = encode_chunk(chunk, CONTEXT), encode_by_reference(chunk, CONTEXT)
    assert fast.rejects == slow.rejects
    if slow.rejects:
        return slow.rejects[0].reason
    document: dict[str, Any] = orjson.loads(slow.actions[0].source)
    assert orjson.loads(fast.actions[0].source) == document
    return document


def field(document: dict[str, Any] | str, name: str) -> Any:  # noqa: ANN401  any JSON value
    """Return a document's field by its dotted name, None if it is absent."""
    value: Any = document
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


@pytest.mark.parametrize(
    ("column", "value", "name", "expected"),
    [
        pytest.param(
            "request_line", '"GET http://h:99999999999999999999/ HTTP/1.1"', "url.port", None,
            id="a port that fits no number is left out",
        ),
        pytest.param(
            "request_line", '"GET http://h:00080/ HTTP/1.1"', "url.port", 80, id="leading zeros"
        ),
        pytest.param(
            "request_line", '"GET http://h/a?b=\\x0Ac HTTP/1.1"', "url.query", "b=\nc",
            id="a decoded line feed stays in the query",
        ),
        pytest.param("request_processing_time", "-1.000", "aws.elb.request_processing_time", None,
                     id="-1.000 is -1"),
        pytest.param(
            "request_processing_time", "-0.5", "aws.elb.request_processing_time.sec", -0.5,
            id="another negative time is kept",
        ),
        pytest.param("sent_bytes", "0" * 5_000, "http.response.bytes", 0, id="thousands of zeros"),
        pytest.param("sent_bytes", "-9223372036854775808", "http.response.bytes", -(2**63),
                     id="the least of 64 bits"),
        pytest.param(
            "request_line", f'"GET http://h:{"0" * 5_000}7/ HTTP/1.1"', "url.port", 7,
            id="a port of thousands of zeros",
        ),
        pytest.param("received_bytes", "-5", "http.request.bytes", -5, id="negative bytes"),
        pytest.param("trace_id", '"Root="', "aws.elb.trace_id", "Root=", id="a Root of nothing"),
        pytest.param("trace_id", '"Root="', "trace.id", None, id="a Root of nothing is no id"),
        pytest.param("ssl_protocol", "TLSv1.4", "tls.version", "1.4", id="a future version"),
        pytest.param("ssl_protocol", "SSLv2", "tls.version_protocol", "ssl", id="SSL"),
        pytest.param(
            "request_creation_time", "0001-01-01T00:00:00.000000Z", "event.duration", None,
            id="a duration that fits no number is left out",
        ),
        pytest.param(
            "request_creation_time", "0001-01-01T00:00:00.000000Z", "event.start",
            "0001-01-01T00:00:00.000000Z", id="and its start is kept",
        ),
        pytest.param("client_port", "[::1]:443", "source.ip", "::1", id="brackets are dropped"),
        pytest.param(
            "target_port", "[::1]:80", "aws.elb.backend.ip", "::1", id="a target's as well"
        ),
        pytest.param("ip_address", "[::1]", "observer.ip", "::1", id="and the node's"),
        pytest.param("client_port", "[]:443", "source.ip", "[]", id="brackets around nothing"),
        pytest.param("client_port", "[::1", "source.ip", "[:", id="half a pair of brackets"),
        pytest.param(
            "domain_name", '" a.example.com "', "tls.client.server_name", "a.example.com",
            id="spaces around a domain name are dropped",
        ),
        pytest.param("domain_name", '"  "', "tls.client.server_name", None, id="only spaces"),
        pytest.param(
            "request_line", '"GET http://h:80/ HTTP/1.0 "', "http.version", "1.0",
            id="a space after the version",
        ),
        pytest.param(
            "request_line", '"GET http://h:80/ HTTP/1.0 "', "url.path", "/",
            id="a space after the version is not the path's",
        ),
        pytest.param(
            "request_creation_time", "0000-01-01T00:00:00.000000Z", "event.start",
            "0000-01-01T00:00:00.000000Z", id="the year 0 is a year",
        ),
        pytest.param(
            "request_creation_time", "0000-01-01T00:00:00.000000Z", "event.duration", None,
            id="a duration from the year 0 fits no number",
        ),
        pytest.param(
            "request_line", f'"GET http://h:80/{"a" * 20_000} HTTP/1.1"', "url.path",
            "/" + "a" * 20_000, id="a path too long for the index is kept",
        ),
        pytest.param("client_port", "203.0.113.7", "source.ip", "203.0.113.7", id="no port"),
        pytest.param("target_port", ":80", "aws.elb.backend.port", 80, id="no address"),
    ],
)  # fmt: skip
def test_edge_of_a_rule(column: str, value: str, name: str, expected: object) -> None:
    """A value at the edge makes the field, or none, and never rejects the line."""
    document = encode_one(alb_line(0, **{column: value}))

    assert isinstance(document, dict)
    assert field(document, name) == expected


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        pytest.param("a \\x22b\\x22", 'a "b"', id="quotes"),
        pytest.param("\\xC3\\xa9\\x00000041", "éA", id="utf-8"),
        pytest.param("\\xE9", "\ufffd", id="broken-utf-8"),
        pytest.param("\\x5C\\x0A\\x00 %s", "\\\n\0 %s", id="backslash-and-controls"),
        pytest.param("\\", "\\", id="no-escape"),
        pytest.param("\\x2D", None, id="a-dash-is-absent"),
    ],
)
def test_escapes_in_a_user_agent_are_plain(agent: str, expected: str | None) -> None:
    """The fast path takes them, as the only ones, and decodes them as the reference path does."""
    line = alb_line(0, user_agent=f'"{agent}"')

    assert field(encode_one(line), "user_agent.original") == expected
    assert encode_chunk(Chunk(0, line, 1), CONTEXT).fallback == 0
    other = alb_line(0, user_agent=f'"{agent}"', domain_name='"\\x41"')
    assert field(encode_one(other), "tls.client.server_name") == "A"
    assert encode_chunk(Chunk(0, other, 1), CONTEXT).fallback == 1


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        pytest.param("sent_bytes", "9223372036854775808", Reason.BAD_NUMBER, id="over 64 bits"),
        pytest.param("sent_bytes", "9" * 5_000, Reason.BAD_NUMBER, id="thousands of digits"),
        pytest.param("target_processing_time", "9" * 40, Reason.BAD_NUMBER, id="over a float"),
        pytest.param("time", "-", Reason.BAD_TIME, id="no time"),
        pytest.param("time", '""', Reason.BAD_TIME, id="empty time"),
        pytest.param("elb", "a  b", Reason.EMPTY_FIELD, id="two spaces"),
        pytest.param("type", " https", Reason.EMPTY_FIELD, id="a space first"),
    ],
)
def test_value_against_the_rules(column: str, value: str, reason: Reason) -> None:
    """A value that no document can hold rejects the line, with its reason."""
    assert encode_one(alb_line(0, **{column: value})) == reason


def test_a_long_value_is_cut_in_the_message() -> None:
    """A message quotes what people can read, not kilobytes."""
    chunk = Chunk(0, alb_line(sent_bytes="x" * 9_000), 1)

    (reject,) = encode_chunk(chunk, CONTEXT).rejects

    assert len(reject.message) < 120
    assert reject.message.startswith("sent_bytes: 'xxx")


OTHER_LOGS = {
    "Network Load Balancer": (
        b"tls 2.0 2026-11-20T10:00:00 net/shop-nlb/c6e77e28c25b2234 g3d4b5e8bb8464cd "
        b"203.0.113.7:51341 10.0.12.34:443 5 2 98 246 - arn:aws:acm:eu-west-1:123456789012:"
        b"certificate/6c1d3a52 - ECDHE-RSA-AES128-SHA tlsv12 - shop.example.com h2 h2 - "
        b"2026-11-20T10:00:00"
    ),
    "Classic Load Balancer": (
        b"2026-11-20T10:00:00.945958Z shop-classic 203.0.113.7:2817 10.0.12.34:80 0.000073 "
        b'0.001048 0.000057 200 200 0 29 "GET http://shop.example.com:80/ HTTP/1.1" "curl/8" - -'
    ),
    "test file": b"Enable AccessLog for ELB: app/shop/50dc6c495c0c9188 at 2026-11-20T10:00:00.781Z",
}


@pytest.mark.parametrize("kind", [None, *Kind])
@pytest.mark.parametrize(("log", "line"), OTHER_LOGS.items(), ids=OTHER_LOGS)
def test_a_line_of_another_log_is_rejected_as_such(
    log: str, line: bytes, kind: Kind | None
) -> None:
    """The message says which log it is from, and nothing that the line says."""
    (reject,) = encode_chunk(Chunk(0, line, 1), replace(CONTEXT, kind=kind)).rejects

    assert log in reject.message
    assert not re.search(r"shop|[0-9]", reject.message)


def test_every_reason_is_explained() -> None:
    """Each reason for which a line is rejected has its sentence, which `docs/fields.md` shows."""
    assert list(ABOUT) == list(Reason)


def test_without_a_kind_a_line_that_begins_with_an_instant_is_a_connection() -> None:
    """Without a kind, such a line is no access line, however it continues."""
    line = alb_line(type="2026-11-20T10:00:00.000000Z")
    chunk = Chunk(0, line, 1)

    auto = encode_chunk(chunk, Context(latest=CONTEXT.latest))
    access = encode_chunk(chunk, CONTEXT)

    assert len(auto.rejects) == 1
    assert len(access.actions) == 1


def test_a_long_line_is_rejected_as_a_whole() -> None:
    """The reject of a line too long for a log has the id and the count of all its bytes."""
    long = LongLine(offset=5, end=300_006, head=b"h" * 8_192, length=300_000, digest=b"\x00" * 32)

    batch = encode_chunk(long, CONTEXT)

    (reject,) = batch.rejects
    assert (batch.read, batch.size, reject.offset, reject.length) == (1, 300_001, 5, 300_000)
    assert (reject.id, reject.reason) == ("A" * 20, Reason.LINE_TOO_LONG)


def test_ids_are_pinned() -> None:
    """An id is the base64url of the first 120 bits of the line's SHA-256, for one line and many."""
    lines = [b"", b"abc", alb_line()]

    assert document_id(b"") == "47DEQpj8HBSa-_TImW-5"
    assert document_id(b"abc") == "ungWv48Bz-pBQUDeXa4i"
    assert document_ids(lines) == [document_id(line) for line in lines]


def test_format_string_takes_what_it_is_given() -> None:
    """The document's slots are in the order in which they are filled."""
    assert slots_of_shapes() == (SLOTS, WHOLE_SLOTS)


def test_a_line_without_a_column_is_not_plain() -> None:
    """A line that lacks a column, but has later ones, takes the reference path."""
    line = alb_line().replace(b" 0 2026-11-20T09:", b" 2026-11-20T09:")

    batch = encode_chunk(Chunk(0, line + b"\n", 1), CONTEXT)

    assert line != alb_line()
    assert (batch.fallback, len(batch.rejects)) == (1, 1)
