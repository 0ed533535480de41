"""
Fit our notification into a bucket's configuration, beside those of others.

S3 keeps one notification configuration per bucket and only ever replaces it as a whole, so every
change is: read all, change ours, write all. This module is the middle part and makes no call;
`cli/connect.py` reads, asks and writes. A configuration here is what boto3 gives and takes.

There is no filter by suffix, only by prefix. S3 lets no two notifications have the same object, so
a suffix would let us stand beside some others; but an object that AWS one day names in another way
would be lost without a trace, where `discovery` now knows it by its name, skips it and counts it.

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
"""ELB writes by Put, Post and multipart upload: all of them are asked for."""

_EVENT_BRIDGE = "EventBridgeConfiguration"
_PLACES = {
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
# What may stand in a filter as it is; S3 compares with the key's URL-encoded form.
_SAFE = "/!-_.*'()"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is asked for: a queue or topic hears of new objects whose keys begin so."""

    arn: str
    prefix: str = ""

    @property
    def id(self) -> str:
        """Name the notification so that a later run knows it for ours, and for this one."""
        digest = hashlib.sha256(f"{self.arn}\n{self.prefix}".encode()).hexdigest()
        return f"alb-logs-{digest[:16]}"

    @property
    def service(self) -> str:
        """Give the service that the destination is of: sqs or sns."""
        return self.arn.split(":")[2]


@dataclass(frozen=True, slots=True)
class EventBridge:
    """What is asked for: EventBridge hears of the whole bucket. It has no Id and no filter."""


Wanted = Subscription | EventBridge


@dataclass(frozen=True, slots=True)
class Rule:
    """One notification that a bucket has: which objects, and where to."""

    what: str
    arn: str
    id: str
    events: tuple[str, ...]
    prefix: str
    suffix: str

    @property
    def ours(self) -> bool:
        """Tell whether this program made it."""
        return _OUR_ID.fullmatch(self.id) is not None

    def __str__(self) -> str:
        """Name it as a user would look for it."""
        keys = f"{self.prefix}*{self.suffix}"
        return f"{self.what} {self.arn} for {', '.join(self.events)} of {keys} (Id {self.id})"


@dataclass(frozen=True, slots=True)
class Overlap:
    """The notification that has some of the wanted objects already: S3 allows no second one."""

    rule: Rule
    wanted: Subscription


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one notification: added, changed or removed."""

    verb: str
    what: str


def configuration_of(answer: Configuration) -> Configuration:
    """Take the configuration out of what boto3 answers."""
    return {name: value for name, value in answer.items() if _says_something(name, value)}


def unknown_elements(xml: bytes) -> list[str]:
    """
    Name what S3 says that boto3 would drop in silence, and a written configuration then lacks.

    So a boto3 that is older than EventBridge, of late 2021, would switch it off.
    """
    names = {name.decode() for name in _ELEMENT.findall(xml)}
    return sorted(names - _KNOWN_ELEMENTS)


def rules(configuration: Configuration) -> Iterator[Rule]:
    """Give the notifications to queues, topics and functions."""
    for place in _PLACES:
        yield from (_rule(place, entry) for entry in configuration.get(place, ()))


def connect(present: Configuration, wanted: Wanted) -> Configuration | Overlap:
    """
    Give the configuration with what is wanted in it, all else being as it was.

    One of ours to the same place that hears of less is replaced: nothing is missed in between.
    """
    if isinstance(wanted, EventBridge):
        return {_EVENT_BRIDGE: {}, **present}
    if covering(present, wanted):
        return present
    kept = _without(present, lambda rule: _is_replaced(rule, wanted))
    for rule in rules(kept):
        if _overlaps(rule, wanted):
            return Overlap(rule, wanted)
    place = _OF_SERVICE[wanted.service]
    return {**kept, place: [*kept.get(place, ()), _entry(wanted)]}


def disconnect(present: Configuration, wanted: Wanted) -> Configuration:
    """Give the configuration without what `connect` put into it, and with all else."""
    if isinstance(wanted, EventBridge):
        return {place: value for place, value in present.items() if place != _EVENT_BRIDGE}
    return _without(present, lambda rule: rule.id == wanted.id)


def covering(present: Configuration, wanted: Subscription) -> Rule | None:
    """Give the notification, whoever made it, by which all that is wanted arrives already."""
    for rule in rules(present):
        if (
            (rule.arn, rule.suffix) == (wanted.arn, "")
            and EVENTS in rule.events
            and wanted.prefix.startswith(rule.prefix)
        ):
            return rule
    return None


def changes(before: Configuration, after: Configuration) -> list[Change]:
    """Name what differs, one by one."""
    old, new = _by_id(before), _by_id(after)
    removed = [Change("removed", str(old[key])) for key in old.keys() - new.keys()]
    added = [Change("added", str(new[key])) for key in new.keys() - old.keys()]
    both = old.keys() & new.keys()
    changed = [Change("changed", str(new[key])) for key in both if old[key] != new[key]]
    return sorted([*removed, *changed, *added], key=lambda change: (change.verb, change.what))


def difference(before: Configuration, after: Configuration, title: str) -> str:
    """
    Show both as JSON in a unified diff.

    Without the commas at line ends: else one more notification shows its neighbour as changed.
    """
    lines = difflib.unified_diff(
        _lines(before), _lines(after), f"{title} (now)", f"{title} (then)", lineterm=""
    )
    return "\n".join(lines)


def policy_statement(wanted: Subscription, bucket: str) -> dict[str, Any]:
    """
    Give what the destination's policy must say, so that S3 may send for this bucket.

    The account is the destination's; the bucket's owner may be another.
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
    """Tell an empty list from EventBridge, which is switched on by being there, empty."""
    return name == _EVENT_BRIDGE or (name != "ResponseMetadata" and bool(value))


def _rule(place: str, entry: dict[str, Any]) -> Rule:
    what, arn = _PLACES[place]
    found = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    # S3 gives back "Prefix" for "prefix".
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
    _, arn = _PLACES[_OF_SERVICE[wanted.service]]
    entry: dict[str, Any] = {"Id": wanted.id, arn: wanted.arn, "Events": [EVENTS]}
    if wanted.prefix:  # S3 refuses an empty one
        value = quote_plus(wanted.prefix, safe=_SAFE)
        entry["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": value}]}}
    return entry


def _is_replaced(rule: Rule, wanted: Subscription) -> bool:
    within = rule.ours and rule.arn == wanted.arn and rule.prefix.startswith(wanted.prefix)
    return within or rule.id == wanted.id


def _overlaps(rule: Rule, wanted: Subscription) -> bool:
    """Tell whether an object could be of both; as we name no suffix, theirs does not matter."""
    created = any(event.startswith(EVENTS.removesuffix("*")) for event in rule.events)
    shorter, longer = sorted((rule.prefix, wanted.prefix), key=len)
    return created and longer.startswith(shorter)


def _without(present: Configuration, gone: Callable[[Rule], bool]) -> Configuration:
    kept = dict(present)
    for place in _PLACES.keys() & present.keys():
        kept[place] = [entry for entry in present[place] if not gone(_rule(place, entry))]
    return configuration_of(kept)


def _by_id(configuration: Configuration) -> dict[str, Rule | str]:
    found: dict[str, Rule | str] = {rule.id: rule for rule in rules(configuration)}
    if _EVENT_BRIDGE in configuration:
        found[_EVENT_BRIDGE] = "EventBridge, for the whole bucket"
    return found


def _lines(configuration: Configuration) -> list[str]:
    text = json.dumps(configuration, indent=2, sort_keys=True, ensure_ascii=False)
    return [line.removesuffix(",") for line in text.splitlines()]
