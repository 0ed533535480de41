"""What `setup` does with Kibana: the options, the saved objects, and what is said of the import."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pipeline.cli.screen import Screen
from pipeline.clients.kibana import DEFAULT_SPACE, LINKS_SINCE, Imported, Kibana
from pipeline.config import Config
from pipeline.dashboards.catalog import DASHBOARDS, dashboards_file, monitor_file
from pipeline.dashboards.saved import Writer

Command = TypeVar("Command", bound=Callable[..., Any])

_LOAD_BALANCER = re.compile(r"[A-Za-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class Monitor:
    """A log monitor of one load balancer."""

    title: str
    load_balancer: str


def kibana_options() -> Callable[[Command], Command]:
    """Add the options about Kibana."""

    def add(command: Command) -> Command:
        for option in reversed(_OPTIONS):
            command = option(command)
        return command

    return add


def _monitors(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[Monitor, ...]:
    return tuple(_monitor(text) for text in given)


def _monitor(text: str) -> Monitor:
    title, _, name = text.rpartition("=")
    if not _LOAD_BALANCER.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is no name of a load balancer: write TITLE=frontend-alb, or its name alone"
        )
    return Monitor(title.strip() or f"ALB log monitor: {name}", name)


_OPTIONS = (
    click.option(
        "--kibana-url",
        metavar="URL",
        help="Import the dashboards into this Kibana too, with the credentials of Elasticsearch.",
    ),
    click.option(
        "--kibana-space",
        metavar="SPACE",
        default=DEFAULT_SPACE,
        help="The space of Kibana to import into; initially the default one.",
    ),
    click.option(
        "--monitor",
        "monitors",
        metavar="TITLE=NAME",
        multiple=True,
        callback=_monitors,
        help="Add a log monitor of the load balancer NAME; may be given several times.",
    ),
    click.option(
        "--print-dashboards",
        is_flag=True,
        help="Print Kibana's saved objects, to import by hand; contacts nothing.",
    ),
)


def writer_for(prefix: str, space: str, *, links: bool = True) -> Writer:
    """Return what writes the objects of a space."""
    return Writer(prefix, links=links, space="" if space == DEFAULT_SPACE else space)


def saved_objects(writer: Writer, monitors: tuple[Monitor, ...]) -> str:
    """Return the file that Kibana imports."""
    pinned = (monitor_file(writer, each.title, each.load_balancer) for each in monitors)
    return dashboards_file(writer) + "".join(pinned)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options say."""

    url: str | None
    space: str
    monitors: tuple[Monitor, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """What became of the dashboards; nothing was imported in a dry run."""

    version: str
    url: str
    imported: Imported | None

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        count = self.imported.count if self.imported else 0
        return {"version": self.version, "url": self.url, "objects": count}

    def told(self) -> Iterator[str]:
        """Yield it for people."""
        if self.imported is None:
            yield f"Kibana {self.version} answers; the dashboards were not imported."
            return
        yield f"{self.imported.count} saved objects imported into Kibana {self.version}."
        for ours, theirs in self.imported.renamed:
            yield f"In this space {ours} is {theirs}, for another space has that id."
        yield f"Open {self.url}"


@dataclass(frozen=True, slots=True)
class Target:
    """A Kibana that answered, and what to import into it."""

    kibana: Kibana
    prefix: str
    monitors: tuple[Monitor, ...]

    def run(self, screen: Screen, *, dry_run: bool) -> Import:
        """Import the dashboards over those of an earlier run, unless it is a dry run."""
        imported = None
        if not dry_run:
            with screen.waiting("Kibana"):
                imported = self.kibana.import_objects(saved_objects(self._writer, self.monitors))
        first = self._writer.id_of(DASHBOARDS[0].name)
        return Import(self.kibana.name, self.kibana.dashboard_url(first), imported)

    @property
    def _writer(self) -> Writer:
        links = self.kibana.version >= LINKS_SINCE
        return writer_for(self.prefix, self.kibana.space, links=links)


def connect(choice: Choice, config: Config, screen: Screen) -> Target | None:
    """Return the Kibana that was chosen, its version and space being right; None without one."""
    if choice.url is None:
        if choice.monitors:
            raise click.UsageError("--monitor needs --kibana-url or --print-dashboards")
        return None
    with screen.waiting("Kibana"):
        kibana = Kibana(choice.url, choice.space, config)
    return Target(kibana, config.index_prefix, choice.monitors)
