"""
Make the S3 client for a bucket: our own, or one that acts as the role that is set for the bucket.

One client serves all buckets of a role for as long as the process lives: it renews its credentials
before they expire, and it remembers which region each bucket is in. A request to the wrong region
is answered with the right one, and botocore follows: that costs one request per bucket and process.
What a role must allow is in docs/access.md.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.credentials import RefreshableCredentials, create_assume_role_refresher

from pipeline.aws_refusals import Action, aws_errors
from pipeline.clients.aws import make_s3, make_sts

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_s3 import S3Client

SESSION_NAME = "alb-logs"
"""Our name in the CloudTrail of the other account."""


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
        """
        Return the client for a bucket.

        Raises ConfigError or SourceUnavailableError where its role cannot be assumed.
        """
        role = self._roles.get(bucket)
        if role not in self._clients:
            self._clients[role] = make_s3(None if role is None else self._credentials(role))
        return self._clients[role]

    def _credentials(self, role: str) -> RefreshableCredentials:
        """Assume a role now, so that the error names the role, and again whenever it expires."""
        buckets = ", ".join(bucket for bucket, its in self._roles.items() if its == role)
        self._sts = self._sts or self._make_sts()
        assume = create_assume_role_refresher(
            self._sts, {"RoleArn": role, "RoleSessionName": SESSION_NAME}
        )

        def fetch() -> dict[str, Any]:
            with aws_errors(Action.ASSUME_ROLE, f"the role {role}, set for {buckets},"):
                fresh: dict[str, Any] = assume()
            return fresh

        return RefreshableCredentials.create_from_metadata(
            fetch(), refresh_using=fetch, method="assume-role"
        )
