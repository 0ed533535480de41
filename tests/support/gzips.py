"""Make gzips and say what is in them; load `gunzip` with each of its decompressors."""

import gzip
import importlib.util
import sys
import zlib
from types import ModuleType
from unittest.mock import patch

import pytest

from pipeline.source import gunzip

LINES = [b"https 2026-09-10T23:35:00Z app/web/%08x 1 %02d\n" % (n**6, n) for n in range(1, 30)]
TEXT = b"".join(LINES)
GZIP = gzip.compress(TEXT, mtime=0)
# As a load balancer writes it: members that end anywhere, one of them empty.
MEMBERS = b"".join(gzip.compress(part, mtime=0) for part in (TEXT[:777], b"", TEXT[777:]))


def load_without_isal() -> ModuleType:
    """Load the module as it is where the extra `fast` is not installed."""
    spec = importlib.util.spec_from_file_location("gunzip_without_isal", gunzip.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {"isal": None}):
        spec.loader.exec_module(module)
    return module


with_isal, without_isal = gunzip, load_without_isal()
CODECS = [pytest.param(with_isal, id="isal"), pytest.param(without_isal, id="zlib")]


def text_of(data: bytes) -> bytes:
    """Decode gzip members byte by byte, up to the end, a cut or damage."""
    texts, decoder = [], zlib.decompressobj(31)
    try:
        for value in data:
            if decoder.eof:
                decoder = zlib.decompressobj(31)
            texts.append(decoder.decompress(bytes([value])))
    except zlib.error:
        pass
    return b"".join(texts)


def whole_lines(text: bytes) -> bytes:
    """Leave out an unfinished line at the end."""
    return text[: text.rfind(b"\n") + 1]
