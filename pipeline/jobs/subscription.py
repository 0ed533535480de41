"""
Fit our notification into a bucket's configuration, beside those of others.

S3 keeps one notification configuration per bucket and only ever replaces it as a whole, so every
change is: read all, change ours, write all. This module is the middle part and makes no call;
`bucket_notifications` reads and writes. A configuration here has the form that boto3 uses.

There is no filter by suffix, only by prefix. S3 does not allow two notifications for the same
object, so a suffix would avoid some conflicts with others; but if AWS ever names objects
differently, they would be lost without a trace, whereas `keys` skips and counts them.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
"""

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, unquote_plus

Configuration = dict[str, Any]

EVENTS = "s3:ObjectCreated:*"
"""All ways to write an object: Put, Post, Copy and multipart upload."""

_EVENT_BRIDGE = "EventBridgeConfiguration"
_DESTINATIONS = {
    "QueueConfigurations": ("queue", "QueueArn"),
    "TopicConfigurations": ("topic", "TopicArn"),
    "LambdaFunctionConfigurations": ("function", "LambdaFunctionArn"),
}
_OF_SERVICE = {"sqs": "QueueConfigurations", "sns": "TopicConfigurations"}
_SENDING = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}

_OUR_ID = re.compile(r"alb-logs-[0-9a-f]{16}")
_ELEMENT = re.compile(rb"<(?:\w+:)?(\w+)")
_KNOWN_ELEMENTS = frozenset(
    {
        *("NotificationConfiguration", "EventBridgeConfiguration"),
        *("QueueConfiguration", "TopicConfiguration", "CloudFunctionConfiguration"),
        *("Id", "Queue", "Topic", "CloudFunction", "Event"),
        *("Filter", "S3Key", "FilterRule", "Name", "Value"),
    }
)
# Characters that a filter holds unencoded; S3 compares with the key's URL-encoded form.
_SAFE = "/!-_.*'()"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is asked for: a queue or topic is told of new objects with this prefix."""

    arn: str
    prefix: str = ""

    @property
    def id(self) -> str:
        """Name the notification so that a later run recognizes it as ours, and as this one."""
        digest = hashlib.sha256(f"{self.arn}\n{self.prefix}".encode()).hexdigest()
        return f"alb-logs-{digest[:16]}"

    @property
    def service(self) -> str:
        """Return the service of the destination: sqs or sns."""
        return self.arn.split(":")[2]


@dataclass(frozen=True, slots=True)
class EventBridge:
    """What is asked for: EventBridge is told of the whole bucket. It has no Id and no filter."""


Wanted = Subscription | EventBridge


@dataclass(frozen=True, slots=True)
class Rule:
    """One notification of a bucket: which objects are announced, and to which destination."""

    what: str
    arn: str
    id: str
    events: tuple[str, ...]
    prefix: str
    suffix: str

    @property
    def ours(self) -> bool:
        """Whether this program made it."""
        return _OUR_ID.fullmatch(self.id) is not None

    def __str__(self) -> str:
        """Return a description by which a user can find it."""
        keys = f"{self.prefix}*{self.suffix}"
        return f"{self.what} {self.arn} for {', '.join(self.events)} of {keys} (Id {self.id})"


@dataclass(frozen=True, slots=True)
class Overlap:
    """A notification of some of the wanted objects already exists: S3 allows no second one."""

    rule: Rule
    wanted: Subscription


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one notification: added, changed or removed."""

    verb: str
    what: str


def configuration_of(answer: Configuration) -> Configuration:
    """Return the configuration within an answer of boto3."""
    return {name: value for name, value in answer.items() if _says_something(name, value)}


def unknown_elements(xml: bytes) -> list[str]:
    """
    Return the elements that boto3 drops silently, so that writing back would lose them.

    A boto3 older than EventBridge notifications (late 2021), for example, would switch them off.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_NotificationConfiguration.html
    """
    names = {name.decode() for name in _ELEMENT.findall(xml)}
    return sorted(names - _KNOWN_ELEMENTS)


def rules(configuration: Configuration) -> Iterator[Rule]:
    """Yield the notifications to queues, topics and functions."""
    for kind in _DESTINATIONS:
        yield from (_rule(kind, entry) for entry in configuration.get(kind, ()))


def connect(present: Configuration, wanted: Wanted) -> Configuration | Overlap:
    """
    Return the configuration with what is wanted added and everything else as it was.

    One of ours with the same destination and a narrower prefix is replaced in the same step, so
    that no object is missed.
    """
    if isinstance(wanted, EventBridge):
        return {_EVENT_BRIDGE: {}, **present}
    if covering(present, wanted):
        return present
    kept = _without(present, lambda rule: _is_replaced(rule, wanted))
    for rule in rules(kept):
        if _overlaps(rule, wanted):
            return Overlap(rule, wanted)
    kind = _OF_SERVICE[wanted.service]
    return {**kept, kind: [*kept.get(kind, ()), _entry(wanted)]}


def disconnect(present: Configuration, wanted: Wanted) -> Configuration:
    """Return the configuration without what `connect` added to it."""
    if isinstance(wanted, EventBridge):
        return {kind: value for kind, value in present.items() if kind != _EVENT_BRIDGE}
    return _without(present, lambda rule: rule.id == wanted.id)


def covering(present: Configuration, wanted: Subscription) -> Rule | None:
    """Return the notification, no matter who made it, that already announces all that is wanted."""
    for rule in rules(present):
        if (
            (rule.arn, rule.suffix) == (wanted.arn, "")
            and EVENTS in rule.events
            and wanted.prefix.startswith(rule.prefix)
        ):
            return rule
    return None


def changes(before: Configuration, after: Configuration) -> list[Change]:
    """Return what differs, notification by notification."""
    old, new = _by_id(before), _by_id(after)
    removed = [Change("removed", str(old[key])) for key in old.keys() - new.keys()]
    added = [Change("added", str(new[key])) for key in new.keys() - old.keys()]
    both = old.keys() & new.keys()
    changed = [Change("changed", str(new[key])) for key in both if old[key] != new[key]]
    return sorted([*removed, *changed, *added], key=lambda change: (change.verb, change.what))


def difference(before: Configuration, after: Configuration, title: str) -> str:
    """
    Return a unified diff of both as JSON.

    Commas at line ends are left out: a notification that is added would show its neighbor as
    changed.
    """
    lines = difflib.unified_diff(
        _lines(before), _lines(after), f"{title} (now)", f"{title} (then)", lineterm=""
    )
    return "\n".join(lines)


def policy_statement(wanted: Subscription, bucket: str) -> dict[str, Any]:
    """
    Return the statement that the destination's policy needs so that S3 may send for this bucket.

    The account is the destination's; the bucket's owner may be another.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
    """
    _, partition, service, _, account, _ = wanted.arn.split(":", 5)
    return {
        "Sid": "AllowBucketNotifications",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": _SENDING[service],
        "Resource": wanted.arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:{partition}:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": account},
        },
    }


def _says_something(name: str, value: object) -> bool:
    """Return whether an element configures something; EventBridge does by being there, empty."""
    return name == _EVENT_BRIDGE or (name != "ResponseMetadata" and bool(value))


def _rule(kind: str, entry: dict[str, Any]) -> Rule:
    what, arn = _DESTINATIONS[kind]
    found = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    # S3 returns "Prefix" for "prefix".
    filters = {each["Name"].lower(): unquote_plus(each.get("Value", "")) for each in found}
    return Rule(
        what=what,
        arn=entry[arn],
        id=entry.get("Id", ""),
        events=tuple(entry["Events"]),
        prefix=filters.get("prefix", ""),
        suffix=filters.get("suffix", ""),
    )


def _entry(wanted: Subscription) -> dict[str, Any]:
    _, arn = _DESTINATIONS[_OF_SERVICE[wanted.service]]
    entry: dict[str, Any] = {"Id": wanted.id, arn: wanted.arn, "Events": [EVENTS]}
    if wanted.prefix:  # S3 refuses an empty prefix
        value = quote_plus(wanted.prefix, safe=_SAFE)
        entry["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": value}]}}
    return entry


def _is_replaced(rule: Rule, wanted: Subscription) -> bool:
    within = rule.ours and rule.arn == wanted.arn and rule.prefix.startswith(wanted.prefix)
    return within or rule.id == wanted.id


def _overlaps(rule: Rule, wanted: Subscription) -> bool:
    """Return whether both could match one object; as ours has no suffix, theirs is irrelevant."""
    created = any(event.startswith(EVENTS.removesuffix("*")) for event in rule.events)
    shorter, longer = sorted((rule.prefix, wanted.prefix), key=len)
    return created and longer.startswith(shorter)


def _without(present: Configuration, gone: Callable[[Rule], bool]) -> Configuration:
    kept = dict(present)
    for kind in _DESTINATIONS.keys() & present.keys():
        kept[kind] = [entry for entry in present[kind] if not gone(_rule(kind, entry))]
    return configuration_of(kept)


def _by_id(configuration: Configuration) -> dict[str, Rule | str]:
    found: dict[str, Rule | str] = {rule.id: rule for rule in rules(configuration)}
    if _EVENT_BRIDGE in configuration:
        found[_EVENT_BRIDGE] = "EventBridge, for the whole bucket"
    return found


def _lines(configuration: Configuration) -> list[str]:
    text = json.dumps(configuration, indent=2, sort_keys=True, ensure_ascii=False)
    return [line.removesuffix(",") for line in text.splitlines()]
