"""
Give the roles that Elasticsearch should know: the least that each user of the cluster needs.

Who ingests adds documents and reads none; who operates also reads, and removes dead letters; who
sets up neither reads nor writes a document. `docs/security.md` says what each privilege is for. A
body is as the security API takes it, for a role or within an API key:
elastic.co/guide/en/elasticsearch/reference/8.19/security-api-put-role.html
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.alb.fields import Kind


class Role(StrEnum):
    """Who works with the cluster."""

    INGEST = "ingest"
    OPERATE = "operate"
    SETUP = "setup"


@dataclass(frozen=True, slots=True)
class _Privileges:
    """What a role may do with the cluster, with the log indices and with the dead letters."""

    cluster: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()


_PRIVILEGES = {
    Role.INGEST: _Privileges(
        logs=("create_doc", "create_index", "view_index_metadata"),
        letters=("create_doc", "view_index_metadata"),
    ),
    Role.OPERATE: _Privileges(
        logs=("create_doc", "create_index", "read", "view_index_metadata"),
        letters=("create_doc", "delete", "read", "view_index_metadata"),
    ),
    Role.SETUP: _Privileges(
        cluster=("manage_ilm", "manage_index_templates", "manage_pipeline", "monitor"),
        # The lifecycle deletes indices by the privileges of who wrote its policy.
        logs=("delete_index", "monitor"),
        # An action of its own, for the privilege that holds it could delete the dead letters.
        letters=("create_index", "indices:admin/mapping/put", "view_index_metadata"),
    ),
}


def role_body(role: Role, prefix: str) -> dict[str, Any]:
    """Give a role for the indices that begin so, as JSON."""
    privileges = _PRIVILEGES[role]
    return {
        "cluster": list(privileges.cluster),
        "indices": [
            {
                "names": [f"{prefix}-{kind}-*" for kind in Kind],
                "privileges": list(privileges.logs),
            },
            {"names": [f"{prefix}-dead-letter"], "privileges": list(privileges.letters)},
        ],
    }
