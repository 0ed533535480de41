"""Redaction: which values of a text go, and that nothing else changes."""

import time

import pytest

from pipeline.alb.redaction import EVERY, redactor

NAMED = redactor(("token", "user name", "größe"))
ALL = redactor((EVERY,))

NAMES = [
    pytest.param("/p?a=1&token=x&b=2", "/p?a=1&token=REDACTED&b=2", id="among-others"),
    pytest.param("/?token=x&a&token=y", "/?token=REDACTED&a&token=REDACTED", id="repeated"),
    pytest.param("/?token&token=&a=1", "/?token&token=&a=1", id="without-value"),
    pytest.param("/?atoken=1&tokena=2&a=token=3", "/?atoken=1&tokena=2&a=token=3", id="like-it"),
    pytest.param("/?Token=x&TOKEN=y", "/?Token=REDACTED&TOKEN=REDACTED", id="any-case"),
    pytest.param("/?%74oke%6E=x&t%6fken=y", "/?%74oke%6E=REDACTED&t%6fken=REDACTED", id="encoded"),
    pytest.param("/?%2574oken=x", "/?%2574oken=REDACTED", id="encoded-twice"),
    pytest.param(
        "/?user+name=x&User%20Name=y", "/?user+name=REDACTED&User%20Name=REDACTED", id="space"
    ),
    pytest.param(
        "/?GR%C3%96%C3%9FE=x&größe=y", "/?GR%C3%96%C3%9FE=REDACTED&größe=REDACTED", id="utf-8"
    ),
    pytest.param(
        "/?token[0]=x&token%5Ba%5D=y", "/?token[0]=REDACTED&token%5Ba%5D=REDACTED", id="index"
    ),
    pytest.param("/?token==x=y&b=2", "/?token=REDACTED&b=2", id="equals-signs"),
    pytest.param("/?a=1;token=x;b&c=2", "/?a=1;token=REDACTED&c=2", id="semicolon-ends-no-value"),
    pytest.param("/?token=a%26b%23c?d/e f&g=1", "/?token=REDACTED&g=1", id="odd-value"),
    pytest.param("/#token=x&a=1", "/#token=REDACTED&a=1", id="fragment"),
    pytest.param("/?token=x#token=y", "/?token=REDACTED#token=REDACTED", id="query-and-fragment"),
    pytest.param("/?q=a?token=x", "/?q=a?token=REDACTED", id="second-question-mark"),
    pytest.param("/p&token=x/y?b=1", "/p&token=REDACTED", id="no-question-mark"),
    pytest.param("/p;token=x", "/p;token=x", id="path-parameter"),
    pytest.param("/login?token%3Dx%26y&a=1", "/login?token%3DREDACTED&a=1", id="encoded-equals"),
    pytest.param("/login%3Ftoken=x%26y&a=1", "/login%3Ftoken=REDACTED&a=1", id="encoded-mark"),
    pytest.param(
        "/?next=%2Flogin%3Ftoken%3Dx%2526y%26a%3D2&b=3",
        "/?next=%2Flogin%3Ftoken%3DREDACTED%26a%3D2&b=3",
        id="nested",
    ),
    pytest.param(
        "/?u=%253Ftoken%253Dx%2526a%253D1%26b&c=2",
        "/?u=%253Ftoken%253DREDACTED%2526a%253D1%26b&c=2",
        id="nested-twice",
    ),
    pytest.param(
        "/?u=%25252525253Ftoken%25252525253Dx%25252525252526y&c=2",
        "/?u=%25252525253Ftoken%25252525253DREDACTED&c=2",
        id="nested-deep",
    ),
    pytest.param("token=x", "token=x", id="no-url"),
    pytest.param("Mozilla/5.0 (X11; token=x)", "Mozilla/5.0 (X11; token=x)", id="no-query"),
]

EVERYTHING = [
    pytest.param(
        "/p?a=1&b=&c&d=x;e=5#f=6", "/p?a=REDACTED&b=&REDACTED&d=REDACTED#f=REDACTED", id="all"
    ),
    pytest.param("/?secret", "/?REDACTED", id="no-name"),
    pytest.param("/?x;y=5", "/?REDACTED;y=REDACTED", id="semicolon"),
    pytest.param("/?", "/?", id="empty"),
    pytest.param("/a;v=1/b&c/d?e=1", "/a;v=1/b&c/d?e=REDACTED", id="path-stays"),
    pytest.param("/p%3Fa%3Dx%26b%3Dy", "/p%3Fa%3DREDACTED%26b%3DREDACTED", id="encoded"),
    pytest.param("1-67891233-abc;Self=1-2", "1-67891233-abc;Self=1-2", id="trace"),
]

REQUESTS = [
    ("GET http://h/?a=1&token=x HTTP/1.1", "GET http://h/?a=1&token=REDACTED HTTP/1.1"),
    ("GET http://h/?token=x y HTTP/1.0 ", "GET http://h/?token=REDACTED HTTP/1.0 "),
    ("- http://h:80-/?token=x -", "- http://h:80-/?token=REDACTED -"),
    ("GET http://h/?token=x", "GET http://h/?token=REDACTED"),
    ("?token=x", "?token=REDACTED"),
    ("- - - ", "- - - "),
    ("", ""),
]


@pytest.mark.parametrize(("text", "redacted"), NAMES)
def test_named_parameters_are_redacted(text: str, redacted: str) -> None:
    """Values of named parameters go, names, order and everything else stay; twice is as once."""
    assert redacted == NAMED.redact(text)
    assert redacted == NAMED.redact(redacted)


@pytest.mark.parametrize(("text", "redacted"), EVERYTHING)
def test_every_parameter_is_redacted(text: str, redacted: str) -> None:
    """With * the values of all parameters go; one without an equals sign is a value."""
    assert redacted == ALL.redact(text)
    assert redacted == ALL.redact(redacted)


@pytest.mark.parametrize(("text", "redacted"), REQUESTS)
def test_the_version_of_a_request_stays(text: str, redacted: str) -> None:
    """The last word of a request line is no part of a value."""
    assert redacted == NAMED.redact_request(text)


@pytest.mark.parametrize(
    "part",
    ["?token=x&", "?%74oken=&", "%3Ftoken%3Dx%2526", "%25", "?token[", "?t", "&", "%3F", " "],
)
@pytest.mark.parametrize("names", [("token",), (EVERY,)])
def test_no_text_takes_long(part: str, names: tuple[str, ...]) -> None:
    """Four times the text takes no more than ten times as long."""
    redact = redactor(names).redact_request

    def seconds(size: int) -> float:
        text = "GET /" + (part * size)[:size] + " HTTP/1.1"
        best = []
        for _ in range(5):
            begin = time.process_time()
            redact(text)
            best.append(time.process_time() - begin)
        return min(best)

    assert seconds(256 * 1024) < 10 * seconds(64 * 1024) + 0.01
