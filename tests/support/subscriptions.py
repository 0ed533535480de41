"""Build notification configurations as boto3 returns them."""

from typing import Any
from urllib.parse import quote_plus

from pipeline.jobs.subscription import (
    Configuration,
    configuration_of,
)
from tests.support.notifying import ALL, OTHER_QUEUE


def entry(
    arn: str = OTHER_QUEUE, *, name: str = "x", events: tuple[str, ...] = (ALL,), **filters: str
) -> dict[str, Any]:
    """Return a notification as boto3 gives it, of a queue or a topic."""
    key = "TopicArn" if ":sns:" in arn else "QueueArn"
    found: dict[str, Any] = {"Id": name, key: arn, "Events": [*events]}
    given_ = [
        {"Name": each.capitalize(), "Value": quote_plus(value, safe="/")}
        for each, value in filters.items()
        if value
    ]
    return found | ({"Filter": {"Key": {"FilterRules": given_}}} if given_ else {})


def configured(*entries: dict[str, Any]) -> Configuration:
    """Build a configuration of notifications."""
    places = {"QueueConfigurations": "QueueArn", "TopicConfigurations": "TopicArn"}
    return configuration_of(
        {place: [each for each in entries if arn in each] for place, arn in places.items()}
    )
