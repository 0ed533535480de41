"""
Read and replace a bucket's notification configuration, and say what S3 refuses in it.

What belongs into the configuration is `subscription`'s business, asking the user the command's.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from pipeline.aws_refusals import Action, aws_errors
from pipeline.errors import PipelineError
from pipeline.jobs.subscription import (
    Configuration,
    Subscription,
    Wanted,
    configuration_of,
    policy_statement,
    unknown_elements,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import NotificationConfigurationTypeDef

ANOTHER_WAY = (
    "use EventBridge, which works beside any other (--eventbridge), or choose a --prefix that does "
    "not overlap"
)
WAYS_OUT = f"send all to an SNS topic instead, to which both subscribe (--sns), or {ANOTHER_WAY}"
"""How two that want the same objects can both have them, by options of `alb-logs connect`."""

# What S3 says of a configuration that it does not take, and what that means.
_REFUSED = {
    "ambiguously defined": f"it overlaps another notification of the bucket: {WAYS_OUT}",
    "Configurations overlap": f"it overlaps another notification of the bucket: {WAYS_OUT}",
    "service region is not valid": "the queue or topic must be in the bucket's own region",
}
_NOT_VALIDATED = "Unable to validate the following destination configurations"


class NotChangedError(PipelineError):
    """The bucket's notifications stay as they are."""

    has_lines = True


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asks for, and of which bucket."""

    bucket: str
    wanted: Wanted
    undo: bool

    @property
    def url(self) -> str:
        """Return the name of the bucket in messages."""
        return f"s3://{self.bucket}"


def read_configuration(s3: "S3Client", request: Request) -> Configuration:
    """Return the configuration; NotChangedError where boto3 does not know all of it."""
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: object) -> None:
        bodies.append(response_dict["body"])

    parsing = "before-parse.s3.GetBucketNotificationConfiguration"
    s3.meta.events.register(parsing, keep)
    with aws_errors(Action.GET_NOTIFICATIONS, request.url):
        answer = s3.get_bucket_notification_configuration(Bucket=request.bucket)
    s3.meta.events.unregister(parsing, keep)
    if unknown := unknown_elements(bodies[-1]):
        raise NotChangedError(
            f"{request.url}: its notifications contain elements that this version does not know "
            f"and would lose ({', '.join(unknown)}): update alb-logs, or make the change by hand"
        )
    return configuration_of(cast("Configuration", answer))


def replace_configuration(
    s3: "S3Client", request: Request, before: Configuration, after: Configuration
) -> None:
    """
    Replace the configuration, unless it is no longer the one that was shown.

    S3 sends a test message to each destination, and refuses everything if one of them fails. Taking
    ours away needs no test: broken destinations of others must not prevent it.
    """
    if read_configuration(s3, request) != before:
        raise NotChangedError(
            f"{request.url}: nothing was written, because its notifications were changed by "
            "somebody else just now: run it again"
        )
    with aws_errors(Action.PUT_NOTIFICATIONS, request.url), _explained(request):
        s3.put_bucket_notification_configuration(
            Bucket=request.bucket,
            NotificationConfiguration=cast("NotificationConfigurationTypeDef", after),
            SkipDestinationValidation=request.undo,
        )


@contextmanager
def _explained(request: Request) -> Iterator[None]:
    """Turn what S3 refuses in a configuration into a sentence that names the fix."""
    try:
        yield
    except ClientError as error:
        answer = cast("dict[str, str]", error.response.get("Error", {}))
        code, message = answer.get("Code", ""), answer.get("Message", "")
        if _NOT_VALIDATED in message:
            raise NotChangedError(f"{request.url}: {_unreachable(request, answer)}") from error
        for part, meaning in _REFUSED.items():
            if part in message:
                raise NotChangedError(
                    f"{request.url}: S3 refuses: {code}: {message}: {meaning}"
                ) from error
        raise


def _unreachable(request: Request, answer: dict[str, str]) -> str:
    """Say which destination S3 cannot send to: one of others can fail the whole change."""
    reasons = dict(_reasons(answer))
    wanted = request.wanted
    others = {arn: why for arn, why in reasons.items() if arn != getattr(wanted, "arn", None)}
    if others or not isinstance(wanted, Subscription):
        named = "; ".join(f"{arn}: {why}" for arn, why in others.items())
        return (
            "S3 changes nothing while it cannot send to a destination that was there before: fix "
            f"or remove that one, and run this again ({named})"
        )
    why = reasons.get(wanted.arn, answer["Message"])
    statement = json.dumps(policy_statement(wanted, request.bucket), indent=2)
    return (
        f"S3 cannot send to {wanted.arn}: {why}. Its policy needs this statement, with the "
        f"account that owns the bucket as aws:SourceAccount:\n{statement}\nIf it is encrypted with "
        "a KMS key, that must be a key of your own whose policy allows s3.amazonaws.com "
        "kms:GenerateDataKey and kms:Decrypt."
    )


def _reasons(answer: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each destination that S3 names and what is wrong; a function's ends in `, null`."""
    for name, text in answer.items():
        if name.startswith("ArgumentName"):
            number = name.removeprefix("ArgumentName")
            yield text.removesuffix(", null"), answer.get(f"ArgumentValue{number}", "")
