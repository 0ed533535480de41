"""
Install the tools that need an environment of their own, once, outside the checkout.

Each tool is a folder in the user's cache, made completely or not at all, once for all processes.
What is installed is pinned by hash, runs no code while it is installed, and sees no credentials. A
tool whose files are known beforehand is compared with them before each use: somebody else may have
written to the cache.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from devstack.process import ServerError

LOCKS = Path(__file__).resolve().parent.parent / "requirements"
"""The folder of the requirement files, which `make lock` writes."""

HASHED = ("--require-hashes", "--only-binary=:all:", "--disable-pip-version-check")
"""pip's options for them: ready-made packages of known hashes only."""

_INSTALL_SECONDS = 900
_SECRET = ("AWS_", "ALB_LOGS_", "ACTIONS_")
"""How the names of variables begin that hold credentials, or the means to get some."""

_verified: set[tuple[Path, str]] = set()


def cache_directory() -> Path:
    """Return the folder outside the checkout where downloads are kept."""
    configured = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - not a setting of the pipeline
    return Path(configured or Path.home() / ".cache") / "alb-logs"


def install_once(
    name: str,
    fill: Callable[[Path], None],
    *,
    shelf: Path | None = None,
    digest: str | None = None,
) -> Path:
    """
    Return a folder of the cache, or of another `shelf`; `fill` fills it if it is missing.

    Where its `digest_of` is given, a folder of any other is removed, and ServerError raised.
    """
    target = (shelf or cache_directory()) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{name}.lock")):
        if not target.exists():
            part = target.with_name(f"{name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            fill(part)
            part.rename(target)
        if digest:
            _verify(target, digest)
    return target


def install_python(name: str) -> Path:
    """
    Return the Python of an environment that holds what requirements/NAME.txt names, and no more.

    The folder's name tells what the file held, so other packages are another environment.
    """
    requirements = LOCKS / f"{name}.txt"

    def fill(folder: Path) -> None:
        run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        run([*pip, *HASHED, "--requirement", str(requirements)])

    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    content = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return install_once(f"{name}-{content}-{python}", fill) / "bin" / "python"


def digest_of(folder: Path) -> str:
    """Return a SHA-256 over the names and contents of all files in a folder, and its links."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = f"link to {path.readlink()}"
        elif path.is_file():
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        else:
            continue
        total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what an installer must not see."""
    return {name: text for name, text in environment.items() if not name.startswith(_SECRET)}


def run(command: Sequence[str], *, cwd: Path | None = None) -> None:
    """Run a command that installs something; raise ServerError with its output if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=without_secrets(os.environ),  # noqa: TID251  handed on to the command
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ServerError(f"{' '.join(command)} took too long") from exc
    if done.returncode:
        raise ServerError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _verify(folder: Path, digest: str) -> None:
    if (folder, digest) in _verified:
        return
    found = digest_of(folder)
    if found != digest:
        shutil.rmtree(folder)
        raise ServerError(
            f"{folder} has the checksum {found} instead of {digest}: it is damaged or not what it "
            "claims to be. It was deleted: run again to install it."
        )
    _verified.add((folder, digest))
