"""Name every number that is shown to the outside; docs and alarms are checked against it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number says, and its unit as CloudWatch calls it."""

    unit: str
    about: str


METRICS = {
    "Objects": Metric("Count", "log objects whose ingestion was tried"),
    "Continuations": Metric(
        "Count", "objects that did not fit into their invocation and go on by a message"
    ),
    "ObjectsFailed": Metric(
        "Count", "objects that failed; their message comes again, or ends in the dead-letter queue"
    ),
    "ObjectsMissing": Metric("Count", "objects that were not there (any more); acknowledged"),
    "ObjectsChanged": Metric(
        "Count", "objects overwritten since they were announced: what is there now was read instead"
    ),
    "LedgerErrors": Metric(
        "Count", "objects that are in, but whose ledger entry could not be written"
    ),
    "ObjectsSkipped": Metric("Count", "notifications of nothing to ingest: other files, tests"),
    "NotificationErrors": Metric("Count", "messages that should name an object and name none"),
    "StartErrors": Metric(
        "Count", "invocations that could not begin: settings, permissions, Elasticsearch"
    ),
    "AccountingErrors": Metric("Count", "objects whose lines do not add up: a defect of ours"),
    "Lines": Metric("Count", "lines read"),
    "Indexed": Metric("Count", "documents that are new in Elasticsearch"),
    "Duplicates": Metric("Count", "documents that were in Elasticsearch already"),
    "Rejected": Metric("Count", "lines that became dead letters"),
    "Filtered": Metric("Count", "lines left out on purpose"),
    "Blank": Metric("Count", "lines of nothing but spaces and tabs"),
    "Truncated": Metric("Count", "unfinished last lines of objects that are cut"),
    "Repeated": Metric("Count", "lines equal to another of the same part; among the duplicates"),
    "Bytes": Metric("Bytes", "decompressed bytes of the lines read"),
    "DeliveryLag": Metric("Seconds", "from the end of an object's five minutes to its arrival"),
    "IngestLag": Metric("Seconds", "from an object's arrival to its last line's being indexed"),
}
"""Every number that is shown to the outside, by name; Lines = Indexed + … + Truncated."""
