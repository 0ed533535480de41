"""
Bring one S3 object's bytes, each once, however often its body is cut.

A cut body is resumed by a ranged GET of the same version; what comes out is all of the object's
bytes, or an error after those that arrived. What the bytes mean is not this room's business.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

import math
import random
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3.exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from pipeline.errors import (
    ConfigError,
    ObjectChangedError,
    ObjectMissingError,
    PipelineError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_PIECE_BYTES = 256 * 1024  # what a cut connection makes us fetch again, at most
_ATTEMPTS = 5  # bodies cut in a row without one byte gained
_PAUSE_SECONDS = 0.1  # the first pause between two of them is up to twice this, then it doubles

_CUT = (
    HTTPClientError,
    BotoConnectionError,
    IncompleteReadError,
    urllib3.exceptions.HTTPError,  # those that botocore lets through, of TLS for one
    OSError,
)

# What a refusal means, by its code or else its status. The code says more: some throttles and S3's
# own timeout come with a 400.
_MISSING = (ObjectMissingError, "there is no such object")
_CHANGED = (ObjectChangedError, "it changed while it was read")
_LATER = (SourceUnavailableError, "S3 can not serve it now")
_BAD_CREDENTIALS = (ConfigError, "S3 does not accept the AWS credentials")
_NOT_GRANTED = (
    ConfigError,
    (
        "grant s3:GetObject on the object, kms:Decrypt on its key if it is encrypted with SSE-KMS,"
        " and s3:ListBucket on the bucket, without which a missing object reads as refused; for a"
        " bucket of another account, name a role that has them in ALB_LOGS_BUCKET_ROLES"
    ),
)
_REFUSED = (ConfigError, "S3 refuses the request")
_REFUSALS: dict[str, tuple[type[PipelineError], str]] = {
    "NoSuchBucket": (ConfigError, "there is no such bucket"),
    "InvalidObjectState": (SourceUnavailableError, "it is archived: restore it first"),
    "ExpiredToken": _BAD_CREDENTIALS,
    "InvalidAccessKeyId": _BAD_CREDENTIALS,
    "InvalidToken": _BAD_CREDENTIALS,
    "SignatureDoesNotMatch": _BAD_CREDENTIALS,
    "RequestTimeout": _LATER,
    "Throttling": _LATER,
    "ThrottlingException": _LATER,
    "403": _NOT_GRANTED,
    "404": _MISSING,
    "408": _LATER,
    "412": _CHANGED,
    "416": _CHANGED,
    "429": _LATER,
}


@dataclass(slots=True)
class Stored:
    """Say which bytes to fetch: all from `start` on, of the version `etag` (None: the present)."""

    bucket: str
    key: str
    start: int = 0
    etag: str | None = None
    """Without quotes; after the first piece, that of the version that is fetched."""


def fetch(
    stored: Stored,
    *,
    s3: S3Client,
    left: Callable[[], float] = lambda: math.inf,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """
    Yield the object's bytes in pieces, as they are stored; `left` gives the seconds to resume in.

    Raises ObjectMissingError, ConfigError or SourceUnavailableError.
    """
    download = _Download(stored, s3)
    cuts = 0
    try:
        while not download.complete:
            try:
                piece = download.next_piece()
            except _CUT as exc:
                cuts += 1
                pause = random.uniform(0, _PAUSE_SECONDS * 2**cuts)
                if cuts == _ATTEMPTS or pause >= left():
                    raise download.stays_cut(cuts) from exc
                sleep(pause)
                download.resume()
            else:
                cuts = 0
                yield piece
        download.check_end()
    finally:
        download.close()


class _Download:
    """Hold one version of an object, and how far it has come."""

    def __init__(self, stored: Stored, s3: S3Client) -> None:
        self._stored, self._s3 = stored, s3
        self._uri = f"s3://{stored.bucket}/{stored.key}"
        self._done = stored.start
        self._partly = stored.start > 0
        answer = self._get()
        self._size = stored.start + answer["ContentLength"]
        stored.etag = answer["ETag"].strip('"')

    @property
    def complete(self) -> bool:
        return self._done == self._size

    def next_piece(self) -> bytes:
        """Read on; a cut raises one of _CUT."""
        piece = self._body.read(min(_PIECE_BYTES, self._size - self._done))
        if not piece:
            raise IncompleteReadError(actual_bytes=self._done, expected_bytes=self._size)
        self._done += len(piece)
        return piece

    def resume(self) -> None:
        """Ask for the rest of the same version."""
        self._body.close()
        self._partly = True
        self._get()

    def _get(self) -> GetObjectOutputTypeDef:
        wanted: dict[str, Any] = {"Bucket": self._stored.bucket, "Key": self._stored.key}
        if self._partly:
            wanted["Range"] = f"bytes={self._done}-"
        if self._stored.etag:
            wanted["IfMatch"] = f'"{self._stored.etag}"'
        with _named_errors(self._uri):
            answer = self._s3.get_object(**wanted)
        self._body = answer["Body"]
        right = answer["ETag"].strip('"') == (self._stored.etag or answer["ETag"].strip('"'))
        if self._partly:
            right &= answer.get("ContentRange", "").startswith(f"bytes {self._done}-")
        if not right:
            self._body.close()
            raise SourceUnavailableError(f"{self._uri}: S3 sent something else than its rest")
        return answer

    def stays_cut(self, cuts: int) -> SourceUnavailableError:
        """Make the error for a body that no attempt gets any further."""
        return SourceUnavailableError(
            f"{self._uri}: cut {cuts} times in a row at byte {self._done} of {self._size}"
        )

    def check_end(self) -> None:
        """
        Read past the last byte, where botocore compares S3's checksum of the object.

        Not where only a part was asked for: no checksum of the whole fits it.
        """
        if self._partly:
            return
        try:
            with suppress(*_CUT):
                self._body.read(1)
        except FlexibleChecksumError as exc:
            raise SourceUnavailableError(f"{self._uri}: damaged on its way: {exc}") from exc

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()


@contextmanager
def _named_errors(uri: str) -> Iterator[None]:
    """Turn what botocore raises for a request into our errors."""
    try:
        yield
    except ClientError as exc:
        raise _refusal(exc, uri) from exc
    except _CUT as exc:
        raise SourceUnavailableError(f"{uri}: S3 can not be reached: {exc}") from exc
    except BotoCoreError as exc:
        raise ConfigError(f"{uri}: the request can not be made: {exc}") from exc


def _refusal(exc: ClientError, uri: str) -> PipelineError:
    """Say whose fault it is that S3 refused, and what mends it."""
    code = exc.response.get("Error", {}).get("Code", "")
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    otherwise = _LATER if status >= 500 else _REFUSED  # noqa: PLR2004
    error, meaning = _REFUSALS.get(code) or _REFUSALS.get(str(status), otherwise)
    return error(f"{uri}: {meaning}: {exc}")
