"""Check of the traffic generator what other tests take for granted."""

from __future__ import annotations

import ast
import gzip
import hashlib
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

import devstack.traffic
from devstack.traffic import (
    BAD_SHAPES,
    CHARACTERS,
    CONNECTION_GENERATIONS,
    GENERATIONS,
    HEALTH_CHECK_GENERATIONS,
    ODD_SHAPES,
    WrittenObject,
    as_generation,
    bad_lines,
    connection_lines,
    gz,
    health_check_lines,
    hour_of_objects,
    line_id,
    odd_lines,
    ordinary_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 9, 17, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROOT = Path(devstack.traffic.__file__).parents[2]

TOKEN = re.compile(rb'"([^"]*)"|(\S+)')
WELL_FORMED = re.compile(rb'(?:"[^"]*"|[^ "]+)(?: (?:"[^"]*"|[^ "]+))*')
INSTANT = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z")
INTEGER = re.compile(rb"-?[0-9]+")
DECIMAL = re.compile(rb"-?[0-9]+(\.[0-9]+)?")
NUMBERS = {6: DECIMAL, 7: DECIMAL, 8: DECIMAL} | dict.fromkeys((9, 10, 11, 12, 21), INTEGER)

GENERATORS = (ordinary_lines, odd_lines, bad_lines, connection_lines, health_check_lines)


def tokens_of(line: bytes) -> list[bytes]:
    """Return what the fields hold, without their quotes."""
    return [quoted or plain for quoted, plain in TOKEN.findall(line)]


def moment_of(text: bytes) -> datetime | None:
    """Return the instant that a field holds; None if it holds none."""
    match = INSTANT.fullmatch(text)
    if not match:
        return None
    *whole, fraction = match.groups()
    year, month, day, hour, minute, second = map(int, whole)
    micros = int((fraction or b"0").ljust(6, b"0"))
    try:
        return datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
    except ValueError:
        return None


def complaint(line: bytes) -> str | None:
    """Return why a line must be rejected by the rules of the field table; None if it is valid."""
    if not WELL_FORMED.fullmatch(line):
        return "quotes"
    tokens = tokens_of(line)
    if len(tokens) < GENERATIONS[0]:
        return "too few fields"
    moment = moment_of(tokens[1])
    if moment is None or not datetime(2016, 1, 1, tzinfo=UTC) <= moment <= START + timedelta(
        days=1
    ):
        return "time"
    for number, form in NUMBERS.items():
        text = tokens[number - 1] if number <= len(tokens) else b"-"
        if text not in {b"", b"-"} and not form.fullmatch(text):
            return f"field {number} is no number"
    created = tokens[21] if len(tokens) > 21 else b"-"
    return None if created in {b"", b"-"} or moment_of(created) else "creation time"


def url_of(line: bytes) -> bytes:
    """Return the URL of an ordinary line."""
    return tokens_of(line)[12].split(b" ")[1]


@pytest.fixture(scope="module")
def frontend() -> list[bytes]:
    """Make an hour of ordinary lines of the default load balancer."""
    return list(ordinary_lines(7, 20_000, start=START))


@pytest.fixture(scope="module")
def backend() -> list[bytes]:
    """Make an hour of ordinary lines of the load balancer that has a bad time."""
    return list(ordinary_lines(7, 12_000, start=START, load_balancer="backend-alb"))


@pytest.fixture(scope="module")
def hour() -> list[WrittenObject]:
    """Make the objects of an hour."""
    return list(hour_of_objects(3, start=START, lines_per_object=300))


@pytest.mark.parametrize("generate", GENERATORS)
def test_a_seed_decides_every_byte(generate: Callable[..., Iterator[bytes]]) -> None:
    """The same seed gives the same lines; another seed gives lines that are all different."""
    first, again, other = (list(generate(seed, 200, start=START)) for seed in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)


def test_the_process_decides_nothing() -> None:
    """Two processes with different hash seeds make the same objects."""
    script = (
        "import hashlib; from datetime import datetime, UTC; from devstack.traffic import *\n"
        "objects = hour_of_objects(5, start=datetime(2026, 9, 17, tzinfo=UTC), lines_per_object=9)"
        "\nprint(hashlib.sha256(b''.join(o.key.encode() + o.body for o in objects)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert 1 == len(digests)


def test_the_generator_knows_nothing_of_the_pipeline() -> None:
    """It imports nothing of the pipeline, or it could not check it."""
    for path in (ROOT / "devstack" / "traffic").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "pipeline"], path.name


@pytest.mark.parametrize("load_balancer", CHARACTERS)
def test_ordinary_lines_are_plain_and_of_the_newest_generation(load_balancer: str) -> None:
    """They have 36 fields, are valid, and hold no escape and nothing beyond ASCII."""
    lines = list(ordinary_lines(1, 3_000, start=START, load_balancer=load_balancer))
    assert {36} == {len(tokens_of(line)) for line in lines}
    assert {None} == {complaint(line) for line in lines}
    assert not [line for line in lines if b"\\" in line or not line.isascii()]


@pytest.mark.parametrize("span", [HOUR, timedelta(seconds=1), timedelta(days=40)])
def test_ordinary_lines_lie_in_their_span(span: timedelta) -> None:
    """No line's time is outside of the span, which is filled, and not quite in order."""
    lines = ordinary_lines(1, 5_000, start=START, span=span)
    moments = [moment for line in lines if (moment := moment_of(tokens_of(line)[1]))]
    assert START <= min(moments)
    assert max(moments) < START + span
    assert max(moments) - min(moments) > 0.97 * span
    assert moments != sorted(moments)


def test_no_two_lines_share_client_or_trace() -> None:
    """Address with port, trace id and connection trace occur once, also when ports run out."""
    lines = list(ordinary_lines(1, 70_000, start=START))
    rows = [line.split(b" ", 4) for line in lines]
    assert len(lines) == len({row[3] for row in rows})
    for marker in (rb"Root=1-[0-9a-f]{8}-[0-9a-f]{24}\"", rb" TID_[0-9a-f]{32} "):
        found = [match[0] for line in lines if (match := re.search(marker, line))]
        assert len(lines) == len(set(found))


@pytest.mark.parametrize("load_balancer", CHARACTERS)
def test_some_clients_come_by_ipv6(load_balancer: str) -> None:
    """From 5 to 10 % of the clients have an IPv6 address, written without brackets."""
    lines = list(ordinary_lines(1, 10_000, start=START, load_balancer=load_balancer))
    clients = [tokens_of(line)[3].rpartition(b":")[0] for line in lines]
    assert 0.05 < sum(b":" in client for client in clients) / len(clients) < 0.10
    assert not [client for client in clients if b"[" in client]


@pytest.mark.parametrize("load_balancer", CHARACTERS)
def test_there_are_many_user_agents(load_balancer: str) -> None:
    """An hour shows 500 of them or more, and some far more often than others."""
    lines = ordinary_lines(1, 20_000, start=START, load_balancer=load_balancer)
    agents = Counter(tokens_of(line)[13] for line in lines)
    assert len(agents) >= 500
    assert agents.most_common(1)[0][1] > 10 * median(agents.values())


@pytest.mark.parametrize("load_balancer", ["frontend-alb", "backend-alb"])
def test_urls_are_as_different_as_real_ones(load_balancer: str) -> None:
    """At least 30 % are distinct; about 20 % hold %XX, which decodes as UTF-8."""
    lines = ordinary_lines(2, 20_000, start=START, load_balancer=load_balancer)
    urls = [url_of(line) for line in lines]
    assert len(set(urls)) >= 0.30 * len(urls)
    encoded = [url for url in urls if re.search(rb"%[0-9A-F]{2}", url)]
    assert 0.15 < len(encoded) / len(urls) < 0.25
    assert [] == [url for url in encoded if "\ufffd" in unquote(url.decode("ascii"))]


def test_the_backend_fails_for_ten_minutes(backend: list[bytes]) -> None:
    """Between minutes 20 and 30 a third of the answers is 502, 503 or 504; else few are."""
    statuses: dict[bool, Counter[bytes]] = {True: Counter(), False: Counter()}
    for tokens in map(tokens_of, backend):
        statuses[b"20" <= tokens[1][14:16] < b"30"][tokens[8]] += 1
    shares = {
        burst: sum(counts[status] for status in (b"502", b"503", b"504")) / counts.total()
        for burst, counts in statuses.items()
    }
    assert shares[True] > 0.30
    assert shares[False] < 0.02
    assert min(statuses[True][status] for status in (b"502", b"503", b"504")) > 50


def test_failed_targets_leave_no_trace_of_an_answer(backend: list[bytes]) -> None:
    """A load balancer's own 5xx has `-` for the target's status and -1 for its time."""
    failed = [tokens for tokens in map(tokens_of, backend) if tokens[8] in {b"503", b"504"}]
    assert failed
    assert {(b"-", b"-1", b"-1")} == {(tokens[9], tokens[6], tokens[7]) for tokens in failed}


def test_one_page_of_the_frontend_is_slow(frontend: list[bytes]) -> None:
    """Reports take seconds, all else a fraction; both have a long tail."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for tokens in map(tokens_of, frontend):
        if float(tokens[6]) >= 0:
            times[b"/reports/" in tokens[12]].append(float(tokens[6]))
    assert median(times[True]) > 2
    assert median(times[False]) < 0.05
    assert max(times[False]) > 20 * median(times[False])


def test_the_load_balancers_differ(frontend: list[bytes], backend: list[bytes]) -> None:
    """Each has its own protocols; between them they show every status and action we care for."""
    internal = list(ordinary_lines(7, 5_000, start=START, load_balancer="internal-grpc-alb"))
    rows = {
        "frontend": [tokens_of(line) for line in frontend],
        "backend": [tokens_of(line) for line in backend],
        "internal": [tokens_of(line) for line in internal],
    }
    kinds = {name: {tokens[0] for tokens in lines} for name, lines in rows.items()}
    assert {
        "frontend": {b"http", b"https", b"h2"},
        "backend": {b"http", b"https"},
        "internal": {b"grpcs", b"ws", b"wss"},
    } == kinds
    everything = [tokens for lines in rows.values() for tokens in lines]
    wanted = {b"000", b"101", b"200", b"301", b"403", b"460", b"463", b"464", b"502", b"561"}
    assert wanted <= {tokens[8] for tokens in everything}
    assert {b"forward", b"waf", b"waf,redirect", b"waf,fixed-response", b"waf,authenticate"} <= {
        tokens[22] for tokens in everything
    }


def test_the_request_began_before_it_ended(frontend: list[bytes]) -> None:
    """Creation and the measured times never add up to more than the time of the answer."""
    for tokens in map(tokens_of, frontend):
        ended, began = moment_of(tokens[1]), moment_of(tokens[21])
        assert ended
        assert began
        measured = sum(max(float(text), 0) for text in tokens[5:8])
        assert timedelta(seconds=measured) <= ended - began + timedelta(microseconds=1)


@pytest.mark.parametrize("tokens", GENERATIONS)
def test_lines_can_be_cut_to_any_generation(tokens: int) -> None:
    """A cut line has exactly so many fields, is the start of the whole, and is valid."""
    line = next(ordinary_lines(1, 1, start=START))
    cut = as_generation(line, tokens)
    assert tokens == len(tokens_of(cut))
    assert line.startswith(cut)
    assert complaint(cut) is None


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_odd_lines_are_valid(shape: str) -> None:
    """No odd shape breaks a rule that would have the line rejected, at any load balancer."""
    rng, changed = Random(shape), 0
    for load_balancer in CHARACTERS:
        for line in ordinary_lines(1, 40, start=START, load_balancer=load_balancer):
            fields = [match[0].decode() for match in TOKEN.finditer(line)]
            bent = ODD_SHAPES[shape](fields, rng).encode("utf-8", "surrogateescape")
            assert complaint(bent) is None, bent
            assert b"\n" not in bent
            changed += bent != line
    assert changed > 60


@pytest.mark.parametrize("shape", BAD_SHAPES)
def test_bad_lines_are_not_valid(shape: str) -> None:
    """Each bad shape breaks a rule, at any load balancer, and leaves a line that is not blank."""
    rng = Random(shape)
    for load_balancer in CHARACTERS:
        for line in ordinary_lines(1, 40, start=START, load_balancer=load_balancer):
            fields = [match[0].decode() for match in TOKEN.finditer(line)]
            bent = BAD_SHAPES[shape](fields, rng).encode("utf-8", "surrogateescape")
            assert complaint(bent) is not None, bent
            assert bent.strip(b" \t")
            assert b"\n" not in bent
            assert not bent.endswith(b"\r")


def test_bad_lines_are_bad_in_every_way() -> None:
    """Among them each kind of complaint occurs, and no line occurs twice."""
    lines = list(bad_lines(1, 20 * len(BAD_SHAPES), start=START))
    assert len(lines) == len(set(lines))
    numbers = {f"field {number} is no number" for number in (7, 9, 10, 12, 21)}
    assert {"quotes", "too few fields", "time", "creation time"} | numbers <= {
        complaint(line) for line in lines
    }


def test_odd_lines_come_in_every_generation() -> None:
    """Among them are all older generations, counts between two, and longer lines than any."""
    lines = list(odd_lines(1, 10 * len(ODD_SHAPES), start=START))
    assert len(lines) == len(set(lines))
    counts = Counter(len(tokens_of(line)) for line in lines)
    assert set(GENERATIONS) <= set(counts)
    assert {19, 22, 26} & set(counts)
    assert max(counts) > 36


def test_every_shape_has_its_turn() -> None:
    """As many lines as there are shapes show all of them: the long ones, for one, occur once."""
    lines = list(odd_lines(4, len(ODD_SHAPES), start=START))
    assert 2 == sum(len(line) > 6_000 for line in lines)
    assert 1 == sum(
        b"Self=" in line for line in lines if b"CalledFrom" not in line and b"Root=" in line
    )


def test_connections_are_those_of_the_access_log() -> None:
    """Of one seed, each good connection has its access line, with the same client."""
    by_trace = {
        tokens[29]: tokens[3] for tokens in map(tokens_of, ordinary_lines(1, 2_000, start=START))
    }
    good, failed = 0, 0
    for tokens in map(tokens_of, connection_lines(1, 2_000, start=START)):
        if tokens[10].startswith(b"Failed:"):
            failed += 1
            assert tokens[11] not in by_trace
        else:
            good += 1
            assert by_trace[tokens[11]] == tokens[1] + b":" + tokens[2]
    assert 2_000 == good + failed
    assert failed > 20


def test_connection_lines_show_every_form() -> None:
    """They have 12, 13 or 15 fields, and client certificates with quotes and spaces in them."""
    lines = list(connection_lines(1, 3_000, start=START))
    assert set(CONNECTION_GENERATIONS) == {len(tokens_of(line)) for line in lines}
    assert {True} == {bool(WELL_FORMED.fullmatch(line)) for line in lines}
    rows = [tokens_of(line) for line in lines]
    assert {b"-", b"Success"} < {row[10] for row in rows}
    assert len({row[7] for row in rows}) > 3
    assert all(START <= moment < START + HOUR for row in rows if (moment := moment_of(row[0])))
    assert None not in {moment_of(row[0]) for row in rows}


def test_health_checks_fail_while_the_targets_do() -> None:
    """The failing targets fail their checks between minutes 20 and 30, the others hardly ever."""
    lines = list(health_check_lines(1, 6_000, start=START, load_balancer="backend-alb"))
    rows = [tokens_of(line) for line in lines]
    assert set(HEALTH_CHECK_GENERATIONS) == set(map(len, rows))
    assert {None} == {moment_of(row[1]) and None for row in rows}
    assert any(row[0] == b"lambda" and row[3].startswith(b"arn:aws:lambda:") for row in rows)
    failed = [row for row in rows if row[5] == b"FAIL"]
    assert {b"PASS", b"FAIL"} == {row[5] for row in rows}
    in_burst = [row for row in failed if b"20" <= row[1][14:16] < b"30"]
    assert len(in_burst) > 0.75 * len(failed)
    assert {b"TimedOut", b"ConnectionReset", b"ResponseCodeMismatch"} <= {row[7] for row in failed}


def test_a_line_has_one_id() -> None:
    """The id is the start of the SHA-256 in base64url, by a well-known digest."""
    assert "47DEQpj8HBSa-_TImW-5" == line_id(b"")
    assert "ungWv48Bz-pBQUDeXa4i" == line_id(b"abc")


@pytest.mark.parametrize("members", [1, 2, 7])
def test_gzip_members_add_up(members: int) -> None:
    """However many members there are, they decompress to all lines, a line feed after each."""
    lines = [b"one", b"", b"three three three"]
    body = gz(lines, members=members)
    assert b"one\n\nthree three three\n" == gzip.decompress(body)
    assert members == body.count(b"\x1f\x8b\x08")
    assert b"" == gzip.decompress(gz([], members=members))


def test_objects_hold_what_they_say(hour: list[WrittenObject]) -> None:
    """Each body decompresses to its lines; the ids are theirs, and every line is accounted for."""
    for written in hour:
        if written.kind in {"sibling", "test-file"}:
            assert () == written.lines
            continue
        assert written.lines == tuple(gzip.decompress(written.body)[:-1].split(b"\n"))
        ids = Counter(
            hashlib.sha256(line).hexdigest() for line in written.lines if line.strip(b" \t")
        )
        assert {1} == set(ids.values())
        assert len(ids) == len(written.good_ids) + len(written.rejected_ids)
        assert len(written.lines) - len(ids) == written.blank
        if written.kind == "access":
            good = {line_id(line) for line in written.lines if complaint(line) is None}
            assert good == written.good_ids
            assert {line_id(line) for line in written.lines if line.strip()} - good == (
                written.rejected_ids
            )


def test_objects_are_of_every_kind(hour: list[WrittenObject]) -> None:
    """An hour has 12 intervals of 5 nodes, all neighbours, several members, bad and blank lines."""
    access = [written for written in hour if written.kind == "access"]
    assert 60 == len(access)
    assert {written.load_balancer for written in access} == set(CHARACTERS)
    assert {"access": 60, "connection": 36, "health-check": 36, "sibling": 36, "test-file": 1} == (
        Counter(written.kind for written in hour)
    )
    assert {1, 2, 5} == {
        written.body.count(b"\x1f\x8b\x08\x00\x00\x00\x00\x00") for written in access
    }
    assert {300} == {len(written.lines) - written.blank for written in access}
    assert sum(written.blank for written in access) > 0
    assert 0.001 < sum(len(written.rejected_ids) for written in access) / (60 * 300) < 0.004
    endings = {written.key.rpartition("_")[2].partition(".")[2] for written in hour}
    assert {"log.gz", "log", "log.parquet"} < endings


def test_no_shares_no_oddities() -> None:
    """Without odd and bad shares every line is ordinary: 36 fields, none blank."""
    objects = hour_of_objects(1, start=START, lines_per_object=20, odd_share=0, bad_share=0)
    lines = [line for written in objects if written.kind == "access" for line in written.lines]
    assert 60 * 20 == len(lines)
    assert {36} == {len(tokens_of(line)) for line in lines}


def test_keys_are_those_that_aws_writes(hour: list[WrittenObject]) -> None:
    """The prefix of a key names its log; the key names node, end of interval and delivery day."""
    form = re.compile(
        r"AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/09/17/"
        r"(|conn_log_|health_check_log_)123456789012_elasticloadbalancing_eu-central-1"
        r"_app\.([a-z-]+)\.([0-9a-f]{16})_(20260917T1[23]\d[05]Z)_([0-9.]+)_[a-z0-9]{8}\.log\.gz"
    )
    prefixes = {"access": "", "connection": "conn_log_", "health-check": "health_check_log_"}
    for written in hour:
        match = form.fullmatch(written.key)
        assert bool(match) == (written.kind in prefixes)
        if match:
            assert prefixes[written.kind] == match[1]
            assert written.load_balancer == match[2]
            assert match[5] in CHARACTERS[match[2]].nodes
    assert len(hour) == len({written.key for written in hour})


def test_lines_belong_to_their_object(hour: list[WrittenObject]) -> None:
    """The times lie in the five minutes before the key's end time, in no order, at its node."""
    for written in (each for each in hour if each.kind == "access"):
        *_, end_text, node, _ = written.key.split("_")
        end = datetime.strptime(end_text, "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        rows = [tokens_of(line) for line in written.lines if complaint(line) is None]
        moments = [moment for row in rows if (moment := moment_of(row[1]))]
        assert end - timedelta(minutes=5) <= min(moments)
        assert max(moments) < end
        assert moments != sorted(moments)
        assert {row[33] for row in rows if len(row) == 36} - {b"not-an-ip"} == {node.encode()}


def test_the_last_object_of_a_day_may_be_delivered_on_the_next() -> None:
    """An interval that ends at midnight bears the new day; one just before may lie there too."""
    late = datetime(2026, 9, 17, 23, 2, 30, tzinfo=UTC)
    objects = [
        written
        for seed in range(3)
        for written in hour_of_objects(seed, start=late, lines_per_object=1)
        if written.kind == "access"
    ]
    folders = {
        end: {written.key.split("/")[6] for written in objects if end in written.key}
        for end in ("T2305Z", "T2350Z", "T2355Z", "20260918T0000Z")
    }
    assert {"17"} == folders["T2305Z"] == folders["T2350Z"]
    assert {"17", "18"} == folders["T2355Z"]
    assert {"18"} == folders["20260918T0000Z"]


def test_an_hour_shows_the_burst_in_its_objects(hour: list[WrittenObject]) -> None:
    """The objects of minutes 20 to 30 of the backend are full of 5xx, and only those."""
    shares: dict[bool, list[float]] = {True: [], False: []}
    for written in (each for each in hour if each.kind == "access"):
        rows = [tokens_of(line) for line in written.lines if complaint(line) is None]
        failed = sum(row[8] in {b"502", b"503", b"504"} for row in rows) / len(rows)
        burst = bool(re.search(r"T12(25|30)Z", written.key))
        shares[burst and written.load_balancer == "backend-alb"].append(failed)
    assert min(shares[True]) > 0.20
    assert max(shares[False]) < 0.08
