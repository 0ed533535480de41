"""Make, from the settings, all that ingestion needs: the one wiring of every front door."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.alb.fields import Kind
from pipeline.clients.aws import SQS_SECONDS, make_sqs
from pipeline.clients.buckets import Buckets
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.deadline import Deadline
from pipeline.errors import PipelineError
from pipeline.ingest import UNLIMITED, Options, Time, ingest_object
from pipeline.outcome import Outcome, Tally
from pipeline.sink.store import Store, open_store
from pipeline.source.objects import ObjectRef

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_NO_LIMIT = Deadline()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A prepared cluster, the buckets to read, and how to ingest; made once per process."""

    buckets: Buckets
    store: Store
    options: Options

    def ingest(self, ref: ObjectRef, time: Time = UNLIMITED) -> Outcome:
        """Ingest one S3 object, with the client that its bucket needs."""
        try:
            s3 = self.buckets.client_of(ref.bucket)
        except PipelineError as error:
            return Outcome(Tally(), error)
        return ingest_object(ref, s3=s3, store=self.store, options=self.options, time=time)


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue that messages about objects come from."""

    url: str
    patient: "SQSClient"

    def client(self, seconds: float) -> "SQSClient":
        """Return a client whose next request takes no more than so many seconds."""
        return self.patient if seconds >= SQS_SECONDS else make_sqs(seconds)


def open_pipeline(
    config: Config,
    *,
    route: str = "ingest",
    kind: Kind | None = None,
    deadline: Deadline = _NO_LIMIT,
) -> Pipeline:
    """Make clients, store and options; raises ConfigError, or a RetriableError of the cluster."""
    return Pipeline(
        buckets=Buckets(dict(config.bucket_roles)),
        store=open_store(make_elasticsearch(config), config.index_prefix, deadline=deadline),
        options=Options(
            connections=config.es_connections,
            bulk_bytes=config.bulk_bytes,
            keep_original=config.keep_original,
            provenance=config.provenance,
            most_rejects=config.most_rejects,
            privacy=config.privacy,
            exclude=config.exclude,
            route=route,
            kind=kind,
        ),
    )


def open_queue(config: Config) -> Queue | None:
    """Return the queue that the settings name, if they name one."""
    return Queue(config.queue_url, make_sqs()) if config.queue_url else None


class Wired:
    """What a long-lived process has opened: once, and again after a setting was found wrong."""

    def __init__(self) -> None:
        self._pipeline: Pipeline | None = None
        self._queue: Queue | None = None

    def pipeline(self, deadline: Deadline = _NO_LIMIT) -> Pipeline:
        """Return the pipeline, opened when it is first wanted."""
        if self._pipeline is None:
            self._pipeline = open_pipeline(Config.from_env(), route="lambda", deadline=deadline)
        return self._pipeline

    def queue(self) -> Queue | None:
        """Return the process's own queue, if the settings name it: needed when something fails."""
        if self._queue is None:
            self._queue = open_queue(Config.from_env())
        return self._queue

    def forget(self) -> None:
        """Open everything again when it is next wanted, by the settings of then."""
        self._pipeline = self._queue = None
