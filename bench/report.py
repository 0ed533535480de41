"""Hold the figures and their goals, and print them as tables or write them as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Goal:
    """The bounds that a figure should stay within."""

    at_least: float | None = None
    at_most: float | None = None

    def reached_by(self, value: float) -> bool:
        """Return whether a value is within the bounds."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def in_words(self, unit: str) -> str:
        """Return the bounds as text."""
        low = "" if self.at_least is None else f"≥ {number(self.at_least)} {unit}"
        high = "" if self.at_most is None else f"≤ {number(self.at_most)} {unit}"
        return ", ".join(filter(None, (low, high)))


@dataclass(frozen=True, slots=True)
class Pair:
    """The two values of a ratio."""

    ours: float
    other: float
    unit: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `low` and `high` are the extremes over the rounds, if it has rounds."""

    key: str
    name: str
    value: float
    unit: str
    goal: Goal | None = None
    low: float | None = None
    high: float | None = None
    made_of: Pair | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Return whether the goal is reached; None if there is no goal."""
        return self.goal.reached_by(self.value) if self.goal else None


@dataclass(slots=True)
class Report:
    """All that one run measured."""

    machine: dict[str, str] = field(default_factory=dict)
    traffic: list[Figure] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    split: list[Figure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return {
            "machine": self.machine,
            "traffic": [_as_dict(each) for each in self.traffic],
            "figures": [_as_dict(each) for each in self.figures],
            "split": [_as_dict(each) for each in self.split],
        }


def print_report(report: Report, console: Console) -> None:
    """Print the machine and three tables."""
    for name, value in report.machine.items():
        console.print(f"{name}: {value}", highlight=False, markup=False)
    console.print(_table("The traffic", report.traffic))
    console.print(_table("The figures", report.figures))
    console.print(_table("One line through the encoder, CPU time", report.split))


def number(value: float) -> str:
    """Format a number with about three significant digits."""
    whole, tenths = 100, 10
    digits = 0 if abs(value) >= whole else 1 if abs(value) >= tenths else 2
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _as_dict(figure: Figure) -> dict[str, Any]:
    return asdict(figure) | {"reached": figure.reached}


def _table(title: str, figures: list[Figure]) -> Table:
    """Build a table without the columns that would be empty."""
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    rows = [_row(each) for each in figures]
    used = [any(column) for column in zip(*rows, strict=True)]
    for heading, wanted in zip(_HEADINGS, used, strict=False):
        if wanted:
            table.add_column(heading, justify="right" if heading in _NUMBERS else "left")
    for row in rows:
        table.add_row(*(cell for cell, wanted in zip(row, used, strict=True) if wanted))
    return table


_NUMBERS = ("measured", "rounds", "goal")
_HEADINGS = ("", *_NUMBERS, "", "made of")


def _row(figure: Figure) -> tuple[str, ...]:
    value = f"{number(figure.value)} {figure.unit}"
    goal = figure.goal.in_words(figure.unit) if figure.goal else ""
    return figure.name, value, _spread(figure), goal, _verdict(figure), _made_of(figure)


def _spread(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low)} - {number(figure.high)}"


def _verdict(figure: Figure) -> str:
    if figure.reached is None:
        return ""
    return "[green]reached[/green]" if figure.reached else "[red]missed[/red]"


def _made_of(figure: Figure) -> str:
    pair = figure.made_of
    if pair is None:
        return figure.note
    return f"{number(pair.ours)} against {number(pair.other)} {pair.unit}"
