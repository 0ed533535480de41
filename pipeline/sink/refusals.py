"""
Say whose fault it is when Elasticsearch refuses, and how to fix it.

A document is at fault only where `error.type` is in a closed list: then it becomes a dead letter.
Anything else is the fault of the cluster or its operator: the object fails with a sentence that
names the fix, nothing is dead-lettered, and the object comes again.

https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html
"""

import re
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
_UNKNOWN_PATH = {404, 405, 501}
_FULL_DISK = "read-only-allow-delete"
_INDEX_NAMED = re.compile(r"index \[([^\]]+)\]")
_OWN_FAULT = {
    "document_parsing_exception",
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """Elasticsearch's reply to a document that it refuses because of its content."""

    type: str
    reason: str


def passes(create: dict[str, Any]) -> bool:
    """Return whether a document's refusal may pass by itself; for a full disk (429) it does not."""
    return create["status"] in RETRIED and _FULL_DISK not in (create["error"]["reason"] or "")


def own_fault(create: dict[str, Any]) -> Refused:
    """Return why the document is at fault; raise an error where the cluster or its operator is."""
    error = create["error"]
    type_, reason = error["type"], error.get("reason") or ""
    immense = type_ == "illegal_argument_exception" and "immense term" in reason
    if type_ in _OWN_FAULT or immense:
        caused = (error.get("caused_by") or {}).get("reason")
        return Refused(type_, f"{reason}: {caused}" if caused else reason)
    raise _cluster_fault(create["status"], type_, reason, error.get("index") or _index_in(reason))


@contextmanager
def elasticsearch_errors() -> Iterator[None]:
    """Turn every error of elasticsearch-py into ours, for requests that are not retried."""
    try:
        yield
    except ApiError as error:
        if error.meta.status in RETRIED:
            raise SinkUnavailableError(f"Elasticsearch is not ready: {error}") from error
        raise refusal(error) from error
    except TransportError as error:
        raise untrusted(error) or SinkUnavailableError(
            f"Elasticsearch does not answer: {in_words(error)}. Check that it is up, and that "
            "ALB_LOGS_ES_URL is right and can be reached from here"
        ) from error


def in_words(cause: Exception | str) -> str:
    """Return a cause in words; str() of a TransportError says only that the connection failed."""
    return cause.message if isinstance(cause, TransportError) else str(cause)


def refusal(error: ApiError) -> ConfigError | ClusterRefusedError:
    """Return our error for a whole request that Elasticsearch refused."""
    if isinstance(error, UnsupportedProductError) or is_foreign(error):
        return ConfigError("ALB_LOGS_ES_URL leads to something that is not Elasticsearch 8")
    body = error.body if isinstance(error.body, dict) else {}
    details = body.get("error")
    if not isinstance(details, dict):
        details = {"reason": str(details or error.body)}
    reason = details.get("reason") or ""
    index = details.get("index") or _index_in(reason)
    return _cluster_fault(error.meta.status, details.get("type", ""), reason, index)


def unread(error: dict[str, Any]) -> ConfigError | ClusterRefusedError | None:
    """Return our error for a document that a multi-get does not read; None: there is no index."""
    type_, reason = error["type"], error.get("reason") or ""
    if type_ == "index_not_found_exception":
        return None
    status = 403 if type_ == "security_exception" else 500
    return _cluster_fault(status, type_, reason, error.get("index") or _index_in(reason))


def _index_in(reason: str) -> str:
    """Return the index that a reason names."""
    index = _INDEX_NAMED.search(reason)
    return index[1] if index else "INDEX"


def is_foreign(error: ApiError) -> bool:
    """Return whether something other than Elasticsearch says that it has no such path."""
    return error.meta.status in _UNKNOWN_PATH and "x-elastic-product" not in error.meta.headers


def untrusted(error: TransportError) -> ConfigError | None:
    """Return our error where no connection is possible until someone fixes it; else None."""
    said = _OPENSSL.sub("", error.message)
    if not isinstance(error, TlsError) or _BROKEN_OFF.search(said):
        return None
    cause = error.message.lower()
    return ConfigError(next(text for part, text in _TLS if part in cause).format(said=said))


_OPENSSL = re.compile(r"^\[SSL[^]]*\] (certificate verify failed: )?|\.? \(_ssl\.c:[0-9]+\)$")
"""What OpenSSL and Python write around a cause."""

_BROKEN_OFF = re.compile("EOF occurred|timed out")
"""The words for a connection that may succeed next time."""

_NO_TLS = (
    "ALB_LOGS_ES_URL says https, but no TLS is spoken there ({said}): write http, or turn TLS on "
    "in Elasticsearch"
)
_NO_CERTIFICATE = (
    "ALB_LOGS_ES_CA_CERT names a file without a certificate in PEM form: name the file of the "
    "authority that signed Elasticsearch's certificate, which begins with -----BEGIN CERTIFICATE"
)
_NO_CONNECTION = (
    "ALB_LOGS_ES_URL says https, but no TLS connection can be made ({said}): check which versions "
    "of TLS are accepted there, and what is in front of Elasticsearch"
)
_EXPIRED = (
    "Renew it, or, if it is the authority's that has expired, put the new one into the file of "
    "ALB_LOGS_ES_CA_CERT"
)
_NOT_YET = (
    "Check that the clock of this machine is right, and that the certificate of "
    "ALB_LOGS_ES_CA_CERT is valid already"
)
_ANOTHER_NAME = (
    "Set ALB_LOGS_ES_URL to a name or address that the certificate contains, or have it issued for "
    "this one too"
)
_UNKNOWN = "Set ALB_LOGS_ES_CA_CERT to the file of the authority that signed it"
_UNTRUSTED = "Elasticsearch's certificate is not trusted: {said}. "

_TLS = (
    ("has expired", _UNTRUSTED + _EXPIRED),
    ("not yet valid", _UNTRUSTED + _NOT_YET),
    ("hostname", _UNTRUSTED + _ANOTHER_NAME),
    ("ip address mismatch", _UNTRUSTED + _ANOTHER_NAME),
    ("wrong version number", _NO_TLS),
    ("record layer failure", _NO_TLS),
    ("no certificate or crl found", _NO_CERTIFICATE),
    ("pem lib", _NO_CERTIFICATE),
    ("verify failed", _UNTRUSTED + _UNKNOWN),
    ("", _NO_CONNECTION),
)
"""Sentences for what prevents a TLS connection: the first whose part is in the cause."""


def _cluster_fault(
    status: int, type_: str, reason: str, index: str
) -> ConfigError | ClusterRefusedError:
    said = f"Elasticsearch refused with {status} {type_}: {reason}"
    if status in _FORBIDDEN and type_ != "cluster_block_exception":
        return ConfigError(f"{said}. {_permission(status, reason)}")
    return ClusterRefusedError(f"{said}. {_fix(type_, reason, index)}")


def _permission(status: int, reason: str) -> str:
    if status == 401:  # noqa: PLR2004  Unauthorized
        return (
            "Check ALB_LOGS_ES_API_KEY, or ALB_LOGS_ES_USERNAME and ALB_LOGS_ES_PASSWORD, or the "
            "parameter or secret that holds the key"
        )
    if "[indices:admin/auto_create]" in reason:
        return "The index is gone: run `alb-logs setup`, which creates it again"
    return (
        "Grant create_doc, create_index and view_index_metadata on the log indices, create_doc "
        "and view_index_metadata on the dead letters, and create_index, index, read and "
        "view_index_metadata on the ledger to the user of ALB_LOGS_ES_USERNAME or the key of "
        "ALB_LOGS_ES_API_KEY: `alb-logs setup --print-role ingest` prints this role, and "
        "`--print-role operate` that of whoever audits and repairs, and `--print-role rewrite` "
        "that of whoever erases; for `alb-logs setup` itself, "
        "grant manage_index_templates, manage_ilm, manage_pipeline and the rest of "
        "`--print-role setup`"
    )


@dataclass(frozen=True, slots=True)
class _Fix:
    """What fixes a refusal of this type whose reason contains this part."""

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
        _FULL_DISK,
        "A disk of the cluster is full: free space, then lift the block: PUT /{index}/_settings "
        '{{"index.blocks.read_only_allow_delete": null}}',
    ),
    _Fix(
        "cluster_block_exception",
        "cluster read-only",
        "Someone made the whole cluster read-only: lift it with PUT /_cluster/settings "
        '{{"persistent": {{"cluster.blocks.read_only": null, '
        '"cluster.blocks.read_only_allow_delete": null}}}}',
    ),
    _Fix(
        "cluster_block_exception",
        "",
        "Someone blocked the index: lift it with PUT /{index}/_settings "
        '{{"index.blocks.write": null, "index.blocks.read_only": null, '
        '"index.blocks.metadata": null}}',
    ),
    _Fix(
        "index_not_found_exception",
        "-dead-letter-*] forbids index auto creation",
        "The dead letters are gone: run `alb-logs setup`, which creates their index again",
    ),
    _Fix(
        "index_not_found_exception",
        "",
        "The index is gone and the cluster may not create it again: allow our indices in "
        "action.auto_create_index, then run `alb-logs setup`",
    ),
)


def _fix(type_: str, reason: str, index: str) -> str:
    for known in _FIXES:
        if type_ == known.type and known.part in reason:
            return known.fix.format(index=index)
    return "The documents are not at fault; fix the cluster and the object will be tried again"
