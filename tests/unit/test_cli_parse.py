"""The command `parse`: lines in, documents out, and what it says and returns."""

import gzip
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.cli import main
from tests.support.factories import KEY, alb_line, gz
from tests.support.terminal import Terminal

DATA = Path(__file__).parent.parent / "data" / "alb"
CONNECTION = (DATA / "connection-15-fields.log").read_bytes().rstrip()
HEALTH_CHECK = (DATA / "health-check-10-fields.log").read_bytes().rstrip()
BAD = b"Enable AccessLog for ELB"
FEW = "4 of the 18 fields that even the oldest lines have"
COMMAND = Path(sys.executable).parent / "alb-logs"


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of the command ended, and what it printed."""

    code: int
    out: bytes
    err: str

    @property
    def documents(self) -> list[Any]:
        """Return standard output, line by line."""
        return [orjson.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> str:
        """Return the last sentence on standard error."""
        return self.err.splitlines()[-1].removeprefix("alb-logs: ")

    @property
    def paths(self) -> list[str]:
        """Return the documents' `url.path`, by which they are recognised."""
        return [document["url"]["path"] for document in self.documents]


Parse = Callable[..., Run]


@pytest.fixture
def parse(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Return the command, run in this process: arguments and standard input in, its end out."""

    def run(*arguments: object, stdin: bytes = b"") -> Run:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main(["parse", *map(str, arguments)])
        captured = capsysbinary.readouterr()
        assert isinstance(ended.value.code, int)
        return Run(ended.value.code, captured.out, captured.err.decode())

    return run


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file of lines, gzipped if its name says so."""

    def write(name: str, *lines: bytes) -> Path:
        path = tmp_path / name
        data = gz(*lines)
        path.write_bytes(data if name.endswith(".gz") else gzip.decompress(data))
        return path

    return write


Log = Callable[..., Path]

# --- in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["access.log", "access.log.gz"])
def test_a_file_is_plain_or_gzip(parse: Parse, log: Log, name: str) -> None:
    """Each line of a file, plain or gzip, becomes one document, in the file's order."""
    run = parse(log(name, alb_line(1), alb_line(2), alb_line(3)))

    assert (0, ["/cart/1", "/cart/2", "/cart/3"]) == (run.code, run.paths)
    assert "3 lines, 3 documents" == run.summary


@pytest.mark.parametrize("data", [alb_line(1) + b"\n", gz(alb_line(1))], ids=["plain", "gzip"])
@pytest.mark.parametrize("arguments", [[], ["-"]], ids=["no-file", "dash"])
def test_standard_input_is_read(parse: Parse, data: bytes, arguments: list[str]) -> None:
    """Standard input is read where no file is given or where it is -, plain or gzip."""
    assert ["/cart/1"] == parse(*arguments, stdin=data).paths


def test_several_files_are_read_in_order(parse: Parse, log: Log) -> None:
    """Files are read one after the other, standard input among them; the summary is of all."""
    first, second = log("first.log", alb_line(1)), log("second.log.gz", alb_line(3), b" \t")

    run = parse(first, "-", second, stdin=alb_line(2))

    assert (0, ["/cart/1", "/cart/2", "/cart/3"]) == (run.code, run.paths)
    assert "4 lines, 3 documents, 1 blank" == run.summary


def test_the_golden_documents_come_out(parse: Parse) -> None:
    """What is written is the document itself, nested, without an `event.ingested` of this run."""
    name = "access-every-field-set"
    expected = orjson.loads((DATA / f"{name}.expected.json").read_bytes())

    run = parse(DATA / f"{name}.log")

    assert [each["document"] for each in expected["documents"]] == run.documents
    assert "ingested" not in run.documents[0]["event"]


def test_bulk_requests_come_out(parse: Parse) -> None:
    """With --bulk each document follows its action, a `create` with index and id."""
    name = "access-every-field-set"
    expected = orjson.loads((DATA / f"{name}.expected.json").read_bytes())["documents"]

    run = parse("--bulk", DATA / f"{name}.log")

    assert [
        line
        for each in expected
        for line in (
            {"create": {"_index": each["_index"], "_id": each["_id"]}},
            each["document"],
        )
    ] == run.documents


def test_output_is_reproducible(parse: Parse, log: Log) -> None:
    """Two runs over the same lines give the same bytes."""
    path = log("a.log.gz", *map(alb_line, range(50)))

    assert parse("--bulk", path).out == parse("--bulk", path).out


def kinds_of(bulk: bytes) -> list[str]:
    """Return the kind of log that each action of a bulk body is for."""
    actions = map(orjson.loads, bulk.splitlines()[::2])
    return [re.sub(r"alb-logs-(.+)-[0-9.]+", r"\1", each["create"]["_index"]) for each in actions]


def test_lines_of_all_kinds_are_told_apart(parse: Parse) -> None:
    """Without a key each line shows which log it is of."""
    run = parse("--bulk", stdin=b"\n".join((alb_line(1), CONNECTION, HEALTH_CHECK)))

    assert ["access", "connection", "health-check"] == kinds_of(run.out)


@pytest.mark.parametrize(
    ("kind", "line"),
    [("access", alb_line(1)), ("connection", CONNECTION), ("health-check", HEALTH_CHECK)],
)
def test_the_kind_can_be_said(parse: Parse, kind: str, line: bytes) -> None:
    """With --kind every line is taken for that kind, and those of others are rejected."""
    others = [each for each in (alb_line(1), CONNECTION, HEALTH_CHECK) if each != line]

    assert 1 == len(parse("--kind", kind, stdin=line).documents)
    run = parse("--kind", kind, stdin=b"\n".join(others))
    assert (1, b"") == (run.code, run.out)
    assert "2 lines, 0 documents, 2 rejected" == run.summary


def test_the_key_tells_the_object(parse: Parse) -> None:
    """With --key documents have what the key says: account and region."""
    (document,) = parse("--key", KEY, stdin=alb_line(1)).documents

    assert ("123456789012", "eu-central-1") == (
        document["cloud"]["account"]["id"],
        document["cloud"]["region"],
    )
    assert "s3" not in document["aws"]


@pytest.mark.parametrize(
    ("prefix", "line", "kind"),
    [
        ("", alb_line(1), "access"),
        ("conn_log_", CONNECTION, "connection"),
        ("health_check_log_", HEALTH_CHECK, "health-check"),
    ],
)
def test_the_key_decides_the_kind(parse: Parse, prefix: str, line: bytes, kind: str) -> None:
    """With --key every line is of the key's kind, however it looks; another is rejected."""
    key = KEY.replace("/123456789012_", f"/{prefix}123456789012_")

    run = parse("--bulk", "--key", key, stdin=b"\n".join((alb_line(1), CONNECTION, HEALTH_CHECK)))

    assert [kind] == kinds_of(run.out)
    assert run.out == parse("--bulk", "--key", key, stdin=line).out
    assert "3 lines, 1 documents, 2 rejected" in run.err


def test_the_kind_wins_over_the_key(parse: Parse) -> None:
    """What is said by --kind holds against the key, which still tells account and region."""
    run = parse("--key", KEY, "--kind", "connection", stdin=CONNECTION)

    assert ["123456789012"] == [each["cloud"]["account"]["id"] for each in run.documents]


def test_a_foreign_key_is_a_wrong_call(parse: Parse) -> None:
    """A key that is none of an ALB log is refused, unless the kind is said."""
    run = parse("--key", "backup/web.log", stdin=alb_line(1))
    assert (2, b"") == (run.code, run.out)
    assert "backup/web.log is not the key of an ALB log object (foreign-key)" in run.err

    (document,) = parse("--key", "backup/web.log", "--kind", "access", stdin=alb_line(1)).documents
    assert "cloud" not in document


# --- what is said --------------------------------------------------------------------------------


def test_the_first_rejects_are_shown(parse: Parse, log: Log) -> None:
    """Each reason is counted, the commonest first, with its first three lines and a message."""
    first = log("first.log", alb_line(1), BAD, b"", BAD, alb_line(2))
    second = log("second.log.gz", BAD, b'GET "', *[BAD] * 9)

    run = parse(first, second)

    assert [
        f"alb-logs: 12 too_few_fields at {first}:2, {first}:4, {second}:1, …; the first: {FEW}",
        f"alb-logs: 1 bad_quoting at {second}:2; the first: a misplaced quote after byte 4",
        "alb-logs: 16 lines, 2 documents, 13 rejected, 1 blank",
    ] == run.err.splitlines()


def test_places_are_right_beyond_the_first_chunk(parse: Parse) -> None:
    """Lines are counted through all chunks, long lines among them."""
    lines = [*map(alb_line, range(6_000)), b"x" * 300_000, alb_line(6_001), BAD]

    run = parse(stdin=b"\n".join(lines))

    assert "1 line_too_long at stdin:6001;" in run.err
    assert "1 too_few_fields at stdin:6003;" in run.err


def test_strangers_cannot_write_to_the_terminal(parse: Parse) -> None:
    """What a line brings into a message is made harmless, and short."""
    line = alb_line(1).replace(b"0.001", b"\x1b]0;owned\x07" + b"x" * 500, 1)

    run = parse(stdin=line)

    assert 1 == run.code
    assert run.err.replace("\n", "").isprintable()
    assert all(len(said) < 300 for said in run.err.splitlines())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("web.log", "this looks like no ALB log"),
        (
            "123456789012_elasticloadbalancing_eu-central-1_web_20261120T1000Z_1.2.3.4_x.log",
            "this looks like no ALB log: by its name it is a log of a Classic Load Balancer",
        ),
        (
            "123456789012_elasticloadbalancing_eu-central-1_net.web.50dc_20261120T1000Z_x.log.gz",
            "this looks like no ALB log: by its name it is a log of a Network Load Balancer",
        ),
        (
            "ELBAccessLogTestFile",
            "this looks like no ALB log: by its name it is the test file that AWS writes",
        ),
    ],
)
def test_what_is_no_alb_log_is_said(parse: Parse, log: Log, name: str, said: str) -> None:
    """Where no line parses, a guess says what the source may be."""
    run = parse(log(name, BAD, BAD))

    assert 1 == run.code
    assert f"alb-logs: {said}" in run.err
    assert "looks like" not in parse(log("good.log", alb_line(1), BAD)).err


def test_quiet_is_quiet(parse: Parse, log: Log) -> None:
    """With -q only what goes wrong is said beside the documents."""
    good, bad = parse("-q", log("good.log", alb_line(1))), parse("-q", log("bad.log", BAD))

    assert (0, "", ["/cart/1"]) == (good.code, good.err, good.paths)
    assert (1, 2) == (bad.code, len(bad.err.splitlines()))


# --- rejects -------------------------------------------------------------------------------------


def test_rejected_lines_are_written_down(parse: Parse, tmp_path: Path) -> None:
    """With --rejects each rejected line is one JSON line: raw text, reason, offset, object."""
    rejects = tmp_path / "rejects.jsonl"
    lines = (alb_line(1), BAD, b"\xff\xfe", alb_line(2))

    run = parse("--rejects", rejects, "--key", KEY, stdin=b"\n".join(lines))

    first, second = map(orjson.loads, rejects.read_bytes().splitlines())
    assert (1, ["/cart/1", "/cart/2"]) == (run.code, run.paths)
    assert BAD.decode() == first["event"]["original"]
    assert "too_few_fields" == first["error"]["type"]
    assert "fields" in first["error"]["message"]
    assert len(lines[0]) + 1 == first["log"]["offset"]
    assert KEY == first["aws"]["s3"]["object"]["key"]
    assert "//4=" == second["event"]["original_base64"]


def test_no_rejects_leave_an_empty_file(parse: Parse, tmp_path: Path) -> None:
    """The file of rejects exists, and is empty, where nothing was rejected."""
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text("of an earlier run")

    parse("--rejects", rejects, stdin=alb_line(1))

    assert b"" == rejects.read_bytes()


# --- exit codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", gz(), b"\n \t\n"], ids=["empty", "gzip", "blank"])
def test_nothing_to_parse_is_fine(parse: Parse, data: bytes) -> None:
    """Empty input and blank lines are no fault: exit code 0, no document."""
    run = parse(stdin=data)

    assert (0, b"") == (run.code, run.out)
    assert "0 documents" in run.err


def test_one_rejected_line_is_exit_code_1(parse: Parse) -> None:
    """One rejected line among good ones gives exit code 1."""
    run = parse(stdin=b"\n".join((alb_line(1), BAD, alb_line(2))))

    assert (1, ["/cart/1", "/cart/2"]) == (run.code, run.paths)
    assert "3 lines, 2 documents, 1 rejected" == run.summary


def test_a_cut_gzip_is_exit_code_1(parse: Parse, log: Log, tmp_path: Path) -> None:
    """Of a cut gzip file the whole lines come out, the half one is counted, the rest goes on."""
    cut, whole = tmp_path / "cut.log.gz", log("whole.log", alb_line(9_999))
    data = gz(*(alb_line(number, user_agent=f'"{os.urandom(99).hex()}"') for number in range(200)))
    cut.write_bytes(data[: len(data) // 2])

    run = parse(cut, whole)

    numbers = [int(path.rpartition("/")[2]) for path in run.paths]
    assert [*range(len(numbers) - 1), 9_999] == numbers
    assert 50 < len(numbers) < 150
    assert 1 == run.code
    said, summary = run.err.splitlines()
    assert f"alb-logs: {cut}: damaged gzip" in said
    assert f"alb-logs: {len(numbers) + 1} lines, {len(numbers)} documents, 1 truncated" == summary


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["no-such-file.log"], "no-such-file.log", id="missing-file"),
        pytest.param(["."], "is a directory", id="directory"),
        pytest.param(["--nonsense"], "--nonsense", id="option"),
        pytest.param(["--kind", "nlb"], "'nlb' is not one of", id="kind"),
        pytest.param(["--rejects", "/no/such/folder/x"], "/no/such/folder/x", id="rejects"),
    ],
)
def test_a_wrong_call_is_exit_code_2(parse: Parse, arguments: list[str], said: str) -> None:
    """A wrong option and a file that is not there give exit code 2 and say which."""
    run = parse(*arguments)

    assert (2, b"") == (run.code, run.out)
    assert said in run.err


def test_an_unreadable_source_is_exit_code_2(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that fails while it is read gives exit code 2 and the system's own reason."""

    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _: object) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Failing())))

    with pytest.raises(SystemExit, match="2"):
        main(["parse"])

    assert b"- cannot be read: Input/output error" in capsysbinary.readouterr().err


# --- as a process --------------------------------------------------------------------------------


def test_nothing_is_needed_of_the_environment(log: Log) -> None:
    """The command runs without one variable of the environment."""
    path = log("a.log", alb_line(1))

    run = subprocess.run([COMMAND, "parse", path], env={}, capture_output=True, check=False)

    assert (0, b"alb-logs: 1 lines, 1 documents\n") == (run.returncode, run.stderr)
    assert "/cart/1" == orjson.loads(run.stdout)["url"]["path"]


def test_a_reader_that_has_enough_ends_it_quietly(log: Log) -> None:
    """`alb-logs parse … | head -1` prints one document and nothing of a broken pipe."""
    path = log("a.log.gz", *map(alb_line, range(5_000)))
    with subprocess.Popen(
        [COMMAND, "parse", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        first = orjson.loads(process.stdout.readline())
        process.stdout.close()
        said = process.stderr.read()

    assert "/cart/0" == first["url"]["path"]
    assert (1, b"") == (process.returncode, said)


# --- what can go wrong with the output -----------------------------------------------------------


def shell(line: str, **variables: object) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which the command and paths are variables."""
    env = {name: str(each) for name, each in ({"alb_logs": COMMAND} | variables).items()}
    env["PATH"] = os.defpath
    return subprocess.run(
        ["/bin/bash", "-c", line], env=env, capture_output=True, check=False, timeout=30
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("parse $log > /dev/full", "standard output cannot be written: No space left on device"),
        ("parse $log >&-", "standard output is closed: nothing can be written to it"),
        (
            "parse --rejects /dev/full $log > /dev/null",
            "--rejects /dev/full cannot be written: No space left on device",
        ),
        ("completion zsh > /dev/full", "standard output cannot be written: No space left on "),
    ],
)
def test_output_that_cannot_be_written_is_told(log: Log, call: str, said: str) -> None:
    """What cannot be written, documents or rejects, is exit code 1 and one sentence."""
    path = log("a.log", alb_line(1), BAD)

    run = shell(f"$alb_logs {call}", log=path)

    assert 1 == run.returncode
    (line,) = run.stderr.decode().splitlines()
    assert line.startswith(f"alb-logs: {said}")


@pytest.mark.parametrize("call", ["--help", "--version", "parse --help"])
def test_help_needs_space_too(call: str) -> None:
    """Help that cannot be written is exit code 1 and one sentence."""
    run = shell(f"$alb_logs {call} > /dev/full")

    assert (1, 1) == (run.returncode, len(run.stderr.splitlines()))


def test_errors_without_standard_error_still_count(log: Log) -> None:
    """Where standard error is closed or full, documents and the exit code are as ever."""
    path = log("a.log", alb_line(1), BAD)

    for redirection in ("2>&-", "2>/dev/full"):
        run = shell(f"$alb_logs parse $log {redirection}", log=path)
        assert (1, 1) == (run.returncode, len(run.stdout.splitlines()))


# --- an interruption -----------------------------------------------------------------------------


def test_an_interruption_ends_with_what_was_done(log: Log) -> None:
    """Ctrl-C while it waits for input is exit code 130 and a summary so far."""
    with subprocess.Popen(
        [COMMAND, "parse", log("a.log", alb_line(1)), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)

    assert 130 == process.returncode
    assert b"alb-logs: 1 lines, 1 documents\n" in said
    assert said.endswith(b"alb-logs: interrupted; it is safe to run it again\n")
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("library", "call"),
    [("click", "parse"), ("orjson", "parse"), ("elasticsearch", "ingest"), ("boto3", "connect")],
)
def test_an_interruption_while_it_is_loaded(tmp_path: Path, library: str, call: str) -> None:
    """Ctrl-C while libraries are loaded, the first and the last of them, is no traceback."""
    (tmp_path / f"{library}.py").write_text(
        "import sys, time; print('loading', file=sys.stderr, flush=True); time.sleep(9)"
    )
    with subprocess.Popen(
        [COMMAND, call, "--help"],
        env={"PATH": os.defpath, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()

    assert 130 == process.returncode
    assert b"Traceback" not in said


# --- what it takes -------------------------------------------------------------------------------


def test_parsing_loads_no_client(log: Log, tmp_path: Path) -> None:
    """The libraries of AWS and Elasticsearch, and that for terminals, are not even loaded."""
    odd = alb_line(user_agent=r'"an escape \x22 takes the reference path"')
    code = (
        "import atexit, sys; from pipeline.cli import main;"
        "atexit.register(lambda: print(*sys.modules));"
        f"main(['parse', '--rejects', '{tmp_path / 'rejects'}', '{log('a.log', BAD, odd)}'])"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    loaded = {name.partition(".")[0] for name in run.stdout.decode().split()}
    assert "orjson" in loaded
    slow = {"boto3", "botocore", "elasticsearch", "elastic_transport", "rich", "requests"}
    assert set() == loaded & slow


@pytest.mark.parametrize("call", [["--help"], ["--version"], ["completion", "bash"]])
def test_help_loads_no_client(call: list[str]) -> None:
    """Nor does what only tells of the commands."""
    code = (
        "import atexit, sys; from pipeline.cli import main;"
        f"atexit.register(lambda: print(*sys.modules)); main({call})"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert "pipeline.cli.group" in run.stdout.decode()
    assert "botocore" not in run.stdout.decode().split()


# --- on a terminal -------------------------------------------------------------------------------


def on_terminal(*call: object, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """Run the command with a terminal as standard error; return its end and what was drawn."""
    with Terminal() as terminal:
        run = subprocess.run(
            [COMMAND, *map(str, call)],
            env={"PATH": os.defpath, "TERM": "xterm"},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=terminal.end,
            check=False,
        )
        return run.returncode, run.stdout, terminal.drawn()


def test_progress_is_shown_on_a_terminal(log: Log) -> None:
    """The source, how much of it is done, and what became of its lines are shown."""
    path = log("a.log.gz", *map(alb_line, range(3_000)), BAD)

    code, out, drawn = on_terminal("parse", path, path)

    assert (1, 6_000) == (code, len(out.splitlines()))
    assert "1/2" in drawn
    assert "2/2" in drawn
    assert "documents" in drawn
    assert drawn.rstrip().endswith("alb-logs: 6,002 lines, 6,000 documents, 2 rejected")


def test_a_stream_has_progress_too(log: Log) -> None:
    """Standard input, whose size nobody knows, is shown with what is known."""
    data = log("a.log", *map(alb_line, range(3_000))).read_bytes()

    _, _, drawn = on_terminal("parse", "-", stdin=data)

    assert "lines" in drawn
    assert " MB" in drawn


# --- completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(name: str) -> None:
    """Each shell gets a script that asks the command itself."""
    run = shell(f"$alb_logs completion {name}")

    assert (0, b"") == (run.returncode, run.stderr)
    assert b"_ALB_LOGS_COMPLETE" in run.stdout


def test_completion_completes() -> None:
    """The script completes commands, options and their values in a real shell."""
    run = shell(
        "export PATH=$(dirname $alb_logs):$PATH; source <(alb-logs completion bash);"
        'complete_of() { COMPREPLY=(); COMP_WORDS=(alb-logs "$@"); COMP_CWORD=$#;'
        ' _alb_logs_completion alb-logs; printf "%s\n" "${COMPREPLY[*]}"; };'
        "complete_of in; complete_of parse --ki; complete_of parse --kind hea"
    )

    assert "ingest\n--kind\nhealth-check\n" == run.stdout.decode()


# --- privacy and filters -------------------------------------------------------------------------


def test_privacy_settings_are_applied(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they do can be seen before they are deployed."""
    monkeypatch.setenv("ALB_LOGS_REDACT_QUERY", "a")
    monkeypatch.setenv("ALB_LOGS_ANONYMIZE_IP", "16,48")
    monkeypatch.setenv("ALB_LOGS_DROP_FIELDS", "user_agent.original")

    run = parse(stdin=alb_line(1))

    (document,) = run.documents
    assert "a=REDACTED" == document["url"]["query"]
    assert "203.0.0.0" == document["source"]["ip"]
    assert "user_agent" not in document


def test_filtered_lines_are_counted(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no documents and no rejects, and the summary says how many there are."""
    monkeypatch.setenv("ALB_LOGS_EXCLUDE", "url.path=/cart/1")

    run = parse(stdin=b"\n".join((alb_line(1), alb_line(2), BAD)))

    assert (1, ["/cart/2"]) == (run.code, run.paths)
    assert "3 lines, 1 documents, 1 rejected, 1 filtered" == run.summary


def test_private_rejects_hold_no_line(
    parse: Parse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file of rejects is as private as dead letters are, and so is what is said."""
    rejects = tmp_path / "rejects.jsonl"
    monkeypatch.setenv("ALB_LOGS_REDACT_QUERY", "*")

    run = parse("--rejects", rejects, stdin=alb_line(1, elb_status_code="hidden"))

    assert b"bad_number" in rejects.read_bytes()
    assert b"hidden" not in rejects.read_bytes()
    assert "hidden" not in run.err


def test_a_wrong_rule_is_exit_code_2(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said at which character, before anything is parsed."""
    monkeypatch.setenv("ALB_LOGS_EXCLUDE", "url.path=/a;url.paht=/b")

    run = parse(stdin=alb_line(1))

    assert (2, b"") == (run.code, run.out)
    assert "ALB_LOGS_EXCLUDE, character 13: 'url.paht' is not a field" in run.err


def test_other_settings_may_be_wrong(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command needs none of them."""
    monkeypatch.setenv("ALB_LOGS_ES_URL", "nonsense")

    assert 0 == parse(stdin=alb_line(1)).code
