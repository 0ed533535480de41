"""What is personal is erased in place: nothing else changes, and nothing brings it back."""

import base64
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from elastic_transport import TransportApiResponse
from elasticsearch import Elasticsearch

from devstack.traffic import line_id
from pipeline.alb.addresses import read_network
from pipeline.alb.parsing import ABOUT, Reason
from pipeline.alb.personal import Judgement, judge
from pipeline.cli import erase as command
from pipeline.errors import ClusterRefusedError, ConfigError, SinkUnavailableError
from pipeline.ingest import Options
from pipeline.jobs.erase import Erased, Erasure, Subject, query_of
from pipeline.jobs.letterbox import Selection
from pipeline.jobs.replay import End, Replay
from pipeline.outcome import Tally
from pipeline.sink.store import Store
from tests.support import cluster
from tests.support.cluster import documents_in, index_of
from tests.support.commands import Command
from tests.support.factories import KEY, alb_line, documents, ids_of, lines_of, text_of
from tests.support.faults import Fault, Faults, Send, lost_after, lost_before
from tests.support.letters import emulated_s3, forge, pipeline_of, write_letters
from tests.support.secure import run

DATA = Path(__file__).parent.parent / "data" / "alb"
ME, OTHER, ME_6 = "203.0.113.177", "203.0.113.17", "2001:db8::7"
DAY = "2026-11-20"
FIRST, END = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
HIDDEN = "S3cr3t"


def of(address: str, day: str = DAY, number: int = 3) -> list[bytes]:
    """Return lines of a client, with all that is personal in them."""
    url = f"https://www.example.com:443/cart/{address}"
    target = f"https://{HIDDEN}@www.example.com:443/cart/{address}"
    return lines_of(
        day,
        number,
        client_port=f"{address}:2817",
        request_line=f'"GET {url}?a={HIDDEN}&ip={address} HTTP/2.0"',
        user_agent=f'"mine/{HIDDEN}"',
        trace_id=f'"Self=1-{HIDDEN};Root=1-{HIDDEN}"',
        conn_trace_id=f"TID_{HIDDEN}",
        redirect_url=f'"{target}?token={HIDDEN}"',
        transformed_uri=f'"/b?token={HIDDEN}"',
        transformed_host=f'"{HIDDEN}@b.example.com"',
    )


def ingest(store: Store, data: bytes, options: Options | None = None) -> Tally:
    """Ingest lines, and have searches find them."""
    outcome = cluster.ingest(store, data, options)
    store.es.indices.refresh(index=f"{store.prefix}-*")
    return outcome.tally


def mine(first: datetime = FIRST, end: datetime = END) -> Subject:
    """Return a subject by address."""
    return Subject(first, end, (read_network(ME), read_network(ME_6)))


def by(query: str, first: datetime = FIRST, end: datetime = END) -> Subject:
    """Return a subject by query."""
    return Subject(first, end, query=query)


def erased(work: Erasure) -> tuple[Erased, Erased]:
    """Erase, and return what became of documents and of letters."""
    documents = sum(work.erase_documents(), Erased())
    return documents, sum(work.erase_letters(), Erased())


def raw(es: Elasticsearch, store: Store) -> str:
    """Return all documents and letters as text."""
    return json.dumps(
        [documents(es, store.prefix, kind) for kind in ("access", "connection", "dead-letter")]
    )


def leaves(node: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its dotted name."""
    for step, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{step}.")
        else:
            yield f"{above}{step}", value


def figures(source: dict[str, Any]) -> dict[str, Any]:
    """Return what is not personal in a document."""
    return {
        name: value
        for name, value in leaves(source)
        if judge(name) is Judgement.KEEP and name != "labels.erased"
    }


# --- documents -----------------------------------------------------------------------------------


def test_nothing_personal_is_left(es: Elasticsearch, store: Store) -> None:
    """Neither the address nor what was marked, wherever it stood; of this client only."""
    lines = [*of(ME), *of(ME_6)]
    ingest(store, text_of([*lines, *of(OTHER)]), Options(keep_original=True))
    before = documents(es, store.prefix)

    done, letters = erased(Erasure(store, mine()))

    assert (Erased(erased=6), Erased()) == (done, letters)
    after = documents(es, store.prefix)
    assert {id_: before[id_] for id_ in ids_of(of(OTHER))} == {
        id_: after[id_] for id_ in ids_of(of(OTHER))
    }
    text = json.dumps([after[id_] for id_ in ids_of(lines)])
    assert not [each for each in (HIDDEN, ME, ME_6) if each in text]
    for id_ in ids_of(lines):
        source: Any = after[id_]
        assert datetime.fromisoformat(source["labels"]["erased"])
        assert {"source", "user_agent", "trace"}.isdisjoint(source)
        assert source["url"]["original"] in {
            "https://www.example.com:443/cart/0.0.0.0",
            "https://www.example.com:443/cart/::",
        }
        assert "b.example.com" == source["aws"]["elb"]["transformed_host"]
        assert "/b" == source["aws"]["elb"]["transformed_uri"]


def test_every_other_figure_stays(es: Elasticsearch, store: Store) -> None:
    """Of every sort of line, all that is not personal is as it was."""
    for file in sorted(DATA.glob("*.log")):
        ingest(store, file.read_bytes(), Options(provenance=True))
    kinds = ("access", "connection", "health-check")
    before = {
        id_: each for kind in kinds for id_, each in documents(es, store.prefix, kind).items()
    }
    everything = by("*", first=datetime(2015, 1, 1, tzinfo=UTC), end=datetime.now(UTC))

    done, _ = erased(Erasure(store, everything))

    after = {id_: each for kind in kinds for id_, each in documents(es, store.prefix, kind).items()}
    assert 300 < len(before) == done.total
    assert before.keys() == after.keys()
    for id_, source in before.items():
        masked = figures(source)
        assert [*masked] == [*figures(after[id_])]
        changed = {name for name, value in masked.items() if figures(after[id_])[name] != value}
        assert changed <= {"url.path", "url.template"}  # which hold the client's address
        gone = {name for name, _ in leaves(source)} - {name for name, _ in leaves(after[id_])}
        assert not [name for name in gone if judge(name) is Judgement.KEEP]
        assert not [n for n, _ in leaves(after[id_]) if judge(n) is Judgement.ERASE]


def test_aggregations_stay(es: Elasticsearch, store: Store) -> None:
    """What dashboards show of statuses, hosts, paths, bytes and times is the same afterwards."""
    lines = [alb_line(number, client_port=f"{ME}:1") for number in range(50)]
    ingest(store, text_of([*lines, *of(OTHER)]))
    aggs: dict[str, Any] = {
        "statuses": {"terms": {"field": "http.response.status_code"}},
        "methods": {"terms": {"field": "http.request.method"}},
        "hosts": {"terms": {"field": "url.domain"}},
        "paths": {"terms": {"field": "url.path", "size": 100}},
        "bytes": {"stats": {"field": "http.response.bytes"}},
        "times": {"stats": {"field": "event.duration"}},
        "targets": {"terms": {"field": "aws.elb.backend.ip"}},
        "clock": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}},
    }

    def shown() -> object:
        es.indices.refresh(index=f"{store.prefix}-*")
        return es.search(index=f"{store.prefix}-access-*", size=0, aggs=aggs)["aggregations"]

    before = shown()
    done, _ = erased(Erasure(store, mine()))

    assert 50 == done.erased
    assert before == shown()


def test_ingesting_again_brings_nothing_back(es: Elasticsearch, store: Store) -> None:
    """The ids are there, so all of it is a duplicate."""
    object_ = text_of([*of(ME), *of(OTHER)])
    ingest(store, object_)
    erased(Erasure(store, mine()))
    before = documents(es, store.prefix)

    tally = ingest(store, object_)

    assert (6, 6, 0) == (tally.lines, tally.duplicates, tally.indexed)
    assert before == documents(es, store.prefix)


def test_overwriting_brings_nothing_back(es: Elasticsearch, store: Store) -> None:
    """A backfill that replaces documents passes over those that were erased."""
    object_ = text_of(of(ME))
    ingest(store, object_)
    erased(Erasure(store, mine()))
    before = documents(es, store.prefix)

    ingest(store, object_, Options(overwrite=True))

    assert before == documents(es, store.prefix)


def test_no_pipeline_adds_it_again(es: Elasticsearch, store: Store) -> None:
    """The index's own, which knows the client's place, is passed over."""
    ingest(store, text_of(of(ME)))
    index = index_of(store, DAY)
    es.indices.put_settings(index=index, settings={"index.default_pipeline": "enriches-it"})

    done, _ = erased(Erasure(store, mine()))

    assert Erased(erased=3) == done


def test_what_the_cluster_added_goes_too(es: Elasticsearch, store: Store) -> None:
    """Places, networks, browsers; and fields that were dropped from new documents."""
    ingest(store, text_of(of(ME, number=1)))
    (id_,) = ids_of(of(ME, number=1))
    index = index_of(store, DAY)
    added = {"source": {"geo": {"city_name": HIDDEN}, "as": {"number": 1}}}
    es.update(index=index, id=id_, doc={**added, "user_agent": {"os": {"name": HIDDEN}}})
    es.indices.refresh(index=index)

    erased(Erasure(store, mine(), also={"url.path", "url.template"}))

    source: Any = documents_in(es, index)[id_]
    assert {"source", "user_agent"}.isdisjoint(source)
    assert {"domain", "original", "port", "scheme"} == source["url"].keys()


def test_to_erase_again_changes_nothing(es: Elasticsearch, store: Store) -> None:
    """By its address it is not found any more; by a query it is left alone."""
    ingest(store, text_of(of(ME)))
    erased(Erasure(store, mine()))
    before = documents(es, store.prefix)

    assert (Erased(), Erased()) == erased(Erasure(store, mine()))
    assert Erased(unchanged=3) == erased(Erasure(store, by("*")))[0]
    assert before == documents(es, store.prefix)


def test_a_document_that_changes_meanwhile_is_read_again(es: Elasticsearch, store: Store) -> None:
    """What somebody else wrote is kept; what somebody else deleted is not made again."""
    ingest(store, text_of(of(ME)))
    index = index_of(store, DAY)
    one, two, _ = ids_of(of(ME))

    def interfere(send: Send, body: bytes) -> TransportApiResponse:
        es.update(index=index, id=one, doc={"note": "theirs"})
        es.delete(index=index, id=two)
        return send(body)

    faulty = replace(store, es=Faults(es, interfere).es)

    done, _ = erased(Erasure(faulty, mine()))

    assert Erased(erased=2, gone=1) == done
    found: Any = documents_in(es, index)
    assert "theirs" == found[one]["note"]
    assert two not in found
    assert HIDDEN not in json.dumps(found)


def test_a_document_that_never_stops_changing_is_an_error(es: Elasticsearch, store: Store) -> None:
    """It is named."""
    ingest(store, text_of(of(ME, number=1)))
    (id_,) = ids_of(of(ME, number=1))

    def interfere(send: Send, body: bytes) -> TransportApiResponse:
        es.update(index=index_of(store, DAY), id=id_, script=None, doc={"n": next(numbers)})
        return send(body)

    numbers = iter(range(100))
    faulty = replace(store, es=Faults(es, otherwise=interfere).es)

    with pytest.raises(SinkUnavailableError, match=f"the document {id_} in"):
        erased(Erasure(faulty, mine()))


@pytest.mark.parametrize("lost", [lost_before, lost_after])
def test_an_answer_that_is_lost_is_no_loss(es: Elasticsearch, store: Store, lost: Fault) -> None:
    """Whether the server had acted or not, each document counts once as erased."""
    ingest(store, text_of(of(ME)))

    done, _ = erased(Erasure(replace(store, es=Faults(es, lost).es), mine()))

    assert Erased(erased=3) == done
    assert HIDDEN not in raw(es, store)


def test_many_documents_of_many_days(es: Elasticsearch, store: Store) -> None:
    """Of all months of the range and of no other time."""
    days = ["2025-12-30", "2025-12-31", "2026-01-01", "2026-03-01", "2026-03-02"]
    for day in days:
        ingest(store, text_of(of(ME, day, number=700)))
    first, end = (datetime.fromisoformat(f"{day}T10:00:01Z") for day in (days[1], days[4]))

    work = Erasure(store, mine(first=first, end=end))
    counted = work.count_documents()
    done, _ = erased(work)

    found = [documents_in(es, index_of(store, day)) for day in days]
    marked = [
        sum("erased" in each.get("labels", {}) for each in of_day.values()) for of_day in found
    ]
    # Lines of a day are a second apart.
    assert [0, 699, 700, 700, 1] == marked
    assert sum(marked) == done.erased == counted


def test_a_closed_index_is_an_error(es: Elasticsearch, store: Store) -> None:
    """Nobody is told that all is erased while some cannot even be read; other months can."""
    ingest(store, text_of(of(ME)))
    ingest(store, text_of(of(ME, "2026-10-20")))
    es.indices.close(index=index_of(store, "2026-10-20"))

    with pytest.raises(ClusterRefusedError, match=f"{index_of(store, '2026-10-20')}/_open"):
        Erasure(store, mine(first=FIRST - timedelta(days=60))).count_documents()
    assert Erased(erased=3) == erased(Erasure(store, mine()))[0]


# --- queries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("*", 6),
        (f"source.ip:{ME}", 3),
        (f'client.ip : "{ME}"', 3),
        ("source.ip:203.0.113.0\\/24", 6),
        (f"source.ip:{ME} or source.ip:{OTHER}", 6),
        (f"source.ip:{ME} and not http.request.method:GET", 0),
        (f"not source.ip:{ME} AND url.domain:www.example.com", 3),
        (f"source.ip:({ME} or {OTHER})", 6),
        (f"source.ip:{ME} source.ip:{OTHER}", 0),
        ('user_agent.original:"mine and not"', 0),
        (f'url.path:"/cart/{ME}"', 3),
        ("nobody:knows", 0),
    ],
)
def test_a_query_finds_documents(store: Store, query: str, number: int) -> None:
    """In Lucene's syntax, with KQL's operators; words side by side must all match."""
    ingest(store, text_of([*of(ME), *of(OTHER)]))

    assert number == Erasure(store, by(query)).count_documents()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a:1 and b:2 or not c:3", "a:1 AND b:2 OR NOT c:3"),
        ('a:"x and \\" or y" and b:android', 'a:"x and \\" or y" AND b:android'),
        ("a:(x or y)", "a:(x OR y)"),
        ("(not a:1)", "(NOT a:1)"),
        ("a:and", "a:and"),
        ("sand or", "sand OR"),
        ("", ""),
    ],
)
def test_operators_are_read_in_either_case(text: str, read: str) -> None:
    """Outside quotes, as words of their own."""
    assert read == query_of(text)["query_string"]["query"]


@pytest.mark.parametrize(
    "query", ["url.path:(", "a:[1 TO", "source.ip:me", '"', "me", f"url.path:/cart/{ME}"]
)
def test_a_wrong_query_is_explained(store: Store, query: str) -> None:
    """By what Elasticsearch says of it; nothing is erased."""
    ingest(store, text_of(of(ME)))

    with pytest.raises(ConfigError, match=r"does not understand the query: .*Lucene"):
        Erasure(store, by(query)).count_documents()


# --- dead letters --------------------------------------------------------------------------------


def bad(address: str) -> bytes:
    """Return a line that is rejected, of a client."""
    return of(address, number=1)[0].replace(b" 200 200 ", b" 200 many ")


def test_dead_letters_lose_the_line_of_a_client(es: Elasticsearch, store: Store) -> None:
    """However it is written there; they keep the reason, the object and the offset."""
    binary = bad(ME) + b"\xff"
    lines = [bad(ME), bad(OTHER), bad(ME_6), binary]
    ingest(store, text_of(lines))
    write_letters(store, [b"of another object " + bad(ME)], reason="document_parsing_exception")
    ids = ids_of([bad(ME), bad(ME_6), binary, b"of another object " + bad(ME)])
    before: Any = documents(es, store.prefix, "dead-letter")
    assert base64.b64encode(binary).decode() in json.dumps(before)
    work = Erasure(store, mine())

    counted = work.count_letters()
    done, letters = erased(work)

    assert (4, Erased(), Erased(erased=4)) == (counted, done, letters)
    after: Any = documents(es, store.prefix, "dead-letter")
    other = line_id(bad(OTHER))
    assert before[other] == after[other]
    assert ids == {id_ for id_, each in after.items() if "erased" in each["labels"]}
    for id_ in ids:
        assert "event" not in after[id_]
        kept = {n: v for n, v in leaves(before[id_]) if not n.startswith(("event.", "error.m"))}
        assert kept.items() <= dict(leaves(after[id_])).items()
        reason = after[id_]["error"]["type"]
        general = ABOUT.get(Reason(reason)) if reason in set(Reason) else None
        assert after[id_]["error"]["message"] in {
            general,
            "Elasticsearch refuses the document for what it holds",
        }
    assert not [each for each in (HIDDEN, ME, ME_6) if each in json.dumps([after[i] for i in ids])]


def test_letters_of_another_time_stay(es: Elasticsearch, store: Store) -> None:
    """What their object's name says counts, else when they were written."""
    during, before, after = (
        KEY.replace("20261120T1005Z", f"202611{moment}Z")
        for moment in ("20T1005", "20T0000", "21T0010")
    )
    for number, key in enumerate((during, before, after, None)):
        write_letters(store, [b"%d " % number + bad(ME)], key=key)

    _, letters = erased(Erasure(store, mine()))

    assert Erased(erased=2) == letters
    left = documents(es, store.prefix, "dead-letter")
    assert {line_id(b"%d " % n + bad(ME)) for n in (1, 2)} == {
        id_ for id_, each in left.items() if "event" in each
    }
    later = mine(first=datetime.now(UTC) + timedelta(hours=1), end=END + timedelta(days=99))
    assert 0 == Erasure(store, later).count_letters()


def test_a_query_finds_letters_by_their_own_fields(es: Elasticsearch, store: Store) -> None:
    """Their lines cannot be searched."""
    write_letters(store, [bad(ME)], reason="bad_number")
    write_letters(store, [bad(OTHER)], reason="bad_time")

    assert 0 == Erasure(store, by(f"source.ip:{ME}")).count_letters()
    assert Erased(erased=1) == erased(Erasure(store, by("error.type:bad_time")))[1]
    left = documents(es, store.prefix, "dead-letter")
    assert {line_id(bad(ME))} == {id_ for id_, each in left.items() if "event" in each}


def test_replay_does_not_bring_it_back(es: Elasticsearch, store: Store) -> None:
    """Not even where the line parses today and its object is there."""
    good = of(ME, number=1)
    write_letters(store, good)
    erased(Erasure(store, mine()))

    with emulated_s3() as s3:
        s3.put(KEY, text_of(good))
        fates = [*Replay(pipeline_of(store, s3)).run(Selection())]

    assert [End.ERASED] == [fate.end for fate in fates]
    assert {} == documents(es, store.prefix)


def test_forged_letters_are_erased_or_left(es: Elasticsearch, store: Store) -> None:
    """Whatever they hold: what mentions the address loses it, the others cost nothing."""
    forgeries: dict[str, Any] = {
        "A" * 20: {"event": {"original": [f"x {ME} y", "z"]}},
        "B" * 20: {"event": {"original_base64": f"no base64 {ME}"}},
        "C" * 20: {"error": {"message": f"{ME}:80 is bad"}},
        "D" * 20: {"event.original": f"{ME} \udc00", "labels.erased": "2026-01-01T00:00:00Z"},
        "E" * 20: {"event": {"original": "x" * 1_000_000}, "more": [[[["a"]]]]},
        "F" * 20: {"@timestamp": "2020-01-01T00:00:00Z", "event": {"original": ME}},
        "G" * 20: {},
        "I" * 20: {
            "event": [{"original": ME}, {"original": "x"}],
            "error": [{"message": ME, "type": "t"}],
        },
    }
    now = datetime.now(UTC).isoformat()
    for id_, letter in forgeries.items():
        forge(es, store, id_, json.dumps({"@timestamp": now, **letter}).encode())
    nested = b'{"@timestamp":"%b","event":{"original":"%b"},"labels":{"x":' % (
        now.encode(),
        ME.encode(),
    )
    forge(es, store, "H" * 20, nested + b'{"a":' * 600 + b"1" + b"}" * 602)

    _, letters = erased(Erasure(store, mine()))

    assert Erased(erased=6) == letters
    left = documents(es, store.prefix, "dead-letter")
    assert {"F" * 20} == {id_ for id_, each in left.items() if ME in json.dumps(each)}
    assert "x" * 1_000_000 == left["E" * 20]["event"]["original"]  # type: ignore[index]


def test_counts_are_said_in_words() -> None:
    """What was not erased is said where there is any."""
    assert "2 documents erased" == command.in_words(Erased(2), "documents")
    assert "0 x erased, 3 had nothing to erase, 4 were deleted meanwhile" == command.in_words(
        Erased(unchanged=3, gone=4), "x"
    )


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def settings(elasticsearch_url: str, store: Store) -> dict[str, str]:
    """Return the settings of the test's own prefix."""
    return {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": store.prefix}


@pytest.fixture
def alb_logs(settings: dict[str, str], store: Store) -> Command:
    """Return the command `erase`, and some lines to erase from."""
    ingest(store, text_of([*of(ME), *of(OTHER), bad(ME)]))
    return partial(run, settings, "erase")


RANGE = ("--from", DAY, "--to", "2026-11-21")


def test_the_command_counts_first(es: Elasticsearch, store: Store, alb_logs: Command) -> None:
    """--dry-run changes nothing; --yes erases, and says what S3 still holds."""
    before = raw(es, store)

    planned = alb_logs("--client-ip", ME, *RANGE, "--dry-run")
    assert before == raw(es, store)
    ended = alb_logs("--client-ip", ME, *RANGE, "--yes")
    again = alb_logs("--client-ip", ME, *RANGE, "--yes", "--json")

    assert (0, "3 documents and 1 dead letters; nothing was changed\n") == (
        planned.code,
        planned.out,
    )
    assert 0 == ended.code
    first, *rest = ended.out.splitlines()
    assert "3 documents erased; 1 dead letters erased" == first
    assert "S3 still holds the raw lines" in " ".join(rest)
    assert ME not in raw(es, store).replace(f"a={HIDDEN}&ip={ME}", "")
    none = {"found": 0, "erased": 0, "unchanged": 0, "gone": 0}
    assert {"documents": none, "letters": none, "dry_run": False} == json.loads(again.out)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (RANGE, "name either --client-ip or --query"),
        (("--client-ip", ME, "--query", "*", *RANGE), "name either --client-ip or --query"),
        (("--query", " ", *RANGE, "--yes"), "* finds every document"),
        (("--client-ip", "me", *RANGE), "is no address"),
        (("--client-ip", f"{ME}/24", *RANGE), "write 203.0.113.0/24"),
        (("--client-ip", ME, "--from", DAY, "--to", DAY), "is not before --to"),
        (("--client-ip", ME, "--from", DAY), "--to"),
        (("--client-ip", ME, *RANGE), "nobody can be asked here: add --yes"),
        (("--query", "url.path:(", *RANGE, "--yes"), "does not understand the query"),
    ],
)
def test_a_wrong_call_is_refused(
    es: Elasticsearch, store: Store, alb_logs: Command, arguments: tuple[str, ...], why: str
) -> None:
    """Before anything is erased."""
    before = raw(es, store)

    ended = alb_logs(*arguments)

    assert (2, "") == (ended.code, ended.out)
    assert why in ended.err
    assert before == raw(es, store)


def test_masked_addresses_are_hinted_at(settings: dict[str, str], alb_logs: Command) -> None:
    """The user is told that documents may hold a shorter address, and that time is not over."""
    settings["ALB_LOGS_ANONYMIZE_IP"] = "24,48"

    ended = alb_logs("--client-ip", ME, "--from", DAY, "--to", "now", "--dry-run")

    first, second = ended.err.splitlines()
    assert f"hold 203.0.113.0 instead of {ME}" in first
    assert "may not be found yet" in second


@pytest.mark.parametrize(("typed", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_a_terminal_is_asked(store: Store, settings: dict[str, str], typed: str, code: int) -> None:
    """How many documents there are is shown; only a yes erases."""
    es = store.es
    ingest(store, text_of([*of(ME), *of(OTHER), bad(ME)]))
    before = raw(es, store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", Tty(f"{typed}\n"))
        ended = run(settings, "erase", "--client-ip", ME, *RANGE)

    assert code == ended.code
    assert "Erase what is personal from 3 documents and 1 dead letters, for good?" in ended.err
    assert ("nothing was changed" in ended.err) == bool(code)
    assert (before == raw(es, store)) == bool(code)


class Tty(io.StringIO):
    """Standard input of somebody who types."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


def test_nobody_is_asked_about_nothing(store: Store, settings: dict[str, str]) -> None:
    """There is nothing to erase."""
    assert store.es
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", Tty())
        ended = run(settings, "erase", "--client-ip", ME, *RANGE)

    assert (0, "") == (ended.code, ended.err)
    assert ended.out.startswith("0 documents erased; 0 dead letters erased\n")


def test_what_had_nothing_to_erase_is_said(alb_logs: Command) -> None:
    """Documents that a query finds again."""
    alb_logs("--query", "*", *RANGE, "--yes")

    ended = alb_logs("--query", "*", *RANGE, "--yes")

    assert ended.out.startswith(
        "0 documents erased, 6 had nothing to erase; 0 dead letters erased, 1 had nothing to erase"
    )


def test_a_network_that_is_stored_as_it_is_needs_no_hint(
    settings: dict[str, str], alb_logs: Command
) -> None:
    """Shorter than what ALB_LOGS_ANONYMIZE_IP keeps."""
    settings["ALB_LOGS_ANONYMIZE_IP"] = "24,48"

    assert "" == alb_logs("--client-ip", "203.0.113.0/24", *RANGE, "--dry-run").err


def test_what_was_done_before_an_error_is_said(
    es: Elasticsearch, store: Store, alb_logs: Command
) -> None:
    """The next run goes on."""
    es.indices.add_block(index=index_of(store, DAY), block="write")

    ended = alb_logs("--client-ip", ME, *RANGE, "--yes")

    assert (1, "") == (ended.code, ended.out)
    until, error = ended.err.splitlines()
    assert until.endswith("until then: 0 documents erased; 0 dead letters erased")
    assert "index.blocks.write" in error
    es.indices.put_settings(index=index_of(store, DAY), settings={"index.blocks.write": None})
    assert 0 == alb_logs("--client-ip", ME, *RANGE, "--yes").code
