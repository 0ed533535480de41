"""
Ingest objects in several processes, each with clients of its own.

Encoding is pure computing, so threads would share one core. Each process gets one object at a time
by a pipe and answers with its outcome; what it logs meanwhile comes the same way. A process that
dies is replaced, and its object tried once more; one whose parent dies ends after its object, as
the pipe does. Signals are the parent's business: a terminal sends Ctrl-C to all of them.
"""

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Lock
from types import TracebackType
from typing import Protocol, Self, cast

from pipeline.errors import DefectError, PipelineError, SinkUnavailableError
from pipeline.jobs.pace import Pace
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef

TICK_SECONDS = 0.5

_MOST_DEATHS = 2  # of processes, on one object
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Work:
    """How the processes ingest: by which route, over how many connections together."""

    route: str
    connections: int
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """An object, and what became of it."""

    ref: ObjectRef
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Note:
    """Something that whoever watches should know."""

    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but that time goes by."""


Event = Done | Note | Tick


class Ingesting(Protocol):
    """What a process ingests with."""

    def ingest(self, ref: ObjectRef) -> Outcome:
        """Ingest one object."""


Opener = Callable[[Work], Ingesting]
"""Open what a process ingests with: a function of a module, for it is called in that process."""


@dataclass(slots=True)
class _Process:
    """One process, our end of its pipe, and the object that it has."""

    process: BaseProcess
    pipe: "Connection[ObjectRef | None, Outcome | str]"
    ref: ObjectRef | None = None

    def take(self, ref: ObjectRef) -> None:
        """Pass an object on; if it died meanwhile, that is seen when its answer is waited for."""
        self.ref = ref
        with suppress(OSError):
            self.pipe.send(ref)

    def dismiss(self) -> None:
        """Let it end."""
        with suppress(OSError):
            self.pipe.send(None)


class Workers:
    """Processes that ingest, each started when there is an object for it; gone after the block."""

    def __init__(self, number: int, work: Work, opener: Opener) -> None:
        self.number, self._opener = number, opener
        self._work = replace(work, connections=max(1, work.connections // number))
        self._processes: list[_Process] = []
        self._again: deque[ObjectRef] = deque()
        self._deaths: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Begin; nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the processes: each after its object, at once after an error."""
        try:
            if kind is None:
                for each in self._processes:
                    each.dismiss()
                for each in self._processes:
                    each.process.join()
        finally:
            for each in self._processes:
                each.process.kill()
            for each in self._processes:
                each.process.join()

    def ingest(
        self, refs: Iterator[ObjectRef], pace: Pace, stopped: Callable[[], bool]
    ) -> Iterator[Event]:
        """Ingest objects, at a pace, until they end or it is stopped; then what is under way."""
        while True:
            if not stopped():
                self._hand_out(refs, pace)
            busy = [each for each in self._processes if each.ref]
            if not busy:
                return
            for event in self._events(busy):
                yield event
                if isinstance(event, Done):
                    said = pace.note(throttled=_too_much(event.outcome))
                    yield from [Note(said)] if said else []

    def _hand_out(self, refs: Iterator[ObjectRef], pace: Pace) -> None:
        busy = sum(each.ref is not None for each in self._processes)
        for _ in range(min(pace.now, self.number) - busy):
            ref = self._again.popleft() if self._again else next(refs, None)
            if ref is None:
                return
            self._idle().take(ref)

    def _idle(self) -> _Process:
        for each in self._processes:
            if each.ref is None:
                return each
        self._processes.append(started := self._start())
        return started

    def _events(self, busy: list[_Process]) -> Iterator[Event]:
        """Yield what the busy processes say within a moment."""
        ready = wait([each.pipe for each in busy], TICK_SECONDS)
        if not ready:
            yield Tick()
        for each in busy:
            if each.pipe in ready:
                yield self._answer(each)

    def _answer(self, worker: _Process) -> Event:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            return self._after_death(worker)
        if isinstance(said, str):
            return Note(said)
        ref, worker.ref = cast("ObjectRef", worker.ref), None
        return Done(ref, said)

    def _after_death(self, worker: _Process) -> Event:
        ref = cast("ObjectRef", worker.ref)
        worker.process.join()
        code = worker.process.exitcode
        self._processes.remove(worker)  # another is started for the next object
        deaths = self._deaths[ref.key] = self._deaths.get(ref.key, 0) + 1
        if deaths < _MOST_DEATHS:
            self._again.append(ref)
            return Note(f"a process ended (code {code}) and is replaced; {ref.key} is tried again")
        why = f"the process that read it ended twice (code {code}): is memory short?"
        return Done(ref, Outcome(Tally(), DefectError(why)))

    def _start(self) -> _Process:
        context = multiprocessing.get_context("spawn")  # forked threads and clients are none
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self._work, self._opener), daemon=True
        )
        with _signals_blocked():
            process.start()
        theirs.close()
        return _Process(process, cast("Connection[ObjectRef | None, Outcome | str]", ours))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block signals for what is started, from its first moment on; here they are only held up."""
    resource_tracker.ensure_running()  # which is started with the first process, and unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _too_much(outcome: Outcome) -> bool:
    return outcome.throttled > 0 or isinstance(outcome.error, SinkUnavailableError)


# --- in the process that was started -------------------------------------------------------------


def _serve(pipe: "Connection[Outcome | str, ObjectRef | None]", work: Work, opener: Opener) -> None:
    """Ingest what comes by the pipe, until it ends."""
    lock = Lock()

    def answer(what: Outcome | str) -> None:
        with lock:  # threads that send documents log, too
            pipe.send(what)

    logging.getLogger("pipeline").addHandler(_LogLines(answer))
    serving = _Serving(work, opener)
    try:
        while (ref := pipe.recv()) is not None:
            answer(serving.ingest(ref))
    except (EOFError, OSError):  # the parent is gone
        return


class _LogLines(logging.Handler):
    """Pass warnings on."""

    def __init__(self, answer: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._answer = answer

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # the parent is gone
            self._answer(record.getMessage())


class _Serving:
    def __init__(self, work: Work, opener: Opener) -> None:
        self._work, self._opener = work, opener
        self._pipeline: Ingesting | None = None

    def ingest(self, ref: ObjectRef) -> Outcome:
        """Ingest one object; whatever happens is in the outcome, in a form that can be sent."""
        try:
            outcome = self._opened().ingest(ref)
        except PipelineError as error:
            outcome = Outcome(Tally(), error)
        except Exception as error:  # noqa: BLE001  the other objects get their turn
            what = f"a defect of this package: {type(error).__name__}: {error}"
            outcome = Outcome(Tally(), DefectError(what))
        return outcome

    def _opened(self) -> Ingesting:
        if self._pipeline is None:
            self._pipeline = self._opener(self._work)
        return self._pipeline
