"""What one invocation does with the objects that it is given: begin, pass on, fail."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from pipeline.alb.keys import Skipped, SkipReason
from pipeline.deadline import Deadline
from pipeline.errors import (
    ClusterRefusedError,
    ConfigError,
    DefectError,
    NotificationError,
    ObjectCorruptError,
    ObjectMissingError,
    PermanentError,
    PipelineError,
    RetriableError,
    SinkUnavailableError,
)
from pipeline.ingest import Time
from pipeline.jobs.invocation import Finished, Invocation, time_for_objects
from pipeline.outcome import Outcome, Tally
from pipeline.source.continuation import MOST_HOPS, Continuation, ResumePoint
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline, Queue, Wired
from tests.support.factories import KEY

POINT = ResumePoint(offset=10, etag="e", member=0)
_FOREVER = Deadline()
PLENTY = Time(Deadline().within(3_600.0), reserve=10.0)
SHORT = Time(Deadline().within(5.0), reserve=10.0)


def ref(name: str = "a") -> ObjectRef:
    """Return an object of this name."""
    return ObjectRef("bucket", KEY.replace("3q2xk9fz", name))


@dataclass
class Scripted:
    """Stand for the pipeline: end each object as told, in order."""

    endings: list[Outcome | Exception]
    begun: list[str] = field(default_factory=list)

    def ingest(self, ref: ObjectRef, _time: Time) -> Outcome:
        """Return or raise the next ending."""
        self.begun.append(ref.key)
        ending = self.endings.pop(0)
        if isinstance(ending, Exception):
            raise ending
        return ending


@pytest.fixture
def queue() -> Iterator[Queue]:
    """Return an empty queue."""
    with mock_aws():
        sqs = boto3.client("sqs", region_name="eu-central-1")
        yield Queue(sqs.create_queue(QueueName="q")["QueueUrl"], sqs)


def queued(queue: Queue) -> list[dict[str, Any]]:
    """Return the continuations that were queued."""
    messages = queue.patient.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10)
    return [
        json.loads(each["Body"])["albLogsContinuation"] for each in messages.get("Messages", ())
    ]


@dataclass
class FakeWired(Wired):
    """Wire what a test brings."""

    opened: Scripted | PipelineError
    own_queue: Queue | None = None

    def pipeline(self, deadline: Deadline = _FOREVER) -> Pipeline:  # noqa: ARG002  as in Wired
        """Return the scripted pipeline, or raise the error of wiring it."""
        if isinstance(self.opened, PipelineError):
            raise self.opened
        return cast("Pipeline", self.opened)

    def queue(self) -> Queue | None:
        """Return the test's queue."""
        return self.own_queue


def invocation(
    opened: Scripted | PipelineError, queue: Queue | None = None, time: Time = PLENTY
) -> Invocation:
    """Return an invocation whose objects end as scripted."""
    return Invocation(FakeWired(opened, queue), time, _FOREVER)


def work(
    running: Invocation, found: Iterable[ObjectRef | Skipped], message_id: str | None = None
) -> tuple[list[Any], PipelineError | None]:
    """Work to the end; return all reports, and the error raised then."""
    reports: list[Any] = []
    try:
        reports.extend(running.work_through(found, message_id))
    except PipelineError as error:
        return reports, error
    return reports, None


def test_one_failure_does_not_hide_the_others() -> None:
    """Every object gets its turn; the first error is raised at the end."""
    first, second = ObjectCorruptError("cut"), SinkUnavailableError("down")
    scripted = Scripted(
        [Outcome(Tally(), first), Outcome(Tally(), second), Outcome(Tally(lines=1))]
    )

    reports, error = work(invocation(scripted), [ref("a"), ref("b"), ref("c")])

    assert [ref("a").key, ref("b").key, ref("c").key] == scripted.begun
    assert [first, second, None] == [each.error for each in reports]
    assert error is first


def test_what_is_skipped_or_missing_is_no_failure() -> None:
    """A skipped notification and a missing object are reported and acknowledged."""
    skipped = Skipped(SkipReason.TEST_EVENT)
    scripted = Scripted([Outcome(Tally(), ObjectMissingError("gone"))])

    reports, error = work(invocation(scripted), [skipped, ref()])

    assert error is None
    assert skipped == reports[0]
    assert isinstance(reports[1].outcome.error, ObjectMissingError)


def test_a_message_not_understood_fails_after_the_good_objects() -> None:
    """An error of the message itself comes after the objects that it names."""

    def found() -> Iterator[ObjectRef]:
        yield ref()
        raise NotificationError("odd")

    reports, error = work(invocation(Scripted([Outcome(Tally())])), found())

    assert isinstance(reports[0], Finished)
    assert reports[1] is error
    assert isinstance(error, NotificationError)


def test_an_unforeseen_exception_is_a_defect_of_its_object() -> None:
    """The object fails with its cause, and the next one gets its turn."""
    scripted = Scripted([KeyError("x"), Outcome(Tally())])

    reports, error = work(invocation(scripted), [ref("a"), ref("b")])

    assert isinstance(error, DefectError)
    assert isinstance(error.__cause__, KeyError)
    assert reports[1].error is None


def test_clients_that_cannot_be_made_fail_their_object() -> None:
    """An error of wiring is the object's, and says that clients have to be made again."""
    reports, error = work(invocation(ConfigError("a wrong setting")), [ref()])

    assert isinstance(error, ConfigError)
    assert reports[0].is_misconfigured


def test_the_rest_of_an_object_is_queued(queue: Queue) -> None:
    """What time was too short for goes on by a message, with all that was counted so far."""
    begun = replace(
        ref(),
        continuation=Continuation("bucket", ref().key, hop=3, start=POINT, tally={"lines": 5}),
    )
    rest = replace(POINT, offset=20)
    running = invocation(Scripted([Outcome(Tally(lines=2, indexed=2), rest=rest)]), queue)

    assert ([], None) == work(running, [begun])
    assert [] == queued(queue)  # not before everything else is done
    (finished,) = running.hand_over()

    assert finished.goes_on
    (message,) = queued(queue)
    assert (4, 20) == (message["hop"], message["start"]["offset"])
    assert (7, 2) == (message["tally"]["lines"], message["tally"]["indexed"])


def test_what_is_not_begun_is_queued(queue: Queue) -> None:
    """With time for no object none is begun: all of it is passed on, without counting a hop."""
    scripted = Scripted([])
    running = invocation(scripted, queue, SHORT)

    assert ([], None) == work(running, [ref()])
    (finished,) = running.hand_over()

    assert (True, []) == (finished.goes_on, scripted.begun)
    (message,) = queued(queue)
    assert (0, None) == (message["hop"], message["start"])


def test_equal_messages_go_on_as_one(queue: Queue) -> None:
    """An object that two messages of a batch name is passed on once; both are acknowledged."""
    running = invocation(Scripted([]), queue, SHORT)
    work(running, [ref()], "m0")
    work(running, [ref()], "m1")

    finished = list(running.hand_over())

    assert [("m0", True), ("m1", True)] == [(each.message_id, each.goes_on) for each in finished]
    assert 1 == len(queued(queue))


def test_any_number_of_objects_go_on(queue: Queue) -> None:
    """What is left of more objects than one request holds is queued, each once."""
    running = invocation(Scripted([]), queue, SHORT)
    work(running, [ref(f"n{number}") for number in range(25)])

    assert [True] * 25 == [each.goes_on for each in running.hand_over()]

    keys = [each["key"] for _ in range(3) for each in queued(queue)]
    assert sorted(ref(f"n{number}").key for number in range(25)) == sorted(keys)


def test_what_is_left_of_a_failed_message_stays_with_it(queue: Queue) -> None:
    """A message that comes again brings all its objects: none of them is queued besides."""
    scripted = Scripted([Outcome(Tally(), rest=POINT), Outcome(Tally(), ObjectCorruptError("cut"))])
    running = invocation(scripted, queue)

    reports, error = work(running, [ref("a"), ref("b")], "m0")

    assert isinstance(error, ObjectCorruptError)
    assert [ObjectCorruptError, RetriableError] == [type(each.error) for each in reports]
    assert [] == list(running.hand_over())
    assert [] == queued(queue)


@pytest.mark.parametrize("error", [SinkUnavailableError("down"), ClusterRefusedError("full")])
def test_nothing_is_passed_on_to_a_sick_cluster(queue: Queue, error: PipelineError) -> None:
    """Where Elasticsearch takes nothing the failure is shown to the queue, not hidden by a hop."""
    time = Time(Deadline().within(10.2), reserve=10.0)
    scripted = Scripted([Outcome(Tally(), error)])
    running = invocation(scripted, queue, time)
    work(running, [ref("a")])
    _wait_until_short(time)

    reports, raised = work(running, [ref("b")])

    assert raised is error is reports[0].error
    assert [] == queued(queue)


def _wait_until_short(time: Time) -> None:
    Deadline(end=time.deadline.end - time.reserve).back_off(0, first=0.5)
    while time.deadline.seconds_left > time.reserve:
        pass


def test_without_a_queue_what_is_left_fails() -> None:
    """The error names the setting by which it could go on."""
    running = invocation(Scripted([Outcome(Tally(lines=2, indexed=2), rest=POINT)]))
    work(running, [ref()], "m0")

    (finished,) = running.hand_over()

    assert isinstance(finished.error, RetriableError)
    assert "ALB_LOGS_QUEUE_URL" in str(finished.error)
    assert ("m0", 2) == (finished.message_id, finished.outcome.tally.lines)


def test_an_object_does_not_hop_for_ever(queue: Queue) -> None:
    """After the last hop the object fails for good, and the message says what to do."""
    last = replace(ref(), continuation=Continuation("bucket", ref().key, hop=MOST_HOPS))
    running = invocation(Scripted([Outcome(Tally(lines=1), rest=POINT)]), queue)
    work(running, [last])

    (finished,) = running.hand_over()

    assert isinstance(finished.error, PermanentError)
    assert "alb-logs ingest s3://bucket/" in str(finished.error)
    assert [] == queued(queue)


def test_a_queue_that_refuses_fails_the_object(queue: Queue) -> None:
    """What cannot be queued comes again by its own message."""
    queue.patient.delete_queue(QueueUrl=queue.url)
    running = invocation(Scripted([Outcome(Tally(lines=2, indexed=2), rest=POINT)]), queue)
    work(running, [ref()])

    (finished,) = running.hand_over()

    assert isinstance(finished.error, ConfigError)
    assert "sqs:SendMessage" in str(finished.error)


def test_nothing_is_queued_after_the_end(queue: Queue) -> None:
    """A request that could outlast the invocation is not begun."""
    wired = FakeWired(Scripted([Outcome(Tally(lines=2), rest=POINT)]), queue)
    running = Invocation(wired, PLENTY, Deadline().within(0.3))
    work(running, [ref()])

    (finished,) = running.hand_over()

    assert "a longer timeout" in str(finished.error)
    assert [] == queued(queue)


@pytest.mark.parametrize(
    ("seconds", "margin", "reserve"),
    [
        pytest.param(6.0, 1.0, 1.8, id="short"),
        pytest.param(120.0, 2.0, 20.0, id="middle"),
        pytest.param(900.0, 5.0, 20.0, id="long"),
    ],
)
def test_time_is_kept_for_what_comes_after(seconds: float, margin: float, reserve: float) -> None:
    """A share of the time, within bounds, is left for the answer, and one for what is under way."""
    time = time_for_objects(seconds)

    assert reserve == pytest.approx(time.reserve)
    assert seconds - margin - 1.0 < time.deadline.seconds_left <= seconds - margin
