"""
Work through the tasks of an S3 Batch Operations job, and say of each what became of it.

The rule which outcome is which result. S3 tries a task again that failed temporarily; the text of a
result goes into the job's report, where people read it who may not read the logs: it says what our
own errors say, and quotes no exception that nobody foresaw, which may quote a line.
"""

from collections.abc import Iterator
from contextlib import suppress

from pipeline.alb.keys import Skipped
from pipeline.errors import (
    ConfigError,
    DefectError,
    NotificationError,
    PipelineError,
    RetriableError,
)
from pipeline.jobs.invocation import Finished, Invocation, Report
from pipeline.outcome import Outcome
from pipeline.source.batch_operations import Request, Result, objects_in_task

MOST_CHARACTERS = 1_024
"""Of a result's text."""


def work_through_tasks(request: Request, invocation: Invocation) -> Iterator[tuple[str, Report]]:
    """Yield, by the id of its task, what became of each object, however the others end."""
    for task in request.tasks:
        with suppress(PipelineError):  # which the report says, too
            for report in invocation.work_through(objects_in_task(task), task.id):
                yield task.id, report
    for finished in invocation.hand_over():
        yield finished.message_id or "", finished


class Results(dict[str, Result]):
    """The results of tasks, by id; a task that nothing was reported of is to be tried again."""

    def __missing__(self, _task_id: str) -> Result:
        """Return the result of a task that was not come to."""
        return Result("TemporaryFailure", "it was not come to: see the log of the function")


def result_of(report: Report) -> Result:
    """Return the result of a task by what became of its object."""
    match report:
        case Skipped():
            return Result("Succeeded", f"skipped: it is not an ALB log ({report.reason})")
        case NotificationError():
            return _failed(report)
        case Finished():
            return _ended(report.outcome, goes_on=report.goes_on)


def _ended(outcome: Outcome, *, goes_on: bool) -> Result:
    if outcome.error:
        return _failed(outcome.error)
    counts = ", ".join(
        f"{count} {name}" for name, count in outcome.tally.as_dict().items() if count
    )
    return Result(
        "Succeeded", f"{'goes on in the queue' if goes_on else 'ingested'}: {counts or 'no line'}"
    )


def _failed(error: PipelineError) -> Result:
    if isinstance(error, RetriableError | ConfigError):
        return Result("TemporaryFailure", _text(error))
    return Result("PermanentFailure", _text(error))


def _text(error: PipelineError) -> str:
    if isinstance(error, DefectError):
        cause = type(error.__cause__).__name__
        return f"a defect of this package ({cause}): see the log of the function"
    return str(error)[:MOST_CHARACTERS]
