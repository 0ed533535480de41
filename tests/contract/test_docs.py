"""Documentation that can not rot: what is generated is current, what is named exists."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from devstack.generate import ROOT, generated_files
from pipeline.config import Config, variable_of
from pipeline.metrics import METRICS

GENERATED = dict(generated_files())
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "terraform/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SETTINGS = {variable_of(setting.name) for setting in fields(Config)}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"\bALB_LOGS(?:_[A-Z]+)+\b")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def links(page: Path) -> Iterator[str]:
    """Give the page's links to files of this repository, without the part after #."""
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in target and not target.startswith(("#", "mailto:")):
            yield target.partition("#")[0]


@pytest.mark.parametrize("path", GENERATED, ids=str)
def test_generated_files_are_current(path: Path) -> None:
    """What is written is what the code's tables give today; else run `make docs`."""
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
    """The page that leads to all others is seen to do so: links are looked for in the right way."""
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
    """The page of settings has each, and marks what is secret."""
    rows = GENERATED[Path("docs/settings.md")].splitlines()

    for setting in fields(Config):
        (row,) = (row for row in rows if row.startswith(f"| `{variable_of(setting.name)}` |"))
        assert ("(secret)" in row) == (setting.name in {"es_api_key", "es_password"})


def test_every_command_is_explained() -> None:
    """The page of commands has the help of each, with examples."""
    page = GENERATED[Path("docs/cli.md")]

    for name in ("ingest", "parse", "setup"):
        _, _, section = page.partition(f"## `alb-logs {name}`\n")
        help_ = section.partition("\n## ")[0]
        assert f"Usage: alb-logs {name} " in help_
        assert "Examples:" in help_


def test_the_runbook_is_about_metrics() -> None:
    """Each heading of the runbook's second part is a metric that can make someone look."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    _, of_metrics = text.split("\n# Metrics\n")

    assert set() < set(re.findall(r"^## (.+)$", of_metrics, re.MULTILINE)) <= set(METRICS)
