"""
Measure the peak memory of a process that ingests one large object.

Each bulk reply is delayed, which makes the sink the bottleneck and keeps every buffer full. The
object repeats a block of lines, so after the first block the replies say that the documents exist
already, which takes several times the bytes of saying that they were created.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.report import Figure, Goal
from bench.sample import Traffic
from bench.sizes import MIB
from pipeline.config import Config
from pipeline.sink.store import Store

_BLOCK = 50 * MIB
_MOST = 200
_DIFFERENCE = 10
"""MB by which runs over the same object differ."""


@dataclass(frozen=True, slots=True)
class Peak:
    """What a process reports at its end: its peak in bytes, and the share of time it was idle."""

    size: int
    idle: float


def measure_memory(
    traffic: Traffic, store: Store, config: Config, sizes: tuple[int, int]
) -> list[Figure]:
    """Ingest two objects of these sizes, decompressed, each in a process of its own."""
    block = _block(traffic, min(sizes[0], _BLOCK))
    small, large = (_ingest_apart(block, size, store, config) for size in sizes)
    grown = (large.size - small.size) / 1e6
    name = f"… and above the one of {sizes[0] // MIB:,} MiB"
    growth = Figure("memory_growth", name, grown, "MB", Goal(at_most=_DIFFERENCE))
    return [_peak("memory_small", sizes[0], small), _peak("memory", sizes[1], large), growth]


def _peak(key: str, size: int, peak: Peak) -> Figure:
    name = f"peak memory, object of {size // MIB:,} MiB"
    note = f"idle {peak.idle:.0%} of the time"
    return Figure(key, name, peak.size / 1e6, "MB", Goal(at_most=_MOST), note=note)


def _block(traffic: Traffic, size: int) -> bytes:
    lines = size // 738
    return b"".join(line + b"\n" for line in traffic.take(lines).lines)


def _ingest_apart(block: bytes, size: int, store: Store, config: Config) -> Peak:
    with tempfile.TemporaryDirectory(prefix="alb-logs-bench-") as folder:
        path = Path(folder) / "large.log.gz"
        _write(path, block, size)
        command = [sys.executable, "-m", "bench.large", store.prefix, str(path)]
        command += config.es_url  # a server started here is not in the environment
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=_ROOT)  # noqa: S603
    return Peak(**json.loads(done.stdout))


_ROOT = Path(__file__).resolve().parent.parent


def _write(path: Path, block: bytes, size: int) -> None:
    """Write a gzip object of many members, as load balancers do."""
    member = gzip.compress(block, 1, mtime=0)
    with path.open("wb") as file:
        file.writelines(member for _ in range(-(-size // len(block))))
