"""The rooms' order: each knows those before it and none after, and only one reads settings."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PIPELINE = ROOT / "pipeline"

GROUND = ("errors", "version", "shipped", "fields")
ROOMS = (
    "continuation",
    "discovery",
    "fetching",
    "gunzip",
    "reading",
    "parsing",
    "document",
    "hotpath",
    "encoding",
    "refusals",
    "sink",
    "store",
    "deadletters",
    "outcome",
    "ingest",
)
FRONT = (
    "mapping",
    "roles",
    "cluster",
    "config",
    "clients",
    "buckets",
    "redelivery",
    "subscription",
)
"""What only front doors know: a cluster to prepare, settings, clients, a bucket to connect."""

ORDER = (*GROUND, *ROOMS, *FRONT)
MODULES = {
    ".".join(path.relative_to(PIPELINE).with_suffix("").parts): path
    for path in PIPELINE.rglob("*.py")
    if path.name != "__init__.py"
}


def imports(path: Path) -> Iterator[str]:
    """Give the full name of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_known(name: str) -> set[str]:
    """Give the modules of the package that a module imports."""
    known = {each.removeprefix("pipeline.") for each in imports(MODULES[name])}
    return (known | {each.rpartition(".")[0] for each in known}) & set(MODULES)


def packages_known(name: str) -> set[str]:
    """Give the packages of others that a module imports."""
    return {each.partition(".")[0] for each in imports(MODULES[name])} - {"pipeline"}


def reachable(name: str) -> set[str]:
    """Give a module and all that it knows, directly or by others."""
    found: set[str] = set()
    left = {name}
    while left:
        each = left.pop()
        found.add(each)
        left |= rooms_known(each) - found
    return found


def test_every_module_has_its_place() -> None:
    """A new module is put into the order, here, by whoever writes it."""
    assert set(ORDER) == {name for name in MODULES if not name.startswith("cli.")}


@pytest.mark.parametrize("name", ORDER)
def test_a_room_knows_only_those_before_it(name: str) -> None:
    """A module imports only modules to its left."""
    assert rooms_known(name) <= set(ORDER[: ORDER.index(name)])


@pytest.mark.parametrize("name", [*GROUND, *ROOMS])
def test_a_room_is_handed_values(name: str) -> None:
    """No room knows settings, the command line or Lambda: values and clients are handed to it."""
    assert {"config", "clients"}.isdisjoint(rooms_known(name))
    assert {"aws_lambda_powertools", "boto3", "click", "os"}.isdisjoint(packages_known(name))


@pytest.mark.parametrize("name", MODULES)
def test_only_config_reads_the_environment(name: str) -> None:
    """`os` is imported by the one module that reads the environment."""
    assert ("os" in packages_known(name)) == (name == "config")


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("cli.")])
def test_nobody_knows_the_front_doors(name: str) -> None:
    """What the command line is made of knows nothing of it."""
    assert not [each for each in imports(MODULES[name]) if f"{each}.".startswith("pipeline.cli.")]


def test_parsing_needs_no_aws() -> None:
    """`parse` reaches no AWS but for `fetching`, which is imported to read S3 only; no settings."""
    known = reachable("cli.parse")

    assert {"config", "clients", "cluster"}.isdisjoint(known)
    assert not [name for name in known if "boto3" in packages_known(name)]
    assert ["fetching"] == [name for name in known if "botocore" in packages_known(name)]


def test_the_handler_is_an_adapter() -> None:
    """The Lambda handler knows the way in and the account, and no room between."""
    known = {each for each in imports(ROOT / "lambda" / "handler.py") if "pipeline." in each}

    assert {
        "pipeline.buckets",
        "pipeline.clients",
        "pipeline.config",
        "pipeline.continuation",
        "pipeline.discovery",
        "pipeline.errors",
        "pipeline.ingest",
        "pipeline.outcome",
        "pipeline.redelivery",
        "pipeline.store",
    } == {each.rpartition(".")[0] for each in known}
