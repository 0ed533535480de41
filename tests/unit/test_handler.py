"""The Lambda handler before it has reached Elasticsearch, and the numbers it shows."""

import json
from datetime import UTC, datetime
from types import ModuleType

import pytest

from devstack.process import free_port
from pipeline.errors import AccountingError, ConfigError, SinkUnavailableError
from pipeline.metrics import METRICS
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef
from tests.factories import KEY, s3_event, sqs_event
from tests.invocations import Function

EVENTS = [
    pytest.param(s3_event("bucket", KEY), id="direct"),
    pytest.param(sqs_event(s3_event("bucket", KEY)), id="sqs"),
    pytest.param({"Event": "s3:TestEvent"}, id="noise"),
]


@pytest.fixture
def function(
    handler_module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Function:
    """Give the handler in an environment without one setting."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("ALB_LOGS_ES_URL", raising=False)
    return Function(handler_module, capsys)


@pytest.mark.parametrize("event", EVENTS)
def test_a_missing_setting_fails_the_invocation(function: Function, event: object) -> None:
    """Without an address every invocation fails with the setting's name, and is counted."""
    invocation = function(event)

    assert isinstance(invocation.error, ConfigError)
    assert "ALB_LOGS_ES_URL is not set" in str(invocation.error)
    assert {"StartErrors": [1.0]} == invocation.metrics


@pytest.mark.parametrize("event", EVENTS)
def test_a_wrong_setting_fails_the_invocation(
    function: Function, monkeypatch: pytest.MonkeyPatch, event: object
) -> None:
    """A wrong setting fails every invocation with its name until it is mended."""
    monkeypatch.setenv("ALB_LOGS_ES_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ALB_LOGS_ES_CONNECTIONS", "many")

    first, second = function(event), function(event)

    assert isinstance(first.error, ConfigError)
    assert "ALB_LOGS_ES_CONNECTIONS: 'many'" in str(first.error)
    assert str(first.error) == str(second.error)
    assert {"StartErrors": [1.0]} == second.metrics


@pytest.mark.parametrize("event", EVENTS)
def test_no_elasticsearch_fails_the_invocation(
    function: Function, monkeypatch: pytest.MonkeyPatch, event: object
) -> None:
    """Where nothing answers, the invocation fails as one that may work later."""
    monkeypatch.setenv("ALB_LOGS_ES_URL", f"http://127.0.0.1:{free_port()}")

    invocation = function(event)

    assert isinstance(invocation.error, SinkUnavailableError)
    assert "ALB_LOGS_ES_URL is right" in str(invocation.error)
    assert {"StartErrors": [1.0]} == invocation.metrics


@pytest.mark.parametrize(
    ("ref", "outcome", "names"),
    [
        pytest.param(
            ObjectRef("bucket", KEY),
            Outcome(Tally(lines=2, indexed=1), AccountingError("2 lines, 1 accounted for")),
            {"ObjectsFailed", "AccountingErrors"},
            id="defect",
        ),
        pytest.param(
            ObjectRef("bucket", "web.log", created=datetime(2026, 11, 20, tzinfo=UTC)),
            Outcome(Tally(lines=1, indexed=1)),
            {"IngestLag"},
            id="object-of-another-name",
        ),
    ],
)
def test_rare_outcomes_are_measured(
    function: Function,
    capsys: pytest.CaptureFixture[str],
    ref: ObjectRef,
    outcome: Outcome,
    names: set[str],
) -> None:
    """Lines that do not add up have a metric of their own; a key without a time gives no lag."""
    function.module._measure(ref, outcome, goes_on=False)
    function.module.metrics.flush_metrics()

    (emf,) = map(json.loads, capsys.readouterr().out.splitlines())
    counts = {name.capitalize() for name in Tally().as_dict()}
    assert {"Objects", *counts, *names} == set(METRICS) & set(emf)
    assert [outcome.tally.lines] == emf["Lines"]


def test_every_number_of_a_tally_is_a_metric() -> None:
    """Each term of the account is shown under its own name."""
    assert {name.capitalize() for name in Tally().as_dict()} <= set(METRICS)


def test_units_are_those_of_cloudwatch(function: Function) -> None:
    """The table's units are names that CloudWatch knows."""
    known = set(function.module.metrics.provider._metric_units)
    assert {metric.unit for metric in METRICS.values()} <= known
