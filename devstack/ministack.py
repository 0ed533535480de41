"""
Run an AWS emulator that deploys and runs functions, as a process of its own.

MiniStack deploys CloudFormation, feeds a function from its queue, runs it from the deployed zip and
enforces IAM, so a permission missing from a role or a queue's policy shows here. It gets a Python
environment of its own because it pins botocore. Its functions run there, too: like AWS's runtime,
that environment holds boto3, and nothing else that could hide a package missing from the zip.

It differs from AWS: no batching window, no `RecursiveLoop`, no check of numbers that AWS refuses.
"""

import json
import os
import tempfile
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import boto3

from devstack.aws import REGION
from devstack.installing import install_python
from devstack.process import HOST, Command, Server, free_port, http_status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

ACCOUNT = "123456789012"

_KEY = "test"
_START_SECONDS = 60.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a queue, hidden or not, and how often it was received."""

    body: str
    receives: int


class MiniStack(Server):
    """One emulated AWS account, empty at first, used as its root user."""

    def ready(self) -> bool:
        """Return whether the emulator answers."""
        return http_status(f"{self.url}/_ministack/health") == _OK

    def session(self) -> boto3.Session:
        """Return a session of the root user; each of its clients needs `endpoint_url`."""
        return boto3.Session(aws_access_key_id=_KEY, aws_secret_access_key=_KEY, region_name=REGION)

    def s3(self) -> "S3Client":
        """Return a client for its S3."""
        return self.session().client("s3", endpoint_url=self.url)

    def sqs(self) -> "SQSClient":
        """Return a client for its SQS."""
        return self.session().client("sqs", endpoint_url=self.url)

    def messages(self, queue_url: str) -> list[Message]:
        """Return the messages of a queue without receiving them, which no real queue allows."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        connection.request("GET", f"/_ministack/sqs/messages?QueueUrl={quote(queue_url, safe='')}")
        found = json.loads(connection.getresponse().read())["messages"]
        connection.close()
        return [
            Message(each["Body"], each["ReceiveCount"])
            for account in found.values()
            for region in account.values()
            for queue in region.values()
            for each in queue
        ]

    def environment(self) -> dict[str, str]:
        """Return the variables that send every AWS client of a child process here, as root user."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_REGION": REGION,
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }


def start_ministack() -> MiniStack:
    """Start an emulated account on a free port of 127.0.0.1 and return when it is ready."""
    python = install_python("ministack")
    folder = Path(tempfile.mkdtemp(prefix="alb-logs-ministack-"))
    port = free_port()
    command = Command(
        name="MiniStack",
        argv=(str(python), "-m", "ministack"),
        log_path=folder / "console.log",
        env=_environment(folder, port),
    )
    return MiniStack(f"http://{HOST}:{port}", command, scratch=folder).start(within=_START_SECONDS)


def _environment(folder: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),  # it unpacks functions there
        "BIND_HOST": HOST,  # by default it listens on all interfaces
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _KEY,
        "NO_PROXY": HOST,
        "no_proxy": HOST,
        "PYTHONDONTWRITEBYTECODE": "1",  # a function's files are read-only in AWS
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",  # a minute in AWS
    }
