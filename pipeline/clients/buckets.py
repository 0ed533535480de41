"""
Give the S3 client for a bucket: our own, or one that acts as the role that is set for the bucket.

One client serves all buckets of a role, for as long as the process lives: it fetches credentials
anew before they expire, and it remembers which bucket is in which region. S3 tells where a bucket
is when it is asked in the wrong region, and botocore follows; so that costs one request per bucket
and process, and nothing where the region is right. What a role must allow is in docs/deploy.md.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.credentials import RefreshableCredentials, create_assume_role_refresher
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from pipeline.clients.aws import make_s3, make_sts
from pipeline.errors import ConfigError, PipelineError, SourceUnavailableError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_s3 import S3Client

SESSION_NAME = "alb-logs"
"""How CloudTrail names us in the other account."""

_THROTTLES = {
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
}
_LATER = {408, 429}
_SERVER_FAULT = 500


class Buckets:
    """Hold the S3 clients of a process, each made when a bucket first needs it."""

    def __init__(
        self, roles: Mapping[str, str], *, sts: "Callable[[], BaseClient]" = make_sts
    ) -> None:
        self._roles = dict(roles)
        self._make_sts = sts
        self._sts: BaseClient | None = None
        self._clients: dict[str | None, S3Client] = {}

    def client_of(self, bucket: str) -> "S3Client":
        """Give the client for a bucket; ConfigError or SourceUnavailableError without its role."""
        role = self._roles.get(bucket)
        if role not in self._clients:
            self._clients[role] = make_s3(None if role is None else self._credentials(role))
        return self._clients[role]

    def _credentials(self, role: str) -> RefreshableCredentials:
        """Assume a role now, so that a role that can not be assumed is told as such, and again."""
        self._sts = self._sts or self._make_sts()
        assume = create_assume_role_refresher(
            self._sts, {"RoleArn": role, "RoleSessionName": SESSION_NAME}
        )

        def fetch() -> dict[str, Any]:
            try:
                fresh: dict[str, Any] = assume()
            except (BotoCoreError, ClientError) as error:
                raise self._refusal(role, error) from error
            return fresh

        return RefreshableCredentials.create_from_metadata(
            fetch(), refresh_using=fetch, method="assume-role"
        )

    def _refusal(self, role: str, error: Exception) -> PipelineError:
        """Say whose fault it is that there are no credentials, and what mends it."""
        buckets = ", ".join(bucket for bucket, its in self._roles.items() if its == role)
        said = f"the role {role}, set for {buckets}, can not be assumed"
        if _may_work_later(error):
            return SourceUnavailableError(f"{said} now: {error}")
        return ConfigError(
            f"ALB_LOGS_BUCKET_ROLES: {said}: {error}. The role must exist, its trust policy must "
            "name who runs this, and who runs this needs sts:AssumeRole on it"
        )


def _may_work_later(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return isinstance(error, HTTPClientError | BotoConnectionError)
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in _THROTTLES or status in _LATER or status >= _SERVER_FAULT
