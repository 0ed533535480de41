"""The tests themselves: shared code is in `tests/support`, and the fast ones start no server."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
FAST = ("unit", "contract", "property")
"""The folders that `make check` runs."""

FILES = {str(path.relative_to(TESTS)): path for path in sorted(TESTS.rglob("*.py"))}


CODE = {**FILES, **{f"bench/{path.name}": path for path in (TESTS.parent / "bench").glob("*.py")}}

NO_SEAM_YET = {"_TEXT_BYTES", "_codec", "_cut"}
"""Private names of `source` that tests still need."""


def modules_imported(path: Path) -> Iterator[str]:
    """Yield the name of every module of the tests that a file may import from."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names))


def is_test_file(module: str) -> bool:
    """Return whether a module is a file that pytest collects."""
    package, _, name = module.rpartition(".")
    return package.startswith("tests") and (name == "conftest" or name.startswith("test_"))


@pytest.mark.parametrize("name", FILES)
def test_no_test_file_is_imported(name: str) -> None:
    """Nothing is imported from a file that pytest collects."""
    assert [] == [each for each in modules_imported(FILES[name]) if is_test_file(each)]


def test_fast_tests_start_no_server(request: pytest.FixtureRequest) -> None:
    """None of the collected tests in these folders asks for Elasticsearch or an emulated AWS."""
    fixtures = {item.nodeid: getattr(item, "fixturenames", []) for item in request.session.items}
    asking = [test for test, names in fixtures.items() if "servers" in names]

    assert [] == [test for test in asking if test.split("/")[1] in FAST]


@pytest.mark.parametrize("name", [name for name in FILES if name.split("/")[0] in FAST])
def test_fast_tests_cannot_start_one_themselves(name: str) -> None:
    """They import none of the functions that start a server."""
    starting = [each for each in modules_imported(FILES[name]) if ".start_" in each]

    assert [] == [each for each in starting if each.startswith("devstack.")]


def private_names(path: Path) -> Iterator[str]:
    """Yield every private name that a file imports, or reads of anything but `self`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and not is_self(node.value):
            yield from [node.attr] if is_private(node.attr) else []
        elif isinstance(node, ast.ImportFrom):
            yield from (each.name for each in node.names if is_private(each.name))


def is_private(name: str) -> bool:
    """Return whether a name begins with one underscore; what named tuples have is public."""
    return (
        name.startswith("_") and not name.startswith("__") and name not in {"_replace", "_asdict"}
    )


def is_self(node: ast.expr) -> bool:
    """Return whether this is the object or class whose own code it is."""
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def names_defined(path: Path) -> set[str]:
    """Return the names of functions and classes that a file defines, and of what `self` holds."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    defined = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return defined | {n.attr for n in nodes if isinstance(n, ast.Attribute) and is_self(n.value)}


@pytest.mark.parametrize("name", CODE)
def test_no_private_name_of_another_file_is_used(name: str) -> None:
    """Tests and bench use what others may use, so that the code inside is free to change."""
    used = set(private_names(CODE[name])) - names_defined(CODE[name])

    assert set() == used - NO_SEAM_YET
