"""
Say whose fault it is when AWS refuses a request, and how to fix it: one table for all services.

An error code says more than a status, so it is looked up first: some throttles and S3's own timeout
come with a 400.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from urllib3.exceptions import HTTPError

from pipeline.errors import (
    ConfigError,
    ObjectChangedError,
    ObjectMissingError,
    PipelineError,
    RetriableError,
    SourceUnavailableError,
)

CONNECTION_ERRORS = (
    HTTPClientError,
    BotoConnectionError,
    IncompleteReadError,
    HTTPError,  # those that botocore lets through, of TLS for one
    OSError,
)
"""What is raised where a connection cannot be made or breaks."""


class AwsRefusedError(PipelineError):
    """AWS refuses what a command asks for; the message names the fix."""


class Action(StrEnum):
    """What AWS is asked to do, by the name of the permission that it needs."""

    GET_OBJECT = "s3:GetObject"
    LIST_BUCKET = "s3:ListBucket"
    GET_NOTIFICATIONS = "s3:GetBucketNotification"
    PUT_NOTIFICATIONS = "s3:PutBucketNotification"
    ASSUME_ROLE = "sts:AssumeRole"
    SEND_MESSAGE = "sqs:SendMessage"


@contextmanager
def aws_errors(action: Action, subject: str) -> Iterator[None]:
    """Turn what botocore raises for a request into our error, whose message names the subject."""
    refused: PipelineError | None = None
    try:
        yield
    except (ClientError, BotoCoreError, *CONNECTION_ERRORS) as error:
        refused = aws_refusal(error, action, subject)
        if not _quotes_a_secret(error):
            raise refused from error
    if refused:  # without its cause
        raise refused


def without_credentials(said: object) -> str:
    """Return a message of botocore without the user and the password of the addresses in it."""
    return _USERINFO.sub("", str(said))


_USERINFO = re.compile(r"(?<=//)[^\s\"']*@|[^/\s\"':]+:[^/\s\"']*@")


def _quotes_a_secret(error: Exception) -> bool:
    """Return whether a header was refused: the message of that quotes it, be it a token."""
    return isinstance(error, HTTPClientError) and isinstance(error.kwargs.get("error"), ValueError)


def aws_refusal(error: Exception, action: Action, subject: str) -> PipelineError:
    """Return our error for what botocore raised for a request: whose fault it is, and the fix."""
    answer = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
    refusal = next(
        each
        for sign in _signs(error)
        for each in _TABLE
        if action in each.actions and sign in each.signs
    )
    sentence = refusal.sentence.format(
        subject=subject,
        action=action,
        error=without_credentials(error),
        code=answer.get("Code", ""),
        message=answer.get("Message", ""),
    )
    return refusal.error(sentence)


def _signs(error: Exception) -> Iterator[str]:
    """Yield what an error may be known by in the table, the most specific sign first."""
    if isinstance(error, ClientError):
        yield error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        yield f"{status}"
        yield f"{status // 100}xx"
    elif _quotes_a_secret(error):
        yield _UNSENDABLE
    elif isinstance(error, CONNECTION_ERRORS):
        yield _UNREACHABLE
    elif isinstance(error, NoCredentialsError):
        yield _NO_CREDENTIALS
    elif isinstance(error, ParamValidationError):
        yield _MALFORMED
    else:
        yield _WRONG_SETTINGS
    yield _ANY


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What one of these signs means for these actions."""

    actions: Collection[Action]
    signs: Collection[str]
    error: type[PipelineError]
    sentence: str


_UNREACHABLE = "no answer"
_NO_CREDENTIALS = "no credentials"
_MALFORMED = "malformed request"
_UNSENDABLE = "unsendable header"
_WRONG_SETTINGS = "wrong settings"
_ANY = "any other"

_LATER = {
    "RequestLimitExceeded",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    *("408", "429", "5xx"),
}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}

_OBJECT = {Action.GET_OBJECT}
_NOTIFICATIONS = {Action.GET_NOTIFICATIONS, Action.PUT_NOTIFICATIONS}
_LISTING = {Action.LIST_BUCKET}
_S3 = _OBJECT | _LISTING | _NOTIFICATIONS
_ROLE = {Action.ASSUME_ROLE}
_MESSAGE = {Action.SEND_MESSAGE}

_TABLE = (
    # Any request at all
    _Refusal(
        frozenset(Action),
        {_UNSENDABLE},
        ConfigError,
        "{subject}: the AWS credentials contain what no header may, such as a line end: set "
        "AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN again",
    ),
    # Any request to S3
    _Refusal(
        _S3,
        _BAD_CREDENTIALS,
        ConfigError,
        "{subject}: S3 does not accept the AWS credentials: {message}",
    ),
    _Refusal(
        _S3,
        {_NO_CREDENTIALS},
        ConfigError,
        "{subject}: there are no AWS credentials ({error}): set AWS_PROFILE, or AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY",
    ),
    _Refusal(_S3, _LATER, SourceUnavailableError, "{subject}: S3 cannot serve it now: {error}"),
    _Refusal(
        _S3, {_UNREACHABLE}, SourceUnavailableError, "{subject}: S3 cannot be reached: {error}"
    ),
    _Refusal(_S3, {_MALFORMED}, ConfigError, "{subject}: the request cannot be made: {error}"),
    _Refusal(
        _S3,
        {_WRONG_SETTINGS},
        ConfigError,
        "{subject}: the AWS settings do not lead to S3: {error}",
    ),
    # One object
    _Refusal(_OBJECT, {"NoSuchBucket"}, ConfigError, "{subject}: there is no such bucket: {error}"),
    _Refusal(
        _OBJECT,
        {"InvalidObjectState"},
        SourceUnavailableError,
        "{subject}: it is archived: restore it first: {error}",
    ),
    _Refusal(
        _OBJECT,
        {"403"},
        ConfigError,
        "{subject}: grant s3:GetObject on the object (and s3:GetObjectVersion, if its bucket keeps "
        "versions), kms:Decrypt on its key if it is encrypted with SSE-KMS, and s3:ListBucket on "
        "the bucket, without which a missing object reads as refused; for a bucket of another "
        "account, name a role that has them in ALB_LOGS_BUCKET_ROLES: {error}",
    ),
    _Refusal(
        _OBJECT, {"NoSuchKey"}, ObjectMissingError, "{subject}: there is no such object: {error}"
    ),
    _Refusal(
        _OBJECT,
        {"NoSuchVersion"},
        ObjectChangedError,
        "{subject}: the version that was announced is gone: {error}",
    ),
    _Refusal(
        _OBJECT,
        {"404"},
        ConfigError,
        "{subject}: the answer is 404, but not S3's that the object is missing: see whether "
        "AWS_ENDPOINT_URL leads to S3, and whether the access point exists: {error}",
    ),
    _Refusal(
        _OBJECT,
        {"412", "416"},
        ObjectChangedError,
        "{subject}: it changed while it was read: {error}",
    ),
    _Refusal(_OBJECT, {_ANY}, ConfigError, "{subject}: S3 refuses the request: {error}"),
    # The keys of a bucket
    _Refusal(
        _LISTING,
        {"NoSuchBucket"},
        ConfigError,
        "{subject}: there is no such bucket: check its name, and that AWS_PROFILE and "
        "AWS_ENDPOINT_URL lead to where it is",
    ),
    _Refusal(
        _LISTING,
        {"403"},
        ConfigError,
        "{subject}: AWS refuses {action}: grant it on the bucket; for a bucket of another account, "
        "name a role that has it in ALB_LOGS_BUCKET_ROLES: {error}",
    ),
    _Refusal(_LISTING, {_ANY}, ConfigError, "{subject}: S3 refuses to list it: {error}"),
    # A bucket's notifications
    _Refusal(
        _NOTIFICATIONS, {"NoSuchBucket"}, AwsRefusedError, "{subject}: there is no such bucket"
    ),
    _Refusal(
        _NOTIFICATIONS,
        {"AccessDenied"},
        AwsRefusedError,
        "{subject}: AWS refuses {action}: grant s3:GetBucketNotification and "
        "s3:PutBucketNotification on the bucket ({message})",
    ),
    _Refusal(_NOTIFICATIONS, {_ANY}, AwsRefusedError, "{subject}: S3 refuses: {code}: {message}"),
    # A role of another account
    _Refusal(
        _ROLE,
        {*_LATER, _UNREACHABLE},
        SourceUnavailableError,
        "{subject} cannot be assumed now: {error}",
    ),
    _Refusal(
        _ROLE,
        _BAD_CREDENTIALS,
        ConfigError,
        "ALB_LOGS_BUCKET_ROLES: {subject} cannot be assumed: STS does not accept the AWS "
        "credentials of who runs this: {message}",
    ),
    _Refusal(
        _ROLE,
        {_ANY},
        ConfigError,
        "ALB_LOGS_BUCKET_ROLES: {subject} cannot be assumed: {error}. The role must exist, its "
        "trust policy must name who runs this, and who runs this needs sts:AssumeRole on it",
    ),
    # A message about an object, to the function's queue
    _Refusal(
        _MESSAGE, {*_LATER, _UNREACHABLE}, RetriableError, "{subject} cannot be queued now: {error}"
    ),
    _Refusal(
        _MESSAGE,
        {_ANY},
        ConfigError,
        "{subject} cannot be queued: {error}. Check the address of the function's queue, and grant "
        "sqs:SendMessage on it",
    ),
)
"""Of each action every sign; the row of its most specific one decides."""
