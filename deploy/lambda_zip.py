"""
Build the zip of the Lambda function, for either architecture, without Docker.

It holds the handler, the modules that the handler imports and the packages of
requirements/lambda.txt, each of a known hash; boto3 comes with AWS's runtime. The same sources make
the same bytes. Beside the zip there is a description of the runtime and architecture that it is
for, from which `serverless.yml` deploys it, and a bill of its materials (`deploy.materials`).

    python -m deploy.lambda_zip --arch arm64

docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from modulefinder import ModuleFinder
from pathlib import Path

from deploy.materials import bill_of_materials
from devstack.installing import HASHED, LOCKS, without_secrets

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"

# The C library of AWS's runtimes: Amazon Linux 2 until 3.11, Amazon Linux 2023 since.
_GLIBC_MINOR = {"3.11": 26, "3.12": 34, "3.13": 34, "3.14": 34}
_OLDEST_GLIBC_MINOR = 17

# Built here, from its source: it has no other package, and no compiled code.
SOURCE_ONLY = ("pygrok",)

# Our copies hide the runtime's own, which its boto3 uses too: the versions must suit both.
SHARED_WITH_BOTO3 = ("jmespath<2", "python-dateutil<3", "six<2", "urllib3<3")

_HANDLER = "lambda/handler.py"
_DATA = ("logstash/patterns",)
"""What the handler's modules read at run time."""

_SUPERFLUOUS_FOLDERS = frozenset({"__pycache__", "bin", "isa-l", "sboms", "swagger_ui", "tests"})
_SUPERFLUOUS_SUFFIXES = frozenset({".pyi", ".pyx", ".typed"})
# A copy of the time zones, for dateutil.tz.gettz on systems without any: nothing here calls that.
_SUPERFLUOUS_FILES = frozenset({"dateutil-zoneinfo.tar.gz"})
_METADATA_KEPT = re.compile(r"METADATA|licenses|(LICEN[CS]E|NOTICE|COPYING).*")

# Importing the handler shows what a cold start imports; these it imports later.
_IMPORTED_LATER = ("aws_lambda_powertools.utilities.parameters", "pygrok", "regex")
_LIST_IMPORTS = """
import importlib, json, sys
for name in ("lambda.handler", *sys.argv[1:]):
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""

_EPOCH = (1980, 1, 1, 0, 0, 0)


class Architecture(StrEnum):
    """The instruction sets of Lambda, as AWS spells them."""

    ARM64 = "arm64"
    X86_64 = "x86_64"

    @property
    def machine(self) -> str:
        """Return the name that Linux uses."""
        return "aarch64" if self is Architecture.ARM64 else "x86_64"


HOST = Architecture.ARM64 if platform.machine() in {"aarch64", "arm64"} else Architecture.X86_64
HOST_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Target:
    """What the zip will run on."""

    architecture: Architecture = HOST
    python: str = HOST_PYTHON

    @property
    def platforms(self) -> list[str]:
        """Return the wheel platforms that run there."""
        minors = range(_OLDEST_GLIBC_MINOR, _GLIBC_MINOR[self.python] + 1)
        machine = self.architecture.machine
        return [f"manylinux2014_{machine}", *(f"manylinux_2_{n}_{machine}" for n in minors)]


@dataclass(frozen=True, slots=True)
class Package:
    """A finished zip."""

    path: Path
    target: Target
    bytecode: bool

    @property
    def size(self) -> int:
        """Return the size of the zip in bytes."""
        return self.path.stat().st_size

    def describe(self) -> str:
        """Describe the zip as JSON, for `serverless.yml` to read."""
        about = {
            "architecture": self.target.architecture,
            "runtime": f"python{self.target.python}",
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "bytes": self.size,
        }
        return json.dumps(about, indent=2) + "\n"


class PackagingError(RuntimeError):
    """The zip cannot be built: the message says why."""


def build(target: Target, *, directory: Path = DIST, certificate: Path | None = None) -> Package:
    """
    Build `alb-logs-lambda-<architecture>.zip`, and its description beside it.

    `certificate` is the file of the authority that signed Elasticsearch's certificate: `ca.pem` in
    the zip.
    """
    if certificate and not certificate.is_file():
        raise PackagingError(f"there is no certificate {certificate}: name a PEM file")
    with tempfile.TemporaryDirectory(prefix="alb-logs-package-") as folder:
        tree = Path(folder)
        _install_dependencies(tree, target)
        _copy_own(tree)
        if certificate:
            shutil.copyfile(certificate, tree / "ca.pem")
        _prune(tree)
        bytecode = target.python == HOST_PYTHON
        if bytecode:
            _compile(tree)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"alb-logs-lambda-{target.architecture}.zip"
        write_zip(tree, path)
    package = Package(path, target, bytecode)
    path.with_suffix(".json").write_text(package.describe())
    path.with_suffix(".cdx.json").write_text(bill_of_materials(path))
    return package


def write_zip(tree: Path, path: Path) -> None:
    """Pack a folder; the same files make the same bytes at any time and on any machine."""
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(each for each in tree.rglob("*") if each.is_file()):
            info = zipfile.ZipInfo(file.relative_to(tree).as_posix(), _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if file.suffix == ".so" else 0o100644) << 16
            archive.writestr(info, file.read_bytes())
    part.replace(path)


def requirements() -> list[str]:
    """Return the packages of the zip, in the versions that the project depends on."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    versions = {_name_of(each): each for each in settings["project"]["dependencies"]}
    return [versions[name] for name in settings["tool"]["alb-logs"]["lambda-dependencies"]]


def own_files() -> Iterator[Path]:
    """Yield the handler and every module of ours that it imports, at once or later."""
    finder = ModuleFinder(path=[str(ROOT)])
    finder.run_script(str(ROOT / _HANDLER))
    files: list[str | None] = [vars(module)["__file__"] for module in finder.modules.values()]
    yield from (Path(file) for file in files if file)


def _name_of(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]


def _install_dependencies(tree: Path, target: Target) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", *HASHED]
    built_here = ["--no-build-isolation", *(f"--no-binary={name}" for name in SOURCE_ONLY)]
    where = ["--target", str(tree), "--implementation=cp", f"--python-version={target.python}"]
    platforms = [f"--platform={name}" for name in target.platforms]
    _run([*pip, *built_here, *where, *platforms, "--requirement", str(LOCKS / "lambda.txt")])


def _copy_own(tree: Path) -> None:
    for file in own_files():
        target = tree / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    for name in _DATA:
        shutil.copytree(ROOT / name, tree / name)


def _prune(tree: Path) -> None:
    """Remove what is never read: tests, type declarations, the installer's records."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_dir() and path.name in _SUPERFLUOUS_FOLDERS:
            shutil.rmtree(path)
        elif _is_superfluous(path):
            path.unlink()


def _is_superfluous(path: Path) -> bool:
    installer_record = path.parent.suffix == ".dist-info" and not _METADATA_KEPT.fullmatch(
        path.name
    )
    return (
        path.suffix in _SUPERFLUOUS_SUFFIXES or path.name in _SUPERFLUOUS_FILES or installer_record
    )


def _compile(tree: Path) -> None:
    """
    Add the bytecode of what a cold start imports, which saves half a second of compiling each time.

    The code folder is read-only in Lambda, so Python could not keep what it compiled. The bytecode
    is marked as always valid (`unchecked-hash`), because the files' times mean nothing there.
    """
    files = [str(path) for name in _imported_names() if (path := _module_in(tree, name))]
    listing = "\n".join(sorted(files))
    modes = ["-q", "-i", "-", "-s", str(tree), "--invalidation-mode", "unchecked-hash"]
    # With random hashes the order of some constants would be random, too.
    python = ["env", "PYTHONHASHSEED=0", sys.executable]
    _run([*python, "-m", "compileall", *modes], text=listing)


def _imported_names() -> list[str]:
    names: list[str] = json.loads(_run([sys.executable, "-c", _LIST_IMPORTS, *_IMPORTED_LATER]))
    return names


def _module_in(tree: Path, name: str) -> Path | None:
    stem = tree.joinpath(*name.split("."))
    candidates = (stem / "__init__.py", stem.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _run(command: Sequence[str], *, text: str | None = None) -> str:
    done = subprocess.run(  # noqa: S603  our own Python
        command,
        input=text,
        env=without_secrets(os.environ),  # noqa: TID251  handed on to the command
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        raise PackagingError(f"{' '.join(command[:4])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Build one zip and say what was made; where it cannot be built, say why."""
    try:
        _build_as_told()
    except PackagingError as error:
        sys.exit(f"make package: {error}")


def _build_as_told() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.lambda_zip", description=__doc__)
    parser.add_argument("--arch", type=Architecture, default=HOST, choices=[*Architecture])
    parser.add_argument("--python", default=HOST_PYTHON, choices=[*_GLIBC_MINOR])
    parser.add_argument(
        "--certificate", type=Path, help="PEM file of the authority that signed Elasticsearch's own"
    )
    given = parser.parse_args()
    target = Target(given.arch, given.python)
    _say(f"Building the Lambda zip for python{target.python} on {target.architecture}, without")
    _say("Docker: about 10 seconds, a minute if its packages must be downloaded (8 MB).")
    package = build(target, certificate=given.certificate)
    _say(f"{package.path.relative_to(ROOT)}: {package.size / 1e6:.1f} MB")
    if not package.bytecode:
        _say(f"It has no bytecode, so cold starts take longer: run with Python {target.python}.")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
