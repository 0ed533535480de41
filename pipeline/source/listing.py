"""
List the log objects of a range of time, walking only the folders that can hold them.

AWS puts an object into the folder of the day on which it was delivered, and names it after the end
of the five minutes whose lines it holds. So folders say where to look, and the name alone which
objects are wanted. What it costs are requests for days x accounts x regions, however large the
bucket is. Three layouts are known, each found by listing folders:

    AWSLogs/<account>/elasticloadbalancing/<region>/<yyyy>/<mm>/<dd>/
    AWSLogs/o-<organisation>/<account>/elasticloadbalancing/<region>/<yyyy>/<mm>/<dd>/
    AWSLogs/aws-account-id=<account>/elasticloadbalancing/region=<region>/year=…/month=…/day=…/

- docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
- docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.alb.keys import ObjectName, Skipped, SkipReason, classify_key
from pipeline.aws_refusals import Action, aws_errors
from pipeline.errors import ConfigError
from pipeline.source.objects import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.paginator import ListObjectsV2Paginator
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef as Page
    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from pipeline.alb.fields import Kind

INTERVAL = timedelta(minutes=5)
"""What one object holds: the lines of the five minutes before the time in its name."""

_ANY: frozenset[str] = frozenset()
_DAY = timedelta(days=1)
_INSTANT = timedelta.resolution


class FolderMissingError(ConfigError):
    """A bucket that holds logs, but none of an account or a region that was named."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Which objects are wanted: those whose five minutes overlap the range from `first` up to `end`.

    Each object is decided by itself, so adjacent ranges together want what one range over both
    wants, and lose nothing between them. An empty set wants all. A load balancer is named as in the
    console (`frontend-alb`) or in full (`app/frontend-alb/50dc6c495c0c9188`). An object delivered
    more than `late_days` days after the day of its name is not looked for.
    """

    first: datetime
    end: datetime
    load_balancers: frozenset[str] = _ANY
    accounts: frozenset[str] = _ANY
    regions: frozenset[str] = _ANY
    kinds: frozenset[Kind] = frozenset()
    late_days: int = 1

    def holds(self, name: ObjectName) -> bool:
        """Return whether an object of this name is wanted, wherever it is stored."""
        return (
            self.first <= name.end_time
            and name.end_time - INTERVAL < self.end
            and name.account in (self.accounts or {name.account})
            and name.region in (self.regions or {name.region})
            and name.kind in (self.kinds or {name.kind})
            and self._balances(name.load_balancer)
        )

    def holds_in(self, day: date, name: ObjectName) -> bool:
        """Return whether an object of this name is wanted that is in the folder of this day."""
        earliest = _day_of(name.end_time - INTERVAL)
        latest = _day_of(name.end_time) + self.late_days * _DAY
        return earliest <= day <= latest and self.holds(name)

    def days(self) -> Iterator[date]:
        """Yield the days whose folders can hold wanted objects, in order."""
        day = _day_of(self.first - INTERVAL)
        last = _day_of(self.end + INTERVAL - _INSTANT) + self.late_days * _DAY
        while day <= last:
            yield day
            day += _DAY

    def _balances(self, load_balancer: str) -> bool:
        names = self.load_balancers
        return not names or load_balancer in names or load_balancer.split("/")[1] in names


def _day_of(time: datetime) -> date:
    return time.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Listed:
    """One folder of one day that was listed to its end: what it holds."""

    day: date
    folder: str
    wanted: int
    unwanted: int
    skipped: Counter[SkipReason] = field(default_factory=Counter)
    """The objects that are no ALB logs, by reason."""


def objects_between(
    bucket: str,
    wanted: Wanted,
    *,
    s3: S3Client,
    prefix: str = "",
    watch: Callable[[Listed], object] = lambda _: None,
) -> Iterator[ObjectRef]:
    """
    Yield the wanted objects of a bucket day by day: all accounts and regions, then the next day.

    `prefix` is what stands before AWSLogs/. `watch` is told of each folder when it is done.

    Raises ConfigError where there are no folders of what is asked for: a listing that is empty for
    a misspelled name would look like a range in which nothing is missing. Raises as well what
    `aws_errors` makes of AWS's refusals.
    """
    listing = _Listing(bucket, s3)
    folders = _folders(listing, f"{_before_logs(prefix)}{_LOGS}", wanted)
    for day in wanted.days():
        for folder in folders:
            yield from _objects_in(folder, day, listing, wanted, watch)


def _objects_in(
    folder: _Folder,
    day: date,
    listing: _Listing,
    wanted: Wanted,
    watch: Callable[[Listed], object],
) -> Iterator[ObjectRef]:
    """Yield the wanted objects of a day's folder, page by page."""
    path, found, others = folder.of_day(day), 0, 0
    skipped: Counter[SkipReason] = Counter()
    for stored in listing.objects(path):
        name = classify_key(stored["Key"])
        if isinstance(name, Skipped):
            skipped[name.reason] += 1
        elif wanted.holds_in(day, name):
            found += 1
            yield _described(listing.bucket, stored, name)
        else:
            others += 1
    watch(Listed(day, path, found, others, skipped))


def _described(bucket: str, stored: ObjectTypeDef, name: ObjectName) -> ObjectRef:
    return ObjectRef(
        bucket,
        stored["Key"],
        name,
        size=stored["Size"],
        etag=stored["ETag"].strip('"'),
        created=stored["LastModified"].astimezone(UTC),
    )


# --- the folders ---------------------------------------------------------------------------------

_LOGS = "AWSLogs/"
_ORGANISATION = re.compile(r"o-[a-z0-9]+/")
_ACCOUNT = re.compile(r"(?P<hive>aws-account-id=)?(?P<name>[0-9]{12})/")
_REGION = re.compile(r"(?P<hive>region=)?(?P<name>[a-z0-9-]+)/")


@dataclass(frozen=True, slots=True)
class _Folder:
    """One folder of a layout: an account's, or that of a region in it."""

    path: str
    name: str
    hive: bool

    def of_day(self, day: date) -> str:
        """Return the folder of a day in a region's."""
        if self.hive:
            return f"{self.path}year={day:%Y}/month={day:%m}/day={day:%d}/"
        return f"{self.path}{day:%Y/%m/%d}/"


def _before_logs(prefix: str) -> str:
    """Return what stands before AWSLogs/, with its slash; ConfigError for more than that."""
    parts = prefix.removesuffix("/").split("/")
    if parts[-1] == "AWSLogs":
        parts.pop()
    if "AWSLogs" in parts:
        raise ConfigError(
            f"the prefix {prefix} goes on after AWSLogs: end it before AWSLogs, and choose "
            "accounts and regions by --account and --region"
        )
    return "".join(f"{part}/" for part in parts) if parts != [""] else ""


def _folders(listing: _Listing, logs: str, wanted: Wanted) -> list[_Folder]:
    """Return the wanted accounts' folders of wanted regions."""
    accounts = list(_accounts(listing, logs))
    chosen = _chosen(accounts, wanted.accounts, "account", listing.uri(logs))
    regions = [region for account in chosen for region in _regions(listing, account)]
    if not regions:
        raise ConfigError(
            f"{listing.uri(logs)} holds no folder elasticloadbalancing of any account "
            f"({_names(chosen)}): no load balancer has written logs there yet"
        )
    return _chosen(regions, wanted.regions, "region", listing.uri(logs))


def _accounts(listing: _Listing, logs: str) -> Iterator[_Folder]:
    found = listing.folders(logs)
    if not found:
        raise ConfigError(
            f"there is no folder {listing.uri(logs)}: check the bucket, and set the prefix to the "
            "one that the load balancer's attributes name for its logs"
        )
    organisations = [path for path in found if _ORGANISATION.fullmatch(path.removeprefix(logs))]
    yield from _matching(_ACCOUNT, found, logs)
    for path in organisations:
        yield from _matching(_ACCOUNT, listing.folders(path), path)


def _regions(listing: _Listing, account: _Folder) -> Iterator[_Folder]:
    path = f"{account.path}elasticloadbalancing/"
    return _matching(_REGION, listing.folders(path), path)


def _matching(pattern: re.Pattern[str], paths: Iterable[str], above: str) -> Iterator[_Folder]:
    for path in paths:
        match = pattern.fullmatch(path.removeprefix(above))
        if match:
            yield _Folder(path, match["name"], hive=bool(match["hive"]))


def _chosen(found: list[_Folder], names: frozenset[str], what: str, where: str) -> list[_Folder]:
    """Return the folders of these names, or all; ConfigError where a name has no folder."""
    missing = names - {folder.name for folder in found}
    if missing:
        raise FolderMissingError(
            f"{where} holds no logs of the {what} {', '.join(sorted(missing))}: check the name, or "
            f"leave it out; there are those of {_names(found)}"
        )
    return [folder for folder in found if folder.name in (names or {folder.name})]


_MOST_NAMES = 10


def _names(folders: list[_Folder]) -> str:
    names = sorted({folder.name for folder in folders})
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return (", ".join(names[:_MOST_NAMES]) or "none") + more


@dataclass(frozen=True, slots=True)
class _Listing:
    """A bucket whose keys are listed."""

    bucket: str
    s3: S3Client

    def uri(self, prefix: str) -> str:
        return f"s3://{self.bucket}/{prefix}"

    def folders(self, path: str) -> list[str]:
        """Return the folders directly in a folder, each by its whole path."""
        pages = self._paginator().paginate(Bucket=self.bucket, Prefix=path, Delimiter="/")
        return [
            each["Prefix"]
            for page in self._checked(pages, path)
            for each in page.get("CommonPrefixes", ())
        ]

    def objects(self, path: str) -> Iterator[ObjectTypeDef]:
        """Yield the objects in a folder, and in folders in it, in the order of their keys."""
        pages = self._paginator().paginate(Bucket=self.bucket, Prefix=path)
        for page in self._checked(pages, path):
            yield from page.get("Contents", ())

    def _paginator(self) -> ListObjectsV2Paginator:
        return self.s3.get_paginator("list_objects_v2")

    def _checked(self, pages: Iterable[Page], path: str) -> Iterator[Page]:
        """Yield the pages; raise our error for a refusal of one."""
        left = iter(pages)
        while True:
            with aws_errors(Action.LIST_BUCKET, self.uri(path)):
                page = next(left, None)
            if page is None:
                return
            yield page
