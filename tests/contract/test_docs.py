"""Documentation that cannot rot: what is generated is current, what is named exists."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from docs.generate.files import ROOT, generated_files
from pipeline.cli.group import alb_logs
from pipeline.config import Config, variable_of
from pipeline.metrics import METRICS

GENERATED = dict(generated_files())
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "terraform/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
README = PAGES[0].read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SETTINGS = {variable_of(setting.name) for setting in fields(Config)}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"\bALB_LOGS(?:_[A-Z]+)+\b")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def links(page: Path) -> Iterator[str]:
    """Yield the page's links to files of this repository, without the part after #."""
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in target and not target.startswith(("#", "mailto:")):
            yield target.partition("#")[0]


@pytest.mark.parametrize("path", GENERATED, ids=str)
def test_generated_files_are_current(path: Path) -> None:
    """Each file is what the code's tables make today; if not, run `make docs`."""
    assert GENERATED[path] == (ROOT / path).read_text(encoding="utf-8")


def test_what_is_generated() -> None:
    """Every page and mapping that lists what the code knows is among the generated files."""
    assert {
        "docs/cli.md",
        "docs/fields.md",
        "docs/metrics.md",
        "docs/settings.md",
        "index_templates/mappings-access.json",
        "index_templates/mappings-connection.json",
        "index_templates/mappings-dead-letter.json",
        "index_templates/mappings-health-check.json",
    } <= {str(path) for path in GENERATED}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of this repository leads to one."""
    assert [] == [link for link in links(page) if not (page.parent / link).exists()]


def test_links_are_found() -> None:
    """The README is seen to link the other pages: the search for links works."""
    assert {"docs/cli.md", "docs/settings.md", "docs/metrics.md"} <= set(links(PAGES[0]))


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted((ROOT / "pipeline").rglob("*.py"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_named_settings_exist(page: Path) -> None:
    """Every setting that a page or a message names is one."""
    assert set(_VARIABLE.findall(page.read_text(encoding="utf-8"))) <= SETTINGS


def test_every_setting_is_explained() -> None:
    """The page of settings has each setting, and marks what is secret."""
    rows = GENERATED[Path("docs/settings.md")].splitlines()

    for setting in fields(Config):
        (row,) = (row for row in rows if row.startswith(f"| `{variable_of(setting.name)}` |"))
        assert ("(secret)" in row) == (setting.name in {"es_api_key", "es_password"})


def test_every_command_is_explained() -> None:
    """The page of commands has the help of each command, with examples."""
    page = GENERATED[Path("docs/cli.md")]

    for name in ("erase", "ingest", "parse", "replay", "setup"):
        _, _, section = page.partition(f"## `alb-logs {name}`\n")
        help_ = section.partition("\n## ")[0]
        assert f"Usage: alb-logs {name} " in help_
        assert "Examples:" in help_


def test_the_runbook_is_about_metrics() -> None:
    """Each heading of the runbook's second part is the name of a metric."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    _, of_metrics = text.split("\n## Metrics\n")

    assert set() < set(re.findall(r"^### (.+)$", of_metrics, re.MULTILINE)) <= set(METRICS)
    assert text.count("\n# ") == 0


# The README


def section(page: str, heading: str) -> str:
    """Return the text below a heading of the second level."""
    _, found, rest = page.partition(f"\n## {heading}\n")
    assert found, heading
    return rest.partition("\n## ")[0]


def test_the_line_of_the_readme_becomes_its_document() -> None:
    """`alb-logs parse` makes of the line the document that is shown below it."""
    text = section(README, "A line and its document")
    (line,) = re.findall(r"```text\n(.+)\n```", text)
    (document,) = re.findall(r"```json\n(.+?)\n```", text, re.DOTALL)

    result = CliRunner().invoke(alb_logs, ["parse"], input=line + "\n")

    assert 0 == result.exit_code, result.output
    assert json.loads(document) == json.loads(result.stdout)


def test_the_figures_of_the_readme_are_measured() -> None:
    """Each figure of the README is in docs/performance.md, the missed goal as missed."""
    figures = re.findall(r"\*\*(\d[^*]*)\*\*", section(README, "Measured"))
    measured = re.sub(r"\*", "", (ROOT / "docs" / "performance.md").read_text(encoding="utf-8"))

    assert 4 == len(figures)
    assert [] == [each for each in figures if each.replace(": missed", ", missed") not in measured]
    assert 1 == sum("missed" in each for each in figures)


def test_the_readme_names_what_exists() -> None:
    """Every command, make target and folder that the README names is there."""
    commands = set(re.findall(r"(?:^ {4}|`)alb-logs ([a-z]+)", README, re.MULTILINE))
    targets = set(re.findall(r"(?:^ {4}|`)make ([a-z]+)", README, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    folders = re.findall(r"^ {4}([a-z_]+)/ ", section(README, "The tree"), re.MULTILINE)

    known = alb_logs.list_commands(click.Context(alb_logs))
    assert {
        "setup",
        "ingest",
        "parse",
        "connect",
        "backfill",
        "audit",
        "raw",
        "replay",
        "erase",
    } <= commands
    assert commands <= set(known)
    assert {"demo", "test", "bench"} == targets
    assert targets <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert 10 == len(folders)
    assert [] == [each for each in folders if not (ROOT / each).is_dir()]


# The architecture


def test_every_module_is_described() -> None:
    """The table in docs/architecture.md has each module and folder of the pipeline, no other."""
    paths = [path.relative_to(ROOT / "pipeline") for path in (ROOT / "pipeline").rglob("*.py")]
    modules = {path.stem for path in paths} - {"__init__"}
    folders = {f"{path.parent}/" for path in paths} - {"./"}
    cells = re.findall(r"^\| (.*?) \|", section(ARCHITECTURE, "Layers"), re.MULTILINE)

    assert modules | folders == set(re.findall(r"`([a-z_]+/?)`", " ".join(cells)))


def test_the_layers_are_those_that_are_checked() -> None:
    """The order in docs/architecture.md is the order that test_layering.py checks."""
    checks = (ROOT / "tests" / "contract" / "test_layering.py").read_text(encoding="utf-8")
    (checked,) = re.findall(r'^LAYERS = "(.+)"', checks, re.MULTILINE)
    (told,) = re.findall(r"^ {4}(alb < .+), lambda$", ARCHITECTURE, re.MULTILINE)

    assert checked.split(" < ")[1:] == told.split(" < ")
