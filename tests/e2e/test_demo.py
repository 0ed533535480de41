"""The demo is a promise of the README: it runs, adds up, and would notice if it did not."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from deploy.lambda_zip import ROOT
from devstack.report import Account, take_accounts
from devstack.traffic import hour_of_objects
from devstack.traffic.characters import CHARACTERS
from pipeline.sink.store import Store
from tests.support.factories import START
from tests.support.web import web_server

pytestmark = pytest.mark.server


CLOSING = re.compile(
    r"^(?:[┃│].*|The handler read .*|Lines that were .*|has the id .*|Every line .*)$", re.MULTILINE
)


def closing_lines(text: str) -> list[str]:
    """Return the demo's closing table and sentences, without numbers and the width of columns."""
    lines = CLOSING.findall(text)
    return [re.sub(r"[\s\d,]+", " ", line) for line in lines]


@pytest.mark.usefixtures("es")
def test_demo_ends_well(elasticsearch_url: str) -> None:
    """Three load balancers' hour goes through whole: the ids found are the ids written."""
    demo = subprocess.run(
        [sys.executable, "-m", "devstack.demo", "--lines", "60"],
        env=os.environ | {"ALB_LOGS_ES_URL": elasticsearch_url, "COLUMNS": "120"},  # noqa: TID251
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Every line that was written is in Elasticsearch, once." in demo.stdout
    assert "≠" not in demo.stdout
    assert "Nothing is missing." in demo.stdout
    assert "With that day, too, every line is in Elasticsearch, once." in demo.stdout
    assert "1 message (the cut object) in the DLQ" in demo.stdout
    shown_names = re.findall(r"^│ (\S+) +│ +[\d,]+ │ +[\d.]+%", demo.stdout, re.MULTILINE)
    odd = re.search(r"in odd lines that are mixed in: (.*\S)", demo.stdout)
    expected = {*CHARACTERS} | set(odd[1].split(", ") if odd else [])
    assert expected == {name for name in shown_names if not name.startswith("/")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Try it")[2]
    shown = closing_lines(readme.partition("## ")[0])
    assert 9 == len(shown)
    assert set(shown) <= set(closing_lines(demo.stdout))


def test_the_readme_shows_an_account_that_adds_up() -> None:
    """In the README's example the lines read are the sum of the terms, and nothing is missing."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace(",", "")
    (account,) = re.findall(r"^The handler read (\d+) lines = (.+)$", readme, re.MULTILINE)
    rows = re.findall(r"^│ [a-z -]+ │ +(\d+) │ +(\d+) │ +0 │ +0 │$", readme, re.MULTILINE)

    assert int(account[0]) == sum(map(int, re.findall(r"\d+", account[1])))
    assert 4 == len(rows)
    assert [] == [row for row in rows if row[0] != row[1]]


@contextmanager
def started(folder: Path, url: str, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the demo in a session of its own, and have its output in a file."""
    with (folder / "output").open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "-u", "-m", "devstack.demo", "--lines", "20", *options],
            env=os.environ | {"ALB_LOGS_ES_URL": url},  # noqa: TID251
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield demo
        finally:
            demo.kill()
            demo.wait()


def wait_for(folder: Path, text: str) -> str:
    """Wait until the demo has said something; return all that it said."""
    deadline = time.monotonic() + 120
    while text not in (said := (folder / "output").read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


def ends(group: int) -> bool:
    """Return whether no process is left in a group, soon."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.2)
    return False


@pytest.mark.usefixtures("es")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["Using Elasticsearch", "Preparing", "Lambda's handler reads"])
def test_the_demo_stops_cleanly(
    elasticsearch_url: str, tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    """Ctrl-C or a kill ends the demo, whatever it does, without a traceback and a process left."""
    with started(tmp_path, elasticsearch_url) as demo:
        wait_for(tmp_path, moment)
        demo.send_signal(number)

        assert 130 == demo.wait(30)
        said = wait_for(tmp_path, "Stopped.")
        assert "Traceback" not in said
        assert ends(demo.pid)


@pytest.mark.usefixtures("es")
def test_what_is_kept_can_be_used(elasticsearch_url: str, tmp_path: Path) -> None:
    """With KEEP=1 the demo prints the variables that lead to its AWS, and ends well on Ctrl-C."""
    with started(tmp_path, elasticsearch_url, "--keep") as demo:
        said = wait_for(tmp_path, "The handler's log is")
        variables = dict(re.findall(r"(AWS_[A-Z_]+)=(\S+)", said))
        session = boto3.Session(
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables["AWS_REGION"],
        )
        s3 = session.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"])
        bucket = re.findall(r"ingest s3://(\S+)/KEY", said)[0]

        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] > 0
        assert f"export ALB_LOGS_ES_URL={elasticsearch_url} ALB_LOGS_INDEX_PREFIX=demo-" in said
        demo.send_signal(signal.SIGINT)
        assert 0 == demo.wait(30)


def test_the_demo_says_what_a_server_refuses(tmp_path: Path) -> None:
    """Against an Elasticsearch that wants a user, the error names the setting."""
    error = {"type": "security_exception", "reason": "missing authentication credentials"}
    body = json.dumps({"error": error, "status": 401}).encode()
    headers = {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}
    with web_server(401, body, headers) as url, started(tmp_path, url) as demo:
        assert 2 == demo.wait(60)

    said = (tmp_path / "output").read_text(encoding="utf-8")
    assert "Check ALB_LOGS_ES_API_KEY" in said
    assert "Traceback" not in said


def test_demo_would_notice_a_lost_line(store: Store) -> None:
    """With nothing ingested, what was written is missing and the account is not right."""
    written = list(hour_of_objects(1, start=START, lines_per_object=2))

    accounts = take_accounts(store.es, store.prefix, written)

    assert accounts["access"].written
    assert not accounts["access"].right


def test_account_is_right_only_for_equal_sets() -> None:
    """A line too many is as wrong as a line missing."""
    one, two = frozenset("a"), frozenset("ab")

    assert Account(one, one).right
    assert not Account(one, two).right
    assert not Account(two, one).right
