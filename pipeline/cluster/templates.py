"""
Prepare a cluster for ALB logs: what `alb-logs setup` does.

It installs the files of `index_templates/`: index templates built from component templates, the
lifecycle policies and the enrich pipeline where the cluster supports them, and the first index
behind the alias of the dead letters, whose mapping also tells ingestion the period of an index.
Everything is compared by a digest kept in `_meta`, so running it again changes nothing.

https://www.elastic.co/guide/en/elasticsearch/reference/8.19/index-templates.html
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
from pipeline.cluster.mapping import without_constants
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError
from pipeline.shipped import shipped
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.requests import JSON
from pipeline.sink.store import SCHEMA, letters_meta

RETENTION_DAYS = 90
"""Days after an event that its index is deleted, unless `setup` was given another number."""

LETTER_RETENTION_DAYS = 30
"""Days that a dead letter is kept at least, unless `setup` was given another number."""

_LETTERS, _LEDGER = "dead-letter", "ledger"
_FIRST = "-000001"
"""What the lifecycle counts up at the end of the name of an index behind the alias."""

_ROLLOVER_DAYS = 7
_LEDGER_DAYS = 32
"""How much longer than documents their ledger is kept: an index of it covers a month."""

_SHIPPED_PREFIX = "alb-logs"
_SECONDS = 10.0  # to find out what the cluster has


@dataclass(frozen=True, slots=True)
class Layout:
    """How the log is divided into indices; `shards` and `replicas` are per index."""

    prefix: str = _SHIPPED_PREFIX
    period: Period = Period.DAY
    shards: int = 1
    replicas: int = 1
    retention_days: int = RETENTION_DAYS
    letter_retention_days: int = LETTER_RETENTION_DAYS


class Change(StrEnum):
    """What installing a part would change."""

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
    """What `setup` would do, in order, and what this cluster lacks, with the consequences."""

    parts: tuple[Part, ...]
    lacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the user should know about what is there already."""


def plan_setup(es: Elasticsearch, wanted: Layout, *, force: bool = False) -> Plan:
    """Compare what is wanted with what the cluster has; change nothing."""
    with elasticsearch_errors():
        _refuse_index_as_letters(es, wanted)
        _refuse_other_period(es, wanted, force=force)
        lacks = tuple(_lacking(es))
        parts = tuple(
            Part(part.what, part.path, part.body, _change(es, part))
            for part in all_parts(wanted, lacks)
        )
        notes = tuple(_notes(es, wanted))
    return Plan(parts, tuple(_CONSEQUENCES[lack] for lack in lacks), notes)


def _notes(es: Elasticsearch, wanted: Layout) -> Iterator[str]:
    template = _installed(es, f"/_index_template/{wanted.prefix}-{Kind.ACCESS}") or {}
    schema = template.get("_meta", {}).get("alb_logs", {}).get("schema", SCHEMA)
    if schema != SCHEMA:
        yield (
            f"Indices made with schema {schema} keep their mapping and stay readable and writable, "
            f"also that of a {wanted.period} under way; each new one gets schema {SCHEMA}"
        )


def apply_setup(es: Elasticsearch, plan: Plan) -> None:
    """Install what the plan creates or updates."""
    with elasticsearch_errors():
        for part in plan.parts:
            if part.change is Change.UNCHANGED:
                continue
            # The dead letters have indices already: only their mapping can be updated, in place.
            if part.what == "index" and part.change is Change.UPDATE:
                es.perform_request(
                    "PUT", f"{_alias(part)}/_mapping", headers=JSON, body=part.body["mappings"]
                )
            else:
                es.perform_request("PUT", part.path, headers=JSON, body=part.body)


def all_parts(wanted: Layout, lacks: tuple[str, ...] = ()) -> Iterator[Part]:
    """Yield every part in the order of installation: a part comes before those that refer to it."""
    prefix = wanted.prefix
    if "lifecycle" not in lacks:
        for path, policy in _lifecycles(wanted):
            yield _part("lifecycle policy", path, policy, within="policy")
    if "enrichment" not in lacks:
        yield _part(
            "ingest pipeline", f"/_ingest/pipeline/{prefix}-enrich", _load("enrich", prefix)
        )
    yield _part(
        "component template", f"/_component_template/{prefix}-settings", _settings(wanted, lacks)
    )
    for name in (*Kind, _LETTERS, _LEDGER):
        mappings = _mappings(name, wanted, lacks)
        yield _part(
            "component template", f"/_component_template/{prefix}-mappings-{name}", mappings
        )
        yield _part(
            "index template", f"/_index_template/{prefix}-{name}", _template(name, wanted, lacks)
        )
    yield Part(
        "index",
        f"/{prefix}-{_LETTERS}{_FIRST}",
        {
            "aliases": {f"{prefix}-{_LETTERS}": {"is_write_index": True}},
            "mappings": _mappings(_LETTERS, wanted, lacks)["template"]["mappings"],
        },
    )


def _part(what: str, path: str, body: dict[str, Any], *, within: str | None = None) -> Part:
    marked = _with_digest(body[within] if within else body)
    return Part(what, path, {within: marked} if within else marked)


def _with_digest(body: dict[str, Any]) -> dict[str, Any]:
    """Mark a body with its own digest, by which a later run recognizes it."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    meta = body.get("_meta", {})
    ours = {**meta.get("alb_logs", {"schema": SCHEMA}), "digest": digest}
    return {**body, "_meta": {**meta, "alb_logs": ours}}


def _load(name: str, prefix: str) -> dict[str, Any]:
    text = (shipped("index_templates") / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text.replace(_SHIPPED_PREFIX, prefix))
    return loaded


def _lifecycles(wanted: Layout) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the policies of the logs, the dead letters and the ledger, each with its path."""
    logs = _load("lifecycle", wanted.prefix)
    logs["policy"]["phases"]["delete"]["min_age"] = f"{wanted.retention_days}d"
    yield f"/_ilm/policy/{wanted.prefix}", logs
    days = wanted.letter_retention_days
    letters = _load(f"lifecycle-{_LETTERS}", wanted.prefix)
    phases = letters["policy"]["phases"]
    phases["hot"]["actions"]["rollover"]["max_age"] = f"{min(days, _ROLLOVER_DAYS)}d"
    phases["delete"]["min_age"] = f"{days}d"
    yield f"/_ilm/policy/{wanted.prefix}-{_LETTERS}", letters
    ledger = _load(f"lifecycle-{_LEDGER}", wanted.prefix)
    ledger["policy"]["phases"]["delete"]["min_age"] = f"{wanted.retention_days + _LEDGER_DAYS}d"
    yield f"/_ilm/policy/{wanted.prefix}-{_LEDGER}", ledger


def _settings(wanted: Layout, lacks: tuple[str, ...]) -> dict[str, Any]:
    body = _load("settings", wanted.prefix)
    index = body["template"]["settings"]["index"]
    index["number_of_shards"] = wanted.shards
    index["number_of_replicas"] = wanted.replicas
    if "lifecycle" in lacks:
        del index["lifecycle"]
    return body


def _mappings(name: str, wanted: Layout, lacks: tuple[str, ...]) -> dict[str, Any]:
    body = _load(f"mappings-{name}", wanted.prefix)
    meta: dict[str, Any] = {"schema": SCHEMA, "period": wanted.period.value}
    if name == _LETTERS:  # whoever works with the cluster looks here
        lifecycle = "lifecycle" not in lacks
        meta |= {"ledger": True, "retention_days": wanted.retention_days if lifecycle else None}
    mappings = body["template"]["mappings"]
    if "constants" in lacks:
        mappings = without_constants(mappings)
    marked = {**mappings, "_meta": {"alb_logs": meta}}
    # What the lifecycle makes of the template must be recognized like what `setup` made.
    body["template"]["mappings"] = _with_digest(marked) if name == _LETTERS else marked
    return body


def _template(name: str, wanted: Layout, lacks: tuple[str, ...]) -> dict[str, Any]:
    body = _load(name, wanted.prefix)
    index = body.get("template", {}).get("settings", {}).get("index", {})
    if "enrichment" in lacks:
        index.pop("default_pipeline", None)
    if name in {_LETTERS, _LEDGER}:
        index["number_of_replicas"] = wanted.replicas
    if "lifecycle" in lacks:
        index.pop("lifecycle", None)
    meta = {"schema": SCHEMA, "period": wanted.period.value, "shards": wanted.shards}
    return {**body, "_meta": {"alb_logs": {**meta, "replicas": wanted.replicas}}}


# --- what the cluster has and lacks --------------------------------------------------------------

_CONSEQUENCES = {
    "lifecycle": "no index lifecycle management: nothing deletes old indices and dead letters; "
    "delete them yourself",
    "enrichment": "no geoip, user_agent or rename processor: documents have no location, network "
    "and browser fields",
    "constants": "no constant_keyword type: fields that are the same on every document "
    "(event.dataset, event.kind, …) do not exist",
}


_PROBE_PRIORITY = 499  # ours have 501, and no two of the same may match the same name

_NO_SUCH_API = {400, 405, 410}
"""The statuses by which a distribution says that it does not have an API."""


def _lacking(es: Elasticsearch) -> Iterator[str]:
    if not _knows_lifecycle(es):
        yield "lifecycle"
    if not _knows_processors(es):
        yield "enrichment"
    if not _knows_constants(es):
        yield "constants"


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


def _knows_constants(es: Elasticsearch) -> bool:
    leaf = {"type": "constant_keyword", "value": "x"}
    probe = {
        "index_patterns": [f"{_SHIPPED_PREFIX}-probe-*"],
        "priority": _PROBE_PRIORITY,
        "template": {"mappings": {"properties": {"probe": leaf}}},
    }
    try:
        es.perform_request("POST", "/_index_template/_simulate", headers=JSON, body=probe)
    except BadRequestError:
        return False
    return True


def _refuse_index_as_letters(es: Elasticsearch, wanted: Layout) -> None:
    name = f"{wanted.prefix}-{_LETTERS}"
    if name in _get(es, f"/{name}"):
        raise ConfigError(
            f"{name} is an index, from which no old dead letter can be deleted; it must be an "
            f"alias of several. Copy it if you need it (POST _reindex), delete it, and run "
            "`alb-logs setup` again, which creates the alias"
        )


def _refuse_other_period(es: Elasticsearch, wanted: Layout, *, force: bool) -> None:
    deadline = Deadline().within(_SECONDS)
    meta = letters_meta(es, wanted.prefix, deadline) or {}
    recorded = meta.get("period", wanted.period)
    if recorded != wanted.period and not force:
        raise ConfigError(
            f"an index of this cluster covers a {recorded}; if it covered a {wanted.period}, lines "
            "that are sent again would be indexed twice. Leave --period out, or add --force if no "
            "log object will ever be sent again"
        )


def recorded_layout(es: Elasticsearch, prefix: str) -> Layout | None:
    """Return the layout that an earlier `setup` recorded; None where there was none."""
    with elasticsearch_errors():
        template = _installed(es, f"/_index_template/{prefix}-{Kind.ACCESS}")
        policy = _installed_or_none(es, f"/_ilm/policy/{prefix}")
        letter_policy = _installed_or_none(es, f"/_ilm/policy/{prefix}-{_LETTERS}")
    if template is None:
        return None
    meta = template.get("_meta", {}).get("alb_logs", {})
    return Layout(
        prefix=prefix,
        period=Period(meta.get("period", Period.DAY)),
        shards=meta.get("shards", 1),
        replicas=meta.get("replicas", 1),
        retention_days=_days(policy) or RETENTION_DAYS,
        letter_retention_days=_days(letter_policy) or LETTER_RETENTION_DAYS,
    )


def _days(policy: dict[str, Any] | None) -> int | None:
    """Return the age at which a policy deletes, if it is in days, as ours are."""
    phases = (policy or {}).get("phases", {})
    days = phases.get("delete", {}).get("min_age", "").removesuffix("d")
    return int(days) if days.isdigit() else None


def _change(es: Elasticsearch, part: Part) -> Change:
    installed = _installed(es, _alias(part) if part.what == "index" else part.path)
    if installed is None:
        return Change.CREATE
    wanted = _digest(part.body.get("policy") or part.body.get("mappings") or part.body)
    return Change.UNCHANGED if _digest(installed) == wanted else Change.UPDATE


def _alias(part: Part) -> str:
    """Return the path of the alias before the indices of the dead letters."""
    return part.path.removesuffix(_FIRST)


def _digest(body: dict[str, Any]) -> Any:  # noqa: ANN401  any JSON
    return body.get("_meta", {}).get("alb_logs", {}).get("digest")


def _installed_or_none(es: Elasticsearch, path: str) -> dict[str, Any] | None:
    try:
        return _installed(es, path)
    except ApiError as error:
        # No other error means absence: a policy taken for missing would go back to 90 days.
        if error.meta.status in _NO_SUCH_API:
            return None
        raise


def _installed(es: Elasticsearch, path: str) -> dict[str, Any] | None:
    """Return what is installed at a path of the API; each API wraps it differently."""
    answer = _get(es, path)
    if not answer:
        return None
    match answer:
        case {"component_templates": [first, *_]}:
            found = first["component_template"]
        case {"index_templates": [first, *_]}:
            found = first["index_template"]
        case _:  # by name; behind an alias the last is the newest
            found = answer[max(answer)]
    return dict(found.get("policy") or found.get("mappings") or found)


def _get(es: Elasticsearch, path: str) -> dict[str, Any]:
    try:
        return dict(es.perform_request("GET", path, headers=JSON).body)
    except NotFoundError:
        return {}
