"""Write dead letters as ingestion does, and as forgers do; and hold an emulated S3 to read from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from elasticsearch import Elasticsearch
from moto import mock_aws

from devstack.traffic import line_id
from pipeline.clients.buckets import Buckets
from pipeline.deadline import Deadline
from pipeline.ingest import Options, context_for
from pipeline.sink.deadletters import write_dead_letters
from pipeline.sink.encoding import Reject
from pipeline.sink.store import Store
from pipeline.wiring import Pipeline
from tests.support.factories import KEY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "some-logs"


class OneS3(Buckets):
    """An emulated S3 for all buckets, and the keys of the objects that were read."""

    def __init__(self, s3: "S3Client") -> None:
        super().__init__({})
        self.s3 = s3
        self.read: list[str] = []
        s3.meta.events.register("provide-client-params.s3.GetObject", self._note)

    def client_of(self, bucket: str) -> "S3Client":
        """Return the client."""
        del bucket
        return self.s3

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def _note(self, params: dict[str, Any], **_: object) -> None:
        self.read.append(params["Key"])


@contextmanager
def emulated_s3() -> Iterator[OneS3]:
    """Yield an S3 of its own with a bucket."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        yield OneS3(s3)


def offsets_of(lines: list[bytes]) -> list[int]:
    """Return where each line begins in an object of these lines."""
    return [sum(len(line) + 1 for line in lines[:at]) for at in range(len(lines))]


def write_letters(  # noqa: PLR0913 - each is of its own
    store: Store,
    lines: list[bytes],
    *,
    reason: str = "bad_number",
    key: str | None = KEY,
    options: Options | None = None,
    offsets: list[int] | None = None,
    head: int | None = None,
) -> set[str]:
    """
    Write the letters of lines as an ingestion does that rejects them; return their ids.

    With `head`, they hold only so many bytes of their lines.
    """
    context = context_for(store, options or Options(), bucket=BUCKET if key else None, key=key)
    rejects = [
        Reject(line_id(line), reason, "so it was", line[:head], offset, head and len(line))
        for line, offset in zip(lines, offsets or offsets_of(lines), strict=True)
    ]
    write_dead_letters(
        rejects, context=context, store=store, deadline=Deadline(), body_bytes=100_000
    )
    store.es.indices.refresh(index=store.dead_letters)
    return {reject.id for reject in rejects}


def forge(es: Elasticsearch, store: Store, id_: str, body: bytes) -> None:
    """Write a letter as anybody may who can ingest, byte for byte."""
    es.perform_request(
        "PUT",
        f"/{store.dead_letters}/_create/{id_}?refresh=true",
        headers={"accept": "application/json", "content-type": "application/json"},
        body=body,
    )


def pipeline_of(store: Store, s3: OneS3, options: Options | None = None) -> Pipeline:
    """Return a pipeline that reads this S3."""
    return Pipeline(s3, store, options or Options())
