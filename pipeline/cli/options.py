"""Hold what commands share: the options of the same name, and how a source is named and opened."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import click

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, Skipped, SkipReason, classify_key
from pipeline.cli.screen import Progress
from pipeline.source.objects import ObjectRef

Command = TypeVar("Command", bound=Callable[..., Any])

_AUTO = "auto"
_S3_URL = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)


def kind_option(about: str) -> Callable[[Command], Command]:
    """Add --kind; the command gets a Kind, or None where each line is to decide."""
    return click.option(
        "--kind",
        type=click.Choice((_AUTO, *(kind.value for kind in Kind))),
        default=_AUTO,
        show_default=True,
        callback=_kind,
        help=about,
    )


def _kind(_context: click.Context, _parameter: click.Parameter, name: str) -> Kind | None:
    return None if name == _AUTO else Kind(name)


def json_option(about: str = "Write JSON, for machines.") -> Callable[[Command], Command]:
    """Add --json, which the command gets as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=about)


def dry_run_option() -> Callable[[Command], Command]:
    """Add --dry-run, which the command gets as `dry_run`."""
    return click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")


def object_of(source: str) -> ObjectRef | None:
    """Return the object that s3://BUCKET/KEY names; None where a source is something else."""
    url = _S3_URL.fullmatch(source)
    return ObjectRef(bucket=url[1], key=url[2], name=name_of(url[2])) if url else None


def name_of(key: str) -> ObjectName | None:
    """Return what the name of an object or file tells; None where it is not AWS's for a log."""
    name = classify_key(key)
    return name if isinstance(name, ObjectName) else None


_FOREIGN = {
    SkipReason.NETWORK_LOAD_BALANCER: "a log of a Network Load Balancer",
    SkipReason.CLASSIC_LOAD_BALANCER: "a log of a Classic Load Balancer",
    SkipReason.TEST_FILE: "the test file that AWS writes when logging is turned on",
    SkipReason.PARQUET: "a Parquet file",
}


def foreign(name: str) -> str | None:
    """Return what else a name shows the object or file to be; None where it may be an ALB log."""
    skipped = classify_key(name)
    return _FOREIGN.get(skipped.reason) if isinstance(skipped, Skipped) else None


@contextmanager
def open_source(name: str, progress: Progress) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for -; one that cannot be read is a wrong call."""
    try:
        with click.open_file(name, "rb") as stream:
            progress.begin(name, _size_of(name))
            yield cast("IO[bytes]", _Watched(stream, progress))
    except OSError as error:
        raise click.BadParameter(f"{name} cannot be read: {error.strerror}") from error


def _size_of(name: str) -> int | None:
    """Return the bytes of a regular file; a pipe has no size."""
    path = Path(name)
    return path.stat().st_size if name != "-" and path.is_file() else None


class _Watched:
    """Count the bytes that are read of a stream."""

    def __init__(self, stream: IO[bytes], progress: Progress) -> None:
        self._stream, self._progress = stream, progress

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._progress.read(len(data))
        return data
