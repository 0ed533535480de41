"""Every field is judged, and what is personal goes; all else stays as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alb.fields import DEAD_LETTER
from pipeline.alb.lookup import FIELDS
from pipeline.alb.personal import JUDGED, Judgement, judge, without_personal

ADDRESS = "203.0.113.7"


def test_every_field_is_judged_once() -> None:
    """A field that is added to the table of fields has to be judged, too."""
    judged = [name for names in JUDGED.values() for name in names]

    assert sorted({*FIELDS, *(field.name for field in DEAD_LETTER)}) == sorted(judged)


def test_only_text_can_be_a_url_or_a_host() -> None:
    """What is cut is a keyword."""
    cut = [*JUDGED[Judgement.URL], *JUDGED[Judgement.HOST]]

    assert {"keyword"} == {FIELDS[name].type for name in cut}


@pytest.mark.parametrize(
    ("name", "judgement"),
    [
        ("source.nat.ip", Judgement.ERASE),
        ("user_agent.os.kernel", Judgement.ERASE),
        ("source_of_it", Judgement.KEEP),
        ("team.name", Judgement.KEEP),
        ("url.path", Judgement.KEEP),
    ],
)
def test_fields_of_others_are_judged_by_their_beginning(name: str, judgement: Judgement) -> None:
    """Whatever is added below `source` or `user_agent` is of the client."""
    assert judgement is judge(name)


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("https://example.com:443/a?b=c", "https://example.com:443/a"),
        ("https://example.com/a#b?c", "https://example.com/a"),
        ("https://me:secret@example.com/a", "https://example.com/a"),
        ("https://me@you@example.com?a", "https://example.com"),
        ("https://example.com/@me/a", "https://example.com/@me/a"),
        ("GET /search?q=me HTTP/1.1", "GET /search"),
        ("/a", "/a"),
        ("?a=b", None),
        (f"https://example.com/{ADDRESS}/?ip={ADDRESS}", "https://example.com/0.0.0.0/"),
    ],
)
def test_urls_lose_their_query_and_their_user(url: str, left: str | None) -> None:
    """The path stays, but for the client's address in it."""
    source = {"source": {"ip": ADDRESS}, "url": {"original": url}}

    assert ({} if left is None else {"url": {"original": left}}) == without_personal(source)


def test_hosts_lose_their_user() -> None:
    """What stands before the last @ is no host."""
    source = {"url": {"domain": "me:secret@example.com"}, "tls.client.server_name": "b.example"}

    left = {"url": {"domain": "example.com"}, "tls.client.server_name": "b.example"}
    assert left == without_personal(source)


def test_names_may_be_written_with_dots() -> None:
    """As other routes than ours may do."""
    source: dict[str, Any] = {
        "source.ip": ADDRESS,
        "source": {"geo.city_name": "Berlin"},
        "url": {"path": f"/{ADDRESS}", "query": "a=b"},
        "trace.id": "1-2",
        "aws.elb": {"conn_trace_id": "TID", "name": "app/a/b"},
    }

    left = {"url": {"path": "/0.0.0.0"}, "aws.elb": {"name": "app/a/b"}}
    assert left == without_personal(source)


def test_addresses_of_others_stay() -> None:
    """Those of the target and of the load balancer, even where they are equal to the client's."""
    backend = {"elb": {"backend": {"ip": ADDRESS}, "target_port": [f"{ADDRESS}:80"]}}
    source = {"source": {"ip": [ADDRESS, "::1"]}, "aws": backend, "note": [f"of {ADDRESS}", "::1"]}

    assert {"aws": backend, "note": ["of 0.0.0.0", "::"]} == without_personal(source)


def test_more_fields_can_be_erased() -> None:
    """Those whose names are given."""
    source = {"url": {"path": "/users/me", "template": "/users/me", "port": 443}}

    assert {"url": {"port": 443}} == without_personal(source, {"url.path", "url.template"})


def test_what_nobody_can_judge_does_not_stay() -> None:
    """No field of ours lies so deep."""
    nested: Any = "me"
    for _ in range(2_000):
        nested = {"a": [nested]}

    left = without_personal({"x": nested, "url": {"path": "/"}, "none": None, "empty": {}, "l": []})

    assert {"url": {"path": "/"}, "none": None, "empty": {}, "l": []} == left


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "source", "url", "x"]), JSON))
def test_anything_can_be_erased(source: dict[str, Any]) -> None:
    """Whatever a document holds; to erase it again changes nothing."""
    once = without_personal(source)

    assert once == without_personal(once)
    assert not {name for name in once if judge(name) is Judgement.ERASE}
