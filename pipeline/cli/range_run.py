"""Run over the objects of a range with processes of our own, and say how it went."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from pipeline.cli.screen import Screen, complain
from pipeline.cli.stopping import stoppable
from pipeline.cli.tracking import Standing, spell, tracked
from pipeline.jobs.backfill import Selection, run_backfill
from pipeline.jobs.pace import Pace
from pipeline.jobs.selecting import Survey, day_of
from pipeline.jobs.workers import Done, Event, Note, Tick, Workers
from pipeline.outcome import Outcome
from pipeline.source.objects import ObjectRef

_STOPPED = 130
_MOST_FAILED_SHOWN = 20


class RangeRun:
    """One run by processes of our own: shows it day by day, and says at the end what is missing."""

    def __init__(self, screen: Screen, found: Survey, *, as_json: bool) -> None:
        self._screen, self._as_json = screen, as_json
        self._standing = Standing(found.total.objects, found.total.bytes)
        self._left = found.days.copy()
        self._days: dict[date, Standing] = {}
        self._failed: list[Done] = []
        self._unrecorded = 0

    def go(self, selection: Selection, workers: Workers) -> int:
        """Ingest; return the exit code."""
        standing, pace = self._standing, Pace(workers.number)
        with stoppable() as stopped, self._told(stopped):
            with (
                tracked(self._screen, standing.in_words, standing.as_dict),
                workers,
            ):
                for event in run_backfill(selection.due(), workers, pace, self._hears(stopped)):
                    self._take(event)
            ended = stopped()
        return _STOPPED if ended else int(bool(self._failed))

    def _hears(self, stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Return what tells whether to stop, and says so once."""
        said = False

        def hears() -> bool:
            nonlocal said
            if stopped() and not said:
                said = True
                self._screen.note("finishing the objects under way; Ctrl-C again ends at once")
            return said

        return hears

    def _take(self, event: Event) -> None:
        match event:
            case Note(text):
                self._screen.note(text)
            case Done(ref, outcome):
                self._add(ref, outcome)
            case Tick():
                pass

    def _add(self, ref: ObjectRef, outcome: Outcome) -> None:
        day = day_of(ref)
        self._standing.add(ref, outcome)
        if day not in self._days:
            self._days[day] = Standing(self._standing.objects, 0)
        self._days[day].add(ref, outcome)
        if outcome.error:
            self._failed.append(Done(ref, outcome))
        if outcome.unrecorded:
            self._unrecorded += 1
            if self._unrecorded == 1:
                complain(f"the ledger has no entry of {ref.key}: {outcome.unrecorded}")
        self._left[day] -= 1
        if self._left[day] <= 0:
            self._say_day(day, self._days.pop(day))

    def _say_day(self, day: date, standing: Standing) -> None:
        if self._as_json:
            terms = standing.tally.as_dict()
            told = {"day": f"{day}", "objects": standing.done, "failed": standing.failed, **terms}
            self._screen.write_json(told)
        else:
            self._screen.say(f"{day}: {_in_words(standing)}")

    @contextmanager
    def _told(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Say at the end, whatever ends it, what is in and what is not."""
        whole = False
        try:
            yield
            whole = not stopped()
        finally:
            for day, standing in sorted(self._days.items()):
                self._say_day(day, standing)
            self._say_total()
            self._say_failed()
            self._say_left(whole=whole)

    def _say_total(self) -> None:
        standing = self._standing
        if self._as_json:
            failures = [
                {
                    "key": each.ref.key,
                    "type": type(each.outcome.error).__name__,
                    "message": f"{each.outcome.error}",
                }
                for each in self._failed
            ]
            self._screen.write_json({"total": standing.as_dict(), "failures": failures})
        else:
            took = f"{spell(standing.seconds)}, {standing.rate:,.0f} lines/s"
            self._screen.say(f"Together: {_in_words(standing)}; {took}")

    def _say_failed(self) -> None:
        for each in self._failed[:_MOST_FAILED_SHOWN]:
            complain(f"{each.ref.key} failed: {each.outcome.error}")
        if (more := len(self._failed) - _MOST_FAILED_SHOWN) > 0:
            complain(f"… and {more:,} more objects failed; --json lists them all")
        if self._failed:
            self._screen.note(
                "once the reasons are gone, run the same command again: what is in is left out"
            )
        if self._unrecorded > 1:
            complain(f"the ledger has no entry of {self._unrecorded:,} objects that were read")

    def _say_left(self, *, whole: bool) -> None:
        left = self._standing.objects - self._standing.done
        if left > 0 and whole:
            self._screen.note(f"{left:,} objects were completed by others meanwhile")
        elif left > 0:
            self._screen.note(f"{left:,} objects are left: run the same command again to go on")


def _in_words(standing: Standing) -> str:
    tally = standing.tally
    return (
        f"{standing.done:,} objects, {tally.lines:,} lines, {tally.indexed:,} indexed, "
        f"{tally.duplicates:,} duplicates, {tally.rejected:,} rejected, {standing.failed:,} failed"
    )
