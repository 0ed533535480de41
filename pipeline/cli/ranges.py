"""Hold the options by which commands choose the objects of a range of time."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import wraps
from typing import Any, TypeVar

import click

from pipeline.alb.fields import Kind
from pipeline.alb.parsing import EARLIEST
from pipeline.cli.times import HOW, read_time, zone_named
from pipeline.source.listing import Wanted

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Range:
    """The objects that a command was told to look at, and the zone in which its user reads time."""

    bucket: str | None
    prefix: str
    wanted: Wanted
    zone: tzinfo


def range_options(*, bucket_required: bool = True) -> Callable[[Command], Command]:
    """
    Add --bucket, --prefix, --from, --to, --time-zone and what filters; the command gets a `Range`.

    It is passed as `chosen`. `bucket_required` is False where objects may be named another way.
    """

    def add(command: Command) -> Command:
        @wraps(command)
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401  a command's own
            own = {name: options.pop(name) for name in _NAMES}
            return command(*arguments, chosen=range_from(**own), **options)

        for option in reversed((bucket_option(required=bucket_required), *_OPTIONS)):
            call = option(call)
        return call  # type: ignore[return-value]  # of the same use to click

    return add


def bucket_option(*, required: bool = True) -> Callable[[Command], Command]:
    """Add --bucket; the command gets the bucket's name, or None."""
    return click.option(
        "--bucket",
        required=required,
        callback=_bucket,
        metavar="NAME",
        help="The bucket that holds the logs.",
    )


def prefix_option() -> Callable[[Command], Command]:
    """Add --prefix, which is empty where it is left out."""
    return click.option(
        "--prefix", default="", metavar="PREFIX", help="What stands before AWSLogs/ in the keys."
    )


def owner_options() -> Callable[[Command], Command]:
    """Add --load-balancer, --account and --region; the command gets a tuple of each."""

    def add(command: Command) -> Command:
        for option in reversed(_OWNERS):
            command = option(command)
        return command

    return add


def zone_option() -> Callable[[Command], Command]:
    """Add --time-zone; `time_option` reads times in it."""
    return click.option(
        "--time-zone",
        default="UTC",
        show_default=True,
        is_eager=True,
        callback=_zone,
        metavar="NAME",
        help="Zone of times without an offset, such as Europe/Berlin.",
    )


def time_option(*names: str, about: str, required: bool = False) -> Callable[[Command], Command]:
    """Add an option for a time; the command gets an instant in UTC, or None."""
    return click.option(*names, required=required, callback=_time, metavar="TIME", help=about)


def load_balancer_option(about: str) -> Callable[[Command], Command]:
    """Add --load-balancer, which may be repeated; the command gets `load_balancers`."""
    return click.option(
        "--load-balancer",
        "load_balancers",
        multiple=True,
        metavar="NAME",
        callback=_load_balancers,
        help=about,
    )


def range_from(  # noqa: PLR0913 - each is an option
    *,
    bucket: str | None,
    prefix: str,
    first: datetime,
    end: datetime | None,
    time_zone: tzinfo,
    load_balancers: tuple[str, ...] = (),
    accounts: tuple[str, ...] = (),
    regions: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    late_days: int = 1,
) -> Range:
    """Return what the options say together; the end is now, unless it is earlier."""
    now = datetime.now(UTC)
    until = min(end or now, now)
    if first > now:
        raise click.BadParameter(
            f"{_shown(first, time_zone)} is in the future", param_hint="--from"
        )
    if first >= until:
        raise click.BadParameter(
            f"{_shown(first, time_zone)} is not before --to ({_shown(until, time_zone)}), at which "
            "the range ends",
            param_hint="--from",
        )
    wanted = Wanted(
        first=max(first, _FIRST_LOGS),
        end=until,
        load_balancers=frozenset(load_balancers),
        accounts=frozenset(accounts),
        regions=frozenset(regions),
        kinds=frozenset(map(Kind, kinds)),
        late_days=late_days,
    )
    return Range(bucket, prefix, wanted, time_zone)


_FIRST_LOGS = datetime.fromisoformat(EARLIEST)


def _shown(time: datetime, zone: tzinfo) -> str:
    return time.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def _zone(_context: click.Context, _parameter: click.Parameter, name: str) -> tzinfo:
    try:
        return zone_named(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _time(context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return read_time(text, datetime.now(UTC), context.params.get("time_zone", UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _bucket(_context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is not None and not _BUCKET.fullmatch(name):
        raise click.BadParameter("name the bucket alone, without s3:// and without a key")
    return name


_BUCKET = re.compile(r"[A-Za-z0-9._-]+|arn:.+")  # an access point may be named by its ARN


_NAME = r"[A-Za-z0-9-]+"
_LOAD_BALANCER = re.compile(rf"{_NAME}|app/{_NAME}/{_NAME}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(_NAME)


def _load_balancers(
    _context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Take the ARN for the name that ends it."""
    return _matching(
        _LOAD_BALANCER,
        tuple(name.rpartition(":loadbalancer/")[2] for name in names),
        "the name of an Application Load Balancer (frontend-alb, or app/frontend-alb/50dc6c495c0c)",
    )


def _accounts(
    _context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    return _matching(_ACCOUNT, names, "an account, which has twelve digits")


def _regions(
    _context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    return _matching(_REGION, names, "a region, such as eu-central-1")


def _matching(pattern: re.Pattern[str], names: tuple[str, ...], what: str) -> tuple[str, ...]:
    for name in names:
        if not pattern.fullmatch(name):
            raise click.BadParameter(f"{name!r} is not {what}")
    return names


_OWNERS = (
    load_balancer_option("Only of this load balancer; may be repeated, as may the next two."),
    click.option(
        "--account",
        "accounts",
        multiple=True,
        metavar="ID",
        callback=_accounts,
        help="Only of this account.",
    ),
    click.option(
        "--region",
        "regions",
        multiple=True,
        metavar="REGION",
        callback=_regions,
        help="Only of this region.",
    ),
)
_OPTIONS = (
    prefix_option(),
    time_option("--from", "first", about=f"Where the range begins: {HOW}.", required=True),
    time_option("--to", "end", about="Where it ends, exclusive.  [default: now]"),
    zone_option(),
    *_OWNERS,
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice([kind.value for kind in Kind]),
        help="Only logs of this kind; may be repeated.",
    ),
    click.option(
        "--late-days",
        type=click.IntRange(min=0, max=366),
        default=1,
        show_default=True,
        help="Look for objects that were delivered so many days late.",
    ),
)
_NAMES = (
    "bucket",
    "prefix",
    "first",
    "end",
    "time_zone",
    "load_balancers",
    "accounts",
    "regions",
    "kinds",
    "late_days",
)
