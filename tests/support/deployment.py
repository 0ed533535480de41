"""Deploy as a user does: the packaged zip and `serverless.yml`, in a folder of the tests' own."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from deploy.lambda_zip import HOST, ROOT, Architecture, Target, build
from deploy.osls import osls

TEMPLATE = "cloudformation-template-update-stack.json"

STAGE = "s9"

BARE = {"bucket": "the-logs", "es-url": "https://es.example.org:9200"}
"""What a user must set."""

ROLES = (
    "arn:aws:iam::210987654321:role/read-logs",
    "arn:aws:iam::310987654321:role/team,a/read=logs",
    "arn:aws:iam::210987654321:role/read-logs",  # of two buckets
)
FULL = {
    **BARE,
    "bucket-account": "210987654321",
    "log-prefix": "alb/",
    "topic-arn": "arn:aws:sns:eu-central-1:123456789012:log-objects",
    "rule-arn": "arn:aws:events:eu-central-1:123456789012:rule/log-objects",
    "bucket-roles": " ".join(
        f"{bucket}={role}"
        for bucket, role in zip(("a-logs", "b-logs", "c-logs"), ROLES, strict=True)
    ),
    "kms-key-arns": ",".join(f"arn:aws:kms:eu-central-1:123456789012:key/{n}" for n in (1, 2)),
    "es-api-key-parameter": "/elastic/key",
    "es-api-key-secret": "elastic-key#encoded",
    "subnet-ids": "subnet-0a1b2c3d,subnet-1a1b2c3d",
    "security-group-ids": "sg-0a1b2c3d",
    "redact-query": "token,code",
    "anonymize-ip": "24,48",
    "drop-fields": "user_agent.original,source.port",
    "exclude": "url.path=/health*&http.response.status_code=200..299@0.1;url.path=/ping",
    "dead-letter-lines": "on",
    "alarm-email": "someone@example.org",
}
"""Everything that can be set."""


def package(factory: pytest.TempPathFactory, architecture: Architecture = HOST) -> Path:
    """Return the zip for an architecture, built once for all workers of this test run."""
    place = shared(factory) / "dist"
    path = place / f"alb-logs-lambda-{architecture}.zip"
    with FileLock(shared(factory) / f"{architecture}.lock"):
        return path if path.exists() else build(Target(architecture), directory=place).path


def shared(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers of this test run have in common."""
    own = factory.getbasetemp()
    return own.parent if own.name.startswith("popen-") else own


def service_folder(place: Path, zip_file: Path | None = None) -> Path:
    """Return a folder that osls takes for the repository, with this zip; else with an empty one."""
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


def parameters_of(text: str) -> dict[str, str]:
    """Return the parameters of serverless.yml and their defaults as they are written."""
    section = text.partition("params:\n  default:\n")[2].partition("\nprovider:")[0]
    found = re.findall(r"^    ([a-z-]+): +(.*?) *(?:#.*)?$", section, re.MULTILINE)
    return {name: default.strip("'") for name, default in found}


def parameters(given: Mapping[str, object]) -> list[str]:
    """Return the command line's part that sets parameters."""
    return [f"--param={name}={value}" for name, value in given.items()]


def packaged(service: Path, stage: str, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the CloudFormation template that osls makes of a service folder."""
    done = osls("package", "--stage", stage, *parameters(given), service=service)
    assert done.returncode == 0, done.stdout + done.stderr
    template: dict[str, Any] = json.loads((service / ".serverless" / TEMPLATE).read_text())
    return template


@dataclass(frozen=True, slots=True)
class Service:
    """A service folder, its parameters, and the CloudFormation template that osls makes of it."""

    folder: Path
    parameters: Mapping[str, str]
    template: dict[str, Any]


def packaged_service(
    factory: pytest.TempPathFactory, name: str, given: Mapping[str, str]
) -> Service:
    """Return the service with these parameters, packaged once for all workers of this test run."""
    folder = shared(factory) / name
    done = folder / "template.json"
    with FileLock(shared(factory) / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            done.write_text(json.dumps(packaged(service_folder(folder), STAGE, given)))
    return Service(folder, given, json.loads(done.read_text()))


def deployed(
    service: Path, stage: str, given: Mapping[str, object], *, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Deploy a service folder to where the environment leads."""
    done = osls("deploy", "--stage", stage, *parameters(given), service=service, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
