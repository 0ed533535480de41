"""
A cluster that refuses for a cause of its own: the object fails, and the error names the fix.

Nothing is dead-lettered for it, and once the cause is fixed, ingesting again ends with every line
once. Users, certificates and size limits need a server that has them: `secured`, which also takes
what would disturb every other test of a shared server.
"""

import base64
import hashlib
import io
import ipaddress
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from elasticsearch import Elasticsearch

from devstack.elasticsearch import ElasticsearchServer, start_elasticsearch
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.config import Config
from pipeline.deadline import Deadline
from pipeline.errors import ClusterRefusedError, ConfigError, PipelineError
from pipeline.ingest import Ingestion, Options, Time, context_for
from pipeline.outcome import Outcome, Tally
from pipeline.sink.store import Store, open_store
from pipeline.source.reading import read_stream
from tests.support.cluster import documents_in, index_of, ingest, letters_of, prepared
from tests.support.factories import alb_line, ids_of, lines_of, no_log_lines, text_of, unused_day

Cause = Callable[[Store, str], AbstractContextManager[None]]
"""Bring a cluster into a state that refuses an index, and repair it."""


@pytest.fixture(scope="module")
def store(es: Elasticsearch) -> Iterator[Store]:
    """Share one prepared cluster among the tests of this file: each has a day of its own."""
    with prepared(es) as store:
        yield store


def set_up(store: Store, **changed: int) -> None:
    """Run setup."""
    wanted = replace(Layout(prefix=store.prefix, replicas=0), **changed)  # type: ignore[arg-type]
    apply_setup(store.es, plan_setup(store.es, wanted))


# --- causes --------------------------------------------------------------------------------------


@contextmanager
def shards_full(store: Store, _index: str) -> Iterator[None]:
    """Ask for more shards than a node may hold: the limit is reached by the next index."""
    set_up(store, shards=1_024)
    yield
    set_up(store)


@contextmanager
def shards_full_later(store: Store, index: str) -> Iterator[None]:
    """Reach the limit after the index was looked at, and was removed again."""
    store.admit({index})
    store.es.indices.delete(index=index)
    with shards_full(store, index):
        yield


@contextmanager
def pipeline_missing(store: Store, index: str) -> Iterator[None]:
    """Name a pipeline that is not there, as where someone deleted it."""
    name = f"{store.prefix}-enrich"
    store.es.indices.create(index=index, settings={"index.default_pipeline": name})
    yield
    store.es.indices.put_settings(index=index, settings={"index.default_pipeline": None})


@contextmanager
def closed(store: Store, index: str) -> Iterator[None]:
    """Close the index."""
    store.es.indices.create(index=index)
    store.es.indices.close(index=index)
    yield
    store.es.indices.open(index=index)


def blocked(block: str, *, seen: bool) -> Cause:
    """Block the index before it is looked at, or after."""

    @contextmanager
    def cause(store: Store, index: str) -> Iterator[None]:
        store.es.indices.create(index=index)
        if seen:
            store.admit({index})
        store.es.indices.put_settings(index=index, settings={f"index.blocks.{block}": True})
        yield
        store.es.indices.put_settings(index=index, settings={f"index.blocks.{block}": None})

    return cause


@contextmanager
def gone_for_good(store: Store, index: str) -> Iterator[None]:
    """Delete an index that was looked at, where none by its name is made by itself."""
    store.admit({index})
    template = f"{store.prefix}-by-order-only"
    store.es.indices.put_index_template(
        name=template,
        index_patterns=[index],
        priority=900,
        composed_of=[f"{store.prefix}-settings", f"{store.prefix}-mappings-access"],
        allow_auto_create=False,
    )
    store.es.indices.delete(index=index)
    yield
    store.es.indices.delete_index_template(name=template)


@contextmanager
def made_by_hand(store: Store, index: str) -> Iterator[None]:
    """Let a dynamic mapping grow where our templates did not apply."""
    template = f"{store.prefix}-by-hand"
    store.es.indices.put_index_template(name=template, index_patterns=[index], priority=900)
    store.es.index(index=index, document={"message": "hello"})
    store.es.indices.delete_index_template(name=template)
    yield
    store.es.indices.delete(index=index)


@contextmanager
def templates_gone(store: Store, index: str) -> Iterator[None]:
    """Remove what setup installed for new indices."""
    store.es.indices.delete_index_template(name=f"{store.prefix}-access")
    yield
    set_up(store)
    store.es.indices.delete(index=index)


@contextmanager
def letters_blocked(store: Store, _index: str) -> Iterator[None]:
    """Block the dead letters, not the documents."""
    store.es.indices.put_settings(index=store.dead_letters, settings={"index.blocks.write": True})
    yield
    store.es.indices.put_settings(index=store.dead_letters, settings={"index.blocks.write": None})


CAUSES = [
    pytest.param(
        shards_full,
        ClusterRefusedError,
        "Raise cluster.max_shards_per_node or delete old indices",
        id="shard limit",
    ),
    pytest.param(
        shards_full_later,
        ClusterRefusedError,
        "Raise cluster.max_shards_per_node or delete old indices",
        id="shard limit, index seen before",
    ),
    pytest.param(
        pipeline_missing,
        ClusterRefusedError,
        "names an ingest pipeline that is missing: run `alb-logs setup` again",
        id="missing pipeline",
    ),
    pytest.param(closed, ClusterRefusedError, "POST /{index}/_open", id="closed index"),
    pytest.param(
        blocked("write", seen=False),
        ClusterRefusedError,
        'PUT /{index}/_settings {{"index.blocks.write": null, ',
        id="write block",
    ),
    pytest.param(
        blocked("read_only", seen=True),
        ClusterRefusedError,
        'PUT /{index}/_settings {{"index.blocks.write": null, "index.blocks.read_only": null',
        id="read-only block",
    ),
    pytest.param(
        blocked("metadata", seen=False),
        ClusterRefusedError,
        'PUT /{index}/_settings {{"index.blocks.write": null, "index.blocks.read_only": null, '
        '"index.blocks.metadata": null}}',
        id="metadata block",
    ),
    pytest.param(
        blocked("read_only_allow_delete", seen=True),
        ClusterRefusedError,
        "A disk of the cluster is full: free space, then lift the block: PUT /{index}/_settings "
        '{{"index.blocks.read_only_allow_delete": null}}',
        id="full disk",
    ),
    pytest.param(
        gone_for_good,
        ClusterRefusedError,
        "allow our indices in action.auto_create_index, then run `alb-logs setup`",
        id="index deleted",
    ),
    pytest.param(
        made_by_hand,
        ConfigError,
        "its mapping is not ours: run `alb-logs setup`, then reindex or delete {index}",
        id="index made by hand",
    ),
    pytest.param(
        templates_gone,
        ConfigError,
        "its mapping is not ours: run `alb-logs setup`, then reindex or delete {index}",
        id="setup undone",
    ),
    pytest.param(
        letters_blocked,
        ClusterRefusedError,
        'PUT /{dead_letters}-000001/_settings {{"index.blocks.write": null, ',
        id="dead letters blocked",
    ),
]


@pytest.mark.parametrize(("cause", "error", "fix"), CAUSES)
def test_a_cause_of_the_clusters_is_named_and_costs_no_line(
    store: Store, day: str, cause: Cause, error: type[PipelineError], fix: str
) -> None:
    """The object fails with the fix and no dead letter; once repaired, every line is there once."""
    es, index = store.es, index_of(store, day)
    good, bad = lines_of(day, 5), no_log_lines(2)
    text = text_of([*good, *bad])

    with cause(store, index):
        before = time.monotonic()
        failed = ingest(store, text)
        seconds = time.monotonic() - before
        letters = letters_of(es, store, bad)

    assert isinstance(failed.error, error)
    assert fix.format(index=index, dead_letters=store.dead_letters) in str(failed.error)
    assert Tally() == failed.tally
    assert {} == letters
    assert seconds < 30.0  # no retry fixes it: it is not tried for the whole budget

    repaired = ingest(store, text)

    assert repaired.error is None
    repaired.tally.check()
    assert (7, 2) == (repaired.tally.lines, repaired.tally.rejected)
    assert ids_of(good) == documents_in(es, index).keys()
    assert ids_of(bad) == letters_of(es, store, bad).keys()


def test_an_index_that_is_gone_is_made_again(es: Elasticsearch, store: Store, day: str) -> None:
    """A process that failed for it looks again: it needs no restart, nor automatic creation."""
    index, lines = index_of(store, day), lines_of(day, 3)

    with gone_for_good(store, index):
        first, second = [ingest(store, text_of(lines)) for _ in range(2)]

    assert isinstance(first.error, ClusterRefusedError)
    assert second.error is None
    assert ids_of(lines) == documents_in(es, index).keys()


def test_an_index_that_is_deleted_comes_back_as_ours(
    es: Elasticsearch, store: Store, day: str
) -> None:
    """Where the cluster makes indices by itself a deleted one has our mapping again."""
    index = index_of(store, day)
    lines = lines_of(day, 3)
    ingest(store, text_of(lines))
    es.indices.delete(index=index)

    outcome = ingest(store, text_of(lines))

    assert (3, None) == (outcome.tally.indexed, outcome.error)
    assert "false" == es.indices.get_mapping(index=index)[index]["mappings"]["dynamic"]


def test_one_closed_day_fails_an_object_of_two(es: Elasticsearch, store: Store, day: str) -> None:
    """What the other day's index took stays; once repaired, each line of both is there once."""
    other = unused_day()
    lines = [*lines_of(day, 4), *lines_of(other, 4)]

    with closed(store, index_of(store, other)):
        store.admit({index_of(store, other)})
        failed = ingest(store, text_of(lines))
    repaired = ingest(store, text_of(lines))

    assert isinstance(failed.error, ClusterRefusedError)
    assert (8, 4, 4) == (repaired.tally.lines, repaired.tally.indexed, repaired.tally.duplicates)
    assert ids_of(lines[:4]) == documents_in(es, index_of(store, day)).keys()
    assert ids_of(lines[4:]) == documents_in(es, index_of(store, other)).keys()


def test_an_alias_in_an_indexs_place_is_refused(es: Elasticsearch, store: Store, day: str) -> None:
    """Behind an alias is an index of another name: none of ours, whatever its mapping."""
    behind = f"{store.prefix}-access-behind"
    es.indices.create(index=behind, aliases={index_of(store, day): {}})

    outcome = ingest(store, text_of(lines_of(day, 1)))

    assert isinstance(outcome.error, ConfigError)
    assert "was not made from this version's templates" in str(outcome.error)
    es.indices.delete(index=behind)


# --- users, certificates and limits --------------------------------------------------------------

PASSWORD = "correct horse battery staple"  # noqa: S105  of a server that lives for these tests
KINDS = ["alb-logs-access-*", "alb-logs-connection-*", "alb-logs-health-check-*"]
INGEST = ("create_doc", "create_index", "view_index_metadata")
BODY_LIMIT = 100_000


def role(*privileges: str) -> dict[str, Any]:
    """Return a role with these privileges on the log indices, and what it needs on dead letters."""
    letters = ["create_doc", "view_index_metadata"]
    return {
        "indices": [
            {"names": KINDS, "privileges": list(privileges)},
            {"names": ["alb-logs-dead-letter"], "privileges": letters},
        ]
    }


ROLES = {
    "ingest": role(*INGEST),
    **{f"no-{left_out}": role(*(p for p in INGEST if p != left_out)) for left_out in INGEST},
    "setup": {
        "cluster": ["manage_index_templates", "manage_ilm", "manage_pipeline", "monitor"],
        "indices": [{"names": ["alb-logs-dead-letter*"], "privileges": ["manage"]}],
    },
    "nobody": {},
}


@dataclass(frozen=True, slots=True)
class Secured:
    """A server with TLS, users, and a limit of the size of a request."""

    server: ElasticsearchServer
    authority: Path

    def client(self, user: str, password: str = PASSWORD, **changed: Any) -> Elasticsearch:  # noqa: ANN401
        """Make a client as the product does."""
        config = Config(
            es_url=(self.server.url,),
            es_username=user,
            es_password=password,
            es_ca_cert=str(self.authority),
        )
        return make_elasticsearch(replace(config, **changed))

    def store(self, user: str = "ingest") -> Store:
        """Open the prepared cluster as a user."""
        return open_store(self.client(user), "alb-logs")


def certificate() -> tuple[bytes, bytes]:
    """Make a certificate for this machine that signs itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server of these tests")])
    now, host = datetime.now(UTC), ipaddress.ip_address("127.0.0.1")
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return signed.public_bytes(serialization.Encoding.PEM), private


def hashed(password: str) -> str:
    """Hash a password as Elasticsearch's file realm reads it."""
    salt = hashlib.sha256(password.encode()).digest()
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 1_000, 32)
    return "{PBKDF2}1000$" + "$".join(base64.b64encode(each).decode() for each in (salt, digest))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Start a server with security, and set it up as a user who may do only that."""
    public, private = certificate()
    authority = tmp_path_factory.mktemp("secured") / "ca.pem"
    authority.write_bytes(public)
    users = {"admin": "superuser", **{name: name for name in ROLES}}
    settings = {
        "xpack.security.enabled": "true",
        "xpack.security.http.ssl.enabled": "true",
        "xpack.security.http.ssl.key": "http.key",
        "xpack.security.http.ssl.certificate": "http.crt",
        "http.max_content_length": f"{BODY_LIMIT}b",
    }
    files = {
        "http.key": private,
        "http.crt": public,
        "users": "".join(f"{user}:{hashed(PASSWORD)}\n" for user in users).encode(),
        "users_roles": "".join(f"{of}:{user}\n" for user, of in users.items()).encode(),
        # JSON is YAML, but each role begins a line.
        "roles.yml": "".join(f"{n}: {json.dumps(each)}\n" for n, each in ROLES.items()).encode(),
    }
    with start_elasticsearch(settings=settings, config_files=files) as server:
        secured = Secured(server, authority)
        apply_setup(es := secured.client("setup"), plan_setup(es, Layout(replicas=0)))
        yield secured


def test_the_documented_privileges_are_enough(secured: Secured, day: str) -> None:
    """With TLS and the roles of the documentation lines and dead letters are written."""
    good, bad = lines_of(day, 5), no_log_lines(2)

    outcomes = [ingest(secured.store(), text_of([*good, *bad])) for _ in range(2)]

    size = len(text_of([*good, *bad]))
    assert [
        Outcome(Tally(lines=7, indexed=5, rejected=2, bytes=size)),
        Outcome(Tally(lines=7, duplicates=5, rejected=2, bytes=size)),
    ] == outcomes
    admin = secured.store("admin")
    assert ids_of(good) == documents_in(admin.es, index_of(admin, day)).keys()
    assert ids_of(bad) == letters_of(admin.es, admin, bad).keys()


@pytest.mark.parametrize("missing", INGEST)
def test_a_missing_privilege_is_named(secured: Secured, day: str, missing: str) -> None:
    """Without one of the privileges the object fails with all of them, and loses nothing."""
    store, admin = secured.store(f"no-{missing}"), secured.store("admin")
    good, bad = lines_of(day, 3), no_log_lines(1)
    if missing == "create_doc":
        admin.es.indices.create(index=index_of(store, day))

    failed = ingest(store, text_of([*good, *bad]))

    assert isinstance(failed.error, ConfigError)
    assert "403 security_exception" in str(failed.error)
    assert "Grant create_doc, create_index and view_index_metadata" in str(failed.error)
    assert Tally() == failed.tally
    assert {} == letters_of(admin.es, admin, bad)
    repaired = ingest(secured.store(), text_of([*good, *bad]))
    assert (4, 3, 1) == (repaired.tally.lines, repaired.tally.indexed, repaired.tally.rejected)
    assert ids_of(good) == documents_in(admin.es, index_of(admin, day)).keys()


def test_a_setup_without_privileges_is_told_which(secured: Secured) -> None:
    """A user who may not set up sees what setup needs, besides what ingestion needs."""
    es = secured.client("ingest")

    with pytest.raises(ConfigError, match="manage_index_templates, manage_ilm, manage_pipeline"):
        plan_setup(es, Layout(replicas=0))


def test_a_user_who_may_read_nothing_is_told(secured: Secured) -> None:
    """Already opening the store says which privileges are missing."""
    with pytest.raises(ConfigError, match=r"403 security_exception.* view_index_metadata"):
        secured.store("nobody")


def test_a_wrong_password_is_told(secured: Secured) -> None:
    """A 401 names the settings that hold user, password and key."""
    es = secured.client("ingest", "wrong password")

    with pytest.raises(ConfigError, match=r"401 .*Check ALB_LOGS_ES_API_KEY, or ALB_LOGS_ES_USER"):
        open_store(es, "alb-logs")
    outcome = ingest(replace(secured.store(), es=es), text_of(lines_of("2024-02-03", 1)))
    assert isinstance(outcome.error, ConfigError)


def test_a_certificate_that_is_not_trusted_is_told(secured: Secured) -> None:
    """Without the authority's file the error names its setting."""
    es = secured.client("ingest", es_ca_cert=None)

    with pytest.raises(ConfigError, match=r"not trusted.*self-signed.* ALB_LOGS_ES_CA_CERT"):
        open_store(es, "alb-logs")
    outcome = ingest(replace(secured.store(), es=es), text_of(lines_of("2024-02-03", 1)))
    assert isinstance(outcome.error, ConfigError)


def test_bodies_above_the_servers_limit_are_split(secured: Secured, day: str) -> None:
    """What the real server refuses with 413 goes in parts: every line once, dead letters too."""
    good, bad = lines_of(day, 300), [each + b"x" * 2_000 for each in no_log_lines(100)]
    admin = secured.store("admin")

    outcome = ingest(secured.store(), text_of([*good, *bad]), Options(bulk_bytes=1_500_000))

    assert (
        Outcome(Tally(lines=400, indexed=300, rejected=100, bytes=len(text_of([*good, *bad]))))
        == outcome
    )
    assert ids_of(good) == documents_in(admin.es, index_of(admin, day)).keys()
    assert ids_of(bad) == letters_of(admin.es, admin, bad).keys()


def test_a_document_above_the_servers_limit_is_the_servers_fault(
    secured: Secured, day: str
) -> None:
    """One document that the server will not take whole names the server's setting."""
    large = alb_line(1, time=f"{day}T10:00:00.000000Z", user_agent=f'"{"x" * BODY_LIMIT}"')

    outcome = ingest(secured.store(), text_of([*lines_of(day, 3), large]))

    assert isinstance(outcome.error, ClusterRefusedError)
    assert "raise http.max_content_length" in str(outcome.error)
    admin = secured.store("admin")
    assert {} == letters_of(admin.es, admin, [large])


def test_a_cluster_made_read_only_is_told(secured: Secured, day: str) -> None:
    """A block of the whole cluster names the cluster's setting, not an index's."""
    admin, lines = secured.store("admin"), lines_of(day, 3)
    ingest(admin, text_of(lines[:1]))
    block = "cluster.blocks.read_only"
    admin.es.cluster.put_settings(persistent={block: True})
    try:
        seen = ingest(admin, text_of(lines))
        unseen = ingest(admin, text_of(lines_of(unused_day(), 1)))
    finally:
        admin.es.cluster.put_settings(persistent={block: None})

    for outcome in (seen, unseen):
        assert isinstance(outcome.error, ClusterRefusedError)
        assert f'PUT /_cluster/settings {{"persistent": {{"{block}": null' in str(outcome.error)
    assert (3, 2) == ((again := ingest(admin, text_of(lines)).tally).lines, again.indexed)


def test_a_cluster_that_makes_no_index_by_itself_is_good_enough(secured: Secured, day: str) -> None:
    """With action.auto_create_index false, an index that is gone costs one attempt and no line."""
    admin, lines = secured.store("admin"), lines_of(day, 3)
    setting = "action.auto_create_index"
    admin.es.cluster.put_settings(persistent={setting: "false"})
    try:
        new = ingest(admin, text_of(lines[:1]))
        admin.es.indices.delete(index=index_of(admin, day))
        gone, again = [ingest(admin, text_of(lines)) for _ in range(2)]
    finally:
        admin.es.cluster.put_settings(persistent={setting: None})

    assert (1, None) == (new.tally.indexed, new.error)
    assert isinstance(gone.error, ClusterRefusedError)
    assert f"allow our indices in {setting}, then run `alb-logs setup`" in str(gone.error)
    assert (3, None) == (again.tally.indexed, again.error)
    assert ids_of(lines) == documents_in(admin.es, index_of(admin, day)).keys()


def test_a_server_killed_in_the_middle_costs_no_line(secured: Secured, day: str) -> None:
    """While a dead server starts again the object waits, and ends with every line once."""
    lines = lines_of(day, 3_000)
    store, options = secured.store(), Options(bulk_bytes=60_000)
    deadline = Deadline(pause=lambda seconds: time.sleep(min(seconds, 0.5)))
    outcomes: list[Outcome] = []

    def run() -> None:
        ingestion = Ingestion(context_for(store, options), store, options, Time(deadline))
        chunks = read_stream(io.BytesIO(text_of(lines)), name="x", chunk_bytes=options.chunk_bytes)
        outcomes.append(ingestion.run(chunks))

    running = Thread(target=run)
    running.start()
    while not store.has_prepared(index_of(store, day)):
        time.sleep(0.01)
    secured.server.kill()
    assert running.is_alive()  # else it was done already, and nothing is proven
    secured.server.restart()
    running.join(60.0)

    [outcome] = outcomes
    assert outcome.error is None
    assert 3_000 == outcome.tally.lines == outcome.tally.indexed + outcome.tally.duplicates
    admin = secured.store("admin")
    assert ids_of(lines) == documents_in(admin.es, index_of(admin, day)).keys()
