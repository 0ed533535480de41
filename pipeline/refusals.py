"""
Say whose fault it is when Elasticsearch refuses, and how to mend it.

A document is at fault only where `error.type` says so, from a closed list: then it becomes a dead
letter. Anything else is the cluster's or its operator's fault: the object fails with a sentence
that names the fix, nothing is dead-lettered, and the object comes again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from elastic_transport import TlsError, TransportError
from elasticsearch import ApiError, UnsupportedProductError

from pipeline.errors import ClusterRefusedError, ConfigError, SinkUnavailableError

RETRIED = {429, 500, 502, 503, 504}
"""Statuses, of a request or of one document, that are worth another try."""

_FORBIDDEN = {401, 403}
_UNKNOWN_PLACE = {404, 405, 501}
_OWN_FAULT = {
    "document_parsing_exception",
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """Elasticsearch's reply to a document that it refuses for what the document holds."""

    type: str
    reason: str


def own_fault(create: dict[str, Any]) -> Refused:
    """Give why the document itself is at fault; raise where the cluster or its operator is."""
    error = create["error"]
    type_, reason = error["type"], error.get("reason") or ""
    immense = type_ == "illegal_argument_exception" and "immense term" in reason
    if type_ in _OWN_FAULT or immense:
        caused = (error.get("caused_by") or {}).get("reason")
        return Refused(type_, f"{reason}: {caused}" if caused else reason)
    raise _cluster_fault(create["status"], type_, reason, create["_index"])


@contextmanager
def elasticsearch_errors() -> Iterator[None]:
    """Turn every error of elasticsearch-py into ours, for calls that are made only once."""
    try:
        yield
    except ApiError as error:
        if error.meta.status in RETRIED:
            raise SinkUnavailableError(f"Elasticsearch is not ready: {error}") from error
        raise refusal(error) from error
    except TlsError as error:
        raise untrusted(error) from error
    except TransportError as error:
        raise SinkUnavailableError(
            f"Elasticsearch does not answer: {in_words(error)}. See whether it is up, and whether "
            "ALB_LOGS_ES_URL is right and can be reached from here"
        ) from error


def in_words(cause: Exception | str) -> str:
    """Give a cause as people read it: elasticsearch-py says of a lost connection only that."""
    return cause.message if isinstance(cause, TransportError) else str(cause)


def refusal(error: ApiError) -> ConfigError | ClusterRefusedError:
    """Give our error for a whole request that Elasticsearch refused."""
    if isinstance(error, UnsupportedProductError) or is_foreign(error):
        return ConfigError("ALB_LOGS_ES_URL leads to something that is not Elasticsearch 8")
    body = error.body if isinstance(error.body, dict) else {}
    details = body.get("error")
    if not isinstance(details, dict):
        details = {"reason": str(details or error.body)}
    return _cluster_fault(
        error.meta.status, details.get("type", ""), details.get("reason") or "", "this index"
    )


def is_foreign(error: ApiError) -> bool:
    """Tell whether something answered that knows no such place and is not Elasticsearch."""
    return error.meta.status in _UNKNOWN_PLACE and "x-elastic-product" not in error.meta.headers


def untrusted(error: TransportError) -> ConfigError:
    """Give our error for a TLS connection that could not be made."""
    return ConfigError(
        f"Elasticsearch's certificate is not trusted: {error.message}. Set ALB_LOGS_ES_CA_CERT to "
        "the file of the authority that signed it, and see that it has not expired"
    )


def _cluster_fault(
    status: int, type_: str, reason: str, index: str
) -> ConfigError | ClusterRefusedError:
    said = f"Elasticsearch refused with {status} {type_}: {reason}"
    if status in _FORBIDDEN and type_ != "cluster_block_exception":
        return ConfigError(f"{said}. {_permission(status)}")
    return ClusterRefusedError(f"{said}. {_fix(type_, reason, index)}")


def _permission(status: int) -> str:
    if status == 401:  # noqa: PLR2004  the one that names itself
        return "Check ALB_LOGS_ES_API_KEY, or ALB_LOGS_ES_USERNAME and ALB_LOGS_ES_PASSWORD"
    return (
        "Grant create_doc, create_index and view_index_metadata on the log indices, create_doc "
        "and view_index_metadata on the dead letters"
    )


@dataclass(frozen=True, slots=True)
class _Fix:
    """What mends a refusal of this type, where its reason holds this part."""

    type: str
    part: str
    fix: str


_FIXES = (
    _Fix(
        "validation_exception",
        "shards",
        "Raise cluster.max_shards_per_node or delete old indices; before the first line, "
        "`alb-logs setup --period month` asks for far fewer shards",
    ),
    _Fix(
        "illegal_argument_exception",
        "pipeline",
        "The index names an ingest pipeline that is missing: run `alb-logs setup` again",
    ),
    _Fix("index_closed_exception", "", "Open the index: POST /{index}/_open"),
    _Fix(
        "cluster_block_exception",
        "read-only-allow-delete",
        "A disk of the cluster is full: free space, then lift the block: PUT /{index}/_settings "
        '{{"index.blocks.read_only_allow_delete": null}}',
    ),
    _Fix(
        "cluster_block_exception",
        "",
        "Someone blocked writing: lift it with PUT /{index}/_settings "
        '{{"index.blocks.write": null, "index.blocks.read_only": null}}',
    ),
    _Fix(
        "index_not_found_exception",
        "",
        "The index is gone and the cluster may not make it anew: allow our indices in "
        "action.auto_create_index, then run `alb-logs setup`",
    ),
)


def _fix(type_: str, reason: str, index: str) -> str:
    for known in _FIXES:
        if type_ == known.type and known.part in reason:
            return known.fix.format(index=index)
    return "The documents are not at fault; mend the cluster and the object will be tried again"
