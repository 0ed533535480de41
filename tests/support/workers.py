"""What processes of a backfill ingest with in tests that have no server, and objects for them."""

import logging
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.alb.keys import ObjectName, classify_key
from pipeline.errors import ObjectCorruptError
from pipeline.jobs.workers import Work
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef

FIRST = datetime(2026, 10, 1, 0, 5, tzinfo=UTC)
FOLDER = "AWSLogs/123456789012/elasticloadbalancing/eu-central-1"


def ref_at(number: int, tag: str = "good", bucket: str = "bucket") -> ObjectRef:
    """Return an object of a load balancer that has one every five minutes; its key has the tag."""
    end = FIRST + number * timedelta(minutes=5)
    key = (
        f"{FOLDER}/{end:%Y/%m/%d}/123456789012_elasticloadbalancing_eu-central-1_"
        f"app.front-alb.50dc6c495c0c9188_{end:%Y%m%dT%H%MZ}_10.0.0.1_{tag}.log.gz"
    )
    name = classify_key(key)
    assert isinstance(name, ObjectName)
    return ObjectRef(bucket, key, name, size=1_000, etag="0" * 32)


class Obeying:
    """Ingest as the key of an object says; what has to be remembered is in the folder `bucket`."""

    def ingest(self, ref: ObjectRef) -> Outcome:
        """Do as told, and count one line."""
        if "slow" in ref.key:
            time.sleep(0.2)
        if "endless" in ref.key:
            time.sleep(600)
        if "once" in ref.key and not (Path(ref.bucket) / "died").exists():
            (Path(ref.bucket) / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "always" in ref.key:
            os.kill(os.getpid(), signal.SIGKILL)
        if "warn" in ref.key:
            logging.getLogger("pipeline.somewhere").warning("Elasticsearch is slow")
        if "defect" in ref.key:
            raise ZeroDivisionError(ref.bucket)
        if "damaged" in ref.key:
            return Outcome(Tally(), ObjectCorruptError("damaged"))
        unrecorded = "no room for it" if "unrecorded" in ref.key else None
        return Outcome(Tally(lines=1, indexed=1), unrecorded=unrecorded)


def obeying(_work: Work) -> Obeying:
    """Open it."""
    return Obeying()
