"""Tools come as they are known, or not at all, and whatever is installed sees no credentials."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import osls
from devstack import elasticsearch
from devstack.installing import digest_of, install_once, install_python, run, without_secrets
from devstack.process import ServerError

KNOWN = "the known content"


def fill(folder: Path) -> None:
    """Make what a tool consists of."""
    (folder / "bin").mkdir()
    (folder / "bin" / "tool").write_text(KNOWN)


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """Return the digest of the tool as it is known."""
    (tmp_path / "known").mkdir()
    fill(tmp_path / "known")
    return digest_of(tmp_path / "known")


def test_a_tool_is_made_once(tmp_path: Path, digest: str) -> None:
    """What is there and as it should be is taken; nothing is made a second time."""
    first = install_once("tool", fill, shelf=tmp_path, digest=digest)
    again = install_once("tool", lambda _: pytest.fail("again"), shelf=tmp_path, digest=digest)

    assert first == again == tmp_path / "tool"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("bin/tool", "something else", id="changed"),
        pytest.param("bin/tool2", KNOWN, id="added"),
        pytest.param("sitecustomize.py", "import evil", id="added on top"),
    ],
)
def test_a_planted_tool_is_refused(tmp_path: Path, digest: str, name: str, content: str) -> None:
    """A tool that somebody else put there is removed and not returned; then it is made again."""
    fill_folder = tmp_path / "tool"
    fill_folder.mkdir()
    fill(fill_folder)
    (fill_folder / name).write_text(content)

    with pytest.raises(ServerError, match=rf"{fill_folder} has the checksum .* deleted"):
        install_once("tool", fill, shelf=tmp_path, digest=digest)

    assert not fill_folder.exists()
    assert KNOWN == (
        install_once("tool", fill, shelf=tmp_path, digest=digest) / "bin" / "tool"
    ).read_text(encoding="utf-8")


def test_a_planted_osls_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache holds another osls than the lock names, it is removed and not run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    known = Path(osls.command()[1]).relative_to(tmp_path)
    script = tmp_path / known
    script.write_text("console.log(process.env)\n")
    monkeypatch.setattr("devstack.installing._verified", set())  # as another process finds it

    with pytest.raises(ServerError, match="not what it claims to be"):
        osls.command()

    assert not script.exists()


def test_a_planted_server_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Elasticsearch in the cache that is not the one of the checksum is not started."""
    monkeypatch.setattr(elasticsearch, "_shelf", lambda: tmp_path)
    name = f"elasticsearch-{elasticsearch.DEFAULT_VERSION}"
    planted = tmp_path / name / name / "bin"
    planted.mkdir(parents=True)
    (planted / "elasticsearch").write_text("#!/bin/sh\nenv\n")

    with pytest.raises(ServerError, match="not what it claims to be"):
        elasticsearch.install_server(elasticsearch.DEFAULT_VERSION)

    assert not planted.exists()


def test_a_link_is_no_file(tmp_path: Path) -> None:
    """A link counts by where it leads, whatever is there."""
    for name, target in (("a", "one"), ("b", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "link").symlink_to(target)

    assert digest_of(tmp_path / "a") != digest_of(tmp_path / "b")


def test_an_installer_sees_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is in the environment of AWS, Elasticsearch and GitHub's tokens is kept from it."""
    secrets = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_SESSION_TOKEN": "c",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "d",
        "ALB_LOGS_ES_API_KEY": "e",
        "ALB_LOGS_ES_PASSWORD": "f",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "g",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    seen = tmp_path / "seen"
    show = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(' '.join(os.environ))"

    run([sys.executable, "-c", show, str(seen)])

    assert {"PATH"} <= set(seen.read_text().split())
    assert set() == set(secrets) & set(seen.read_text().split())
    assert {"HOME": "h"} == without_secrets({**secrets, "HOME": "h"})


def test_make_installs_without_credentials() -> None:
    """Every `pip` of the Makefile runs without those variables, whatever their values are."""
    environment = {**os.environ, "AWS_SESSION_TOKEN": "x y\nALB_LOGS_ES_URL=z", "ACTIONS_X": "'"}  # noqa: TID251
    rule = "include Makefile\nshow:\n\t@$(SAFELY) env\n"

    done = subprocess.run(
        ["/usr/bin/env", "make", "--no-print-directory", "--file=-", "show"],
        input=rule,
        env=environment,
        cwd=osls.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert "PATH" in names
    assert not [name for name in names if name.startswith(("AWS_", "ALB_LOGS_", "ACTIONS_"))]


def test_another_hash_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that the index serves with other bytes than the lock names is refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("devstack.installing.LOCKS", tmp_path)
    (tmp_path / "forged.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(ServerError, match="DO NOT MATCH THE HASHES"):
        install_python("forged")
