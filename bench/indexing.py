"""
Compare the whole pipeline with the server's own limit, and our templates with dynamic mapping.

Four contenders take turns, each into a new index, over the same number of connections:

- `ingest`: a gzip file through the pipeline;
- `ready`: the same bulk bodies that the pipeline sends, made beforehand;
- `landed`: the documents and the mapping of before documents became lean;
- `dynamic`: bodies as a plain Logstash output would send them, made beforehand: the same fields and
  the raw line, ids made by Elasticsearch, no index template.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import orjson

from bench.cluster import bytes_per_document, post_bodies, remove_index
from bench.landed import landed_document, landed_index
from bench.report import Figure, Goal, Pair
from bench.sample import Traffic, bench_context
from bench.timing import Times, in_turns, wall
from pipeline.ingest import Ingestion, Options
from pipeline.sink.encoding import Batch, bulk_body, create_action, encode_chunk
from pipeline.sink.store import Store
from pipeline.source.reading import read_stream

_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class _Load:
    """One object in all the forms in which it is sent."""

    gzipped: bytes
    lines: int
    index: str
    ready: list[bytes]
    landed: list[bytes]
    dynamic: list[bytes]


def compare_indexing(traffic: Traffic, store: Store, lines: int, rounds: int) -> list[Figure]:
    """Measure the four contenders' documents per second, and the bytes of a document."""
    contenders: dict[str, Callable[[_Load], float]] = {
        "ingest": lambda load: _ingest(load, store),
        "ready": lambda load: _send_ready(load, store),
        "landed": lambda load: _send_landed(load, store),
        "dynamic": lambda load: _send_dynamic(load, store),
    }
    times = in_turns(contenders, rounds, lambda: _load(traffic, store, lines))
    sizes = _sizes(_load(traffic, store, lines), store)
    return [
        _end_to_end(times, lines),
        _speed(times, lines, "landed", Goal(1.3)),
        _speed(times, lines, "dynamic", Goal(4)),
        _size(sizes, "landed", Goal(at_most=90)),
        _size(sizes, "dynamic", Goal(at_most=36)),
    ]


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
        [batch.body() for batch in batches],
        [_as_landed(batch) for batch in batches],
        [_as_logstash_sends(batch) for batch in batches],
    )


def _as_landed(batch: Batch) -> bytes:
    actions = [
        create_action(each.id, f"{each.index}-landed", landed_document(each))
        for each in batch.actions
    ]
    return bulk_body(actions)


def _as_logstash_sends(batch: Batch) -> bytes:
    documents = []
    for action in batch.actions:
        document = orjson.loads(action.source)
        document["event"]["original"] = action.line.decode()
        documents.append(orjson.dumps(document | {"@version": "1"}))
    return b"".join(b'{"index":{}}\n%b\n' % document for document in documents)


# --- how it is sent ------------------------------------------------------------------------------


def _ingest(load: _Load, store: Store) -> float:
    context = bench_context(store.prefix)

    def run() -> None:
        stream = BytesIO(load.gzipped)
        chunks = read_stream(stream, name="bench", chunk_bytes=_OPTIONS.chunk_bytes)
        outcome = Ingestion(context, store, _OPTIONS).run(chunks)
        if outcome.error or outcome.tally.indexed != load.lines:
            raise RuntimeError(f"not every line was indexed: {outcome}")

    with _our_index(load, store):
        return wall(run)


def _send_ready(load: _Load, store: Store) -> float:
    with _our_index(load, store) as index:
        return wall(lambda: post_bodies(store.es, index, load.ready, _OPTIONS.connections))


def _send_landed(load: _Load, store: Store) -> float:
    with landed_index(store.es, f"{load.index}-landed") as index:
        return wall(lambda: post_bodies(store.es, index, load.landed, _OPTIONS.connections))


def _send_dynamic(load: _Load, store: Store) -> float:
    with _dynamic_index(store) as index:
        return wall(lambda: post_bodies(store.es, index, load.dynamic, _OPTIONS.connections))


def _sizes(load: _Load, store: Store) -> dict[str, float]:
    """Return the bytes on disk of one document of each contender."""
    indices = {
        "ready": (_our_index(load, store), load.ready),
        "landed": (landed_index(store.es, f"{load.index}-landed"), load.landed),
        "dynamic": (_dynamic_index(store), load.dynamic),
    }
    sizes = {}
    for name, (made, bodies) in indices.items():
        with made as index:
            post_bodies(store.es, index, bodies, _OPTIONS.connections)
            sizes[name] = bytes_per_document(store.es, index)
    return sizes


@contextmanager
def _our_index(load: _Load, store: Store) -> Iterator[str]:
    """Make the object's index from our templates, then remove it, so no merge slows the next."""
    store.forget()
    store.admit({load.index})
    yield load.index
    remove_index(store.es, load.index)


@contextmanager
def _dynamic_index(store: Store) -> Iterator[str]:
    """Make an index that no template matches, with the defaults, then remove it."""
    index = f"{store.prefix}-dynamic"
    store.es.indices.create(index=index, settings={"number_of_replicas": 0})
    yield index
    remove_index(store.es, index)


# --- the figures ---------------------------------------------------------------------------------


def _end_to_end(times: Times, lines: int) -> Figure:
    name = "gzip file into Elasticsearch, against ready bodies"
    share = 100 * times.ratio("ready", "ingest")
    low, high = times.spread("ready", "ingest")
    pair = Pair(times.rate("ingest", lines), times.rate("ready", lines), "documents/s")
    return Figure("end_to_end", name, share, "%", Goal(75), 100 * low, 100 * high, pair)


_AGAINST = {"landed": "documents as they were before", "dynamic": "dynamic mapping"}


def _speed(times: Times, lines: int, other: str, goal: Goal) -> Figure:
    name = f"indexing rate by our templates, against {_AGAINST[other]}"
    ratio, spread = times.ratio(other, "ready"), times.spread(other, "ready")
    pair = Pair(times.rate("ready", lines), times.rate(other, lines), "documents/s")
    return Figure(f"{other}_speed", name, ratio, "x", goal, *spread, pair)


def _size(sizes: dict[str, float], other: str, goal: Goal) -> Figure:
    name = f"a document on disk, against {_AGAINST[other]}"
    pair = Pair(sizes["ready"], sizes[other], "bytes")
    share = 100 * sizes["ready"] / sizes[other]
    return Figure(f"{other}_size", name, share, "%", goal, made_of=pair)
