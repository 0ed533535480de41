"""Which outcome of an object is which result of its task."""

import pytest

from pipeline.alb.keys import Skipped, SkipReason
from pipeline.errors import (
    AccountingError,
    ClusterRefusedError,
    ConfigError,
    DefectError,
    NotificationError,
    ObjectCorruptError,
    ObjectMissingError,
    PipelineError,
    SinkUnavailableError,
    SourceUnavailableError,
)
from pipeline.jobs.invocation import Finished, Report
from pipeline.jobs.tasks import MOST_CHARACTERS, Results, result_of
from pipeline.outcome import Outcome, Tally
from pipeline.source.batch_operations import Result
from pipeline.source.objects import ObjectRef

REF = ObjectRef("bucket", "key")
TALLY = Tally(lines=5, indexed=3, duplicates=2, bytes=700)


def failed(error: PipelineError) -> Finished:
    """Return the report of an object that failed."""
    return Finished(REF, Outcome(Tally(), error))


@pytest.mark.parametrize(
    ("report", "code", "text"),
    [
        pytest.param(
            Finished(REF, Outcome(TALLY)),
            "Succeeded",
            "ingested: 5 lines, 3 indexed, 2 duplicates, 700 bytes",
            id="ingested",
        ),
        pytest.param(Finished(REF, Outcome(Tally())), "Succeeded", "ingested: no line", id="empty"),
        pytest.param(
            Finished(REF, Outcome(TALLY), goes_on=True),
            "Succeeded",
            "goes on in the queue: 5 lines, 3 indexed, 2 duplicates, 700 bytes",
            id="goes-on",
        ),
        pytest.param(
            Skipped(SkipReason.NETWORK_LOAD_BALANCER),
            "Succeeded",
            "skipped: it is not an ALB log (network-load-balancer)",
            id="skipped",
        ),
        pytest.param(NotificationError("odd"), "PermanentFailure", "odd", id="odd-task"),
        pytest.param(failed(ObjectMissingError("gone")), "PermanentFailure", "gone", id="missing"),
        pytest.param(failed(ObjectCorruptError("cut")), "PermanentFailure", "cut", id="cut"),
        pytest.param(failed(AccountingError("5 of 4")), "PermanentFailure", "5 of 4", id="account"),
        pytest.param(failed(ConfigError("403")), "TemporaryFailure", "403", id="setting"),
        pytest.param(failed(ClusterRefusedError("full")), "TemporaryFailure", "full", id="cluster"),
        pytest.param(failed(SinkUnavailableError("down")), "TemporaryFailure", "down", id="sink"),
        pytest.param(failed(SourceUnavailableError("503")), "TemporaryFailure", "503", id="source"),
    ],
)
def test_every_outcome_has_its_result(report: Report, code: str, text: str) -> None:
    """What may work later is tried again by S3; what will not is in the report of its job."""
    result = result_of(report)

    assert (code, text) == (result.code, result.text)


def test_a_defect_quotes_no_line() -> None:
    """What an unforeseen exception says may be a line's, and a report is read by others."""
    defect = DefectError("a defect of this package: ValueError: GET /secret")
    defect.__cause__ = ValueError("GET /secret")

    result = result_of(failed(defect))

    assert "PermanentFailure" == result.code
    assert "a defect of this package (ValueError): see the log of the function" == result.text


def test_a_text_is_as_short_as_s3_wants_it() -> None:
    """A long message is cut."""
    assert "x" * MOST_CHARACTERS == result_of(failed(ConfigError("x" * 5_000))).text


def test_a_task_that_was_not_come_to_is_tried_again() -> None:
    """No task lacks a result."""
    results = Results({"a": Result("Succeeded", "")})

    assert ("Succeeded", "TemporaryFailure") == (results["a"].code, results["b"].code)
