"""
Objects of gigabytes through a deployed function that is stopped after a few seconds.

What makes them so big in little time are lines too long to be log lines, which become dead letters;
between them are ordinary ones. The environment variable BIG_BYTES sets the size for a longer run:
`BIG_BYTES=2200000000 pytest tests/e2e/test_big_objects.py`.
"""

import base64
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from devstack.traffic import line_id, ordinary_lines
from tests.support.factories import KEY, START
from tests.support.stack import Stack

BIG_BYTES = int(os.environ.get("BIG_BYTES", "0"))  # noqa: TID251  of the tests, not of the pipeline
PARTS = 200
PIECE = 1_000_000
"""Of a long line, in bytes: what is held at once."""


@dataclass(frozen=True, slots=True)
class Big:
    """The text of an object, written piece by piece: ordinary lines, a long one, and so on."""

    seed: int
    size: int
    lines: int
    """Ordinary ones in a part."""

    def parts(self) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Yield the lines of each part, and its long line in pieces."""
        lines = ordinary_lines(self.seed, PARTS * self.lines, start=START)
        pieces = self.size // PARTS // PIECE
        for number in range(PARTS):
            head = b"%d %d " % (self.seed, number)
            yield list(islice(lines, self.lines)), [head, *[b"x" * PIECE] * pieces]

    def written(self) -> Iterator[bytes]:
        """Yield the text part by part."""
        for lines, long in self.parts():
            yield b"".join((*(line + b"\n" for line in lines), *long, b"\n"))

    def ids(self) -> tuple[set[str], set[str]]:
        """Return the ids of what becomes documents, and of what becomes dead letters."""
        documents: set[str] = set()
        letters: set[str] = set()
        for lines, long in self.parts():
            documents.update(map(line_id, lines))
            digest = hashlib.sha256()
            for piece in long:
                digest.update(piece)
            letters.add(base64.urlsafe_b64encode(digest.digest()).decode()[:20])
        return documents, letters


def as_it_is(texts: Iterator[bytes]) -> bytes:
    """Store text plain."""
    return b"".join(texts)


def one_member(texts: Iterator[bytes]) -> bytes:
    """Store text as ALB does."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([*map(packer.compress, texts), packer.flush()])


def members(texts: Iterator[bytes]) -> bytes:
    """Store text as what joins objects does: a gzip member each."""
    return b"".join(one_member(iter([text])) for text in texts)


def ids_in(es: Elasticsearch, index: str) -> set[str]:
    """Return the ids of every document of these indices."""
    es.indices.refresh(index=index)
    return {hit["_id"] for hit in scan(es, index=index, size=5_000, query={"_source": False})}


def without_ledger(stack: Stack) -> str:
    """Return the names of all indices of lines."""
    return f"{stack.prefix}-*,-{stack.prefix}-ledger-*"


@pytest.mark.parametrize(
    ("stored", "big"),
    [
        pytest.param(members, Big(1, BIG_BYTES or 2_200_000_000, 200), id="members"),
        pytest.param(one_member, Big(2, BIG_BYTES or 600_000_000, 400), id="one-member"),
        pytest.param(as_it_is, Big(3, BIG_BYTES or 100_000_000, 800), id="plain"),
    ],
)
def test_a_big_object_ends_complete(
    stack: Stack, stored: Callable[[Iterator[bytes]], bytes], big: Big
) -> None:
    """In several invocations every line comes once, and what they report adds up."""
    key = KEY.replace("3q2xk9fz", f"big{big.seed}").removesuffix(
        "" if stored != as_it_is else ".gz"
    )
    documents, letters = big.ids()
    before = ids_in(stack.es, without_ledger(stack))
    stack.put(key, stored(big.written()))

    stack.wait_until(lambda: bool(stack.told("ingested", key)), within=600.0)
    stack.wait_until(stack.settled)

    assert [] == stack.given_up()
    parts = stack.told("goes on", key) + stack.told("ingested", key)
    assert len(parts) >= 2
    told = Counter[str]()
    for part in parts:
        told.update({name: part[name] for name in ("lines", "rejected", "indexed", "duplicates")})
    assert (len(documents) + PARTS, PARTS) == (told["lines"], told["rejected"])
    assert len(documents) == told["indexed"] + told["duplicates"]
    assert before | documents | letters == ids_in(stack.es, without_ledger(stack))
    assert letters <= ids_in(stack.es, f"{stack.prefix}-dead-letter")
