"""
Send small requests to Elasticsearch, and send them again until an answer comes or time is up.

Bulk requests have their own way of retrying (`bulk`): of those, only some documents are sent again.
"""

from itertools import count
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from pipeline.deadline import Deadline
from pipeline.errors import SinkUnavailableError
from pipeline.sink.refusals import RETRIED, in_words, untrusted
from pipeline.sink.silence import Silence

JSON = {"accept": "application/json", "content-type": "application/json"}
"""The headers of a JSON request."""

_MOST_SECONDS = 10.0
BUDGET_SECONDS = 120.0  # where nothing else sets a limit


def timeout_of(es: Elasticsearch, deadline: Deadline, most: float) -> float:
    """Return the seconds that one request may take, so that every address can still be tried."""
    return min(most, deadline.seconds_left / len(es.transport.node_pool))


def request(
    es: Elasticsearch, method: str, path: str, *, deadline: Deadline, body: object = None
) -> Any:  # noqa: ANN401  JSON as it comes
    """
    Send a request and return its answer; one that gets lost is sent again until the deadline.

    Raises the client's ApiError for what only the caller can judge (4xx), SinkUnavailableError at
    the deadline, ConfigError where no connection is possible until someone fixes it.
    """
    deadline, silence = deadline.within(BUDGET_SECONDS), Silence()
    for attempt in count():
        timeout = timeout_of(es, deadline, _MOST_SECONDS)
        if timeout <= 0:
            raise SinkUnavailableError(f"Elasticsearch did not answer {method} {path} in time")
        try:
            return _once(es.options(request_timeout=timeout), method, path, body)
        except (ApiError, TransportError) as error:
            if not _is_passing(error):
                raise
            silence.note(in_words(error))
            if not deadline.back_off(attempt):
                raise
    raise AssertionError  # count() has no end


def _once(es: Elasticsearch, method: str, path: str, body: object) -> Any:  # noqa: ANN401
    return es.perform_request(method, path, headers=JSON, body=body).body


def _is_passing(error: ApiError | TransportError) -> bool:
    if isinstance(error, ApiError):
        return error.meta.status in RETRIED
    return untrusted(error) is None
