"""
Adapt AWS Lambda to `pipeline.jobs.invocation`: an event in, metrics, log lines and failures out.

It holds clients, decorators and the raise, and no rule of its own. SQS messages fail one by one and
come back, at first soon and then by the queue's timeout (`pipeline.jobs.redelivery`); any other
event fails as a whole and is retried by who sent it. `POWERTOOLS_SERVICE_NAME` tells one
deployment's metrics and logs from another's.

The folder is no package (`lambda` is a keyword): AWS imports `lambda/handler.handler` by string.

docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import gc

gc.disable()  # collecting while thousands of modules load is a fifth of a cold start

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from pipeline.deadline import Deadline
from pipeline.errors import NotificationError, PipelineError
from pipeline.jobs.invocation import Finished, Invocation, Report, time_for_objects
from pipeline.jobs.redelivery import ask_again_soon
from pipeline.jobs.reports import logged, measured
from pipeline.jobs.tasks import Results, result_of, work_through_tasks
from pipeline.metrics import METRICS
from pipeline.source.batch_operations import answer_to, is_request, read_request
from pipeline.source.notifications import objects_in_event, objects_in_message
from pipeline.wiring import Wired

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.source.notifications import Found

gc.freeze()  # what is loaded stays; later collections need not look at it
gc.enable()

logger = Logger()
metrics = Metrics(namespace="alb-logs")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


wired = Wired()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401  AWS's JSON
    """Ingest every log object that the event names."""
    seconds = context.get_remaining_time_in_millis() / 1_000
    end, time = Deadline().within(seconds), time_for_objects(seconds)
    if is_request(event):
        return _answer_job(event, Invocation(wired, time, end))
    messages = event["Records"] if _is_sqs(event) else []
    try:
        wired.pipeline(end)
    except PipelineError:
        _count("StartErrors")
        _hurry(messages, end)
        raise
    invocation = Invocation(wired, time, end)
    if messages:
        return _answer(event, context, invocation, end)
    _work_through(objects_in_event(event), invocation)
    _raise_first([report.error for report in _handed_over(invocation) if report.error])
    return None


def _answer(
    event: dict[str, Any], context: LambdaContext, invocation: Invocation, end: Deadline
) -> Any:  # noqa: ANN401  AWS's JSON
    """Work through the messages, one by one, and answer which of them have failed."""
    answer = process_partial_response(
        event=event,
        record_handler=partial(_ingest_message, invocation=invocation),
        processor=processor,
        context=context,
    )
    failed: list[object] = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    failed += [report.message_id for report in _handed_over(invocation) if report.error]
    _hurry([message for message in event["Records"] if message["messageId"] in failed], end)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in dict.fromkeys(failed)]}


def _answer_job(event: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
    """Work through the tasks of an S3 Batch Operations job, and answer what became of each."""
    try:
        request = read_request(event)
    except NotificationError as error:
        _report(error)
        raise
    results = Results()
    try:
        for task_id, report in work_through_tasks(request, invocation):
            results[task_id] = result_of(report)
            _report(report)
            _forget_if_misconfigured(report)
    except Exception:  # what is known must not be lost; the other tasks are tried again
        logger.exception("unforeseen")
        _count("ObjectsFailed", len(request.tasks) - len(results))
    return answer_to(request, results)


def _handed_over(invocation: Invocation) -> list[Finished]:
    reports = list(invocation.hand_over())
    for report in reports:
        _report(report)
    return reports


def _raise_first(errors: list[PipelineError]) -> None:
    if errors:
        raise errors[0]


def _is_sqs(event: dict[str, Any]) -> bool:
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return True
        case _:
            return False


def _ingest_message(record: SQSRecord, *, invocation: Invocation) -> None:
    logger.append_keys(message_id=record.message_id)
    _work_through(objects_in_message(record.get("body")), invocation, record.message_id)


def _work_through(
    found: "Iterable[Found]", invocation: Invocation, message_id: str | None = None
) -> None:
    for report in invocation.work_through(found, message_id):
        _report(report)
        _forget_if_misconfigured(report)


def _forget_if_misconfigured(report: Report) -> None:
    if isinstance(report, Finished) and report.is_misconfigured:
        wired.forget()


def _report(report: Report) -> None:
    for name, value in measured(report, datetime.now(UTC)):
        _count(name, value)
    line = logged(report)
    if line.cause:
        logger.error("unforeseen", exc_info=line.cause, extra=line.facts)
    level = {"INFO": logger.info, "WARNING": logger.warning, "ERROR": logger.error}[line.level]
    level(line.message, extra=line.facts)


def _hurry(failed: list[dict[str, Any]], end: Deadline) -> None:
    """Have messages that failed come again soon; whatever hinders that, they come by themselves."""
    try:
        late = ask_again_soon(failed, wired.queue, end)
    except Exception as error:  # noqa: BLE001  the answer is known already, and must not be lost
        late = [str(error)]
    if late:
        logger.warning("failed messages come again late", extra={"error": "; ".join(late)})


def _count(name: str, value: float = 1) -> None:
    metrics.add_metric(name, METRICS[name].unit, value)
