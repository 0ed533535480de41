r"""
Decode the texts of a line: `\xHH` in what is in quotes, then UTF-8.

AWS does not document how the load balancer escapes text. It does what nginx does: `\xHH` for a
quote, a backslash, a control character and every byte beyond ASCII, and sometimes `\x000000HH`.
Texts come here with one character a byte (latin-1), so that nothing is lost before.

A stranger decides how many escapes and values a line has, so no step here takes them one by one in
Python. Escapes are decoded by way of quoted-printable, whose `=HH` has a decoder in C.
"""

import binascii
import hashlib
import re


def decode_text(token: str) -> str | None:
    """Decode the text of a token, in quotes or not; None if it is `-` or empty."""
    quoted = token.startswith('"')
    text = token[1:-1] if quoted else token
    escaped = quoted and "\\x" in text
    if escaped or not text.isascii():
        raw = text.encode("latin-1")
        raw = _unescaped(raw.replace(b"=", b"=3D")) if escaped else raw
        text = raw.decode("utf-8", "replace")
    return None if text in {"", "-"} else text


def decode_tail(tail: str) -> list[str]:
    """
    Decode many tokens, each with a space before it; leave out those that are `-` or empty.

    They are decoded as one text: its parts in quotes stay as they are, the spaces between become a
    separator that no value holds.
    """
    if "\\x" not in tail:
        text = tail.encode("latin-1").decode("utf-8", "replace")
        return present(_separated(text, "\n"), "\n")
    # A value may hold any character by an escape, but no tail can be made to hold its own digest.
    separator = f"\n{hashlib.sha256(tail.encode('latin-1')).hexdigest()[:_DIGITS]}\n"
    raw = _unescaped(_separated(tail.replace("=", "=3D"), separator).encode("latin-1"))
    return present(raw.decode("utf-8", "replace"), separator)


def present(text: str, separator: str) -> list[str]:
    """Split a text into the parts that are neither `-` nor empty."""
    parts = list(filter(None, text.split(separator)))
    dashes = f"{separator}-{separator}" in f"{separator}{text}{separator}"
    return [part for part in parts if part != "-"] if dashes else parts


def _separated(tail: str, separator: str) -> str:
    """Write a separator for each space between values, and leave out the quotes around them."""
    parts = tail.split('"')
    unquoted = '"'.join(parts[0::2]).replace("\\x", "=5Cx").replace(" ", separator)
    parts[0::2] = unquoted.split('"')
    return "".join(parts)


def _unescaped(raw: bytes) -> bytes:
    r"""Decode the escapes of a text, in which `=` is written as `=3D`."""
    # An \x without two hex digits after it is text. Replacing is much faster than the expression.
    raw = raw.replace(b"\\x\\x", b"=5Cx\\x").replace(b"\\x=", b"=5Cx=")
    raw = _LONG_ESCAPE.sub(rb"\\x", _NO_ESCAPE.sub(b"=5Cx", raw))
    return binascii.a2b_qp(raw.replace(b"\\x", b"="))


_NO_ESCAPE = re.compile(rb"\\x(?![0-9a-fA-F]{2})")
_LONG_ESCAPE = re.compile(rb"\\x000000(?=[0-9a-fA-F]{2})")
_DIGITS = 16
