"""
Hold what ingestion needs to know of a prepared cluster, and let no line into any other.

One early line would give its day's index a dynamic mapping that no later template fixes. So on
first sight of an index its mapping must carry the mark that `setup`'s templates put there; a
missing index is created empty, and so gets it.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from pipeline.alb.document import Period
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError, SinkUnavailableError
from pipeline.sink.refusals import elasticsearch_errors, is_foreign
from pipeline.sink.requests import request

SCHEMA = 2
"""Raised only where documents of the former schema no longer fit the indices."""

_WRITABLE_SCHEMAS = {1, SCHEMA}  # an index of the first keeps its mapping, which takes our fields
_RUN_SETUP = "run `alb-logs setup`"
LOOK_AGAIN_SECONDS = 60.0
"""How long an index that was found prepared is written to before it is looked at again."""

_OPEN_SECONDS = 5.0
_NO_LIMIT = Deadline()


@dataclass(frozen=True, slots=True)
class Store:
    """A prepared cluster, how its indices are named, and which of them were looked at."""

    es: Elasticsearch
    prefix: str
    period: Period
    retention_days: int | None = None
    """Days after its event that the lifecycle deletes a document; None where nothing does."""
    has_ledger: bool = True
    """Whether `setup` has prepared a ledger, as that of the first versions did not."""
    _prepared: dict[str, float] = field(default_factory=dict, compare=False)
    """Index -> the moment when it was last looked at."""

    @property
    def dead_letters(self) -> str:
        """Return the alias of the indices of the lines that could not be indexed."""
        return f"{self.prefix}-dead-letter"

    @property
    def ledger(self) -> str:
        """Return the alias of the indices of the ledger."""
        return f"{self.prefix}-ledger"

    def admit(self, indices: set[str], *, deadline: Deadline = _NO_LIMIT) -> None:
        """
        Make sure, before the deadline, that indices are prepared for what is to be written.

        Each is looked at again after a minute: the cluster may have been replaced.
        """
        for index in sorted(indices):
            if not self.has_prepared(index):
                if deadline.passed:
                    raise SinkUnavailableError(
                        "Elasticsearch did not tell in time which indices exist"
                    )
                with elasticsearch_errors():
                    _prepare(self.es, index, deadline)
                self._prepared[index] = time.monotonic()

    def has_prepared(self, index: str) -> bool:
        """Return whether an index was looked at within the last minute, and found prepared."""
        looked = self._prepared.get(index)
        return looked is not None and time.monotonic() - looked < LOOK_AGAIN_SECONDS

    def forget(self) -> None:
        """Look at every index again before the next write to it: one may be gone."""
        self._prepared.clear()


def open_store(es: Elasticsearch, prefix: str, *, deadline: Deadline = _NO_LIMIT) -> Store:
    """Return, within 5 s, the cluster as `setup` left it; ConfigError if it was never run."""
    with elasticsearch_errors():
        meta = letters_meta(es, prefix, deadline.within(_OPEN_SECONDS))
    if not meta:
        raise ConfigError(
            f"this cluster is not prepared for the prefix {prefix!r}: {_RUN_SETUP} with the same "
            "ALB_LOGS_INDEX_PREFIX"
        )
    return Store(
        es,
        prefix,
        Period(meta.get("period", Period.DAY)),
        retention_days=meta.get("retention_days"),
        has_ledger=meta.get("ledger", False),
    )


def _prepare(es: Elasticsearch, index: str, deadline: Deadline) -> None:
    meta = index_meta(es, index, deadline)
    if meta is None:
        _create(es, index, deadline)
        meta = index_meta(es, index, deadline)
    if meta is None or meta.get("schema") not in _WRITABLE_SCHEMAS:
        raise ConfigError(
            f"the index {index} was not made from this version's templates, so its mapping is not "
            f"ours: {_RUN_SETUP}, then reindex or delete {index}"
        )


def index_meta(es: Elasticsearch, index: str, deadline: Deadline) -> dict[str, Any] | None:
    """Return our `_meta` of an index: None if the index is missing, {} if it is not ours."""
    answer = _mappings(es, index, deadline)
    # An alias answers with the indices behind it; none of ours is one.
    return None if answer is None else _meta(answer.get(index, {}))


def letters_meta(es: Elasticsearch, prefix: str, deadline: Deadline) -> dict[str, Any] | None:
    """Return our `_meta` of the dead letters: None if they are missing, {} if they are not ours."""
    answer = _mappings(es, f"{prefix}-dead-letter", deadline)
    # Those behind the alias are numbered, and `setup` changes the mappings of all of them.
    return None if answer is None else _meta(answer[max(answer)])


def _mappings(es: Elasticsearch, name: str, deadline: Deadline) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = request(es, "GET", f"/{name}/_mapping", deadline=deadline)
    except NotFoundError as error:
        if is_foreign(error):
            raise
        return None
    return answer


def _meta(index: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = index.get("mappings", {}).get("_meta", {}).get("alb_logs", {})
    return meta


def _create(es: Elasticsearch, index: str, deadline: Deadline) -> None:
    try:
        request(es, "PUT", f"/{index}", deadline=deadline)
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":  # another process was first
            raise
