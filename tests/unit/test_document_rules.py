"""Values at the edge of the field rules, one rule a test, by both paths."""

from typing import Any

import orjson
import pytest

from pipeline.alb.document import Context, document_id, document_ids
from pipeline.alb.fastpath import SLOTS, slots_of_shape
from pipeline.alb.fields import Kind
from pipeline.alb.parsing import Reason
from pipeline.sink.encoding import encode_by_reference, encode_chunk
from pipeline.source.reading import Chunk, LongLine
from tests.factories import alb_line

CONTEXT = Context(latest="2026-11-23T00:00:00Z", kind=Kind.ACCESS)


def encode_one(line: bytes) -> dict[str, Any] | str:
    """Give a line's document, or why it is rejected; both paths must agree."""
    chunk = Chunk(0, line + b"\n", 1)
    fast, slow = encode_chunk(chunk, CONTEXT), encode_by_reference(chunk, CONTEXT)
    assert fast.rejects == slow.rejects
    if slow.rejects:
        return slow.rejects[0].reason
    document: dict[str, Any] = orjson.loads(slow.items[0].splitlines()[1])
    assert orjson.loads(fast.items[0].splitlines()[1]) == document
    return document


def field(document: dict[str, Any] | str, name: str) -> Any:  # noqa: ANN401  any JSON value
    """Give a document's field by its dotted name, None where it is absent."""
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
        pytest.param("ssl_protocol", "TLSv1.4", "tls.version", "1.4", id="a version to come"),
        pytest.param("ssl_protocol", "SSLv2", "tls.version_protocol", "ssl", id="SSL"),
        pytest.param(
            "request_creation_time", "0001-01-01T00:00:00.000000Z", "event.duration", None,
            id="a duration that fits no number is left out",
        ),
        pytest.param(
            "request_creation_time", "0001-01-01T00:00:00.000000Z", "event.start",
            "0001-01-01T00:00:00.000000Z", id="and its start is kept",
        ),
        pytest.param("client_port", "[::1]:443", "source.ip", "[::1]", id="brackets are kept"),
        pytest.param("client_port", "203.0.113.7", "source.ip", "203.0.113.7", id="no port"),
        pytest.param("target_port", ":80", "aws.elb.backend.port", 80, id="no address"),
    ],
)  # fmt: skip
def test_edge_of_a_rule(column: str, value: str, name: str, expected: object) -> None:
    """A value at the edge gives the field, or none, and never rejects the line."""
    document = encode_one(alb_line(0, **{column: value}))

    assert isinstance(document, dict)
    assert field(document, name) == expected


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
def test_out_of_the_rules(column: str, value: str, reason: Reason) -> None:
    """What no document can hold is rejected, with its reason."""
    assert encode_one(alb_line(0, **{column: value})) == reason


def test_a_long_value_is_cut_in_the_message() -> None:
    """A reason quotes what people can read, not kilobytes."""
    chunk = Chunk(0, alb_line(sent_bytes="x" * 9_000), 1)

    (reject,) = encode_chunk(chunk, CONTEXT).rejects

    assert len(reject.message) < 120
    assert reject.message.startswith("sent_bytes: 'xxx")


def test_a_time_of_connection_without_key_is_told_by_the_line() -> None:
    """Without a kind, a line that begins like an instant is no access line, however it goes on."""
    line = alb_line(type="2026-11-20T10:00:00.000000Z")
    chunk = Chunk(0, line, 1)

    auto = encode_chunk(chunk, Context(latest=CONTEXT.latest))
    access = encode_chunk(chunk, CONTEXT)

    assert len(auto.rejects) == 1
    assert len(access.items) == 1


def test_a_long_line_is_rejected_by_its_whole() -> None:
    """A line too long for a log has the id of all its bytes, and says how many there were."""
    long = LongLine(offset=5, head=b"h" * 8_192, length=300_000, digest=b"\x00" * 32)

    batch = encode_chunk(long, CONTEXT)

    (reject,) = batch.rejects
    assert (batch.read, batch.size, reject.offset, reject.length) == (1, 300_000, 5, 300_000)
    assert (reject.id, reject.reason) == ("A" * 20, Reason.LINE_TOO_LONG)


def test_ids_are_pinned() -> None:
    """An id is the base64url of the first 120 bits of the line's SHA-256, for one line and many."""
    lines = [b"", b"abc", alb_line()]

    assert document_id(b"") == "47DEQpj8HBSa-_TImW-5"
    assert document_id(b"abc") == "ungWv48Bz-pBQUDeXa4i"
    assert document_ids(lines) == [document_id(line) for line in lines]


def test_format_string_takes_what_it_is_given() -> None:
    """The slots of the document stand in the order in which they are filled."""
    assert slots_of_shape() == SLOTS


def test_a_column_that_is_missing_is_no_plain_line() -> None:
    """A line that lacks a column before a later one takes the reference path, whatever it is."""
    line = alb_line().replace(b" 0 2026-11-20T09:", b" 2026-11-20T09:")

    batch = encode_chunk(Chunk(0, line + b"\n", 1), CONTEXT)

    assert line != alb_line()
    assert (batch.fallback, len(batch.rejects)) == (1, 1)
