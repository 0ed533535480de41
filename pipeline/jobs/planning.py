"""Say what a run over a range would do before it does it: indices, shards, lost days, time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.alb.document import Context, index_name
from pipeline.alb.fields import Kind
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError, PipelineError
from pipeline.ingest import context_for
from pipeline.jobs.selecting import Survey
from pipeline.sink.encoding import encode_chunk
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.requests import request
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import ObjectReader
from pipeline.wiring import Pipeline

_NO_LIMIT = Deadline()
_SAMPLE_SECONDS = 10.0
_FIRST_SHARDS = 2  # of an index in a new cluster: one, and its replica


@dataclass(frozen=True, slots=True)
class Sample:
    """What reading and encoding some of the objects came to; `bytes` are those stored."""

    lines: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Shards:
    """Shards that new indices need, and those that the cluster has and may have, if it says so."""

    needed: int
    present: int | None = None
    most: int | None = None

    @property
    def fit(self) -> bool:
        """Return whether they fit, as far as is known."""
        if self.present is None or self.most is None:
            return True
        return self.present + self.needed <= self.most


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. `doomed` are days that the lifecycle would delete at once."""

    survey: Survey
    indices: frozenset[str]
    new_indices: frozenset[str]
    shards: Shards
    doomed: tuple[date, ...]
    retention_days: int | None
    sample: Sample = Sample()

    @property
    def lines(self) -> int | None:
        """Return the lines to expect, by the sample; None without one."""
        return None if not self.sample.bytes else round(self._share * self.sample.lines)

    @property
    def seconds(self) -> float | None:
        """Return the seconds that one process needs to read and encode, by the sample."""
        return None if not self.sample.bytes else self._share * self.sample.seconds

    @property
    def _share(self) -> float:
        return self.survey.total.bytes / self.sample.bytes


def plan_run(found: Survey, store: Store, now: datetime) -> Plan:
    """Compare what is due with the cluster; write nothing."""
    indices = frozenset(_indices(found, store))
    present = _present(store)
    new = indices - present.keys()
    return Plan(
        survey=found,
        indices=indices,
        new_indices=new,
        shards=_shards(store, len(new) * max(present.values(), default=_FIRST_SHARDS)),
        doomed=tuple(_doomed(found, store, now)),
        retention_days=store.retention_days,
    )


def refuse_doomed(plan: Plan) -> None:
    """Raise ConfigError if the lifecycle would delete days as soon as they are indexed."""
    if plan.doomed:
        raise ConfigError(
            f"{len(plan.doomed)} days from {plan.doomed[0]} to {plan.doomed[-1]} are older than "
            f"the {plan.retention_days} days that documents are kept: the lifecycle would delete "
            "them at once. Keep documents longer (`alb-logs setup --retention DAYS`), choose a "
            "later --from, or add --force"
        )


def measure(refs: list[ObjectRef], pipeline: Pipeline, *, deadline: Deadline = _NO_LIMIT) -> Sample:
    """Read and encode some objects, about ten seconds long, and send nothing."""
    begun, lines, size = time.monotonic(), 0, 0
    deadline = deadline.within(_SAMPLE_SECONDS)
    for ref in refs:
        if deadline.passed:
            break
        try:
            of_object = _lines_of(ref, pipeline, deadline)
        except PipelineError:  # the run will tell of it
            continue
        if of_object is not None:
            lines += of_object
            size += ref.size or 0
    return Sample(lines, size, time.monotonic() - begun)


def _lines_of(ref: ObjectRef, pipeline: Pipeline, deadline: Deadline) -> int | None:
    """Return how many lines an object has; None where it takes too long to say so."""
    context = context_for(
        pipeline.store, pipeline.options, ref.name, bucket=ref.bucket, key=ref.key
    )
    reader = ObjectReader(ref.bucket, ref.key, s3=pipeline.buckets.client_of(ref.bucket))
    lines = 0
    for chunk in reader:
        if deadline.passed:
            return None
        lines += encode_chunk(chunk, context).read
    return lines


def _indices(found: Survey, store: Store) -> Iterator[str]:
    context = Context(latest="", prefix=store.prefix, period=store.period)
    for day, kind in found.due:
        yield index_name(kind, f"{day}T00:00:00Z", context)


def _present(store: Store) -> dict[str, int]:
    """Return the log indices that exist, and how many shards each has, replicas included."""
    names = ",".join(f"{store.prefix}-{kind}-*" for kind in Kind)
    path = f"/{names}/_settings?filter_path=*.settings.index.number_of_*"
    with elasticsearch_errors():
        answer: dict[str, Any] = request(store.es, "GET", path, deadline=_NO_LIMIT)
    return {index: _shards_of(each["settings"]["index"]) for index, each in answer.items()}


def _shards_of(settings: dict[str, str]) -> int:
    return int(settings["number_of_shards"]) * (1 + int(settings["number_of_replicas"]))


def _shards(store: Store, needed: int) -> Shards:
    """Ask how many shards the cluster has and may have; a role may forbid to look."""
    path = "/_cluster/settings?include_defaults&filter_path=*.cluster.max_shards_per_node"
    try:
        with elasticsearch_errors():
            health = request(store.es, "GET", "/_cluster/health", deadline=_NO_LIMIT)
            settings = request(store.es, "GET", path, deadline=_NO_LIMIT)
    except ConfigError:
        return Shards(needed)
    each = next(settings[level] for level in _LEVELS if level in settings)
    most = int(each["cluster"]["max_shards_per_node"]) * health["number_of_data_nodes"]
    return Shards(needed, health["active_shards"] + health["unassigned_shards"], most)


_LEVELS = ("transient", "persistent", "defaults")


def _doomed(found: Survey, store: Store, now: datetime) -> Iterator[date]:
    if store.retention_days is None:
        return
    oldest = (now.astimezone(UTC) - timedelta(days=store.retention_days)).date()
    yield from (day for day in sorted(found.days) if day < oldest)
