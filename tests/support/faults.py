"""
Make bulk requests fail: before the server has seen them, after it has acted, item by item.

A `Fault` answers one request in the real server's place, or spoils its answer. `Faults` puts them
between the real client and the real server; `tests.support.proxy` between their processes.
"""

import json
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from elastic_transport import (
    ApiResponseMeta,
    ConnectionError,  # noqa: A004  the client's own name
    ConnectionTimeout,
    HttpHeaders,
    NodeConfig,
    SerializationError,
    Transport,
    TransportApiResponse,
)
from elasticsearch import Elasticsearch

Send = Callable[[bytes], TransportApiResponse]
"""Hand a body on to the real server."""

Fault = Callable[[Send, bytes], TransportApiResponse]
"""Answer one bulk request in the real server's place, or spoil its answer."""


class Faults(Transport):
    """
    Stand between the real client and the real server, and spoil chosen bulk requests.

    Each fault takes one request, in turn; `otherwise` takes those after the last. A body above
    `limit` bytes is refused with 413 before that. Any other request passes, and all are noted.
    """

    def __init__(
        self,
        es: Elasticsearch,
        *faults: Fault,
        otherwise: Fault | None = None,
        limit: int | None = None,
    ) -> None:
        self._real = es.transport
        self.node_pool = es.transport.node_pool
        self._faults = iter(faults)
        self._otherwise = otherwise or unharmed
        self._limit = limit
        self._lock = Lock()
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.timeouts: list[float] = []
        self.es = Elasticsearch(_transport=self)

    def perform_request(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,  # noqa: ANN401  whatever elasticsearch-py gives
        **options: Any,  # noqa: ANN401
    ) -> TransportApiResponse:
        """Send a request, or spoil it as planned."""

        def send(body: Any) -> TransportApiResponse:  # noqa: ANN401
            return self._real.perform_request(method, target, body=body, **options)

        self.requests.append((method, target))
        if not target.startswith("/_bulk"):
            return send(body)
        with self._lock:
            self.bodies.append(body)
            self.timeouts.append(options["request_timeout"])
            if self._limit is not None and len(body) > self._limit:
                return answer(413, "Request Entity Too Large")
            fault = next(self._faults, self._otherwise)
        return fault(send, body)

    @property
    def sent(self) -> list[list[str]]:
        """Return the ids in each body that was sent."""
        return [ids_in_body(body) for body in self.bodies]


def unharmed(send: Send, body: bytes) -> TransportApiResponse:
    """Let a request and its answer through."""
    return send(body)


def lost_before(_send: Send, _body: bytes) -> TransportApiResponse:
    """Lose the connection before the server has seen the request."""
    raise ConnectionError("reset on the way there")


def lost_after(send: Send, body: bytes) -> TransportApiResponse:
    """Lose the connection once the server has acted, before its answer comes."""
    send(body)
    raise ConnectionTimeout("no answer in time")


def cut_answer(send: Send, body: bytes) -> TransportApiResponse:
    """Cut the answer of a server that has acted in the middle of its JSON."""
    send(body)
    raise SerializationError("half an answer")


def answering(status: int, type_: str = "some_exception", reason: str = "some reason") -> Fault:
    """Answer every request by an error, the server untouched."""
    error = {"error": {"type": type_, "reason": reason}, "status": status}
    return lambda _send, _body: answer(status, error)


def edited(edit: Callable[[list[Any]], list[Any]]) -> Fault:
    """Let the server act, and edit its list of replies."""

    def fault(send: Send, body: bytes) -> TransportApiResponse:
        meta, reply = send(body)
        return TransportApiResponse(meta, {**reply, "items": edit(reply["items"])})

    return fault


def refusing(statuses: Mapping[int, int], *, acted: bool = False) -> Fault:
    """
    Refuse single items for now, by their position in the body (modulo its length).

    The server sees only the others; or it has `acted` on all of them, and still refuses these.
    """

    def fault(send: Send, body: bytes) -> TransportApiResponse:
        items = items_of(body)
        refused = {at % len(items): status for at, status in statuses.items()}
        seen = [at for at in range(len(items)) if acted or at not in refused]
        replies = dict(zip(seen, real_replies(send, [items[at] for at in seen]), strict=True))
        ids = ids_in_body(body)
        replies |= {at: reply_for_now(ids[at], status) for at, status in refused.items()}
        return answer(200, {"items": [replies[at] for at in range(len(items))]})

    return fault


def real_replies(send: Send, items: list[bytes]) -> list[Any]:
    """Send items to the real server, if any, and return its replies."""
    return list(send(b"".join(items)).body["items"]) if items else []


def reply_for_now(id_: str, status: int) -> dict[str, Any]:
    """Return the reply to an item that a server is too busy for."""
    error = {"type": "es_rejected_execution_exception", "reason": "queue is full"}
    return {"create": {"_index": "any", "_id": id_, "status": status, "error": error}}


def answer(status: int, body: object) -> TransportApiResponse:
    """Return an answer of Elasticsearch."""
    headers = HttpHeaders(
        {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}
    )
    return TransportApiResponse(
        ApiResponseMeta(
            status=status,
            http_version="1.1",
            headers=headers,
            duration=0.0,
            node=NodeConfig("http", "127.0.0.1", 9200),
        ),
        body,
    )


def items_of(body: bytes) -> list[bytes]:
    """Cut a bulk body into its items, each an action line and a document line."""
    lines = body.split(b"\n")
    return [b"%b\n%b\n" % pair for pair in zip(lines[0:-1:2], lines[1:-1:2], strict=True)]


def ids_in_body(body: bytes) -> list[str]:
    """Return the ids of a bulk body, in its order."""
    return [json.loads(item.split(b"\n")[0])["create"]["_id"] for item in items_of(body)]
