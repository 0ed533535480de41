"""
Write objects as a manifest, from which S3 Batch Operations invokes the function for each of them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#specify-batchjob-manifest
"""

import csv
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote

from pipeline.errors import PermanentError
from pipeline.source.objects import ObjectRef


def write_manifest(refs: Iterable[ObjectRef], stream: TextIO) -> int:
    """
    Write one row per object, without a header; return how many there were.

    The columns are bucket, key and, where the first object has one, version: S3 wants the objects
    of a manifest to be of one bucket, and all of them to have a version or none. Open the stream
    with `newline=""`.
    """
    writer = csv.writer(stream, lineterminator="\n")
    rows, first = 0, None
    for ref in refs:
        first = first or ref
        _check(ref, first)
        columns = (ref.bucket, quote(ref.key), ref.version_id)
        writer.writerow(columns if ref.version_id else columns[:2])
        rows += 1
    return rows


def _check(ref: ObjectRef, first: ObjectRef) -> None:
    """Raise PermanentError for an object that cannot stand in one manifest with the first."""
    if ref.bucket != first.bucket:
        raise PermanentError(
            f"a manifest holds the objects of one bucket, and these are of {first.bucket} and "
            f"{ref.bucket}: write one manifest for each"
        )
    if bool(ref.version_id) != bool(first.version_id):
        raise PermanentError(
            "a manifest names a version for every object or for none, and of "
            f"s3://{first.bucket}/{first.key} and s3://{ref.bucket}/{ref.key} only one has one: "
            "write two manifests"
        )
