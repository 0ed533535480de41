"""What is handed over names the same objects where it arrives."""

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.alb.keys import ObjectName, classify_key
from pipeline.jobs.fanout import message_of
from pipeline.jobs.manifest import write_manifest
from pipeline.source.batch_operations import objects_in_task, read_request
from pipeline.source.notifications import objects_in_message
from pipeline.source.objects import ObjectRef
from tests.support.factories import KEY

# A folder of another account would contradict the rest of the key.
folders = st.text(max_size=150).map("{}/".format) | st.just("")
zones = st.integers(-14 * 60, 14 * 60).map(lambda each: timezone(timedelta(minutes=each)))
ids = st.text("0123456789abcdef._-", min_size=1, max_size=80)
refs = st.builds(
    ObjectRef,
    bucket=st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=3, max_size=63),
    key=folders.map(lambda folder: folder + KEY),
    size=st.none() | st.integers(0, 2**45),
    etag=st.none() | ids,
    version_id=st.none() | ids,
    created=st.none() | st.datetimes(datetime(2006, 3, 14), datetime(2100, 1, 1), timezones=zones),  # noqa: DTZ001 -- Hypothesis wants naive bounds
).map(lambda ref: replace(ref, name=name_of(ref.key)))


def name_of(key: str) -> ObjectName:
    """Return what the key says."""
    name = classify_key(key)
    assert isinstance(name, ObjectName)
    return name


ODD = ObjectRef("acme-logs", f'a+b c=d%2F,"\n/ü😀/{KEY}', name_of(KEY), version_id="null")


@given(refs)
@example(ODD)
def test_a_message_brings_its_object_back(ref: ObjectRef) -> None:
    """Any key, and all that is known of an object, is read from the message as it was sent."""
    assert [ref] == list(objects_in_message(message_of(ref)))


@given(refs)
@example(ODD)
def test_a_message_says_its_time_in_utc(ref: ObjectRef) -> None:
    """Whatever zone a listing says the time in, the message says it like S3."""
    ((found),) = objects_in_message(message_of(ref))

    assert isinstance(found, ObjectRef)
    assert found.created is None or found.created.tzinfo is UTC


@given(st.lists(refs, max_size=5), st.booleans())
@example([ODD], True)  # noqa: FBT003
def test_a_manifest_brings_its_objects_back(found: list[ObjectRef], versions: bool) -> None:  # noqa: FBT001
    """Any key that S3 hands on from a manifest as it stands there is read as it was listed."""
    listed = [
        replace(each, bucket="acme-logs", version_id=(each.version_id or "v") if versions else None)
        for each in found
    ]
    stream = StringIO(newline="")
    assert len(listed) == write_manifest(listed, stream)
    stream.seek(0)

    rows = list(csv.reader(stream))
    assert [3 if versions else 2] * len(listed) == [len(row) for row in rows]
    for ref, (bucket, key, *version) in zip(listed, rows, strict=True):
        (read,) = objects_in_task(
            read_request(
                {
                    "invocationSchemaVersion": "2.0",
                    "invocationId": "i",
                    "tasks": [
                        {
                            "taskId": "t",
                            "s3Bucket": bucket,
                            "s3Key": key,
                            "s3VersionId": version[0] if version else None,
                        }
                    ],
                }
            ).tasks[0]
        )
        assert (ref.bucket, ref.key, ref.name, ref.version_id) == (
            read.bucket,
            read.key,
            read.name if isinstance(read, ObjectRef) else None,
            read.version_id if isinstance(read, ObjectRef) else None,
        )
