"""
Adapt AWS Lambda to `ingest`: an event in, log objects ingested, metrics and failures out.

It holds clients, decorators and the raise, and no rule of its own. SQS messages fail one by one and
come back by visibility timeout; any other event fails as a whole and is retried by who sent it.
What fails is logged once, where it happens, and counted (`pipeline.outcome.METRICS`).

The folder is no package (`lambda` is a keyword): AWS imports `lambda/handler.handler` by string.

docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from pipeline.clients import make_elasticsearch, make_s3
from pipeline.config import Config
from pipeline.discovery import ObjectRef, Skipped, objects_in_event, objects_in_message
from pipeline.errors import (
    AccountingError,
    ConfigError,
    NotificationError,
    ObjectMissingError,
    PipelineError,
    RetriableError,
)
from pipeline.ingest import Options, ingest_object
from pipeline.outcome import METRICS, Outcome, Tally
from pipeline.store import Store, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MARGIN_SECONDS = 5.0
"""Kept of an invocation's time for the last replies and the metrics."""

logger = Logger(service="alb-logs")
metrics = Metrics(namespace="alb-logs", service="alb-logs")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@dataclass(frozen=True, slots=True)
class _Clients:
    s3: "S3Client"
    store: Store
    options: Options


@cache
def _clients() -> _Clients:
    """Make the clients once per cold start; a wrong setting fails the invocation, by name."""
    config = Config.from_env()
    return _Clients(
        s3=make_s3(),
        store=open_store(make_elasticsearch(config), config.index_prefix),
        options=Options(
            connections=config.es_connections,
            bulk_bytes=config.bulk_bytes,
            keep_original=config.keep_original,
        ),
    )


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401  AWS's JSON
    """Ingest every log object that the event names."""
    try:
        _clients()
    except PipelineError:
        _count("StartErrors")
        raise
    if _is_sqs(event):
        return process_partial_response(
            event=event, record_handler=_ingest_message, processor=processor, context=context
        )
    _ingest_all(objects_in_event(event), context)
    return None


def _is_sqs(event: dict[str, Any]) -> bool:
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return True
        case _:
            return False


def _ingest_message(record: SQSRecord, lambda_context: LambdaContext) -> None:
    logger.append_keys(message_id=record.message_id)
    _ingest_all(objects_in_message(record.body), lambda_context)


def _ingest_all(found: Iterable[ObjectRef | Skipped], context: LambdaContext) -> None:
    """Ingest each object, whatever becomes of the others; raise the first error at the end."""
    errors: list[PipelineError] = []
    try:
        for each in found:
            if isinstance(each, Skipped):
                _skip(each)
            elif error := _ingest(each, context):
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


def _ingest(ref: ObjectRef, context: LambdaContext) -> PipelineError | None:
    logger.append_keys(bucket=ref.bucket, key=ref.key)
    outcome = _outcome_of(ref, context)
    _measure(ref, outcome)
    _tell(outcome)
    logger.remove_keys(["bucket", "key"])
    if isinstance(outcome.error, ConfigError):
        _clients.cache_clear()  # settings are read anew, and secrets older than five minutes
    # A missing object stays missing: it is counted and acknowledged.
    return None if isinstance(outcome.error, ObjectMissingError) else outcome.error


def _outcome_of(ref: ObjectRef, context: LambdaContext) -> Outcome:
    """Ingest one object; whatever stops it is in the outcome, so that the others get their turn."""
    seconds = context.get_remaining_time_in_millis() / 1_000 - MARGIN_SECONDS
    if seconds <= 0:
        late = f"not begun: {seconds + MARGIN_SECONDS:.1f} seconds of the invocation are left"
        return Outcome(Tally(), RetriableError(f"{late}. It will be tried again"))
    try:
        clients = _clients()
        return ingest_object(
            ref, s3=clients.s3, store=clients.store, options=clients.options, seconds=seconds
        )
    except PipelineError as error:  # of clients made anew
        return Outcome(Tally(), error)
    except Exception as error:
        logger.exception("unforeseen")
        defect = f"a defect of this package: {type(error).__name__}: {error}"
        return Outcome(Tally(), PipelineError(defect))


def _measure(ref: ObjectRef, outcome: Outcome) -> None:
    _count("Objects")
    for name, count in outcome.tally.as_dict().items():
        _count(name.capitalize(), count)
    match outcome.error:
        case None:
            _measure_lag(ref)
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


def _tell(outcome: Outcome) -> None:
    counts = outcome.tally.as_dict()
    match outcome.error:
        case None:
            logger.info("ingested", extra=counts)
        case ObjectMissingError() as error:
            logger.warning("object missing", extra={**counts, "error": str(error)})
        case error:
            logger.error("failed", extra={**counts, "error": f"{type(error).__name__}: {error}"})
