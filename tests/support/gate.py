"""Stand between a client and a server, and close the connection when a test wants no server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

HOST = "127.0.0.1"


class Gate:
    """Forward TCP connections while open; while shut nobody listens, as if the server were off."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._serve()

    def __enter__(self) -> Self:
        """Return the gate, which is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Shut it for good."""
        self.shut()

    @property
    def url(self) -> str:
        """Return the address for clients."""
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Shut the gate for a while, and open it again whatever happens."""
        self.shut()
        try:
            yield
        finally:
            self.open()

    def shut(self) -> None:
        """Refuse new connections and cut those there are."""
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._connections.clear()

    def open(self) -> None:
        """Let connections through again, on the same port."""
        self._listener = _listen(self.port)
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # shut
            while True:
                self._connect(listener.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        self._connections += [client, server]
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _listen(port: int) -> socket.socket:
    return socket.create_server((HOST, port))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes until either side is done."""
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
