"""
Take apart the event by which S3 Batch Operations invokes a function, and put the answer together.

A job invokes the function with tasks, each of which names one object of a manifest, and expects one
result for each. What a task's object is, by its key, is decided as for a notification.

- docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
- docs.aws.amazon.com/AmazonS3/latest/API/API_control_LambdaInvokeOperation.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.alb.keys import Skipped
from pipeline.errors import NotificationError
from pipeline.source.notifications import objects_in_event
from pipeline.source.objects import ObjectRef

_VERSION = "invocationSchemaVersion"


@dataclass(frozen=True, slots=True)
class Task:
    """One object of a job; `key` is as it is written in the event, URL-encoded."""

    id: str
    bucket: object
    key: object
    version_id: object


@dataclass(frozen=True, slots=True)
class Request:
    """One invocation of a job."""

    schema: str
    invocation_id: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What becomes of a task in the job's report; one that failed temporarily is tried again."""

    code: Literal["Succeeded", "TemporaryFailure", "PermanentFailure"]
    text: str


def is_request(event: object) -> bool:
    """Return whether S3 Batch Operations sent the event, in whatever version."""
    return isinstance(event, Mapping) and _VERSION in event


def read_request(event: Mapping[str, Any]) -> Request:
    """Return what the event asks for; NotificationError for one that cannot be answered."""
    match event:
        case {"invocationSchemaVersion": "1.0" | "2.0" as schema}:
            pass
        case _:
            raise NotificationError(
                f"S3 Batch Operations' invocation schema {event.get(_VERSION)!r:.20} is not known: "
                "create the job with InvocationSchemaVersion 1.0 or 2.0"
            )
    match event:
        case {"invocationId": str(invocation_id), "tasks": [_, *_] as tasks}:
            return Request(schema, invocation_id, tuple(_task(each, schema) for each in tasks))
        case _:
            raise NotificationError(
                f"a request of S3 Batch Operations without its id or tasks: {event!r:.200}"
            )


def _task(task: object, schema: str) -> Task:
    match task:
        case {"taskId": str(id_), **facts}:
            bucket = facts.get("s3Bucket") if schema == "2.0" else _named(facts.get("s3BucketArn"))
            return Task(id_, bucket, facts.get("s3Key"), facts.get("s3VersionId"))
        case _:
            raise NotificationError(f"a task of S3 Batch Operations without its id: {task!r:.200}")


def _named(arn: object) -> object:
    """Return the bucket of an ARN; AWS's older examples have region and account in it."""
    return arn.rpartition(":")[2] if isinstance(arn, str) else arn


def objects_in_task(task: Task) -> Iterator[ObjectRef | Skipped]:
    """Yield the object of a task, read like that of a notification; NotificationError likewise."""
    stored = {
        "bucket": {"name": task.bucket},
        "object": {"key": task.key, "versionId": task.version_id},
    }
    yield from objects_in_event({"Records": [{"s3": stored}]})


def answer_to(request: Request, results: Mapping[str, Result]) -> dict[str, Any]:
    """Return the answer, with the result of each task by its id."""
    return {
        _VERSION: request.schema,
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": request.invocation_id,
        "results": [
            {
                "taskId": task.id,
                "resultCode": results[task.id].code,
                "resultString": results[task.id].text,
            }
            for task in request.tasks
        ],
    }
