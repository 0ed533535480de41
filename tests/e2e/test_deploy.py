"""Objects put into the bucket of a deployed stack, on good days and on bad ones."""

import json
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from devstack.aws import REGION
from devstack.ministack import ACCOUNT
from tests.support.factories import KEY, alb_line, documents, gz, s3_event
from tests.support.stack import BUCKET, KEY_PARAMETER, MAX_RECEIVES, NAME, Stack

HIVE_KEY = KEY.replace("AWSLogs/", "AWSLogs/aws-account-id=").replace("/eu-", "/region=eu-")


def once(numbers: range) -> Counter[int]:
    """Return what is counted when every line is there once."""
    return Counter(numbers)


def key_of(number: int) -> str:
    """Return the key of an object of a test's own."""
    return KEY.replace("3q2xk9fz", f"object{number}")


def test_a_new_object_becomes_documents(stack: Stack) -> None:
    """An object put into the bucket is found in Elasticsearch, every line once."""
    numbers = range(1_000, 1_200)
    stack.put(key_of(1), gz(*map(alb_line, numbers)))

    stack.wait_until(lambda: stack.counted(numbers) == once(numbers))
    stack.wait_until(stack.settled)
    assert [] == stack.given_up()


def test_a_repeated_notification_changes_nothing(stack: Stack) -> None:
    """The same object announced again and again is there once."""
    numbers = range(2_000, 2_050)
    stack.put(key_of(2), gz(*map(alb_line, numbers)))
    for _ in range(3):
        stack.send(s3_event(BUCKET, key_of(2)))

    stack.wait_until(lambda: len(stack.told("ingested", key_of(2))) == 4)
    assert once(numbers) == stack.counted(numbers)
    told = stack.told("ingested", key_of(2))
    assert (50, 150) == tuple(
        sum(each[what] for each in told) for what in ("indexed", "duplicates")
    )
    stack.wait_until(stack.settled)
    assert [] == stack.given_up()


def test_siblings_are_passed_over(stack: Stack) -> None:
    """What lies beside the logs is acknowledged, and leaves no document."""
    before = len(documents(stack.es, stack.prefix))
    test_file = "AWSLogs/123456789012/ELBAccessLogTestFile"
    network = KEY.replace("_app.frontend", "_net.frontend")
    siblings = (test_file, network, KEY.replace(".log.gz", ".log.parquet"))
    for key in siblings:
        stack.put(key, b"Enable AccessLog for ELB: app/name/id at 2026-11-20T10:00:00.000Z")

    stack.wait_until(lambda: all(stack.told("skipped", key) for key in siblings))
    stack.wait_until(stack.settled)
    assert [] == stack.given_up()
    assert before == len(documents(stack.es, stack.prefix))


def test_a_missing_object_is_let_go(stack: Stack) -> None:
    """A message whose object is gone is acknowledged after one look."""
    stack.send(s3_event(BUCKET, key_of(404)))

    stack.wait_until(lambda: bool(stack.told("object missing", key_of(404))))
    stack.wait_until(stack.settled)
    assert [] == stack.given_up()
    assert 1 == len(stack.told("object missing", key_of(404)))


def test_a_damaged_object_is_given_up_and_redriven(stack: Stack) -> None:
    """
    A cut object is tried again, then given up; repaired and redriven, every line is there once.

    Meanwhile the lines before the damage are there.
    """
    numbers = range(3_000, 3_400)
    whole = gz(*map(alb_line, range(3_000, 3_200))) + gz(*map(alb_line, range(3_200, 3_400)))
    stack.put(key_of(3), whole[:-40])

    stack.wait_until(lambda: len(stack.given_up()) == 1)
    stack.wait_until(stack.settled)
    (message,) = stack.given_up()
    assert MAX_RECEIVES <= message.receives <= MAX_RECEIVES + 1
    assert [key_of(3)] == [
        each["s3"]["object"]["key"] for each in json.loads(message.body)["Records"]
    ]
    before = stack.counted(numbers)
    assert set(range(3_000, 3_200)) <= set(before) < set(numbers)

    with stack.unannounced():  # so that it is the redriven message that brings the lines
        stack.put(key_of(3), whole)
    redrive(stack)
    stack.wait_until(lambda: stack.settled() and stack.counted(numbers) == once(numbers))
    assert [] == stack.given_up()


def redrive(stack: Stack) -> None:
    """Send what was given up to the queue again, as the console's button does."""
    sqs = stack.aws.sqs()
    found = sqs.receive_message(QueueUrl=stack.dlq_url, MaxNumberOfMessages=10)
    for message in found["Messages"]:
        sqs.send_message(QueueUrl=stack.queue_url, MessageBody=message["Body"])
        sqs.delete_message(QueueUrl=stack.dlq_url, ReceiptHandle=message["ReceiptHandle"])


def test_every_version_of_a_key_is_read(stack: Stack) -> None:
    """The role may read the version that a notification names, though it was overwritten since."""
    first, second = range(6_000, 6_020), range(6_100, 6_120)
    s3 = stack.aws.s3()
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    with stack.unannounced():
        put = s3.put_object(Bucket=BUCKET, Key=key_of(6), Body=gz(*map(alb_line, first)))
        stack.put(key_of(6), gz(*map(alb_line, second)))
    event: Any = s3_event(BUCKET, key_of(6))
    event["Records"][0]["s3"]["object"] |= {
        "versionId": put["VersionId"],
        "eTag": put["ETag"].strip('"'),
    }
    stack.send(event)

    stack.wait_until(lambda: stack.counted(first) == once(first))
    stack.wait_until(stack.settled)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    assert Counter() == stack.counted(second)
    assert [] == stack.given_up()


def test_without_elasticsearch_nothing_is_lost(stack: Stack) -> None:
    """Elasticsearch is away for two deliveries of every message: in the end each line is there."""
    numbers = range(4_000, 4_300)

    def third_delivery_of_each() -> bool:
        messages = stack.waiting()
        return len(messages) == 3 and all(each.receives >= 3 for each in messages)

    with stack.gate.closed():
        for part in range(3):
            lines = map(alb_line, range(4_000 + 100 * part, 4_100 + 100 * part))
            stack.put(key_of(40 + part), gz(*lines))
        stack.wait_until(third_delivery_of_each)
        assert Counter() == stack.counted(numbers)
    stack.wait_until(lambda: stack.settled() and stack.counted(numbers) == once(numbers))
    assert [] == stack.given_up()


def test_a_direct_invocation_falls_back_to_the_queue(stack: Stack) -> None:
    """An event that was sent past the queue, and failed until its sender gave up, is not lost."""
    numbers = range(5_000, 5_020)
    with stack.unannounced():
        stack.put(key_of(5), gz(*map(alb_line, numbers)))
    stack.wait_until(stack.settled)

    with stack.gate.closed():
        stack.aws.session().client("lambda", endpoint_url=stack.aws.url).invoke(
            FunctionName=NAME,
            InvocationType="Event",
            Payload=json.dumps(s3_event(BUCKET, key_of(5))).encode(),
        )
        stack.wait_until(lambda: bool(stack.waiting()))
        assert "requestPayload" in json.loads(stack.waiting()[0].body)
    stack.wait_until(lambda: stack.settled() and stack.counted(numbers) == once(numbers))
    assert [] == stack.given_up()


def test_no_other_bucket_may_send(stack: Stack) -> None:
    """A bucket that the queue's policy does not name cannot be made to send to it."""
    s3 = stack.aws.s3()
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="others", CreateBucketConfiguration=where)  # type: ignore[arg-type]
    queue = {"QueueArn": stack.outputs["QueueArn"], "Events": ["s3:ObjectCreated:*"]}

    with pytest.raises(ClientError, match="Unable to validate the following destination"):
        s3.put_bucket_notification_configuration(
            Bucket="others",
            NotificationConfiguration={"QueueConfigurations": [queue]},  # type: ignore[list-item]
        )


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/elsewhere/object"),
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/AWSLogs/{ACCOUNT}/CloudTrail/x/trail.json.gz"),
        ("s3:GetObjectVersion", f"arn:aws:s3:::{BUCKET}/finance/salaries.csv"),
        ("s3:GetObject", "arn:aws:s3:::others/AWSLogs/object"),
        ("s3:ListBucket", "arn:aws:s3:::others"),
        ("s3:PutObject", f"arn:aws:s3:::{BUCKET}/AWSLogs/object"),
        ("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/AWSLogs/object"),
        ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}-dlq"),
        ("sqs:PurgeQueue", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/another"),
        ("ssm:PutParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{KEY_PARAMETER}"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:a"),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"),
        ("logs:CreateLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:a"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/another"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"),
        ("ec2:CreateNetworkInterface", "*"),
    ],
)
def test_the_role_may_do_no_more(stack: Stack, action: str, resource: str) -> None:
    """What the function does not need is denied to its role."""
    assert "implicitDeny" == decision(stack, action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/{KEY}"),
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/{HIVE_KEY}"),
        ("s3:GetObjectVersion", f"arn:aws:s3:::{BUCKET}/{KEY}"),
        ("sqs:ChangeMessageVisibility", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"),
        ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{KEY_PARAMETER}"),
    ],
)
def test_the_role_may_do_its_work(stack: Stack, action: str, resource: str) -> None:
    """What the function needs is granted, so that a denial above says something."""
    assert "allowed" == decision(stack, action, resource)


def decision(stack: Stack, action: str, resource: str) -> str:
    """Ask IAM what it would say."""
    session = stack.aws.session()
    function = session.client("lambda", endpoint_url=stack.aws.url)
    role = function.get_function_configuration(FunctionName=NAME)["Role"]
    (result,) = session.client("iam", endpoint_url=stack.aws.url).simulate_principal_policy(
        PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource]
    )["EvaluationResults"]
    return str(result["EvalDecision"])
