"""Whose fault it is that Elasticsearch refuses a document: the document's, or the cluster's."""

from typing import Any

import pytest

from pipeline.errors import ClusterRefusedError
from pipeline.sink.refusals import Refused, own_fault, passes


def refused_with(status: int, type_: str, reason: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return Elasticsearch's reply to a document that it refuses."""
    error = {"type": type_, "reason": reason, **more}
    return {"_index": "some-index", "_id": "x", "status": status, "error": error}


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        ("document_parsing_exception", "[1:2] failed to parse"),
        ("mapper_parsing_exception", "failed to parse"),  # 8.0 to 8.7
        ("strict_dynamic_mapping_exception", "dynamic introduction of [x] is not allowed"),
        ("illegal_argument_exception", "Document contains at least one immense term in field"),
    ],
)
def test_the_document_is_at_fault_for_a_closed_list_of_reasons(type_: str, reason: str) -> None:
    """Only what says that it is about the document's own content is held against it."""
    caused = {"type": "x", "reason": "'200' is not an IP string literal."}

    assert Refused(type_, reason) == own_fault(refused_with(400, type_, reason))
    assert Refused(type_, f"{reason}: {caused['reason']}") == own_fault(
        refused_with(400, type_, reason, caused_by=caused)
    )
    assert Refused(type_, reason) == own_fault(
        refused_with(400, type_, reason, caused_by={"type": "x"})
    )


@pytest.mark.parametrize(
    ("status", "type_", "reason"),
    [
        (400, "illegal_argument_exception", "pipeline with id [x] does not exist"),
        (400, "illegal_argument_exception", None),
        (400, "validation_exception", "this action would add [2] shards"),
        (400, "version_conflict_engine_exception", "x"),
        (400, "some_exception_of_next_year", "x"),
        (404, "index_not_found_exception", "no such index"),
        (413, "circuit_breaking_exception", "x"),
    ],
)
def test_for_any_other_reason_the_cluster_is_at_fault(
    status: int, type_: str, reason: str | None
) -> None:
    """What is not on the list, next year's errors among it, makes no dead letter."""
    with pytest.raises(ClusterRefusedError, match=f"refused with {status} {type_}: "):
        own_fault(refused_with(status, type_, reason))


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (429, "rejected execution of coordinating operation", True),
        (503, None, True),
        (429, "disk usage exceeded, index has read-only-allow-delete block", False),
        (400, "failed to parse", False),
        (403, "index write (api)", False),
    ],
)
def test_a_full_disk_does_not_pass_by_itself(
    status: int, reason: str | None, *, expected: bool
) -> None:
    """Of all that says 429 a full disk alone is not waited for: it takes hours, and a person."""
    assert expected == passes(refused_with(status, "some_exception", reason))
