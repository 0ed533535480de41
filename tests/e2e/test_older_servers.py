"""Other versions of Elasticsearch than the newest: prepared, written to once, searched."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import BadRequestError, Elasticsearch

from deploy.lambda_zip import ROOT
from devstack.elasticsearch import (
    CHECKSUMS,
    DEFAULT_VERSION,
    UNPACKED,
    ElasticsearchServer,
    start_elasticsearch,
)
from tests.support.factories import alb_line, gz, no_log_lines

OLDER = [version for version in CHECKSUMS if version != DEFAULT_VERSION]

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", params=OLDER)
def older(request: pytest.FixtureRequest) -> Iterator[tuple[str, ElasticsearchServer]]:
    """Start one of the older versions."""
    with start_elasticsearch(version=request.param) as server:
        yield request.param, server


def alb_logs(url: str, *arguments: str) -> str:
    """Run the command against a server and return what it prints."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("alb-logs")), *arguments],
        env={"ALB_LOGS_ES_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout


def test_an_older_version_does_its_work(
    older: tuple[str, ElasticsearchServer], tmp_path: Path
) -> None:
    """Set up twice, ingest twice: everything is in place, and each line is there once."""
    version, server = older
    file = tmp_path / "access.log.gz"
    file.write_bytes(gz(*map(alb_line, range(50)), *no_log_lines(2)))

    first, again = (alb_logs(server.url, "setup", "--replicas", "0") for _ in range(2))
    runs = [json.loads(alb_logs(server.url, "ingest", "--json", str(file))) for _ in range(2)]

    assert "The cluster is ready." in first
    assert "Everything is in place." in again
    counts = ("indexed", "duplicates", "rejected")
    assert [(50, 0, 2), (0, 50, 2)] == [tuple(each[name] for name in counts) for each in runs]
    with Elasticsearch(server.url) as es:
        es.indices.refresh(index="alb-logs-*")
        assert 2 == es.count(index="alb-logs-dead-letter")["count"]
        assert (
            "alb-logs-dead-letter-000002"
            == (es.indices.rollover(alias="alb-logs-dead-letter")["new_index"])
        )
        assert 50 == es.count(index="alb-logs-access-*")["count"]
        assert searches_doc_values(es) == (not version.startswith("8.0."))


def searches_doc_values(es: Elasticsearch) -> bool:
    """Return whether a field that is not indexed can be searched."""
    query = {"range": {"http.request.bytes": {"gte": 0}}}
    try:
        return bool(es.count(index="alb-logs-access-*", query=query)["count"])
    except BadRequestError:
        return False


def test_the_page_names_the_versions_that_are_tried() -> None:
    """docs/support.md names each version that a test runs, and each has both checksums."""
    page = (ROOT / "docs" / "support.md").read_text(encoding="utf-8")

    assert CHECKSUMS.keys() == UNPACKED.keys()
    assert set(CHECKSUMS) <= set(re.findall(r"\b8\.\d+\.\d+\b", page))
