"""Say things to whoever called: results on standard output, all else on standard error."""

import errno
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from enum import IntEnum
from threading import Timer
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

import click

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pipeline.cli.board import Board, Foot
    from pipeline.outcome import Tally

PATIENCE_SECONDS = 5.0
"""How long somebody waits before they are told for what."""

_LONGEST_MESSAGE = 160

Command = TypeVar("Command", bound=Callable[..., Any])


class OutputError(PipelineError):
    """What a command has to say cannot be written."""


class Verbosity(IntEnum):
    """How much a command says beside its results."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class Progress(Protocol):
    """What is told of long work while it goes on."""

    def begin(self, source: str, size: int | None) -> None:
        """Begin the next source; `size` is in bytes as stored, None if it is unknown."""

    def read(self, size: int) -> None:
        """Say that so many bytes of the source, as stored, were read."""

    def count(self, tally: "Tally") -> None:
        """Say what became of some lines."""


class _Unseen:
    """Show nothing."""

    def begin(self, source: str, size: int | None) -> None:
        """Begin the next source."""

    def read(self, size: int) -> None:
        """Say that bytes were read."""

    def count(self, tally: "Tally") -> None:
        """Say what became of some lines."""


class Screen:
    """The two streams of one run, and how much is said on them."""

    def __init__(self) -> None:
        self.verbosity = Verbosity.NORMAL
        self._board: Board | Foot | None = None

    @property
    def quiet(self) -> bool:
        """Return whether only results that were asked for, and errors, are wanted."""
        return self.verbosity is Verbosity.QUIET

    def write(self, result: str | bytes) -> None:
        """Write a result to standard output, at once; OutputError if that is impossible."""
        stdout = sys.stdout
        if stdout is None:  # closed by whoever called
            raise OutputError("standard output is closed: nothing can be written to it")
        try:
            with self._aside():
                click.echo(result, nl=False)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader has enough: click ends the command quietly
                raise
            sys.stdout = None  # Python would fail to flush it again
            raise OutputError(f"standard output cannot be written: {error.strerror}") from error

    def write_json(self, result: object) -> None:
        """Write a result as one line of JSON."""
        self.write(json.dumps(result) + "\n")

    def say(self, text: str) -> None:
        """Write lines about the work to standard output, unless only errors are wanted."""
        if not self.quiet:
            self.write("".join(f"{escaped(line)}\n" for line in text.split("\n")))

    def note(self, text: str) -> None:
        """Write a line about the work to standard error, unless only errors are wanted."""
        if not self.quiet:
            complain(text)

    @contextmanager
    def progress(self, sources: int, *, beside_output: bool = True) -> Iterator[Progress]:
        """
        Show on a terminal how long work goes; nothing in a pipe.

        `beside_output` is False where the results themselves show it, if they go to a terminal.
        """
        shows_itself = not beside_output and is_terminal(sys.stdout)
        if self.quiet or shows_itself or not is_terminal(sys.stderr):
            yield _Unseen()
            return
        from pipeline.cli.board import Board  # noqa: PLC0415  rich is slow to load

        with Board(sources) as board:
            self._board = board
            try:
                yield board
            finally:
                self._board = None

    @contextmanager
    def drawn(self, text: Callable[[], str]) -> Iterator[None]:
        """Show a text at the foot of the terminal, as it is at each moment."""
        from pipeline.cli.board import Foot  # noqa: PLC0415  rich is slow to load

        with Foot(text) as foot:
            self._board = foot
            try:
                yield
            finally:
                self._board = None

    @contextmanager
    def waiting(self, for_what: str) -> Iterator[None]:
        """Say after 5 s what is being waited for."""
        timer = Timer(PATIENCE_SECONDS, self.note, [f"still waiting for {for_what}"])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def log_lines(self) -> Iterator[None]:
        """Show the log lines of this package: warnings, or with -v those of libraries too."""
        root = logging.getLogger()
        handler, level = _LogLines(self), root.level
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)

    def _aside(self) -> "AbstractContextManager[None]":
        """Take progress away while something else is written to the same terminal."""
        if self._board is None or not is_terminal(sys.stdout):
            return nullcontext()
        return self._board.aside()


class _LogLines(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_wanted(record):
            complain(record.getMessage())

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        if self._screen.verbosity is Verbosity.VERBOSE:
            return record.levelno >= logging.INFO
        least = logging.ERROR if self._screen.quiet else logging.WARNING
        return record.levelno >= least and record.name.startswith("pipeline")


def complain(text: str, *, has_lines: bool = False) -> None:
    """Write what goes wrong to standard error, if there is one: one line, unless it `has_lines`."""
    lines = text.split("\n") if has_lines else [text]
    try:
        click.echo("alb-logs: " + "\n".join(map(escaped, lines)), err=True)
    except OSError:  # nobody can be told
        sys.stderr = None  # Python would fail to flush it again


def escaped(text: str) -> str:
    """Return what strangers wrote so that it cannot command a terminal, nor pass for a line."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def printable(text: str) -> str:
    """Return what strangers wrote, escaped and not too much of it."""
    safe = escaped(text)
    return safe if len(safe) <= _LONGEST_MESSAGE else f"{safe[:_LONGEST_MESSAGE]}…"


def verbosity_options() -> Callable[[Command], Command]:
    """Add -v and -q, which may stand before the command's name or after it."""

    def add(command: Command) -> Command:
        for names, verbosity, about in (
            (("-q", "--quiet"), Verbosity.QUIET, "Say only what goes wrong."),
            (("-v", "--verbose"), Verbosity.VERBOSE, "Say every request that is made."),
        ):
            command = click.option(
                *names, is_flag=True, expose_value=False, callback=_chosen(verbosity), help=about
            )(command)
        return command

    return add


def _chosen(verbosity: Verbosity) -> Callable[[click.Context, click.Parameter, bool], None]:
    def choose(context: click.Context, _parameter: click.Parameter, given: bool) -> None:  # noqa: FBT001  click's
        screen = context.ensure_object(Screen)
        if given:
            screen.verbosity = verbosity
        if screen.verbosity is Verbosity.VERBOSE:
            logging.getLogger().setLevel(logging.INFO)

    return choose


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream leads to a terminal; one that is closed is None."""
    return stream is not None and stream.isatty()
