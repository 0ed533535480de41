"""The command `replay`: index the lines of dead letters that can be indexed today."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any

import click

from pipeline.cli.options import dry_run_option, json_option
from pipeline.cli.ranges import bucket_option, load_balancer_option, time_option, zone_option
from pipeline.cli.screen import Progress, Screen, complain, printable, verbosity_options
from pipeline.cli.times import HOW
from pipeline.config import Config
from pipeline.deadline import Deadline
from pipeline.jobs.letterbox import Selection, count_letters
from pipeline.jobs.replay import ABOUT, End, Fate, Replay
from pipeline.outcome import Tally
from pipeline.wiring import Pipeline, open_pipeline

_MOST_REASONS = 500  # that are told apart: strangers may have written them
_MOST_CAUSES = 3
_OTHERS = "others"


@click.command
@time_option("--since", about=f"Only of lines that were rejected since then: {HOW}.")
@zone_option()
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    metavar="TYPE",
    help="Only of lines rejected for this reason (error.type); may be repeated.",
)
@bucket_option(required=False)
@load_balancer_option("Only of lines of this load balancer; may be repeated.")
@dry_run_option()
@json_option()
@verbosity_options()
@click.pass_obj
def replay(  # noqa: PLR0913  one parameter an option
    screen: Screen,
    *,
    since: datetime | None,
    time_zone: tzinfo,
    reasons: tuple[str, ...],
    bucket: str | None,
    load_balancers: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> int:
    """
    Index the lines of dead letters that parse and are accepted today, after an upgrade or a fix.

    A dead letter is removed once Elasticsearch has taken its line; whatever is interrupted can be
    run again. What is rejected or refused again keeps its dead letter. So does what
    ALB_LOGS_EXCLUDE leaves out. A line that its dead letter does not hold is read from S3.

    The role `operate` allows it (alb-logs setup --print-role operate).

    \b
    Examples:
      alb-logs replay --dry-run
      alb-logs replay --reason bad_number --since '3d ago'
      alb-logs replay --load-balancer frontend-alb

    Exit codes: 0 all are replayed, 1 some remain or Elasticsearch fails, 2 the call or a setting is
    wrong.
    """  # noqa: D301  \b is click's
    del time_zone  # times are read in it already
    selection = Selection(since, reasons, bucket, load_balancers)
    with screen.waiting("Elasticsearch"):
        pipeline = open_pipeline(Config.from_env(), route="replay")
        letters = _count(pipeline, selection)
    replaying = Replaying(Replay(pipeline, dry_run=dry_run), dry_run=dry_run)
    with screen.progress(1) as progress, _summarised(replaying, screen, as_json=as_json):
        progress.begin("dead letters", letters)
        replaying.run(selection, progress)
    return replaying.exit_code


def _count(pipeline: Pipeline, selection: Selection) -> int:
    store = pipeline.store
    return count_letters(store.es, store.dead_letters, selection, Deadline())


class Replaying:
    """One run of the command: what became of the letters so far."""

    def __init__(self, work: Replay, *, dry_run: bool) -> None:
        self._work, self._dry_run = work, dry_run
        self._ends: Counter[tuple[str, str]] = Counter()
        self._causes: dict[str, set[str]] = {}

    @property
    def exit_code(self) -> int:
        """Return 1 where a letter remains."""
        return int(self._remaining > 0)

    def run(self, selection: Selection, progress: Progress) -> None:
        """Replay letters and count them."""
        for fate in self._work.run(selection):
            self._add(fate)
            progress.read(1)
            progress.count(_tally(fate))

    def told(self) -> dict[str, Any]:
        """Return what became of the letters, for machines."""
        return {
            "letters": self._ends.total(),
            "replayed": self._replayed,
            "remaining": self._remaining,
            "new": self._work.new,
            "duplicates": self._work.duplicates,
            "outcomes": [
                {"was": was, "is": end, "letters": count}
                for (was, end), count in sorted(self._ends.items())
            ],
            "causes": {end: sorted(causes) for end, causes in self._causes.items()},
            "dry_run": self._dry_run,
        }

    def rows(self) -> Iterator[str]:
        """Yield a table of reasons before and after."""
        if self._ends:
            yield f"{'was':<26} {'is':<26} letters"
        for (was, end), count in sorted(self._ends.items()):
            yield f"{was:<26} {end:<26} {count:>7,}"

    def sentences(self) -> Iterator[str]:
        """Yield why letters remain, and how many do."""
        for end in sorted({end for _, end in self._ends} - {End.INDEXED}):
            if end in set(End):
                yield f"{end}: {ABOUT[End(end)]}."
        letters, replayed = self._ends.total(), self._replayed
        if self._dry_run:
            yield (
                f"{letters:,} dead letters: {replayed:,} would be replayed, {self._remaining:,} "
                "would remain; nothing was changed."
            )
        else:
            yield (
                f"{letters:,} dead letters: {replayed:,} replayed ({self._work.new:,} new "
                f"documents, {self._work.duplicates:,} duplicates), {self._remaining:,} remain."
            )

    def causes(self) -> Iterator[str]:
        """Yield what errors say, some of each kind."""
        for end, causes in sorted(self._causes.items()):
            yield from (f"{end}: {cause}" for cause in sorted(causes))

    @property
    def _replayed(self) -> int:
        return sum(count for (_, end), count in self._ends.items() if end == End.INDEXED)

    @property
    def _remaining(self) -> int:
        return self._ends.total() - self._replayed

    def _add(self, fate: Fate) -> None:
        key = (fate.letter.reason, str(fate.end))
        if len(self._ends) >= _MOST_REASONS and key not in self._ends:
            key = (_OTHERS, key[1])
        self._ends[key] += 1
        causes = self._causes.setdefault(key[1], set()) if fate.why else set()
        if len(causes) < _MOST_CAUSES and fate.why:
            causes.add(printable(fate.why))


@contextmanager
def _summarised(replaying: Replaying, screen: Screen, *, as_json: bool) -> Iterator[None]:
    """Say at the end what became of letters; also at an early end, by Ctrl-C or an error."""
    try:
        yield
    finally:
        if as_json:
            screen.write_json(replaying.told())
        else:
            for line in (*replaying.rows(), *replaying.sentences()):
                screen.say(line)
        for cause in replaying.causes():
            complain(cause)


def _tally(fate: Fate) -> Tally:
    match fate.end:
        case End.INDEXED:
            return Tally(lines=1, indexed=1)
        case End.FILTERED:
            return Tally(lines=1, filtered=1)
        case _:
            return Tally(lines=1, rejected=1)
