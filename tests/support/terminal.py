"""A terminal of its own, and what is drawn on it."""

import os
from threading import Thread
from typing import Self


class Terminal:
    """A pseudo-terminal; `end` is what a process is given as standard error or output."""

    def __init__(self) -> None:
        self._master, self.end = os.openpty()
        self._drawn = b""
        self._reader = Thread(target=self._read)
        self._closed = False

    def __enter__(self) -> Self:
        """Begin to read, for a terminal that nobody reads holds little."""
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._close_end()
        self._reader.join()
        os.close(self._master)

    def drawn(self) -> str:
        """Return all that was drawn, once no process can draw any more."""
        self._close_end()
        self._reader.join()
        return self._drawn.decode(errors="replace")

    def _close_end(self) -> None:
        if not self._closed:
            os.close(self.end)
            self._closed = True

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65_536):
                self._drawn += data
        except OSError:  # nobody holds the other end any more
            pass
