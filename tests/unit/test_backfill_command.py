"""What `alb-logs backfill` refuses before it asks anybody."""

import pytest

from pipeline.cli.group import run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["--retry-failed", "--no-resume"],
            "--retry-failed asks the ledger, and --no-resume leaves it out",
            id="retry without the ledger",
        ),
        pytest.param(["--workers", "0"], "0 is not in the range 1<=x<=64", id="no workers"),
        pytest.param(["--time-zone", "Mars/Olympus"], "no time zone 'Mars/Olympus'", id="zone"),
    ],
)
def test_usage_errors(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what is wrong."""
    assert 2 == run(["backfill", "--bucket", "logs", "--from", "2026-10-01", *arguments])
    assert said in capsys.readouterr().err
