"""The zip runs as AWS runs it: under the real interface client, on Python and boto3 alone."""

import ast
import hashlib
import io
import json
import queue
import re
import shutil
import statistics
import struct
import subprocess
import sys
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
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from elasticsearch import Elasticsearch

from deploy.lambda_zip import (
    HOST,
    HOST_PYTHON,
    ROOT,
    SHARED_WITH_BOTO3,
    Architecture,
    Target,
    build,
)
from devstack.aws import REGION, AwsServer, environment
from devstack.installing import LOCKS, install_python
from pipeline.sink.store import Store
from tests.support.deployment import package
from tests.support.factories import KEY, alb_line, documents, gz, s3_event, sqs_event

BUCKET = "runtime-logs"
HANDLER = "lambda/handler.handler"

MOST_BYTES = 6_000_000
ELF_MACHINES = {Architecture.ARM64: 183, Architecture.X86_64: 62}

COLD_STARTS = 5
COLD_START_RATIO = 1.3
NOISE = 1.05
"""How far medians of processor time still differ on a machine that does other things."""

BASELINE = '''
"""Import what any function of this kind has to."""
import boto3
import elasticsearch

def handler(event, context):
    return None
'''


@pytest.fixture(scope="session")
def zip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the zip for this machine."""
    return package(tmp_path_factory)


@pytest.fixture(scope="session")
def arm_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the zip for ARM64, on any machine."""
    return package(tmp_path_factory, Architecture.ARM64)


@pytest.fixture(scope="session")
def task(zip_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the unpacked zip, as AWS has it in /var/task."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(zip_file) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def runtime_python() -> str:
    """Return a Python that has what AWS's runtime has: the interface client and boto3."""
    return str(install_python("lambda-runtime"))


# What is in it


def shared_objects(path: Path) -> dict[str, int]:
    """Return the machine of each compiled file in a zip, as its ELF header says."""
    with zipfile.ZipFile(path) as archive:
        heads = {name: archive.open(name).read(20) for name in archive.namelist()}
    return {
        name: struct.unpack_from("<H", head, 18)[0]
        for name, head in heads.items()
        if head.startswith(b"\x7fELF")
    }


def names_in(path: Path) -> list[str]:
    """Return the names of the files in a zip."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def imported_files(path: Path) -> Iterator[Path]:
    """Yield the files of this repository that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                modules = [each.name for each in names]
            case ast.ImportFrom(module=str(module), names=names):
                modules = [f"{module}.{each.name}" for each in names]
            case _:
                continue
        for name in modules:
            file = ROOT.joinpath(*name.split("."))
            around = (each / "__init__.py" for each in (file, *file.parents))
            candidates = (file.with_suffix(".py"), file.parent.with_suffix(".py"), *around)
            yield from (each for each in candidates if each.is_file() and ROOT in each.parents)


def reached(start: Path) -> set[str]:
    """Return a file and all that it imports, directly or through others, below the root."""
    found: set[Path] = set()
    left = {start}
    while left:
        each = left.pop()
        found.add(each)
        left |= set(imported_files(each)) - found
    return {str(each.relative_to(ROOT)) for each in found}


def test_the_arm_zip_holds_only_arm_code(arm_zip: Path) -> None:
    """Whatever machine built it, everything compiled in the ARM64 zip is for ARM64."""
    machines = shared_objects(arm_zip)

    assert {"isal", "orjson", "regex"} == {name.partition("/")[0] for name in machines}
    assert {ELF_MACHINES[Architecture.ARM64]} == set(machines.values())
    assert {name for name in names_in(arm_zip) if name.endswith(".so")} == set(machines)


def test_the_zip_of_this_machine_is_for_it(zip_file: Path) -> None:
    """Unless told otherwise, the zip is for the machine and the Python that build it."""
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


def test_the_zip_holds_the_modules_that_the_handler_imports(zip_file: Path) -> None:
    """Of our own modules it holds exactly those that the handler imports, at once or later."""
    own = {name for name in names_in(zip_file) if re.fullmatch(r"(lambda|pipeline)/.*\.py", name)}

    assert reached(ROOT / "lambda" / "handler.py") == own
    assert {"pipeline/source/fetching.py", "pipeline/jobs/redelivery.py"} <= own
    assert not [name for name in own if "/cluster/" in name or name.endswith("subscription.py")]


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


def test_the_bill_of_materials_is_valid_and_whole(zip_file: Path) -> None:
    """It follows CycloneDX's schema, names each package in the zip by its lock, and the zip."""
    text = zip_file.with_suffix(".cdx.json").read_text(encoding="utf-8")
    bill = json.loads(text)
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+)", (LOCKS / "lambda.txt").read_text(), re.MULTILINE)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert sorted(pinned) == [(each["name"], each["version"]) for each in bill["components"]]
    assert all(each["licenses"] for each in bill["components"])
    (content,) = bill["metadata"]["component"]["hashes"]
    assert hashlib.sha256(zip_file.read_bytes()).hexdigest() == content["content"]


def test_a_missing_certificate_is_told(tmp_path: Path) -> None:
    """`make package` with a file that is not there says so in one sentence, and builds nothing."""
    missing = str(tmp_path / "ca.pem")
    command = [sys.executable, "-m", "deploy.lambda_zip", "--certificate", missing]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert f"make package: there is no certificate {missing}: name a PEM file\n" == done.stderr


@pytest.mark.parametrize("python", ["3.12", "3.13", "3.14"])
def test_the_zip_is_built_for_every_python(python: str, tmp_path: Path) -> None:
    """Under any Python of ours a zip for another is built, with compiled code of that one."""
    built = build(Target(Architecture.ARM64, python), directory=tmp_path)

    compiled = [name for name in names_in(built.path) if name.endswith(".so")]
    assert len(compiled) > 3
    assert {f".cpython-{python.replace('.', '')}-aarch64-linux-gnu.so"} == {
        name[name.index(".") :] for name in compiled
    }
    assert f"python{python}" == json.loads(built.path.with_suffix(".json").read_text())["runtime"]


def test_the_same_sources_give_the_same_zip(zip_file: Path, tmp_path: Path) -> None:
    """Built again elsewhere, it is the same; only a certificate that is asked for is added."""
    (tmp_path / "own.pem").write_text("the authority")
    again = build(Target(), directory=tmp_path, certificate=tmp_path / "own.pem")

    with zipfile.ZipFile(zip_file) as first, zipfile.ZipFile(again.path) as second:
        assert b"the authority" == second.read("ca.pem")
        members = [identity(each) for each in second.infolist() if each.filename != "ca.pem"]
        assert [identity(each) for each in first.infolist()] == members


def identity(member: zipfile.ZipInfo) -> tuple[object, ...]:
    """Return everything that decides a file's bytes and its entry in a zip."""
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
    """AWS's side of a function: it hands out events and receives answers."""

    events: "queue.Queue[object]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)
    ready: threading.Event = field(default_factory=threading.Event)
    ready_at: float = 0.0


class _Server(ThreadingHTTPServer):
    """Serve one function, which is killed while it waits: no error."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Log nothing."""


class _Api(BaseHTTPRequestHandler):
    """docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    api: ClassVar[RuntimeApi]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Hand out the next event as soon as there is one."""
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
        """Receive an answer: `response` or `error`."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.api.answers.put((self.path.rpartition("/")[2], json.loads(body or b"null")))
        self._reply(202, b"", {})

    def log_message(self, *_: object) -> None:
        """Log nothing."""

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
        """Return the processor time of the process, independent of other load on the machine."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in threads) / 1e9

    @property
    def peak_megabytes(self) -> float:
        """Return the peak memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(peak) / 1_024

    def invoke(self, event: object) -> tuple[str, Any]:
        """Hand over an event and wait for the answer."""
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
    """The cost of a cold start: seconds of work, seconds by the clock, memory."""

    cpu: float
    clock: float
    megabytes: float


def runtime_environment(task: Path, port: int) -> dict[str, str]:
    """Return what AWS sets, and nothing of ours: only packages in the zip are found."""
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
    """Run the function, with S3 and Elasticsearch within reach."""
    env = {
        **environment(aws.url),
        "POWERTOOLS_SERVICE_NAME": "alb-logs",
        "ALB_LOGS_ES_URL": elasticsearch_url,
        "ALB_LOGS_INDEX_PREFIX": store.prefix,
    }
    with running(runtime_python, task, env=env) as started:
        yield started


def put(aws: AwsServer, key: str, body: bytes) -> None:
    """Put an object into the bucket that the function reads."""
    s3 = aws.s3()
    if BUCKET not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)  # type: ignore[arg-type]
    s3.upload_fileobj(io.BytesIO(body), BUCKET, key)


def test_an_event_in_a_partial_response_out(
    function: Running, aws: AwsServer, es: Elasticsearch, prefix: str
) -> None:
    """Of two messages only that of the damaged object comes again; lines of both are indexed."""
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

    Processor time is compared, because other tests on the same machine stretch the clock.
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
    """Return the median of each figure."""
    return Start(*(statistics.median(figures) for figures in zip(*starts, strict=True)))
