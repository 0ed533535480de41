"""Deploy as a user does: the packaged zip and `serverless.yml`, in a folder of the tests' own."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from deploy.lambda_zip import HOST, ROOT, Architecture, Target, build
from deploy.osls import osls

TEMPLATE = "cloudformation-template-update-stack.json"


def package(factory: pytest.TempPathFactory, architecture: Architecture = HOST) -> Path:
    """Give the zip for an architecture, built once for all workers of this test run."""
    place = shared(factory) / "dist"
    path = place / f"alb-logs-lambda-{architecture}.zip"
    with FileLock(shared(factory) / f"{architecture}.lock"):
        return path if path.exists() else build(Target(architecture), directory=place).path


def shared(factory: pytest.TempPathFactory) -> Path:
    """Give the folder that all workers of this test run have in common."""
    own = factory.getbasetemp()
    return own.parent if own.name.startswith("popen-") else own


def service_folder(place: Path, zip_file: Path | None = None) -> Path:
    """Give a folder that osls takes for the repository, with this zip; else with an empty one."""
    shutil.copy(ROOT / "serverless.yml", place)
    shutil.copytree(ROOT / "deploy" / "resources", place / "deploy" / "resources")
    (place / "dist").mkdir()
    if zip_file:
        shutil.copy(zip_file, place / "dist")
        shutil.copy(zip_file.with_suffix(".json"), place / "dist")
    else:
        stem = place / "dist" / "alb-logs-lambda-arm64"
        stem.with_suffix(".zip").touch()
        stem.with_suffix(".json").write_text(json.dumps({"runtime": "python3.13"}))
    return place


def parameters(given: Mapping[str, object]) -> list[str]:
    """Give the command line's part that sets parameters."""
    return [f"--param={name}={value}" for name, value in given.items()]


def packaged(service: Path, stage: str, given: Mapping[str, object]) -> dict[str, Any]:
    """Give the CloudFormation template that osls makes of a service folder."""
    done = osls("package", "--stage", stage, *parameters(given), service=service)
    assert done.returncode == 0, done.stdout + done.stderr
    template: dict[str, Any] = json.loads((service / ".serverless" / TEMPLATE).read_text())
    return template


def deployed(
    service: Path, stage: str, given: Mapping[str, object], *, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Deploy a service folder to where the environment leads."""
    done = osls("deploy", "--stage", stage, *parameters(given), service=service, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
