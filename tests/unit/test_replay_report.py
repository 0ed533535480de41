"""What the command `replay` says of letters."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from pipeline.cli import replay as command
from pipeline.jobs.letterbox import UNKNOWN, Letter, Selection, letter_of
from pipeline.jobs.replay import End, Fate, Replay
from pipeline.outcome import Tally
from pipeline.sink.scanning import Hit


def letter(reason: str) -> Letter:
    """Return a letter with this reason."""
    return letter_of(Hit("i", "id", 0, 1, {"error": {"type": reason}}))


@dataclass
class Told:
    """Stand for the work: what became of letters is what a test says."""

    fates: list[Fate]
    new: int = 0
    duplicates: int = 0

    def run(self, _selection: Selection) -> Iterator[Fate]:
        """Yield it."""
        yield from self.fates


class Watching:
    """Count what progress is told."""

    def __init__(self) -> None:
        self.total, self.size = Tally(), 0

    def begin(self, source: str, size: int | None) -> None:
        """Begin."""

    def read(self, size: int) -> None:
        """Count letters."""
        self.size += size

    def count(self, tally: Tally) -> None:
        """Count lines."""
        self.total += tally


def replaying(*fates: Fate) -> tuple[command.Replaying, Watching]:
    """Return a run of the command over these fates."""
    run, progress = command.Replaying(cast("Replay", Told([*fates])), dry_run=False), Watching()
    run.run(Selection(), progress)
    return run, progress


def test_progress_counts_each_letter() -> None:
    """As indexed, filtered or still rejected."""
    ends = (End.INDEXED, End.FILTERED, "bad_time", End.NO_OBJECT)

    _, progress = replaying(*(Fate(letter("bad_time"), end) for end in ends))

    assert Tally(lines=4, indexed=1, filtered=1, rejected=2) == progress.total
    assert 4 == progress.size


def test_any_number_of_reasons_takes_a_bounded_table() -> None:
    """Who forges letters may give each a reason of its own."""
    run, _ = replaying(*(Fate(letter(f"r{number}"), End.NO_OBJECT) for number in range(2_000)))

    assert 502 == len([*run.rows()])
    assert 2_000 == run.told()["letters"]
    assert {"was": "others", "is": "no_object", "letters": 1_500} in run.told()["outcomes"]


def test_causes_are_safe_to_print_and_few() -> None:
    """Keys and messages may hold what commands a terminal."""
    run, _ = replaying(
        *(
            Fate(letter("\x1b[2J"), End.OBJECT_UNREADABLE, f"s3://b/\x1b[{number}J{'x' * 999}")
            for number in range(50)
        )
    )

    causes = [*run.causes()]
    assert 3 == len(causes)
    assert all(cause.isprintable() and len(cause) < 200 for cause in causes)
    assert [UNKNOWN] == [each["was"] for each in run.told()["outcomes"]]
