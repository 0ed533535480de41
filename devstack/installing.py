"""
Keep what no Python package of our own brings, outside the checkout, ready to run.

Each thing is a folder of the user's cache, made as a whole or not at all, once for all processes.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from devstack.process import ServerError

_INSTALL_SECONDS = 900


def cache_directory() -> Path:
    """Name the directory outside the checkout where downloads are kept."""
    configured = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - not a setting of the pipeline
    return Path(configured or Path.home() / ".cache") / "alb-logs"


def install_once(name: str, fill: Callable[[Path], None], *, shelf: Path | None = None) -> Path:
    """Give the folder of that name, of the cache or another shelf; `fill` makes a missing one."""
    target = (shelf or cache_directory()) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{name}.lock")):
        if not target.exists():
            part = target.with_name(f"{name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            fill(part)
            part.rename(target)
    return target


def install_python(name: str, *requirements: str) -> Path:
    """
    Give the Python of an environment that holds these packages and no other.

    They are part of its folder's name, as far as their versions go: another version is another
    environment.
    """

    def fill(place: Path) -> None:
        run([sys.executable, "-m", "venv", str(place)])
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        run([*pip, "--disable-pip-version-check", *requirements])

    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    pinned = [each.partition("==")[2] for each in requirements if "==" in each]
    return install_once("-".join([name, *pinned, python]), fill) / "bin" / "python"


def run(command: Sequence[str], *, cwd: Path | None = None) -> None:
    """Run a command that installs something; ServerError with what it printed if it fails."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise ServerError(f"{' '.join(command)} took too long") from exc
    if done.returncode:
        raise ServerError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
