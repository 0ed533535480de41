"""The command `connect`: what it adds to a bucket's notifications, takes away and asks."""

import json
import re

import pytest

from tests.support.commands import Command
from tests.support.notifying import (
    ALL,
    BUCKET,
    FOLDER,
    OTHER_QUEUE,
    OTHERS,
    QUEUE,
    S3,
    SWITCHED_ON,
    TO_QUEUE,
    TOPIC,
)

NO_SUCH = "there is no such notification; made by this command:"


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
    """A bucket without notifications gets its first one; no prefix, no filter."""
    s3.configuration = configuration

    assert 0 == run(*TO_QUEUE, "--yes").code
    (added,) = [part for part in s3.parts if part != SWITCHED_ON]
    assert "<Filter>" not in added
    assert bool(configuration) == (SWITCHED_ON in s3.parts)


def test_eventbridge_is_switched_on(s3: S3, run: Command) -> None:
    """EventBridge is added to the others, and its rule's pattern is printed."""
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
    """Where EventBridge is on or off already, the command says so and writes nothing."""
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
    """Another call's notification is not removed but named, in case it was meant."""
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
    """Destinations that are broken, ours or others', do not prevent a removal."""
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
    """A wider call replaces a narrower one in one step, and the diff shows both."""
    run(*TO_QUEUE, "--prefix", FOLDER, "--yes")

    ended = run(*TO_QUEUE, "--prefix", "AWSLogs/", "--yes")

    (added,) = s3.ours
    assert "<Value>AWSLogs/</Value>" in added
    assert re.search(r"removed: .*\n.*added: |added: .*\n.*removed: ", ended.out)


def test_ours_is_repaired(s3: S3, run: Command) -> None:
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
    assert f"Change the notifications of s3://{BUCKET} like this? [y/N]" in ended.err
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
