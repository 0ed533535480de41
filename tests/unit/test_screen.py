"""What commands say: what strangers wrote cannot command a terminal."""

import pytest

from pipeline.cli.screen import Screen, complain

HOSTILE = "s3://b/\x1b[2J\r\u202e\udcff\nalb-logs: all is well"
SAFE = r"s3://b/\x1b[2J\x0d\x202e\xdcff"


def test_a_complaint_is_one_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A key with a line end in it passes for no other complaint."""
    complain(HOSTILE)

    assert rf"alb-logs: {SAFE}\x0aalb-logs: all is well" == capsys.readouterr().err.rstrip("\n")


def test_what_is_said_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be of several lines, which are ours."""
    Screen().say(HOSTILE)

    assert [SAFE, "alb-logs: all is well"] == capsys.readouterr().out.splitlines()
