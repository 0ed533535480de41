"""
Adapt AWS Lambda to `ingest`: an event in, log objects ingested, metrics and failures out.

It holds clients, decorators and the raise, and no rule of its own. SQS messages fail one by one and
come back, at first soon and then by the queue's timeout (`pipeline.jobs.redelivery`); any other
event fails as a whole and is retried by who sent it. What fails is logged once, where it happens,
and counted (`pipeline.metrics.METRICS`). `POWERTOOLS_SERVICE_NAME` tells one deployment's metrics
and logs from another's.

The folder is no package (`lambda` is a keyword): AWS imports `lambda/handler.handler` by string.

docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import gc

gc.disable()  # collecting while thousands of modules load is a fifth of a cold start

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.alb.keys import Skipped
from pipeline.clients.aws import make_sqs
from pipeline.clients.buckets import Buckets
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.errors import (
    AccountingError,
    ClusterRefusedError,
    ConfigError,
    NotificationError,
    ObjectMissingError,
    PermanentError,
    PipelineError,
    RetriableError,
    SinkUnavailableError,
)
from pipeline.ingest import Budget, Options, ingest_object
from pipeline.jobs.redelivery import read_patience
from pipeline.metrics import METRICS
from pipeline.outcome import Outcome, Tally
from pipeline.sink.store import Store, open_store
from pipeline.source.continuation import MOST_HOPS, Continuation
from pipeline.source.notifications import objects_in_event, objects_in_message
from pipeline.source.objects import ObjectRef

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

gc.freeze()  # what is loaded stays; later collections need not look at it
gc.enable()

MARGIN_SHARE = 1 / 60
LEAST_MARGIN_SECONDS = 1.0
MOST_MARGIN_SECONDS = 5.0
"""Kept of an invocation's time for what comes after the objects: messages, metrics, the answer."""

_HURRY_MILLIS = 600
"""An invocation with less time left does not ask for its messages again soon."""

RESERVED_SHARE = 0.3
MOST_RESERVED_SECONDS = 20.0
"""Reading stops so long before the end: what is under way has that time to be taken."""

logger = Logger()
metrics = Metrics(namespace="alb-logs")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


_NOTHING_YET = Outcome(Tally())


@dataclass(frozen=True, slots=True)
class _Clients:
    buckets: Buckets
    store: Store
    options: Options


@dataclass(frozen=True, slots=True)
class _Queue:
    """The queue that feeds the function."""

    url: str
    sqs: "SQSClient"


@dataclass(slots=True)
class _Invocation:
    """An invocation's time; `sick` is the error of an Elasticsearch that takes nothing, if so."""

    context: LambdaContext
    margin: float
    reserve: float
    """Seconds before the margin at which reading stops."""
    sick: PipelineError | None = None

    @classmethod
    def begin(cls, context: LambdaContext) -> "_Invocation":
        whole = context.get_remaining_time_in_millis() / 1_000
        margin = max(LEAST_MARGIN_SECONDS, min(MOST_MARGIN_SECONDS, MARGIN_SHARE * whole))
        return cls(context, margin, min(MOST_RESERVED_SECONDS, RESERVED_SHARE * whole))

    @property
    def seconds(self) -> float:
        return self.context.get_remaining_time_in_millis() / 1_000 - self.margin


@cache
def _clients() -> _Clients:
    """Make the clients once per cold start; a wrong setting fails the invocation, by name."""
    config = Config.from_env()
    return _Clients(
        buckets=Buckets(dict(config.bucket_roles)),
        store=open_store(make_elasticsearch(config), config.index_prefix),
        options=Options(
            connections=config.es_connections,
            bulk_bytes=config.bulk_bytes,
            keep_original=config.keep_original,
        ),
    )


@cache
def _queue() -> _Queue | None:
    """Give the function's own queue, if the settings name it: needed when something goes wrong."""
    url = Config.from_env().queue_url
    return _Queue(url, make_sqs()) if url else None


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401  AWS's JSON
    """Ingest every log object that the event names."""
    try:
        _clients()
    except PipelineError:
        _count("StartErrors")
        if _is_sqs(event):
            _hurry(event["Records"], context)
        raise
    invocation = _Invocation.begin(context)
    if _is_sqs(event):
        answer = process_partial_response(
            event=event,
            record_handler=partial(_ingest_message, invocation=invocation),
            processor=processor,
            context=context,
        )
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        _hurry([record for record in event["Records"] if record["messageId"] in failed], context)
        return answer
    _ingest_all(objects_in_event(event), invocation)
    return None


def _is_sqs(event: dict[str, Any]) -> bool:
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return True
        case _:
            return False


def _hurry(failed: list[dict[str, Any]], context: LambdaContext) -> None:
    """Have messages that failed come again soon; whatever hinders that, they come by themselves."""
    if not failed or context.get_remaining_time_in_millis() < _HURRY_MILLIS:
        return
    try:
        late = _ask_for(failed)
    except Exception as error:  # noqa: BLE001  the answer is known already, and must not be lost
        late = [str(error)]
    if late:
        logger.warning("failed messages come again late", extra={"error": "; ".join(late)})


def _ask_for(failed: list[dict[str, Any]]) -> list[str]:
    """Ask the queue for messages again soon; give why it refuses some of them."""
    queue = _queue()
    if queue is None:
        return []
    found = queue.sqs.get_queue_attributes(
        QueueUrl=queue.url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
    )["Attributes"]
    patience = read_patience(found["VisibilityTimeout"], found.get("RedrivePolicy"))
    late: list[str] = []
    for entries in patience.wishes(failed):
        answer = queue.sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=entries)
        late += [f"{each['Code']}: {each.get('Message')}" for each in answer.get("Failed", [])]
    return late


def _ingest_message(record: SQSRecord, *, invocation: _Invocation) -> None:
    logger.append_keys(message_id=record.message_id)
    _ingest_all(objects_in_message(record.body), invocation)


def _ingest_all(found: Iterable[ObjectRef | Skipped], invocation: _Invocation) -> None:
    """Ingest each object, whatever becomes of the others; raise the first error at the end."""
    errors: list[PipelineError] = []
    try:
        for each in found:
            if isinstance(each, Skipped):
                _skip(each)
            elif error := _ingest(each, invocation):
                errors.append(error)
    except NotificationError as error:
        _count("NotificationErrors")
        logger.error("notification not understood", extra={"error": str(error)})  # noqa: TRY400
        errors.append(error)
    if errors:
        raise errors[0]


def _skip(skipped: Skipped) -> None:
    _count("ObjectsSkipped")
    logger.info("skipped", reason=skipped.reason, bucket=skipped.bucket, key=skipped.key)


def _ingest(ref: ObjectRef, invocation: _Invocation) -> PipelineError | None:
    """Ingest one object; whatever stops it, the others get their turn."""
    logger.append_keys(bucket=ref.bucket, key=ref.key)
    try:
        outcome, goes_on = _outcome_of(ref, invocation)
    except PipelineError as error:  # of clients made anew
        outcome, goes_on = Outcome(Tally(), error), False
    except Exception as error:
        logger.exception("unforeseen")
        defect = f"a defect of this package: {type(error).__name__}: {error}"
        outcome, goes_on = Outcome(Tally(), PipelineError(defect)), False
    _measure(ref, outcome, goes_on=goes_on)
    _tell(outcome, goes_on=goes_on)
    logger.remove_keys(["bucket", "key"])
    if isinstance(outcome.error, ClusterRefusedError | SinkUnavailableError):
        invocation.sick = outcome.error
    if isinstance(outcome.error, ConfigError):
        # Settings are read anew, and secrets older than five minutes.
        _clients.cache_clear()
        _queue.cache_clear()
    # A missing object stays missing: it is counted and acknowledged.
    return None if isinstance(outcome.error, ObjectMissingError) else outcome.error


def _outcome_of(ref: ObjectRef, invocation: _Invocation) -> tuple[Outcome, bool]:
    """Ingest what there is time for, and tell whether the rest of it goes on by a message."""
    clients = _clients()
    if invocation.seconds <= invocation.reserve:
        # Where Elasticsearch takes nothing, passing on would but hide the failure from the queue.
        return (Outcome(Tally(), invocation.sick), False) if invocation.sick else _pass_on(ref)
    s3 = clients.buckets.client_of(ref.bucket)
    budget = Budget(invocation.seconds, invocation.reserve)
    outcome = ingest_object(ref, s3=s3, store=clients.store, options=clients.options, budget=budget)
    return _pass_on(ref, outcome) if outcome.rest else (outcome, False)


def _pass_on(ref: ObjectRef, outcome: Outcome = _NOTHING_YET) -> tuple[Outcome, bool]:
    """Queue what is left of an object; where that can not be, the object fails."""
    before = ref.continuation or Continuation(ref.bucket, ref.key, hop=0, created=ref.created)
    tally = Counter(before.tally)
    tally.update(outcome.tally.as_dict())
    place = outcome.rest or before.place
    after = replace(before, hop=before.hop + 1, place=place, tally=dict(tally))
    try:
        _send(after)
    except PipelineError as error:
        return replace(outcome, error=error), False
    return outcome, True


def _send(continuation: Continuation) -> None:
    queue = _queue()
    if queue is None:
        raise RetriableError(
            "the time of the invocation is up before the object is: set ALB_LOGS_QUEUE_URL to the "
            "function's own queue, so that it can go on by a message, or give it a longer timeout"
        )
    if continuation.hop > MOST_HOPS:
        raise PermanentError(
            f"the object is not done after {MOST_HOPS} continuations: give the function more "
            "memory or a longer timeout, and see whether Elasticsearch keeps pace; then run "
            f"`alb-logs ingest s3://{continuation.bucket}/{continuation.key}`"
        )
    try:
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody=continuation.message())
    except (BotoCoreError, ClientError) as error:
        raise RetriableError(
            f"what is left of the object can not be queued: {error}. Grant sqs:SendMessage on "
            "the function's own queue"
        ) from error


def _measure(ref: ObjectRef, outcome: Outcome, *, goes_on: bool) -> None:
    _count("Continuations" if goes_on else "Objects")
    for name, count in outcome.tally.as_dict().items():
        _count(name.capitalize(), count)
    match outcome.error:
        case None if not goes_on:
            _measure_lag(ref)
        case None:
            pass
        case ObjectMissingError():
            _count("ObjectsMissing")
        case AccountingError():
            _count("AccountingErrors")
            _count("ObjectsFailed")
        case _:
            _count("ObjectsFailed")


def _measure_lag(ref: ObjectRef) -> None:
    """Measure how late the object came, and how long after that its lines were searchable."""
    if ref.created is None:
        return
    _count("IngestLag", (datetime.now(UTC) - ref.created).total_seconds())
    if ref.name is not None:
        _count("DeliveryLag", (ref.created - ref.name.end_time).total_seconds())


def _count(name: str, value: float = 1) -> None:
    metrics.add_metric(name, METRICS[name].unit, value)


def _tell(outcome: Outcome, *, goes_on: bool) -> None:
    counts = outcome.tally.as_dict()
    match outcome.error:
        case None:
            logger.info("goes on" if goes_on else "ingested", extra=counts)
        case ObjectMissingError() as error:
            logger.warning("object missing", extra={**counts, "error": str(error)})
        case error:
            logger.error("failed", extra={**counts, "error": f"{type(error).__name__}: {error}"})
