"""The sample by which a plan estimates lines and time."""

from typing import TYPE_CHECKING

import pytest

from devstack.aws import AwsServer, environment
from pipeline.clients.buckets import Buckets
from pipeline.deadline import Deadline
from pipeline.ingest import Options
from pipeline.jobs.planning import measure
from pipeline.sink.store import Store
from pipeline.source.listing import objects_between
from pipeline.wiring import Pipeline
from tests.support.factories import alb_line, gz
from tests.support.keys import log_key, wanted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "sampled-archive"


@pytest.fixture
def s3(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> "S3Client":
    """Return a client of S3, with a bucket that holds one object of three thousand lines."""
    for name, text in environment(aws.url).items():
        monkeypatch.setenv(name, text)
    client = aws.s3()
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    body = gz(*map(alb_line, range(3_000)))
    client.put_object(Bucket=BUCKET, Key=log_key("2026-11-20T10:05"), Body=body)
    return client


def test_a_sample_takes_as_long_as_it_may(s3: "S3Client", store: Store) -> None:
    """One object that unpacks to hours of work must not hold up what only estimates."""
    refs = list(objects_between(BUCKET, wanted("2026-11-20", "2026-11-21"), s3=s3))
    pipeline = Pipeline(store=store, options=Options(bulk_bytes=100_000), buckets=Buckets({}))
    deadline = Deadline()

    whole = measure(refs, pipeline, deadline=deadline)
    pipeline.buckets.client_of(BUCKET).meta.events.register(
        "before-call.s3.GetObject", lambda **_: deadline.give_up()
    )
    part = measure(refs, pipeline, deadline=deadline)

    assert (3_000, refs[0].size) == (whole.lines, whole.bytes)
    assert (0, 0) == (part.lines, part.bytes)
