"""
Stand between a real process and a real server, and spoil single answers as planned.

Both talk plain HTTP over real connections: what the process under test sees is what it would see
of a load balancer, a network or a server that fails.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.message import Message
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from socket import socket
from threading import Condition, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from elastic_transport import SerializationError, TransportApiResponse, TransportError

from devstack.process import HOST, http_status
from tests.support.faults import Fault, answer, unharmed

_OF_ONE_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}
"""Headers that are not handed on: the lengths may change."""

SERVER_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """What the process asks."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What it is answered; of the body only so many bytes arrive, where `cut` says so."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None


class LostError(Exception):
    """The connection ends without an answer."""


Forward = Callable[[Request], Response]
Plan = Callable[[Forward, Request], Response]
"""Answer a request: hand it on to the server, or not, and spoil what comes back."""


def untouched(forward: Forward, request: Request) -> Response:
    """Let everything through."""
    return forward(request)


class Proxy:
    """Listen on a port of its own, hand requests on to a server, and do with them as planned."""

    def __init__(self, server: str) -> None:
        self._address = urlsplit(server)
        self._listener = _Listener(self)
        self._thread = Thread(target=self._listener.serve_forever, args=(0.02,))
        self._changed = Condition()
        self._connections = 0
        self._failures: list[BaseException] = []
        self.url = f"http://{HOST}:{self._listener.server_port}"
        self.plan: Plan = untouched

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop listening; raise what went wrong in a plan, which nobody else would notice."""
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        if self._failures and exc is None:
            raise self._failures[0]

    def connect(self) -> HTTPConnection:
        """Return a connection to the server, for one of the process's."""
        return HTTPConnection(
            self._address.hostname or HOST, self._address.port, timeout=SERVER_SECONDS
        )

    def answer(self, request: Request, server: HTTPConnection) -> Response:
        """Do as planned with one request; LostError where the connection is to end."""
        return self.plan(partial(_forward, server), request)

    def count(self, change: int) -> None:
        """Note that a connection was made (1) or has ended (-1)."""
        with self._changed:
            self._connections += change
            self._changed.notify_all()

    def note(self, failure: BaseException) -> None:
        """Keep an error that is none of those which a plan may raise."""
        self._failures.append(failure)

    def wait_until_left(self) -> None:
        """
        Wait until nothing more can come of processes that have ended.

        What they sent may still lie in a connection that nobody has read, or in the server.
        """
        http_status(self.url)  # connections are taken in their order: theirs are, when this one is
        with self._changed:
            assert self._changed.wait_for(lambda: not self._connections, SERVER_SECONDS + 10.0)


def _forward(server: HTTPConnection, request: Request) -> Response:
    try:
        server.request(request.method, request.target, request.body, request.headers)
        got = server.getresponse()
        headers = _handed_on(got.headers)
        return Response(got.status, headers, got.read())
    except (OSError, HTTPException) as error:
        server.close()
        raise LostError from error


def _handed_on(headers: Message) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.lower() not in _OF_ONE_HOP}


_Request = socket | tuple[bytes, socket]
"""What `socketserver` calls a connection."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: Proxy) -> None:
        super().__init__((HOST, 0), _Connection)
        self.proxy = proxy

    def process_request(self, request: _Request, client_address: object) -> None:
        """Serve a connection in a thread of its own."""
        self.proxy.count(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: _Request) -> None:
        """End a connection that was served."""
        super().shutdown_request(request)
        self.proxy.count(-1)

    def handle_error(self, request: _Request, client_address: object) -> None:  # noqa: ARG002
        """Keep what a plan raised, for the test."""
        if failure := sys.exception():
            self.proxy.note(failure)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece
    server: _Listener

    def setup(self) -> None:
        """Connect to the server as well."""
        super().setup()
        self.onward = self.server.proxy.connect()

    def handle(self) -> None:
        """Serve until the process ends the connection, in order or by dying."""
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        """End both connections."""
        self.onward.close()
        with suppress(ConnectionError):  # who asked has died, and some of the answer is left
            super().finish()
        self.rfile.close()

    def _serve(self) -> None:
        self.close_connection = True
        length = int(self.headers.get("content-length", 0))
        request = Request(
            self.command, self.path, _handed_on(self.headers), self.rfile.read(length)
        )
        if len(request.body) < length:  # who asked has died meanwhile
            return
        with suppress(LostError, ConnectionError):
            response = self.server.proxy.answer(request, self.onward)
            self._write(response)
            self.close_connection = response.cut is not None

    def _write(self, response: Response) -> None:
        self.send_response_only(response.status)
        for name, text in response.headers.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body[: response.cut])
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


# --- bulk requests -------------------------------------------------------------------------------


@dataclass(slots=True)
class Bulks:
    """
    A plan for bulk requests: each fault takes one, in turn, `otherwise` those after the last.

    A body above `limit` bytes is refused with 413 before that. Any other request passes.
    """

    faults: Iterator[Fault] = field(default_factory=lambda: iter(()))
    otherwise: Fault = unharmed
    limit: int | None = None
    seen: int = 0
    answered: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, forward: Forward, request: Request) -> Response:
        """Answer one request."""
        if not request.target.startswith("/_bulk"):
            return forward(request)
        with self._lock:
            self.seen += 1
            fault = next(self.faults, self.otherwise)
        if self.limit is not None and len(request.body) > self.limit:
            return _response(answer(413, "Request Entity Too Large"))
        response = _spoiled(fault, forward, request)
        with self._lock:
            self.answered += response.cut is None and response.status < 300
        return response


def _spoiled(fault: Fault, forward: Forward, request: Request) -> Response:
    """Let a fault that was made for the client's transport answer in the server's place."""
    real: list[Response] = []

    def send(body: bytes) -> TransportApiResponse:
        real.append(forward(replace(request, body=body)))
        return answer(real[-1].status, json.loads(real[-1].body))

    try:
        return _response(fault(send, request.body))
    except SerializationError:
        return replace(real[-1], cut=len(real[-1].body) // 2)
    except TransportError as error:
        raise LostError from error


def _response(given: TransportApiResponse) -> Response:
    return Response(given.meta.status, dict(given.meta.headers), json.dumps(given.body).encode())


def late(seconds: float) -> Fault:
    """Answer when the server has acted, but only after a while."""

    def fault(send: Callable[[bytes], TransportApiResponse], body: bytes) -> TransportApiResponse:
        given = send(body)
        time.sleep(seconds)
        return given

    return fault


def after(number: int, *faults: Fault) -> Iterator[Fault]:
    """Let so many requests through, and then spoil some."""
    return chain(repeat(unharmed, number), faults)


# --- objects -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cuts:
    """
    A plan for objects in S3: at which offset each answer ends, before its last byte, in turn.

    Below zero the connection ends without an answer. When an object's offsets are used up, its
    answers are whole.
    """

    places: Mapping[str, Iterator[int]]
    """By the object's key."""

    def __call__(self, forward: Forward, request: Request) -> Response:
        """Answer one request."""
        key = unquote(urlsplit(request.target).path).split("/", 2)[-1]
        place = next(self.places.get(key, iter(())), None)
        if place is None:
            return forward(request)
        if place < 0:
            raise LostError
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        return replace(forward(request), cut=max(0, place - start))
