"""
Look whether documents and dead letters are there, by their ids.

A multi-get shows what was written a moment ago, though no search finds it yet.

elastic.co/guide/en/elasticsearch/reference/8.19/docs-multi-get.html
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.deadline import Deadline
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.requests import multi_get, request
from pipeline.sink.store import Store

_AT_ONCE = 1_000
_ONLY_WHETHER = "?_source=false&filter_path=docs.found,docs.error"
_NO_LIMIT = Deadline()


def which_exist(es: Elasticsearch, documents: Iterable[tuple[str, str]]) -> Iterator[bool]:
    """Yield for each index and id whether there is such a document."""
    left = iter(documents)
    while some := list(islice(left, _AT_ONCE)):
        answers = multi_get(es, some, deadline=_NO_LIMIT, query=_ONLY_WHETHER)
        yield from (bool(each.get("found")) for each in answers)


@dataclass(frozen=True, slots=True)
class Letters:
    """
    The dead letters, in the indices that they have at this moment.

    All that were written since `whole_since` are there, as far as the lifecycle is concerned; None:
    it has not deleted any yet.
    """

    es: Elasticsearch
    indices: tuple[str, ...]
    whole_since: datetime | None

    def lacking(self, ids: Collection[str]) -> set[str]:
        """Return the ids of which there is no dead letter."""
        pairs = [(index, id_) for id_ in ids for index in self.indices]
        exist = which_exist(self.es, pairs)
        return {*ids} - {id_ for (_, id_), there in zip(pairs, exist, strict=True) if there}

    def may_lack(self, written: datetime | None) -> bool:
        """Return whether a dead letter of this time may have been deleted for its age."""
        if written is None or self.whole_since is None:
            return False
        return written < self.whole_since


def letters_of(store: Store) -> Letters:
    """Return the dead letters of a store; a new index is begun while the oldest is deleted."""
    path = f"/{store.dead_letters}/_settings/index.creation_date"
    with elasticsearch_errors():
        answer: dict[str, Any] = request(store.es, "GET", path, deadline=_NO_LIMIT)
    made = {name: each["settings"]["index"]["creation_date"] for name, each in answer.items()}
    has_first = f"{store.dead_letters}{_FIRST}" in made
    oldest = datetime.fromtimestamp(min(map(int, made.values())) / 1_000, UTC)
    return Letters(store.es, tuple(made), None if has_first else oldest)


_FIRST = "-000001"
