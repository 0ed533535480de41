"""The one table of what AWS refuses: whose fault each refusal is, and the fix that is named."""

from typing import Any, cast

import pytest
from botocore import exceptions as boto
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from pipeline.aws_refusals import Action, AwsRefusedError, aws_errors, aws_refusal
from pipeline.errors import (
    ConfigError,
    ObjectChangedError,
    ObjectMissingError,
    PipelineError,
    RetriableError,
    SourceUnavailableError,
)

NOTIFICATIONS = (Action.GET_NOTIFICATIONS, Action.PUT_NOTIFICATIONS)
S3 = (Action.GET_OBJECT, Action.LIST_BUCKET, *NOTIFICATIONS)
SUBJECT = "what was asked for"


def refused(code: str, status: int) -> boto.ClientError:
    """Build what botocore raises for an answer of AWS."""
    answer = {
        "Error": {"Code": code, "Message": "in AWS's own words"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return boto.ClientError(cast("Any", answer), "Operation")


THROTTLES = [
    refused("Throttling", 400),
    refused("ThrottlingException", 400),
    refused("RequestLimitExceeded", 400),
    refused("TooManyRequestsException", 400),
    refused("RequestTimeout", 400),
    refused("SlowDown", 503),
    refused("", 408),
    refused("", 429),
    refused("", 502),
]
CONNECTIONS = [
    boto.EndpointConnectionError(endpoint_url="http://a"),
    boto.ReadTimeoutError(endpoint_url="http://a"),
    boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ProtocolError("broken"),
    ConnectionResetError("reset"),
]


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("error", [*THROTTLES, *CONNECTIONS], ids=repr)
def test_what_may_pass_is_retriable(action: Action, error: Exception) -> None:
    """Throttles, server errors and lost connections may pass, for every action."""
    found = aws_refusal(error, action, SUBJECT)

    assert isinstance(found, RetriableError)
    assert "cannot be" in str(found) or "cannot serve it now" in str(found)


@pytest.mark.parametrize("action", [*S3, Action.ASSUME_ROLE])
@pytest.mark.parametrize(
    "code", ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"]
)
def test_bad_credentials_are_a_setting(action: Action, code: str) -> None:
    """Where AWS does not know who asks, credentials are to be fixed and no permission."""
    found = aws_refusal(refused(code, 403), action, SUBJECT)

    assert isinstance(found, ConfigError)
    assert "does not accept the AWS credentials" in str(found)
    assert "grant" not in str(found)


@pytest.mark.parametrize("action", S3)
@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (boto.NoCredentialsError(), "set AWS_PROFILE"),
        (boto.ParamValidationError(report="bad name"), "the request cannot be made"),
        (boto.NoRegionError(), "the AWS settings do not lead to S3"),
    ],
    ids=repr,
)
def test_a_request_that_is_never_sent_is_a_setting(
    action: Action, error: Exception, fix: str
) -> None:
    """What botocore refuses by itself is for the operator to fix."""
    found = aws_refusal(error, action, SUBJECT)

    assert isinstance(found, ConfigError)
    assert fix in str(found)
    assert str(error) in str(found)


@pytest.mark.parametrize(
    ("code", "status", "error", "fix"),
    [
        ("AccessDenied", 403, ConfigError, "ALB_LOGS_BUCKET_ROLES"),
        ("NoSuchBucket", 404, ConfigError, "no such bucket"),
        ("NoSuchKey", 404, ObjectMissingError, "no such object"),
        ("PreconditionFailed", 412, ObjectChangedError, "changed while it was read"),
        ("InvalidRange", 416, ObjectChangedError, "changed while it was read"),
        ("InvalidObjectState", 403, SourceUnavailableError, "restore it first"),
        ("InvalidRequest", 400, ConfigError, "refuses the request"),
    ],
)
def test_an_object_is_refused(code: str, status: int, error: type[PipelineError], fix: str) -> None:
    """A code decides before its status does: an archived object is no missing permission."""
    found = aws_refusal(refused(code, status), Action.GET_OBJECT, SUBJECT)

    assert error is type(found)
    assert str(found).startswith(f"{SUBJECT}: ")
    assert fix in str(found)


def test_a_listing_is_refused() -> None:
    """A missing permission, a bucket that is not there, and any other refusal name the fix."""
    for code, status, fix in (
        ("AccessDenied", 403, "AWS refuses s3:ListBucket: grant it on the bucket"),
        ("NoSuchBucket", 404, "there is no such bucket: check its name"),
        ("InvalidRequest", 400, "S3 refuses to list it: "),
    ):
        found = aws_refusal(refused(code, status), Action.LIST_BUCKET, SUBJECT)
        assert isinstance(found, ConfigError)
        assert str(found).startswith(f"{SUBJECT}: {fix}")


@pytest.mark.parametrize("action", NOTIFICATIONS)
def test_a_bucket_keeps_its_notifications(action: Action) -> None:
    """A missing permission is named; any other refusal is quoted."""
    denied = aws_refusal(refused("AccessDenied", 403), action, SUBJECT)
    other = aws_refusal(refused("OperationAborted", 409), action, SUBJECT)

    assert {AwsRefusedError} == {type(denied), type(other)}
    assert str(denied).startswith(f"{SUBJECT}: AWS refuses {action}: grant s3:Get")
    assert f"{SUBJECT}: S3 refuses: OperationAborted: in AWS's own words" == str(other)


def test_a_message_is_refused() -> None:
    """A queue that refuses names the permission; one that may be back soon names none."""
    subject = "what is left of the object"
    denied = aws_refusal(refused("AccessDenied", 403), Action.SEND_MESSAGE, subject)
    later = aws_refusal(refused("ServiceUnavailable", 503), Action.SEND_MESSAGE, subject)

    assert [ConfigError, RetriableError] == [type(denied), type(later)]
    assert str(denied).startswith(f"{subject} cannot be queued: ")
    assert "sqs:SendMessage" in str(denied)
    assert str(later).startswith(f"{subject} cannot be queued now: ")


@given(st.sampled_from(Action), st.text(), st.integers(300, 599))
def test_every_refusal_has_its_error(action: Action, code: str, status: int) -> None:
    """Every answer of AWS becomes an error of ours, with its cause."""
    error = refused(code, status)
    with pytest.raises(PipelineError, match=SUBJECT) as raised, aws_errors(action, SUBJECT):
        raise error

    assert error is raised.value.__cause__


def test_an_answer_may_be_empty() -> None:
    """An answer without code, message or status is refused for good."""
    empty = boto.ClientError(cast("Any", {}), "GetObject")

    assert isinstance(aws_refusal(empty, Action.GET_OBJECT, SUBJECT), ConfigError)


@pytest.mark.parametrize("action", Action)
def test_what_is_not_awss_passes(action: Action) -> None:
    """A defect is no refusal, and an error that is ours already stays what it is."""
    for error in (KeyError("x"), ConfigError("ours")):
        with pytest.raises(type(error)) as raised, aws_errors(action, SUBJECT):
            raise error
        assert error is raised.value
