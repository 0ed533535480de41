"""What GitHub Actions and Jenkins run: make targets that exist, with no secret and few rights."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.lambda_zip import ROOT, Architecture

WORKFLOW_TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(WORKFLOW_TEXT)
JENKINSFILE = (ROOT / "Jenkinsfile").read_text(encoding="utf-8")
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]

BY_TAG = "startsWith(github.ref, 'refs/tags/v') && 'prod' || 'dev'"

_ACTION = re.compile(
    r"uses: (actions|aws-actions|hashicorp)/[a-z-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+"
)
_SECRET = re.compile(
    r"secrets\.|AKIA[0-9A-Z]{16}|(?i:password|api[_-]?key|secret_access_key|(?<!id-)token)\s*[:=]"
)
_SHOWN = re.compile(r"\b(echo|print|println|printenv)\b|set -x")
_STRING = re.compile(r"'[^'\n]*'|//[^\n]*")


def steps() -> Iterator[dict[str, Any]]:
    """Yield the steps of all jobs."""
    for job in JOBS.values():
        yield from job["steps"]


def commands() -> list[str]:
    """Return what either runs in a shell."""
    ours = [step["run"] for step in steps() if "run" in step]
    return ours + re.findall(r"\bsh '([^']*)'", JENKINSFILE)


@pytest.mark.parametrize("command", commands())
def test_only_make_targets_are_run(command: str) -> None:
    """Each command is one make target of this repository's, so anybody can run it."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    target = re.fullmatch(
        r'make ([a-z]+)( [A-Z_]+=("\$[A-Z_]+"|\$\{\{ [a-z.]+ \}\}|\w+))*', command
    )

    assert target
    assert re.search(rf"^{target[1]}:.*## ", makefile, re.MULTILINE)
    assert re.search(rf"^\.PHONY:.* {target[1]}\b", makefile, re.MULTILINE)


def test_both_test_package_and_deploy() -> None:
    """Both have the same steps, except those that need Terraform itself."""
    targets = [[each.split()[1] for each in half] for half in (commands()[:5], commands()[5:])]

    assert ["test", "terraform", "package", "tools", "deploy"] == targets[0]
    assert ["test", "package", "package", "tools", "deploy", "tools", "deploy"] == targets[1]


def test_every_python_is_tested() -> None:
    """The Pythons that the package claims are those that are tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))

    assert claimed == JOBS["test"]["strategy"]["matrix"]["python"]


def test_both_architectures_are_packaged() -> None:
    """Whichever architecture a stage is of, its zip is there."""
    assert [*Architecture] == JOBS["package"]["strategy"]["matrix"]["architecture"]
    assert [*Architecture] == re.findall(r"make package ARCH=(\w+)", JENKINSFILE)


def test_actions_are_pinned() -> None:
    """Only actions of GitHub, AWS and HashiCorp, each by the commit of a release."""
    used = re.findall(r"uses: .*", WORKFLOW_TEXT)

    assert len([step for step in steps() if "uses" in step]) == len(used) > 8
    assert [] == [each for each in used if not _ACTION.fullmatch(each)]


def test_everything_is_installed_before_there_are_credentials() -> None:
    """`make tools` is the last step before credentials, and comes after no cache of others."""
    names = [step.get("run") or step["uses"].partition("@")[0] for step in JOBS["deploy"]["steps"]]
    before, credentials, deploy = names[-3:]

    assert "make tools" == before
    assert "aws-actions/configure-aws-credentials" == credentials
    assert deploy.startswith("make deploy ")
    assert [] == [
        step
        for name in ("package", "deploy")
        for step in JOBS[name]["steps"]
        if "cache" in str(step)
    ]
    for part in JENKINSFILE.split("withCredentials")[:-1]:
        assert "sh 'make tools'" in part.rpartition("unstash")[2]


def test_rights_are_few() -> None:
    """A job may read the repository; the one that deploys may say who it is, and no other."""
    rights = {name: job.get("permissions") for name, job in JOBS.items()}

    assert {"contents": "read"} == WORKFLOW["permissions"]
    assert {"contents": "read", "id-token": "write"} == rights.pop("deploy")
    assert {None} == set(rights.values())
    assert [False] * 4 == [
        step["with"]["persist-credentials"]
        for step in steps()
        if step.get("uses", "").startswith("actions/checkout@")
    ]


def test_what_is_deployed_where() -> None:
    """Main goes to dev, a tag v… to prod, a pull request nowhere; and only what was tested."""
    deploy = JOBS["deploy"]

    assert {"branches": ["main"], "tags": ["v*"]} == WORKFLOW[True]["push"]  # `on`, to YAML 1.1
    assert "github.event_name == 'push'" == deploy["if"]
    assert {f"${{{{ {BY_TAG} }}}}"} == {deploy["environment"], deploy["env"]["STAGE"]}
    assert ["test", "terraform"] == JOBS["package"]["needs"]
    assert "package" == deploy["needs"]


@pytest.mark.parametrize("text", [WORKFLOW_TEXT, JENKINSFILE], ids=["actions", "jenkins"])
def test_no_secret_is_kept_or_shown(text: str) -> None:
    """There is no secret in the text, none is asked of GitHub, and nothing prints what it has."""
    assert [] == _SECRET.findall(text) + _SHOWN.findall(text)


def test_secrets_would_be_seen() -> None:
    """The search finds what it is for."""
    for text in ("${{ secrets.KEY }}", "api_key: abc", "AKIAABCDEFGHIJKLMNOP", "PASSWORD=x"):
        assert _SECRET.search(text)
    for text in ("sh 'echo $KEY'", "printenv", "set -x", "println KEY"):
        assert _SHOWN.search(text)


# Jenkins


def test_the_jenkinsfile_is_well_formed() -> None:
    """Brackets are closed in the order they were opened, and no text holds Groovy's `${`."""
    code = _STRING.sub("", JENKINSFILE)
    opened: list[str] = []
    for sign in re.findall(r"[][(){}]", code):
        if sign in "([{":
            opened.append(sign)
        else:
            assert opened.pop() + sign in {"()", "[]", "{}"}

    assert [] == opened
    assert not set("\"'$`") & set(code)


def test_the_stages_of_jenkins() -> None:
    """Tests are reported, prod asks first and takes tags only, credentials come by their id."""
    names = re.findall(r"stage\('([^']+)'\)", JENKINSFILE)
    _, build, dev, prod = re.split(r"stage\('(?:Build|Deploy \w+)'\)", JENKINSFILE)

    assert ["Build", "Test", "Package", "Deploy dev", "Deploy prod"] == names
    assert "junit 'dist/junit.xml'" in build
    assert "branch 'main'" in dev
    assert "input {" not in dev
    for part in ("input {", "beforeInput true", "tag 'v*'"):
        assert part in prod
    for stage, text in (("dev", dev), ("prod", prod)):
        assert [f"alb-logs-{stage}"] == re.findall(r"credentialsId: '([^']+)'", text)
        assert f"make deploy STAGE={stage} " in text
