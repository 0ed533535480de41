"""The command `connect`: have a bucket that exists announce its new objects to the pipeline."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import click
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as BotoConnectionError

from pipeline.clients.aws import make_s3
from pipeline.errors import ConfigError, PipelineError, SourceUnavailableError
from pipeline.jobs import subscription
from pipeline.jobs.subscription import (
    Change,
    Configuration,
    EventBridge,
    Overlap,
    Subscription,
    Wanted,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import NotificationConfigurationTypeDef


class NotChangedError(PipelineError):
    """The bucket's notifications stay as they are: AWS refuses, or nobody said yes."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What the user asks for, and of which bucket."""

    bucket: str
    wanted: Wanted
    undo: bool

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}"


# The command

_NAMES = {"sqs": r"[A-Za-z0-9_-]{1,80}", "sns": r"[A-Za-z0-9_-]{1,256}"}
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_NOT_AS_KEYS_BEGIN = re.compile(r"/|s3://|.*(\*|%[0-9A-Fa-f]{2})")
_LONGEST_PREFIX = 1024


def _arn_of(service: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    pattern = re.compile(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:{_NAMES[service]}")

    def check(_context: click.Context, _parameter: click.Parameter, arn: str | None) -> str | None:
        if arn is not None and arn.endswith(".fifo"):
            raise click.BadParameter(f"{arn} is a FIFO one, and S3 does not send to those")
        if arn is not None and not pattern.fullmatch(arn):
            example = f"arn:aws:{service}:eu-central-1:123456789012:alb-logs"
            raise click.BadParameter(f"{arn!r} is no such ARN; one looks like {example}")
        return arn

    return check


def _check_bucket(_context: click.Context, _parameter: click.Parameter, bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket):
        raise click.BadParameter(
            f"{bucket!r} is no bucket's name: leave out s3:// and what follows"
        )
    return bucket


def _check_prefix(_context: click.Context, _parameter: click.Parameter, prefix: str) -> str:
    """Refuse what S3 would take and no key would match."""
    if _NOT_AS_KEYS_BEGIN.match(prefix) or len(prefix.encode()) > _LONGEST_PREFIX:
        raise click.BadParameter(
            f"{prefix[:80]!r} is not how keys begin: write it without bucket, leading /, * or %XX"
        )
    return prefix


@click.command(short_help="Have a bucket announce its new objects.")
@click.option("--bucket", required=True, callback=_check_bucket, help="Bucket of the logs.")
@click.option("--queue-arn", metavar="ARN", callback=_arn_of("sqs"), help="Announce to this queue.")
@click.option("--sns", metavar="TOPIC_ARN", callback=_arn_of("sns"), help="Announce to this topic.")
@click.option("--eventbridge", is_flag=True, help="Announce to EventBridge.")
@click.option(
    "--prefix",
    default="",
    callback=_check_prefix,
    help="Only objects whose keys begin so; all unless given.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--undo", is_flag=True, help="Take away what the same call without it added.")
@click.option("--yes", is_flag=True, help="Change it without asking.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for machines.")
def connect(  # noqa: PLR0913  one parameter an option
    bucket: str,
    queue_arn: str | None,
    sns: str | None,
    prefix: str,
    *,
    eventbridge: bool,
    dry_run: bool,
    undo: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Have a bucket that exists announce its new objects: to a queue, a topic or EventBridge.

    S3 keeps all notifications of a bucket in one piece. This shows what would change in it, asks,
    and writes it back with those of others as they were; run again, it finds nothing to do. Objects
    that are in the bucket already are not announced.

    The pipeline's queue must be subscribed to the topic. EventBridge hears of the whole bucket; a
    rule there, with a filter of its own, must send the objects on to the queue.

    \b
    Examples:
      alb-logs connect --bucket my-logs --dry-run \\
          --queue-arn arn:aws:sqs:eu-central-1:123456789012:alb-logs
      alb-logs connect --bucket my-logs --prefix AWSLogs/123456789012/elasticloadbalancing/ \\
          --queue-arn arn:aws:sqs:eu-central-1:123456789012:alb-logs
      alb-logs connect --bucket my-logs --undo --yes \\
          --sns arn:aws:sns:eu-central-1:123456789012:new-logs

    Exit codes: 0 done or nothing to do, 1 AWS refuses or nobody said yes, 2 the call or a setting
    is wrong.
    """  # noqa: D301  \b is click's
    destinations = [arn for arn in (queue_arn, sns) if arn]
    call = _Call(bucket, _wanted(destinations, prefix, eventbridge=eventbridge), undo)
    s3 = make_s3()
    before = _read(s3, call)
    after = _turned(call, before)
    changes = subscription.changes(before, after)
    if changes:
        _show(call, before, after, err=as_json)
    if changes and not dry_run:
        _ask(call, yes=yes)
        _write(s3, call, before, after)
    if as_json:
        _report_json(call, after, changes, dry_run=dry_run)
    else:
        _report(call, before, changes, dry_run=dry_run)


def _wanted(arns: list[str], prefix: str, *, eventbridge: bool) -> Wanted:
    if len(arns) + eventbridge != 1:
        raise click.UsageError("say where to, once: --queue-arn, --sns or --eventbridge")
    if not eventbridge:
        return Subscription(arns[0], prefix)
    if prefix:
        raise click.UsageError(
            "EventBridge hears of the whole bucket: put the prefix into its rule, not here"
        )
    return EventBridge()


def _turned(call: _Call, present: Configuration) -> Configuration:
    """Give the configuration as it is to be."""
    if call.undo:
        return subscription.disconnect(present, call.wanted)
    after = subscription.connect(present, call.wanted)
    if not isinstance(after, Overlap):
        return after
    raise NotChangedError(
        f"{call.where}: S3 gives an object to one notification only, and some of these have theirs "
        f"already, by the {after.rule}: {_way_out(after)}"
    )


def _way_out(overlap: Overlap) -> str:
    if overlap.rule.arn == overlap.wanted.arn:
        return "it goes to the same place, so widen it or take it away, by what made it"
    if overlap.rule.what == "topic":
        return f"subscribe the pipeline's queue to that topic, or {_APART}"
    return f"take it away with --undo, or {_WAYS_OUT}" if overlap.rule.ours else _WAYS_OUT


def _ask(call: _Call, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotChangedError(
            "nothing was changed: there is no terminal to ask on; with --yes it is done unasked"
        )
    if not click.confirm(f"Change the notifications of {call.where} so?", err=True):
        raise NotChangedError("nothing was changed")


# What it says


def _show(call: _Call, before: Configuration, after: Configuration, *, err: bool) -> None:
    click.echo(subscription.difference(before, after, call.where), err=err)
    if call.undo and call.wanted == EventBridge():
        click.echo(
            f"alb-logs: nothing says who turned EventBridge on for {call.where}: every rule that "
            "hears of this bucket goes silent",
            err=True,
        )


def _report_json(
    call: _Call, after: Configuration, changes: list[Change], *, dry_run: bool
) -> None:
    told = {
        "bucket": call.bucket,
        "changes": [asdict(change) for change in changes],
        "dry_run": dry_run,
        "configuration": after,
    }
    click.echo(json.dumps(told))


def _report(call: _Call, before: Configuration, changes: list[Change], *, dry_run: bool) -> None:
    if not changes:
        click.echo(f"{call.where}: nothing to do: {_why_nothing(call, before)}")
        return
    for change in changes:
        click.echo(f"{call.where}: {'would be ' if dry_run else ''}{change.verb}: {change.what}")
    if call.wanted == EventBridge() and not call.undo:
        pattern = {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [call.bucket]}},
        }
        click.echo(f"A rule must send these on to the queue: {json.dumps(pattern)}")


def _why_nothing(call: _Call, present: Configuration) -> str:
    """Say by what it is so already, or what of ours there is that might have been meant."""
    if isinstance(call.wanted, EventBridge):
        return f"EventBridge is {'off' if call.undo else 'on'}"
    if not call.undo:
        return f"there is the {subscription.covering(present, call.wanted)}"
    ours = [str(rule) for rule in subscription.rules(present) if rule.ours]
    return f"there is no such notification, of this command's making {' and '.join(ours) or 'none'}"


# S3


def _read(s3: "S3Client", call: _Call) -> Configuration:
    """Read the configuration, and make sure that this is all of it."""
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: object) -> None:
        bodies.append(response_dict["body"])

    parsing = "before-parse.s3.GetBucketNotificationConfiguration"
    s3.meta.events.register(parsing, keep)
    with _explained(call):
        answer = s3.get_bucket_notification_configuration(Bucket=call.bucket)
    s3.meta.events.unregister(parsing, keep)
    if unknown := subscription.unknown_elements(bodies[-1]):
        raise NotChangedError(
            f"{call.where}: its notifications hold what this version does not know and would lose "
            f"({', '.join(unknown)}): update alb-logs, or make the change by hand"
        )
    return subscription.configuration_of(cast("Configuration", answer))


def _write(s3: "S3Client", call: _Call, before: Configuration, after: Configuration) -> None:
    """
    Replace the configuration, unless it is no more the one that was shown.

    S3 sends a test message to each destination, and one that fails refuses all. Taking ours away
    needs no test, and no broken destination of others may stand in its way.
    """
    if _read(s3, call) != before:
        raise NotChangedError(
            f"{call.where}: nothing was written, for its notifications were changed by somebody "
            "else just now: run it again"
        )
    with _explained(call):
        s3.put_bucket_notification_configuration(
            Bucket=call.bucket,
            NotificationConfiguration=cast("NotificationConfigurationTypeDef", after),
            SkipDestinationValidation=call.undo,
        )


_PERMISSION = {
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
}
_BAD_CREDENTIALS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
_APART = (
    "use EventBridge, which stands beside any other (--eventbridge), or choose a --prefix apart "
    "from it"
)
_WAYS_OUT = f"send all to an SNS topic instead, to which both subscribe (--sns), or {_APART}"
# What S3 says of a configuration that it does not take, and what that means here.
_REFUSED = {
    "ambiguously defined": f"it overlaps another notification of the bucket: {_WAYS_OUT}",
    "Configurations overlap": f"it overlaps another notification of the bucket: {_WAYS_OUT}",
    "service region is not valid": "the queue or topic must be in the bucket's own region",
}
_NOT_VALIDATED = "Unable to validate the following destination configurations"


@contextmanager
def _explained(call: _Call) -> Iterator[None]:
    """Turn what boto3 raises into a sentence that names the fix."""
    try:
        yield
    except ClientError as error:
        answer = cast("dict[str, str]", error.response["Error"])
        raise _refusal(call, answer, error.operation_name) from error
    except (HTTPClientError, BotoConnectionError) as error:
        raise SourceUnavailableError(f"{call.where}: S3 can not be reached: {error}") from error
    except NoCredentialsError as error:
        raise ConfigError(
            f"{call.where}: there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY"
        ) from error
    except BotoCoreError as error:
        raise ConfigError(f"{call.where}: the AWS settings do not lead to S3: {error}") from error


def _refusal(call: _Call, answer: dict[str, str], operation: str) -> PipelineError:
    code, message = answer.get("Code", ""), answer.get("Message", "")
    if code in _BAD_CREDENTIALS:
        return ConfigError(f"{call.where}: S3 does not accept the AWS credentials: {message}")
    if code == "NoSuchBucket":
        return NotChangedError(f"{call.where}: there is no such bucket")
    if code == "AccessDenied":
        return NotChangedError(
            f"{call.where}: AWS refuses {_PERMISSION[operation]}: grant "
            f"{' and '.join(_PERMISSION.values())} on the bucket ({message})"
        )
    if _NOT_VALIDATED in message:
        return NotChangedError(f"{call.where}: {_unreachable(call, answer)}")
    means = [f": {text}" for part, text in _REFUSED.items() if part in message]
    return NotChangedError(f"{call.where}: S3 refuses: {code}: {message}{''.join(means)}")


def _unreachable(call: _Call, answer: dict[str, str]) -> str:
    """Tell our destination from those of others, of which each can fail the whole change."""
    reasons = dict(_reasons(answer))
    others = {arn: why for arn, why in reasons.items() if arn != getattr(call.wanted, "arn", None)}
    if others or not isinstance(call.wanted, Subscription):
        told = "; ".join(f"{arn}: {why}" for arn, why in others.items())
        return (
            "S3 changes nothing while it can not send to a destination that was there before: mend "
            f"it or take it away, and run this again ({told})"
        )
    why = reasons.get(call.wanted.arn, answer["Message"])
    statement = json.dumps(subscription.policy_statement(call.wanted, call.bucket), indent=2)
    return (
        f"S3 can not send to {call.wanted.arn}: {why}. Its policy needs this statement, with the "
        f"account that owns the bucket as aws:SourceAccount:\n{statement}\nIf it is encrypted with "
        "a KMS key, that must be a key of your own whose policy lets s3.amazonaws.com do "
        "kms:GenerateDataKey and kms:Decrypt."
    )


def _reasons(answer: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Give each destination that S3 names and what is wrong; a function's ends in `, null`."""
    for name, text in answer.items():
        if name.startswith("ArgumentName"):
            number = name.removeprefix("ArgumentName")
            yield text.removesuffix(", null"), answer.get(f"ArgumentValue{number}", "")
