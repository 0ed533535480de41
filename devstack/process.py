"""
Start, watch and stop a server of the local stack, and leave nothing of it behind.

Each server runs in a session of its own, so it can be ended together with its children and nothing
else. It is not tied to a terminal: the process that starts it stops it, and if that process is
killed, a guard beside the server stops it.
"""

import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"

# Below the range from which systems take the ports of outgoing connections: a client that connects
# in the seconds until a server listens could take such a port.
_PORTS = range(20_000, 32_000)

# Reads until its standard input ends, which is when the process that holds the other end is gone.
_GUARD = """
import os, shutil, signal, sys
sys.stdin.read()
try:
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
except ProcessLookupError:
    pass
for scratch in sys.argv[2:]:
    shutil.rmtree(scratch, ignore_errors=True)
"""

_POLL_SECONDS = 0.1
_DEATH_SECONDS = 5.0


class ServerError(RuntimeError):
    """A server of the local stack cannot start; the message says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a server. Without `env` it inherits ours, without `uid` our user."""

    name: str
    argv: tuple[str, ...]
    log_path: Path
    env: Mapping[str, str] | None = None
    uid: int | None = None


class Server(ABC):
    """
    One server: a command, the URL it answers at, and the process while it runs.

    As a context manager it stops the server and removes `scratch`, the folder made for it. `stop`
    alone keeps that folder, so that `restart` finds the data again.
    """

    def __init__(self, url: str, command: Command, *, scratch: Path | None = None) -> None:
        self.url = url
        self._command = command
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., Self] | None = None
        self._remove = (
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True) if scratch else None
        )

    def __enter__(self) -> Self:
        """Return the server itself, which is already running."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop the server and remove its scratch folder."""
        self.stop()
        if self._remove:
            self._remove()

    @property
    def log_path(self) -> Path:
        """Return the path of the file with everything that the server printed."""
        return self._command.log_path

    @property
    def pid(self) -> int:
        """Return the server's process id, which is also that of its process group."""
        if self._process is None:
            raise ServerError(f"{self._command.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return whether the process is running."""
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def ready(self) -> bool:
        """Return whether the server is ready for requests."""

    def start(self, *, within: float) -> Self:
        """Start the process and return when the server is ready; else stop it and raise."""
        with ExitStack() as undo:
            self._process = _launch(self._command)
            guard = _launch_guard(self._process.pid, self._scratch)
            self._end = weakref.finalize(self, _end, self._process, guard)
            undo.callback(self.kill)
            self._await_ready(within)
            undo.pop_all()
        return self

    def stop(self, *, grace: float = 20.0) -> None:
        """Ask the server to end (SIGTERM), and kill it (SIGKILL) after `grace` seconds."""
        if self._process and self.running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """Kill the server and its children at once, as losing the machine would (SIGKILL)."""
        if self._end:
            self._end()
        self._process = self._end = None

    def restart(self, *, within: float = 120.0) -> Self:
        """Start the server again on the same port and data, after `stop`ping it if it runs."""
        self.stop()
        return self.start(within=within)

    def _await_ready(self, within: float) -> None:
        deadline = time.monotonic() + within
        while not self.ready():
            if not self.running:
                raise self._failure("ended before it was ready")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {within:.0f} seconds")
            time.sleep(_POLL_SECONDS)

    def _failure(self, what: str) -> ServerError:
        return ServerError(f"{self._command.name} {what}. Its log ends:\n{log_tail(self.log_path)}")


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def http_status(url: str, *, timeout: float = 5.0) -> int | None:
    """Get `url` past any proxy, without checking its certificate; None if nothing answers."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}"
    with closing(_connection(parts.scheme, parts.netloc, timeout)) as connection:
        try:
            connection.request("GET", target)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None


def log_tail(path: Path, lines: int = 40) -> str:
    """Return the last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _connection(scheme: str, netloc: str, timeout: float) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(netloc, timeout=timeout)
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(netloc, timeout=timeout, context=unverified)


def _launch(command: Command) -> subprocess.Popen[bytes]:
    with command.log_path.open("ab") as log:
        return subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=command.log_path.parent,
            env=command.env,
            user=command.uid,
            group=command.uid,
            extra_groups=None if command.uid is None else [],
            start_new_session=True,
        )


def _launch_guard(pid: int, scratch: Path | None) -> subprocess.Popen[bytes]:
    # In a session of its own, too: whatever ends our process group must not end the guard first.
    subjects = [str(pid), *([str(scratch)] if scratch else [])]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, *subjects],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes], guard: subprocess.Popen[bytes]) -> None:
    """Kill the whole process group, wait until it is gone, and release the guard."""
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    # The server's own children are not ours to wait for; whoever reaps them may be slow.
    deadline = time.monotonic() + _DEATH_SECONDS
    while _signal_group(process.pid, 0) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS / 10)
    guard.kill()
    guard.communicate()


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; return False if no process is left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
