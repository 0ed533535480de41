"""Make the clients of AWS: their limits of time are set here, all else is boto3's own settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import boto3
import botocore.session
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.credentials import RefreshableCredentials
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# A body that stalls is given up and resumed long before botocore's own minute is over; what one
# stall costs at most, 20 seconds, is what an invocation keeps in reserve.
_S3 = BotoConfig(
    connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)

# What is asked of a queue is small, and asked with little time left.
_SQS = BotoConfig(
    connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}
)

_STS = BotoConfig(
    connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


def make_s3(credentials: "RefreshableCredentials | None" = None) -> "S3Client":
    """Give a client of S3, as boto3's own settings say, but for the credentials if given."""
    with _aws_settings():
        if credentials is None:
            return boto3.client("s3", config=_S3)
        session = botocore.session.get_session()
        session.register_component("credential_provider", _Given(credentials))
        return boto3.Session(botocore_session=session).client("s3", config=_S3)


class _Given:
    """Stand where botocore looks for credentials."""

    def __init__(self, credentials: "RefreshableCredentials") -> None:
        self._credentials = credentials

    def load_credentials(self) -> "RefreshableCredentials":
        return self._credentials


def make_sts() -> "BaseClient":
    """Give a client of STS, as boto3's own settings say."""
    with _aws_settings():
        return cast("BaseClient", boto3.client("sts", config=_STS))


def make_sqs() -> "SQSClient":
    """Give a client of SQS, as boto3's own settings say."""
    with _aws_settings():
        return boto3.client("sqs", config=_SQS)


@contextmanager
def _aws_settings() -> Iterator[None]:
    """Turn what boto3 raises for settings of which no client can be made into our error."""
    try:
        yield
    except (BotoCoreError, ValueError) as error:  # no such profile, an address that is none
        raise ConfigError(f"the AWS settings are wrong: {error}") from error
