"""Run the command `connect` in this process, before an S3 that answers as AWS does."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from devstack.aws import environment
from devstack.process import free_port
from pipeline.cli import main
from tests.support.commands import Command, Run
from tests.support.notifying import (
    BUCKET,
    S3,
    served,
)


class Terminal(io.TextIOWrapper):
    """Standard input of a terminal."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """Return a session that reads boto3's many files once, and not once a test."""
    return boto3.Session()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, session: boto3.Session) -> Iterator[S3]:
    """Yield an S3 with one bucket, which others use too, to which boto3 leads."""
    stand_in = S3(f"http://127.0.0.1:{free_port()}")
    for name, text in environment(stand_in.url).items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    with served(stand_in):
        yield stand_in


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command for the bucket; `typed` is what somebody at a terminal answers."""

    def call(*arguments: str, typed: str | None = None, bucket: str = BUCKET) -> Run:
        stream = io.BytesIO((typed or "").encode())
        wrapper = io.TextIOWrapper if typed is None else Terminal
        monkeypatch.setattr(sys, "stdin", wrapper(stream))
        with pytest.raises(SystemExit) as ended:
            main(["connect", "--bucket", bucket, *arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Run(ended.value.code, captured.out, captured.err)

    return call
