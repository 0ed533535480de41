"""
Pin by hash what is installed where credentials are or may be: run by `make lock`.

`requirements/NAME.txt` holds every package with the hashes of its files, for all Pythons and
machines at once; `package-lock.json` does the same for osls, whose installed files have one more
hash in `package.json`. None of them holds the address of a registry. Versions stay as they are
where they still fit, unless `--upgrade` is given.

docs.astral.sh/uv/pip/compile, docs.npmjs.com/cli/v11/configuring-npm/package-lock-json
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy import osls
from deploy.lambda_zip import ROOT, SHARED_WITH_BOTO3, requirements
from devstack.installing import LOCKS, install_python, run

GROUPS = ("build", "deploy", "lock", "checkov", "lambda-runtime", "ministack")
"""The groups of pyproject.toml, each with a file of its own."""

_OLDEST_PYTHON = "3.11"


def main() -> None:
    """Write every file again."""
    parser = argparse.ArgumentParser(prog="python -m deploy.lock", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    python = install_python("lock")
    with tempfile.TemporaryDirectory(prefix="alb-logs-lock-") as folder:
        for name, sources in _sources(Path(folder)):
            _say(f"requirements/{name}.txt")
            run([str(python), *_compile(name), *sources, *upgrade], cwd=ROOT)
    _say("package-lock.json and package.json")
    osls.lock()


def _sources(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each file with what it is made from; `folder` is for drafts."""
    yield "dev", ["--extra", "test", "pyproject.toml"]
    shipped, limits = folder / "lambda.in", folder / "limits.in"
    shipped.write_text("\n".join(requirements()))
    limits.write_text("\n".join(SHARED_WITH_BOTO3))
    tested = str(LOCKS / "dev.txt")
    yield "lambda", [str(shipped), "--constraints", str(limits), "--constraints", tested]
    for group in GROUPS:
        yield group, ["--group", group]


def _compile(name: str) -> list[str]:
    options = ["--universal", "--generate-hashes", "--no-annotate", "--quiet"]
    options += ["--python-version", _OLDEST_PYTHON, "--custom-compile-command", "make lock"]
    return ["-m", "uv", "pip", "compile", *options, "--output-file", str(LOCKS / f"{name}.txt")]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
