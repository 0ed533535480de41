"""
Play the demo's second act: a day that nobody announced, brought in by `backfill`, then audited.

The bucket holds an hour of the day before, written while its notifications were off: what is left
of an outage, or from before alb-logs was there.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.traffic import WrittenObject, hour_of_objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ALB_LOGS = Path(sys.executable).parent / "alb-logs"
_SEED = 20161202
_NOON = 12


@dataclass(frozen=True, slots=True)
class Yesterday:
    """An hour of a day that is over, and the range that holds that day."""

    noon: datetime

    @classmethod
    def before(cls, moment: datetime) -> "Yesterday":
        """Return the day before the one that holds a moment."""
        noon = moment.replace(hour=_NOON, minute=0, second=0, microsecond=0)
        return cls(noon - timedelta(days=1))

    @property
    def range(self) -> tuple[str, ...]:
        """Return the options by which commands choose the day."""
        day = self.noon.date()
        return ("--from", f"{day}", "--to", f"{day + timedelta(days=1)}")

    def objects(self, lines_per_object: int) -> list[WrittenObject]:
        """Return its objects."""
        return list(hour_of_objects(_SEED, start=self.noon, lines_per_object=lines_per_object))


def put_unannounced(s3: "S3Client", bucket: str, objects: list[WrittenObject]) -> None:
    """Put objects while the bucket notifies nobody."""
    with _silence(s3, bucket):
        for each in objects:
            s3.put_object(Bucket=bucket, Key=each.key, Body=each.body)


@contextmanager
def _silence(s3: "S3Client", bucket: str) -> Iterator[None]:
    before = s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        before.pop("ResponseMetadata", None)  # type: ignore[misc]  # of the answer, not of it
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration=before,  # type: ignore[arg-type]  # as it came
        )


def run(env: Mapping[str, str], *arguments: str) -> bool:
    """Run `alb-logs` in front of the user; return whether it ended well."""
    return subprocess.run([ALB_LOGS, *arguments], env=dict(env), check=False).returncode == 0
