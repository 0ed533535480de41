"""Privacy settings: how they are read, and what they leave of a document."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.alb.privacy import Bits, Privacy, masked_ip, read_bits, read_fields, read_names
from pipeline.errors import ConfigError
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.sink.letters import describe
from pipeline.source.reading import Chunk
from tests.support.factories import alb_line

CONTEXT = Context(latest="2026-11-23T00:00:00Z", kind=Kind.ACCESS, bucket="b", key="k")
BITS = Bits(24, 48)


def encoded(privacy: Privacy, line: bytes, kind: Kind = Kind.ACCESS) -> Batch:
    """Encode one line under a privacy setting."""
    return encode_chunk(Chunk(0, line + b"\n", 1), replace(CONTEXT, kind=kind, privacy=privacy))


def document(privacy: Privacy, line: bytes, kind: Kind = Kind.ACCESS) -> dict[str, Any]:
    """Return the document of one line."""
    (action,) = encoded(privacy, line, kind).actions
    source: dict[str, Any] = orjson.loads(action.source)
    return source


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("2001:DB8:1:2::", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("2002:cb00:714d::1", "2002:cb00:7100::"),  # 6to4: its owner's IPv4 address
        ("::1", "::"),
        ("203.0.113", None),
        ("203.0.113.077", None),
        ("203.0.113.77.5", None),
        ("someone", None),
        ("", None),
    ],
)
def test_an_address_keeps_its_leading_bits(text: str, masked: str | None) -> None:
    """The bits that are kept depend on the kind of address; what is none is not kept at all."""
    assert masked == masked_ip(text, BITS)


@pytest.mark.parametrize(
    ("bits", "masked"),
    [((32, 128), "203.0.113.77"), ((0, 0), "0.0.0.0"), ((17, 0), "203.0.0.0")],  # noqa: S104
)
def test_any_number_of_bits_can_be_kept(bits: tuple[int, int], masked: str) -> None:
    """None and all of them included."""
    assert masked == masked_ip("203.0.113.77", Bits(*bits))


@pytest.mark.parametrize(
    ("client", "source"),
    [
        ("203.0.113.77:2817", {"ip": "203.0.113.0", "port": 2817}),
        ("2001:db8:1:2:3:4:5:6:2817", {"ip": "2001:db8:1::", "port": 2817}),
        ("203.0.113.777:2817", {"port": 2817}),
        ("someone", None),
    ],
)
def test_the_clients_address_is_cut(client: str, source: dict[str, object] | None) -> None:
    """A malformed address leaves nothing of it in the document."""
    made = document(Privacy(bits=BITS), alb_line(client_port=client))

    assert source == made.get("source")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ip=203.0.113.77&a=1", "ip=203.0.113.0&a=1"),
        ("u=http%3A%2F%2F203.0.113.77%2F", "u=http%3A%2F%2F203.0.113.0%2F"),
        ("a=%20203.0.113.77.", "a=%20203.0.113.0."),
        ("a=203.0.113.77.nip.io", "a=203.0.113.0.nip.io"),
        ("a=1203.0.113.77&b=203.0.113.775&c=1.203.0.113.77&d=203.0.113.77.1", None),
    ],
)
def test_the_clients_address_is_cut_elsewhere(query: str, expected: str | None) -> None:
    """Where a URL holds the client's own address it is cut too, but no part of a longer one."""
    request = f'"GET https://h:443/?{query} HTTP/1.1"'

    made = document(
        Privacy(bits=BITS), alb_line(client_port="203.0.113.77:1", request_line=request)
    )

    assert (expected or query) == made["url"]["query"]
    assert f"https://h:443/?{expected or query}" == made["url"]["original"]


def test_an_encoded_ipv6_address_is_cut_elsewhere() -> None:
    """An IPv6 address is found with its colons percent-encoded, and in capital letters."""
    request = '"GET https://h/?a=2001%3ADB8%3A1%3A2%3A%3a9&b=[2001:db8:1:2::9] HTTP/1.1"'

    made = document(
        Privacy(bits=BITS), alb_line(client_port="2001:db8:1:2::9:80", request_line=request)
    )

    assert "a=2001:db8:1::&b=[2001:db8:1::]" == made["url"]["query"]


def test_addresses_of_others_stay() -> None:
    """The target's and the load balancer's own addresses are nobody's who is to be protected."""
    line = alb_line(
        client_port="10.0.1.5:4000",
        target_port="10.0.1.5:8080",
        target_port_list='"10.0.1.5:8080"',
        ip_address="10.0.1.5",
    )

    made = document(Privacy(bits=BITS), line)

    assert "10.0.1.0" == made["source"]["ip"]
    assert "10.0.1.5" == made["aws"]["elb"]["backend"]["ip"] == made["observer"]["ip"]


@pytest.mark.parametrize(
    "column",
    [
        "user_agent",
        "trace_id",
        "domain_name",
        "redirect_url",
        "transformed_host",
        "transformed_uri",
    ],
)
def test_every_text_is_redacted(column: str) -> None:
    """Clients decide what is in many columns: a URL in any of them is redacted."""
    line = alb_line(0, **{column: '"see http://h/?token=secret&a=1"'})

    made = orjson.dumps(document(Privacy(redact=("token",)), line))

    assert b"secret" not in made
    assert b"token=REDACTED&a=1" in made


def test_a_certificates_subject_is_redacted() -> None:
    """So is the subject of a client's certificate in the connection log."""
    line = (
        b"2026-11-20T10:00:00.000000Z 203.0.113.77 1 443 TLSv1.3 TLS_AES_128_GCM_SHA256 0.01 "
        b'"CN=http://h/?token=secret" - - Success TID_1'
    )

    made = document(Privacy(redact=("token",), bits=BITS), line, Kind.CONNECTION)

    assert "CN=http://h/?token=REDACTED" == made["tls"]["client"]["subject"]
    assert "203.0.113.0" == made["source"]["ip"]


@pytest.mark.parametrize("name", ["user_agent.original", "source.port", "aws.elb.backend.ip"])
def test_a_field_is_dropped(name: str) -> None:
    """A dropped field is absent, and an object that held nothing else with it."""
    whole = document(Privacy(), alb_line(target_port="10.0.1.5:8080"))

    made = document(Privacy(drop=frozenset({name})), alb_line(target_port="10.0.1.5:8080"))

    assert made == without(whole, name.split("."))


def without(source: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """Return a document without a field."""
    name, *below = path
    rest = {key: value for key, value in source.items() if key != name}
    inner = without(source[name], below) if below else None
    return {**rest, name: inner} if inner else rest


BAD_NUMBER = alb_line(
    elb_status_code="secret", request_line='"GET http://h/?token=secret HTTP/1.1"'
)
LETTERS = {
    "too-few-fields": b"secret line",
    "bad-number": BAD_NUMBER,
    "bad-time": alb_line(time="secret"),
    "bad-quoting": b'"secret',
}


@pytest.mark.parametrize("line", LETTERS.values(), ids=LETTERS)
def test_a_dead_letter_quotes_nothing(line: bytes) -> None:
    """Where lines are not to be kept, a dead letter says why, where and what id, and no more."""
    (reject,) = encoded(Privacy(rejected_lines=False), line).rejects

    letter = describe(reject, CONTEXT_WITHOUT)

    assert b"secret" not in orjson.dumps(letter)
    assert {"error", "aws", "log", "labels"} == letter.keys()
    assert letter["error"]["message"]
    (kept,) = encoded(Privacy(), line).rejects
    assert (reject.id, reject.reason, reject.offset) == (kept.id, kept.reason, kept.offset)


CONTEXT_WITHOUT = replace(CONTEXT, privacy=Privacy(rejected_lines=False))

READ: list[tuple[Callable[[str, str], object], str, object]] = [
    (read_names, "token", ("token",)),
    (read_names, " token , Code,token,", ("token", "Code")),
    (read_names, "*", ("*",)),
    (read_names, "user name", ("user name",)),
    (read_bits, "24,48", Bits(24, 48)),
    (read_bits, "0, 128", Bits(0, 128)),
    (read_fields, "user_agent.original, source.port", ("user_agent.original", "source.port")),
]
WRONG: list[tuple[Callable[[str, str], object], str, int, str]] = [
    (read_names, "token,*", 7, "stands alone"),
    (read_names, "tok*", 1, "stands alone"),
    (read_names, "a, b=c", 5, "without ="),
    (read_names, "token[]", 6, "without ["),
    (read_bits, "24", 1, "write 24,48"),
    (read_bits, "24,48,1", 1, "write 24,48"),
    (read_bits, "33,48", 1, "no 33 bits"),
    (read_bits, "24, 129", 5, "no 129 bits"),
    (read_bits, "-1,48", 1, "write 24,48"),
    (read_fields, "source.port,user_agent.orignal", 13, "did you mean user_agent.original"),
    (read_fields, "client.ip", 1, "write source.ip"),
    (read_fields, "user_agent", 1, "did you mean user_agent.original?"),
    (read_fields, "user_agent.name", 1, "added by the cluster"),
    (read_fields, "@timestamp", 1, "cannot be dropped"),
    (read_fields, "event.kind", 1, "the same in every document"),
]


@pytest.mark.parametrize(("read", "text", "value"), READ)
def test_a_setting_is_read(read: Callable[[str, str], object], text: str, value: object) -> None:
    """Spaces around items do not matter, nor does an item that is given twice."""
    assert value == read("ALB_LOGS_X", text)


@pytest.mark.parametrize(("read", "text", "character", "part"), WRONG)
def test_a_wrong_setting_is_refused_with_its_position(
    read: Callable[[str, str], object], text: str, character: int, part: str
) -> None:
    """The message names the setting, the character and the fix."""
    with pytest.raises(ConfigError) as refused:
        read("ALB_LOGS_X", text)

    assert str(refused.value).startswith(f"ALB_LOGS_X, character {character}: ")
    assert part in str(refused.value)
