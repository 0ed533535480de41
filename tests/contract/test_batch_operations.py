"""
The invocation by S3 Batch Operations, as AWS writes it, and the answer that it expects.

The literal events follow AWS's documentation: the user guide of S3 ("Invoke AWS Lambda function")
and the developer guide of Lambda for schema 1.0; for 2.0, which has the bucket's name instead of
its ARN and the job's arguments, the API reference of LambdaInvokeOperation.
"""

from typing import Any, Final

import pytest

from pipeline.alb.keys import Skipped, SkipReason
from pipeline.errors import NotificationError
from pipeline.source.batch_operations import (
    Result,
    Task,
    answer_to,
    is_request,
    objects_in_task,
    read_request,
)
from pipeline.source.objects import ObjectRef
from tests.support.factories import KEY

Json = dict[str, Any]

INVOCATION_ID: Final = "YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo"
TASK_ID: Final = "dGFza2lkZ29lc2hlcmUK"

FIRST_SCHEMA: Json = {
    "invocationSchemaVersion": "1.0",
    "invocationId": INVOCATION_ID,
    "job": {"id": "f3cc4f60-61f6-4a2b-8a21-d07600c373ce"},
    "tasks": [
        {
            "taskId": TASK_ID,
            "s3Key": "customerImage1.jpg",
            "s3VersionId": "1",
            "s3BucketArn": "arn:aws:s3:::amzn-s3-demo-bucket",
        }
    ],
}
SECOND_SCHEMA: Json = {
    "invocationSchemaVersion": "2.0",
    "invocationId": INVOCATION_ID,
    "job": {"id": "f3cc4f60-61f6-4a2b-8a21-d07600c373ce", "userArguments": {"k1": "v1"}},
    "tasks": [
        {
            "taskId": TASK_ID,
            "s3Key": "customerImage1.jpg",
            "s3VersionId": None,
            "s3Bucket": "amzn-s3-demo-bucket",
        }
    ],
}


def with_task(event: Json, **changed: object) -> Json:
    """Return the event with other values in its task."""
    return event | {"tasks": [event["tasks"][0] | changed]}


def only_task(event: Json) -> Task:
    """Return the task of an event that has one."""
    (task,) = read_request(event).tasks
    return task


@pytest.mark.parametrize("event", [FIRST_SCHEMA, SECOND_SCHEMA], ids=["1.0", "2.0"])
def test_both_schemas_are_read(event: Json) -> None:
    """AWS's own examples are understood: their object is no ALB log."""
    assert is_request(event)
    (found,) = objects_in_task(only_task(event))

    skipped = Skipped(SkipReason.FOREIGN_KEY, "amzn-s3-demo-bucket", "customerImage1.jpg")
    assert skipped == found


@pytest.mark.parametrize(
    ("event", "version_id"),
    [
        pytest.param(with_task(FIRST_SCHEMA, s3Key=KEY), "1", id="1.0"),
        pytest.param(with_task(FIRST_SCHEMA, s3Key=KEY, s3VersionId=None), None, id="no-version"),
        pytest.param(with_task(FIRST_SCHEMA, s3Key=KEY, s3VersionId=""), None, id="empty-version"),
        pytest.param(
            with_task(
                FIRST_SCHEMA, s3Key=KEY, s3BucketArn="arn:aws:s3:us-east-1:0:amzn-s3-demo-bucket"
            ),
            "1",
            id="older-arn",
        ),
        pytest.param(with_task(SECOND_SCHEMA, s3Key=KEY), None, id="2.0"),
        pytest.param(with_task(SECOND_SCHEMA, s3Key=KEY, s3VersionId="v2"), "v2", id="2.0-version"),
    ],
)
def test_a_task_names_an_object(event: Json, version_id: str | None) -> None:
    """Bucket, key and version are those of the task; nothing else is known of the object."""
    (found,) = objects_in_task(only_task(event))

    assert isinstance(found, ObjectRef)
    assert ("amzn-s3-demo-bucket", KEY, version_id) == (found.bucket, found.key, found.version_id)
    assert (None, None, None) == (found.size, found.etag, found.created)
    assert found.name


@pytest.mark.parametrize(
    ("quoted", "folder"), [("a%20b%2Bc/", "a b+c/"), ("a+b%2Bc/", "a b+c/"), ("%C3%BC%2F", "ü/")]
)
def test_keys_are_url_encoded(quoted: str, folder: str) -> None:
    """A key is decoded whether a space is %20, as in a manifest, or +, as in an inventory."""
    (found,) = objects_in_task(only_task(with_task(FIRST_SCHEMA, s3Key=quoted + KEY)))

    assert folder + KEY == found.key


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"s3Key": None}, id="no-key"),
        pytest.param({"s3Key": "%ff"}, id="no-utf-8"),
        pytest.param({"s3BucketArn": None, "s3Bucket": "b"}, id="bucket-of-the-other-schema"),
        pytest.param({"s3Key": KEY.replace("AWSLogs/1", "AWSLogs/2")}, id="contradictory"),
    ],
)
def test_a_task_that_names_no_object_fails_alone(changed: Json) -> None:
    """The request is read all the same, so that the other tasks get their turn."""
    task = only_task(with_task(FIRST_SCHEMA, **changed))

    with pytest.raises(NotificationError):
        list(objects_in_task(task))


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (FIRST_SCHEMA | {"invocationSchemaVersion": "3.0"}, "'3.0' is not known: create the job"),
        (FIRST_SCHEMA | {"invocationSchemaVersion": None}, "None is not known"),
        (FIRST_SCHEMA | {"invocationId": 1}, "without its id or tasks"),
        (FIRST_SCHEMA | {"tasks": []}, "without its id or tasks"),
        (FIRST_SCHEMA | {"tasks": [{}]}, "a task of S3 Batch Operations without its id"),
        (FIRST_SCHEMA | {"tasks": ["x"]}, "a task of S3 Batch Operations without its id"),
    ],
)
def test_a_request_that_cannot_be_answered_fails(event: Json, why: str) -> None:
    """An answer needs the ids; and a schema that nobody knows may mean something else."""
    assert is_request(event)
    with pytest.raises(NotificationError, match=why):
        read_request(event)


@pytest.mark.parametrize("event", [None, 7, [], {}, {"Records": []}, {"tasks": []}])
def test_other_events_are_no_request(event: object) -> None:
    """Only S3 Batch Operations says the version of its schema."""
    assert not is_request(event)


def test_the_answer_is_as_aws_expects_it() -> None:
    """The ids and the version come back, with one result for each task."""
    request = read_request(FIRST_SCHEMA)

    assert {
        "invocationSchemaVersion": "1.0",
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": INVOCATION_ID,
        "results": [{"taskId": TASK_ID, "resultCode": "Succeeded", "resultString": "ingested"}],
    } == answer_to(request, {TASK_ID: Result("Succeeded", "ingested")})
