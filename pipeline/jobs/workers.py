"""
Ingest objects in several processes, each with clients of its own.

Encoding is pure computing, so threads would share one core. Each process gets one object at a time
by a pipe and answers with its outcome. A process that dies is replaced, and its object tried once
more; one whose parent dies ends after its object, as the pipe does.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self, cast

from pipeline.config import Config
from pipeline.errors import DefectError, PipelineError, SinkUnavailableError
from pipeline.jobs.pace import Pace
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline, open_pipeline

TICK_SECONDS = 0.5

_MOST_DEATHS = 2  # of processes, on one object


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


@dataclass(slots=True)
class _Process:
    """One process, our end of its pipe, and the object that it has."""

    process: BaseProcess
    pipe: "Connection[ObjectRef | None, Outcome]"
    ref: ObjectRef | None = None


class Workers:
    """Processes that ingest; started when the block is entered, and gone when it is left."""

    def __init__(self, number: int, work: Work) -> None:
        self._work = replace(work, connections=max(1, work.connections // number))
        self._number = number
        self._processes: list[_Process] = []
        self._again: deque[ObjectRef] = deque()
        self._deaths: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Start the processes."""
        self._processes = [self._start() for _ in range(self._number)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the processes: each after its object, at once after an error."""
        for each in self._processes:
            if kind is None:
                each.pipe.send(None)
            else:
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
        for each in self._processes:
            if each.ref is None and busy < pace.now:
                ref = self._again.popleft() if self._again else next(refs, None)
                if ref is None:
                    return
                each.ref = ref
                busy += 1
                try:
                    each.pipe.send(ref)
                except OSError:  # it died meanwhile, which is seen when its answer is waited for
                    continue

    def _events(self, busy: list[_Process]) -> Iterator[Event]:
        """Yield what the busy processes answer within a moment."""
        ready = wait([each.pipe for each in busy], TICK_SECONDS)
        if not ready:
            yield Tick()
        for each in busy:
            if each.pipe in ready:
                yield self._answer(each)

    def _answer(self, worker: _Process) -> Event:
        ref, worker.ref = cast("ObjectRef", worker.ref), None
        try:
            return Done(ref, worker.pipe.recv())
        except (EOFError, OSError):
            return self._after_death(worker, ref)

    def _after_death(self, worker: _Process, ref: ObjectRef) -> Event:
        worker.process.join()
        code = worker.process.exitcode
        self._processes[self._processes.index(worker)] = self._start()
        deaths = self._deaths[ref.key] = self._deaths.get(ref.key, 0) + 1
        if deaths < _MOST_DEATHS:
            self._again.append(ref)
            return Note(f"a process ended (code {code}) and was replaced; {ref.key} is tried again")
        why = f"the process that read it ended twice (code {code}): is memory short?"
        return Done(ref, Outcome(Tally(), DefectError(why)))

    def _start(self) -> _Process:
        context = multiprocessing.get_context("spawn")  # forked threads and clients are none
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        process.start()
        theirs.close()
        return _Process(process, cast("Connection[ObjectRef | None, Outcome]", ours))


def _too_much(outcome: Outcome) -> bool:
    return outcome.throttled > 0 or isinstance(outcome.error, SinkUnavailableError)


def _serve(pipe: "Connection[Outcome, ObjectRef | None]", work: Work) -> None:
    """Ingest what comes by the pipe, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    serving = _Serving(work)
    try:
        while (ref := pipe.recv()) is not None:
            pipe.send(serving.ingest(ref))
    except (EOFError, OSError):  # the parent is gone
        return


class _Serving:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._pipeline: Pipeline | None = None

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

    def _opened(self) -> Pipeline:
        if self._pipeline is None:
            config = replace(Config.from_env(), es_connections=self._work.connections)
            pipeline = open_pipeline(config, route=self._work.route)
            options = replace(pipeline.options, overwrite=self._work.overwrite)
            self._pipeline = replace(pipeline, options=options)
        return self._pipeline
