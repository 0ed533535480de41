"""Secrets stay secret: marks are planted in every setting that holds one, and then things fail."""

import io
import json
import logging
import sys
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import boto3
import pytest
from aws_lambda_powertools.utilities import parameters
from moto import mock_aws

from devstack.process import free_port
from pipeline.cli import main
from pipeline.config import Config, variable_of
from tests.support.factories import KEY, s3_event, sqs_event
from tests.support.invocations import Function

MARK = "geheim"
ENCODED = b64encode(f"{MARK}-id:{MARK}-key".encode()).decode()
BASIC = b64encode(f"user:{MARK}".encode()).decode()
HIDDEN = (MARK, ENCODED, ENCODED[:12], ENCODED[12:], BASIC)
"""What may be seen nowhere."""

KEY_SETTING = {"ALB_LOGS_ES_API_KEY": ENCODED}
USER = {"ALB_LOGS_ES_USERNAME": "user", "ALB_LOGS_ES_PASSWORD": MARK}
PARAMETER = {"ALB_LOGS_ES_API_KEY_PARAMETER": "/alb-logs/key"}
SECRET = {"ALB_LOGS_ES_API_KEY_SECRET": "alb-logs-key"}

ANSWERS = {
    "401": (401, True, b'{"error":{"type":"security_exception","reason":"no"},"status":401}'),
    "403": (403, True, b'{"error":{"type":"security_exception","reason":"no"},"status":403}'),
    "401 of a proxy": (401, False, b"<html>401</html>"),
    "400 without a body": (400, False, b""),
    "no JSON": (200, True, b"{"),
    "a web page": (200, False, b"<html></html>"),
    "404": (404, False, b"not here"),
    "500": (500, True, b'{"error":"broken"}'),
}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server that answers as the first part of the path says."""

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            seen.append(self.headers.get("authorization", ""))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, ours, body = list(ANSWERS.values())[int(self.path.split("/")[1])]
            self.send_response(status)
            if ours:
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815  the base class's names

        def log_message(self, *_: object) -> None:
            pass

    seen: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", seen
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin without settings."""
    for name in Config.__dataclass_fields__:
        monkeypatch.delenv(variable_of(name), raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def cloud() -> Iterator[None]:
    """Emulate an empty AWS, for a process that has fetched no secret yet."""
    parameters.clear_caches()  # type: ignore[no-untyped-call]
    with mock_aws():
        yield
    parameters.clear_caches()  # type: ignore[no-untyped-call]


Command = Callable[..., str]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Command:
    """Return the command, run in this process with settings: all that it says, prints and logs."""

    def run(*arguments: str, **settings: str) -> str:
        for variable, text in settings.items():
            monkeypatch.setenv(variable, text)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        with caplog.at_level(logging.INFO), pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert ended.value.code in {1, 2}
        captured = capsys.readouterr()
        assert captured.err.startswith("alb-logs: ")
        assert "Traceback" not in captured.err
        return captured.out + captured.err + caplog.text + everything(ended.value)

    return run


def everything(error: BaseException | None) -> str:
    """Return all texts of an exception, its causes and contexts, as a log would show them."""
    parts = []
    while error is not None:
        parts += ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(parts)


def assert_hidden(said: str) -> None:
    """Check that no mark is in a text."""
    assert [] == [mark for mark in HIDDEN if mark in said], said


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [("-v", "setup"), ("-v", "ingest", "-")], ids=" ".join)
@pytest.mark.parametrize("secret", [KEY_SETTING, USER], ids=["key", "user"])
@pytest.mark.parametrize("answer", [name for name in ANSWERS if name != "500"])
def test_whatever_is_answered(
    command: Command,
    server: tuple[str, list[str]],
    call: tuple[str, ...],
    secret: dict[str, str],
    answer: str,
) -> None:
    """Whatever comes of requests that carry a secret, it is said without the secret."""
    url, seen = server

    said = command(*call, ALB_LOGS_ES_URL=f"{url}/{[*ANSWERS].index(answer)}", **secret)

    assert seen
    assert all(ENCODED in each or BASIC in each for each in seen)
    assert_hidden(said)


@pytest.mark.parametrize("secret", [KEY_SETTING, USER], ids=["key", "user"])
@pytest.mark.parametrize("where", ["nobody", "trouble", "no TLS", "no name", "no authority"])
def test_whatever_fails(
    command: Command, server: tuple[str, list[str]], secret: dict[str, str], where: str
) -> None:
    """Where no answer comes, or only trouble, that is said without the secret."""
    settings = {
        "nobody": {"ALB_LOGS_ES_URL": f"http://127.0.0.1:{free_port()}"},
        "trouble": {"ALB_LOGS_ES_URL": f"{server[0]}/{[*ANSWERS].index('500')}"},
        "no TLS": {"ALB_LOGS_ES_URL": server[0].replace("http:", "https:")},
        "no name": {"ALB_LOGS_ES_URL": "https://no-such-name.invalid"},
        "no authority": {"ALB_LOGS_ES_URL": "https://a", "ALB_LOGS_ES_CA_CERT": "/no/such/file"},
    }

    assert_hidden(command("-v", "setup", **settings[where], **secret))


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(f"{ENCODED[:12]}\n{ENCODED[12:]}", id="two-lines"),
        pytest.param(json.dumps({"encoded": ENCODED}, indent=2), id="json"),
        pytest.param(f"{MARK}-id:{MARK}-key", id="not-encoded"),
        pytest.param(f"{MARK}…", id="ellipsis"),
        pytest.param(f'"{ENCODED}"', id="quoted"),
    ],
)
@pytest.mark.parametrize("field", ["", "#encoded", f"#{MARK}"], ids=["", "field", "no-field"])
@pytest.mark.parametrize("settings", [PARAMETER, SECRET], ids=["parameter", "secret"])
def test_whatever_is_stored(
    command: Command, settings: dict[str, str], stored: str, field: str
) -> None:
    """A parameter or secret of the wrong form is refused with its setting's name, unseen."""
    boto3.client("ssm").put_parameter(Name="/alb-logs/key", Value=stored, Type="SecureString")
    boto3.client("secretsmanager").create_secret(Name="alb-logs-key", SecretString=stored)
    url = f"http://127.0.0.1:{free_port()}"

    ((variable, name),) = settings.items()
    said = command("setup", ALB_LOGS_ES_URL=url, **{variable: f"{name}{field}"})

    assert_hidden(said)
    right = stored.startswith("{") and field == "#encoded"
    assert ("Elasticsearch does not answer" if right else variable) in said


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"AWS_SESSION_TOKEN": f"{MARK}\n{MARK}"}, id="token"),
        pytest.param({"AWS_ACCESS_KEY_ID": f"{MARK}\n{MARK}"}, id="key"),
        pytest.param({"AWS_SECRET_ACCESS_KEY": f"{MARK}\n{MARK}"}, id="secret"),
        pytest.param({"AWS_ENDPOINT_URL": f"http://user:{MARK}@127.0.0.1:1"}, id="address"),
        pytest.param({"AWS_ENDPOINT_URL": f"user:{MARK}@127.0.0.1:1"}, id="no-address"),
        pytest.param({"AWS_ENDPOINT_URL": f"http://user:{MARK}@[:1"}, id="broken-address"),
    ],
)
def test_whatever_aws_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    """AWS's own credentials are not said either, where they make a request impossible."""
    given = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", **settings}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "some")

    said = command("-v", "connect", "--bucket", "bucket", "--eventbridge", "--yes", **given)

    assert_hidden(said)


# --- the function --------------------------------------------------------------------------------


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "event",
    [s3_event("bucket", KEY), sqs_event(s3_event("bucket", KEY))],
    ids=["direct", "sqs"],
)
@pytest.mark.parametrize("stored", [f"{ENCODED[:12]}\n{ENCODED[12:]}", f'{{"a":\n"{ENCODED}"}}'])
def test_the_function_says_nothing_either(
    handler_module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    event: object,
    stored: str,
) -> None:
    """A key with a line end in it fails the invocation; neither log nor exception has a part."""
    boto3.client("ssm").put_parameter(Name="/alb-logs/key", Value=stored, Type="SecureString")
    for name, text in (PARAMETER | {"ALB_LOGS_ES_URL": "https://a"}).items():
        monkeypatch.setenv(name, text)

    invocation = Function(handler_module, capsys)(event)

    assert "ALB_LOGS_ES_API_KEY_PARAMETER" in str(invocation.error)
    assert_hidden(everything(invocation.error) + repr(invocation.logs))
