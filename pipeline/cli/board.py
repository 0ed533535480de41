"""
Draw on a terminal how long work goes.

For sources one after another: one line for the source, with a bar where its size is known, and one
for what became of its lines. For many objects at once: a text at the foot of the terminal.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from pipeline.outcome import Tally

_LONGEST_NAME = 36
_LEAST_SECONDS = 0.5  # before a rate means something


class _Drawn:
    """Something at the foot of the terminal; everything else on standard error goes above it."""

    def __init__(self, picture: Callable[[], RenderableType], *, per_second: float = 4) -> None:
        self._live = Live(
            console=Console(stderr=True),
            get_renderable=picture,
            transient=True,
            redirect_stdout=False,
            refresh_per_second=per_second,
        )

    def __enter__(self) -> Self:
        """Draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wipe it away."""
        self._live.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the terminal to what is written meanwhile."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()


class Board(_Drawn):
    """Progress of sources, one after another."""

    def __init__(self, sources: int) -> None:
        self._sources, self._number = sources, 0
        self._total, self._begun = Tally(), time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn(show_speed=False),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task("", total=None)
        super().__init__(self._picture)

    def begin(self, source: str, size: int | None) -> None:
        """Begin the next source; `size` is in bytes as stored, None if it is unknown."""
        self._number += 1
        short = source if len(source) <= _LONGEST_NAME else f"…{source[1 - _LONGEST_NAME :]}"
        of = f" {self._number}/{self._sources}" if self._sources > 1 else ""
        self._bar.reset(self._task, total=size or None, description=f"{short}{of}")
        self._live.refresh()

    def read(self, size: int) -> None:
        """Move the bar by so many bytes."""
        self._bar.advance(self._task, size)

    def count(self, tally: Tally) -> None:
        """Add to what is shown."""
        self._total += tally

    def _picture(self) -> RenderableType:
        return Group(self._bar.get_renderable(), Text(self._counts()))

    def _counts(self) -> str:
        total, seconds = self._total, time.monotonic() - self._begun
        rate = f" ({total.lines / seconds:,.0f}/s)" if seconds > _LEAST_SECONDS else ""
        parts = [
            f"{total.bytes / 1e6:,.1f} MB",
            f"{total.lines:,} lines{rate}",
            f"{total.indexed:,} documents",
            f"{total.duplicates:,} duplicates",
            f"{total.rejected:,} rejected",
        ]
        return "  " + " · ".join(parts)


class Foot(_Drawn):
    """A text, as it is at each moment."""

    def __init__(self, text: Callable[[], str]) -> None:
        super().__init__(lambda: Text(text()), per_second=2)
