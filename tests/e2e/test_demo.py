"""The demo is a promise of the README: it runs, adds up, and would notice if it did not."""

import os
import subprocess
import sys

import pytest

from devstack.report import Account, take_accounts
from devstack.traffic import hour_of_objects
from pipeline.sink.store import Store
from tests.factories import START

pytestmark = pytest.mark.server


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
    assert "1 message (the cut object) in the DLQ" in demo.stdout


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
