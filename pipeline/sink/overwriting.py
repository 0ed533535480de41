"""
Replace documents that are there, as a newer parser makes them, under the same ids.

A document is replaced only as it was when it was looked at: a change in between wins. One that was
erased stays as it is: a backfill must not bring back what a person had removed.

elastic.co/guide/en/elasticsearch/reference/8.19/optimistic-concurrency-control.html
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.deadline import Deadline
from pipeline.sink.encoding import Action
from pipeline.sink.requests import multi_get
from pipeline.sink.store import Store

_AT_ONCE = 1_000
_ONLY_MARK = "?_source_includes=labels.erased"


def replacing(actions: Sequence[Action], *, store: Store, deadline: Deadline) -> list[Action]:
    """Return the actions; each whose document is there, and was not erased, replaces it."""
    return [
        _replacing(action, found)
        for at in range(0, len(actions), _AT_ONCE)
        for action, found in _look(actions[at : at + _AT_ONCE], store, deadline)
    ]


def _look(
    actions: Sequence[Action], store: Store, deadline: Deadline
) -> Iterator[tuple[Action, Mapping[str, Any]]]:
    documents = ((each.index, each.id) for each in actions)
    found = multi_get(store.es, documents, deadline=deadline, query=_ONLY_MARK)
    return zip(actions, found, strict=True)


def _replacing(action: Action, found: Mapping[str, Any]) -> Action:
    if not found.get("found") or "erased" in found["_source"].get("labels", {}):
        return action
    head = {
        "_index": action.index,
        "_id": action.id,
        "if_seq_no": found["_seq_no"],
        "if_primary_term": found["_primary_term"],
    }
    return action._replace(text=f"{json.dumps({'index': head})}\n{action.source}\n")
