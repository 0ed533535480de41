"""S3 Inventories as a source of objects: what is read of them, and what is refused."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3
import pytest
from moto import mock_aws

from pipeline.errors import ConfigError, ObjectCorruptError, ObjectMissingError
from pipeline.source.inventory import InventoryError, objects_of_inventory
from pipeline.source.objects import ObjectRef
from tests.support.keys import log_key, utc, wanted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, INVENTORIES = "alb-test-bucket", "inventories"
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
A_DAY = wanted("2026-11-01", "2026-11-02")
KEY = log_key("2026-11-01T10:05", prefix="my logs+é/")
FACTS = ("v1", "true", "false", "512", "2026-11-01T10:05:12.000Z", "0" * 32)


@pytest.fixture
def s3() -> Iterator["S3Client"]:
    """Start an emulated S3 with a bucket for inventories."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=INVENTORIES)
        yield client


def row(*values: str, key: str = KEY) -> str:
    """Return a row as S3 writes it: quoted, the key URL-encoded."""
    return ",".join(f'"{each}"' for each in (BUCKET, quote_plus(key, safe="/"), *values)) + "\n"


def manifest(*files: str, **changed: object) -> str:
    """Return a manifest.json."""
    facts = {
        "sourceBucket": BUCKET,
        "destinationBucket": f"arn:aws:s3:::{INVENTORIES}",
        "version": "2016-11-30",
        "creationTimestamp": "1793586000000",
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": [{"key": file, "size": 1, "MD5checksum": "0" * 32} for file in files],
    }
    return json.dumps(facts | changed, indent=2)


def no_client(bucket: str) -> "S3Client":
    """Return no client: nothing is in S3."""
    raise AssertionError(bucket)


def read(source: object, client: Any = no_client, bucket: str | None = BUCKET) -> list[ObjectRef]:  # noqa: ANN401
    """Return the objects that an inventory names."""
    of = client if callable(client) else lambda _: client
    return list(objects_of_inventory(str(source), A_DAY, bucket=bucket, client_of=of))


def data_file(folder: Path, *rows: str, name: str = "data.csv") -> Path:
    """Write a local data file."""
    path = folder / name
    path.write_text("".join(rows), encoding="utf-8")
    return path


# --- what is read --------------------------------------------------------------------------------


def test_an_inventory_in_s3(s3: "S3Client") -> None:
    """The manifest names the columns and the files; a file's rows name the objects."""
    other = log_key("2026-11-01T10:10")
    for name, text in (("a", row(*FACTS)), ("b", row(*FACTS, key=other))):
        s3.put_object(Bucket=INVENTORIES, Key=f"x/{name}.csv.gz", Body=gzip.compress(text.encode()))
    body = manifest("x/a.csv.gz", "x/b.csv.gz").encode()
    s3.put_object(Bucket=INVENTORIES, Key="x/manifest.json", Body=body)

    refs = read(f"s3://{INVENTORIES}/x/manifest.json", s3)

    assert [KEY, other] == [ref.key for ref in refs]
    (ref, _) = refs
    assert (BUCKET, 512, "0" * 32, "v1") == (ref.bucket, ref.size, ref.etag, ref.version_id)
    assert utc("2026-11-01T10:05:12") == ref.created
    assert ref.name is not None
    assert utc("2026-11-01T10:05") == ref.name.end_time


@pytest.mark.parametrize("folder", ["", "data", "../data"])
def test_an_inventory_that_was_downloaded(tmp_path: Path, folder: str) -> None:
    """The data files are looked for beside a local manifest, before they are in S3."""
    home = tmp_path / "2026-11-02T01-00Z"
    (home / folder).mkdir(parents=True)
    (home / folder / "a.csv.gz").write_bytes(gzip.compress(row(*FACTS).encode()))
    (home / "manifest.json").write_text(manifest("x/data/a.csv.gz"))

    assert [KEY] == [ref.key for ref in read(home / "manifest.json")]


def test_a_local_manifest_of_files_in_s3(s3: "S3Client", tmp_path: Path) -> None:
    """A manifest alone says in which bucket the files are."""
    s3.put_object(Bucket=INVENTORIES, Key="x/a.csv.gz", Body=gzip.compress(row(*FACTS).encode()))
    path = data_file(tmp_path, manifest("x/a.csv.gz"), name="manifest.json")

    assert [KEY] == [ref.key for ref in read(path, s3)]


@pytest.mark.parametrize(
    ("values", "version_id"),
    [
        pytest.param((), None, id="no more"),
        pytest.param(("512", "2026-11-01T10:05:12.000Z"), None, id="others"),
        pytest.param(FACTS, "v1", id="versions"),
        pytest.param(("", "true", "false"), None, id="versions of a bucket that keeps none"),
    ],
)
def test_a_data_file_alone(tmp_path: Path, values: tuple[str, ...], version_id: str | None) -> None:
    """Without a manifest bucket, key and versions are known; with or without quotes."""
    for text in (row(*values), row(*values).replace('"', ""), row(*values).rstrip("\n")):
        (ref,) = read(data_file(tmp_path, text))
        assert (KEY, version_id, None) == (ref.key, ref.version_id, ref.size)


def test_only_what_is_wanted(tmp_path: Path) -> None:
    """Other times and other logs are passed over; any folder will do."""
    moved = f"archive/{KEY.rpartition('/')[2]}"
    others = [
        log_key("2026-11-03T10:05"),
        KEY.replace("_app.", "_net."),
        KEY.replace("/123456789012/", "/210987654321/"),
        "x",
    ]
    path = data_file(tmp_path, *(row(*FACTS, key=key) for key in [*others, KEY, moved]))

    assert [KEY, moved] == [ref.key for ref in read(path, bucket=None)]


def test_only_what_is_there_now(tmp_path: Path) -> None:
    """Older versions and delete markers are passed over, as in a listing."""
    gone = ("v3", "true", "true", "", "2026-11-01T10:05:12.000Z", "")
    older = ("v2", "false", "false", *FACTS[3:])
    path = data_file(
        tmp_path, row(*FACTS), row(*gone, key=log_key("2026-11-01T11:00")), row(*older)
    )

    assert ["v1"] == [ref.version_id for ref in read(path)]


def test_many_rows(tmp_path: Path) -> None:
    """A file of many chunks is read to its end."""
    rows = (row(*FACTS, key=log_key("2026-11-01T10:05", tag=f"t{at}")) for at in range(20_000))

    assert 20_000 == len(read(data_file(tmp_path, *rows)))


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        pytest.param('"unfinished\n', "no row of CSV", id="quote"),
        pytest.param("\n", "it has 0 columns", id="empty"),
        pytest.param(row("v1", "true"), "it has 4 columns, and the inventory has 8", id="few"),
        pytest.param(row(*FACTS, "x"), "it has 9 columns, and the inventory has 8", id="many"),
        pytest.param(row(*FACTS).replace("%C3", "%FF"), "not URL-encoded UTF-8", id="key"),
        pytest.param(row("v1", "yes", *FACTS[2:]), "IsLatest is neither", id="flag"),
        pytest.param(row(*FACTS[:3], "-1", *FACTS[4:]), "its size is no number", id="size"),
        pytest.param(row(*FACTS[:4], "today", "e"), "its date is none", id="date"),
        pytest.param("x" * 300_000 + "\n", "too long for a row", id="long"),
        pytest.param(
            row(*FACTS).replace(BUCKET, "another"), "is of the bucket another", id="other"
        ),
    ],
)
def test_bad_rows(tmp_path: Path, bad: str, said: str) -> None:
    """A row that cannot be read is an error with its file and number: it may be a log's."""
    data_file(tmp_path, row(*FACTS), bad, row(*FACTS))
    path = data_file(tmp_path, manifest("x/data.csv"), name="manifest.json")

    with pytest.raises(InventoryError, match=f"data.csv, row 2: .*{said}"):
        read(path)


def test_a_row_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are no row."""
    path = tmp_path / "data.csv"
    path.write_bytes(b"\xff\xfe,x\n")

    with pytest.raises(InventoryError, match=r"data.csv, row 1: it is no row of CSV"):
        read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(manifest(fileFormat="Parquet"), "choose CSV as its output", id="parquet"),
        pytest.param(manifest(fileFormat="ORC"), "choose CSV as its output", id="orc"),
        pytest.param(manifest(fileSchema="Key, Size"), "no columns Bucket and Key", id="columns"),
        pytest.param(manifest(files=None), "no manifest of an S3 Inventory", id="no files"),
        pytest.param(manifest(fileSchema=1), "no manifest of an S3 Inventory", id="no text"),
        pytest.param(
            manifest(creationTimestamp="1793577599999"),
            "is of 2026-11-01T23:59Z, and cannot name what was written later: end the range before",
            id="too old",
        ),
        pytest.param(manifest(creationTimestamp="x"), "no manifest of an S3", id="no time"),
        pytest.param(manifest(creationTimestamp="9" * 30), "no manifest of an S3", id="far time"),
        pytest.param("[]", "no manifest of an S3 Inventory", id="other JSON"),
        pytest.param("{}", "no manifest of an S3 Inventory", id="empty"),
        pytest.param("{", "is no JSON", id="no JSON"),
    ],
)
def test_bad_manifests(tmp_path: Path, text: str, said: str) -> None:
    """A manifest that cannot be followed is refused, with the fix."""
    with pytest.raises(InventoryError, match=said):
        read(data_file(tmp_path, text, name="manifest.json"))


@pytest.mark.parametrize("name", ["a.parquet", "s3://inventories/x/a.orc"])
def test_other_formats(name: str) -> None:
    """Of Parquet and ORC the error says what to choose instead."""
    with pytest.raises(InventoryError, match="choose CSV as its output format"):
        read(name)


def test_files_that_are_missing(s3: "S3Client", tmp_path: Path) -> None:
    """A file that is not there is an error, here and in S3."""
    with pytest.raises(InventoryError, match=r"no\.csv cannot be read: No such file"):
        read(tmp_path / "no.csv")
    with pytest.raises(ObjectMissingError):
        read(f"s3://{INVENTORIES}/manifest.json", s3)
    with pytest.raises(ConfigError, match="no such bucket"):
        read("s3://no-such-bucket/x.csv", s3)


def test_a_file_that_is_cut(tmp_path: Path) -> None:
    """A damaged file is an error, never a short list."""
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(row(*FACTS).encode() * 100)[:-12])

    with pytest.raises(ObjectCorruptError):
        read(path)
