"""Filters: which rules are understood, what they match, and which lines a share keeps."""

import base64

import pytest

from pipeline.alb.document import document_id
from pipeline.alb.filters import Between, Like, Rule, is_excluded, read_rules
from pipeline.errors import ConfigError
from tests.support.factories import alb_line

NAME = "ALB_LOGS_EXCLUDE"

READ = [
    ("url.path=/ping", (Rule((Like("url.path", ("/ping",)),)),)),
    (
        "url.path=/a;url.path=/b ; ",
        (Rule((Like("url.path", ("/a",)),)), Rule((Like("url.path", ("/b",)),))),
    ),
    (
        " url.path = /static/* & http.response.status_code = 200..299 ",
        (
            Rule(
                (Like("url.path", ("/static/", "")), Between("http.response.status_code", 200, 299))
            ),
        ),
    ),
    ("http.response.status_code=404", (Rule((Between("http.response.status_code", 404, 404),)),)),
    (
        "http.response.status_code=500..",
        (Rule((Between("http.response.status_code", 500, float("inf")),)),),
    ),
    (
        "aws.elb.backend_processing_time.sec=..0.05@0.25",
        (Rule((Between("aws.elb.backend_processing_time.sec", float("-inf"), 0.05),), 2**30),),
    ),
    ("tls.cipher=x", (Rule((Like("tls.cipher", ("x",)),)),)),
    (
        "user_agent.original=*bot*@0.5",
        (Rule((Like("user_agent.original", ("", "bot", "")),), 2**31),),
    ),
    (r"url.query=a\&b\;c\*d\@0.5", (Rule((Like("url.query", ("a&b;c*d@0.5",)),)),)),
    (r"url.path=C:\\*", (Rule((Like("url.path", ("C:\\", "")),)),)),
    ("url.query=mail=a@example.com", (Rule((Like("url.query", ("mail=a@example.com",)),)),)),
    ("http.response.status_code=*", (Rule((Like("http.response.status_code", ("", "")),)),)),
    ("event.outcome=success@.1", (Rule((Like("event.outcome", ("success",)),), 429_496_729),)),
    ("", ()),
    (" ; ", ()),
]

WRONG = [
    ("url.path", 1, "write field=value"),
    ("url.path=", 1, "write field=value"),
    ("=x", 1, "write field=value"),
    ("url.path=/a; url.path", 14, "write field=value"),
    ("url.path=/a&", 12, "lacks a condition"),
    ("url.path=/a&&url.path=/b", 24, "lacks a condition"),
    ("url.paht=/a", 1, "did you mean url.path"),
    ("url.path=/a;user_agent=x", 13, "did you mean user_agent.original?"),
    ("client.ip=10.*", 1, "write source.ip"),
    ("source.geo.city_name=Berlin", 1, "added by the cluster"),
    ("event.original=x", 1, "not in the line"),
    ("nonsense=x", 1, "docs/fields.md"),
    ("http.response.status_code=2xx", 27, "200..299"),
    ("http.response.status_code=..", 27, "200..299"),
    ("http.response.status_code=1..2..3", 27, "200..299"),
    ("url.path=/a@1", 13, "between 0 and 1"),
    ("url.path=/a@0", 13, "between 0 and 1"),
    ("url.path=/a@1.5", 13, "between 0 and 1"),
    ("url.path=/a@0.0.1", 13, "between 0 and 1"),
    (r"url.path=\d", 10, "a backslash"),
    ("url.path=/a\\", 12, "a backslash"),
]

FIELDS = {
    "url.path": "/static/a.css",
    "http.response.status_code": 200,
    "aws.elb.backend_processing_time.sec": 0.05,
    "tls.resumed": True,
    "aws.elb.action_executed": ["waf", "forward"],
    "url.query": None,
}

MATCHING = [
    ("url.path=/static/a.css", True),
    ("url.path=/static", False),
    ("url.path=/static/*", True),
    ("url.path=*.css", True),
    ("url.path=*static*css", True),
    ("url.path=/static/a.css*", True),
    ("url.path=*/static/a.css", True),
    ("url.path=/static/a.*a.css", False),  # the two ends may not overlap
    ("url.path=*a*a*a*a*", False),
    ("url.path=*", True),
    ("url.query=*", False),
    ("url.port=443", False),
    ("url.path=/STATIC/*", False),
    ("http.response.status_code=200", True),
    ("http.response.status_code=200..200", True),
    ("http.response.status_code=201..", False),
    ("http.response.status_code=..199", False),
    ("aws.elb.backend_processing_time.sec=..0.05", True),
    ("aws.elb.backend_processing_time.sec=0.06..", False),
    ("tls.resumed=true", True),
    ("tls.resumed=false", False),
    ("aws.elb.action_executed=forward", True),
    ("aws.elb.action_executed=waf,forward", False),
    ("url.path=/static/*&http.response.status_code=404", False),
    ("url.path=/nothing;http.response.status_code=200", True),
]


@pytest.mark.parametrize(("text", "rules"), READ)
def test_rules_are_read(text: str, rules: tuple[Rule, ...]) -> None:
    """A setting becomes rules; a backslash makes any sign an ordinary character."""
    assert rules == read_rules(NAME, text)


@pytest.mark.parametrize(("text", "character", "part"), WRONG)
def test_a_wrong_rule_is_refused_with_its_position(text: str, character: int, part: str) -> None:
    """The message names the setting, the character and the fix."""
    with pytest.raises(ConfigError) as refused:
        read_rules(NAME, text)

    message = str(refused.value)
    assert message.startswith(f"{NAME}, character {character}: ")
    assert part in message


@pytest.mark.parametrize(("rule", "excluded"), MATCHING)
def test_a_rule_matches(rule: str, excluded: bool) -> None:  # noqa: FBT001
    """All conditions of one rule must hold, of several rules any; what is absent never matches."""
    assert excluded == is_excluded(read_rules(NAME, rule), FIELDS, b"line")


def test_a_share_is_kept_by_the_beginning_of_the_id() -> None:
    """Exactly the lines are kept whose id, decoded, begins with 32 bits below the share."""
    (rule,) = read_rules(NAME, "url.path=*@0.1")
    lines = [alb_line(number) for number in range(20_000)]

    kept = [line for line in lines if not is_excluded([rule], FIELDS, line)]

    assert kept == [
        line
        for line in lines
        if int.from_bytes(base64.urlsafe_b64decode(document_id(line))[:4], "big") < 0.1 * 2**32
    ]
    assert 0.09 < len(kept) / len(lines) < 0.11


def test_the_first_lines_of_a_share_are_known() -> None:
    """The choice is pinned: another route can be checked against it."""
    (rule,) = read_rules(NAME, "url.path=*@0.1")

    assert PINNED == [number for number in range(60) if rule.spares(b"line %d" % number)]


PINNED = [2, 15, 43, 54, 59]


def test_a_smaller_share_keeps_some_of_a_larger_one() -> None:
    """Lines kept at a tenth are kept at a fifth: shares can be lowered without new lines."""
    tenth, fifth = read_rules(NAME, "url.path=*@0.1;url.path=*@0.2")
    lines = [alb_line(number) for number in range(2_000)]

    assert {line for line in lines if tenth.spares(line)} < {
        line for line in lines if fifth.spares(line)
    }
