"""
Send small requests to Elasticsearch, and send them again until an answer comes or time is up.

Bulk requests have their own way of retrying (`bulk`): of those, only some documents are sent again.
"""

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any, NamedTuple

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from pipeline.deadline import Deadline
from pipeline.errors import SinkUnavailableError
from pipeline.sink.refusals import RETRIED, elasticsearch_errors, in_words, unread, untrusted
from pipeline.sink.silence import Silence

JSON = {"accept": "application/json", "content-type": "application/json"}
"""The headers of a JSON request."""

_MOST_SECONDS = 10.0
BUDGET_SECONDS = 120.0  # where nothing else sets a limit


class Request(NamedTuple):
    """A request as it is sent, and the seconds that one attempt at it may take."""

    method: str
    path: str
    body: object = None
    headers: Mapping[str, str] = JSON
    seconds: float = _MOST_SECONDS


def timeout_of(es: Elasticsearch, deadline: Deadline, most: float) -> float:
    """Return the seconds that one request may take, so that every address can still be tried."""
    return min(most, deadline.seconds_left / len(es.transport.node_pool))


def request(
    es: Elasticsearch, method: str, path: str, *, deadline: Deadline, body: object = None
) -> Any:  # noqa: ANN401  JSON as it comes
    """
    Send a small request and return its answer.

    Raises what `ask` raises.
    """
    return ask(es, Request(method, path, body), deadline)


def ask(es: Elasticsearch, asked: Request, deadline: Deadline) -> Any:  # noqa: ANN401  JSON as it comes
    """
    Send a request and return its answer; one that gets lost is sent again until the deadline.

    Raises the client's ApiError for what only the caller can judge (4xx), SinkUnavailableError at
    the deadline, ConfigError where no connection is possible until someone fixes it.
    """
    deadline, silence = deadline.within(BUDGET_SECONDS), Silence()
    for attempt in count():
        timeout = timeout_of(es, deadline, asked.seconds)
        if timeout <= 0:
            raise SinkUnavailableError(
                f"Elasticsearch did not answer {asked.method} {asked.path} in time"
            )
        try:
            return _once(es.options(request_timeout=timeout), asked)
        except (ApiError, TransportError) as error:
            if not _is_passing(error):
                raise
            silence.note(in_words(error))
            if not deadline.back_off(attempt):
                raise
    raise AssertionError  # count() has no end


def multi_get(
    es: Elasticsearch,
    documents: Iterable[tuple[str, str]],
    *,
    deadline: Deadline,
    query: str = "",
    seconds: float = _MOST_SECONDS,
) -> list[dict[str, Any]]:
    """
    Return the answer for each document, by its index and id, in their order.

    Raises our error where one may not be read; of an index that is missing nothing is found.
    """
    wanted = {"docs": [{"_index": index, "_id": id_} for index, id_ in documents]}
    with elasticsearch_errors():
        answer = ask(es, Request("POST", f"/_mget{query}", wanted, seconds=seconds), deadline)
    answers: list[dict[str, Any]] = answer["docs"]
    for each in answers:
        if "error" in each and (error := unread(each["error"])):
            raise error
    return answers


def _once(es: Elasticsearch, asked: Request) -> Any:  # noqa: ANN401
    return es.perform_request(asked.method, asked.path, headers=asked.headers, body=asked.body).body


def _is_passing(error: ApiError | TransportError) -> bool:
    if isinstance(error, ApiError):
        return error.meta.status in RETRIED
    return untrusted(error) is None
