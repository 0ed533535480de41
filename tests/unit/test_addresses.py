"""Addresses are found in texts that anybody may have written."""

import time

import pytest

from pipeline.alb.addresses import mentions, read_network
from tests.support.factories import alb_line

V4, V6 = "203.0.113.7", "2001:db8::7"
LINE = alb_line(client_port=f"{V4}:2817").decode()
LINE_V6 = alb_line(client_port=f"{V6}:2817").decode()


@pytest.mark.parametrize(
    ("text", "network"),
    [
        (V4, V4),
        (f"{V4}:80", V4),
        (LINE, V4),
        (LINE, "203.0.113.0/24"),
        (LINE_V6, V6),
        (LINE_V6, "2001:db8::/64"),
        (f"[{V6}]:2817", V6),
        ("2001:0DB8:0:0::7", V6),
        ("?ip=2001%3Adb8%3A%3A7&a", V6),
        (f"%20{V4}%26", V4),
        ("203%2E0.113.7", V4),
        (f"::ffff:{V4}", V4),
        (f"({V4}).", V4),
        (f"x,{V6}.", V6),
        (V4, f"::ffff:{V4}"),
        (f"a{V4}b", V4),
    ],
)
def test_an_address_is_found(text: str, network: str) -> None:
    """However it is written, and with a port behind it."""
    assert mentions(text, (read_network("198.51.100.1"), read_network(network)))


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("", V4),
        (LINE, V6),
        (LINE_V6, V4),
        ("203.0.113.77", V4),
        ("1203.0.113.7", V4),
        ("1.203.0.113.7", V4),
        ("203.0.113.7.1", V4),
        ("203.0.113", "203.0.113.0/24"),
        ("999.0.113.7", "0.0.0.0/0"),
        ("2001:db8::77", V6),
        ("10:00:00.000", "::/0"),
        ("a:b", "::/0"),
        (":" * 100_000, "::/0"),
    ],
)
def test_what_is_no_such_address_is_not(text: str, network: str) -> None:
    """A part of a longer one is another."""
    assert not mentions(text, (read_network(network),))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("203.0.113.7/24", "write 203.0.113.0/24 if all of it is meant"),
        ("203.0.113", "is no address: write"),
        ("", "is no address"),
        ("fe80::1%eth0", "has a zone"),
        ("203.0.113.0/33", "is no address"),
    ],
)
def test_a_wrong_address_is_explained(text: str, why: str) -> None:
    """What to write instead."""
    with pytest.raises(ValueError, match=why):
        read_network(text)


def test_the_longest_line_takes_no_time() -> None:
    """Whatever a stranger fills it with."""
    networks = (read_network(V4), read_network(V6))
    for part in ("1.2.3.", "1:", "::1 ", "1.1.1.1 ", "%3a%3a", "a:a:a "):
        text = (part * 262_144)[:262_144]
        begun = time.process_time()
        assert not mentions(text, networks)
        assert time.process_time() - begun < 2.0
