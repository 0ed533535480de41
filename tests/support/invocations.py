"""Invoke `lambda/handler.py` as Lambda does, and take apart what it prints."""

import json
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from pipeline.metrics import METRICS

_MOST_VALUES = 100
"""Of one metric in one line: CloudWatch drops what is beyond."""


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda says of an invocation."""

    seconds: float = 300.0
    function_name: str = "alb-logs"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:alb-logs"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left, which here stands still."""
        return int(self.seconds * 1_000)


@dataclass(slots=True)
class Invocation:
    """How one invocation ended, and what it printed: log lines, and every metric's values."""

    answer: Any = None
    error: Exception | None = None
    logs: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Return the ids of the messages that are to come again."""
        return [each["itemIdentifier"] for each in self.answer["batchItemFailures"]]

    def total(self, name: str) -> float:
        """Add up one metric, as CloudWatch does; 0 where there is none."""
        return sum(self.metrics.get(name, []))

    def add(self, printed: dict[str, Any]) -> None:
        """Add one printed line; a line of metrics must be as CloudWatch wants it."""
        if "_aws" not in printed:
            self.logs.append(printed)
            return
        (described,) = printed["_aws"]["CloudWatchMetrics"]
        assert ("alb-logs", [["service"]]) == (described["Namespace"], described["Dimensions"])
        for metric in described["Metrics"]:
            values = printed[metric["Name"]]
            assert METRICS[metric["Name"]].unit == metric["Unit"]
            assert 1 <= len(values) <= _MOST_VALUES
            self.metrics.setdefault(metric["Name"], []).extend(values)


@dataclass(frozen=True, slots=True)
class Function:
    """The handler's module, in a process whose output is captured."""

    module: ModuleType
    capsys: pytest.CaptureFixture[str]

    def __call__(self, event: object, *, seconds: float = 300.0) -> Invocation:
        """Invoke it with an event, so many seconds before the function's timeout."""
        self.module.logger.registered_handler.stream = sys.stdout  # that of this test
        self.capsys.readouterr()
        invocation = Invocation()
        try:
            invocation.answer = self.module.handler(event, Context(seconds))
        except Exception as error:  # noqa: BLE001  Lambda takes any
            invocation.error = error
        for line in self.capsys.readouterr().out.splitlines():
            invocation.add(json.loads(line))
        return invocation
