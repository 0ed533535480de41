"""
The command `connect`, before an S3 that keeps, checks and refuses configurations as AWS does.

It is a stand-in and not an emulator, for those forget EventBridge, check no destination, let
notifications overlap and do not give back `Prefix` for `prefix`. What it answers is what AWS does.
"""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import combinations, product
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote_plus, unquote_plus
from xml.etree import ElementTree as ET

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstack.aws import environment
from devstack.process import free_port
from pipeline.cli import main
from pipeline.jobs.subscription import (
    Change,
    Configuration,
    EventBridge,
    Overlap,
    Rule,
    Subscription,
    changes,
    configuration_of,
    connect,
    covering,
    difference,
    disconnect,
    policy_statement,
    rules,
    unknown_elements,
)
from tests.commands import Run

BUCKET = "logs-of-all"
REGION = "eu-central-1"
QUEUE = f"arn:aws:sqs:{REGION}:123456789012:alb-logs"
OTHER_QUEUE = f"arn:aws:sqs:{REGION}:123456789012:thumbnails"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:new-logs"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:audit"
FOLDER = "AWSLogs/123456789012/elasticloadbalancing/"
ALL = "s3:ObjectCreated:*"


# --- an S3 ---------------------------------------------------------------------------------------

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
OTHERS = f"""
<QueueConfiguration><Id>thumbs &amp; more</Id><Queue>{OTHER_QUEUE}</Queue>
<Event>s3:ObjectCreated:Put</Event><Event>s3:ObjectCreated:Post</Event><Filter><S3Key>
<FilterRule><Name>Suffix</Name><Value>.jpg</Value></FilterRule>
<FilterRule><Name>Prefix</Name><Value>pictures/a+b%3D/</Value></FilterRule>
</S3Key></Filter></QueueConfiguration>
<QueueConfiguration><Id>gone</Id><Queue>{OTHER_QUEUE}</Queue>
<Event>s3:ObjectRemoved:*</Event></QueueConfiguration>
<TopicConfiguration><Id>restores</Id><Topic>{TOPIC}</Topic>
<Event>s3:ObjectRestore:Completed</Event></TopicConfiguration>
<CloudFunctionConfiguration><Id>MWY3-2</Id><CloudFunction>{FUNCTION}</CloudFunction>
<Event>s3:ObjectCreated:*</Event><Filter><S3Key>
<FilterRule><Name>Prefix</Name><Value>invoices/</Value></FilterRule>
</S3Key></Filter></CloudFunctionConfiguration>
<EventBridgeConfiguration/>"""
SWITCHED_ON = "<EventBridgeConfiguration></EventBridgeConfiguration>"


def canonical(element: ET.Element) -> str:
    """Give an element so that equal means equal, however it was written."""
    return ET.canonicalize(ET.tostring(element), strip_text=True)


def plain(element: ET.Element) -> ET.Element:
    """Leave out the namespace, and write filters' names as S3 gives them back."""
    for each in element.iter():
        each.tag = each.tag.removeprefix(f"{{{NAMESPACE}}}")
        if each.tag == "Name":
            each.text = (each.text or "").capitalize()
    return element


def shares_an_object(one: ET.Element, two: ET.Element) -> bool:
    """Tell whether two notifications would have the same object: what S3 does not allow."""

    def has(element: ET.Element, key: str, event: str) -> bool:
        filters = dict(zip(element.iter("Name"), element.iter("Value"), strict=True))
        named = {name.text: unquote_plus(value.text or "") for name, value in filters.items()}
        heard = {each.text for each in element.iter("Event")}
        return (
            key.startswith(named.get("Prefix", ""))
            and key.endswith(named.get("Suffix", ""))
            and bool(heard & {event, event.rpartition(":")[0] + ":*"})
        )

    values = [unquote_plus(each.text or "") for pair in (one, two) for each in pair.iter("Value")]
    keys = ["".join(parts) for parts in product(["", *values], repeat=2)]
    events = [f"s3:ObjectCreated:{each}" for each in ("Put", "Post", "CompleteMultipartUpload")]
    return any(has(one, *each) and has(two, *each) for each in product(keys, events))


@dataclass
class S3:
    """What the stand-in holds and has been sent; `refusals` and `wrong` are for the test to set."""

    url: str
    configuration: str = OTHERS
    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    region: str = REGION
    calls: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)

    @property
    def parts(self) -> list[str]:
        """Give what is configured, one by one; their order means nothing."""
        return sorted(canonical(each) for each in self._elements(self.configuration))

    @property
    def ours(self) -> list[str]:
        """Give what is there beyond what others put there."""
        others = [canonical(each) for each in self._elements(OTHERS)]
        assert not [each for each in others if each not in self.parts]
        return [each for each in self.parts if each not in others]

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, str]:  # noqa: ANN401
        """Answer one request."""
        assert path.endswith("?notification")
        scope = re.search(r"/([a-z0-9-]+)/s3/aws4_request", headers["authorization"])
        assert scope
        if scope[1] != self.region:
            return 400, error("AuthorizationHeaderMalformed", "wrong", f"<Region>{self.region}")
        if method in self.refusals:
            status, code, message = self.refusals[method]
            return status, error(code, message)
        if path != f"/{BUCKET}?notification":
            return 404, error("NoSuchBucket", "The specified bucket does not exist")
        self.calls.append(method)
        return self._put(headers, body) if method == "PUT" else (200, self._got())

    def _got(self) -> str:
        now = self.configuration
        if self.later:
            self.configuration = self.later.pop()
        return f'<NotificationConfiguration xmlns="{NAMESPACE}">{now}</NotificationConfiguration>'

    def _put(self, headers: Any, body: bytes) -> tuple[int, str]:  # noqa: ANN401
        elements = list(plain(ET.fromstring(body)))  # noqa: S314  the test's own
        unchecked = headers.get("x-amz-skip-destination-validation") == "true"
        wrong = [
            f"<ArgumentName{number}>{arn}</ArgumentName{number}>"
            f"<ArgumentValue{number}>{why}</ArgumentValue{number}>"
            for number, (arn, why) in enumerate(self.wrong.items(), start=1)
            if not unchecked and any(arn.startswith(each.text or "-") for each in arns(elements))
        ]
        if wrong:
            message = "Unable to validate the following destination configurations"
            return 400, error("InvalidArgument", message, "".join(wrong))
        if any(shares_an_object(*pair) for pair in combinations(elements, 2)):
            return 400, error("InvalidArgument", "Configuration is ambiguously defined.")
        self.configuration = "".join(ET.tostring(each, encoding="unicode") for each in elements)
        return 200, ""

    @staticmethod
    def _elements(configuration: str) -> list[ET.Element]:
        return list(plain(ET.fromstring(f"<All>{configuration}</All>")))  # noqa: S314  as above


def arns(elements: list[ET.Element]) -> Iterator[ET.Element]:
    """Give the destinations of a configuration."""
    for element in elements:
        for name in ("Queue", "Topic", "CloudFunction"):
            yield from element.iter(name)


def error(code: str, message: str, more: str = "") -> str:
    """Give S3's words for a refusal."""
    if more.startswith("<Region>"):
        more += "</Region>"
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"


@contextmanager
def served(s3: S3) -> Iterator[HTTPServer]:
    """Serve it on its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, text = s3.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_GET  # noqa: N815  the name that the base class looks for

        def log_message(self, *_: object) -> None:
            pass

    port = int(s3.url.rpartition(":")[2])
    with HTTPServer(("127.0.0.1", port), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """Give a session that reads boto3's many files once, and not once a test."""
    return boto3.Session()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, session: boto3.Session) -> Iterator[S3]:
    """Give an S3 with one bucket, which others use too, to which boto3 leads."""
    stand_in = S3(f"http://127.0.0.1:{free_port()}")
    for name, text in environment(stand_in.url).items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    with served(stand_in):
        yield stand_in


# --- the command ---------------------------------------------------------------------------------


Command = Callable[..., Run]


class Terminal(io.TextIOWrapper):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Give the command for the bucket; `typed` is what somebody at a terminal answers."""

    def call(*arguments: str, typed: str | None = None, bucket: str = BUCKET) -> Run:
        stream = io.BytesIO((typed or "").encode())
        wrapper = io.TextIOWrapper if typed is None else Terminal
        monkeypatch.setattr(sys, "stdin", wrapper(stream))
        with pytest.raises(SystemExit) as ended:
            main(["connect", "--bucket", bucket, *arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Run(ended.value.code, captured.out, captured.err)

    return call


TO_QUEUE = ("--queue-arn", QUEUE)
NO_SUCH = "there is no such notification, of this command's making"


@pytest.mark.parametrize(
    ("destination", "element"),
    [
        pytest.param(("--queue-arn", QUEUE), f"<Queue>{QUEUE}</Queue>", id="queue"),
        pytest.param(("--sns", TOPIC), f"<Topic>{TOPIC}</Topic>", id="topic"),
    ],
)
def test_the_bucket_is_connected(
    s3: S3, run: Command, destination: tuple[str, str], element: str
) -> None:
    """One notification is added, of all creations under the prefix; all others stay as they are."""
    ended = run(*destination, "--prefix", FOLDER, "--yes")

    (added,) = s3.ours
    assert 0 == ended.code
    assert element in added
    assert f"<Event>{ALL}</Event>" in added
    assert f"<FilterRule><Name>Prefix</Name><Value>{FOLDER}</Value></FilterRule>" in added
    assert "Suffix" not in added
    assert re.search(r"<Id>alb-logs-[0-9a-f]{16}</Id>", added)


@pytest.mark.parametrize("configuration", ["", "<EventBridgeConfiguration/>"])
def test_an_empty_configuration_is_a_beginning(s3: S3, run: Command, configuration: str) -> None:
    """A bucket of which nobody hears gets its first notification; no prefix, no filter."""
    s3.configuration = configuration

    assert 0 == run(*TO_QUEUE, "--yes").code
    (added,) = [part for part in s3.parts if part != SWITCHED_ON]
    assert "<Filter>" not in added
    assert bool(configuration) == (SWITCHED_ON in s3.parts)


def test_eventbridge_is_switched_on(s3: S3, run: Command) -> None:
    """EventBridge is added to the others, and its rule's pattern is told."""
    s3.configuration = OTHERS.replace("<EventBridgeConfiguration/>", "")
    before = s3.parts

    ended = run("--eventbridge", "--yes")

    assert sorted([*before, SWITCHED_ON]) == s3.parts
    assert f'"bucket": {{"name": ["{BUCKET}"]}}' in ended.out


@pytest.mark.parametrize(
    "destination", [TO_QUEUE, (*TO_QUEUE, "--prefix", "a b=c/"), ("--sns", TOPIC, "--prefix", "l/")]
)
def test_a_second_run_finds_nothing_to_do(
    s3: S3, run: Command, destination: tuple[str, ...]
) -> None:
    """What is there is seen, though S3 writes it in its own way; nothing is written or asked."""
    s3.configuration = "<EventBridgeConfiguration/>"
    assert 0 == run(*destination, "--yes").code
    calls = len(s3.calls)

    ended = run(*destination)

    assert (0, "", ["GET"]) == (ended.code, ended.err, s3.calls[calls:])
    assert re.fullmatch(
        rf"s3://{BUCKET}: nothing to do: there is the (queue|topic) .* \(Id alb-logs-.*\)\n",
        ended.out,
    )


def test_eventbridge_that_is_on_is_nothing_to_do(s3: S3, run: Command) -> None:
    """EventBridge is on or off: told so, nothing written."""
    on = run("--eventbridge")
    s3.configuration = ""
    off = run("--eventbridge", "--undo")

    assert [0, 0] == [on.code, off.code]
    assert [f"s3://{BUCKET}: nothing to do: EventBridge is {what}\n" for what in ("on", "off")] == [
        on.out,
        off.out,
    ]
    assert ["GET", "GET"] == s3.calls


@pytest.mark.parametrize(
    "destination",
    [
        (*TO_QUEUE, "--prefix", FOLDER),
        ("--sns", TOPIC, "--prefix", FOLDER),
        (*TO_QUEUE, "--prefix", "x=y z/"),
    ],
)
def test_undo_takes_away_what_was_added(s3: S3, run: Command, destination: tuple[str, ...]) -> None:
    """After --undo the bucket's configuration is what it was; again, there is nothing to do."""
    before = s3.parts
    run(*destination, "--yes")
    assert s3.ours

    ended = run(*destination, "--undo", "--yes")

    assert (0, before) == (ended.code, s3.parts)
    assert "removed: " in ended.out
    again = run(*destination, "--undo")
    assert (0, f"s3://{BUCKET}: nothing to do: {NO_SUCH} none\n") == (
        again.code,
        again.out,
    )


def test_undo_is_for_one_destination_and_prefix(s3: S3, run: Command) -> None:
    """Another call's notification is not taken away, but named, for it may have been meant."""
    run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    ended = run(*TO_QUEUE, "--undo")

    assert 0 == ended.code
    assert f"nothing to do: {NO_SUCH} queue {QUEUE} for" in ended.out
    assert FOLDER in ended.out
    assert len(s3.ours) == 1


def test_undo_of_eventbridge_warns(s3: S3, run: Command) -> None:
    """EventBridge is switched off on demand, with a warning: nothing says who switched it on."""
    before = s3.parts

    ended = run("--eventbridge", "--undo", "--yes")

    assert (0, [each for each in before if each != SWITCHED_ON]) == (ended.code, s3.parts)
    assert "nothing says who turned EventBridge on" in ended.err


def test_undo_needs_no_good_destination(s3: S3, run: Command) -> None:
    """What is taken away is not held up by destinations that are broken, ours or others'."""
    run(*TO_QUEUE, "--prefix", FOLDER, "--yes")
    s3.wrong = dict.fromkeys((QUEUE, OTHER_QUEUE), "The destination queue does not exist")

    assert 0 == run(*TO_QUEUE, "--prefix", FOLDER, "--undo", "--yes").code
    assert not s3.ours


def test_a_dry_run_shows_and_writes_nothing(s3: S3, run: Command) -> None:
    """With --dry-run only what would change is shown, and nobody is asked."""
    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--dry-run")

    assert (0, ["GET"], []) == (ended.code, s3.calls, s3.ours)
    lines = ended.out.splitlines()
    assert [f"--- s3://{BUCKET} (now)", f"+++ s3://{BUCKET} (then)"] == lines[:2]
    assert f'+      "QueueArn": "{QUEUE}"' in lines
    assert not [line for line in lines[2:] if line.startswith("-")]
    assert lines[-1].startswith(f"s3://{BUCKET}: would be added: queue {QUEUE} for {ALL}")


def test_a_wider_prefix_replaces_ours(s3: S3, run: Command) -> None:
    """A wider call takes the place of a narrower one in one step, and the diff shows both."""
    run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    ended = run(*TO_QUEUE, "--prefix", "AWSLogs/", "--yes")

    (added,) = s3.ours
    assert "<Value>AWSLogs/</Value>" in added
    assert re.search(r"removed: .*\n.*added: |added: .*\n.*removed: ", ended.out)


def test_ours_is_mended(s3: S3, run: Command) -> None:
    """A notification of ours that somebody changed by hand is put right again."""
    run(*TO_QUEUE, "--prefix", FOLDER, "--yes")
    good = s3.parts
    s3.configuration = s3.configuration.replace(
        f"<Queue>{QUEUE}</Queue><Event>{ALL}", f"<Queue>{QUEUE}</Queue><Event>{ALL[:-1]}Put"
    )
    assert good != s3.parts

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert good == s3.parts
    assert f"s3://{BUCKET}: changed: queue {QUEUE}" in ended.out


# --- asking --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "code", "calls"), [("y\n", 0, ["GET", "GET", "PUT"]), ("n\n", 1, ["GET"])]
)
def test_somebody_is_asked(s3: S3, run: Command, typed: str, code: int, calls: list[str]) -> None:
    """On a terminal the change is shown, then asked for; without a yes nothing is written."""
    ended = run(*TO_QUEUE, "--prefix", FOLDER, typed=typed)

    assert (code, calls) == (ended.code, s3.calls)
    assert f'+      "QueueArn": "{QUEUE}"' in ended.out
    assert f"Change the notifications of s3://{BUCKET} so? [y/N]" in ended.err
    assert ("alb-logs: nothing was changed\n" in ended.err) == bool(code)


def test_nobody_to_ask(s3: S3, run: Command) -> None:
    """Without a terminal and without --yes nothing is written, and --yes is named."""
    ended = run(*TO_QUEUE, "--prefix", FOLDER)

    assert (1, ["GET"]) == (ended.code, s3.calls)
    assert "--yes" in ended.err


def test_what_changed_meanwhile_is_not_overwritten(s3: S3, run: Command) -> None:
    """Where somebody else changed the bucket after the diff was shown, nothing is written."""
    theirs = OTHERS.replace("invoices/", "bills/")
    s3.later = [theirs]

    ended = run(*TO_QUEUE, "--prefix", FOLDER, typed="y\n")

    assert (1, ["GET", "GET"], theirs) == (ended.code, s3.calls, s3.configuration)
    assert "changed by somebody else" in ended.err


@pytest.mark.usefixtures("s3")
def test_json_is_for_machines(run: Command) -> None:
    """With --json standard output is one object: the changes and the configuration they give."""
    dry = run(*TO_QUEUE, "--prefix", FOLDER, "--json", "--dry-run")
    wet = run(*TO_QUEUE, "--prefix", FOLDER, "--json", "--yes")
    again = run(*TO_QUEUE, "--prefix", FOLDER, "--json")

    told = json.loads(wet.out)
    assert {"bucket", "changes", "dry_run", "configuration"} == set(told)
    assert (BUCKET, ["added"]) == (told["bucket"], [each["verb"] for each in told["changes"]])
    assert QUEUE in told["changes"][0]["what"]
    assert told | {"dry_run": True} == json.loads(dry.out)
    assert [] == json.loads(again.out)["changes"]
    ids = [each["Id"] for each in told["configuration"]["QueueConfigurations"]]
    assert ["thumbs & more", "gone"] == ids[:2]
    assert len(ids) == 3
    assert "+++ " in wet.err


# --- refusals ------------------------------------------------------------------------------------


def test_an_overlap_is_told_before_s3_is_asked(s3: S3, run: Command) -> None:
    """Another's notification for the same objects is named, with the ways out; nothing is sent."""
    ended = run(*TO_QUEUE)

    assert (1, ["GET"]) == (ended.code, s3.calls)
    (line,) = ended.err.splitlines()
    assert "the queue arn:aws:sqs" in line
    assert "(Id thumbs & more)" in line
    assert all(way in line for way in ("--sns", "--eventbridge", "--prefix"))


def test_an_overlap_with_ours_names_undo(s3: S3, run: Command) -> None:
    """One of our own, to another queue, is to be taken away first."""
    run("--queue-arn", OTHER_QUEUE, "--prefix", FOLDER, "--yes")

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, 1) == (ended.code, len(s3.ours))
    assert "take it away with --undo, or " in ended.err


def test_an_overlap_with_a_topic_names_the_topic(s3: S3, run: Command) -> None:
    """A topic that has the objects already can be subscribed to, and nothing need be changed."""
    s3.configuration = OTHERS.replace("s3:ObjectRestore:Completed", ALL).replace("pictures/", "p/")

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, ["GET"]) == (ended.code, s3.calls)
    assert f"by the topic {TOPIC} for" in ended.err
    assert "subscribe the pipeline's queue to that topic" in ended.err


@pytest.mark.usefixtures("s3")
def test_an_overlap_to_the_same_place_is_told(run: Command) -> None:
    """One to the same queue that hears of less, and is not ours, is to be widened."""
    ended = run("--queue-arn", OTHER_QUEUE, "--prefix", "pictures/")

    assert 1 == ended.code
    assert "widen it or take it away" in ended.err


def test_a_queue_that_lets_nobody_in_is_explained(s3: S3, run: Command) -> None:
    """Where S3 may not send to the queue, its reason and the missing policy statement are told."""
    why = "Permissions on the destination queue do not allow S3 to publish notifications"
    s3.wrong = {QUEUE: why}

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, []) == (ended.code, s3.ours)
    assert f"S3 can not send to {QUEUE}: {why}." in ended.err
    found = re.search(r"^\{$.*?^\}$", ended.err, re.DOTALL | re.MULTILINE)
    assert found
    assert policy_statement(Subscription(QUEUE), BUCKET) == json.loads(found[0])
    assert "kms:GenerateDataKey" in ended.err


def test_a_refusal_without_reasons_is_explained(s3: S3, run: Command) -> None:
    """Where S3 names no destination, ours is meant: it is the only new one."""
    message = "Unable to validate the following destination configurations"
    s3.refusals["PUT"] = (400, "InvalidArgument", message)

    ended = run("--sns", TOPIC, "--prefix", FOLDER, "--yes")

    assert 1 == ended.code
    assert f"S3 can not send to {TOPIC}: {message}." in ended.err
    assert '"sns:Publish"' in ended.err


@pytest.mark.parametrize("destination", [TO_QUEUE, ("--eventbridge",)])
def test_a_broken_destination_of_others_is_named(
    s3: S3, run: Command, destination: tuple[str, ...]
) -> None:
    """S3 refuses all for one destination; where that is another's, it is named, not ours."""
    s3.configuration = s3.configuration.replace("<EventBridgeConfiguration/>", "")
    s3.wrong = {f"{FUNCTION}, null": "Not authorized to invoke function"}
    prefix = () if "--eventbridge" in destination else ("--prefix", FOLDER)

    ended = run(*destination, *prefix, "--yes")

    assert 1 == ended.code
    assert f"({FUNCTION}: Not authorized to invoke function)" in ended.err
    assert "sqs:SendMessage" not in ended.err


@pytest.mark.parametrize(
    ("method", "refusal", "code", "said"),
    [
        pytest.param(
            "GET",
            (403, "AccessDenied", "User u is not authorized"),
            1,
            (
                "AWS refuses s3:GetBucketNotification: ",
                "s3:PutBucketNotification",
                "User u is not authorized",
            ),
            id="may-not-read",
        ),
        pytest.param(
            "PUT",
            (403, "AccessDenied", "Access Denied"),
            1,
            ("AWS refuses s3:PutBucketNotification: ",),
            id="may-not-write",
        ),
        pytest.param(
            "GET",
            (403, "InvalidAccessKeyId", "No such key"),
            2,
            ("does not accept the AWS credentials: No such key",),
            id="bad-credentials",
        ),
        pytest.param(
            "PUT",
            (400, "InvalidArgument", "Configuration is ambiguously defined. Cannot have …"),
            1,
            ("it overlaps another", "--eventbridge"),
            id="overlap",
        ),
        pytest.param(
            "PUT",
            (400, "InvalidArgument", "The notification destination service region is not valid …"),
            1,
            ("in the bucket's own region",),
            id="region",
        ),
        pytest.param(
            "PUT",
            (409, "OperationAborted", "A conflicting operation is in progress"),
            1,
            ("S3 refuses: OperationAborted: A conflicting operation is in progress\n",),
            id="other",
        ),
    ],
)
def test_refusals_name_the_fix(  # noqa: PLR0913, PLR0917  a table's columns
    s3: S3,
    run: Command,
    method: str,
    refusal: tuple[int, str, str],
    code: int,
    said: tuple[str, ...],
) -> None:
    """What S3 refuses ends with one sentence, which says what to do, and the exit code."""
    s3.refusals[method] = refusal

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (code, []) == (ended.code, s3.ours)
    (line,) = ended.err.splitlines(keepends=True)
    assert line.startswith(f"alb-logs: s3://{BUCKET}: ")
    assert all(part in line for part in said), line


@pytest.mark.usefixtures("s3")
def test_a_missing_bucket_is_named(run: Command) -> None:
    """A bucket that is not there is told."""
    ended = run(*TO_QUEUE, bucket="no-such-bucket")

    assert (1, "alb-logs: s3://no-such-bucket: there is no such bucket\n") == (
        ended.code,
        ended.err,
    )


def test_a_bucket_may_be_in_another_region(s3: S3, run: Command) -> None:
    """The settings' region need not be the bucket's: it is found."""
    s3.region = "ap-southeast-2"

    assert 0 == run(*TO_QUEUE, "--prefix", FOLDER, "--yes").code
    assert s3.ours


def test_what_boto3_would_drop_is_not_written(s3: S3, run: Command) -> None:
    """A configuration with something unknown in it is left alone: written, it would lack it."""
    s3.configuration += "<PigeonConfiguration><Id>p</Id><Loft>1</Loft></PigeonConfiguration>"

    ended = run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    assert (1, ["GET"]) == (ended.code, s3.calls)
    assert "(Loft, PigeonConfiguration)" in ended.err


def test_no_credentials_are_told(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the settings that give them are named."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    ended = run(*TO_QUEUE)

    assert (2, []) == (ended.code, s3.calls)
    assert "AWS_PROFILE" in ended.err


def test_half_of_the_credentials_is_told(
    s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where half of the credentials is missing, that half is named."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    ended = run(*TO_QUEUE)

    assert (2, []) == (ended.code, s3.calls)
    assert "AWS_SECRET_ACCESS_KEY" in ended.err


def test_a_login_that_is_over_is_told(
    s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Credentials that are found only when a request is made can fail then, and are told."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    config = tmp_path / "config"
    config.write_text(
        "[default]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = r\n"
        "[sso-session work]\nsso_region = eu-central-1\nsso_start_url = https://sso.example.org\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))

    ended = run(*TO_QUEUE)

    assert (2, []) == (ended.code, s3.calls)
    assert f"s3://{BUCKET}: the AWS settings do not lead to S3: " in ended.err
    assert "SSO" in ended.err


@pytest.mark.usefixtures("s3")
def test_an_s3_out_of_reach_is_told(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, that is said."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")

    ended = run(*TO_QUEUE)

    assert 1 == ended.code
    assert "S3 can not be reached" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param((), "say where to, once", id="nowhere"),
        pytest.param((*TO_QUEUE, "--sns", TOPIC), "say where to, once", id="twice"),
        pytest.param((*TO_QUEUE, "--eventbridge"), "say where to, once", id="queue-and-bridge"),
        pytest.param(("--eventbridge", "--prefix", "a/"), "into its rule", id="bridge-prefix"),
        pytest.param(("--queue-arn", TOPIC), "no such ARN", id="topic-as-queue"),
        pytest.param(("--sns", QUEUE), "no such ARN", id="queue-as-topic"),
        pytest.param(("--queue-arn", "https://sqs.eu/1/q"), "arn:aws:sqs:", id="queue-url"),
        pytest.param(("--queue-arn", ""), "no such ARN", id="empty"),
        pytest.param(("--queue-arn", f"{QUEUE}.fifo"), "FIFO", id="fifo-queue"),
        pytest.param(("--sns", f"{TOPIC}.fifo"), "FIFO", id="fifo-topic"),
        *(
            pytest.param((*TO_QUEUE, "--prefix", prefix), "not how keys begin", id=prefix[:9])
            for prefix in ("/AWSLogs/", "s3://logs/a", "AWSLogs/*", "a%3Db/", "a" * 1025)
        ),
    ],
)
def test_a_wrong_call_reaches_nobody(
    s3: S3, run: Command, arguments: tuple[str, ...], said: str
) -> None:
    """A call that can not be meant is refused with exit code 2, before AWS is asked."""
    ended = run(*arguments, "--yes")

    assert (2, []) == (ended.code, s3.calls)
    assert said in " ".join(ended.err.split())


@pytest.mark.parametrize("bucket", ["s3://logs", "logs/AWSLogs", "arn:aws:s3:::logs", "", "ab"])
def test_a_bucket_is_a_name(s3: S3, run: Command, bucket: str) -> None:
    """A bucket's address or ARN is not its name."""
    ended = run(*TO_QUEUE, bucket=bucket)

    assert (2, []) == (ended.code, s3.calls)
    assert "is no bucket's name" in " ".join(ended.err.split())


# --- the configuration ---------------------------------------------------------------------------


def entry(
    arn: str = OTHER_QUEUE, *, name: str = "x", events: tuple[str, ...] = (ALL,), **filters: str
) -> dict[str, Any]:
    """Give a notification as boto3 gives it, of a queue or a topic."""
    key = "TopicArn" if ":sns:" in arn else "QueueArn"
    found: dict[str, Any] = {"Id": name, key: arn, "Events": [*events]}
    given_ = [
        {"Name": each.capitalize(), "Value": quote_plus(value, safe="/")}
        for each, value in filters.items()
        if value
    ]
    return found | ({"Filter": {"Key": {"FilterRules": given_}}} if given_ else {})


def configured(*entries: dict[str, Any]) -> Configuration:
    """Put notifications where they belong."""
    places = {"QueueConfigurations": "QueueArn", "TopicConfigurations": "TopicArn"}
    return configuration_of(
        {place: [each for each in entries if arn in each] for place, arn in places.items()}
    )


PREFIXES = ("", "a/", "a/b/", "a/b=c/", "b/")
SUFFIXES = ("", ".gz", "x.gz", ".jpg")
EVENTS = ("s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectRemoved:Delete")
OBJECTS = [
    (prefix + middle + suffix, event)
    for prefix, middle, suffix, event in product(PREFIXES, ("", "f"), SUFFIXES, EVENTS)
]

Delivery = tuple[str, str, str]


def deliveries(rule: Rule) -> set[Delivery]:
    """Give what a notification sends, of a set of objects in which every overlap shows."""
    return {
        (rule.arn, key, event)
        for key, event in OBJECTS
        if key.startswith(rule.prefix) and key.endswith(rule.suffix)
        if {event, event.rpartition(":")[0] + ":*"} & set(rule.events)
    }


def all_deliveries(configuration: Configuration) -> list[Delivery]:
    """Give what a configuration sends; what it sends twice is there twice."""
    return [each for rule in rules(configuration) for each in deliveries(rule)]


def asked_for(wanted: Subscription) -> set[Delivery]:
    """Give what is to be sent."""
    return {
        (wanted.arn, key, event)
        for key, event in OBJECTS
        if key.startswith(wanted.prefix) and "Created" in event
    }


arns_ = st.sampled_from([QUEUE, OTHER_QUEUE, TOPIC])
subscriptions = st.builds(Subscription, arns_, st.sampled_from(PREFIXES))


@st.composite
def configurations(draw: st.DrawFn, *, ours: bool) -> Configuration:
    """Make a configuration that S3 would take: no object is of two notifications."""
    events = st.lists(st.sampled_from([*EVENTS, ALL, "s3:ObjectRemoved:*"]), min_size=1)
    kept: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 6))):
        arn, prefix = draw(arns_), draw(st.sampled_from(PREFIXES))
        mine = ours and draw(st.booleans())
        made = entry(
            arn,
            name=Subscription(arn, prefix).id if mine else f"other-{number}",
            events=(ALL,) if mine else tuple(draw(events)),
            prefix=prefix,
            suffix="" if mine else draw(st.sampled_from(SUFFIXES)),
        )
        objects = [each[1:] for each in all_deliveries(configured(*kept, made))]
        if len(objects) == len(set(objects)):
            kept.append(made)
    switched_on = draw(st.booleans())
    return configured(*kept) | ({"EventBridgeConfiguration": {}} if switched_on else {})


@given(present=configurations(ours=True), wanted=subscriptions)
def test_connecting_loses_nothing(present: Configuration, wanted: Subscription) -> None:
    """
    All that was sent is sent still, what is wanted is sent too, and nothing twice.

    Or there is an object that another notification has; then that one is named.
    """
    after = connect(present, wanted)

    if isinstance(after, Overlap):
        assert after.rule in rules(present)
        taken = {each[1:] for each in deliveries(after.rule)}
        assert taken & {each[1:] for each in asked_for(wanted)}
        assert not covering(present, wanted)
        return
    sent = all_deliveries(after)
    assert {*all_deliveries(present), *asked_for(wanted)} == set(sent)
    objects = [each[1:] for each in sent]
    assert len(objects) == len(set(objects))
    assert connect(after, wanted) == after
    assert covering(after, wanted)


@given(present=configurations(ours=False), wanted=subscriptions)
def test_undoing_is_exact(present: Configuration, wanted: Subscription) -> None:
    """What was connected and undone is as it was before, others' notifications to the letter."""
    after = connect(present, wanted)

    assert disconnect(present, wanted) == present
    if not isinstance(after, Overlap):
        assert json.dumps(present, sort_keys=True) == json.dumps(
            disconnect(after, wanted), sort_keys=True
        )


@given(present=configurations(ours=True))
def test_eventbridge_stands_beside_all(present: Configuration) -> None:
    """EventBridge is switched on and off with all else as it was, whatever there is."""
    on, off = connect(present, EventBridge()), disconnect(present, EventBridge())

    assert {**present, "EventBridgeConfiguration": {}} == on
    assert {**off, "EventBridgeConfiguration": {}} == on
    assert "EventBridgeConfiguration" not in off


def test_ids_are_stable() -> None:
    """Ids are pinned: a later version must know what an earlier one made."""
    assert [
        "alb-logs-adc03e899ddde051",
        "alb-logs-ddc1158c4a8a87c8",
        "alb-logs-10b4d950e5a9afee",
    ] == [
        Subscription(QUEUE).id,
        Subscription(QUEUE, "AWSLogs/").id,
        Subscription(TOPIC, "AWSLogs/é/").id,
    ]


@pytest.mark.parametrize(
    ("prefix", "value"),
    [
        ("AWSLogs/123456789012/", "AWSLogs/123456789012/"),
        ("AWSLogs/aws-account-id=1/", "AWSLogs/aws-account-id%3D1/"),
        ("my logs+more/", "my+logs%2Bmore/"),
        ("é!-_.*'()/", "%C3%A9!-_.*'()/"),
    ],
)
def test_a_prefix_is_written_as_s3_wants_it(prefix: str, value: str) -> None:
    """A filter holds the URL-encoded form of a prefix, without which it would match no key."""
    after = connect({}, Subscription(QUEUE, prefix))

    assert isinstance(after, dict)
    (made,) = after["QueueConfigurations"]
    assert {"Key": {"FilterRules": [{"Name": "prefix", "Value": value}]}} == made["Filter"]
    assert [prefix] == [rule.prefix for rule in rules(after)]


@pytest.mark.parametrize(
    "name", ["alb-logs-queue", "alb-logs-ADC03E899DDDE051", "alb-logs-adc03e899ddde051-2", "x", ""]
)
def test_only_ids_of_our_form_are_ours(name: str) -> None:
    """A name that somebody else may give is not taken for ours."""
    (rule,) = rules(configured(entry(QUEUE, name=name)))

    assert not rule.ours


def test_one_made_by_other_means_will_do() -> None:
    """Where Terraform sends all that is wanted to the queue, there is nothing to do or to undo."""
    present = configured(entry(QUEUE, name="tf-s3-queue-1", prefix="AWSLogs/"))
    wanted = Subscription(QUEUE, FOLDER)

    assert present == connect(present, wanted) == disconnect(present, wanted)
    assert "tf-s3-queue-1" in str(covering(present, wanted))


def test_an_id_is_there_once() -> None:
    """A notification with our Id that was turned elsewhere is turned back: Ids must be unique."""
    wanted = Subscription(QUEUE, "AWSLogs/")
    present = configured(entry(OTHER_QUEUE, name=wanted.id, prefix="b/"))

    after = connect(present, wanted)

    assert isinstance(after, dict)
    assert [(wanted.id, QUEUE)] == [(rule.id, rule.arn) for rule in rules(after)]


@pytest.mark.parametrize(
    "partly",
    [
        entry(QUEUE, suffix=".log.gz"),
        entry(QUEUE, events=("s3:ObjectCreated:Put",)),
        entry(QUEUE, prefix="AWSLogs/1/"),
    ],
    ids=["suffix", "events", "prefix"],
)
def test_one_that_sends_less_will_not_do(partly: dict[str, Any]) -> None:
    """One to the same queue that sends only some of it is an overlap, told and not replaced."""
    wanted = Subscription(QUEUE, "AWSLogs/")

    after = connect(configured(partly), wanted)

    (rule,) = rules(configured(partly))
    assert Overlap(rule, wanted) == after


def test_changes_are_named() -> None:
    """Each notification that differs is named once, with what becomes of it."""
    before = {**configured(entry(name="a"), entry(name="b")), "EventBridgeConfiguration": {}}
    after = configured(entry(name="b", prefix="b/"), entry(name="c"))

    assert [
        Change("added", f"queue {OTHER_QUEUE} for {ALL} of * (Id c)"),
        Change("changed", f"queue {OTHER_QUEUE} for {ALL} of b/* (Id b)"),
        Change("removed", "EventBridge, for the whole bucket"),
        Change("removed", f"queue {OTHER_QUEUE} for {ALL} of * (Id a)"),
    ] == changes(before, after)
    assert [] == changes(before, before)


@pytest.mark.parametrize(
    "present",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"EventBridgeConfiguration": {}}, id="eventbridge"),
        pytest.param(configured(entry(prefix="a/"), entry(TOPIC, prefix="t/")), id="others"),
    ],
)
def test_a_diff_shows_only_what_changes(present: Configuration) -> None:
    """What is added has a + before it, and no line of another notification is touched."""
    after = connect(present, Subscription(QUEUE, FOLDER))

    assert isinstance(after, dict)
    lines = difference(present, after, "s3://logs").splitlines()
    assert ["--- s3://logs (now)", "+++ s3://logs (then)"] == lines[:2]
    removed = {line for line in lines[2:] if line.startswith("-")}
    assert removed <= {"-{}"}
    assert f'+      "QueueArn": "{QUEUE}"' in lines


def test_the_policy_statement_is_narrow() -> None:
    """S3 alone may send, for this bucket of this account alone, in every partition."""
    arn = "arn:aws-cn:sns:cn-north-1:123456789012:new-logs"

    assert {
        "Sid": "AllowBucketNotifications",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": "arn:aws-cn:s3:::logs"},
            "StringEquals": {"aws:SourceAccount": "123456789012"},
        },
    } == policy_statement(Subscription(arn), "logs")
    assert "sqs:SendMessage" == policy_statement(Subscription(QUEUE), "logs")["Action"]


@pytest.mark.parametrize(
    ("xml", "unknown"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(OTHERS.encode(), [], id="all-that-is-known"),
        pytest.param(b"<Id>&lt;Loft&gt;</Id>", [], id="text-is-no-element"),
        pytest.param(b'<s3:Id/><Loft a="1"/><Bird/></Loft>', ["Bird", "Loft"], id="unknown"),
    ],
)
def test_unknown_elements_are_found(xml: bytes, unknown: list[str]) -> None:
    """Every element that a written configuration would lack is named."""
    assert unknown == unknown_elements(xml)


def test_what_boto3_adds_is_no_configuration() -> None:
    """Of an answer only what S3 configures is kept: EventBridge's emptiness means on."""
    answer = {
        "ResponseMetadata": {"HTTPStatusCode": 200},
        "TopicConfigurations": [],
        **configured(entry()),
        "EventBridgeConfiguration": {},
    }

    assert {**configured(entry()), "EventBridgeConfiguration": {}} == configuration_of(answer)
