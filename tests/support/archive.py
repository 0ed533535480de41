"""Fill a bucket of the emulated AWS with days of logs, and run `alb-logs` over it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from devstack.aws import AwsServer, environment
from devstack.process import HOST
from devstack.traffic import line_id
from tests.support.factories import alb_line, gz
from tests.support.keys import log_key
from tests.support.proxy import Proxy

_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=any/20261001/eu-central-1/s3/aws4_request"}
"""The emulator looks no closer, and boto3 takes twice as long."""

ALB_LOGS = Path(sys.executable).parent / "alb-logs"
ACCOUNTS = ("111111111111", "222222222222")
REGIONS = ("eu-central-1", "us-east-1")
LOAD_BALANCERS = tuple(f"app/{name}-alb/50dc6c495c0c9188" for name in ("front", "back", "admin"))


@dataclass(frozen=True, slots=True)
class Stored:
    """One object that was put, and its lines."""

    key: str
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class Archive:
    """A bucket of logs, the emulated AWS that holds it, and the cluster they go to."""

    aws: AwsServer
    bucket: str
    elasticsearch_url: str
    command: tuple[str | Path, ...] = (ALB_LOGS,)
    objects: list[Stored] = field(default_factory=list)

    @property
    def ids(self) -> set[str]:
        """Return the ids of all lines."""
        return {line_id(line) for each in self.objects for line in each.lines}

    def put(self, key: str, lines: list[bytes]) -> Stored:
        """Put an object of these lines."""
        self.aws.s3().put_object(Bucket=self.bucket, Key=key, Body=gz(*lines))
        self.objects.append(stored := Stored(key, lines))
        return stored

    def fill(self, first: datetime, days: int, a_day: int, lines: int) -> None:
        """Put, for each load balancer of each account and region, so many objects a day."""
        address = urlsplit(self.aws.url)
        with closing(HTTPConnection(address.hostname or HOST, address.port)) as connection:
            for key, end in _keys(first, days, a_day):
                number = len(self.objects) * lines
                made = [_line(number + at, end, key) for at in range(lines)]
                connection.request("PUT", f"/{self.bucket}/{key}", gz(*made), _SIGNED)
                answer = connection.getresponse()
                assert 200 == answer.status, answer.read()
                answer.read()
                self.objects.append(Stored(key, made))

    def environment(self, prefix: str) -> dict[str, str]:
        """Return the environment of a command that works under an index prefix."""
        return {
            **os.environ,  # noqa: TID251  what a process inherits
            **environment(self.aws.url),
            "ALB_LOGS_ES_URL": self.elasticsearch_url,
            "ALB_LOGS_INDEX_PREFIX": prefix,
        }

    def through(self, proxy: Proxy) -> Self:
        """Return the same archive, whose commands reach the cluster through a proxy."""
        return replace(self, elasticsearch_url=proxy.url)

    @contextmanager
    def start(
        self, prefix: str, *arguments: str, stderr: int = subprocess.PIPE
    ) -> Iterator["subprocess.Popen[str]"]:
        """Start a command, in a process group of its own as on a terminal; end it if need be."""
        process = subprocess.Popen(
            [*self.command, *arguments],
            env=self.environment(prefix),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, prefix: str, *arguments: str) -> "Ended":
        """Run a command to its end."""
        with self.start(prefix, *arguments) as process:
            out, err = process.communicate(timeout=300)
        return Ended(process.returncode, out, err)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """Return the JSON that it wrote, line by line."""
        return [json.loads(line) for line in self.out.splitlines()]


def _keys(first: datetime, days: int, a_day: int) -> Iterator[tuple[str, datetime]]:
    for account in ACCOUNTS:
        for region in REGIONS:
            for load_balancer in LOAD_BALANCERS:
                for number in range(days * a_day):
                    end = first + number * timedelta(days=1) / a_day + timedelta(minutes=5)
                    yield (
                        log_key(end, account=account, region=region, load_balancer=load_balancer),
                        end,
                    )


def _line(number: int, end: datetime, key: str) -> bytes:
    time = end - timedelta(minutes=3) + timedelta(microseconds=number)
    return alb_line(number, time=f"{time:%Y-%m-%dT%H:%M:%S.%f}Z", elb=f"app/{key[-60:-50]}")


def ids_in(es: Elasticsearch, prefix: str) -> list[str]:
    """Return the id of every document of the access logs."""
    index = f"{prefix}-access-*"
    es.indices.refresh(index=f"{prefix}-*")
    return [hit["_id"] for hit in scan(es, index=index, query={"_source": False}, size=5_000)]


def made_archive(aws: AwsServer, elasticsearch_url: str, bucket: str) -> Archive:
    """Return an empty bucket."""
    aws.s3().create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return Archive(aws, bucket, elasticsearch_url)


def assert_exact(archive: Archive, es: Elasticsearch, prefix: str) -> None:
    """Check that every line is in once, and that the ledger knows every object to be complete."""
    found = ids_in(es, prefix)
    assert len(found) == len(archive.ids)
    assert set(found) == archive.ids
    complete = es.count(index=f"{prefix}-ledger", query={"term": {"state": "complete"}})["count"]
    every = es.count(index=f"{prefix}-ledger")["count"]
    assert (len(archive.objects), len(archive.objects)) == (complete, every)
