"""
Build the roles for Elasticsearch: the least that each user of the cluster needs.

*ingest* adds documents and reads none, and keeps the ledger; *operate* also reads, and removes
dead letters; *rewrite* replaces documents; *setup* neither reads nor writes a document.
`docs/security.md` says what each privilege is for. A body has the form that the security API takes,
for a role or within an API key:
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-api-put-role.html
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.alb.fields import Kind


class Role(StrEnum):
    """What a user of the cluster does with it."""

    INGEST = "ingest"
    OPERATE = "operate"
    REWRITE = "rewrite"
    SETUP = "setup"


@dataclass(frozen=True, slots=True)
class _Privileges:
    """What a role may do with the cluster, the log indices, the dead letters and the ledger."""

    cluster: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    ledger: tuple[str, ...] = ("create_index", "index", "read", "view_index_metadata")


_PRIVILEGES = {
    Role.INGEST: _Privileges(
        logs=("create_doc", "create_index", "view_index_metadata"),
        letters=("create_doc", "view_index_metadata"),
    ),
    Role.OPERATE: _Privileges(
        logs=("create_doc", "create_index", "read", "view_index_metadata"),
        letters=("create_doc", "delete", "read", "view_index_metadata"),
    ),
    Role.REWRITE: _Privileges(
        logs=("create_index", "index", "read", "view_index_metadata"),
        letters=("index", "read", "view_index_metadata"),
    ),
    Role.SETUP: _Privileges(
        cluster=("manage_ilm", "manage_index_templates", "manage_pipeline", "monitor"),
        # The lifecycle deletes indices with the privileges of the user who wrote its policy.
        logs=("delete_index", "monitor"),
        # Single actions, because the privilege that includes them could also close the indices and
        # change their settings. The lifecycle rolls over, and deletes what is old.
        letters=(
            "create_index",
            "delete_index",
            "indices:admin/aliases",
            "indices:admin/mapping/put",
            "indices:admin/rollover",
            "monitor",
            "view_index_metadata",
        ),
        ledger=("delete_index", "monitor"),
    ),
}


def role_body(role: Role, prefix: str) -> dict[str, Any]:
    """Return the body of a role for the indices of this prefix."""
    privileges = _PRIVILEGES[role]
    return {
        "cluster": list(privileges.cluster),
        "indices": [
            {
                "names": [f"{prefix}-{kind}-*" for kind in Kind],
                "privileges": list(privileges.logs),
            },
            {"names": _letters(role, prefix), "privileges": list(privileges.letters)},
            {
                "names": [f"{prefix}-ledger", f"{prefix}-ledger-*"],
                "privileges": list(privileges.ledger),
            },
        ],
    }


def _letters(role: Role, prefix: str) -> list[str]:
    """Return the names of the dead letters: ingestion knows only the alias."""
    alias = f"{prefix}-dead-letter"
    return [alias] if role is Role.INGEST else [alias, f"{alias}-*"]
