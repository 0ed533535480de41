"""
Make the traffic that is measured, and count how varied it is.

The encoder caches fragments of what repeats, so traffic that repeats too much would flatter it: no
contender meets a line twice, and the shares are counted on the very lines that are used.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO

from bench.report import Figure, Goal
from devstack.traffic import gz, ordinary_lines
from pipeline.alb.document import Context
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.ingest import Options
from pipeline.source.reading import Chunk, read_stream

SEED = 20161201
INTERVAL = timedelta(minutes=5)
CHUNK_BYTES = Options().chunk_bytes


def _noon_of_yesterday() -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(hours=12)


_NOON = _noon_of_yesterday()
KEY = (
    f"AWSLogs/123456789012/elasticloadbalancing/eu-central-1/{_NOON:%Y/%m/%d}/"
    "123456789012_elasticloadbalancing_eu-central-1_app.frontend-alb.50dc6c495c0c9188_"
    f"{_NOON:%Y%m%dT%H%MZ}_3.120.45.17_3q2xk9fz.log.gz"
)
"""The traffic's lines are of that day: an object holds none that are a day from its end time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Five minutes of a busy web load balancer: its lines, and the log object that holds them."""

    lines: list[bytes]
    gzipped: bytes

    def read(self) -> list[Chunk]:
        """Gunzip the object and cut it into chunks, as the handler and the commands do."""
        chunks = read_stream(BytesIO(self.gzipped), name="bench", chunk_bytes=CHUNK_BYTES)
        return [chunk for chunk in chunks if isinstance(chunk, Chunk)]


@dataclass(slots=True)
class Traffic:
    """Consecutive objects, and what they hold."""

    start: datetime = _NOON
    objects: int = 0
    lines: int = 0
    size: int = 0
    from_v6: int = 0
    encoded: int = 0
    urls: set[bytes] = field(default_factory=set)
    agents: set[bytes] = field(default_factory=set)
    traces: set[bytes] = field(default_factory=set)

    def take(self, lines: int) -> Sample:
        """Make the next object; the same day makes the same bytes."""
        start = self.start + self.objects % 100 * INTERVAL  # within one day, and so one index
        made = list(ordinary_lines(SEED + self.objects, lines, start=start, span=INTERVAL))
        self.objects += 1
        for line in made:
            self._count(line)
        return Sample(made, gz(made))

    def describe(self) -> list[Figure]:
        """Return how varied all the lines were together."""
        mean = self.size / max(1, self.lines)
        note = f"{self.lines:,} lines in all"
        return [
            Figure("line_bytes", "bytes of a line", mean, "bytes", note=note),
            self._share("v6", "lines from IPv6 clients", self.from_v6, Goal(5, 10)),
            self._share("encoded", "URLs with %XX", self.encoded, Goal(20)),
            Figure("agents", "different user agents", len(self.agents), "", Goal(500)),
            self._share("urls", "different URLs", len(self.urls), Goal(30)),
            self._share("traces", "different trace ids", len(self.traces), Goal(100)),
        ]

    def _count(self, line: bytes) -> None:
        client = line.split(b" ", 4)[3]
        quoted = line.split(b'"', 6)
        url = quoted[1].split(b" ")[1]
        self.lines += 1
        self.size += len(line)
        self.from_v6 += client.count(b":") > 1
        self.encoded += b"%" in url
        self.urls.add(url)
        self.agents.add(quoted[3])
        self.traces.add(quoted[5])

    def _share(self, key: str, name: str, some: int, goal: Goal) -> Figure:
        return Figure(key, name, 100 * some / max(1, self.lines), "%", goal)


def bench_context(prefix: str) -> Context:
    """Return the context of an object from S3, as ingestion makes it."""
    name = classify_key(KEY)
    assert isinstance(name, ObjectName)  # noqa: S101  it is a constant
    return Context.of(
        datetime.now(UTC),
        name=name,
        prefix=prefix,
        bucket="example-alb-logs",
        key=KEY,
        stamped=True,
    )
