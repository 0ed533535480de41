"""
Conceal what of a line must not be stored: values in URLs, parts of addresses, whole fields.

Pure: what there is to conceal is a value, `Privacy`, made from the settings once. Every route
applies it before a document is made; ids are always those of the raw lines, so that a line that
comes again is still a duplicate.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple

from pipeline.alb.fields import CONSTANTS
from pipeline.alb.lookup import find_field
from pipeline.alb.parsing import Record
from pipeline.alb.redaction import EVERY, redactor
from pipeline.errors import ConfigError


class Bits(NamedTuple):
    """How many leading bits of an address are kept."""

    v4: int
    v6: int


@dataclass(frozen=True, slots=True)
class Privacy:
    """
    What is concealed.

    `redact` are names of query parameters, or `EVERY`; `drop` are names of fields. Where
    `rejected_lines` is false, neither dead letters nor messages quote anything from a line.
    """

    redact: tuple[str, ...] = ()
    bits: Bits | None = None
    drop: frozenset[str] = frozenset()
    rejected_lines: bool = True

    def redacted(self, record: Record) -> Record:
        """Return a record without the values of the parameters that are to be redacted."""
        if not self.redact:
            return record
        redact = redactor(self.redact)
        values = {
            name: value
            if not isinstance(value, str)
            else (redact.redact_request if name == _REQUEST else redact.redact)(value)
            for name, value in record.values.items()
        }
        return replace(record, values=values, extra=tuple(map(redact.redact, record.extra)))

    def masked(self, flat: dict[str, Any]) -> dict[str, Any]:
        """Return fields with the client's address cut to its leading bits, wherever it is."""
        ip = flat.get(SOURCE_IP)
        if self.bits is None or not isinstance(ip, str):
            return flat
        short = masked_ip(ip, self.bits)
        masked = {**flat, SOURCE_IP: short}
        if short is not None:
            masked |= _elsewhere(masked, ip, short)
        return masked


NOTHING = Privacy()
"""Conceals nothing."""

SOURCE_IP = "source.ip"

_REQUEST = "request_line"


# --- addresses -----------------------------------------------------------------------------------

_V4_BITS, _V6_BITS = 32, 128
_6TO4 = IPv6Network("2002::/16")  # the IPv4 address of its owner follows
_NOT_THE_CLIENT = {"aws.elb.backend.ip", "aws.elb.target_port", "observer.ip", "source.ip"}
"""Fields for addresses that are somebody else's, even where they are equal to the client's."""


def masked_ip(text: str, bits: Bits) -> str | None:
    """Return an address with all but its leading bits zero; None if it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            kept = min(bits.v6, 16 + bits.v4) if address in _6TO4 else bits.v6
            return str(IPv6Address(_leading(int(address), _V6_BITS - kept)))
        address = address.ipv4_mapped
    return str(IPv4Address(_leading(int(address), _V4_BITS - bits.v4)))


def _leading(number: int, zeros: int) -> int:
    return number >> zeros << zeros


def mentions(text: str, ip: str) -> int:
    """Count how often a text may hold an address, in either case, plain or percent-encoded."""
    return text.lower().replace("%3a", ":").count(ip.lower()) if ":" in ip else text.count(ip)


def _elsewhere(flat: dict[str, Any], ip: str, short: str) -> dict[str, Any]:
    """Return the other fields that hold the client's address, with the short one instead."""
    found: dict[str, Any] = {}
    for name, part in flat.items():
        texts = part if isinstance(part, list) else [part]
        if name in _NOT_THE_CLIENT or not any(
            isinstance(t, str) and mentions(t, ip) for t in texts
        ):
            continue
        shorter = [_mention(ip).sub(short, text) for text in texts]
        found[name] = shorter if isinstance(part, list) else shorter[0]
    return found


@lru_cache(maxsize=256)
def _mention(ip: str) -> re.Pattern[str]:
    """Return an expression for an address in a text, but not within a longer one."""
    encoded = "(?<=%[0-9A-Fa-f]{2})"
    if ":" not in ip:
        return re.compile(rf"(?:(?<![0-9])(?<![0-9]\.)|{encoded}){re.escape(ip)}(?![0-9]|\.[0-9])")
    written = re.escape(ip).replace(":", "(?::|%3A)")
    return re.compile(rf"(?:(?<![0-9A-F:])|{encoded}){written}(?![0-9A-F:])", re.IGNORECASE)


# --- how the settings are read -------------------------------------------------------------------


def read_names(variable: str, text: str) -> tuple[str, ...]:
    """Read `name,…` or `*`: the query parameters to redact."""
    names = tuple(dict.fromkeys(name for _, name in _listed(text)))
    if names == (EVERY,):
        return names
    for at, name in _listed(text):
        if EVERY in name:
            raise _wrong(variable, at, f"{name!r} is no name: * stands alone, for every parameter")
        if wrong := re.search(r"[?&;#=%\[]", name):
            raise _wrong(
                variable, at + wrong.start(), f"{name!r} is no name: write it without {wrong[0]}"
            )
    return names


def read_bits(variable: str, text: str) -> Bits:
    """Read `24,48`: how many leading bits of IPv4 and IPv6 addresses are kept."""
    match = re.fullmatch(r"([0-9]{1,2}) *, *([0-9]{1,3})", text)
    if match is None:
        raise _wrong(variable, 0, f"{text!r} is not two numbers of bits; write 24,48")
    bits = Bits(int(match[1]), int(match[2]))
    if bits.v4 > _V4_BITS:
        raise _wrong(variable, 0, f"an IPv4 address has no {bits.v4} bits; write 24,48")
    if bits.v6 > _V6_BITS:
        raise _wrong(variable, match.start(2), f"an IPv6 address has no {bits.v6} bits")
    return bits


def read_fields(variable: str, text: str) -> tuple[str, ...]:
    """Read `field,…`: the fields to drop from every document."""
    for at, name in _listed(text):
        field = find_field(name)
        if isinstance(field, str):
            raise _wrong(variable, at, field)
        if name == "@timestamp":
            raise _wrong(variable, at, "@timestamp decides the index; it cannot be dropped")
        if any(name in constants for constants in CONSTANTS.values()):
            raise _wrong(variable, at, f"{name} is the same in every document; leave it out here")
    return tuple(dict.fromkeys(name for _, name in _listed(text)))


def _listed(text: str) -> Iterator[tuple[int, str]]:
    """Yield the items of a list with commas, each with its offset."""
    for match in re.finditer(r"[^,]+", text):
        item = match[0].strip()
        if item:
            yield match.start() + match[0].index(item), item


def _wrong(variable: str, at: int, why: str) -> ConfigError:
    return ConfigError(f"{variable}, character {at + 1}: {why}")
