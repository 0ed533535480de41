"""The layers: each knows those before it and none after, without a circle within."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PIPELINE = ROOT / "pipeline"

LAYERS = "errors version shipped metrics deadline aws_refusals < alb < source < sink < outcome < recording < ingest < config < clients < wiring < cluster dashboards < jobs < cli"  # noqa: E501

ORDER = [layer.split() for layer in LAYERS.split(" < ")]
STAGES = ("alb", "source", "sink", "outcome", "recording", "ingest")
ONLY_FOR_COMMANDS = ("cluster", "dashboards", "cli")

MODULES = {
    ".".join(path.relative_to(PIPELINE).with_suffix("").parts): path
    for path in sorted(PIPELINE.rglob("*.py"))
    if path.name != "__init__.py"
}


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_known(name: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    known = {each.removeprefix("pipeline.") for each in imports(MODULES[name])}
    return (known | {each.rpartition(".")[0] for each in known}) & set(MODULES)


def packages_known(name: str) -> set[str]:
    """Return the foreign packages that a module imports."""
    return {each.partition(".")[0] for each in imports(MODULES[name])} - {"pipeline"}


def layer_of(name: str) -> int:
    """Return the position of a module's layer."""
    (position,) = (at for at, layer in enumerate(ORDER) if name.partition(".")[0] in layer)
    return position


def reachable(name: str) -> set[str]:
    """Return a module and all that it knows, directly or through others."""
    found: set[str] = set()
    left = {name}
    while left:
        each = left.pop()
        found.add(each)
        left |= modules_known(each) - found
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_module_knows_only_layers_before_its_own(name: str) -> None:
    """No arrow points to a later layer; every module belongs to one."""
    assert [] == [each for each in modules_known(name) if layer_of(each) > layer_of(name)]


def test_there_is_no_circle() -> None:
    """Modules can be put into one order in which each knows only those before it."""
    graph = {name: modules_known(name) for name in MODULES}
    assert set(MODULES) == set(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] in STAGES])
def test_a_stage_is_handed_values(name: str) -> None:
    """No stage knows settings, the command line or Lambda: values and clients are handed to it."""
    assert {"aws_lambda_powertools", "boto3", "click", "os"}.isdisjoint(packages_known(name))


@pytest.mark.parametrize("name", MODULES)
def test_only_config_reads_the_environment(name: str) -> None:
    """`os` is imported by the one module that reads the environment."""
    assert ("os" in packages_known(name)) == (name == "config")


@pytest.mark.parametrize("name", MODULES)
def test_only_commands_know_what_only_commands_need(name: str) -> None:
    """What `setup` installs and the command line are known to nobody else: Lambda lacks them."""
    own = name.partition(".")[0]
    known = {each.partition(".")[0] for each in modules_known(name)} & set(ONLY_FOR_COMMANDS)
    assert known <= ({*ONLY_FOR_COMMANDS} if own == "cli" else {own})


COMMANDS = [
    name
    for name, path in MODULES.items()
    if name.startswith("cli.") and "@click.command" in path.read_text()
]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_knows_another(name: str) -> None:
    """What commands share is in files of its own."""
    assert modules_known(name).isdisjoint(COMMANDS)


def test_parsing_needs_no_aws() -> None:
    """`parse` reaches AWS's library only through `fetching`, imported to read S3; no client."""
    known = reachable("cli.parse")

    assert not [name for name in known if name.partition(".")[0] in {"clients", "wiring"}]
    assert not [name for name in known if "boto3" in packages_known(name)]
    aws = {name for name in known if "botocore" in packages_known(name)}
    assert {"aws_refusals", "source.fetching"} == aws
    assert ["source.fetching"] == [name for name in known if "aws_refusals" in modules_known(name)]


def test_the_handler_is_an_adapter() -> None:
    """The Lambda handler knows the way in and the account, and no stage between."""
    known = {each for each in imports(ROOT / "lambda" / "handler.py") if "pipeline." in each}
    layers = {each.split(".")[1] for each in known}

    assert layers.isdisjoint({"alb", "cluster", "cli"})


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("dashboards.")])
def test_dashboards_know_only_the_logs(name: str) -> None:
    """What people see is made of the field table alone, without a client or a setting."""
    assert {"alb", "dashboards"} >= {each.partition(".")[0] for each in modules_known(name)}
    assert packages_known(name) <= set(sys.stdlib_module_names)
