"""
Build the zip of the Lambda function, for either architecture, without Docker.

It holds what the handler runs on and no more: boto3 comes with AWS's runtime, the command line
stays out. The same sources and dependencies give the same bytes. Beside the zip a description says
which runtime and architecture it is for, and `serverless.yml` deploys it as just that.

    python -m deploy.lambda_zip --arch arm64

docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

import argparse
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"

# The C library of AWS's runtimes: Amazon Linux 2 until 3.11, Amazon Linux 2023 since.
_GLIBC_MINOR = {"3.11": 26, "3.12": 34, "3.13": 34}
_OLDEST_GLIBC_MINOR = 17

# A package that comes as source only can not be had for a foreign architecture, so it is installed
# apart, without what it needs: that is named here.
_SOURCE_ONLY = {"pygrok": ("regex",)}

# Our copies hide those of the runtime, which its boto3 uses too: they must suit both.
SHARED_WITH_BOTO3 = ("jmespath<2", "python-dateutil<3", "six<2", "urllib3<3")

# Of our own files, what the handler reads at run time.
_OWN = ("lambda/handler.py", "logstash/patterns", "pipeline")
_NOT_IN_LAMBDA = ("pipeline/cli",)

_SUPERFLUOUS_FOLDERS = frozenset({"__pycache__", "bin", "isa-l", "sboms", "swagger_ui", "tests"})
_SUPERFLUOUS_SUFFIXES = frozenset({".pyi", ".pyx", ".typed"})
_METADATA_KEPT = re.compile(r"METADATA|licenses|(LICEN[CS]E|NOTICE|COPYING).*")

# What the handler imports at a cold start is found by importing it; this it imports later.
_IMPORTED_LATER = ("aws_lambda_powertools.utilities.parameters", "pygrok", "regex")
_LIST_IMPORTS = """
import importlib, json, sys
for name in ("lambda.handler", *sys.argv[1:]):
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""

_EPOCH = (1980, 1, 1, 0, 0, 0)


class Architecture(StrEnum):
    """The instruction sets that Lambda has, as AWS writes them."""

    ARM64 = "arm64"
    X86_64 = "x86_64"

    @property
    def machine(self) -> str:
        """Name it as Linux does."""
        return "aarch64" if self is Architecture.ARM64 else "x86_64"


HOST = Architecture.ARM64 if platform.machine() in {"aarch64", "arm64"} else Architecture.X86_64
HOST_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Target:
    """What the zip is to run on."""

    architecture: Architecture = HOST
    python: str = HOST_PYTHON

    @property
    def platforms(self) -> list[str]:
        """Name the kinds of wheels that run there."""
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
        """Count the zip's bytes."""
        return self.path.stat().st_size

    def describe(self) -> str:
        """Say as JSON what the zip is; `serverless.yml` reads it."""
        about = {
            "architecture": self.target.architecture,
            "runtime": f"python{self.target.python}",
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "bytes": self.size,
        }
        return json.dumps(about, indent=2) + "\n"


class PackagingError(RuntimeError):
    """The zip can not be built; the message says why."""


def build(target: Target, *, directory: Path = DIST, certificate: Path | None = None) -> Package:
    """
    Build `alb-logs-lambda-<architecture>.zip`, and its description beside it.

    `certificate` is the authority that signed Elasticsearch's certificate: `ca.pem` in the zip.
    """
    with tempfile.TemporaryDirectory(prefix="alb-logs-package-") as place:
        tree = Path(place)
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
    return package


def write_zip(tree: Path, path: Path) -> None:
    """Pack a folder: the same files give the same bytes, whenever and wherever it is done."""
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(each for each in tree.rglob("*") if each.is_file()):
            info = zipfile.ZipInfo(file.relative_to(tree).as_posix(), _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if file.suffix == ".so" else 0o100644) << 16
            archive.writestr(info, file.read_bytes())
    part.replace(path)


def requirements() -> Iterator[str]:
    """Name what the handler runs on, as pyproject.toml does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    yield from project["dependencies"]
    yield from project["optional-dependencies"]["fast"]


def _install_dependencies(tree: Path, target: Target) -> None:
    ready: list[str] = []
    source: list[str] = []
    for requirement in requirements():
        name = re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]
        (source if name in _SOURCE_ONLY else ready).append(requirement)
        ready += _SOURCE_ONLY.get(name, ())
    _pip_install(tree, ready, _for_target(target))
    _pip_install(tree, source, ["--no-deps"])


def _for_target(target: Target) -> Iterator[str]:
    yield from ("--only-binary=:all:", "--implementation=cp", f"--python-version={target.python}")
    for name in target.platforms:
        yield f"--platform={name}"


def _pip_install(tree: Path, wanted: Sequence[str], options: Iterable[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(SHARED_WITH_BOTO3) + "\n")
        constraints.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
        where = ["--target", str(tree), "--constraint", constraints.name]
        _run([*pip, *where, *options, *wanted])


def _copy_own(tree: Path) -> None:
    for name in _OWN:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target)
        else:
            shutil.copyfile(ROOT / name, target)
    for name in _NOT_IN_LAMBDA:
        shutil.rmtree(tree / name)


def _prune(tree: Path) -> None:
    """Remove what is never read: tests, declarations, what an installer keeps books in."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_dir() and path.name in _SUPERFLUOUS_FOLDERS:
            shutil.rmtree(path)
        elif path.suffix in _SUPERFLUOUS_SUFFIXES or _is_bookkeeping(path):
            path.unlink()


def _is_bookkeeping(path: Path) -> bool:
    return path.parent.suffix == ".dist-info" and not _METADATA_KEPT.fullmatch(path.name)


def _compile(tree: Path) -> None:
    """
    Add the bytecode of what a cold start imports: without it, each compiles half a second longer.

    The zip is read-only in Lambda, so Python could not keep what it compiled. The bytecode is
    marked as always valid (`unchecked-hash`), for the files' times say nothing there.
    """
    files = [str(path) for name in _imported_names() if (path := _module_in(tree, name))]
    listing = "\n".join(sorted(files))
    modes = ["-q", "-i", "-", "-s", str(tree), "--invalidation-mode", "unchecked-hash"]
    # With hashes at random the order of some constants would be so too.
    python = ["env", "PYTHONHASHSEED=0", sys.executable]
    _run([*python, "-m", "compileall", *modes], text=listing)


def _imported_names() -> list[str]:
    names: list[str] = json.loads(_run([sys.executable, "-c", _LIST_IMPORTS, *_IMPORTED_LATER]))
    return names


def _module_in(tree: Path, name: str) -> Path | None:
    place = tree.joinpath(*name.split("."))
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _run(command: Sequence[str], *, text: str | None = None) -> str:
    done = subprocess.run(  # noqa: S603  our own Python
        command, input=text, capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        raise PackagingError(f"{' '.join(command[:4])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Build one zip and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.lambda_zip", description=__doc__)
    parser.add_argument("--arch", type=Architecture, default=HOST, choices=[*Architecture])
    parser.add_argument("--python", default=HOST_PYTHON, choices=[*_GLIBC_MINOR])
    parser.add_argument("--certificate", type=Path, help="the authority of Elasticsearch's own")
    given = parser.parse_args()
    package = build(Target(given.arch, given.python), certificate=given.certificate)
    sys.stdout.write(
        f"{package.path.relative_to(ROOT)}: {package.size / 1e6:.1f} MB for "
        f"python{given.python} on {given.arch}\n"
    )
    if not package.bytecode:
        sys.stdout.write(
            f"Without bytecode, so that a cold start takes longer: run with Python {given.python}\n"
        )


if __name__ == "__main__":
    main()
