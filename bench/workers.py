"""
Measure the processes of a backfill: against the server's own limit, two against one, their memory.

Objects come over HTTP from a process of its own and go through `Workers`, as in the command. The
processes are started, and have ingested something, before they are measured.

- `backfill`: two processes into Elasticsearch, on the cores that they share with it;
- `ready`: the same documents in bulk bodies made beforehand, over as many connections;
- `one`, `two`: so many processes, and a sink that takes no time.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

from bench.cluster import post_bodies, remove_index
from bench.report import Figure, Goal, Pair
from bench.sample import KEY, Traffic, bench_context
from bench.serving import Addresses, open_measured
from bench.sizes import Sizes
from bench.timing import Times, results_in_turns, wall
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.config import Config
from pipeline.jobs.pace import Pace
from pipeline.jobs.workers import Done, Note, Tick, Work, Workers
from pipeline.recording import BACKFILL
from pipeline.sink.encoding import encode_chunk
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef

_OBJECT_LINES, _FEW_LINES = 2_000, 20
_CONNECTIONS = 2
_DIFFERENCE = 10
"""MB by which peaks of the same work differ."""


def compare_workers(traffic: Traffic, store: Store, config: Config, sizes: Sizes) -> list[Figure]:
    """Measure them all."""
    with _shelf() as shelf, ExitStack() as processes:
        addresses = partial(Addresses, shelf.url, config.es_url, store.prefix)

        def started(number: int, *, instant: bool) -> Workers:
            opener = partial(open_measured, addresses(instant=instant))
            work = Work(BACKFILL, _CONNECTIONS)
            return processes.enter_context(Workers(number, work, opener))

        bench = _Bench(traffic, store, shelf)
        into = bench.compare_with_ready(started(2, instant=False), sizes)
        scaled = bench.compare_two_with_one(
            started(1, instant=True), started(2, instant=True), sizes
        )
        return [into, *scaled, bench.measure_growth(started(1, instant=True), sizes.many)]


# --- objects -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Shelf:
    """A folder whose files are served as objects."""

    url: str
    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def put(self, gzipped: bytes) -> ObjectRef:
        """Store an object."""
        key = KEY.replace("3q2xk9fz", f"n{next(self._numbers)}")
        (self.folder / key.rpartition("/")[2]).write_bytes(gzipped)
        name = classify_key(key)
        assert isinstance(name, ObjectName)  # noqa: S101  it is one of ours
        return ObjectRef("example-alb-logs", key, name, size=len(gzipped))


@contextmanager
def _shelf() -> Iterator[_Shelf]:
    with tempfile.TemporaryDirectory(prefix="alb-logs-bench-") as folder:
        command = [sys.executable, "-m", "bench.shelf", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as server:  # noqa: S603
            assert server.stdout  # noqa: S101  it is piped
            try:
                yield _Shelf(f"http://127.0.0.1:{int(server.stdout.readline())}", Path(folder))
            finally:
                server.kill()


_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class _Load:
    """Objects, their lines, and the bulk bodies of their documents."""

    refs: list[ObjectRef]
    lines: int
    ready: list[bytes]


@dataclass(frozen=True, slots=True)
class _Spent:
    """The seconds that some objects took; of processor time, in the processes and in this one."""

    seconds: float
    cpu: float = 0.0
    handing_out: float = 0.0


# --- what is measured ----------------------------------------------------------------------------


class _Bench:
    def __init__(self, traffic: Traffic, store: Store, shelf: _Shelf) -> None:
        self._traffic, self._store, self._shelf = traffic, store, shelf
        self._context = bench_context(store.prefix)
        self._index = ""

    def compare_with_ready(self, workers: Workers, sizes: Sizes) -> Figure:
        """Compare two processes with the rate at which the server takes the same documents."""
        contenders: dict[str, Callable[[_Load], _Spent]] = {
            "backfill": lambda load: self._into_index(lambda: _ingest(workers, load)),
            "ready": lambda load: self._into_index(lambda: self._send_ready(load)),
        }
        results = results_in_turns(contenders, _rounds(sizes), lambda: self._load(sizes.indexed))
        times, lines = _times(results), sizes.indexed
        low, high = times.spread("ready", "backfill")
        pair = Pair(times.rate("backfill", lines), times.rate("ready", lines), "documents/s")
        name = "two processes from S3 into Elasticsearch, against ready bodies"
        share = 100 * times.ratio("ready", "backfill")
        return Figure("backfill", name, share, "%", Goal(75), 100 * low, 100 * high, pair)

    def compare_two_with_one(self, one: Workers, two: Workers, sizes: Sizes) -> list[Figure]:
        """Compare two processes with one, where the sink takes no time."""
        contenders: dict[str, Callable[[_Load], _Spent]] = {
            "one": lambda load: _ingest(one, load),
            "two": lambda load: _ingest(two, load),
        }
        lines = sizes.indexed
        results = results_in_turns(contenders, _rounds(sizes), lambda: self._load(lines))
        return [_speed(_times(results), lines), _cost(results, lines), _handing_out(results, lines)]

    def measure_growth(self, workers: Workers, objects: tuple[int, int]) -> Figure:
        """Measure how the peak of a process grows with the objects that it ingests."""
        few, many = objects
        refs = [self._shelf.put(self._traffic.take(_FEW_LINES).gzipped) for _ in range(many)]
        peaks = [each["peak"] for each in _reports(workers, refs)]
        name = f"peak memory of a process after {many:,} objects, above that after {few:,}"
        grown = (peaks[-1] - peaks[few - 1]) / 1e6
        note = f"{peaks[-1] / 1e6:.0f} MB"
        return Figure("workers_growth", name, grown, "MB", Goal(at_most=_DIFFERENCE), note=note)

    def _load(self, lines: int) -> _Load:
        number = max(1, lines // _OBJECT_LINES)
        samples = [self._traffic.take(lines // number) for _ in range(number)]
        batches = [encode_chunk(chunk, self._context) for each in samples for chunk in each.read()]
        (self._index,) = set().union(*(batch.indices for batch in batches))
        return _Load(
            [self._shelf.put(each.gzipped) for each in samples],
            lines,
            [batch.body() for batch in batches],
        )

    def _into_index(self, work: Callable[[], _Spent]) -> _Spent:
        """Make the index of the traffic from our templates, and remove it afterwards."""
        self._store.forget()
        self._store.admit({self._index})
        spent = work()
        remove_index(self._store.es, self._index)
        return spent

    def _send_ready(self, load: _Load) -> _Spent:
        return _Spent(
            wall(lambda: post_bodies(self._store.es, self._index, load.ready, _CONNECTIONS))
        )


def _rounds(sizes: Sizes) -> int:
    """Return half as many rounds as of indexing: each takes as long, and more is made for it."""
    return (sizes.indexing_rounds + 1) // 2


def _ingest(workers: Workers, load: _Load) -> _Spent:
    began, worked = time.perf_counter(), time.process_time()
    cpu = sum(each["cpu"] for each in _reports(workers, load.refs, load.lines))
    return _Spent(time.perf_counter() - began, cpu, time.process_time() - worked)


def _reports(
    workers: Workers, refs: list[ObjectRef], lines: int | None = None
) -> list[dict[str, float]]:
    """Ingest objects; return what the processes report of each."""
    reports, indexed = [], 0
    for event in workers.ingest(iter(refs), Pace(workers.number), lambda: False):
        match event:
            case Note(text):
                reports.append(json.loads(text))
            case Done(_, outcome):
                indexed += outcome.tally.indexed
                if outcome.error or outcome.unrecorded:
                    raise RuntimeError(f"an object failed: {outcome}")
            case Tick():
                pass
    if lines not in {None, indexed}:
        raise RuntimeError(f"{indexed} of {lines} lines were indexed")
    return reports


# --- the figures ---------------------------------------------------------------------------------

_Results = dict[str, list[_Spent]]


def _times(results: _Results) -> Times:
    return Times({name: [each.seconds for each in spent] for name, spent in results.items()})


def _speed(times: Times, lines: int) -> Figure:
    name = "two processes against one, a sink that takes no time"
    ratio, spread = times.ratio("one", "two"), times.spread("one", "two")
    pair = Pair(times.rate("two", lines), times.rate("one", lines), "lines/s")
    return Figure("workers_speed", name, ratio, "x", Goal(1.9), *spread, pair)


def _cost(results: _Results, lines: int) -> Figure:
    one, two = (1e6 * median(each.cpu for each in results[name]) / lines for name in ("one", "two"))
    name = "… and their processor time for a line"
    pair = Pair(two, one, "µs a line")
    return Figure("workers_cost", name, two / one, "x", Goal(at_most=1.1), made_of=pair)


def _handing_out(results: _Results, lines: int) -> Figure:
    shares = [100 * each.handing_out / each.cpu for each in results["two"]]
    micros = 1e6 * median(each.handing_out for each in results["two"]) / lines
    name = "… and that of the process that hands objects out, in theirs"
    note = f"{micros:.2f} µs a line"
    return Figure("workers_parent", name, median(shares), "%", Goal(at_most=2), note=note)
