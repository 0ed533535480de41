"""The local stack starts, keeps its promises about data, and leaves nothing behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer, create_log_bucket, environment, start_aws
from devstack.elasticsearch import (
    DEFAULT_VERSION,
    ElasticsearchServer,
    fetch_archive,
    start_elasticsearch,
)
from devstack.process import ServerError, http_status

REPOSITORY = Path(__file__).parents[2]
AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[ElasticsearchServer]:
    """Start one cluster for all tests of this file."""
    with start_elasticsearch() as server:
        yield server


@pytest.fixture
def own_server(cluster: ElasticsearchServer) -> ElasticsearchServer:
    """Return the cluster of this file, which a test may stop, running."""
    return cluster if cluster.running else cluster.restart()


@pytest.fixture(scope="module")
def own_aws() -> Iterator[AwsServer]:
    """Start one emulated AWS for all tests of this file."""
    with start_aws() as server:
        yield server


def group_exists(group: int) -> bool:
    """Return whether any process is left in a process group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def becomes_true(claim: Callable[[], bool], *, within: float) -> bool:
    """Wait for a claim to come true."""
    deadline = time.monotonic() + within
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def index_one(server: ElasticsearchServer, name: str) -> None:
    """Index one document into an index of its own, acknowledged but not refreshed."""
    with closing(Elasticsearch(server.url)) as es:
        assert "created" == es.index(index=name, id="1", document={"test": name})["result"]


def found_in(server: ElasticsearchServer, name: str) -> list[object]:
    """Search the documents of an index."""
    with closing(Elasticsearch(server.url)) as es:
        es.indices.refresh(index=name)
        return [hit["_source"] for hit in es.search(index=name)["hits"]["hits"]]


@pytest.mark.server
def test_server_answers_and_finds(own_server: ElasticsearchServer) -> None:
    """The server is a healthy cluster of the pinned version, and finds what it indexed."""
    with closing(Elasticsearch(own_server.url)) as es:
        nodes = es.nodes.info()["nodes"].values()
        assert [DEFAULT_VERSION] == [node["version"] for node in nodes]
        assert es.cluster.health()["status"] in {"green", "yellow"}
    index_one(own_server, "answers")
    assert [{"test": "answers"}] == found_in(own_server, "answers")


@pytest.mark.server
def test_restart_keeps_the_data(own_server: ElasticsearchServer) -> None:
    """After `restart` another process answers at the same URL with the same data."""
    index_one(own_server, "restart")
    url, pid = own_server.url, own_server.pid
    own_server.restart()
    assert url == own_server.url
    assert pid != own_server.pid
    assert not group_exists(pid)
    assert [{"test": "restart"}] == found_in(own_server, "restart")


@pytest.mark.server
def test_kill_loses_nothing_acknowledged(own_server: ElasticsearchServer) -> None:
    """A document acknowledged before `kill` is there after `restart`."""
    index_one(own_server, "kill")
    own_server.kill()
    assert not own_server.running
    own_server.restart()
    assert [{"test": "kill"}] == found_in(own_server, "kill")


@pytest.mark.server
def test_stop_leaves_no_process(own_server: ElasticsearchServer) -> None:
    """After `stop` nothing that the server started is left and nobody answers."""
    pid = own_server.pid
    own_server.stop()
    assert not group_exists(pid)
    assert http_status(own_server.url) is None
    with pytest.raises(ServerError, match="not running"):
        _ = own_server.pid


@pytest.mark.server
def test_failed_start_says_why() -> None:
    """A server that ends at once is reported at once, with the cause out of its log."""
    with pytest.raises(ServerError, match=r"unknown setting \[no\.such\.setting\]"):
        start_elasticsearch(settings={"no.such.setting": "1"})


@pytest.mark.server
@pytest.mark.skipif(not AS_ROOT, reason="only root gives its directories to another user")
def test_home_out_of_reach_is_refused(tmp_path: Path) -> None:
    """A home that the server's user cannot enter is named, instead of a log full of denials."""
    with pytest.raises(ServerError, match="cannot enter"):
        start_elasticsearch(home=tmp_path / "home")


def test_corrupted_archive_is_refused(tmp_path: Path) -> None:
    """An archive with another checksum is deleted, and the error says so."""
    archive = tmp_path / f"elasticsearch-{DEFAULT_VERSION}.zip"
    archive.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ServerError, match=r"checksum .* deleted"):
        fetch_archive(DEFAULT_VERSION, tmp_path)
    assert not archive.exists()


def test_unpinned_version_is_refused(tmp_path: Path) -> None:
    """A version without a checksum is not even downloaded."""
    with pytest.raises(ServerError, match=r"no checksum for Elasticsearch 7\.17\.0"):
        fetch_archive("7.17.0", tmp_path)


def test_put_object_becomes_message(own_aws: AwsServer) -> None:
    """An object put into a log bucket is announced in its queue, by name."""
    s3, sqs = own_aws.s3(), own_aws.sqs()
    made = create_log_bucket(s3=s3, sqs=sqs, bucket="logs-put", queue="put")
    s3.put_object(Bucket=made.bucket, Key="AWSLogs/a+b.log.gz", Body=b"x")
    received = sqs.receive_message(
        QueueUrl=made.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=5
    )
    bodies = [json.loads(message["Body"]) for message in received["Messages"]]
    records = [record for body in bodies for record in body.get("Records", [])]
    assert ["ObjectCreated:Put"] == [record["eventName"] for record in records]
    assert ["AWSLogs/a+b.log.gz"] == [unquote_plus(r["s3"]["object"]["key"]) for r in records]


def test_failing_message_reaches_the_dlq(own_aws: AwsServer) -> None:
    """A message received as often as allowed, and never deleted, moves to the DLQ."""
    sqs = own_aws.sqs()
    made = create_log_bucket(
        s3=own_aws.s3(), sqs=sqs, bucket="logs-dlq", queue="dlq", max_receive_count=2
    )
    sqs.purge_queue(QueueUrl=made.queue_url)  # of the test event
    sqs.send_message(QueueUrl=made.queue_url, MessageBody="poison")
    seen = [
        sqs.receive_message(QueueUrl=made.queue_url, VisibilityTimeout=0).get("Messages", [])
        for _ in range(3)
    ]
    assert [1, 1, 0] == [len(messages) for messages in seen]
    [dead] = sqs.receive_message(QueueUrl=made.dlq_url)["Messages"]
    assert "poison" == dead["Body"]


def test_environment_reaches_the_emulator(own_aws: AwsServer) -> None:
    """A child process with `environment` finds the emulator through boto3's own settings."""
    own_aws.s3().create_bucket(
        Bucket="logs-child", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    code = "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(own_aws.url),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'logs-child'" in child.stdout


def test_server_dies_with_its_starter() -> None:
    """When its starter is killed, and so cannot clean up, a server ends and its files go."""
    code = (
        "from devstack.aws import start_aws\n"
        "server = start_aws()\n"
        "print(server.pid, server.log_path, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout
        number, log_path = starter.stdout.readline().split()
        pid, place = int(number), Path(log_path).parent
        assert group_exists(pid)
        starter.kill()
    assert becomes_true(lambda: not group_exists(pid), within=15)
    assert becomes_true(lambda: not place.exists(), within=5)


def test_context_manager_removes_everything() -> None:
    """Leaving the `with` block ends the server and removes the directory made for it."""
    with start_aws() as server:
        pid, place = server.pid, server.log_path.parent
        assert place.is_dir()
    assert not group_exists(pid)
    assert not place.exists()
