"""
Fetch one S3 object's bytes, each once, however often its body is cut.

What comes out is all of the object's bytes, or an error after those that arrived. What the bytes
mean is not decided here.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import FlexibleChecksumError, IncompleteReadError

from pipeline.aws_refusals import CONNECTION_ERRORS, Action, aws_errors
from pipeline.deadline import Deadline
from pipeline.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_PIECE_BYTES = 256 * 1024  # what a cut connection makes us fetch again, at most
_ATTEMPTS = 5  # bodies cut in a row without one byte gained
_PAUSE_SECONDS = 0.1  # between two of them at first; it doubles
_NO_LIMIT = Deadline()


@dataclass(frozen=True, slots=True)
class Stored:
    """
    Which bytes to fetch: all from `start` on.

    `version_id` names the version, where the bucket keeps versions; None: the present one. `etag`,
    without quotes, is what it must be.
    """

    bucket: str
    key: str
    start: int = 0
    etag: str | None = None
    version_id: str | None = None

    @property
    def uri(self) -> str:
        """Return the address as people write it."""
        return f"s3://{self.bucket}/{self.key}"


class Download:
    """
    One version of an object, as it is stored: iterate over its bytes in pieces, once.

    A body that is cut is resumed by a ranged GET of the same version until the deadline. `etag`
    (without quotes) names the version, and so does `version_id`, where the bucket keeps versions.

    Raises ObjectMissingError, ConfigError or SourceUnavailableError.
    """

    def __init__(self, stored: Stored, *, s3: S3Client, deadline: Deadline = _NO_LIMIT) -> None:
        self._stored, self._s3, self._deadline = stored, s3, deadline
        self._done = stored.start
        self._partly = stored.start > 0
        self.etag = stored.etag or ""
        answer = self._get()
        self.etag = _etag(answer)
        self.version_id = answer.get("VersionId") or stored.version_id
        self._size = stored.start + answer["ContentLength"]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes in pieces; let go of the connection at the end."""
        try:
            while self._done < self._size:
                yield self._next_piece()
            self._check_end()
        finally:
            self._body.close()

    def _next_piece(self) -> bytes:
        """Read on, resuming a body that is cut."""
        cuts = 0
        while True:
            try:
                if cuts:
                    self._resume()
                return self._read_on()
            except CONNECTION_ERRORS as exc:
                cuts += 1
                again = cuts < _ATTEMPTS and self._deadline.back_off(cuts, first=_PAUSE_SECONDS)
                if not again:
                    raise SourceUnavailableError(
                        f"{self._stored.uri}: cut {cuts} times in a row at byte {self._done} of "
                        f"{self._size}"
                    ) from exc

    def _read_on(self) -> bytes:
        piece = self._body.read(min(_PIECE_BYTES, self._size - self._done))
        if not piece:
            raise IncompleteReadError(actual_bytes=self._done, expected_bytes=self._size)
        self._done += len(piece)
        return piece

    def _resume(self) -> None:
        """Ask for the rest of the same version."""
        self._body.close()
        self._partly = True
        self._get()

    def _get(self) -> GetObjectOutputTypeDef:
        wanted: dict[str, Any] = {"Bucket": self._stored.bucket, "Key": self._stored.key}
        if self._partly:
            wanted["Range"] = f"bytes={self._done}-"
        if self._stored.version_id:  # only if it was named: it needs a permission of its own
            wanted["VersionId"] = self._stored.version_id
        if self.etag:
            wanted["IfMatch"] = f'"{self.etag}"'
        with aws_errors(Action.GET_OBJECT, self._stored.uri):
            answer = self._s3.get_object(**wanted)
        self._body = answer["Body"]
        right = _etag(answer) == (self.etag or _etag(answer))
        if self._partly:
            right &= answer.get("ContentRange", "").startswith(f"bytes {self._done}-")
        if not right:
            self._body.close()
            raise SourceUnavailableError(
                f"{self._stored.uri}: S3 sent something other than the rest of it"
            )
        return answer

    def _check_end(self) -> None:
        """
        Read past the last byte, where botocore compares S3's checksum of the object.

        Not where only a part was asked for: no checksum of the whole fits it.
        """
        if self._partly:
            return
        try:
            with suppress(*CONNECTION_ERRORS):
                self._body.read(1)
        except FlexibleChecksumError as exc:
            raise SourceUnavailableError(f"{self._stored.uri}: damaged on its way: {exc}") from exc


def _etag(answer: GetObjectOutputTypeDef) -> str:
    return answer["ETag"].strip('"')
