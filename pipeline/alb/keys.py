"""
Classify the key of an object: which log of which load balancer it holds, or what else it is.

The logs of network and Classic load balancers, test files and Parquet lie in the same folders,
under names that contain one another; and folders differ (default, Hive style, a custom suffix). So
the whole last part of a key decides. Folders are only asked whether they contradict it: who may
write to the folder of one account must not write lines of another.

- docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
- …/load-balancer-connection-logs.html, …/load-balancer-health-check-logs.html
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.alb.fields import Kind


class SkipReason(StrEnum):
    """Why there is nothing to ingest; a closed set, because each reason names a counter."""

    NETWORK_LOAD_BALANCER = "network-load-balancer"
    CLASSIC_LOAD_BALANCER = "classic-load-balancer"
    TEST_FILE = "test-file"
    PARQUET = "parquet"
    FOREIGN_KEY = "foreign-key"
    CONTRADICTORY_KEY = "contradictory-key"
    TEST_EVENT = "test-event"
    NOT_CREATED = "not-created"
    NO_RECORDS = "no-records"


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What the key of a log object says; `node_ip` is as it is written there."""

    kind: Kind
    account: str
    region: str
    load_balancer: str
    end_time: datetime
    node_ip: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is recognised, and not ingested."""

    reason: SkipReason
    bucket: str | None = None
    key: str | None = None


def classify_key(key: str) -> ObjectName | Skipped:
    """Return what an object's key, as S3 stores it, says of a log, or why it is skipped."""
    folder, slash, basename = key.rpartition("/")
    parts = _ALB.fullmatch(basename)
    end_time = _end_time(parts["end_time"]) if parts else None
    if parts is None or end_time is None:
        return Skipped(_skip_reason(basename), key=key)
    if _contradicts(folder + slash, parts["account"], parts["region"]):
        return Skipped(SkipReason.CONTRADICTORY_KEY, key=key)
    return ObjectName(
        kind=_KINDS[parts["prefix"]],
        account=parts["account"],
        region=parts["region"],
        load_balancer=f"app/{parts['name']}/{parts['id']}",
        end_time=end_time,
        node_ip=parts["node_ip"],
    )


# AWS documents the prefixes both with an underscore and with a dot after them. It does not document
# how a node's IPv6 address is written: any text that could be one is accepted.
_ALB = re.compile(
    r"(?:(?P<prefix>conn_log|health_check_log)[_.])?"
    r"(?P<account>[0-9]{12})_elasticloadbalancing_(?P<region>[a-z0-9-]+)"
    r"_app\.(?P<name>[A-Za-z0-9-]+)\.(?P<id>[A-Za-z0-9-]+)"
    r"_(?P<end_time>[0-9]{8}T[0-9]{4}Z)_(?P<node_ip>[0-9A-Za-z.:%_\[\]-]+)_[0-9A-Za-z-]+"
    r"\.log(?:\.gz)?"
)
_KINDS = {
    None: Kind.ACCESS,
    "conn_log": Kind.CONNECTION,
    "health_check_log": Kind.HEALTH_CHECK,
}


# Default, of an organisation, and Hive style; `(?=/)` so that folders may follow one another.
_ACCOUNT_FOLDER = re.compile(
    r"(?:^|/)(?:AWSLogs/(?:o-[a-z0-9]+/)?|aws-account-id=)([0-9]{12})(?=/)"
)
_REGION_FOLDER = re.compile(
    r"/(?:elasticloadbalancing/|region=)([a-z]{2,6}(?:-[a-z]+)+-[0-9]{1,2})(?=/)"
)


def _contradicts(folders: str, account: str, region: str) -> bool:
    """Return whether any folder names another account or region."""
    accounts, regions = _ACCOUNT_FOLDER.findall(folders), _REGION_FOLDER.findall(folders)
    return not ({*accounts} <= {account} and {*regions} <= {region})


def _end_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%z")
    except ValueError:
        return None


_SKIPPED = {
    SkipReason.NETWORK_LOAD_BALANCER: re.compile(
        r"(?:[a-z_]+_log[_.])?[0-9]{12}_elasticloadbalancing_[a-z0-9-]+_net\..+"
    ),
    SkipReason.CLASSIC_LOAD_BALANCER: re.compile(
        r"[0-9]{12}_elasticloadbalancing_[a-z0-9-]+_[A-Za-z0-9-]+_[0-9]{8}T[0-9]{4}Z_.+"
        r"\.log(?:\.gz)?"
    ),
    SkipReason.TEST_FILE: re.compile(r"ELB[A-Za-z]*LogTestFile"),
    SkipReason.PARQUET: re.compile(r".+\.parquet"),
}


def _skip_reason(basename: str) -> SkipReason:
    for reason, pattern in _SKIPPED.items():
        if pattern.fullmatch(basename):
            return reason
    return SkipReason.FOREIGN_KEY
