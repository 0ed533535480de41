"""
Run an AWS emulator that deploys and runs functions, as a process of its own.

MiniStack takes CloudFormation, feeds a function from its queue, runs it from the deployed zip, and
enforces IAM: a role or a queue's policy that lacks a permission shows here. It needs an environment
of its own, for it pins botocore; its functions run there too, so that holds boto3, as AWS's runtime
does, and nothing else that could hide a package missing from the zip.

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

VERSION = "1.5.33"
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
    """Hold one emulated AWS account, empty at first, whose root user we are."""

    def ready(self) -> bool:
        """Tell whether the emulator answers for itself."""
        return http_status(f"{self.url}/_ministack/health") == _OK

    def session(self) -> boto3.Session:
        """Give a session of the root user; each client of it needs `endpoint_url`."""
        return boto3.Session(aws_access_key_id=_KEY, aws_secret_access_key=_KEY, region_name=REGION)

    def s3(self) -> "S3Client":
        """Give a client for its S3."""
        return self.session().client("s3", endpoint_url=self.url)

    def sqs(self) -> "SQSClient":
        """Give a client for its SQS."""
        return self.session().client("sqs", endpoint_url=self.url)

    def messages(self, queue_url: str) -> list[Message]:
        """Look into a queue without receiving anything, which no real queue lets anyone do."""
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
        """Give the variables that send every AWS client of a child process here, as root user."""
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
    python = install_python("ministack", f"ministack=={VERSION}", "boto3")
    place = Path(tempfile.mkdtemp(prefix="alb-logs-ministack-"))
    port = free_port()
    command = Command(
        name="MiniStack",
        argv=(str(python), "-m", "ministack"),
        log_path=place / "console.log",
        env=_environment(place, port),
    )
    return MiniStack(f"http://{HOST}:{port}", command, scratch=place).start(within=_START_SECONDS)


def _environment(place: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(place),
        "TMPDIR": str(place),  # it unpacks functions there
        "BIND_HOST": HOST,  # else it listens to everyone
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
