"""The command `parse`: lines in, documents out, and what it says and returns."""

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.cli import main
from tests.factories import KEY, alb_line, gz

DATA = Path(__file__).parent.parent / "data" / "alb"
CONNECTION = (DATA / "connection-15-fields.log").read_bytes().rstrip()
HEALTH_CHECK = (DATA / "health-check-10-fields.log").read_bytes().rstrip()
BAD = b"Enable AccessLog for ELB"
COMMAND = Path(sys.executable).parent / "alb-logs"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the command gave."""

    code: int
    out: bytes
    err: str

    @property
    def documents(self) -> list[Any]:
        """Give standard output, line by line."""
        return [orjson.loads(line) for line in self.out.splitlines()]

    @property
    def paths(self) -> list[str]:
        """Give the documents' `url.path`, by which they are known again."""
        return [document["url"]["path"] for document in self.documents]


Parse = Callable[..., Run]


@pytest.fixture
def parse(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Give the command, run in this process: arguments and standard input in, its end out."""

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
    """Give a function that writes a file of lines, gzipped if its name says so."""

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
    assert "alb-logs: 3 lines, 3 documents\n" == run.err


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
    assert "alb-logs: 4 lines, 3 documents, 1 blank\n" == run.err


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


def test_lines_of_all_kinds_are_told_apart(parse: Parse) -> None:
    """Without a key each line tells which log it is of."""
    run = parse(stdin=b"\n".join((alb_line(1), CONNECTION, HEALTH_CHECK)))

    assert ["aws.elb_logs", "aws.elb_connection", "aws.elb_health_check"] == [
        document["event"]["dataset"] for document in run.documents
    ]


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
    assert "alb-logs: 2 lines, 0 documents, 2 rejected\n" == run.err


def test_the_key_tells_the_object(parse: Parse) -> None:
    """With --key documents have what the key says: account, region and the key itself."""
    (document,) = parse("--key", KEY, stdin=alb_line(1)).documents

    assert ("123456789012", "eu-central-1") == (
        document["cloud"]["account"]["id"],
        document["cloud"]["region"],
    )
    assert {"s3": {"object": {"key": KEY}}} == {"s3": document["aws"]["s3"]}


@pytest.mark.parametrize(
    ("prefix", "line", "dataset"),
    [
        ("", alb_line(1), "aws.elb_logs"),
        ("conn_log_", CONNECTION, "aws.elb_connection"),
        ("health_check_log_", HEALTH_CHECK, "aws.elb_health_check"),
    ],
)
def test_the_key_decides_the_kind(parse: Parse, prefix: str, line: bytes, dataset: str) -> None:
    """With --key every line is of the key's kind, however it looks; another is rejected."""
    key = KEY.replace("/123456789012_", f"/{prefix}123456789012_")

    run = parse("--key", key, stdin=b"\n".join((alb_line(1), CONNECTION, HEALTH_CHECK)))

    assert [dataset] == [document["event"]["dataset"] for document in run.documents]
    assert run.documents == parse("--key", key, stdin=line).documents
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
    assert "backup/web.log" == document["aws"]["s3"]["object"]["key"]
    assert "account" not in document["cloud"]


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
    """The file of rejects is there, and empty, where nothing was rejected."""
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
    assert "alb-logs: 3 lines, 2 documents, 1 rejected\n" == run.err


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

    assert b"- can not be read: Input/output error" in capsysbinary.readouterr().err


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
