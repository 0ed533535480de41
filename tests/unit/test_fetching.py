"""Fetching an object: every byte once, whatever the network does, and what a refusal means."""

import base64
import math
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
import urllib3.exceptions as http
from botocore import exceptions as boto
from botocore.config import Config
from botocore.stub import Stubber
from moto import mock_aws

from pipeline.deadline import Deadline
from pipeline.errors import (
    ConfigError,
    ObjectChangedError,
    ObjectMissingError,
    PipelineError,
    SourceUnavailableError,
)
from pipeline.source.fetching import Download, Stored
from tests.support.deadlines import at_once

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-test-bucket"
KEY = "AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/09/10/object.log.gz"
URI = f"s3://{BUCKET}/{KEY}"
DATA = bytes(range(256)) * 2
LARGE = DATA * 1500  # of several pieces


@dataclass
class Fetched:
    """What came until the end or the error."""

    data: bytes = b""
    error: PipelineError | None = None


def collect(begin: Callable[[], Iterable[bytes]]) -> Fetched:
    """Begin to download, join the pieces, and catch the error."""
    result = Fetched()
    try:
        for piece in begin():
            result.data += piece
    except PipelineError as error:
        result.error = error
    return result


@dataclass
class Cut:
    """Let so many bytes of a body through; then raise, or end as if it were whole."""

    after: int
    error: Exception | None = None


class CutBody:
    """A real body that breaks."""

    def __init__(self, body: Any, cut: Cut) -> None:  # noqa: ANN401 - a streaming body
        self._body, self._left, self._error = body, cut.after, cut.error
        self.closed = False

    def read(self, size: int) -> bytes:
        """Read as far as the cut."""
        data: bytes = self._body.read(min(size, self._left))
        self._left -= len(data)
        if not data and self._error:
            raise self._error
        return data

    def close(self) -> None:
        """Close the real body."""
        self.closed = True
        self._body.close()


class CuttingS3:
    """A real client, whose first few answers break as planned."""

    def __init__(self, s3: "S3Client", *cuts: Cut) -> None:
        self._s3, self._cuts = s3, iter(cuts)
        self.requests: list[dict[str, str]] = []
        self.bodies: list[CutBody] = []
        self.pauses: list[float] = []

    def get_object(self, **request: str) -> dict[str, Any]:
        """Get the object, and break its body."""
        self.requests.append(request)
        answer = self.answer(request)
        cut = next(self._cuts, Cut(sys.maxsize))
        answer["Body"] = CutBody(answer["Body"], cut)
        self.bodies.append(answer["Body"])
        return answer

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        """Ask the real client."""
        return cast("dict[str, Any]", self._s3.get_object(**cast("Any", request)))

    def fetch(self, *, within: float = math.inf) -> Fetched:
        """Fetch the object through this client, without waiting between attempts."""
        deadline = Deadline(pause=self.pauses.append).within(within)
        return collect(
            lambda: Download(Stored(BUCKET, KEY), s3=cast("S3Client", self), deadline=deadline)
        )


@pytest.fixture(scope="module")
def aws() -> Iterator["S3Client"]:
    """Start one emulated S3 for all, with a bucket."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def s3(aws: "S3Client") -> "S3Client":
    """Return a client of a bucket that holds the object."""
    aws.put_object(Bucket=BUCKET, Key=KEY, Body=DATA)
    return aws


# A body that is cut


CUTS = [
    pytest.param(None, id="short-body"),
    pytest.param(http.ProtocolError("broken"), id="protocol"),
    pytest.param(http.IncompleteRead(1, 2), id="incomplete"),
    pytest.param(http.SSLError("bad record"), id="tls"),
    pytest.param(ConnectionResetError("reset"), id="reset"),
    pytest.param(TimeoutError("slow"), id="timeout"),
    pytest.param(boto.ReadTimeoutError(endpoint_url=URI), id="botocore-timeout"),
    pytest.param(boto.ResponseStreamingError(error="broken"), id="botocore-streaming"),
    pytest.param(
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), id="botocore-incomplete"
    ),
    pytest.param(boto.ConnectionClosedError(endpoint_url=URI), id="botocore-closed"),
]


@pytest.mark.parametrize("error", CUTS)
def test_a_cut_body_is_resumed(s3: "S3Client", error: Exception | None) -> None:
    """The rest of the same version is asked for, and nothing comes twice."""
    cutting = CuttingS3(s3, Cut(60, error), Cut(30, error))

    assert Fetched(DATA) == cutting.fetch()
    etag = s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    place = {"Bucket": BUCKET, "Key": KEY}
    assert cutting.requests == [
        place,
        place | {"Range": "bytes=60-", "IfMatch": etag},
        place | {"Range": "bytes=90-", "IfMatch": etag},
    ]
    assert all(body.closed for body in cutting.bodies)


@pytest.mark.parametrize("place", [0, 1, 100, len(DATA) - 1])
def test_a_cut_at_any_byte_is_resumed(s3: "S3Client", place: int) -> None:
    """The first and the last byte are no exception."""
    assert Fetched(DATA) == CuttingS3(s3, Cut(place)).fetch()


def test_every_byte_gained_renews_the_patience(s3: "S3Client") -> None:
    """Any number of cuts is accepted, as long as each body brings something."""
    cutting = CuttingS3(s3, *[Cut(25)] * 20)

    assert Fetched(DATA) == cutting.fetch()
    assert len(cutting.requests) == 21
    assert all(pause <= 0.2 for pause in cutting.pauses)


@pytest.mark.parametrize("error", CUTS)
def test_a_body_that_stays_cut_makes_the_source_unavailable(
    s3: "S3Client", error: Exception | None
) -> None:
    """After five bodies in a row without a byte gained, the object fails for now."""
    cutting = CuttingS3(s3, Cut(60, error), *[Cut(0, error)] * 99)
    result = cutting.fetch()

    assert DATA[:60] == result.data
    assert isinstance(result.error, SourceUnavailableError)
    assert f"{URI}: cut 5 times in a row at byte 60 of {len(DATA)}" == str(result.error)
    assert error is None or error is result.error.__cause__
    assert len(cutting.requests) == 5
    assert all(body.closed for body in cutting.bodies)


def test_the_pauses_between_attempts_grow(s3: "S3Client") -> None:
    """Attempts are spread by a random pause, whose bound doubles each time."""
    runs = []
    for _ in range(30):
        cutting = CuttingS3(s3, *[Cut(0)] * 9)
        cutting.fetch()
        runs.append(cutting.pauses)

    longest = [max(pauses) for pauses in zip(*runs, strict=True)]
    assert [True] * 4 == [
        bound / 2 < pause <= bound
        for pause, bound in zip(longest, (0.2, 0.4, 0.8, 1.6), strict=True)
    ]


def test_with_the_time_up_nothing_is_resumed(s3: "S3Client") -> None:
    """A body is resumed as long as there is time for it, and then no more."""
    cutting = CuttingS3(s3, *[Cut(60)] * 3, Cut(0))
    result = cutting.fetch(within=0.0)

    assert DATA[:60] == result.data
    assert isinstance(result.error, SourceUnavailableError)
    assert 1 == len(cutting.requests)
    assert [] == cutting.pauses

    hasty = CuttingS3(s3, *[Cut(60), Cut(0), Cut(0), Cut(0)])
    assert isinstance(hasty.fetch(within=0.3).error, SourceUnavailableError)
    assert all(pause < 0.3 for pause in hasty.pauses)  # a longer one is not begun
    assert len(hasty.pauses) < 4


def test_a_connection_that_breaks_after_the_last_byte_does_not_matter(s3: "S3Client") -> None:
    """When every announced byte has arrived, the object is whole."""
    assert Fetched(DATA) == CuttingS3(s3, Cut(len(DATA), ConnectionResetError("reset"))).fetch()


def test_an_empty_object_is_whole(s3: "S3Client") -> None:
    """An object without a byte is no cut one."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"")

    assert Fetched() == CuttingS3(s3).fetch()


def test_a_reader_that_stops_early_closes_the_connection(s3: "S3Client") -> None:
    """Leaving the pieces half read leaves no connection open."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=LARGE)
    cutting = CuttingS3(s3)
    pieces = iter(Download(Stored(BUCKET, KEY), s3=cast("S3Client", cutting)))
    assert 0 < len(next(pieces)) < len(LARGE)
    del pieces

    assert [True] == [body.closed for body in cutting.bodies]


# The rest of another object


class Replacing(CuttingS3):
    """An S3 in which the object is replaced after the first answer."""

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        """Replace the object before its rest is asked for."""
        if "Range" in request:
            self._s3.put_object(Bucket=BUCKET, Key=KEY, Body=DATA[::-1])
        return super().answer(request)


def test_an_object_replaced_while_it_is_read_fails_for_now(s3: "S3Client") -> None:
    """The rest of another version is never taken for the rest of this one."""
    result = Replacing(s3, Cut(60)).fetch()

    assert DATA[:60] == result.data
    assert isinstance(result.error, SourceUnavailableError)
    assert str(result.error).startswith(f"{URI}: it changed while it was read: ")


def test_an_object_deleted_while_it_is_read_is_missing(s3: "S3Client") -> None:
    """There is no rest to wait for."""

    class Deleting(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            if "Range" in request:
                s3.delete_object(Bucket=BUCKET, Key=KEY)
            return super().answer(request)

    result = Deleting(s3, Cut(60)).fetch()

    assert DATA[:60] == result.data
    assert isinstance(result.error, ObjectMissingError)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"Range": "bytes=61-"}, id="begins-late"),
        pytest.param({"Range": "bytes=6-"}, id="begins-early"),
        pytest.param({"Range": ""}, id="range-ignored"),
    ],
)
def test_an_answer_that_is_not_the_rest_is_not_patched_in(
    s3: "S3Client", changed: dict[str, str]
) -> None:
    """A store that answers with another range doubles nothing and leaves no hole."""

    class Ignoring(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            asked = request | changed if "Range" in request else request
            return super().answer({name: value for name, value in asked.items() if value})

    cutting = Ignoring(s3, Cut(60))
    result = cutting.fetch()

    assert DATA[:60] == result.data
    assert isinstance(result.error, SourceUnavailableError)
    assert f"{URI}: S3 sent something other than the rest of it" == str(result.error)
    assert all(body.closed for body in cutting.bodies)


def test_a_store_that_ignores_versions_mixes_nothing(s3: "S3Client") -> None:
    """An answer with another ETag is refused, even where If-Match was not honoured."""

    class Ignoring(Replacing):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            return super().answer({n: v for n, v in request.items() if n != "IfMatch"})

    result = Ignoring(s3, Cut(60)).fetch()

    assert DATA[:60] == result.data
    assert isinstance(result.error, SourceUnavailableError)
    assert f"{URI}: S3 sent something other than the rest of it" == str(result.error)


# Versions


@pytest.fixture
def versions(aws: "S3Client") -> Iterator[tuple[str, str]]:
    """Yield the ids of two versions of the object, whose bodies are DATA and its reverse."""
    aws.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = aws.put_object(Bucket=BUCKET, Key=KEY, Body=DATA)
    second = aws.put_object(Bucket=BUCKET, Key=KEY, Body=DATA[::-1])
    yield first["VersionId"], second["VersionId"]
    aws.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def test_the_version_that_is_named_is_fetched(aws: "S3Client", versions: tuple[str, str]) -> None:
    """An object overwritten since is read as it was, and goes on so where its body is cut."""
    cutting = CuttingS3(aws, Cut(60))
    download = Download(
        Stored(BUCKET, KEY, version_id=versions[0]),
        s3=cast("S3Client", cutting),
        deadline=at_once(),
    )

    assert DATA == b"".join(download)
    assert versions[0] == download.version_id
    assert [versions[0]] * 2 == [request["VersionId"] for request in cutting.requests]


def test_the_present_version_says_its_name(aws: "S3Client", versions: tuple[str, str]) -> None:
    """Where none is named the present one is fetched: its id is known then, but not asked for."""
    cutting = CuttingS3(aws, Cut(60))
    download = Download(Stored(BUCKET, KEY), s3=cast("S3Client", cutting), deadline=at_once())

    assert DATA[::-1] == b"".join(download)
    assert versions[1] == download.version_id
    assert not any("VersionId" in request for request in cutting.requests)


def test_the_version_without_an_id_is_fetched_by_name(s3: "S3Client") -> None:
    """`null` is the id of what was put while versioning was off; it stays when versions come."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"newer")
    download = Download(Stored(BUCKET, KEY, version_id="null"), s3=s3)
    data = b"".join(download)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})

    assert DATA == data
    assert "null" == download.version_id


def test_a_version_that_is_gone_has_changed(s3: "S3Client", versions: tuple[str, str]) -> None:
    """What is there now may be read instead; whether anything is, the next request says."""
    s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=versions[0])
    result = collect(lambda: Download(Stored(BUCKET, KEY, version_id=versions[0]), s3=s3))

    assert isinstance(result.error, ObjectChangedError)


# A real connection


class BreakingServer(HTTPServer):
    """Serve one object over HTTP, and hang up after so many bytes of each body."""

    def __init__(self, data: bytes, *, hang_up: int, checksum: bytes = b"") -> None:
        super().__init__(("127.0.0.1", 0), BreakingHandler)
        self.data, self.hang_up, self.checksum = data, hang_up, checksum
        self.ranges: list[str] = []

    def client(self) -> "S3Client":
        """Return a client that has this server for S3."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.server_port}",
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 - a stand-in
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )


class BreakingHandler(BaseHTTPRequestHandler):
    """Answer a GET with the object or its rest."""

    server: BreakingServer

    def do_GET(self) -> None:
        """Announce all, and send what the server lets through."""
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-") or 0)
        data = self.server.data
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", '"1"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.server.checksum:
            self.send_header("x-amz-checksum-crc32", self.server.checksum.decode())
        self.end_headers()
        self.wfile.write(data[start : start + self.server.hang_up])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[BreakingServer]:
    """Run the server that the test's parameter describes."""
    with BreakingServer(**request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


CHECKSUM = base64.b64encode(zlib.crc32(LARGE).to_bytes(4))


@pytest.mark.parametrize(
    "served", [{"data": LARGE, "hang_up": 300_000, "checksum": CHECKSUM}], indirect=True
)
def test_a_real_connection_that_hangs_up_is_resumed(served: BreakingServer) -> None:
    """
    What arrived before the server hung up is kept, and each byte counts once.

    This store names the whole object's checksum with a part too, where it cannot fit.
    """
    result = collect(lambda: Download(Stored(BUCKET, KEY), s3=served.client(), deadline=at_once()))

    assert Fetched(LARGE) == result
    assert ["", "bytes=300000-", "bytes=600000-"] == served.ranges


@pytest.mark.parametrize(
    "served", [{"data": DATA, "hang_up": 9999, "checksum": b"AAAAAA=="}], indirect=True
)
def test_an_object_that_fails_its_checksum_is_not_trusted(served: BreakingServer) -> None:
    """S3 names its own checksum of the bytes; if it differs, they were damaged on their way."""
    result = collect(lambda: Download(Stored(BUCKET, KEY), s3=served.client()))

    assert isinstance(result.error, SourceUnavailableError)
    assert str(result.error).startswith(f"{URI}: damaged on its way: ")


# What a refusal means


def test_a_missing_object_is_missing(s3: "S3Client") -> None:
    """No such key is neither the operator's fault nor worth a retry."""
    result = collect(lambda: Download(Stored(BUCKET, "missing"), s3=s3))

    assert isinstance(result.error, ObjectMissingError)
    assert str(result.error).startswith(f"s3://{BUCKET}/missing: there is no such object: ")
    assert isinstance(result.error.__cause__, boto.ClientError)


class NotFoundHandler(BaseHTTPRequestHandler):
    """Answer everything with a 404 that S3 never sends."""

    page = b""

    def do_GET(self) -> None:
        """Send the page."""
        self.send_response(404)
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html><body><h1>404 Not Found</h1></body></html>", id="HTML"),
        pytest.param(b'{"error": "not found"}', id="JSON"),
        pytest.param(b"<Error><Message>NoSuchKey</Message></Error>", id="XML without a code"),
        pytest.param(b"<Error><Code>NoSuchAccessPoint</Code></Error>", id="an access point"),
    ],
)
def test_a_404_of_something_else_is_no_missing_object(page: bytes) -> None:
    """Only S3's own word for it is: a wrong endpoint must not have objects acknowledged unread."""
    handler = type("Handler", (NotFoundHandler,), {"page": page})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 - a stand-in
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )
        result = collect(lambda: Download(Stored(BUCKET, KEY), s3=client))
        server.shutdown()
        thread.join()

    assert isinstance(result.error, ConfigError)
    assert "AWS_ENDPOINT_URL" in str(result.error)


def test_a_missing_bucket_is_a_setting_to_fix(s3: "S3Client") -> None:
    """The bucket's name comes from the operator."""
    result = collect(lambda: Download(Stored("alb-no-bucket", KEY), s3=s3))

    assert isinstance(result.error, ConfigError)
    assert str(result.error).startswith(f"s3://alb-no-bucket/{KEY}: there is no such bucket: ")


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("AccessDenied", 403, ConfigError, ("s3:GetObject ", "s3:ListBucket", "kms:Decrypt")),
        ("AccessDenied", 403, ConfigError, ("s3:GetObjectVersion",)),
        ("403", 403, ConfigError, ("s3:GetObject", "s3:ListBucket", "kms:Decrypt")),
        ("InvalidAccessKeyId", 403, ConfigError, ("credentials",)),
        ("ExpiredToken", 400, ConfigError, ("credentials",)),
        ("InvalidToken", 400, ConfigError, ("credentials",)),
        ("NoSuchKey", 404, ObjectMissingError, ("no such object",)),
        ("NoSuchVersion", 404, ObjectChangedError, ("version", "gone")),
        ("404", 404, ConfigError, ("AWS_ENDPOINT_URL",)),
        ("NoSuchAccessPoint", 404, ConfigError, ("access point",)),
        ("NoSuchUpload", 404, ConfigError, ("AWS_ENDPOINT_URL",)),
        ("", 404, ConfigError, ("AWS_ENDPOINT_URL",)),
        ("NoSuchBucket", 404, ConfigError, ("no such bucket",)),
        ("InvalidObjectState", 403, SourceUnavailableError, ("archived", "restore")),
        ("InvalidRange", 416, ObjectChangedError, ("changed",)),
        ("SlowDown", 503, SourceUnavailableError, ("cannot serve it now",)),
        ("ServiceUnavailable", 503, SourceUnavailableError, ("cannot serve it now",)),
        ("InternalError", 500, SourceUnavailableError, ("cannot serve it now",)),
        ("RequestTimeout", 400, SourceUnavailableError, ("cannot serve it now",)),
        ("ThrottlingException", 400, SourceUnavailableError, ("cannot serve it now",)),
        ("Timeout", 408, SourceUnavailableError, ("cannot serve it now",)),
        ("TooManyRequests", 429, SourceUnavailableError, ("cannot serve it now",)),
        ("BadGateway", 502, SourceUnavailableError, ("cannot serve it now",)),
        ("InvalidRequest", 400, ConfigError, ("refuses the request",)),
        ("PermanentRedirect", 301, ConfigError, ("refuses the request",)),
    ],
)
def test_a_refusal_says_whose_fault_it_is(
    code: str, status: int, error: type[PipelineError], words: tuple[str, ...]
) -> None:
    """Each answer of S3 becomes the error that says whether a retry helps, and what does."""
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 - a stand-in
    )
    with Stubber(client) as stubber:
        stubber.add_client_error("get_object", code, "S3's own words", http_status_code=status)
        result = collect(lambda: Download(Stored(BUCKET, KEY), s3=client))

    assert error is type(result.error)
    assert str(result.error).startswith(f"{URI}: ")
    assert all(word in str(result.error) for word in (*words, "S3's own words"))
    assert isinstance(result.error, Exception)
    assert isinstance(result.error.__cause__, boto.ClientError)


@pytest.mark.parametrize(("status", "error"), [(503, SourceUnavailableError), (403, ConfigError)])
def test_a_refused_resume_is_told_apart(
    s3: "S3Client", status: int, error: type[PipelineError]
) -> None:
    """The answer to the request for the rest is understood like the first one."""

    class Refusing(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            if "Range" in request:
                answer = {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": status}}
                raise boto.ClientError(cast("Any", answer), "GetObject")
            return super().answer(request)

    result = Refusing(s3, Cut(60)).fetch()

    assert DATA[:60] == result.data
    assert error is type(result.error)


def test_a_store_that_cannot_be_reached_is_unavailable() -> None:
    """A connection that is refused may be taken later."""
    with BreakingServer(b"", hang_up=0) as server:
        client = server.client()
    result = collect(lambda: Download(Stored(BUCKET, KEY), s3=client))

    assert isinstance(result.error, SourceUnavailableError)
    assert str(result.error).startswith(f"{URI}: S3 cannot be reached: ")
    assert isinstance(result.error.__cause__, boto.EndpointConnectionError)


def test_a_request_that_cannot_be_made_is_a_setting_to_fix(s3: "S3Client") -> None:
    """No retry fixes what botocore itself refuses."""
    result = collect(lambda: Download(Stored("no bucket's name", KEY), s3=s3))

    assert isinstance(result.error, ConfigError)
    assert isinstance(result.error.__cause__, boto.ParamValidationError)
