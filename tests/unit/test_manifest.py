"""A manifest is as S3 Batch Operations wants it."""

from dataclasses import replace
from io import StringIO

import pytest

from pipeline.errors import PermanentError
from pipeline.jobs.manifest import write_manifest
from pipeline.source.objects import ObjectRef

PLAIN = ObjectRef("bucket", "a b/c+d,e%ü\"'.log.gz", size=1, etag="e")
VERSION = replace(PLAIN, version_id="null")
QUOTED = "a%20b/c%2Bd%2Ce%25%C3%BC%22%27.log.gz"


def manifest(*refs: ObjectRef) -> tuple[int, str]:
    """Return the number of rows that are told, and the manifest."""
    stream = StringIO(newline="")
    return write_manifest(iter(refs), stream), stream.getvalue()


def test_a_row_names_bucket_and_key() -> None:
    """There is no header, keys are URL-encoded, and the rows are counted."""
    assert (2, f"bucket,{QUOTED}\nbucket,x\n") == manifest(PLAIN, replace(PLAIN, key="x"))


def test_versions_are_a_third_column() -> None:
    """Where the objects have versions, each row has one."""
    assert (1, f"bucket,{QUOTED},null\n") == manifest(VERSION)


def test_a_manifest_may_be_empty() -> None:
    """No object is no row."""
    assert (0, "") == manifest()


@pytest.mark.parametrize(
    ("first", "second", "fix"),
    [
        (PLAIN, VERSION, "write two manifests"),
        (VERSION, PLAIN, "write two manifests"),
        (PLAIN, replace(PLAIN, bucket="other"), "bucket and other: write one manifest for each"),
    ],
)
def test_rows_are_alike(first: ObjectRef, second: ObjectRef, fix: str) -> None:
    """S3 refuses rows of different length and two buckets: it is said before, with the fix."""
    with pytest.raises(PermanentError, match=fix):
        manifest(first, second)
