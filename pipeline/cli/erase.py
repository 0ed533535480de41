"""The command `erase`: strip what is personal from a data subject's documents, in place."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from typing import Any

import click

from pipeline.alb.addresses import Network, read_network
from pipeline.alb.privacy import masked_ip
from pipeline.cli.options import dry_run_option, json_option
from pipeline.cli.ranges import time_option, zone_option
from pipeline.cli.screen import Progress, Screen, is_terminal, verbosity_options
from pipeline.cli.times import HOW
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.jobs.erase import Erased, Erasure, Subject
from pipeline.outcome import Tally
from pipeline.sink.store import open_store

_FRESH_SECONDS = 60.0


def _networks(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Network, ...]:
    try:
        return tuple(map(read_network, texts))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command
@click.option(
    "--client-ip",
    "networks",
    multiple=True,
    metavar="IP",
    callback=_networks,
    help="The client's address, or a network as 203.0.113.0/24; may be repeated.",
)
@click.option(
    "--query",
    metavar="QUERY",
    help="What finds the documents, in the Lucene syntax of Kibana's search bar.",
)
@time_option("--from", "first", about=f"Of events from then on: {HOW}.", required=True)
@time_option("--to", "end", about="Of events before then.", required=True)
@zone_option()
@dry_run_option()
@click.option("--yes", is_flag=True, help="Do not ask before anything is erased.")
@json_option()
@verbosity_options()
@click.pass_obj
def erase(  # noqa: PLR0913  one parameter an option
    screen: Screen,
    *,
    networks: tuple[Network, ...],
    query: str | None,
    first: datetime,
    end: datetime,
    time_zone: tzinfo,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """
    Strip what is personal from the documents of a person, for good; everything else stays.

    Addresses, places, user agents, queries of URLs, trace ids and client certificates go; method,
    status, host, path, bytes and times stay, so that no other figure changes. Paths and host names
    may name people too: name such fields in ALB_LOGS_DROP_FIELDS, and they are erased as well.
    Ids stay: what is ingested again is a duplicate, and brings nothing back.

    Dead letters whose raw line holds the address lose that line. A --query finds dead letters only
    by their own fields. In a query, words side by side must all match.

    The role `rewrite` allows it (alb-logs setup --print-role rewrite).

    \b
    Examples:
      alb-logs erase --client-ip 203.0.113.7 --from 2026-11-01 --to 2026-12-01 --dry-run
      alb-logs erase --client-ip 203.0.113.7 --client-ip 2001:db8::/64 --from '30d ago' --to now
      alb-logs erase --query 'url.path:"/users/4711" and not url.domain:test.example.com' \\
        --from 2026-11-01 --to 2026-11-08 --yes

    Exit codes: 0 done, 1 not done or not wholly, 2 the call or a setting is wrong.
    """  # noqa: D301  \b is click's
    subject = _subject(networks, query, first, end)
    asks = not (dry_run or yes)
    if asks and not is_terminal(sys.stdin):
        raise click.UsageError("nobody can be asked here: add --yes, or --dry-run to only count")
    config = Config.from_env()
    with screen.waiting("Elasticsearch"):
        store = open_store(make_elasticsearch(config), config.index_prefix)
    erasing = _Erasing(Erasure(store, subject, also=config.privacy.drop), screen)
    for hint in _hints(config, subject, time_zone):
        screen.note(hint)
    with screen.waiting("Elasticsearch"):
        erasing.count()
    if asks and erasing.found and not erasing.is_wanted():
        screen.note("nothing was changed")
        return 1
    if not dry_run:
        erasing.run()
    erasing.report(dry_run=dry_run, as_json=as_json)
    return 0


def _subject(
    networks: tuple[Network, ...], query: str | None, first: datetime, end: datetime
) -> Subject:
    if bool(networks) == (query is not None):
        raise click.UsageError("name either --client-ip or --query")
    if query is not None and not query.strip():
        raise click.BadParameter("it is empty; * finds every document", param_hint="--query")
    if first >= end:
        raise click.BadParameter("it is not before --to", param_hint="--from")
    return Subject(first, end, networks, query)


def _hints(config: Config, subject: Subject, zone: tzinfo) -> Iterator[str]:
    """Yield what may not be found, and why."""
    if config.privacy.bits:
        for network in subject.networks:
            address = str(network.network_address)
            short = masked_ip(address, config.privacy.bits)
            if short != address:
                yield (
                    f"ALB_LOGS_ANONYMIZE_IP is set: documents that were made under it hold {short} "
                    f"instead of {network}, with other clients of that network, and are not found"
                )
    if (datetime.now(UTC) - subject.end).total_seconds() < _FRESH_SECONDS:
        until = subject.end.astimezone(zone).isoformat(sep=" ", timespec="seconds")
        yield (
            f"--to ({until}) is not a minute ago: what was indexed in the last half minute may "
            "not be found yet, and what is ingested later is not erased"
        )


class _Erasing:
    """One run of the command: what there is, and what became of it so far."""

    def __init__(self, work: Erasure, screen: Screen) -> None:
        self._work, self._screen = work, screen
        self._documents, self._letters = 0, 0
        self._of_documents, self._of_letters = Erased(), Erased()

    @property
    def found(self) -> bool:
        """Return whether there is anything to erase."""
        return bool(self._documents or self._letters)

    def count(self) -> None:
        """Find out how many documents and dead letters there are."""
        self._documents = self._work.count_documents()
        self._letters = self._work.count_letters()

    def is_wanted(self) -> bool:
        """Ask whether to go on."""
        what = f"{self._documents:,} documents and {self._letters:,} dead letters"
        return click.confirm(f"Erase what is personal from {what}, for good?", err=True)

    def run(self) -> None:
        """Erase; also what was done is said where it ends early."""
        try:
            with self._screen.progress(1) as progress:
                progress.begin("documents", self._documents)
                for erased in self._work.erase_documents():
                    self._of_documents += erased
                    _show(progress, erased)
                progress.begin("dead letters", self._letters)
                for erased in self._work.erase_letters():
                    self._of_letters += erased
                    _show(progress, erased)
        except BaseException:
            self._screen.note(f"until then: {self._summary()}")
            raise

    def report(self, *, dry_run: bool, as_json: bool) -> None:
        """Say what was found and what became of it."""
        if as_json:
            self._screen.write_json(self._told(dry_run=dry_run))
            return
        if dry_run:
            self._screen.say(
                f"{self._documents:,} documents and {self._letters:,} dead letters; nothing was "
                "changed"
            )
            return
        self._screen.say(self._summary())
        self._screen.say(_WHAT_STAYS)

    def _told(self, *, dry_run: bool) -> dict[str, Any]:
        return {
            "documents": {"found": self._documents, **asdict(self._of_documents)},
            "letters": {"found": self._letters, **asdict(self._of_letters)},
            "dry_run": dry_run,
        }

    def _summary(self) -> str:
        return (
            f"{in_words(self._of_documents, 'documents')}; "
            f"{in_words(self._of_letters, 'dead letters')}"
        )


_WHAT_STAYS = """\
No redelivery, replay or backfill brings it back, because the ids are there. S3 still holds the raw
lines, in the objects of that time, until you or the bucket's own lifecycle rule delete them; and
snapshots of the cluster hold the documents as they were, until they are deleted."""


def in_words(erased: Erased, what: str) -> str:
    """Return how many were erased, and what became of the others."""
    parts = [f"{erased.erased:,} {what} erased"]
    if erased.unchanged:
        parts.append(f"{erased.unchanged:,} had nothing to erase")
    if erased.gone:
        parts.append(f"{erased.gone:,} were deleted meanwhile")
    return ", ".join(parts)


def _show(progress: Progress, erased: Erased) -> None:
    progress.read(erased.total)
    progress.count(Tally(lines=erased.total, indexed=erased.erased))
