"""What is installed is pinned by hash: in every file, in the versions that the project allows."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from deploy.lambda_zip import ROOT, SOURCE_ONLY, requirements
from deploy.lock import GROUPS
from devstack.installing import LOCKS

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAMES = ("dev", "lambda", *GROUPS)

_PINNED = re.compile(r"([a-z0-9-]+)(?:\[.*\])?==(\S+)(?: ; .+)?")


def blocks(name: str) -> Iterator[list[str]]:
    """Yield each package of a requirement file: its pin, and its hashes."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    joined = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace(" \\\n", "\n")
    for block in re.split(r"\n(?=\S)", joined.strip()):
        yield [line.strip() for line in block.splitlines()]


def pins(name: str) -> dict[str, set[str]]:
    """Return the versions of each package; there may be several, for several Pythons."""
    found: dict[str, set[str]] = {}
    for pin, *_ in blocks(name):
        match = _PINNED.fullmatch(pin)
        assert match, pin
        found.setdefault(match[1], set()).add(match[2])
    return found


def wanted(name: str) -> list[Requirement]:
    """Return what the project asks for in one of the files."""
    extras = PROJECT["project"]["optional-dependencies"]
    asked: list[str] = (
        PROJECT["dependency-groups"].get(name)
        or {
            "dev": [*PROJECT["project"]["dependencies"], *extras["test"], *extras["devstack"]],
            "lambda": requirements(),
        }[name]
    )
    return [Requirement(each) for each in asked if not each.startswith("alb-log-pipeline")]


def normal(name: str) -> str:
    """Return the name of a package as the files spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_file_is_known() -> None:
    """The files are those that `make lock` writes, and each group has one."""
    assert sorted(NAMES) == sorted(path.stem for path in LOCKS.iterdir())
    assert set(PROJECT["dependency-groups"]) == set(GROUPS)


@pytest.mark.parametrize("name", NAMES)
def test_every_package_has_hashes(name: str) -> None:
    """Each package is of one version with SHA-256 sums, and no address says where to get it."""
    for pin, *hashes in blocks(name):
        assert _PINNED.fullmatch(pin), pin
        assert hashes, pin
        for each in hashes:
            assert re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each), (pin, each)
    assert "://" not in (LOCKS / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_versions_are_allowed(name: str) -> None:
    """What the project asks for is there in a version that it allows; else run `make lock`."""
    pinned = pins(name)

    for each in wanted(name):
        (version,) = pinned[normal(each.name)]
        assert each.specifier.contains(version), each


def test_what_ships_was_tested() -> None:
    """Each package of the zip is of the version that the tests have, on every Python."""
    shipped, tested = pins("lambda"), pins("dev")

    assert shipped == {name: tested[name] for name in shipped}
    assert [] == [pin for pin, *_ in blocks("lambda") if ";" in pin]
    assert set(SOURCE_ONLY) <= shipped.keys()


def test_osls_is_locked() -> None:
    """The lock of npm has the version asked for, a checksum for each package and no address."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    manifest = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}

    assert manifest["devDependencies"]["osls"] == packages["node_modules/osls"]["version"]
    assert len(packages) > 100
    for each in packages.values():
        assert each["integrity"].startswith("sha512-")
        assert "resolved" not in each


@pytest.mark.parametrize("path", ["Makefile", "devstack/installing.py", "deploy/lambda_zip.py"])
def test_every_installation_asks_for_hashes(path: str) -> None:
    """Where pip installs, it requires hashes, but for our own package without its dependencies."""
    text = re.sub(r"\\\n\s*", "", (ROOT / path).read_text(encoding="utf-8"))
    commands = re.findall(r".*(?:pip install|\"pip\", \"install\").*(?:\n.*HASHED.*)?", text)
    right = re.compile(r"PIP_OPTIONS|HASHED|--no-deps --no-build-isolation --editable \.$")

    assert commands
    assert [] == [each for each in commands if not right.search(each)]


def test_dependabot_watches_all_of_it() -> None:
    """Actions, Python packages and npm packages are looked after."""
    path = Path(ROOT / ".github" / "dependabot.yml")
    updates = yaml.safe_load(path.read_text(encoding="utf-8"))["updates"]

    assert ["github-actions", "npm", "pip"] == sorted(each["package-ecosystem"] for each in updates)
