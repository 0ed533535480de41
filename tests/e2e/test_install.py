"""The wheel installs a command that works: it needs no checkout and no extra."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.lambda_zip import ROOT
from pipeline.version import VERSION

CASE = ROOT / "tests" / "data" / "alb" / "access-generation-36"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built as a release is."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` folder of a fresh environment with the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return folder / "bin"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must succeed, outside the checkout, and return what it prints."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_installed_command_parses_a_file(binaries: Path, tmp_path: Path) -> None:
    """`alb-logs parse FILE` writes the documents, away from the checkout."""
    out = run(binaries / "alb-logs", "parse", CASE.with_suffix(".log"), cwd=tmp_path)

    (expected,) = json.loads(CASE.with_suffix(".expected.json").read_text())["documents"]
    assert expected["document"] == json.loads(out)


@pytest.mark.parametrize("command", ["connect", "ingest", "setup"])
def test_every_command_starts(command: str, binaries: Path, tmp_path: Path) -> None:
    """Everything that a command imports is installed."""
    out = run(binaries / "alb-logs", command, "--help", cwd=tmp_path)

    assert f"Usage: alb-logs {command} " in out


def test_the_installed_command_has_its_templates(binaries: Path, tmp_path: Path) -> None:
    """`alb-logs setup --print` reads the index templates and prints a request for each."""
    requests = json.loads(run(binaries / "alb-logs", "setup", "--print", cwd=tmp_path))

    assert "/_index_template/alb-logs-access" in {each["path"] for each in requests}


def test_installed_versions_agree(binaries: Path, tmp_path: Path) -> None:
    """No dependency asks for another version of a package than the one installed."""
    run(binaries / "pip", "check", cwd=tmp_path)

    assert VERSION in run(binaries / "alb-logs", "--version", cwd=tmp_path)


def test_the_wheel_holds_only_the_package(wheel: Path) -> None:
    """Neither tests nor the local stack are in it; the files that the package reads are."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {"pipeline", wheel.name.rpartition("-py3")[0] + ".dist-info"} == {
        name.partition("/")[0] for name in names
    }
    assert "pipeline/_shipped/logstash/patterns/alb" in names
