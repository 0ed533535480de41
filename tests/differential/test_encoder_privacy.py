"""
Privacy settings and filters leave the same documents on the fast path as on the reference path.

The lines are those of the differential test without settings: golden, ordinary, odd and damaged.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from random import Random
from typing import Any

import orjson
import pytest

from devstack.traffic import CHARACTERS, GENERATIONS, as_generation, odd_lines, ordinary_lines
from pipeline.alb.document import Context, document_id
from pipeline.alb.fields import CONSTANTS, Kind, fields_of
from pipeline.alb.filters import read_rules
from pipeline.alb.lookup import find_field
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.sink.encoding import encode_by_reference, encode_chunk
from pipeline.source.reading import Chunk
from tests.support.encoders import ACCESS, assert_all_same, mutated
from tests.support.factories import START, alb_line, chunk_of
from tests.support.golden import CASES

AUTO = Context(latest=ACCESS.latest)

pytestmark = pytest.mark.no_cover


def under(context: Context, **settings: str) -> Context:
    """Return a context under these settings."""
    config = Config.from_env({f"ALB_LOGS_{name}": text for name, text in settings.items()})
    return replace(context, privacy=config.privacy, exclude=config.exclude)


RECIPE = {
    "REDACT_QUERY": "*",
    "ANONYMIZE_IP": "24,48",
    "DROP_FIELDS": "user_agent.original",
}
SETTINGS = [
    pytest.param({"REDACT_QUERY": "a,id,page,q,sort,only"}, id="redact-names"),
    pytest.param({"REDACT_QUERY": "*"}, id="redact-all"),
    pytest.param({"ANONYMIZE_IP": "24,48"}, id="addresses"),
    pytest.param({"ANONYMIZE_IP": "0,0"}, id="no-addresses"),
    pytest.param({"DROP_FIELDS": "source.ip,source.port,url.query,trace.id"}, id="drop"),
    pytest.param(
        {"DROP_FIELDS": "aws.elb.backend.ip,aws.elb.backend.port,event.start"}, id="drop-2"
    ),
    pytest.param(RECIPE, id="recipe"),
    pytest.param({"EXCLUDE": "url.path=/a*;user_agent.original=*Chrome*@0.1"}, id="exclude"),
    pytest.param({"EXCLUDE": "event.outcome=success@0.1", **RECIPE}, id="sample-and-recipe"),
    pytest.param({"EXCLUDE": "url.query=*q=*;source.ip=*.1*", **RECIPE}, id="exclude-concealed"),
]


def urls(seed: int, count: int) -> Iterator[bytes]:
    """Yield lines with URLs of every sort in every column that may hold one."""
    rng = Random(seed)
    marks = ("?", "&", ";", "#", "%3F", "%26", "%253F", "%2526", "/", "=", "%3D", "%3d", "%", "+")
    names = ("a", "id", "q", "%61", "A", "x", "page[0]", "", "203.0.113.7", "10.0.0.1")
    places = {
        "request_line": '"GET https://h:443/{} HTTP/1.1"',
        "redirect_url": '"https://h/{}"',
        "transformed_uri": '"/{}"',
        "user_agent": '"bot {}"',
        "trace_id": '"Root=1-2;{}"',
        "domain_name": '"{}"',
    }
    for number in range(count):
        texts = {
            column: place.format("".join(rng.choice(marks) + rng.choice(names) for _ in range(5)))
            for column, place in places.items()
            if rng.random() < (0.8 if column == "request_line" else 0.1)
        }
        yield alb_line(number, client_port=f"203.0.113.{rng.choice((7, 8))}:1", **texts)


def lines(seed: int) -> Iterator[bytes]:
    """Yield lines of every sort."""
    names = list(CHARACTERS)
    return chain(
        chain.from_iterable(path.read_bytes().split(b"\n") for path in CASES),
        *(ordinary_lines(seed, 100, start=START, load_balancer=name) for name in names),
        (as_generation(line, n) for n in GENERATIONS for line in urls(seed, 20)),
        odd_lines(seed, 500, start=START),
        urls(seed, 800),
        mutated(seed, 800),
    )


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("context", [ACCESS, AUTO], ids=["access", "auto"])
def test_settings_leave_the_same_by_both_paths(settings: dict[str, str], context: Context) -> None:
    """Documents, ids, rejects and what is filtered are the same, under every setting."""
    assert assert_all_same(lines(7), under(context, **settings)) > 0.4


@pytest.mark.parametrize("settings", SETTINGS)
def test_ordinary_traffic_hardly_falls_back_under_settings(settings: dict[str, str]) -> None:
    """Fewer than one ordinary line in a hundred takes the slow path under any setting."""
    for name in CHARACTERS:
        made = list(ordinary_lines(11, 1_000, start=START, load_balancer=name))
        chunk = chunk_of(made)

        assert encode_chunk(chunk, under(ACCESS, **settings)).fallback < 10, name


def every_line() -> list[bytes]:
    """Return lines in which every field of an access log document has several values."""
    return [
        *ordinary_lines(5, 100, start=START),
        *odd_lines(5, 150, start=START),
        *(alb_line(at, ssl_protocol=f"QUICv{at}x") for at in range(3)),
        *(CASE.read_bytes().split(b"\n")[0] for CASE in CASES if CASE.name.startswith("access")),
    ]


def is_filterable(name: str) -> bool:
    """Return whether a rule may name a field."""
    try:
        read_rules("X", f"{name}=*")
    except ConfigError:
        return False
    return True


OF_OTHER_LOGS = sorted(
    {
        field.name
        for kind in (Kind.CONNECTION, Kind.HEALTH_CHECK)
        for field in fields_of(kind)
        if is_filterable(field.name)
    }
    - {field.name for field in fields_of(Kind.ACCESS)}
    - set(CONSTANTS[Kind.ACCESS])
)
FILTERABLE = sorted(
    {field.name for field in fields_of(Kind.ACCESS) if is_filterable(field.name)}
    - set(CONSTANTS[Kind.ACCESS])
)


@pytest.mark.parametrize("name", FILTERABLE)
def test_every_field_can_be_filtered_by(name: str) -> None:
    """A rule on any field excludes the same lines by both paths: present, one value, a share."""
    made = every_line()
    chunk = chunk_of(made)
    values = list(values_of(name, chunk))
    assert values, "no line has this field"

    for value in ("*", *values[:6], f"{values[0]}@0.5"):
        context = under(ACCESS, EXCLUDE=f"{name}={value}")
        fast, slow = encode_chunk(chunk, context), encode_by_reference(chunk, context)
        assert [each.id for each in fast.actions] == [each.id for each in slow.actions], value
        assert fast.filtered == slow.filtered
        assert fast.filtered > 0 or "@" in value


@pytest.mark.parametrize("ip", ["203.0.113.7", "2001:db8::7"])
def test_the_clients_address_is_masked_in_whatever_column_it_stands(ip: str) -> None:
    """Both paths leave the same of an address, wherever the line repeats it."""
    places = {
        **dict.fromkeys(("type", "ssl_cipher", "conn_trace_id", "ip_address"), ip),
        **dict.fromkeys(("user_agent", "domain_name", "actions_executed"), f'"{ip}"'),
        "elb": f"app/{ip}/50dc6c495c0c9188",
        "target_port": f"{ip}:80",
        "trace_id": f'"Root=1-2;{ip}"',
        "request_line": f'"GET https://h:443/ HTTP/{ip}"',
    }
    for column, text in places.items():
        line = alb_line(0, **{"client_port": f"{ip}:1", column: text})
        for context in (ACCESS, AUTO):
            assert_all_same(iter([line]), under(context, ANONYMIZE_IP="24,48"))


@pytest.mark.parametrize("name", CONSTANTS[Kind.ACCESS])
def test_a_constant_field_excludes_all_or_nothing(name: str) -> None:
    """A rule on a field that stands in the mapping holds for every line of its kind, or none."""
    made = every_line()
    chunk = chunk_of(made)
    for value, all_of_them in ((CONSTANTS[Kind.ACCESS][name], True), ("other", False)):
        context = under(ACCESS, EXCLUDE=f"{name}={value}")
        for batch in (encode_chunk(chunk, context), encode_by_reference(chunk, context)):
            assert all_of_them == (batch.filtered > 0)
            assert all_of_them == (not batch.actions)


def values_of(name: str, chunk: Chunk) -> Iterator[str]:
    """Yield different values of a field, escaped for a rule."""
    seen = set()
    for action in encode_by_reference(chunk, ACCESS).actions:
        part: Any = orjson.loads(action.source)
        for step in name.split("."):
            part = part.get(step) if isinstance(part, dict) else None
        for each in part if isinstance(part, list) else [part]:
            text = str(each).lower() if isinstance(each, bool) else str(each)
            if each is not None and text not in seen and text == text.strip() and "e-" not in text:
                seen.add(text)
                yield "".join(f"\\{sign}" if sign in "*&;@\\" else sign for sign in text)


def test_no_field_needs_the_slow_path() -> None:
    """Rules on any field are evaluated on the fast path."""
    made = list(ordinary_lines(11, 500, start=START))
    chunk = chunk_of(made)

    for name in (*FILTERABLE, *OF_OTHER_LOGS):
        assert encode_chunk(chunk, under(ACCESS, EXCLUDE=f"{name}=0")).fallback == 0, name


@pytest.mark.parametrize("name", OF_OTHER_LOGS)
def test_a_field_of_another_log_excludes_no_access_line(name: str) -> None:
    """Such a rule, which is for another log of the same function, holds for no access line."""
    assert_all_same(iter(every_line()), under(ACCESS, EXCLUDE=f"{name}=*"))
    assert_all_same(iter(every_line()), under(ACCESS, EXCLUDE=f"{name}=*;{FILTERABLE[0]}=x*"))


def test_a_share_is_the_same_however_lines_are_chunked() -> None:
    """The tenth that is kept depends on nothing but the lines."""
    context = under(ACCESS, EXCLUDE="event.outcome=*@0.1")
    made = list(ordinary_lines(3, 2_000, start=START))

    def kept(size: int) -> set[str]:
        chunks = (made[at : at + size] for at in range(0, len(made), size))
        batches = (encode_chunk(chunk_of(each), context) for each in chunks)
        return {action.id for batch in batches for action in batch.actions}

    assert kept(2_000) == kept(7)
    assert kept(7) < {document_id(line) for line in made}
    assert 150 < len(kept(7)) < 250


def test_fields_of_the_cluster_cannot_be_named() -> None:
    """What the cluster adds is unknown when rules are evaluated."""
    assert isinstance(find_field("source.geo.city_name"), str)
