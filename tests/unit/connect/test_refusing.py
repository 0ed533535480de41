"""The command `connect` where S3, the settings or the call itself do not allow the change."""

import json
import re
from pathlib import Path

import boto3
import pytest

from devstack.process import free_port
from pipeline.jobs.subscription import (
    Subscription,
    policy_statement,
)
from tests.support.commands import Command
from tests.support.notifying import (
    ALL,
    BUCKET,
    FOLDER,
    FUNCTION,
    OTHER_QUEUE,
    OTHERS,
    QUEUE,
    S3,
    TO_QUEUE,
    TOPIC,
)


def test_an_overlap_is_told_before_s3_is_asked(s3: S3, run: Command) -> None:
    """Another's notification for the same objects is named, with alternatives; nothing is sent."""
    ended = run(*TO_QUEUE)

    assert (1, ["GET"]) == (ended.code, s3.calls)
    (line,) = ended.err.splitlines()
    assert "the queue arn:aws:sqs" in line
    assert "(Id thumbs & more)" in line
    assert all(way in line for way in ("--sns", "--eventbridge", "--prefix"))


def test_an_overlap_with_ours_names_undo(s3: S3, run: Command) -> None:
    """One of our own, to another queue, has to be removed first."""
    run("--queue-arn", OTHER_QUEUE, "--prefix", FOLDER, "--yes")

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, 1) == (ended.code, len(s3.ours))
    assert "remove it with --undo, or " in ended.err


def test_an_overlap_with_a_topic_names_the_topic(s3: S3, run: Command) -> None:
    """A topic that has the objects already can be subscribed to, and nothing need be changed."""
    s3.configuration = OTHERS.replace("s3:ObjectRestore:Completed", ALL).replace("pictures/", "p/")

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, ["GET"]) == (ended.code, s3.calls)
    assert f"by the topic {TOPIC} for" in ended.err
    assert "subscribe the pipeline's queue to that topic" in ended.err


@pytest.mark.usefixtures("s3")
def test_an_overlap_to_the_same_place_is_told(run: Command) -> None:
    """One to the same queue that covers less, and is not ours, has to be widened."""
    ended = run("--queue-arn", OTHER_QUEUE, "--prefix", "pictures/")

    assert 1 == ended.code
    assert "widen or remove it" in ended.err


def test_a_queue_that_lets_nobody_in_is_explained(s3: S3, run: Command) -> None:
    """Where S3 may not send to the queue, the reason and the missing statement are printed."""
    why = "Permissions on the destination queue do not allow S3 to publish notifications"
    s3.wrong = {QUEUE: why}

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, []) == (ended.code, s3.ours)
    assert f"S3 cannot send to {QUEUE}: {why}." in ended.err
    found = re.search(r"^\{$.*?^\}$", ended.err, re.DOTALL | re.MULTILINE)
    assert found
    assert policy_statement(Subscription(QUEUE), BUCKET) == json.loads(found[0])
    assert "kms:GenerateDataKey" in ended.err


def test_a_refusal_without_reasons_is_explained(s3: S3, run: Command) -> None:
    """Where S3 names no destination, ours is meant: it is the only new one."""
    message = "Unable to validate the following destination configurations"
    s3.refusals["PUT"] = (400, "InvalidArgument", message)

    ended = run("--sns", TOPIC, "--prefix", FOLDER, "--yes")

    assert 1 == ended.code
    assert f"S3 cannot send to {TOPIC}: {message}." in ended.err
    assert '"sns:Publish"' in ended.err


@pytest.mark.parametrize("destination", [TO_QUEUE, ("--eventbridge",)])
def test_a_broken_destination_of_others_is_named(
    s3: S3, run: Command, destination: tuple[str, ...]
) -> None:
    """S3 refuses all for one destination; where that is another's, it is named, not ours."""
    s3.configuration = s3.configuration.replace("<EventBridgeConfiguration/>", "")
    s3.wrong = {f"{FUNCTION}, null": "Not authorized to invoke function"}
    prefix = () if "--eventbridge" in destination else ("--prefix", FOLDER)

    ended = run(*destination, *prefix, "--yes")

    assert 1 == ended.code
    assert f"({FUNCTION}: Not authorized to invoke function)" in ended.err
    assert "sqs:SendMessage" not in ended.err


@pytest.mark.parametrize(
    ("method", "refusal", "code", "said"),
    [
        pytest.param(
            "GET",
            (403, "AccessDenied", "User u is not authorized"),
            1,
            (
                "AWS refuses s3:GetBucketNotification: ",
                "s3:PutBucketNotification",
                "User u is not authorized",
            ),
            id="may-not-read",
        ),
        pytest.param(
            "PUT",
            (403, "AccessDenied", "Access Denied"),
            1,
            ("AWS refuses s3:PutBucketNotification: ",),
            id="may-not-write",
        ),
        pytest.param(
            "GET",
            (403, "InvalidAccessKeyId", "No such key"),
            2,
            ("does not accept the AWS credentials: No such key",),
            id="bad-credentials",
        ),
        pytest.param(
            "PUT",
            (400, "InvalidArgument", "Configuration is ambiguously defined. Cannot have …"),
            1,
            ("it overlaps another", "--eventbridge"),
            id="overlap",
        ),
        pytest.param(
            "PUT",
            (400, "InvalidArgument", "The notification destination service region is not valid …"),
            1,
            ("in the bucket's own region",),
            id="region",
        ),
        pytest.param(
            "PUT",
            (409, "OperationAborted", "A conflicting operation is in progress"),
            1,
            ("S3 refuses: OperationAborted: A conflicting operation is in progress\n",),
            id="other",
        ),
    ],
)
def test_refusals_name_the_fix(  # noqa: PLR0913, PLR0917  a table's columns
    s3: S3,
    run: Command,
    method: str,
    refusal: tuple[int, str, str],
    code: int,
    said: tuple[str, ...],
) -> None:
    """What S3 refuses ends with one sentence, which says what to do, and the exit code."""
    s3.refusals[method] = refusal

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (code, []) == (ended.code, s3.ours)
    (line,) = ended.err.splitlines(keepends=True)
    assert line.startswith(f"alb-logs: s3://{BUCKET}: ")
    assert all(part in line for part in said), line


@pytest.mark.usefixtures("s3")
def test_a_missing_bucket_is_named(run: Command) -> None:
    """A bucket that is not there is reported as such."""
    ended = run(*TO_QUEUE, bucket="no-such-bucket")

    assert (1, "alb-logs: s3://no-such-bucket: there is no such bucket\n") == (
        ended.code,
        ended.err,
    )


def test_a_bucket_may_be_in_another_region(s3: S3, run: Command) -> None:
    """The settings' region need not be the bucket's: it is found."""
    s3.region = "ap-southeast-2"

    assert 0 == run(*TO_QUEUE, "--prefix", FOLDER, "--yes").code
    assert s3.ours


def test_what_boto3_would_drop_is_not_written(s3: S3, run: Command) -> None:
    """A configuration with something unknown in it is left alone: writing would lose that part."""
    s3.configuration += "<PigeonConfiguration><Id>p</Id><Loft>1</Loft></PigeonConfiguration>"

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, ["GET"]) == (ended.code, s3.calls)
    assert "(Loft, PigeonConfiguration)" in ended.err


def test_no_credentials_are_told(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the settings that give them are named."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    ended = run(*TO_QUEUE)

    assert (2, []) == (ended.code, s3.calls)
    assert "AWS_PROFILE" in ended.err


def test_half_of_the_credentials_is_told(
    s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where half of the credentials is missing, that half is named."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    ended = run(*TO_QUEUE)

    assert (2, []) == (ended.code, s3.calls)
    assert "AWS_SECRET_ACCESS_KEY" in ended.err


def test_a_login_that_is_over_is_told(
    s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Credentials that are resolved only with a request can fail then, and are reported."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    config = tmp_path / "config"
    config.write_text(
        "[default]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = r\n"
        "[sso-session work]\nsso_region = eu-central-1\nsso_start_url = https://sso.example.org\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))

    ended = run(*TO_QUEUE)

    assert (2, []) == (ended.code, s3.calls)
    assert f"s3://{BUCKET}: the AWS settings do not lead to S3: " in ended.err
    assert "SSO" in ended.err


@pytest.mark.usefixtures("s3")
def test_an_s3_out_of_reach_is_told(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, the command says so."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")

    ended = run(*TO_QUEUE)

    assert 1 == ended.code
    assert "S3 cannot be reached" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param((), "give one destination", id="nowhere"),
        pytest.param((*TO_QUEUE, "--sns", TOPIC), "give one destination", id="twice"),
        pytest.param((*TO_QUEUE, "--eventbridge"), "give one destination", id="queue-and-bridge"),
        pytest.param(("--eventbridge", "--prefix", "a/"), "into its rule", id="bridge-prefix"),
        pytest.param(("--queue-arn", TOPIC), "is not the ARN of", id="topic-as-queue"),
        pytest.param(("--sns", QUEUE), "is not the ARN of", id="queue-as-topic"),
        pytest.param(("--queue-arn", "https://sqs.eu/1/q"), "arn:aws:sqs:", id="queue-url"),
        pytest.param(("--queue-arn", ""), "is not the ARN of", id="empty"),
        pytest.param(("--queue-arn", f"{QUEUE}.fifo"), "FIFO", id="fifo-queue"),
        pytest.param(("--sns", f"{TOPIC}.fifo"), "FIFO", id="fifo-topic"),
        *(
            pytest.param((*TO_QUEUE, "--prefix", prefix), "not how keys begin", id=prefix[:9])
            for prefix in ("/AWSLogs/", "s3://logs/a", "AWSLogs/*", "a%3Db/", "a" * 1025)
        ),
    ],
)
def test_a_wrong_call_reaches_nobody(
    s3: S3, run: Command, arguments: tuple[str, ...], said: str
) -> None:
    """A call that makes no sense is refused with exit code 2, before AWS is asked."""
    ended = run(*arguments, "--yes")

    assert (2, []) == (ended.code, s3.calls)
    assert said in " ".join(ended.err.split())


@pytest.mark.parametrize("bucket", ["s3://logs", "logs/AWSLogs", "arn:aws:s3:::logs", "", "ab"])
def test_a_bucket_is_a_name(s3: S3, run: Command, bucket: str) -> None:
    """A bucket's address or ARN is not its name."""
    ended = run(*TO_QUEUE, bucket=bucket)

    assert (2, []) == (ended.code, s3.calls)
    assert "is not a bucket name" in " ".join(ended.err.split())
