"""Privacy settings and filters against the real Elasticsearch: what is stored, and what is not."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.config import Config
from pipeline.ingest import Ingestion, Options, context_for
from pipeline.outcome import Outcome, Tally
from pipeline.sink.store import Store
from pipeline.source.reading import read_stream
from tests.support.cluster import documents_in, index_of, letters_of, prepared
from tests.support.factories import KEY, ids_of, lines_of, no_log_lines, text_of

HIDDEN = "S3cr3tV4lue"
CLIENT = "203.0.113.77"


@pytest.fixture(scope="module")
def store(es: Elasticsearch) -> Iterator[Store]:
    """Share one prepared cluster among the tests of this file: each has a day of its own."""
    with prepared(es) as store:
        yield store


def options(settings: dict[str, str] | None = None, **more: str) -> Options:
    """Return the options that a user's settings make."""
    given = (settings or {}) | more
    config = Config.from_env({f"ALB_LOGS_{name}": text for name, text in given.items()})
    return Options(privacy=config.privacy, exclude=config.exclude)


def ingest(store: Store, lines: list[bytes], options: Options) -> Outcome:
    """Ingest lines as if they were an object in S3."""
    context = context_for(store, options, bucket="some-logs", key=KEY)
    chunks = read_stream(io.BytesIO(text_of(lines)), name=KEY)
    return Ingestion(context, store, options).run(chunks)


def hidden_lines(day: str) -> list[bytes]:
    """Return good lines that hold the secret as a parameter, and the client's whole address."""
    url = f"https://www.example.com:443/a?page=2&Token={HIDDEN}&ip={CLIENT}"
    return [
        line
        for number, request in enumerate(
            (f"GET {url} HTTP/2.0", f"- {url} -", f"GET {url}", f"GET /a b?token={HIDDEN} HTTP/1.1")
        )
        for line in lines_of(
            day,
            2,
            request_line=f'"{request}"',
            client_port=f"{CLIENT}:{1_000 + number}",
            user_agent=f'"bot (+https://bot.example/?token={HIDDEN})"',
            redirect_url=f'"{url}"',
            transformed_uri=f'"/b?token={HIDDEN}"',
        )
    ]


# --- what is concealed ---------------------------------------------------------------------------


def test_nothing_that_is_concealed_reaches_elasticsearch(store: Store, day: str) -> None:
    """Neither the secret nor the whole address is in any document; the rest of the URL is."""
    lines = hidden_lines(day)
    settings = options(REDACT_QUERY="token", ANONYMIZE_IP="24,48")

    outcome = ingest(store, lines, settings)

    assert (len(lines), None) == (outcome.tally.indexed, outcome.error)
    found = documents_in(store.es, index_of(store, day))
    assert ids_of(lines) == found.keys()
    text = json.dumps(found)
    assert HIDDEN not in text
    assert CLIENT not in text
    assert text.count("page=2&Token=REDACTED&ip=203.0.113.0") >= 3 * 2
    assert {"203.0.113.0"} == {each["source"]["ip"] for each in found.values()}


def test_a_concealed_line_that_comes_again_is_a_duplicate(store: Store, day: str) -> None:
    """Ids are those of raw lines: under any other setting the same lines are there already."""
    lines = lines_of(day, 3)
    ingest(store, lines, options(REDACT_QUERY="*", DROP_FIELDS="source.ip,url.path"))
    before = documents_in(store.es, index_of(store, day))

    for settings in (Options(), options(ANONYMIZE_IP="8,16"), options(REDACT_QUERY="a")):
        assert 3 == ingest(store, lines, settings).tally.duplicates

    assert before == documents_in(store.es, index_of(store, day))


# --- what is filtered ----------------------------------------------------------------------------


def test_a_filtered_line_comes_again_until_the_rule_changes(store: Store, day: str) -> None:
    """It is filtered each time; what a changed rule lets through now is indexed, once."""
    dull, other = (lines_of(day, 4, elb=elb) for elb in ("app/dull/1", "app/other/1"))
    bad = no_log_lines(2)
    lines = [*dull, *other, *bad, b""]
    size = len(text_of(lines))
    without = options(EXCLUDE="observer.name=dull")

    outcomes = [
        ingest(store, lines, each)
        for each in (without, without, options(EXCLUDE="observer.name=nobody"), Options())
    ]

    common: dict[str, Any] = {"lines": 11, "rejected": 2, "blank": 1, "bytes": size}
    assert [
        Tally(**common, indexed=4, filtered=4),
        Tally(**common, duplicates=4, filtered=4),
        Tally(**common, indexed=4, duplicates=4),
        Tally(**common, duplicates=8),
    ] == [each.tally for each in outcomes]
    assert ids_of([*dull, *other]) == documents_in(store.es, index_of(store, day)).keys()
    assert ids_of(bad) == letters_of(store.es, store, lines).keys()


def test_an_object_may_be_filtered_altogether(store: Store, day: str) -> None:
    """Filtered lines prove that the object is an ALB log, so its bad lines are dead letters."""
    bad = no_log_lines(30)
    lines = [*bad, *lines_of(day, 2)]

    outcome = ingest(store, lines, options(EXCLUDE="@timestamp=*"))

    assert (None, 2, 30) == (outcome.error, outcome.tally.filtered, outcome.tally.rejected)
    assert ids_of(bad) == letters_of(store.es, store, lines).keys()


# --- dead letters --------------------------------------------------------------------------------

PRIVATE = [
    {"REDACT_QUERY": "token"},
    {"ANONYMIZE_IP": "24,48"},
    {"DROP_FIELDS": "user_agent.original"},
    {"EXCLUDE": "url.path=/nothing"},
    {"DEAD_LETTER_LINES": "off"},
]


@pytest.mark.parametrize("settings", PRIVATE, ids=lambda settings: next(iter(settings)))
def test_dead_letters_keep_no_line(store: Store, day: str, settings: dict[str, str]) -> None:
    """Under any setting they keep reason, object and offset: neither the line nor a part of it."""
    good = lines_of(day, 1)
    bad = [f"{day} {HIDDEN}".encode(), *lines_of(day, 1, elb_status_code=HIDDEN, elb=day)]

    outcome = ingest(store, [*good, *bad], options(settings))

    assert (1, 2) == (outcome.tally.indexed, outcome.tally.rejected)
    letters = letters_of(store.es, store, bad)
    assert ids_of(bad) == letters.keys()
    assert HIDDEN not in json.dumps(letters)
    for letter in letters.values():
        assert {"@timestamp", "error", "aws", "log", "labels"} == letter.keys()
        assert {"type", "message"} == letter["error"].keys()
        assert KEY == letter["aws"]["s3"]["object"]["key"]
    assert {len(text_of(good)), len(text_of([*good, bad[0]]))} == {
        letter["log"]["offset"] for letter in letters.values()
    }


def test_dead_letters_keep_lines_that_are_asked_for(store: Store, day: str) -> None:
    """With ALB_LOGS_DEAD_LETTER_LINES=on the raw line is there, and a message that quotes it."""
    bad = lines_of(day, 1, elb_status_code=HIDDEN, elb="app/asked/1")

    ingest(store, bad, options(REDACT_QUERY="token", DEAD_LETTER_LINES="on"))

    [letter] = letters_of(store.es, store, bad).values()
    assert bad[0].decode() == letter["event"]["original"]
    assert HIDDEN in letter["error"]["message"]


def test_refusals_of_elasticsearch_are_not_quoted(store: Store, day: str) -> None:
    """Its reason quotes the value that it refuses; a dead letter keeps the type alone."""
    mapping = {"properties": {"observer": {"properties": {"name": {"type": "ip"}}}}}
    store.es.indices.create(index=index_of(store, day), mappings=mapping)
    lines = lines_of(day, 1, elb=f"app/{HIDDEN}/1")

    outcome = ingest(store, lines, options(ANONYMIZE_IP="24,48"))

    assert 1 == outcome.tally.rejected
    [letter] = letters_of(store.es, store, lines).values()
    assert "document_parsing_exception" == letter["error"]["type"]
    assert HIDDEN not in json.dumps(letter)


def test_errors_of_an_object_quote_nothing(store: Store, day: str) -> None:
    """An object of too many bad lines, or of something else, fails without a word of its lines."""
    bad = [f"{day} {HIDDEN} {number}".encode() for number in range(30)]
    private = options(REDACT_QUERY="*")

    no_log = ingest(store, bad, private)
    too_many = ingest(store, [*lines_of(day, 1), *bad], replace(private, most_rejects=10))

    for outcome in (no_log, too_many):
        assert outcome.error
        assert HIDDEN not in str(outcome.error)
