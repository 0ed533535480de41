"""The command `connect`: have an existing bucket announce its new objects to the pipeline."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from pipeline.cli.options import dry_run_option, json_option
from pipeline.cli.screen import Screen, is_terminal, verbosity_options
from pipeline.clients.aws import make_s3
from pipeline.jobs import subscription
from pipeline.jobs.bucket_notifications import (
    ANOTHER_WAY,
    WAYS_OUT,
    NotChangedError,
    Request,
    read_configuration,
    replace_configuration,
)
from pipeline.jobs.subscription import (
    Change,
    Configuration,
    EventBridge,
    Overlap,
    Subscription,
    Wanted,
)

_NAMES = {"sqs": r"[A-Za-z0-9_-]{1,80}", "sns": r"[A-Za-z0-9_-]{1,256}"}
_DESTINATIONS = {"sqs": "an SQS queue", "sns": "an SNS topic"}
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_NOT_AS_KEYS_BEGIN = re.compile(r"/|s3://|.*(\*|%[0-9A-Fa-f]{2})")
_LONGEST_PREFIX = 1024


def _arn_of(service: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    pattern = re.compile(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:{_NAMES[service]}")

    def check(_context: click.Context, _parameter: click.Parameter, arn: str | None) -> str | None:
        if arn is not None and arn.endswith(".fifo"):
            raise click.BadParameter(
                f"{arn} is FIFO, and S3 does not send to FIFO queues or topics"
            )
        if arn is not None and not pattern.fullmatch(arn):
            example = f"arn:aws:{service}:eu-central-1:123456789012:alb-logs"
            raise click.BadParameter(
                f"{arn!r} is not the ARN of {_DESTINATIONS[service]}, such as {example}"
            )
        return arn

    return check


def _check_bucket(_context: click.Context, _parameter: click.Parameter, bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket):
        raise click.BadParameter(
            f"{bucket!r} is not a bucket name: leave out s3:// and anything after the name"
        )
    return bucket


def _check_prefix(_context: click.Context, _parameter: click.Parameter, prefix: str) -> str:
    """Refuse a prefix that S3 would take but no key would match."""
    if _NOT_AS_KEYS_BEGIN.match(prefix) or len(prefix.encode()) > _LONGEST_PREFIX:
        raise click.BadParameter(
            f"{prefix[:80]!r} is not how keys begin: write it without bucket, leading /, * or %XX"
        )
    return prefix


@click.command
@click.option("--bucket", required=True, callback=_check_bucket, help="Bucket of the logs.")
@click.option("--queue-arn", metavar="ARN", callback=_arn_of("sqs"), help="Announce to this queue.")
@click.option("--sns", metavar="TOPIC_ARN", callback=_arn_of("sns"), help="Announce to this topic.")
@click.option("--eventbridge", is_flag=True, help="Announce to EventBridge.")
@click.option(
    "--prefix",
    default="",
    callback=_check_prefix,
    help="Only objects whose keys begin with this; default: all.",
)
@dry_run_option()
@click.option("--undo", is_flag=True, help="Remove what the same call without --undo added.")
@click.option("--yes", is_flag=True, help="Do not ask before changing anything.")
@json_option()
@verbosity_options()
@click.pass_obj
def connect(  # noqa: PLR0913  one parameter an option
    screen: Screen,
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
    Have an existing bucket announce its new objects: to a queue, a topic or EventBridge.

    S3 keeps all notifications of a bucket in one configuration. This command shows what would
    change in it, asks, and writes it back with the notifications of others unchanged; run again, it
    finds nothing to do. Objects that are already in the bucket are not announced.

    The pipeline's queue must be subscribed to the topic. EventBridge receives events of the whole
    bucket; a rule there, with a filter of its own, must send them on to the queue.

    \b
    Examples:
      alb-logs connect --bucket my-logs --dry-run \\
          --queue-arn arn:aws:sqs:eu-central-1:123456789012:alb-logs
      alb-logs connect --bucket my-logs --prefix AWSLogs/123456789012/elasticloadbalancing/ \\
          --queue-arn arn:aws:sqs:eu-central-1:123456789012:alb-logs
      alb-logs connect --bucket my-logs --undo --yes \\
          --sns arn:aws:sns:eu-central-1:123456789012:new-logs

    Exit codes: 0 done or nothing to do, 1 AWS refuses or the change was not confirmed, 2 the call
    or a setting is wrong.
    """  # noqa: D301  \b is click's
    destinations = [arn for arn in (queue_arn, sns) if arn]
    request = Request(bucket, _wanted(destinations, prefix, eventbridge=eventbridge), undo)
    with screen.waiting("S3"):
        s3 = make_s3()
        before = read_configuration(s3, request)
    after = _turned(request, before)
    changes = subscription.changes(before, after)
    if changes:
        _show(screen, request, before, after, err=as_json)
    if changes and not dry_run:
        _ask(request, yes=yes)
        with screen.waiting("S3"):
            replace_configuration(s3, request, before, after)
    if as_json:
        screen.write_json(_as_json(request, after, changes, dry_run=dry_run))
    else:
        _report(screen, request, before, changes, dry_run=dry_run)


def _wanted(arns: list[str], prefix: str, *, eventbridge: bool) -> Wanted:
    if len(arns) + eventbridge != 1:
        raise click.UsageError("give one destination: --queue-arn, --sns or --eventbridge")
    if not eventbridge:
        return Subscription(arns[0], prefix)
    if prefix:
        raise click.UsageError(
            "EventBridge hears of the whole bucket: put the prefix into its rule, not here"
        )
    return EventBridge()


def _turned(request: Request, present: Configuration) -> Configuration:
    """Return the configuration as it should be."""
    if request.undo:
        return subscription.disconnect(present, request.wanted)
    after = subscription.connect(present, request.wanted)
    if not isinstance(after, Overlap):
        return after
    raise NotChangedError(
        f"{request.url}: S3 announces an object to one destination only, and some of these objects "
        f"are already announced by the {after.rule}: {_way_out(after)}"
    )


def _way_out(overlap: Overlap) -> str:
    if overlap.rule.arn == overlap.wanted.arn:
        return "it has the same destination, so widen or remove it, with the tool that made it"
    if overlap.rule.what == "topic":
        return f"subscribe the pipeline's queue to that topic, or {ANOTHER_WAY}"
    return f"remove it with --undo, or {WAYS_OUT}" if overlap.rule.ours else WAYS_OUT


def _ask(request: Request, *, yes: bool) -> None:
    if yes:
        return
    if not is_terminal(sys.stdin):
        raise NotChangedError(
            "nothing was changed: there is no terminal to ask on; add --yes to change it unasked"
        )
    if not click.confirm(f"Change the notifications of {request.url} like this?", err=True):
        raise NotChangedError("nothing was changed")


# What it says


def _show(
    screen: Screen, request: Request, before: Configuration, after: Configuration, *, err: bool
) -> None:
    difference = subscription.difference(before, after, request.url)
    if err:
        click.echo(difference, err=True)
    else:
        screen.write(f"{difference}\n")
    if request.undo and request.wanted == EventBridge():
        screen.note(
            f"nothing says who turned EventBridge on for {request.url}: every rule that matches "
            "this bucket stops receiving events"
        )


def _as_json(
    request: Request, after: Configuration, changes: list[Change], *, dry_run: bool
) -> dict[str, Any]:
    return {
        "bucket": request.bucket,
        "changes": [asdict(change) for change in changes],
        "dry_run": dry_run,
        "configuration": after,
    }


def _report(
    screen: Screen,
    request: Request,
    before: Configuration,
    changes: list[Change],
    *,
    dry_run: bool,
) -> None:
    if not changes:
        screen.say(f"{request.url}: nothing to do: {_why_nothing(request, before)}")
        return
    for change in changes:
        screen.say(f"{request.url}: {'would be ' if dry_run else ''}{change.verb}: {change.what}")
    if request.wanted == EventBridge() and not request.undo:
        pattern = {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [request.bucket]}},
        }
        screen.say(f"A rule must send these on to the queue: {json.dumps(pattern)}")


def _why_nothing(request: Request, present: Configuration) -> str:
    """Name what does it already, or the notifications of ours that may have been meant."""
    if isinstance(request.wanted, EventBridge):
        return f"EventBridge is {'off' if request.undo else 'on'}"
    if not request.undo:
        return f"there is the {subscription.covering(present, request.wanted)}"
    ours = [str(rule) for rule in subscription.rules(present) if rule.ours]
    return f"there is no such notification; made by this command: {' and '.join(ours) or 'none'}"
