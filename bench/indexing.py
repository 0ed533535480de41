"""
Compare the whole way with what the server could take, and our templates with dynamic mapping.

Three contenders take turns, each into a new index, over the same number of connections:

- `ingest`: a gzip file through the pipeline;
- `ready`: the bulk bodies that the pipeline makes of it, made beforehand;
- `dynamic`: bodies made beforehand as a plain Logstash output would send them: the same fields and
  the raw line, ids made by Elasticsearch, no index template.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import orjson

from bench.cluster import bytes_per_document, post_bodies, remove_index
from bench.report import Figure, Goal, Pair
from bench.sample import Traffic, bench_context
from bench.timing import Times, in_turns, wall
from pipeline.ingest import Options, ingest_stream
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.sink.store import Store

_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class _Load:
    """One object in all the forms in which it is sent."""

    gzipped: bytes
    lines: int
    index: str
    ready: list[bytes]
    dynamic: list[bytes]


def compare_indexing(traffic: Traffic, store: Store, lines: int, rounds: int) -> list[Figure]:
    """Measure the three contenders' documents a second, and the bytes of a document."""
    contenders: dict[str, Callable[[_Load], float]] = {
        "ingest": lambda load: _ingest(load, store),
        "ready": lambda load: _send_ready(load, store),
        "dynamic": lambda load: _send_dynamic(load, store),
    }
    times = in_turns(contenders, rounds, lambda: _load(traffic, store, lines))
    sizes = _sizes(_load(traffic, store, lines), store)
    return [_end_to_end(times, lines), _speed_of_templates(times, lines), _size(*sizes)]


# --- what is sent --------------------------------------------------------------------------------


def _load(traffic: Traffic, store: Store, lines: int) -> _Load:
    sample = traffic.take(lines)
    context = bench_context(store.prefix)
    batches = [encode_chunk(chunk, context) for chunk in sample.read()]
    (index,) = set().union(*(batch.indices for batch in batches))
    return _Load(
        sample.gzipped,
        lines,
        index,
        [b"".join(batch.items) for batch in batches],
        [_as_logstash_sends(batch) for batch in batches],
    )


def _as_logstash_sends(batch: Batch) -> bytes:
    documents = []
    for item, line in zip(batch.items, batch.lines, strict=True):
        document = orjson.loads(item.split(b"\n")[1])
        document["event"]["original"] = line.decode()
        documents.append(orjson.dumps(document | {"@version": "1"}))
    return b"".join(b'{"index":{}}\n%b\n' % document for document in documents)


# --- how it is sent ------------------------------------------------------------------------------


def _ingest(load: _Load, store: Store) -> float:
    context = bench_context(store.prefix)

    def run() -> None:
        stream = BytesIO(load.gzipped)
        outcome = ingest_stream(stream, "bench", context=context, store=store, options=_OPTIONS)
        if outcome.error or outcome.tally.indexed != load.lines:
            raise RuntimeError(f"not every line was indexed: {outcome}")

    with _our_index(load, store):
        return wall(run)


def _send_ready(load: _Load, store: Store) -> float:
    with _our_index(load, store) as index:
        return wall(lambda: post_bodies(store.es, index, load.ready, _OPTIONS.connections))


def _send_dynamic(load: _Load, store: Store) -> float:
    with _dynamic_index(store) as index:
        return wall(lambda: post_bodies(store.es, index, load.dynamic, _OPTIONS.connections))


def _sizes(load: _Load, store: Store) -> tuple[float, float]:
    """Give the bytes on disk of one document by our templates, and by dynamic mapping."""
    with _our_index(load, store) as index:
        post_bodies(store.es, index, load.ready, _OPTIONS.connections)
        ours = bytes_per_document(store.es, index)
    with _dynamic_index(store) as index:
        post_bodies(store.es, index, load.dynamic, _OPTIONS.connections)
        return ours, bytes_per_document(store.es, index)


@contextmanager
def _our_index(load: _Load, store: Store) -> Iterator[str]:
    """Make the object's index by our templates, and remove it: its merges would slow the next."""
    store.prepared.clear()
    store.admit({load.index})
    yield load.index
    remove_index(store.es, load.index)


@contextmanager
def _dynamic_index(store: Store) -> Iterator[str]:
    """Make an index that no template is for, as it is by default, and remove it."""
    index = f"{store.prefix}-dynamic"
    store.es.indices.create(index=index, settings={"number_of_replicas": 0})
    yield index
    remove_index(store.es, index)


# --- what it says --------------------------------------------------------------------------------


def _end_to_end(times: Times, lines: int) -> Figure:
    name = "gzip file into Elasticsearch, against ready bodies"
    share = 100 * times.ratio("ready", "ingest")
    low, high = times.spread("ready", "ingest")
    pair = Pair(times.rate("ingest", lines), times.rate("ready", lines), "documents/s")
    return Figure("end_to_end", name, share, "%", Goal(70), 100 * low, 100 * high, pair)


def _speed_of_templates(times: Times, lines: int) -> Figure:
    name = "indexing rate by our templates, against dynamic mapping"
    ratio, spread = times.ratio("dynamic", "ready"), times.spread("dynamic", "ready")
    pair = Pair(times.rate("ready", lines), times.rate("dynamic", lines), "documents/s")
    return Figure("template_speed", name, ratio, "x", Goal(3), *spread, pair)


def _size(ours: float, dynamic: float) -> Figure:
    name = "a document on disk, against dynamic mapping"
    pair = Pair(ours, dynamic, "bytes")
    goal = Goal(at_most=36)
    return Figure("template_size", name, 100 * ours / dynamic, "%", goal, made_of=pair)
