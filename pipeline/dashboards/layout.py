"""How panels are put on a dashboard: in rows, on a grid of 48 columns."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.dashboards.conditions import Condition, Is
from pipeline.dashboards.panels import Panel, Shown
from pipeline.dashboards.views import View

WIDTH = 48
MENU_HEIGHT = 2


@dataclass(frozen=True, slots=True)
class Row:
    """Panels of one height beside each other, each after its width."""

    height: int
    panels: tuple[tuple[int, Shown], ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Documents in Discover, with the columns that help."""

    name: str
    title: str
    view: View
    columns: tuple[str, ...]
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page: what it is for, the fields that its controls choose by, and its rows."""

    name: str
    title: str
    menu: str
    """What the other dashboards call it."""
    description: str
    controls: tuple[str, ...]
    """Fields of the view of the first panel."""
    rows: tuple[Row, ...]
    pinned: Is | None = None
    """What the whole dashboard is limited to."""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Return the charts."""
        return tuple(shown for shown, _ in places(self) if isinstance(shown, Panel))

    @property
    def view(self) -> View:
        """Return the view whose fields the controls choose by."""
        return self.panels[0].view


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle of the grid."""

    x: int
    y: int
    w: int
    h: int


def row(height: int, *shown: Shown) -> Row:
    """Return panels of the same size beside each other."""
    return Row(height, tuple((WIDTH // len(shown), each) for each in shown))


def wide(height: int, *panels: tuple[int, Shown]) -> Row:
    """Return panels of different widths beside each other, each after its width."""
    return Row(height, panels)


def places(dashboard: Dashboard) -> Iterator[tuple[Shown, Place]]:
    """Yield every panel with its place, below the menu, without gaps."""
    top = MENU_HEIGHT
    for each in dashboard.rows:
        left = 0
        for width, shown in each.panels:
            yield shown, Place(left, top, width, each.height)
            left += width
        top += each.height


def stands_alone(panel: Panel, dashboard: Dashboard) -> bool:
    """Return whether controls must not filter a panel, because its documents lack their fields."""
    return not all(field in panel.view.fields for field in dashboard.controls)
