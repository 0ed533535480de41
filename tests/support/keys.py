"""Make the keys of log objects in every layout, and buckets that hold them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from pipeline.source.listing import Wanted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCOUNT, REGION = "123456789012", "eu-central-1"
LOAD_BALANCER = "app/frontend-alb/50dc6c495c0c9188"
FIVE_MINUTES = timedelta(minutes=5)


def utc(text: str) -> datetime:
    """Return an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wanted(first: str, end: str, *, late_days: int = 1, **names: Iterable[object]) -> Wanted:
    """Return what is wanted between two instants."""
    sets = {name: frozenset(values) for name, values in names.items()}
    return Wanted(utc(first), utc(end), late_days=late_days, **sets)  # type: ignore[arg-type]


def log_key(  # noqa: PLR0913 - what a key says
    end: datetime | str,
    *,
    delivered: date | None = None,
    account: str = ACCOUNT,
    region: str = REGION,
    load_balancer: str = LOAD_BALANCER,
    organisation: str = "",
    prefix: str = "",
    kind: str = "",
    hive: bool = False,
    tag: str = "3q2xk9fz",
) -> str:
    """Return the key of the object whose five minutes end then, delivered by default at its end."""
    end = utc(end) if isinstance(end, str) else end
    day = delivered or end.date()
    folders = (
        f"aws-account-id={account}/elasticloadbalancing/region={region}/"
        f"year={day:%Y}/month={day:%m}/day={day:%d}/"
        if hive
        else f"{organisation}{account}/elasticloadbalancing/{region}/{day:%Y/%m/%d}/"
    )
    return (
        f"{prefix}AWSLogs/{folders}{kind}{account}_elasticloadbalancing_{region}_"
        f"{load_balancer.replace('/', '.')}_{end:%Y%m%dT%H%MZ}_10.0.0.1_{tag}.log.gz"
    )


def put(s3: "S3Client", bucket: str, *keys: str) -> None:
    """Put small objects of these keys."""
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")


def fill(s3: "S3Client", bucket: str, keys: Iterable[str]) -> None:
    """Fill an emulated bucket with very many keys at once: they are there, but not to be read."""
    s3.put_object(Bucket=bucket, Key="one", Body=b"x")
    stored = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys
    one = stored["one"]
    for key in keys:
        stored[key] = one
