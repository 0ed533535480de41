"""The commands `setup` and `ingest`, against a real Elasticsearch: what they do, say and return."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer, environment
from devstack.process import free_port
from pipeline.cli import main
from pipeline.config import Config, variable_of
from pipeline.sink.store import Store
from tests.support.commands import Run
from tests.support.factories import KEY, alb_line, documents, gz
from tests.support.proxy import Forward, Proxy, Request, Response
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.server

COMMAND = Path(sys.executable).parent / "alb-logs"
CONNECTION = (
    Path(__file__).parent.parent / "data" / "alb" / "connection-15-fields.log"
).read_bytes()
BUCKET = "alb-logs-of-the-command"


Command = Callable[..., Run]


def run_process(
    *arguments: object, env: Mapping[str, str], stdin: bytes = b"", check: int | None = None
) -> Run:
    """Run the installed command in an environment of nothing but `env`."""
    ended = subprocess.run(
        [COMMAND, *map(str, arguments)],
        env={"PATH": os.defpath, **env},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    run = Run(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
    assert "Traceback" not in run.err
    assert check in (None, run.code), run
    return run


@pytest.fixture
def settings(elasticsearch_url: str, prefix: str) -> dict[str, str]:
    """Return the settings of the test's own prefix."""
    return {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": prefix}


@pytest.fixture
def alb_logs(
    settings: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Return the command with its settings, run in this process."""

    def run(*arguments: object, stdin: bytes = b"") -> Run:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Run(ended.value.code, captured.out, captured.err)

    for name in Config.__dataclass_fields__:
        monkeypatch.delenv(variable_of(name), raising=False)
    for name, text in settings.items():
        monkeypatch.setenv(name, text)
    return run


@pytest.fixture
def s3(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> "S3Client":
    """Return an emulated S3 with a bucket, to which this process's own clients lead."""
    for name, text in environment(aws.url).items():
        monkeypatch.setenv(name, text)
    client = aws.s3()
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
    return client


@pytest.fixture(params=[200, 404])
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the address of a web server that is no Elasticsearch."""
    status: int = request.param

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "13")
            self.end_headers()
            self.wfile.write(b"<html></html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a gzip file of two lines, under a name of its own."""
    path = tmp_path / "web.log.gz"
    path.write_bytes(gz(alb_line(1), alb_line(2)))
    return path


def paths(store: Store) -> list[str]:
    """Return the URL path of every document that is indexed, in order."""
    found: Any = documents(store.es, store.prefix).values()
    return sorted(each["url"]["path"] for each in found)


# --- as a process --------------------------------------------------------------------------------


def test_from_nothing_to_documents(settings: dict[str, str], es: Elasticsearch, log: Path) -> None:
    """The README's way: set up, ingest, ingest again. Every line is there once."""
    setup = run_process("setup", "--replicas", "0", env=settings, check=0)
    again = run_process("setup", env=settings, check=0)
    first = run_process("ingest", log, env=settings, check=0)
    second = run_process("ingest", log, env=settings, check=0)

    assert setup.out.endswith("parts installed. The cluster is ready.\n")
    assert again.out.endswith("Everything is in place.\n")
    assert f"{log}: 2 lines, 2 indexed, 0 duplicates, 0 rejected\n" == first.out
    assert f"{log}: 2 lines, 0 indexed, 2 duplicates, 0 rejected\n" == second.out
    assert ("", "") == (first.err, second.err)
    assert 2 == len(documents(es, settings["ALB_LOGS_INDEX_PREFIX"]))


def test_standard_input_is_ingested_by_a_pipe(
    settings: dict[str, str], store: Store, log: Path
) -> None:
    """What comes through a pipe, as standard input or as a file of the shell's, is ingested."""
    run_process("ingest", "-", env=settings, stdin=alb_line(3) + b"\n", check=0)
    subprocess.run(
        ["/bin/bash", "-c", f"{COMMAND} ingest <(cat {log})"],
        env={"PATH": os.defpath, **settings},
        capture_output=True,
        check=True,
    )

    assert ["/cart/1", "/cart/2", "/cart/3"] == paths(store)


CALLS = [pytest.param(["setup"], id="setup"), pytest.param(["ingest", "-"], id="ingest")]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("env", "said"),
    [
        pytest.param({}, "ALB_LOGS_ES_URL is not set", id="no-address"),
        pytest.param(
            {"ALB_LOGS_ES_URL": "es.example.org"},
            "ALB_LOGS_ES_URL is not an address: write https://es.example.org:9200",
            id="no-url",
        ),
        pytest.param(
            {"ALB_LOGS_ES_CLOUD_ID": "nonsense"},
            "ALB_LOGS_ES_CLOUD_ID is not a cloud ID",
            id="cloud-id",
        ),
    ],
)
def test_a_wrong_setting_is_exit_code_2(call: list[str], env: dict[str, str], said: str) -> None:
    """A missing or wrong setting ends a command with its name, in one sentence."""
    run = run_process(*call, env=env, check=2)

    assert run.said.startswith(said)
    assert "" == run.out


@pytest.mark.parametrize("call", CALLS)
def test_nobody_there_is_exit_code_1(call: list[str]) -> None:
    """Where nothing listens, the command says so and which setting to look at."""
    address = f"http://127.0.0.1:{free_port()}"

    run = run_process(*call, env={"ALB_LOGS_ES_URL": address}, check=1)

    assert run.said.startswith("Elasticsearch does not answer")
    assert "ALB_LOGS_ES_URL is right" in run.said


def test_no_credentials_are_exit_code_2(
    settings: dict[str, str], store: Store, aws: AwsServer, tmp_path: Path
) -> None:
    """Without AWS credentials the command says so, with the object's name."""
    nobody = {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
    }

    run = run_process("ingest", f"s3://{BUCKET}/{KEY}", env=settings | nobody, check=2)

    assert f"s3://{BUCKET}/{KEY}" in run.said
    assert "Unable to locate credentials" in run.said
    assert [] == paths(store)


@pytest.mark.usefixtures("store")
def test_an_unknown_profile_is_exit_code_2(settings: dict[str, str], tmp_path: Path) -> None:
    """AWS settings of which no client can be made end the command in one sentence."""
    wrong = {"AWS_PROFILE": "nobody", "HOME": str(tmp_path)}

    run = run_process("ingest", f"s3://{BUCKET}/{KEY}", env=settings | wrong, check=2)

    assert "the AWS settings are wrong: The config profile (nobody) could not be found" == run.said


def test_progress_is_for_terminals(settings: dict[str, str], store: Store, log: Path) -> None:
    """On a terminal, progress is drawn on standard error; nowhere else."""
    with Terminal() as terminal:
        shown = subprocess.run(
            [COMMAND, "ingest", log, log],
            env={"PATH": os.defpath, "TERM": "xterm", **settings},
            stdout=subprocess.PIPE,
            stderr=terminal.end,
            check=True,
        )
        drawn = terminal.drawn()

    assert "web.log.gz 1/2" in drawn
    assert "2 documents" in drawn
    assert 3 == len(shown.stdout.splitlines())
    assert "1/2" not in shown.stdout.decode()
    assert "" == run_process("ingest", log, log, env=settings).err
    assert ["/cart/1", "/cart/2"] == paths(store)


# --- long work -----------------------------------------------------------------------------------

HURRIED = (sys.executable, "-m", "tests.support.ingest_process", "BUDGET_SECONDS=2", "--")
"""The command, which gives up after two seconds."""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a file whose lines make many bulk requests of the least size."""
    path = tmp_path / "large.log.gz"
    path.write_bytes(gz(*map(alb_line, range(8_000))))
    return path


@pytest.fixture
def proxied(
    settings: dict[str, str], elasticsearch_url: str, store: Store
) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """Yield a proxy before the prepared server, and the settings that lead to it."""
    assert store.prefix
    with Proxy(elasticsearch_url) as proxy:
        yield proxy, settings | {"ALB_LOGS_ES_URL": proxy.url, "ALB_LOGS_BULK_BYTES": "100000"}


class Stuck:
    """A plan: some bulk requests pass; what comes then is refused, or left without an answer."""

    def __init__(self, passing: int, *, status: int | None) -> None:
        self.passing, self.status = passing, status
        self.stuck, self.let_go = Event(), Event()

    def __call__(self, forward: Forward, request: Request) -> Response:
        """Answer a request."""
        if not request.target.startswith("/_bulk") or self.let_go.is_set():
            return forward(request)
        self.passing -= 1
        if self.passing >= 0:
            return forward(request)
        self.stuck.set()
        if self.status is None:
            self.let_go.wait()
            return forward(request)
        headers = {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
        return Response(self.status, headers, b'{"error":"busy"}')


@pytest.mark.parametrize(
    ("status", "cause"), [(503, "503"), (None, "no answer")], ids=["refused", "no answer"]
)
def test_waiting_for_elasticsearch_is_said(
    proxied: tuple[Proxy, dict[str, str]], store: Store, large: Path, status: int, cause: str
) -> None:
    """An Elasticsearch that takes nothing is said after 5 s, in a pipe too, and then goes on."""
    proxy, settings = proxied
    proxy.plan = stuck = Stuck(3, status=status)
    with subprocess.Popen(
        [COMMAND, "ingest", large],
        env={"PATH": os.defpath, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr
        stuck.stuck.wait(10)
        begun = time.monotonic()
        said = process.stderr.readline().decode()
        waited = time.monotonic() - begun
        stuck.let_go.set()
        out, err = process.communicate(timeout=60)

    assert said.startswith("alb-logs: Elasticsearch has taken nothing for ")
    assert cause in said
    assert 4 < waited < 9
    assert (0, b"") == (process.returncode, err)
    assert b"8,000 lines" in out
    assert 8_000 == len(paths(store))


@pytest.mark.parametrize("status", [503, None], ids=["refused", "no answer"])
@pytest.mark.parametrize("names", [["large"], ["log", "large", "log"]], ids=["one", "several"])
def test_an_interruption_ends_with_what_was_done(
    proxied: tuple[Proxy, dict[str, str]],
    log: Path,
    large: Path,
    names: list[str],
    status: int | None,
) -> None:
    """Ctrl-C ends it at once with exit code 130, also while Elasticsearch keeps it waiting."""
    proxy, settings = proxied
    proxy.plan = stuck = Stuck(len(names) + 2, status=status)
    sources = [{"log": log, "large": large}[name] for name in names]
    with subprocess.Popen(
        [COMMAND, "ingest", *sources],
        env={"PATH": os.defpath, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert stuck.stuck.wait(10)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=3)
    stuck.let_go.set()

    said, told = out.decode().splitlines(), err.decode().splitlines()
    assert 130 == process.returncode
    assert f"alb-logs: {large} failed: interrupted" in told
    assert "alb-logs: interrupted; it is safe to run it again" == told[-1]
    (done,) = (line for line in said if line.startswith(f"{large}: "))
    assert not done.startswith(f"{large}: 0 lines")
    assert (len(names) > 1) == said[-1].startswith("3 sources: ")


def test_a_local_file_is_not_in_s3(proxied: tuple[Proxy, dict[str, str]], large: Path) -> None:
    """What is said of a file that was not taken in time fits a file."""
    proxy, settings = proxied
    proxy.plan = Stuck(3, status=503)

    ended = subprocess.run(
        [*HURRIED, "ingest", str(large)],
        cwd=Path(__file__).parents[2],
        env={"PATH": os.defpath, **settings},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert 1 == ended.returncode
    said = ended.stderr.decode()
    assert f"{large} failed: Elasticsearch did not take the documents in time" in said
    assert said.endswith("Run it again then: what is indexed already counts as duplicate\n")
    assert "S3" not in said


# --- setup ---------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(alb_logs: Command, es: Elasticsearch, prefix: str) -> None:
    """With --dry-run everything is said and nothing done, before the setup and after it."""
    before = alb_logs("setup", "--dry-run")
    assert not es.indices.exists(index=f"{prefix}-dead-letter")
    alb_logs("setup", "--replicas", "0")
    change = alb_logs("setup", "--shards", "2", "--dry-run")

    assert (0, 0) == (before.code, change.code)
    assert before.out.splitlines()[-1].endswith("parts would change; nothing was changed.")
    assert "update" in change.out
    assert "Everything is in place." in alb_logs("setup").out


def test_what_a_cluster_lacks_is_said(alb_logs: Command) -> None:
    """What this cluster cannot do is said, with what follows from it."""
    run = alb_logs("setup", "--dry-run")

    assert "This cluster has no index lifecycle management: nothing deletes old" in run.out


def test_setup_for_machines(alb_logs: Command, prefix: str) -> None:
    """With --json the output is one JSON object: the parts, what is missing, and if it was done."""
    planned = json.loads(alb_logs("setup", "--json", "--dry-run").out)
    done = json.loads(alb_logs("setup", "--json", "--replicas", "0").out)
    again = json.loads(alb_logs("setup", "--json").out)

    assert (True, False) == (planned["dry_run"], done["dry_run"])
    assert {"create"} == {part["change"] for part in done["parts"]}
    assert {"unchanged"} == {part["change"] for part in again["parts"]}
    assert f"/_index_template/{prefix}-access" in {part["path"] for part in done["parts"]}
    assert all("what" in part for part in done["parts"])
    assert all(lack.startswith("no ") for lack in done["lacks"])


def test_the_parts_can_be_printed(
    alb_logs: Command, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """With --print every request is JSON, the options in it; no address is needed."""
    monkeypatch.delenv("ALB_LOGS_ES_URL")

    run = alb_logs("setup", "--print", "--shards", "3", "--period", "month")

    requests = json.loads(run.out)
    assert (0, "") == (run.code, run.err)
    assert {"PUT"} == {request["method"] for request in requests}
    bodies = {request["path"]: request["body"] for request in requests}
    settings = bodies[f"/_component_template/{prefix}-settings"]["template"]["settings"]
    assert 3 == settings["index"]["number_of_shards"]
    template = bodies[f"/_index_template/{prefix}-access"]
    assert "month" == template["_meta"]["alb_logs"]["period"]


def test_the_period_is_not_changed_by_mistake(alb_logs: Command) -> None:
    """Another period for a cluster that is in use is refused, unless it is forced."""
    alb_logs("setup", "--replicas", "0")

    refused = alb_logs("setup", "--period", "month")
    forced = alb_logs("setup", "--period", "month", "--force")

    assert (2, "") == (refused.code, refused.out)
    assert "--force" in refused.said
    assert (0, "") == (forced.code, forced.err)


# --- ingest --------------------------------------------------------------------------------------


def test_without_setup_nothing_is_ingested(
    alb_logs: Command, es: Elasticsearch, prefix: str, log: Path
) -> None:
    """A cluster that was not prepared is left alone, with a word on what to run."""
    run = alb_logs("ingest", log)

    assert (2, "") == (run.code, run.out)
    assert "run `alb-logs setup`" in run.said
    assert not es.indices.exists(index=f"{prefix}-*", allow_no_indices=False)


def test_objects_and_files_are_ingested(
    alb_logs: Command, store: Store, s3: "S3Client", log: Path
) -> None:
    """S3 objects, files and standard input go in one call, with a sum at the end."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(alb_line(3), b"bad"))

    run = alb_logs("ingest", f"s3://{BUCKET}/{KEY}", log, "-", stdin=alb_line(4))

    assert [
        f"s3://{BUCKET}/{KEY}: 2 lines, 1 indexed, 0 duplicates, 1 rejected",
        f"{log}: 2 lines, 2 indexed, 0 duplicates, 0 rejected",
        "-: 1 lines, 1 indexed, 0 duplicates, 0 rejected",
        "3 sources: 5 lines, 4 indexed, 0 duplicates, 1 rejected; 0 failed",
    ] == run.out.splitlines()
    assert (1, "") == (run.code, run.err)
    assert ["/cart/1", "/cart/2", "/cart/3", "/cart/4"] == paths(store)
    assert 1 == len(documents(store.es, store.prefix, "dead-letter"))


def test_a_name_tells_account_and_region(alb_logs: Command, store: Store, tmp_path: Path) -> None:
    """A downloaded object that kept its name gives documents of its account and region."""
    path = tmp_path / KEY.rpartition("/")[2]
    path.write_bytes(gz(alb_line(1)))

    alb_logs("ingest", path)

    found: Any = documents(store.es, store.prefix).values()
    (document,) = found
    assert ("123456789012", "eu-central-1") == (
        document["cloud"]["account"]["id"],
        document["cloud"]["region"],
    )


def test_the_kind_can_be_said(alb_logs: Command, store: Store, tmp_path: Path) -> None:
    """With --kind all lines are of that kind: others become dead letters: exit code 1."""
    path = tmp_path / "lines.log"
    path.write_bytes(CONNECTION + alb_line(1))

    run = alb_logs("ingest", "--kind", "connection", path)

    assert (1, f"{path}: 2 lines, 1 indexed, 0 duplicates, 1 rejected\n") == (run.code, run.out)
    assert 1 == len(documents(store.es, store.prefix, "connection"))
    assert 1 == len(documents(store.es, store.prefix, "dead-letter"))


@pytest.mark.usefixtures("store")
def test_ingest_for_machines(alb_logs: Command, s3: "S3Client", log: Path) -> None:
    """With --json each source is one JSON object: its counts, and its error if it has one."""
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="no")["KeyCount"] == 0
    alb_logs("ingest", log)

    run = alb_logs("ingest", "--json", log, f"s3://{BUCKET}/nothing")

    again, missing = map(json.loads, run.out.splitlines())
    assert (1, "") == (run.code, run.err)
    counts = {"lines": 2, "indexed": 0, "duplicates": 2, "rejected": 0, "error": None}
    assert counts == {name: again[name] for name in counts}
    assert [str(log), f"s3://{BUCKET}/nothing"] == [again["source"], missing["source"]]
    assert (0, "ObjectMissingError") == (missing["lines"], missing["error"]["type"])
    assert "there is no such object" in missing["error"]["message"]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("ELBAccessLogTestFile", "the test file that AWS writes"),
        ("part-0000.parquet", "a Parquet file"),
        (
            "123456789012_elasticloadbalancing_eu-central-1_net.web.50dc_20261120T1000Z_x.log.gz",
            "a log of a Network Load Balancer",
        ),
        (
            "123456789012_elasticloadbalancing_eu-central-1_web_20261120T1000Z_1.2.3.4_x.log",
            "a log of a Classic Load Balancer",
        ),
    ],
)
def test_a_foreign_name_fails(
    alb_logs: Command, store: Store, tmp_path: Path, name: str, what: str
) -> None:
    """What is no ALB log by its name fails, a file as an object, unless the kind is given."""
    path = tmp_path / name
    path.write_bytes(alb_line(1))

    run = alb_logs("ingest", path, f"s3://bucket/folder/{name}")
    assert (1, 2) == (run.code, run.err.count(f"failed: by its name it is {what}"))
    assert [] == paths(store)

    assert 0 == alb_logs("ingest", "--kind", "access", path).code
    assert ["/cart/1"] == paths(store)


def test_no_alb_log_at_all_fails(alb_logs: Command, store: Store) -> None:
    """A file of something else fails, and none of its lines becomes a dead letter."""
    run = alb_logs("ingest", "/etc/passwd")

    assert 1 == run.code
    assert "is one of an ALB log" in run.said
    assert {} == documents(store.es, store.prefix, "dead-letter")


def test_quiet_ingest_says_what_goes_wrong(
    alb_logs: Command, store: Store, log: Path, tmp_path: Path
) -> None:
    """With -q nothing is said of what went well, only of rejects and errors."""
    (bad := tmp_path / "bad.log").write_bytes(alb_line(3) + b"\nbad\n")

    good, wrong = alb_logs("ingest", "-q", log), alb_logs("-q", "ingest", bad)

    assert (0, "", "") == (good.code, good.out, good.err)
    assert (1, "") == (wrong.code, wrong.out)
    assert f"{bad}: 2 lines, 1 indexed, 0 duplicates, 1 rejected" == wrong.said
    assert 3 == len(paths(store))


@pytest.mark.usefixtures("store")
def test_verbose_shows_requests(alb_logs: Command, log: Path) -> None:
    """With -v every request is said, and what comes out is the same."""
    run = alb_logs("ingest", "-v", log)

    assert 0 == run.code
    assert "/_bulk" in run.err
    assert run.out.startswith(f"{log}: 2 lines")


@pytest.mark.usefixtures("s3")
def test_a_missing_object_is_exit_code_1(alb_logs: Command, store: Store, log: Path) -> None:
    """A missing object is reported in one sentence; the sources after it are ingested."""
    run = alb_logs("ingest", f"s3://{BUCKET}/nothing", log)

    assert 1 == run.code
    assert run.said.startswith(f"s3://{BUCKET}/nothing failed: ")
    assert "there is no such object" in run.said
    assert 1 == run.said.count("s3://")
    assert run.out.endswith("2 sources: 2 lines, 2 indexed, 0 duplicates, 0 rejected; 1 failed\n")
    assert ["/cart/1", "/cart/2"] == paths(store)


def test_a_cut_file_is_exit_code_1(alb_logs: Command, store: Store, tmp_path: Path) -> None:
    """Of a cut file the whole lines are indexed, the half one is counted as truncated."""
    path = tmp_path / "cut.log.gz"
    data = gz(*map(alb_line, range(50)))
    path.write_bytes(data[: len(data) // 2])

    run = alb_logs("ingest", path)

    whole = len(paths(store))
    assert 0 < whole < 50
    assert (
        f"{path}: {whole + 1} lines, {whole} indexed, 0 duplicates, 0 rejected, 1 truncated\n"
        == run.out
    )
    assert 1 == run.code
    assert "damaged gzip" in run.said


@pytest.mark.usefixtures("s3")
def test_a_wrong_bucket_ends_it_all(alb_logs: Command, store: Store, log: Path) -> None:
    """An error that every other source would meet as well ends the command at once: exit code 2."""
    run = alb_logs("ingest", f"s3://no-such-bucket/{KEY}", log)

    assert (2, "", []) == (run.code, run.out, paths(store))
    assert "there is no such bucket" in run.said


@pytest.mark.parametrize("name", ["no-such-file.log", "s3://bucket-without-key", "."])
def test_a_misspelt_source_is_found_first(
    alb_logs: Command, store: Store, log: Path, name: str
) -> None:
    """A source that is neither file nor object is a wrong call, before anything is indexed."""
    run = alb_logs("ingest", log, name)

    assert (2, "", []) == (run.code, run.out, paths(store))
    assert f"there is no file {name}; an S3 object is s3://BUCKET/KEY" in run.err


@pytest.mark.usefixtures("store", "alb_logs")
def test_an_unreadable_source_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source that fails while it is read ends the command with the system's own reason."""

    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _: object) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Failing())))

    with pytest.raises(SystemExit, match="2"):
        main(["ingest", "-"])

    assert "- cannot be read: Input/output error" in capsys.readouterr().err


def test_no_elasticsearch_is_one_sentence(
    alb_logs: Command, monkeypatch: pytest.MonkeyPatch, log: Path
) -> None:
    """An error that may pass gives exit code 1, in this process as in another."""
    monkeypatch.setenv("ALB_LOGS_ES_URL", f"http://127.0.0.1:{free_port()}")

    run = alb_logs("ingest", log)

    assert (1, "") == (run.code, run.out)
    assert "Elasticsearch does not answer" in run.said


@pytest.mark.parametrize("call", CALLS)
def test_somebody_else_there_is_exit_code_2(
    alb_logs: Command, monkeypatch: pytest.MonkeyPatch, call: list[str], stranger: str
) -> None:
    """Where anything other than Elasticsearch answers, whatever it says, the command says so."""
    monkeypatch.setenv("ALB_LOGS_ES_URL", stranger)

    run = alb_logs(*call)

    assert (2, "") == (run.code, run.out)
    assert "ALB_LOGS_ES_URL leads to something that is not Elasticsearch 8" == run.said


# --- help ----------------------------------------------------------------------------------------


def test_help_lists_what_works(alb_logs: Command) -> None:
    """Every command that help lists has a help of its own, with examples and exit codes."""
    run = alb_logs("--help")

    listed = run.out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    names = [line.split()[0] for line in listed]
    assert [
        *("audit", "backfill", "completion", "connect", "erase", "ingest", "parse", "raw"),
        *("replay", "setup"),
    ] == names
    for name in names:
        help_ = alb_logs(name, "-h")
        assert 0 == help_.code
        assert f"  Examples:\n    alb-logs {name} " in help_.out
        assert "Exit codes: 0 " in help_.out


def test_the_version_is_told(alb_logs: Command) -> None:
    """The command prints its version."""
    run = alb_logs("--version")

    assert (0, True) == (run.code, run.out.startswith("alb-logs, version "))


@pytest.mark.parametrize("call", [["backfill"], ["setup", "--shards", "0"], ["ingest"]])
def test_a_wrong_call_is_exit_code_2(alb_logs: Command, call: list[str]) -> None:
    """A command that does not exist, a wrong option and a missing source give exit code 2."""
    run = alb_logs(*call)

    assert (2, "") == (run.code, run.out)
    assert "Error: " in run.err
