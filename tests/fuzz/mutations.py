"""
Damage lines, bytes and messages: mostly a little, so that what comes out is nearly right.

Nearly right is where a parser goes wrong. All randomness comes from the `Random` that is given, so
the same seed gives the same input again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

Damage = Callable[[bytes, Random], bytes]

# --- lines ---------------------------------------------------------------------------------------

_BYTES = b' "\\-:/.;,=?%#+x0129AZ\r\t\x00\x0b\x1b\x7f\x80\x85\xa0\xc3\xe2\xff'


def _dictionary(name: str) -> list[str]:
    return (Path(__file__).parent / "dictionary" / f"{name}.txt").read_text().split("\n")[:-1]


_TOKENS, _REQUESTS, _NAMES = map(_dictionary, ("tokens", "requests", "names"))
_LONGEST = 300_000


def flip(line: bytes, rng: Random) -> bytes:
    """Flip one bit."""
    at = rng.randrange(len(line))
    return line[:at] + bytes([line[at] ^ (1 << rng.randrange(8))]) + line[at + 1 :]


def _put(line: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(line) + 1)
    return line[:at] + rng.choice(_BYTES).to_bytes() + line[at + rng.randrange(2) :]


def _drop(line: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(line))
    return line[:at] + line[at + rng.choice((1, 1, 1, 2, 8, 64)) :]


def _double(line: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(line))
    part = line[at : at + rng.choice((1, 1, 4, 32))]
    return line[:at] + part + line[at:]


def _stretch(line: bytes, rng: Random) -> bytes:
    """Repeat a part until the line is long: where time that grows with its square would show."""
    at = rng.randrange(len(line))
    part = line[at : at + rng.choice((1, 2, 5, 30))]
    return line[:at] + part * (rng.choice((3_000, 20_000, _LONGEST)) // len(part)) + line[at:]


def _cut(line: bytes, rng: Random) -> bytes:
    return line[: rng.randrange(len(line) + 1)]


def _other_digits(line: bytes, rng: Random) -> bytes:
    """Change digits to digits: most such lines stay plain."""
    digits = bytearray(line)
    for at in rng.sample(range(len(line)), min(len(line), 40)):
        if 0x30 <= digits[at] <= 0x39:
            digits[at] = rng.choice(b"0123456789")
    return bytes(digits)


def _junk(_line: bytes, rng: Random) -> bytes:
    return rng.randbytes(rng.choice((1, 3, 20, 400)))


def _words_of(_line: bytes, rng: Random) -> bytes:
    """Return a line of nothing but odd tokens."""
    return " ".join(rng.choices(_TOKENS, k=rng.randrange(40))).encode()


def on_tokens(change: Callable[[list[bytes], Random], None]) -> Damage:
    """Turn a change of the parts between a line's spaces into damage of the line."""

    def damage(line: bytes, rng: Random) -> bytes:
        tokens = line.split(b" ")
        change(tokens, rng)
        return b" ".join(tokens)

    return damage


@on_tokens
def swap_tokens(tokens: list[bytes], rng: Random) -> None:
    """Swap two tokens."""
    one, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    tokens[one], tokens[other] = tokens[other], tokens[one]


@on_tokens
def remove_token(tokens: list[bytes], rng: Random) -> None:
    """Take one token out."""
    del tokens[rng.randrange(len(tokens))]


@on_tokens
def _insert(tokens: list[bytes], rng: Random) -> None:
    tokens.insert(rng.randrange(len(tokens) + 1), rng.choice(_TOKENS).encode())


@on_tokens
def _odd_token(tokens: list[bytes], rng: Random) -> None:
    tokens[rng.randrange(len(tokens))] = rng.choice(_TOKENS).encode()


@on_tokens
def _quote(tokens: list[bytes], rng: Random) -> None:
    at = rng.randrange(len(tokens))
    token = tokens[at]
    tokens[at] = token.strip(b'"') if token.startswith(b'"') else b'"%b"' % token


@on_tokens
def _lengthen(tokens: list[bytes], rng: Random) -> None:
    tokens += [rng.choice(_TOKENS).encode() for _ in range(rng.randrange(1, 5))]


def _odd_request(line: bytes, rng: Random) -> bytes:
    """Put another request line where one is."""
    before, quote, rest = line.partition(b'"')
    _, closing, after = rest.partition(b'"')
    return before + quote + rng.choice(_REQUESTS).encode() + closing + after


LITTLE: tuple[Damage, ...] = (
    *(flip, _put, _put, _drop, _double, _other_digits, _other_digits),
    *(swap_tokens, remove_token, _insert),
    *(_odd_token, _odd_token, _odd_token, _quote, _lengthen, _odd_request, _odd_request, _cut),
)
MUCH: tuple[Damage, ...] = (_junk, _words_of)


def damaged_line(lines: Sequence[bytes], rng: Random) -> bytes:
    """Return one of the lines, as it is or damaged; it may have become several lines."""
    line = rng.choice(lines)
    fate = rng.random()
    if fate < 0.05:
        return line
    if fate < 0.07:
        return _with(rng.choice(MUCH), line, rng)
    if fate < 0.0702:
        return _with(_stretch, line, rng)
    if fate < 0.2:  # two lines in one, joined at their tokens: nearly always of the right length
        return _crossed(line, rng.choice(lines), rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        line = _with(rng.choice(LITTLE), line, rng)
    return line


def _with(damage: Damage, line: bytes, rng: Random) -> bytes:
    return damage(line, rng) if line else line


def _crossed(one: bytes, other: bytes, rng: Random) -> bytes:
    tokens, others = one.split(b" "), other.split(b" ")
    at = rng.randrange(min(len(tokens), len(others)))
    until = rng.choice((at + 1, len(others)))
    return b" ".join([*tokens[:at], *others[at:until], *tokens[until:]])


# --- compressed bytes ----------------------------------------------------------------------------


def damaged_bytes(data: bytes, rng: Random) -> bytes:
    """Damage bytes anywhere, a few times or not at all; those of a header more often."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
        if not data:
            break
        at = rng.randrange(rng.choice((min(len(data), 24), len(data))))
        data = rng.choice(_BYTE_DAMAGES)(data, at, rng)
    return data


_BYTE_DAMAGES: tuple[Callable[[bytes, int, Random], bytes], ...] = (
    lambda data, at, rng: data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :],
    lambda data, at, rng: data[:at] + rng.randbytes(1) + data[at + 1 :],
    lambda data, at, rng: data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:],
    lambda data, at, rng: data[:at] + data[at + rng.randrange(1, 17) :],
    lambda data, at, rng: data[:at] + data[at : at + rng.randrange(1, 33)] + data[at:],
    lambda data, at, _: data[:at],
    lambda data, at, _: data[-at:],
    lambda data, _, rng: data + b"\0" * rng.choice((1, 7, 512)),
    lambda data, at, _: data + data[:at],
    lambda data, _, rng: data + rng.randbytes(rng.randrange(1, 20)),
)

# --- messages ------------------------------------------------------------------------------------

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, 1.5, "", "-", [], {}, [[]], [None], {"": None}, "[]", "{}"),
    *("{", "null", '"text"', "\ud800", "\x00", "%", "%FF", "%2", "a+b%2Fc", "é😀", "a" * 2_000),
    *("2.1", "3.0", "2", "2.", ".", "ObjectCreated:Put", "s3:ObjectCreated:Copy", "ObjectCreated"),
    *("ObjectRemoved:Delete", "s3:TestEvent", "Notification", "Object Created", "aws.s3"),
    *("2026-11-20T10:05:12.000Z", "2026-11-20", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59Z"),
)


def damaged_message(message: Any, rng: Random) -> Any:  # noqa: ANN401  JSON
    """Damage a message's values, names and envelopes, a few times or not at all."""
    for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
        message = _damaged_node(message, rng)
    return message


def _damaged_node(node: Any, rng: Random) -> Any:  # noqa: ANN401
    """Walk down to some part of a message, damage it, and put everything together again."""
    if node and rng.random() < 0.8:
        if isinstance(node, dict):
            name = rng.choice(list(node))
            return {**node, name: _damaged_node(node[name], rng)}
        if isinstance(node, list):
            at = rng.randrange(len(node))
            return [*node[:at], _damaged_node(node[at], rng), *node[at + 1 :]]
        if isinstance(node, str) and node[:1] == "{":
            return _damaged_text(node, rng)
    return rng.choice(_NODE_DAMAGES)(node, rng)


def _damaged_text(text: str, rng: Random) -> str:
    """Damage the message within a text, or the text."""
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    if rng.random() < 0.8:
        return json.dumps(_damaged_node(inner, rng))
    return damaged_bytes(text.encode("utf-8", "surrogatepass"), rng).decode("utf-8", "replace")


def _renamed(node: Any, rng: Random) -> Any:  # noqa: ANN401
    if not isinstance(node, dict) or not node:
        return node
    gone = rng.choice(list(node))
    return {rng.choice(_NAMES) if name == gone else name: part for name, part in node.items()}


def _without(node: Any, rng: Random) -> Any:  # noqa: ANN401
    if not isinstance(node, dict) or not node:
        return node
    gone = rng.choice(list(node))
    return {name: part for name, part in node.items() if name != gone}


def _wrapped(node: Any, rng: Random) -> Any:  # noqa: ANN401
    text = json.dumps(node)
    return rng.choice(
        (
            {"Records": [{"body": text}]},
            {"Records": [{"Sns": {"Message": text}}, {"body": text}]},
            {"Type": "Notification", "Message": text},
            {"requestPayload": node},
            {"detail": {"requestPayload": node}},
            {"Records": [node]},
            {"body": node},
            text,
            [node, node],
        )
    )


_NODE_DAMAGES: tuple[Callable[[Any, Random], Any], ...] = (
    lambda _, rng: rng.choice(_VALUES),
    lambda _, rng: rng.choice(_VALUES),
    lambda node, rng: (
        {**node, rng.choice(_NAMES): rng.choice(_VALUES)} if isinstance(node, dict) else node
    ),
    lambda node, _: node * 3 if isinstance(node, list) else node,
    lambda node, rng: (
        damaged_bytes(node.encode("utf-8", "replace"), rng).decode("utf-8", "replace")
        if isinstance(node, str)
        else node
    ),
    _renamed,
    _without,
    _wrapped,
)
