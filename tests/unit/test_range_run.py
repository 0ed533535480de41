"""What a run by processes of its own says at its end, and what one that hands objects over does."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pipeline.cli.queue_run import Aim, fan_out
from pipeline.cli.range_run import RangeRun
from pipeline.cli.screen import Screen
from pipeline.jobs.backfill import Selection
from pipeline.jobs.selecting import Choice, Survey, survey, with_entries
from pipeline.jobs.workers import Work, Workers
from pipeline.sink.ledger import State
from pipeline.source.objects import ObjectRef
from tests.support.ledgers import entry, store_of
from tests.support.workers import obeying, ref_at

DAMAGED = ("ObjectCorruptError", "damaged")


def run(*refs: ObjectRef, meanwhile: int = 0, as_json: bool = False) -> int:
    """Ingest objects, of which others complete so many before their turn comes."""
    ledger: dict[str, Any] = {}
    selection = Selection(lambda: iter(refs), Choice.OPEN, store_of(ledger))
    found = Survey()
    survey(with_entries(refs, selection.store), Choice.OPEN, found)
    for each in refs[:meanwhile]:
        ledger |= entry(each)
    return RangeRun(Screen(), found, as_json=as_json).go(
        selection, Workers(1, Work("backfill", 1), obeying)
    )


def test_failures_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """The first twenty for people, all for machines, each with its reason; exit code 1."""
    refs = [*(ref_at(number, "damaged") for number in range(22)), ref_at(22)]

    assert (1, 1) == (run(*refs), run(*refs, as_json=True))

    out, err = capsys.readouterr()
    said = err.splitlines()
    assert [f"alb-logs: {ref.key} failed: damaged" for ref in refs[:20]] == said[:20]
    assert "alb-logs: … and 2 more objects failed; --json lists them all" == said[20]
    assert said[21].endswith("run the same command again: what is in is left out")
    assert "Together: 23 objects, 1 lines, 1 indexed, 0 duplicates, 0 rejected, 22 failed" in out
    failures = json.loads(out.splitlines()[-1])["failures"]
    assert [{"key": ref.key, "type": DAMAGED[0], "message": "damaged"} for ref in refs[:22]] == (
        failures
    )


def test_a_ledger_that_takes_no_entry(capsys: pytest.CaptureFixture[str]) -> None:
    """The lines are in: it is no failure, and it is said once, and at the end how often."""
    refs = [ref_at(number, "unrecorded") for number in range(9)]

    assert 0 == run(*refs)

    assert [
        f"alb-logs: the ledger has no entry of {refs[0].key}: no room for it",
        "alb-logs: the ledger has no entry of 9 objects that were read",
    ] == capsys.readouterr().err.splitlines()


def test_what_others_completed_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    """The ledger is asked again when an object's turn comes."""
    assert 0 == run(*map(ref_at, range(5)), meanwhile=2)

    out, err = capsys.readouterr()
    assert "2026-10-01: 3 objects" in out
    assert "alb-logs: 2 objects were completed by others meanwhile\n" == err


# --- handed over ---------------------------------------------------------------------------------


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a queue."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("sqs").create_queue(QueueName="alb-logs")["QueueUrl"]


def handed_over(
    queue: str, refs: list[ObjectRef], ledger: dict[str, Any], choice: Choice = Choice.OPEN
) -> int:
    """Hand objects over, and follow the ledger."""
    selection = Selection(lambda: iter(refs), choice, store_of(ledger))
    return fan_out(Screen(), selection, Aim(queue, len(refs)))


def test_what_fails_for_good_is_not_waited_for(
    queue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An object that fails again however often it is tried ends the wait, with exit code 1."""
    refs = [ref_at(number) for number in range(22)]
    ledger: dict[str, Any] = {}
    for each in refs:
        ledger |= entry(each, State.FAILED, DAMAGED)

    assert 1 == handed_over(queue, refs, ledger)

    out, err = capsys.readouterr()
    assert "0 of 22 objects are in, 22 failed, 0 are waiting" == out.splitlines()[-1]
    said = err.splitlines()
    assert f"alb-logs: {refs[0].key} failed: damaged" == said[0]
    assert "alb-logs: … and 2 more objects failed" == said[-1]


def test_a_wait_can_be_ended(queue: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends the wait alone; what may pass is waited for: no entry, a part, a slow S3."""
    refs = [ref_at(number) for number in range(3)]
    ledger = entry(refs[1], State.PARTIAL)
    ledger |= entry(refs[2], State.FAILED, ("SourceUnavailableError", "slow"))
    looks: list[int] = []

    def listed() -> Iterator[ObjectRef]:
        looks.append(1)
        if len(looks) == 3:  # after those that were to be sent, and a first look
            signal.raise_signal(signal.SIGINT)
        return iter(refs)

    selection = Selection(listed, Choice.OPEN, store_of(ledger))
    assert 130 == fan_out(Screen(), selection, Aim(queue, 3))

    out, err = capsys.readouterr()
    assert "0 of 3 objects are in, 0 failed, 3 are waiting" == out.splitlines()[-1]
    assert "the queue goes on without this command; `alb-logs audit` says what is missing" in err


def test_what_is_read_again_cannot_be_followed(
    queue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --no-resume all is complete before: the ledger says nothing of the second time."""
    refs = [ref_at(0)]

    assert 0 == handed_over(queue, refs, entry(refs[0]), Choice.ALL)

    out, err = capsys.readouterr()
    assert f"1 objects were sent to {queue}\n" == out
    assert "the ledger cannot tell when" in err
