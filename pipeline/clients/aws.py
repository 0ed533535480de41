"""Make the clients of AWS: timeouts and retries are set here, all else by boto3's own settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import boto3
import botocore.session
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, NoRegionError

from pipeline.aws_refusals import without_credentials
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.credentials import RefreshableCredentials
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# A body that stalls is given up and resumed long before botocore's own minute is over. One stall
# costs at most 20 seconds, which is what an invocation keeps in reserve.
_S3 = BotoConfig(
    connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)

SQS_SECONDS = 8.0
"""What a request to a queue takes at most where nothing else limits it: two attempts."""

_STS = BotoConfig(
    connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


def make_s3(credentials: "RefreshableCredentials | None" = None) -> "S3Client":
    """Return a client of S3, with boto3's own settings except for credentials that are given."""
    with _aws_settings():
        if credentials is None:
            return boto3.client("s3", config=_S3)
        session = botocore.session.get_session()
        session.register_component("credential_provider", _Given(credentials))
        return boto3.Session(botocore_session=session).client("s3", config=_S3)


class _Given:
    """Provide these credentials where botocore looks for some."""

    def __init__(self, credentials: "RefreshableCredentials") -> None:
        self._credentials = credentials

    def load_credentials(self) -> "RefreshableCredentials":
        return self._credentials


def make_sts() -> "BaseClient":
    """Return a client of STS, with boto3's own settings."""
    with _aws_settings():
        return cast("BaseClient", boto3.client("sts", config=_STS))


def make_sqs(seconds: float = SQS_SECONDS) -> "SQSClient":
    """Return a client of SQS, a request of which takes no more than so many seconds."""
    attempts = 2 if seconds >= SQS_SECONDS else 1
    each = seconds / attempts / 2  # to connect, and to read
    config = BotoConfig(
        connect_timeout=each,
        read_timeout=each,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    with _aws_settings():
        return boto3.client("sqs", config=config)


@contextmanager
def _aws_settings() -> Iterator[None]:
    """Turn what boto3 raises for settings that make no client into our error."""
    said = ""
    try:
        yield
    except NoRegionError:
        said = "no region is set: set AWS_DEFAULT_REGION, or a region in the profile"
    except (BotoCoreError, ValueError) as error:  # no such profile, a malformed address
        said = without_credentials(error)
    if said:  # without its cause, which may quote a password
        raise ConfigError(f"the AWS settings are wrong: {said}")
