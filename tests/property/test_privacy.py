"""What holds under any privacy setting: no secret anywhere, and nothing else is changed."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alb.document import Context, document_id
from pipeline.alb.fields import Kind
from pipeline.alb.privacy import Bits, Privacy, masked_ip
from pipeline.alb.redaction import EVERY, redactor
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.sink.letters import describe
from pipeline.source.reading import Chunk
from tests.support.factories import alb_line

HIDDEN = "S3cr3t"
NAMES = ("token", "user name", "code")
CONTEXT = Context(latest="2026-11-23T00:00:00Z", kind=Kind.ACCESS)


@dataclass(frozen=True, slots=True)
class Written:
    """A text, and what must be left of it."""

    text: str
    left: str


# --- URLs ----------------------------------------------------------------------------------------

_HARMLESS = st.text("abXY019._~-/:@!$'()*,+", max_size=8)


@st.composite
def secret_names(draw: st.DrawFn) -> str:
    """Draw one of the names, in any case, with any characters percent-encoded, with an index."""
    name = draw(st.sampled_from(NAMES))
    written = ""
    for character in name:
        form = draw(st.sampled_from((character, character.upper())))
        encoded = f"%{ord(form):02X}"
        if character == " ":
            written += draw(st.sampled_from(("+", "%20")))
        else:
            written += draw(st.sampled_from((form, form, encoded, encoded.lower())))
    return written + draw(st.sampled_from(("", "", "[]", "[0]", "%5B0%5D")))


@st.composite
def secret_values(draw: st.DrawFn) -> str:
    """Draw a value that holds the secret among signs that end no value."""
    odd = st.text("ab=;?/%+:,", max_size=6)
    return draw(odd) + HIDDEN + draw(st.sampled_from(("", "%26", "%23x", "%2526"))) + draw(odd)


@st.composite
def parameters(draw: st.DrawFn) -> Written:
    """Draw one parameter: a secret one, another, or one without a value."""
    kind = draw(st.sampled_from(("secret", "secret", "other", "bare", "empty")))
    if kind == "secret":
        name = draw(secret_names())
        return Written(f"{name}={draw(secret_values())}", f"{name}=REDACTED")
    name = "p" + draw(_HARMLESS)
    text = {
        "other": f"{name}={draw(_HARMLESS)}",
        "bare": name,
        "empty": f"{draw(secret_names())}=",
    }[kind]
    return Written(text, text)


@st.composite
def queries(draw: st.DrawFn) -> Written:
    """Draw a query, perhaps with a fragment that looks like one."""
    found = draw(st.lists(parameters(), min_size=1, max_size=5))
    marks = ["?", *(draw(st.sampled_from("&&&#")) for _ in found[1:])]
    pairs = list(zip(marks, found, strict=True))
    return Written(
        "".join(mark + each.text for mark, each in pairs),
        "".join(mark + each.left for mark, each in pairs),
    )


@st.composite
def urls(draw: st.DrawFn) -> Written:
    """Draw a URL, perhaps as the encoded parameter of another, and that perhaps again."""
    base, query = draw(st.sampled_from(("https://h:443/a/b", "http://h", "/a"))), draw(queries())
    url = Written(base + query.text, base + query.left)
    for _ in range(draw(st.integers(0, 3))):
        url = Written(
            f"https://h/a?u={quote(url.text, safe='')}&x=1",
            f"https://h/a?u={quote(url.left, safe='')}&x=1",
        )
    return url


@given(urls())
def test_secrets_go_and_everything_else_stays(url: Written) -> None:
    """A URL keeps every byte but the values of the named parameters, however deep they are."""
    assert url.left == redactor(NAMES).redact(url.text)
    assert url.left == redactor(NAMES).redact(url.left)


@given(queries())
def test_every_value_goes(query: Written) -> None:
    """With * no value is left, and names stay in their order."""
    redacted = redactor((EVERY,)).redact(f"/a{query.text}")

    assert HIDDEN not in redacted
    assert redacted == redactor((EVERY,)).redact(redacted)


@given(st.text(max_size=60))
def test_any_text_can_be_redacted(text: str) -> None:
    """Nothing raises, and what was redacted does not change again."""
    for names in (NAMES, (EVERY,)):
        once = redactor(names).redact_request(text)
        assert once == redactor(names).redact_request(once)


# --- lines ---------------------------------------------------------------------------------------

REQUESTS = (
    "GET {} HTTP/1.1",
    "GET {} HTTP/1.0 ",
    "GET {}",
    "- {} -",
    "- {} ",
    "{}",
    "GET x y {} HTTP/2.0",
    "{} HTTP/1.1",
)
COLUMNS = ("user_agent", "trace_id", "domain_name", "redirect_url", "transformed_uri")
SETTINGS = {
    "names": Privacy(redact=NAMES, rejected_lines=False),
    "every": Privacy(redact=(EVERY,), rejected_lines=False),
    "recipe": Privacy(
        redact=(EVERY,),
        bits=Bits(24, 48),
        drop=frozenset({"user_agent.original", "source.port"}),
        rejected_lines=False,
    ),
}


def escaped(text: str) -> str:
    """Write a text in quotes as the load balancer does."""
    return '"' + text.replace("\\", "\\x5C").replace('"', "\\x22") + '"'


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Draw a line with secrets in any column that a client decides, at times a damaged one."""
    columns = {column: escaped(draw(urls()).text) for column in COLUMNS if draw(st.booleans())}
    request = draw(st.sampled_from(REQUESTS)).format(draw(urls()).text)
    wrong = draw(st.sampled_from(({}, {}, {}, {"elb_status_code": "x"}, {"time": "now"})))
    line = alb_line(0, request_line=escaped(request), **columns, **wrong)
    tail = draw(st.sampled_from(("", "", ' "-" "-"', f" {escaped(draw(urls()).text)}")))
    whole = line + tail.encode()
    return draw(st.sampled_from((whole, whole, whole, whole[: whole.index(b'"')], whole + b' "')))


def encoded(line: bytes, privacy: Privacy) -> tuple[Batch, bytes]:
    """Encode a line, and return also every byte that is stored or said of it."""
    context = replace(CONTEXT, privacy=privacy)
    batch = encode_chunk(Chunk(0, line + b"\n", 1), context)
    said = [action.text.encode() for action in batch.actions]
    said += [orjson.dumps(describe(reject, context)) for reject in batch.rejects]
    said += [f"{reject.reason} {reject.message}".encode() for reject in batch.rejects]
    return batch, b"".join(said)


@pytest.mark.parametrize("privacy", SETTINGS.values(), ids=SETTINGS)
@given(line=lines())
def test_no_secret_is_stored_or_said(line: bytes, privacy: Privacy) -> None:
    """Documents, dead letters and messages are free of it; the id is that of the raw line."""
    batch, said = encoded(line, privacy)

    assert HIDDEN.encode() not in said
    ids = [action.id for action in batch.actions] + [reject.id for reject in batch.rejects]
    assert [document_id(line)] == ids


# --- addresses -----------------------------------------------------------------------------------


@given(st.ip_addresses(), st.integers(0, 32), st.integers(0, 128))
def test_an_address_is_its_networks(address: IPv4Address | IPv6Address, v4: int, v6: int) -> None:
    """An address becomes the first of its network, however it is written."""
    masked = masked_ip(str(address), Bits(v4, v6))

    inner = getattr(address, "ipv4_mapped", None) or address
    bits = v4 if inner.version == 4 else v6
    if inner.version == 6 and inner in ip_network("2002::/16"):
        bits = min(bits, 16 + v4)
    assert masked == str(ip_network((inner, bits), strict=False).network_address)
    if isinstance(address, IPv6Address):
        assert masked == masked_ip(address.exploded.upper(), Bits(v4, v6))


@given(st.ip_addresses(), st.text("0123456789abcdef.:-[]", max_size=3), st.text(max_size=5))
def test_no_whole_address_is_stored(
    address: IPv4Address | IPv6Address, before: str, after: str
) -> None:
    """With no bits kept, no document holds any address of a client, however malformed."""
    client = "".join(each for each in f"{before}{address}{after}:80" if each not in ' "\n')

    batch, _ = encoded(alb_line(0, client_port=client), Privacy(bits=Bits(0, 0)))

    sources = [orjson.loads(action.source).get("source", {}) for action in batch.actions]
    assert all(source.get("ip") in {None, "0.0.0.0", "::"} for source in sources)  # noqa: S104
