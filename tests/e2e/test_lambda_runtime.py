"""The zip runs as AWS runs it: under the real interface client, on Python and boto3 alone."""

import io
import json
import queue
import re
import shutil
import statistics
import struct
import subprocess
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import requires
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from elasticsearch import Elasticsearch

from deploy.lambda_zip import HOST, HOST_PYTHON, SHARED_WITH_BOTO3, Architecture, Target, build
from devstack.aws import REGION, AwsServer, environment
from devstack.installing import install_python
from pipeline.sink.store import Store
from tests.deployment import package
from tests.factories import KEY, alb_line, documents, gz, s3_event, sqs_event

BUCKET = "runtime-logs"
HANDLER = "lambda/handler.handler"

MOST_BYTES = 6_000_000
ELF_MACHINES = {Architecture.ARM64: 183, Architecture.X86_64: 62}

COLD_STARTS = 5
COLD_START_RATIO = 1.3
NOISE = 1.05
"""What medians of processor time still differ by on a machine that does other things."""

BASELINE = '''
"""Import what any function of this kind has to."""
import boto3
import elasticsearch

def handler(event, context):
    return None
'''


@pytest.fixture(scope="session")
def zip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the zip for this machine."""
    return package(tmp_path_factory)


@pytest.fixture(scope="session")
def arm_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the zip for ARM64, whatever this machine is."""
    return package(tmp_path_factory, Architecture.ARM64)


@pytest.fixture(scope="session")
def task(zip_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the unpacked zip, as AWS has it in /var/task."""
    place = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(zip_file) as archive:
        archive.extractall(place)
    return place


@pytest.fixture(scope="session")
def runtime_python() -> str:
    """Give a Python that has what AWS's runtime has: the interface client and boto3."""
    return str(install_python("lambda-runtime", "awslambdaric==4.2.2", "boto3"))


# What is in it


def shared_objects(path: Path) -> dict[str, int]:
    """Give the machine of each compiled file in a zip, as its ELF header says."""
    with zipfile.ZipFile(path) as archive:
        heads = {name: archive.open(name).read(20) for name in archive.namelist()}
    return {
        name: struct.unpack_from("<H", head, 18)[0]
        for name, head in heads.items()
        if head.startswith(b"\x7fELF")
    }


def names_in(path: Path) -> list[str]:
    """Name the files in a zip."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_arm_zip_holds_only_arm_code(arm_zip: Path) -> None:
    """Whatever machine built it, everything compiled in the ARM64 zip is for ARM64."""
    machines = shared_objects(arm_zip)

    assert {"isal", "orjson", "regex"} == {name.partition("/")[0] for name in machines}
    assert {ELF_MACHINES[Architecture.ARM64]} == set(machines.values())
    assert {name for name in names_in(arm_zip) if name.endswith(".so")} == set(machines)


def test_the_zip_of_this_machine_is_for_it(zip_file: Path) -> None:
    """Without being told, the zip is for the machine and the Python that build it."""
    assert {ELF_MACHINES[HOST]} == set(shared_objects(zip_file).values())
    about = json.loads(zip_file.with_suffix(".json").read_text())
    assert (f"python{HOST_PYTHON}", HOST) == (about["runtime"], about["architecture"])
    assert zip_file.stat().st_size == about["bytes"]


@pytest.mark.parametrize("fixture", ["zip_file", "arm_zip"])
def test_the_zip_is_small(fixture: str, request: pytest.FixtureRequest) -> None:
    """The zip has at most 6 MB, bytecode included."""
    path: Path = request.getfixturevalue(fixture)

    assert path.stat().st_size <= MOST_BYTES
    assert any(name.endswith(".pyc") for name in names_in(path))


def test_the_zip_holds_no_more_than_it_needs(zip_file: Path) -> None:
    """No AWS client, no command line, no tests; the pipeline, its patterns, the decompressor."""
    names = names_in(zip_file)
    packages = {name.partition("/")[0] for name in names}

    assert packages.isdisjoint({"boto3", "botocore", "s3transfer", "click", "rich", "moto", "bin"})
    assert {"pipeline", "lambda", "logstash", "elasticsearch", "isal", "pygrok"} <= packages
    assert {"lambda/handler.py", "pipeline/ingest.py", "logstash/patterns/alb"} <= set(names)
    assert [] == [name for name in names if re.search(r"(^|/)(tests|cli)/|(^|/)test_", name)]


def test_what_hides_the_runtimes_own_suits_its_boto3(zip_file: Path) -> None:
    """A package that boto3 needs too is in the zip in a version that boto3 takes."""
    shared = {limit.partition("<")[0]: limit for limit in SHARED_WITH_BOTO3}
    needed = [each for name in ("botocore", "s3transfer") for each in requires(name) or []]
    theirs = {re.split(r"[ (<>=!;]", each)[0] for each in needed if "extra ==" not in each}
    ours = {
        match[1].replace("_", "-").lower()
        for name in names_in(zip_file)
        if (match := re.match(r"([\w.]+)-[^/]+\.dist-info/METADATA$", name))
    }

    assert (theirs & ours) <= set(shared)
    assert {"urllib3"} <= (theirs & ours)


def test_the_same_sources_give_the_same_zip(zip_file: Path, tmp_path: Path) -> None:
    """Built again elsewhere, it is the same; a certificate that is asked for is added, no more."""
    (tmp_path / "own.pem").write_text("the authority")
    again = build(Target(), directory=tmp_path, certificate=tmp_path / "own.pem")

    with zipfile.ZipFile(zip_file) as first, zipfile.ZipFile(again.path) as second:
        assert b"the authority" == second.read("ca.pem")
        members = [identity(each) for each in second.infolist() if each.filename != "ca.pem"]
        assert [identity(each) for each in first.infolist()] == members


def identity(member: zipfile.ZipInfo) -> tuple[object, ...]:
    """Give all that a file's bytes and its entry in a zip are made of."""
    return (
        member.filename,
        member.CRC,
        member.file_size,
        member.compress_size,
        member.date_time,
        member.external_attr,
    )


# How it runs


@dataclass
class RuntimeApi:
    """AWS's side of a function: it hands out events and takes answers."""

    events: "queue.Queue[object]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)
    ready: threading.Event = field(default_factory=threading.Event)
    ready_at: float = 0.0


class _Server(ThreadingHTTPServer):
    """Serve one function; it is killed while it waits, which is no error."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Print nothing."""


class _Api(BaseHTTPRequestHandler):
    """docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    api: ClassVar[RuntimeApi]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Hand out the next event, when there is one."""
        self.api.ready_at = self.api.ready_at or time.perf_counter()
        self.api.ready.set()
        event = self.api.events.get()
        self._reply(
            200,
            json.dumps(event).encode(),
            {
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 60) * 1_000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:1:function:f",
                "Content-Type": "application/json",
            },
        )

    def do_POST(self) -> None:
        """Take an answer: `response`, or `error`."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.api.answers.put((self.path.rpartition("/")[2], json.loads(body or b"null")))
        self._reply(202, b"", {})

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True)
class Running:
    """A function's process, and AWS's side of it."""

    api: RuntimeApi
    process: "subprocess.Popen[bytes]"
    cold_start: float

    @property
    def cpu_seconds(self) -> float:
        """Give the time that the process was at work, whatever else the machine did meanwhile."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in threads) / 1e9

    @property
    def peak_megabytes(self) -> float:
        """Give the most memory that the process had at once."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(peak) / 1_024

    def invoke(self, event: object) -> tuple[str, Any]:
        """Hand over an event and wait for what becomes of it."""
        self.api.events.put(event)
        return self.api.answers.get(timeout=60)


@contextmanager
def running(
    python: str, task: Path, handler: str = HANDLER, env: dict[str, str] | None = None
) -> Iterator[Running]:
    """Start a function as AWS does and wait until it asks for an event."""
    api = RuntimeApi()
    server = _Server(("127.0.0.1", 0), type("Api", (_Api,), {"api": api}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    begun = time.perf_counter()
    process = subprocess.Popen(
        [python, "-m", "awslambdaric", handler],
        cwd=task,
        env=runtime_environment(task, server.server_address[1]) | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        if not api.ready.wait(60) or process.poll() is not None:
            process.kill()
            raise AssertionError(process.communicate()[0].decode())
        yield Running(api, process, api.ready_at - begun)
    finally:
        process.kill()
        process.communicate()
        server.shutdown()
        server.server_close()


class Start(NamedTuple):
    """What a cold start cost: seconds of work, seconds by the clock, memory."""

    cpu: float
    clock: float
    megabytes: float


def runtime_environment(task: Path, port: int) -> dict[str, str]:
    """Give what AWS sets; nothing of ours, so that no package but those in the zip is found."""
    return {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "alb-logs",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(task),
        "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only
    }


@pytest.fixture
def function(
    runtime_python: str, task: Path, aws: AwsServer, elasticsearch_url: str, store: Store
) -> Iterator[Running]:
    """Run the function, with S3 and Elasticsearch in its reach."""
    env = {
        **environment(aws.url),
        "POWERTOOLS_SERVICE_NAME": "alb-logs",
        "ALB_LOGS_ES_URL": elasticsearch_url,
        "ALB_LOGS_INDEX_PREFIX": store.prefix,
    }
    with running(runtime_python, task, env=env) as started:
        yield started


def put(aws: AwsServer, key: str, body: bytes) -> None:
    """Put an object where the function finds it."""
    s3 = aws.s3()
    if BUCKET not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)  # type: ignore[arg-type]
    s3.upload_fileobj(io.BytesIO(body), BUCKET, key)


def test_an_event_in_a_partial_response_out(
    function: Running, aws: AwsServer, es: Elasticsearch, prefix: str
) -> None:
    """Of two messages the damaged one is to come again; the lines of both are indexed."""
    good, damaged = KEY, KEY.replace("10.0.0.1", "10.0.0.2")
    put(aws, good, gz(alb_line(1), alb_line(2)))
    put(aws, damaged, gz(alb_line(3)) + gz(*map(alb_line, range(4, 40)))[:-9])

    kind, answer = function.invoke(sqs_event(s3_event(BUCKET, good), s3_event(BUCKET, damaged)))

    assert "response" == kind
    assert {"batchItemFailures": [{"itemIdentifier": "m1"}]} == answer
    assert len(documents(es, prefix)) >= 3
    print(f"\nPeak memory of the function: {function.peak_megabytes:.0f} MB")  # noqa: T201


def test_an_odd_line_takes_the_slow_path(
    function: Running, aws: AwsServer, es: Elasticsearch, prefix: str
) -> None:
    """What only the grok patterns parse is parsed: they, pygrok and regex are in the zip."""
    put(aws, KEY, gz(alb_line(1, user_agent='"\\x22quoted\\x22"')))

    kind, answer = function.invoke(sqs_event(s3_event(BUCKET, KEY)))

    assert ("response", {"batchItemFailures": []}) == (kind, answer)
    (document,) = documents(es, prefix).values()
    assert {"original": '"quoted"'} == document["user_agent"]


def test_a_direct_event_is_an_error_when_it_fails(function: Running, aws: AwsServer) -> None:
    """An event that is no batch fails as a whole, by the error's own name."""
    put(aws, KEY, gz(*map(alb_line, range(40)))[:-9])

    kind, answer = function.invoke(s3_event(BUCKET, KEY))

    assert "error" == kind
    assert "ObjectCorruptError" == answer["errorType"]


def test_cold_start(runtime_python: str, task: Path, tmp_path: Path) -> None:
    """
    Ready within 1.3 times what boto3 and Elasticsearch's client take to be imported.

    The work of the processor is compared, for the other tests of this machine stretch the clock.
    """
    lean = tmp_path / "lean"
    shutil.copytree(task, lean)
    (lean / "baseline.py").write_text(BASELINE)
    starts: dict[str, list[Start]] = {"baseline.handler": [], HANDLER: []}
    for handler in [*starts] * COLD_STARTS:
        with running(runtime_python, lean, handler) as function:
            starts[handler].append(
                Start(function.cpu_seconds, function.cold_start, function.peak_megabytes)
            )

    least, own = (medians(each) for each in starts.values())
    ratio = own.cpu / least.cpu
    print(  # noqa: T201  figures to look at
        f"\nCold start: {own.clock:.2f} s, {least.clock:.2f} s for the bare imports; "
        f"{own.cpu:.2f} s and {least.cpu:.2f} s of work, {ratio:.2f} times; "
        f"{own.megabytes:.0f} MB when ready"
    )
    assert ratio <= COLD_START_RATIO * NOISE


def medians(starts: list[Start]) -> Start:
    """Give the median of each figure."""
    return Start(*(statistics.median(figures) for figures in zip(*starts, strict=True)))
