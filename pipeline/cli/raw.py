"""The command `raw`: print the raw log lines of documents, found again in S3."""

import base64
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

import click

from pipeline.alb.document import nest
from pipeline.alb.fields import Kind
from pipeline.cli.options import json_option
from pipeline.cli.ranges import (
    bucket_option,
    owner_options,
    prefix_option,
    time_option,
    zone_option,
)
from pipeline.cli.screen import Screen, complain, escaped, is_terminal, verbosity_options
from pipeline.cli.times import HOW
from pipeline.clients.buckets import Buckets
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.jobs.hints import MOST_TRACED, Hint, Index, may_have_logs
from pipeline.jobs.raw import Finder, Ids, Place, RawLine, Traced, root_of

_ID = re.compile(r"[A-Za-z0-9_-]{20}")
_OF_A_CONNECTION = "TID_"


class _Command(click.Command):
    """Take an id that begins with a hyphen for what it is: every sixty-fourth does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, ids last."""
        ids = [each for each in args if each.startswith("-") and _ID.fullmatch(each)]
        if ids and "--" not in args:
            args = [*(each for each in args if each not in ids), "--", *ids]
        return super().parse_args(ctx, args)


def _check_ids(
    _context: click.Context, _parameter: click.Parameter, ids: tuple[str, ...]
) -> tuple[str, ...]:
    for each in ids:
        if not _ID.fullmatch(each):
            raise click.BadParameter(
                f"{each!r:.80} is no id of a document, which has 20 letters, digits, - and _; to "
                "look for a trace, add --trace before it"
            )
    return ids


@click.command(cls=_Command)
@click.argument("ids", nargs=-1, metavar="[ID]…", callback=_check_ids)
@click.option("--trace", metavar="TRACE_ID", help="Every line of this trace, instead of ids.")
@time_option("--at", about=f"When it was, without asking Elasticsearch: {HOW}.")
@bucket_option(required=False)
@prefix_option()
@owner_options()
@zone_option()
@json_option("Write one JSON object per line.")
@verbosity_options()
@click.pass_obj
def raw(  # noqa: PLR0913, PLR0917  one parameter an option
    screen: Screen,
    ids: tuple[str, ...],
    trace: str | None,
    at: datetime | None,
    bucket: str | None,
    prefix: str,
    load_balancers: tuple[str, ...],
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    *,
    time_zone: tzinfo,  # noqa: ARG001  --at is read in it
    as_json: bool,
) -> int:
    """
    Print the raw lines of documents, as AWS wrote them into S3.

    IDs are the _id of documents or dead letters; --trace takes a trace id (Root=1-…, or TID_… of a
    connection). The lines are looked for in the objects that the documents name, in those that the
    ledger knows for their time, and, with --bucket, in that bucket alone, which is listed around
    their time. Each line that is found has the id that was asked for, so it is the right one,
    whatever was redacted in the document. On a terminal, control characters are shown escaped; a
    pipe or a file gets every byte. A role that reads is enough (--print-role operate).

    With --at and --bucket nothing is asked of Elasticsearch: the document may be gone, or may never
    have been there. --load-balancer, --account and --region then say what of the bucket to read.

    \b
    Examples:
      alb-logs raw 3mKb0aVxN9cF2dQe_7Hy
      alb-logs raw --bucket my-archive --prefix 2024 3mKb0aVxN9cF2dQe_7Hy
      alb-logs raw --trace 1-58337262-36d228ad5d99923122bbe354 --json
      alb-logs raw --trace 1-58337262-36d228ad5d99923122bbe354 \\
          --at 2026-11-20T10:03 --bucket my-logs

    Exit codes: 0 all found, 1 a line was not found, 2 the call or a setting is wrong.
    """  # noqa: D301  \b is click's
    owners = (frozenset(each) for each in (load_balancers, accounts, regions))
    place = Place(bucket or "", prefix, *owners)
    _check(ids, trace, at, place)
    search = _search_in_s3(ids, trace, at) if at else _search_by_documents(screen, ids, trace)
    buckets = Buckets(dict(Config.from_env(only={"bucket_roles"}).bucket_roles))
    finder = Finder(buckets.client_of, index=search.index, place=place if bucket else None)
    found = []
    with screen.waiting("S3"):
        for line in finder.find(search.sought, search.hints):
            _write(screen, line, as_json=as_json)
            found.append(line.id)
    missing = list(_missing(search, found, bucket))
    for each in missing:
        complain(each)
    screen.note(f"{len(found):,} found, objects read: {len(finder.read):,}")
    return int(bool(missing))


def _check(ids: tuple[str, ...], trace: str | None, at: datetime | None, place: Place) -> None:
    if bool(ids) == bool(trace):
        raise click.UsageError("name documents by their ids, or a trace by --trace")
    if not place.bucket and (at or place != Place("")):
        raise click.UsageError(
            "--at, --prefix, --load-balancer, --account and --region are about a bucket: name it "
            "by --bucket"
        )
    if at and not may_have_logs(at):
        raise click.BadParameter("no load balancer has written logs then", param_hint="--at")


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, what is known of it, and who is asked for more."""

    sought: Ids | Traced
    hints: list[Hint]
    index: Index | None = None
    trace: str | None = None


def _search_in_s3(ids: tuple[str, ...], trace: str | None, at: datetime) -> _Search:
    """Search S3 alone, around a time."""
    if trace is None:
        return _Search(Ids(ids), [Hint(each, at) for each in ids])
    kind = None if trace.startswith(_OF_A_CONNECTION) else Kind.ACCESS
    return _Search(Traced(root_of(trace)), [Hint(trace, at, kind)], trace=trace)


def _search_by_documents(screen: Screen, ids: tuple[str, ...], trace: str | None) -> _Search:
    """Search for what documents say of their lines."""
    config = Config.from_env()
    with screen.waiting("Elasticsearch"):
        index = Index(make_elasticsearch(config), config.index_prefix)
        if trace is None:
            return _Search(Ids(ids), list(index.hints_of(dict.fromkeys(ids))), index)
        hints = index.hints_traced(root_of(trace))
    if len(hints) == MOST_TRACED:
        complain(f"there may be more than {MOST_TRACED:,} documents: only as many are looked at")
    return _Search(Ids(hint.id for hint in hints), hints, index, trace)


def _write(screen: Screen, found: RawLine, *, as_json: bool) -> None:
    if as_json:
        screen.write_json(_as_json(found))
    elif is_terminal(sys.stdout):
        screen.write(escaped(found.line.decode(errors="backslashreplace")) + "\n")
    else:
        screen.write(found.line + b"\n")


def _as_json(found: RawLine) -> dict[str, Any]:
    try:
        line = {"event.original": found.line.decode()}
    except UnicodeDecodeError:
        line = {"event.original_base64": base64.b64encode(found.line).decode()}
    facts = {"id": found.id, "bucket": found.bucket, "key": found.key, "offset": found.offset}
    return nest({**facts, **line})


# --- what was not found --------------------------------------------------------------------------

_NO_DOCUMENT = (
    "no document has it. Check it, and that ALB_LOGS_INDEX_PREFIX is the prefix of its index; a "
    "document of the last seconds is found soon. To look for it in S3 all the same, add --bucket "
    "and --at"
)
_NO_BUCKET = (
    "no object that is known for its time holds it. S3's lifecycle may have deleted the one that "
    "did; if it was moved, or is not in the ledger, name its bucket by --bucket"
)
_NOT_IN_BUCKET = (
    "no object of that time in the bucket holds it. S3's lifecycle may have deleted it; else check "
    "the time, --bucket, --prefix, --load-balancer, --account and --region"
)


def _missing(search: _Search, found: list[str], bucket: str | None) -> Iterator[str]:
    """Yield, for each line that was not found, why that may be."""
    nowhere = _NOT_IN_BUCKET if bucket else _NO_BUCKET
    known = {hint.id for hint in search.hints}
    if isinstance(search.sought, Ids):
        for id_ in search.sought.missing:
            yield f"{id_} was not found: {nowhere if id_ in known else _NO_DOCUMENT}"
    if search.trace and not known:
        yield f"{search.trace} was not found: {_NO_DOCUMENT}"
    elif search.trace and not found:
        yield f"{search.trace} was not found: {nowhere}"
