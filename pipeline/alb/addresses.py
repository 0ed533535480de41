"""Find addresses of networks in texts that anybody may have written."""

import re
from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import unquote

Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
_V4 = re.compile(r"(?<![0-9])(?<![0-9]\.)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])")
_LIKE_V6 = re.compile(r"[0-9A-Fa-f:.]{2,}")
_LONGEST = 60  # of an IPv6 address with a port


def read_network(text: str) -> Network:
    """Read an address or `address/bits`; ValueError says what is wrong with it."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone, which no log has: leave it out from the % on")
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(_why_none(text)) from error
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        bits = network.prefixlen - _MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, bits))
    return network


def _why_none(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is no address: write 203.0.113.7, 2001:db8::7 or 203.0.113.0/24"
    return f"{text!r} is an address within a network: write {network} if all of it is meant"


def mentions(text: str, networks: tuple[Network, ...]) -> bool:
    """Check whether a text holds an address of any of the networks, percent-encoded or plain."""
    texts = {text, unquote(text)}
    return any(
        address in network
        for each in texts
        for address in _addresses(each, networks)
        for network in networks
    )


def _addresses(text: str, networks: tuple[Network, ...]) -> Iterator[IPv4Address | IPv6Address]:
    if any(isinstance(each, IPv4Network) for each in networks):
        yield from _parsed(set(_V4.findall(text)))
    if any(isinstance(each, IPv6Network) for each in networks):
        yield from _parsed(_like_v6(text))


def _like_v6(text: str) -> set[str]:
    """Return what may be an IPv6 address; AWS puts a port behind it with one more colon."""
    found = set()
    for token in set(_LIKE_V6.findall(text)):
        if token.count(":") > 1 and len(token) <= _LONGEST:
            whole = token.rstrip(".")
            found |= {whole, whole.removesuffix(":"), whole.rpartition(":")[0]}
    return found


def _parsed(texts: set[str]) -> Iterator[IPv4Address | IPv6Address]:
    for text in texts:
        try:
            yield ip_address(text)
        except ValueError:
            continue
