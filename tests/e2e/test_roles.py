"""The roles that `setup --print-role` prints: each does its work, and all beyond it is a 403."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import ApiError, BadRequestError, Elasticsearch, ElasticsearchWarning

from devstack.traffic import line_id
from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.cluster.roles import Role, role_body
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.errors import ConfigError
from pipeline.jobs.planning import Shards, plan_run
from pipeline.jobs.selecting import Choice, Survey, survey, with_entries
from pipeline.sink.ledger import COUNTED, Entry, State, Version, read_entries, write_entry
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.requests import JSON
from pipeline.sink.store import open_store
from tests.support.cluster import documents_in, ingest
from tests.support.factories import (
    KEY,
    ids_of,
    lines_of,
    no_log_lines,
    text_of,
    unused_day,
)
from tests.support.secure import FRESH, LACKS, PREFIX, Lack, Secure, run
from tests.support.workers import ref_at

ROOT = Path(__file__).parent.parent.parent
THREE_KINDS = (ROOT / "tests" / "data" / "alb" / "auto-three-kinds.log").read_bytes().splitlines()
LETTERS = f"{PREFIX}-dead-letter"
LEDGER = f"{PREFIX}-ledger"
ELSEWHERE = "elsewhere"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """A file of good and bad lines, all of a day of its own."""

    file: Path
    index: str
    good: list[bytes]
    bad: list[bytes]


def write_log(folder: Path) -> Log:
    """Write a log that no other test has lines of."""
    day = unused_day()
    index = f"{PREFIX}-access-{day.replace('-', '.')}"
    log = Log(folder / "access.log", index, lines_of(day, 3), no_log_lines(2))
    log.file.write_bytes(text_of([*log.good, *log.bad]))
    return log


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Return a log of the test's own."""
    return write_log(tmp_path)


@dataclass(frozen=True, slots=True)
class Stock:
    """What stands in the cluster before a test: a document in its index, and a dead letter."""

    index: str
    document: str
    letter: str


def set_up(secure: Secure) -> None:
    """Prepare the cluster, as the user who may."""
    apply_setup(es := secure.client("setup"), plan_setup(es, Layout(PREFIX, replicas=0)))


@pytest.fixture(scope="module")
def admin(secure: Secure) -> Elasticsearch:
    """Return a client that may do everything."""
    return secure.client("admin")


Clients = Mapping[Role, Elasticsearch]


@pytest.fixture(scope="module")
def clients(secure: Secure) -> Clients:
    """Return a client for each role."""
    return {role: secure.client(role) for role in Role}


@pytest.fixture(scope="module", autouse=True)
def stock(secure: Secure, admin: Elasticsearch, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Set up and ingest, each as the user who is there for it; another index is somebody's."""
    set_up(secure)
    log = write_log(tmp_path_factory.mktemp("stock"))
    assert 1 == run(secure.settings("ingest"), "ingest", log.file).code  # some are rejected
    admin.index(index=ELSEWHERE, id="1", document={})
    return Stock(log.index, min(ids_of(log.good)), min(ids_of(log.bad)))


# --- each does its work --------------------------------------------------------------------------


def test_setup_does_its_work(secure: Secure) -> None:
    """It installs everything, then nothing more, then what another period changes."""
    settings = secure.settings("setup-fresh", ALB_LOGS_INDEX_PREFIX=FRESH)

    first = run(settings, "setup", "--replicas", "0")
    again = run(settings, "setup")
    other = run(settings, "setup", "--period", "month", "--force")

    assert [0, 0, 0] == [first.code, again.code, other.code]
    assert 12 == first.out.count("create ")
    assert "Everything is in place." in again.out
    assert re.search(f"update +index +/{FRESH}-dead-letter", other.out)


def test_setup_may_do_what_the_lifecycle_does(secure: Secure, admin: Elasticsearch) -> None:
    """A policy acts by the privileges of who wrote it; ours look, roll over and delete."""
    es, index = secure.client("setup"), f"{PREFIX}-access-2016.01.01"
    old_letters = f"{LETTERS}-000099"
    admin.indices.create(index=index)
    admin.indices.create(index=old_letters)

    followed = es.security.has_privileges(cluster=["cluster:monitor/xpack/info/ccr"])
    rolled = es.indices.rollover(alias=LETTERS, dry_run=True)

    assert followed["has_all_requested"]
    assert f"{LETTERS}-000002" == rolled["new_index"]
    for each in (index, old_letters):
        assert 1 == es.indices.stats(index=each)["_shards"]["successful"]
        assert es.indices.delete(index=each)["acknowledged"]


def test_ingest_does_its_work(secure: Secure, admin: Elasticsearch, tmp_path: Path) -> None:
    """A file of all three kinds and of bad lines becomes documents and dead letters, once."""
    bad = no_log_lines(3)
    file = tmp_path / "three-kinds.log"
    file.write_bytes(text_of([*THREE_KINDS, *bad]))

    runs = [run(secure.settings("ingest"), "ingest", "--json", file) for _ in range(2)]

    counts = ("lines", "indexed", "duplicates", "rejected")
    told = [tuple(json.loads(each.out)[name] for name in counts) for each in runs]
    assert [(10, 7, 0, 3), (10, 0, 7, 3)] == told
    ids = ids_of(THREE_KINDS)
    found = [ids & documents_in(admin, f"{PREFIX}-{kind}-2026.11.20").keys() for kind in Kind]
    assert [3, 2, 2] == [len(each) for each in found]
    assert ids == set().union(*found)
    assert ids_of(bad) <= documents_in(admin, LETTERS).keys()


def test_operate_does_its_work(secure: Secure, admin: Elasticsearch, log: Log) -> None:
    """It ingests, reads documents and dead letters, and removes a dead letter."""
    es, settings = secure.client("operate"), secure.settings("operate")
    letters, (letter, _) = ids_of(log.bad), sorted(ids_of(log.bad))

    assert 1 == run(settings, "ingest", log.file).code  # some are rejected

    admin.indices.refresh(index=f"{log.index},{LETTERS}")
    for index, ids in ((log.index, ids_of(log.good)), (LETTERS, letters)):
        query = {"ids": {"values": list(ids)}}
        assert ids == {hit["_id"] for hit in es.search(index=index, query=query)["hits"]["hits"]}
        assert all(each["found"] for each in es.mget(index=index, ids=list(ids))["docs"])
    assert "deleted" == es.delete(index=LETTERS, id=letter)["result"]
    assert not admin.exists(index=LETTERS, id=letter)


def test_operate_replays_dead_letters(secure: Secure, admin: Elasticsearch, tmp_path: Path) -> None:
    """It finds dead letters in a point in time, indexes their lines and removes them."""
    log = write_log(tmp_path)
    id_ = line_id(log.good[0])
    letter = {"event": {"original": log.good[0].decode()}, "error": {"type": f"t{id_}"}}
    admin.index(index=LETTERS, id=id_, document=letter, refresh=True)

    ended = run(secure.settings("operate"), "replay", "--reason", f"t{id_}")

    assert 0 == ended.code, ended
    assert "1 replayed (1 new documents" in ended.out
    assert not admin.exists(index=LETTERS, id=id_)
    assert {id_} == documents_in(admin, log.index).keys()


def test_rewrite_erases(secure: Secure, admin: Elasticsearch, tmp_path: Path) -> None:
    """It finds a client's documents and dead letters, and replaces them."""
    log = write_log(tmp_path)
    assert 1 == run(secure.settings("rewrite"), "ingest", log.file).code  # some are rejected
    (day, *_), letter = re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", log.good[0].decode()), "L" * 20
    address = "203.0.113.1"
    admin.index(index=LETTERS, id=letter, document={"event": {"original": address}, **NOW})
    admin.indices.refresh(index=f"{log.index},{LETTERS}")

    until = (date.fromisoformat(day) + timedelta(1)).isoformat()
    span = ("--from", day, "--to", until)
    ended = run(secure.settings("rewrite"), "erase", "--client-ip", address, *span, "--yes")

    assert 0 == ended.code, ended
    assert ended.out.startswith("1 documents erased; 1 dead letters erased")
    assert address not in json.dumps(documents_in(admin, log.index))
    assert "event" not in admin.get(index=LETTERS, id=letter)["_source"]


NOW = {"@timestamp": datetime.now(UTC).isoformat()}


# --- none has more than it needs -----------------------------------------------------------------

OF_PEOPLE = {"read", "delete"}
"""What `operate` has beyond `ingest`."""

OF_THE_LIFECYCLE = {"manage_ilm", "monitor", "delete_index", "indices:admin/rollover"}
"""Privileges of `setup` that only a cluster with lifecycle management uses: not this server."""


def of_ledger(lack: Lack) -> bool:
    """Return whether a privilege on the ledger is missing."""
    return f"{lack.prefix}-ledger" in lack.names


WORKING = [x for x in LACKS if x.role is not Role.SETUP and not of_ledger(x)]
INGESTING = [x for x in WORKING if x.privilege not in OF_PEOPLE]
OPERATING = [x for x in WORKING if x.privilege in OF_PEOPLE]
RECORDING = [x for x in LACKS if x.role is not Role.SETUP and of_ledger(x)]
SETTING_UP = [x for x in LACKS if x.role is Role.SETUP and x.privilege not in OF_THE_LIFECYCLE]


def name_of(lack: Lack) -> str:
    """Name a case by what is missing, and where."""
    place = "cluster" if not lack.names else "letters" if of_letters(lack) else "logs"
    place = "ledger" if of_ledger(lack) else place
    return f"{lack.role}-{lack.privilege}-{place}"


def of_letters(lack: Lack) -> bool:
    """Return whether a privilege on the dead letters is missing."""
    return f"{lack.prefix}-dead-letter" in lack.names


def check_told(sentence: str, lack: Lack) -> None:
    """Check that a sentence says which privilege is missing, and where to get the whole role."""
    words, _, fix = sentence.partition(". Grant ")
    assert words.startswith("Elasticsearch refused with 403 security_exception: action [")
    assert f"is unauthorized for user [{lack.user}]" in words
    assert re.search(rf"[\[,]{re.escape(lack.privilege)}[\],]", words)
    assert "`alb-logs setup --print-role ingest` prints" in fix
    assert "`--print-role setup`" in fix


@pytest.mark.parametrize("lack", INGESTING, ids=name_of)
def test_without_a_privilege_nothing_is_ingested(
    secure: Secure, admin: Elasticsearch, lack: Lack, log: Log
) -> None:
    """Each privilege is needed; without it the command says so, and no line is dead-lettered."""
    ended = run(secure.settings(lack.user), "ingest", log.file)

    assert (2, "") == (ended.code, ended.out)
    check_told(ended.said, lack)
    assert not ids_of(log.bad) & documents_in(admin, LETTERS).keys()


@pytest.mark.parametrize("lack", OPERATING, ids=name_of)
def test_without_a_privilege_nothing_is_operated(secure: Secure, lack: Lack, stock: Stock) -> None:
    """What `operate` has beyond `ingest` is needed to read a document, or to remove a letter."""
    letters = LETTERS in lack.names
    index, id_ = (LETTERS, stock.letter) if letters else (stock.index, stock.document)
    method = "GET" if lack.privilege == "read" else "DELETE"

    with pytest.raises(ConfigError) as raised, elasticsearch_errors():
        secure.client(lack.user).perform_request(method, f"/{index}/_doc/{id_}", headers=JSON)

    check_told(str(raised.value), lack)


def book(es: Elasticsearch, month: int) -> list[Entry | None]:
    """Write an entry of a month, and read it again."""
    name = classify_key(KEY)
    assert isinstance(name, ObjectName)
    end = datetime(2025 + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)
    version = Version("b", KEY, "e", replace(name, end_time=end))
    store = open_store(es, PREFIX)
    entry = Entry(State.COMPLETE, dict.fromkeys(COUNTED, 0), 0, "ingest")
    write_entry(version, entry, store=store)
    return list(read_entries([version], store=store))


@pytest.mark.parametrize(("role", "month"), [(Role.INGEST, 1), (Role.OPERATE, 2)])
def test_the_ledger_is_kept(secure: Secure, role: Role, month: int) -> None:
    """Who ingests writes and reads entries; the index of a month is made for the first."""
    (entry,) = book(secure.client(role), month)

    assert entry
    assert State.COMPLETE is entry.state


def test_who_ingests_may_plan_a_backfill(secure: Secure) -> None:
    """The role of the function is enough for a backfill; how full the cluster is it cannot see."""
    store, found = open_store(secure.client(Role.INGEST), PREFIX), Survey()
    refs = [ref_at(0), ref_at(-12 * 24 * 365 * 5)]  # of a month that nobody has written of

    survey(with_entries(refs, store), Choice.OPEN, found)
    plan = plan_run(found, store, datetime.now(UTC))

    assert 2 == plan.survey.total.objects == len(plan.indices)
    assert Shards(plan.shards.needed) == plan.shards


@pytest.mark.parametrize("lack", RECORDING, ids=name_of)
def test_without_a_privilege_nothing_is_recorded(secure: Secure, lack: Lack) -> None:
    """Each privilege is needed, of which the error tells."""
    month = 3 + RECORDING.index(lack)

    with pytest.raises(ConfigError) as raised:
        book(secure.client(lack.user), month)

    check_told(str(raised.value), lack)


@pytest.mark.parametrize("lack", SETTING_UP, ids=name_of)
def test_without_a_privilege_nothing_is_set_up(secure: Secure, lack: Lack) -> None:
    """Each privilege is needed to set up from nothing, or to change what was set up."""
    settings = secure.settings(lack.user, ALB_LOGS_INDEX_PREFIX=lack.prefix)

    ended = run(settings, "setup", "--replicas", "0")
    if not ended.code:
        ended = run(settings, "setup", "--period", "month", "--force")

    assert (2, "") == (ended.code, ended.out)
    check_told(ended.said, lack)


ROLLING = [
    x for x in LACKS if of_letters(x) and x.privilege in {"indices:admin/rollover", "monitor"}
]


@pytest.mark.parametrize("lack", ROLLING, ids=name_of)
def test_without_a_privilege_nothing_is_rolled_over(
    secure: Secure, admin: Elasticsearch, lack: Lack
) -> None:
    """The lifecycle needs both, as the user who wrote its policy, to begin a new index."""
    alias = {lack.names[0]: {"is_write_index": True}}
    index = f"{lack.names[0]}-000001"
    if not admin.indices.exists(index=index):
        admin.indices.create(index=index, aliases=alias)

    with pytest.raises(ApiError) as raised:
        secure.client(lack.user).indices.rollover(alias=lack.names[0], dry_run=True)

    # Without `monitor` it does not find the index whose age it asks for.
    assert raised.value.meta.status in {403, 404}


def test_dead_letters_that_are_gone_are_no_missing_privilege(
    secure: Secure, admin: Elasticsearch, stock: Stock, log: Log
) -> None:
    """A user who ingests may not make that index: the error says to set up, not to grant more."""
    store = open_store(secure.client("ingest"), PREFIX)
    admin.indices.delete(index=f"{LETTERS}-000001")
    try:
        outcome = ingest(store, log.file.read_bytes())
    finally:
        set_up(secure)
        admin.index(index=LETTERS, id=stock.letter, document={})

    assert isinstance(outcome.error, ConfigError)
    assert str(outcome.error).endswith(
        "The index is gone: run `alb-logs setup`, which creates it again"
    )


def test_every_privilege_is_seen_to_be_needed() -> None:
    """Only what the lifecycle uses cannot be tried on this server."""
    left = [lack for lack in LACKS if lack not in (*WORKING, *RECORDING, *SETTING_UP)]

    assert {Role.SETUP} == {lack.role for lack in left}
    assert OF_THE_LIFECYCLE == {lack.privilege for lack in left}


# --- everything beyond is refused ----------------------------------------------------------------

INGEST, OPERATE, REWRITE, SETUP = Role
ADDING = {INGEST, OPERATE, REWRITE}
READING = {OPERATE, REWRITE}
BLOCK = {"index.blocks.write": True}
PROPERTY: Json = {"properties": {"x": {"type": "keyword"}}}

ATTEMPTS: list[tuple[str, Json | None, set[Role]]] = [
    # Read documents.
    ("GET /{index}/_doc/{document}", None, READING),
    ("GET /{index}/_search", None, READING),
    ("GET /{index}/_count", None, READING),
    ("GET /{letters}/_doc/{letter}", None, READING),
    ("GET /{letters}/_search", None, READING),
    # Add, change and delete them.
    ("PUT /{index}/_create/1", {}, ADDING),
    ("PUT /{letters}/_create/1", {}, ADDING),
    ("PUT /{index}/_doc/{document}", {}, {REWRITE}),
    ("PUT /{letters}/_doc/{letter}", {}, {REWRITE}),
    ("POST /{index}/_update/{document}", {"doc": {"x": 1}}, {REWRITE}),
    ("POST /{letters}/_update/{letter}", {"doc": {"x": 1}}, {REWRITE}),
    ("DELETE /{index}/_doc/{document}", None, set()),
    ("DELETE /{letters}/_doc/{letter}", None, {OPERATE}),
    # Look at indices, make, change and delete them.
    ("GET /{index}/_mapping", None, ADDING),
    ("GET /{index}/_stats", None, {SETUP}),
    ("GET /{letters}/_stats", None, {SETUP}),
    ("PUT /alb-logs-access-2016.02.01", {}, ADDING),
    ("PUT /{letters}-000009", {}, {SETUP}),
    ("PUT /{index}/_mapping", PROPERTY, ADDING),
    ("PUT /{letters}/_mapping", PROPERTY, {*ADDING, SETUP}),
    ("PUT /{index}/_settings", BLOCK, set()),
    ("PUT /{letters}/_settings", BLOCK, set()),
    ("PUT /{index}/_alias/other", None, set()),
    ("PUT /{letters}-000001/_alias/other", None, set()),
    ("POST /{letters}/_rollover?dry_run", {}, {SETUP}),
    ("POST /{index}/_rollover?dry_run", {}, set()),
    ("POST /{index}/_close", None, set()),
    ("POST /{index}/_refresh", None, set()),
    ("POST /{index}/_forcemerge", None, set()),
    ("DELETE /{index}", None, {SETUP}),
    ("DELETE /{letters}-000001", None, {SETUP}),
    # The same elsewhere, also where the name is nearly ours.
    ("GET /elsewhere/_doc/1", None, set()),
    ("GET /elsewhere/_search", None, set()),
    ("GET /elsewhere/_mapping", None, set()),
    ("PUT /elsewhere/_create/2", {}, set()),
    ("DELETE /elsewhere/_doc/1", None, set()),
    ("DELETE /elsewhere", None, set()),
    ("PUT /{letters}-000001/_create/1", {}, READING),
    ("PUT /{letters}s/_create/1", {}, set()),
    ("PUT /alb-logs-ledgers/_create/1", {}, set()),
    # Keep the ledger, and nothing else with it.
    ("GET /alb-logs-ledger/_search", None, ADDING),
    ("DELETE /alb-logs-ledger-2025.01.01/_doc/1", None, set()),
    ("DELETE /alb-logs-ledger-2025.01.01", None, {SETUP}),
    ("PUT /alb-logs-ledger-2025.01.01/_settings", BLOCK, set()),
    ("PUT /other-access-2025.01.01/_create/1", {}, set()),
    ("PUT /other-access-2025.01.01", {}, set()),
    # What holds for the whole cluster.
    ("GET /_index_template/alb-logs-access", None, {SETUP}),
    ("PUT /_index_template/other", {"index_patterns": ["other-*"]}, {SETUP}),
    ("DELETE /_index_template/alb-logs-access", None, {SETUP}),
    ("PUT /_component_template/other", {"template": {}}, {SETUP}),
    ("PUT /_ingest/pipeline/other", {"processors": []}, {SETUP}),
    ("GET /_cluster/health", None, {SETUP}),
    ("GET /_nodes", None, {SETUP}),
    ("PUT /_cluster/settings", {"persistent": {"action.auto_create_index": None}}, set()),
    ("POST /_cluster/reroute", {}, set()),
    ("PUT /_snapshot/other", {"type": "fs", "settings": {"location": "x"}}, set()),
    ("GET /_security/role", None, set()),
    ("PUT /_security/role/other", {"cluster": ["all"]}, set()),
    ("POST /_security/api_key", {"name": "other"}, set()),
]

BEYOND = [
    pytest.param(role, request, body, id=f"{role}: {request}")
    for request, body, allowed in ATTEMPTS
    for role in Role
    if role not in allowed
]


@pytest.mark.parametrize(("role", "request_", "body"), BEYOND)
def test_everything_beyond_is_refused(
    clients: Clients, stock: Stock, role: Role, request_: str, body: Json | None
) -> None:
    """It is refused because a privilege is missing, and for nothing else."""
    method, _, path = request_.partition(" ")
    path = path.format(
        index=stock.index, document=stock.document, letters=LETTERS, letter=stock.letter
    )

    with pytest.raises(ApiError) as raised:
        clients[role].perform_request(method, path, headers=JSON, body=body)

    assert 403 == raised.value.meta.status
    assert f"is unauthorized for user [{role}]" in str(raised.value)


@pytest.mark.parametrize("action", ["index", "update", "delete"])
@pytest.mark.parametrize("role", [INGEST, OPERATE])
def test_a_bulk_request_may_only_add(
    clients: Clients, stock: Stock, role: Role, action: str
) -> None:
    """What cannot be done to a document alone cannot be done within a bulk request."""
    lines: list[Json] = [{action: {"_index": stock.index, "_id": stock.document}}]
    lines += [] if action == "delete" else [{"doc": {}}]

    answer = clients[role].bulk(operations=lines)

    assert [403] == [each[action]["status"] for each in answer["items"]]


def test_who_reads_the_ledger_reads_no_document(clients: Clients, stock: Stock) -> None:
    """A request for several documents is answered one by one."""
    answer = clients[INGEST].mget(index=stock.index, ids=[stock.document])

    assert ["security_exception"] == [each["error"]["type"] for each in answer["docs"]]


@pytest.mark.parametrize("role", [INGEST, OPERATE])
def test_adding_fields_to_a_mapping_is_what_elasticsearch_8_allows(
    clients: Clients, stock: Stock, role: Role
) -> None:
    """It lets who may add documents add fields too, and warns that 9 does not: as documented."""
    with pytest.warns(ElasticsearchWarning, match="not permit mapping updates in the next major"):
        clients[role].indices.put_mapping(index=stock.index, **PROPERTY)


# --- and nothing comes along ---------------------------------------------------------------------

OTHER_INDICES = [
    ELSEWHERE,
    f"{PREFIX}-access",
    f"{PREFIX}-ledgers",
    f"{LETTERS}s",
    "other-access-2025.01.01",
    "other-dead-letter",
    ".security",
]


@pytest.mark.parametrize("role", Role)
def test_no_other_privilege_comes_along(clients: Clients, admin: Elasticsearch, role: Role) -> None:
    """Of all that Elasticsearch knows a role has what it names; reading brings only reading."""
    known = admin.perform_request("GET", "/_security/privilege/_builtin", headers=JSON).body
    logs = [f"{PREFIX}-{kind}-2025.01.01" for kind in Kind]
    indices = {"names": [*logs, LETTERS, LEDGER, *OTHER_INDICES], "privileges": known["index"]}

    asked = clients[role].security.has_privileges(cluster=known["cluster"], index=[indices])

    body = role_body(role, PREFIX)
    granted = {each["names"][0]: {"none", *each["privileges"]} for each in body["indices"]}
    granted = {
        name: each | ({"create", "create_doc"} if "index" in each else set())
        for name, each in granted.items()
    }
    expected = dict.fromkeys(logs, granted[f"{PREFIX}-access-*"]) | {
        LETTERS: {each for each in granted[LETTERS] if ":" not in each},
        LEDGER: granted[LEDGER],
        **{name: set[str]() for name in OTHER_INDICES},
    }
    assert expected == {name: held(asked["index"][name]) for name in indices["names"]}
    # The second is another name of manage_pipeline, the last has been empty since it was named.
    synonyms = {"manage_ingest_pipelines", "manage_data_stream_global_retention"}
    changing = {each for each in held(asked["cluster"]) if each.startswith("manage")}
    assert changing - synonyms == {each for each in body["cluster"] if each != "monitor"}
    looking = ("monitor", "read_", "none", "transport_client")
    assert all(each.startswith(looking) for each in held(asked["cluster"]) - changing)


def held(asked: Json) -> set[str]:
    """Return the privileges that a user was said to have."""
    return {privilege for privilege, has in asked.items() if has}


# --- as the command prints them ------------------------------------------------------------------


def printed(role: str, prefix: str = PREFIX) -> Json:
    """Return what the command prints where no cluster is set."""
    ended = run({"ALB_LOGS_INDEX_PREFIX": prefix}, "setup", "--print-role", role)
    assert (0, "") == (ended.code, ended.err)
    body: Json = json.loads(ended.out)
    return body


@pytest.mark.parametrize("role", Role)
def test_what_is_printed_is_what_was_tried(role: Role) -> None:
    """The command prints the very role of these tests, for the prefix that is set."""
    assert role_body(role, PREFIX) == printed(role)
    names = {name for group in printed(role, "shop")["indices"] for name in group["names"]}
    letters = {"shop-dead-letter"} if role is INGEST else {"shop-dead-letter", "shop-dead-letter-*"}
    ledger = {"shop-ledger", "shop-ledger-*"}
    assert {f"shop-{kind}-*" for kind in Kind} | letters | ledger == names


KEPT = "Unknown filter type .pattern_capture."
"""By this the minimal server fails to keep a role or a key, once it has found it good."""


def as_a_role(body: Json) -> tuple[str, str, Json]:
    """Return the request that keeps a role."""
    return "PUT", "/_security/role/ours", body


def as_a_key(body: Json) -> tuple[str, str, Json]:
    """Return the request that makes a key with no more than a role."""
    key = {"name": "ours", "role_descriptors": {"ours": body}}
    return "POST", "/_security/api_key", key


@pytest.mark.parametrize("request_", [as_a_role, as_a_key])
@pytest.mark.parametrize("role", Role)
def test_the_security_api_takes_what_is_printed(
    admin: Elasticsearch, role: Role, request_: Callable[[Json], tuple[str, str, Json]]
) -> None:
    """Elasticsearch finds it good, as a role and as what restricts an API key."""
    body = printed(role)

    for changed, said in (({}, KEPT), ({"cluster": ["everything"]}, "unknown cluster privilege")):
        method, path, sent = request_({**body, **changed})
        with pytest.raises(BadRequestError, match=said):
            admin.perform_request(method, path, headers=JSON, body=sent)


# --- and as the documentation explains them ------------------------------------------------------

_ROW = re.compile(
    r"^\| `([^`]+)` \| (cluster|log indices|dead letters|ledger) \| \S.* \|$", re.MULTILINE
)


def documented(role: Role) -> set[tuple[str, str]]:
    """Return what the page lists for a role: each privilege, and what it is on."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition(f"### `{role}`\n")[2].partition("\n#")[0]
    return {(row[1], row[2]) for row in _ROW.finditer(section)}


def given(role: Role) -> Iterator[tuple[str, str]]:
    """Yield what a role holds: each privilege, and what it is on."""
    body = role_body(role, PREFIX)
    names = ("log indices", "dead letters", "ledger")
    groups = dict(zip(names, (group["privileges"] for group in body["indices"]), strict=True))
    places = {"cluster": body["cluster"], **groups}
    for place, privileges in places.items():
        yield from ((privilege, place) for privilege in privileges)


def test_every_privilege_is_explained() -> None:
    """The page says of each privilege why it is there, and lists no other."""
    assert set(given(INGEST)) == documented(INGEST)
    assert set(given(OPERATE)) == documented(INGEST) | documented(OPERATE)
    assert set(given(REWRITE)) == documented(REWRITE)
    assert set(given(SETUP)) == documented(SETUP)
