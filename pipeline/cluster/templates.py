"""
Prepare a cluster for ALB logs: what `alb-logs setup` does.

It installs what stands in `index_templates/`: index templates built of component templates,
the lifecycle policy and the enrich pipeline where the cluster knows such things, and the
dead-letter index, whose mapping also tells ingestion how indices are cut. Everything is compared
by a digest kept in `_meta`, so running it again changes nothing.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from pipeline.alb.document import Period
from pipeline.alb.fields import Kind
from pipeline.errors import ClusterRefusedError, ConfigError
from pipeline.shipped import shipped
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.store import JSON, SCHEMA, index_meta

RETENTION_DAYS = 90
"""Days after an event that its index is deleted, unless setup is told otherwise."""

_SHIPPED_PREFIX = "alb-logs"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cluster's indices are cut. `shards` and `replicas` are per index."""

    prefix: str = _SHIPPED_PREFIX
    period: Period = Period.DAY
    shards: int = 1
    replicas: int = 1
    retention_days: int = RETENTION_DAYS


class Change(StrEnum):
    """What installing a part changes."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to install: its address in Elasticsearch's API, and its JSON."""

    what: str
    path: str
    body: dict[str, Any]
    change: Change = Change.CREATE


@dataclass(frozen=True, slots=True)
class Plan:
    """What `setup` would do, in order, and what this cluster lacks, each with what follows."""

    parts: tuple[Part, ...]
    lacks: tuple[str, ...] = ()


def plan_setup(es: Elasticsearch, wanted: Layout, *, force: bool = False) -> Plan:
    """Compare what is wanted with what the cluster has; changes nothing."""
    with elasticsearch_errors():
        _refuse_other_period(es, wanted, force=force)
        lacks = tuple(_lacking(es))
        parts = tuple(
            Part(part.what, part.path, part.body, _change(es, part))
            for part in all_parts(wanted, lacks)
        )
    return Plan(parts, tuple(_CONSEQUENCES[lack] for lack in lacks))


def apply_setup(es: Elasticsearch, plan: Plan) -> None:
    """Install what the plan creates or updates."""
    with elasticsearch_errors():
        for part in plan.parts:
            if part.change is Change.UNCHANGED:
                continue
            # The dead-letter index is the one part whose mapping can be updated only in place.
            path = part.path
            if part.what == "index" and part.change is Change.UPDATE:
                es.perform_request(
                    "PUT", f"{path}/_mapping", headers=JSON, body=part.body["mappings"]
                )
            else:
                es.perform_request("PUT", path, headers=JSON, body=part.body)


def all_parts(wanted: Layout, lacks: tuple[str, ...] = ()) -> Iterator[Part]:
    """Give every part in the order of installation: what is named comes before what names it."""
    prefix = wanted.prefix
    if "lifecycle" not in lacks:
        yield _part(
            "lifecycle policy", f"/_ilm/policy/{prefix}", _lifecycle(wanted), within="policy"
        )
    if "enrichment" not in lacks:
        yield _part(
            "ingest pipeline", f"/_ingest/pipeline/{prefix}-enrich", _load("enrich", prefix)
        )
    yield _part(
        "component template", f"/_component_template/{prefix}-settings", _settings(wanted, lacks)
    )
    for name in (*Kind, "dead-letter"):
        mappings = _mappings(name, wanted)
        yield _part(
            "component template", f"/_component_template/{prefix}-mappings-{name}", mappings
        )
        yield _part(
            "index template", f"/_index_template/{prefix}-{name}", _template(name, wanted, lacks)
        )
    yield Part(
        "index",
        f"/{prefix}-dead-letter",
        {"mappings": _with_digest(_mappings("dead-letter", wanted)["template"]["mappings"])},
    )


def _part(what: str, path: str, body: dict[str, Any], *, within: str | None = None) -> Part:
    marked = _with_digest(body[within] if within else body)
    return Part(what, path, {within: marked} if within else marked)


def _with_digest(body: dict[str, Any]) -> dict[str, Any]:
    """Mark a body with its own digest, by which it is known again."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    meta = body.get("_meta", {})
    ours = {**meta.get("alb_logs", {"schema": SCHEMA}), "digest": digest}
    return {**body, "_meta": {**meta, "alb_logs": ours}}


def _load(name: str, prefix: str) -> dict[str, Any]:
    text = (shipped("index_templates") / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text.replace(_SHIPPED_PREFIX, prefix))
    return loaded


def _lifecycle(wanted: Layout) -> dict[str, Any]:
    body = _load("lifecycle", wanted.prefix)
    body["policy"]["phases"]["delete"]["min_age"] = f"{wanted.retention_days}d"
    return body


def _settings(wanted: Layout, lacks: tuple[str, ...]) -> dict[str, Any]:
    body = _load("settings", wanted.prefix)
    index = body["template"]["settings"]["index"]
    index["number_of_shards"] = wanted.shards
    index["number_of_replicas"] = wanted.replicas
    if "lifecycle" in lacks:
        del index["lifecycle"]
    return body


def _mappings(name: str, wanted: Layout) -> dict[str, Any]:
    body = _load(f"mappings-{name}", wanted.prefix)
    meta = {"schema": SCHEMA, "period": wanted.period.value}
    body["template"]["mappings"]["_meta"] = {"alb_logs": meta}
    return body


def _template(name: str, wanted: Layout, lacks: tuple[str, ...]) -> dict[str, Any]:
    body = _load(name, wanted.prefix)
    index = body.get("template", {}).get("settings", {}).get("index", {})
    if "enrichment" in lacks:
        index.pop("default_pipeline", None)
    if name == "dead-letter":
        index["number_of_replicas"] = wanted.replicas
    meta = {"schema": SCHEMA, "period": wanted.period.value, "shards": wanted.shards}
    return {**body, "_meta": {"alb_logs": {**meta, "replicas": wanted.replicas}}}


# --- what the cluster has and lacks --------------------------------------------------------------

_CONSEQUENCES = {
    "lifecycle": "no index lifecycle management: nothing deletes old indices; delete them yourself",
    "enrichment": "no geoip, user_agent or rename processor: documents have no place, network and "
    "browser fields",
}


_NO_SUCH_API = {400, 405, 410}
"""How a distribution answers for an API that it has not."""


def _lacking(es: Elasticsearch) -> Iterator[str]:
    if not _knows_lifecycle(es):
        yield "lifecycle"
    if not _knows_processors(es):
        yield "enrichment"


def _knows_lifecycle(es: Elasticsearch) -> bool:
    try:
        _installed(es, "/_ilm/policy/alb-logs-probe")
    except ApiError as error:
        if error.meta.status in _NO_SUCH_API:
            return False
        raise
    return True


def _knows_processors(es: Elasticsearch) -> bool:
    simulation = {"pipeline": _load("enrich", _SHIPPED_PREFIX), "docs": [{"_source": {}}]}
    try:
        es.perform_request("POST", "/_ingest/pipeline/_simulate", headers=JSON, body=simulation)
    except BadRequestError:
        return False
    return True


def _refuse_other_period(es: Elasticsearch, wanted: Layout, *, force: bool) -> None:
    meta = index_meta(es, f"{wanted.prefix}-dead-letter") or {}
    recorded = meta.get("period", wanted.period)
    if recorded != wanted.period and not force:
        raise ConfigError(
            f"this cluster's indices are cut by {recorded}; cutting them by {wanted.period} would "
            "index lines that are sent again a second time. Leave --period out, or add --force if "
            "no log object will ever be sent again"
        )


def recorded_layout(es: Elasticsearch, prefix: str) -> Layout | None:
    """Give the layout that an earlier `setup` recorded; None where there was none."""
    with elasticsearch_errors():
        template = _installed(es, f"/_index_template/{prefix}-{Kind.ACCESS}")
        policy = _installed_or_none(es, f"/_ilm/policy/{prefix}")
    if template is None:
        return None
    meta = template.get("_meta", {}).get("alb_logs", {})
    return Layout(
        prefix=prefix,
        period=Period(meta.get("period", Period.DAY)),
        shards=meta.get("shards", 1),
        replicas=meta.get("replicas", 1),
        retention_days=_days(policy or {}),
    )


def _days(policy: dict[str, Any]) -> int:
    """Give the age at which a policy deletes, where it is in days as ours are."""
    days = policy.get("phases", {}).get("delete", {}).get("min_age", "").removesuffix("d")
    return int(days) if days.isdigit() else RETENTION_DAYS


def _change(es: Elasticsearch, part: Part) -> Change:
    installed = _installed(es, part.path)
    if installed is None:
        return Change.CREATE
    wanted = _digest(part.body.get("policy") or part.body.get("mappings") or part.body)
    return Change.UNCHANGED if _digest(installed) == wanted else Change.UPDATE


def _digest(body: dict[str, Any]) -> Any:  # noqa: ANN401  JSON as it comes
    return body.get("_meta", {}).get("alb_logs", {}).get("digest")


def _installed_or_none(es: Elasticsearch, path: str) -> dict[str, Any] | None:
    try:
        return _installed(es, path)
    except ApiError as error:
        # Any other error is no absence: a policy taken for missing would be set back to 90 days.
        if error.meta.status in _NO_SUCH_API:
            return None
        raise


def _installed(es: Elasticsearch, path: str) -> dict[str, Any] | None:
    """Give what stands at a path of the API, whose answers are all wrapped in their own way."""
    name = path.rpartition("/")[2]
    try:
        answer = es.perform_request("GET", path, headers=JSON).body
    except NotFoundError:
        return None
    match answer:
        case {"component_templates": [first, *_]}:
            found = first["component_template"]
        case {"index_templates": [first, *_]}:
            found = first["index_template"]
        case _:
            found = answer.get(name, {})
    return dict(found.get("policy") or found.get("mappings") or found)


def check_reachable(es: Elasticsearch) -> None:
    """Raise the error that names the fix where Elasticsearch can not be reached or used."""
    with elasticsearch_errors():
        status = es.perform_request("GET", "/_cluster/health", headers=JSON).body["status"]
    if status == "red":
        raise ClusterRefusedError(
            "Elasticsearch's status is red, some data is missing: see GET "
            "/_cluster/allocation/explain"
        )
