"""The Lambda handler before it has reached Elasticsearch, and the numbers it shows."""

from types import ModuleType

import pytest
from aws_lambda_powertools.metrics import MetricUnit

from devstack.process import free_port
from pipeline.errors import ConfigError, SinkUnavailableError
from pipeline.metrics import METRICS
from pipeline.outcome import Tally
from tests.support.factories import KEY, s3_event, sqs_event
from tests.support.invocations import Function

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
    """Return the handler in an environment without one setting."""
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
    """A wrong setting fails every invocation with its name until it is fixed."""
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


def test_every_number_of_a_tally_is_a_metric() -> None:
    """Each term of the account is shown under its own name."""
    assert {name.capitalize() for name in Tally().as_dict()} <= set(METRICS)


def test_units_are_those_of_cloudwatch() -> None:
    """The table's units are names that CloudWatch knows."""
    assert {metric.unit for metric in METRICS.values()} <= {unit.value for unit in MetricUnit}
