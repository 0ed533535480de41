"""
Read the objects of a bucket from an S3 Inventory instead of listing the bucket.

An inventory is a list that S3 writes by day or by week: a manifest.json, which names the columns
and the data files, and gzip CSV files without a header line. Either is accepted, from S3 or from a
local folder; of a data file alone only the columns are known that every inventory has.

Only what is there now is read: of a bucket that keeps versions the present one of each key, and no
delete markers, as a listing shows it. Objects that were written after an inventory are missing from
it, so a range that ends later is refused, as far as a manifest says how old it is.

- docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
- docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

from __future__ import annotations

import csv
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote_plus

import orjson

from pipeline.alb.keys import ObjectName, classify_key
from pipeline.errors import ConfigError
from pipeline.source.fetching import Download, Stored
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, LongLine, ObjectReader, read_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_s3 import S3Client

    from pipeline.source.listing import Wanted

_S3_URL = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)


class InventoryError(ConfigError):
    """An inventory that cannot be read as one; the message names the row, or the fix."""


def objects_of_inventory(
    source: str,
    wanted: Wanted,
    *,
    bucket: str | None,
    client_of: Callable[[str], S3Client],
) -> Iterator[ObjectRef]:
    """
    Yield the wanted objects that an inventory names, in its order.

    `source` is a manifest.json or one CSV file, as s3://BUCKET/KEY or a path. `bucket` is the one
    whose objects are wanted, if that is known: an inventory of another is an error. `client_of`
    returns the client for a bucket.
    """
    shelf = _Shelf(client_of)
    for file in _files(source, wanted, shelf):
        for row in _rows(file, shelf):
            ref = _wanted_object(row, wanted)
            if bucket not in {None, row.bucket}:
                raise InventoryError(
                    f"{row.where}: the inventory is of the bucket {row.bucket}, and not of {bucket}"
                )
            if ref is not None:
                yield ref


def _wanted_object(row: _Row, wanted: Wanted) -> ObjectRef | None:
    """Return the object of a row; None where it is not wanted or not there any more."""
    name = classify_key(row.key)
    if not (isinstance(name, ObjectName) and wanted.holds(name) and row.is_present):
        return None
    return ObjectRef(
        row.bucket,
        row.key,
        name,
        size=row.size,
        etag=row.text("ETag"),
        version_id=row.text("VersionId"),
        created=row.created,
    )


# --- rows ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a data file, by the names of its columns."""

    where: str
    columns: Mapping[str, str]

    @property
    def bucket(self) -> str:
        return self.columns["Bucket"]

    @property
    def key(self) -> str:
        try:
            return unquote_plus(self.columns["Key"], errors="strict")
        except UnicodeDecodeError as error:
            raise InventoryError(f"{self.where}: its key is not URL-encoded UTF-8") from error

    @property
    def is_present(self) -> bool:
        """Return whether it is the present version of its key, and no mark that it was deleted."""
        return self._flag("IsLatest", default=True) and not self._flag(
            "IsDeleteMarker", default=False
        )

    @property
    def size(self) -> int | None:
        text = self.text("Size")
        if text is not None and not (text.isascii() and text.isdigit()):
            raise InventoryError(f"{self.where}: its size is no number: {text!r:.80}")
        return None if text is None else int(text)

    @property
    def created(self) -> datetime | None:
        text = self.text("LastModifiedDate")
        try:
            return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
        except ValueError as error:
            raise InventoryError(f"{self.where}: its date is none: {text!r:.80}") from error

    def text(self, column: str) -> str | None:
        """Return what a column says; None where it is empty or the inventory has no such column."""
        return self.columns.get(column) or None

    def _flag(self, column: str, *, default: bool) -> bool:
        text = self.text(column)
        if text is None:
            return default
        if text not in {"true", "false"}:
            raise InventoryError(f"{self.where}: {column} is neither true nor false: {text!r:.80}")
        return text == "true"


def _rows(file: _File, shelf: _Shelf) -> Iterator[_Row]:
    """Yield the rows of a data file; InventoryError, with its number, for one that is none."""
    number = 0
    for chunk in shelf.read(file.address):
        if isinstance(chunk, LongLine):
            raise InventoryError(f"{file.address}, row {number + 1}: it is too long for a row")
        for line in chunk.data.removesuffix(b"\n").split(b"\n"):
            number += 1
            yield _row(line, f"{file.address}, row {number}", file.columns)


def _row(line: bytes, where: str, columns: tuple[str, ...]) -> _Row:
    try:
        (values,) = csv.reader([line.decode()], strict=True)
    except (csv.Error, ValueError) as error:
        raise InventoryError(f"{where}: it is no row of CSV: {line!r:.120}") from error
    columns = columns or _columns_of(values)
    if len(values) != len(columns):
        raise InventoryError(
            f"{where}: it has {len(values)} columns, and the inventory has {len(columns)} "
            f"({', '.join(columns)}): {line!r:.120}"
        )
    return _Row(where, dict(zip(columns, values, strict=True)))


_FIRST_COLUMNS = ("Bucket", "Key")
_VERSION_COLUMNS = ("VersionId", "IsLatest", "IsDeleteMarker")  # if it is of all versions


def _columns_of(values: list[str]) -> tuple[str, ...]:
    """Return the columns of a row in a data file without a manifest; unknown ones get a number."""
    known: tuple[str, ...] = _FIRST_COLUMNS
    if len(values) >= len(_FIRST_COLUMNS + _VERSION_COLUMNS) and {*values[3:5]} <= {
        "true",
        "false",
    }:
        known += _VERSION_COLUMNS
    return (*known, *(f"column {at + 1}" for at in range(len(known), len(values))))


# --- files ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    """A data file; `columns` is empty where no manifest names them."""

    address: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where the files are: in S3, or here."""

    client_of: Callable[[str], S3Client]

    def read(self, address: str) -> Iterator[Chunk | LongLine]:
        """Yield the lines of a file, plain or gzip."""
        url = _S3_URL.fullmatch(address)
        if url:
            yield from ObjectReader(url[1], url[2], s3=self.client_of(url[1]))
            return
        with _opened(address) as stream:
            yield from read_stream(stream, name=address)

    def read_whole(self, address: str) -> bytes:
        """Return all bytes of a small file."""
        url = _S3_URL.fullmatch(address)
        if url:
            return b"".join(Download(Stored(url[1], url[2]), s3=self.client_of(url[1])))
        with _opened(address) as stream:
            return stream.read()


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    try:
        with Path(path).open("rb") as stream:
            yield stream
    except OSError as error:
        raise InventoryError(f"{path} cannot be read: {error.strerror}") from error


def _files(source: str, wanted: Wanted, shelf: _Shelf) -> Iterator[_File]:
    """Yield the data files of an inventory."""
    _refuse_format(Path(source).suffix.removeprefix("."), source)
    if not source.endswith(".json"):
        yield _File(source)
        return
    manifest = _manifest(source, shelf)
    if manifest.made < wanted.end:
        raise InventoryError(
            f"{source} is of {manifest.made:%Y-%m-%dT%H:%MZ}, and cannot name what was written "
            "later: end the range before it, or list the bucket"
        )
    for key in manifest.keys:
        address = _beside(source, key) or f"s3://{manifest.bucket}/{key}"
        yield _File(address, manifest.columns)


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What a manifest.json says: `bucket` and `keys` are those of the data files."""

    made: datetime
    columns: tuple[str, ...]
    bucket: str
    keys: tuple[str, ...]


def _manifest(source: str, shelf: _Shelf) -> _Manifest:
    try:
        said = orjson.loads(shelf.read_whole(source))
        _refuse_format(said["fileFormat"], source)
        manifest = _Manifest(
            made=datetime.fromtimestamp(int(said["creationTimestamp"]) / 1000, UTC),
            columns=tuple(name.strip() for name in said["fileSchema"].split(",")),
            bucket=said["destinationBucket"].rpartition(":")[2],  # of its ARN
            keys=tuple(f"{file['key']}" for file in said["files"]),
        )
    except orjson.JSONDecodeError as error:
        raise InventoryError(f"{source} is no JSON: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InventoryError(f"{source} is no manifest of an S3 Inventory: {error}") from error
    if not {*_FIRST_COLUMNS} <= {*manifest.columns}:
        raise InventoryError(
            f"{source}: its fileSchema has no columns Bucket and Key: {manifest.columns}"
        )
    return manifest


def _refuse_format(name: str, source: str) -> None:
    if name.lower() in {"orc", "parquet"}:
        raise InventoryError(
            f"{source}: an inventory in {name} cannot be read: choose CSV as its output format"
        )


def _beside(source: str, key: str) -> str | None:
    """Return the data file of a local manifest where it was downloaded with it."""
    if _S3_URL.fullmatch(source):
        return None
    name = key.rpartition("/")[2]
    folder = Path(source).parent
    places = (folder / name, folder / "data" / name, folder.parent / "data" / name)
    return next((f"{path}" for path in places if path.is_file()), None)
