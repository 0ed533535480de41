"""The command `parse`: log lines in, documents out; needs no setting, AWS or Elasticsearch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO

import click
import orjson

from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.alb.keys import Skipped, classify_key
from pipeline.errors import ObjectCorruptError
from pipeline.ingest import latest_instant, with_name
from pipeline.outcome import Tally
from pipeline.sink.deadletters import describe
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.source.reading import read_stream

KINDS = ("auto", *(kind.value for kind in Kind))


@click.command(short_help="Turn log lines into documents, on standard output.")
@click.argument(
    "files", nargs=-1, type=click.Path(allow_dash=True, exists=True, dir_okay=False, readable=True)
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="auto",
    show_default=True,
    help="Which log the lines are of; auto: the key tells, else each line.",
)
@click.option("--key", metavar="S3KEY", help="Treat the lines as those of this S3 object.")
@click.option("--bulk", is_flag=True, help="Write bulk requests: an action and a document line.")
@click.option(
    "--rejects",
    type=click.File("wb", lazy=False),
    metavar="FILE",
    help="Write rejected lines to FILE, as JSON lines.",
)
def parse(
    files: tuple[str, ...], kind: str, key: str | None, *, bulk: bool, rejects: IO[bytes] | None
) -> None:
    """
    Turn ALB log lines, plain or gzip, into one JSON document per line.

    It reads standard input where no FILE is given, or where it is -. A summary goes to standard
    error.

    \b
    Examples:
      alb-logs parse 123456789012_elasticloadbalancing_….log.gz
      aws s3 cp s3://bucket/key - | alb-logs parse --rejects bad.jsonl > documents.jsonl
      alb-logs parse --bulk access.log | curl -H 'content-type: application/x-ndjson' \\
          --data-binary @- localhost:9200/_bulk

    Exit codes: 0 every line parsed, 1 a line was rejected or a gzip file is cut, 2 wrong call.
    """  # noqa: D301  \b is click's, and must stay one character
    context = _context(kind, key)
    total, cut = Tally(), False
    for name in files or ("-",):
        for batch in _batches(name, context):
            if isinstance(batch, ObjectCorruptError):
                cut = True
                total += Tally(lines=batch.truncated, truncated=batch.truncated)
                click.echo(f"alb-logs: {batch}", err=True)
                continue
            _write(batch, bulk=bulk)
            _write_rejects(batch, rejects, context)
            total += _tally(batch)
    total.check()
    click.echo(_summary(total), err=True)
    sys.exit(1 if total.rejected or cut else 0)


def _context(kind: str, key: str | None) -> Context:
    chosen = None if kind == "auto" else Kind(kind)
    context = Context(latest=latest_instant(datetime.now(UTC)), kind=chosen, key=key)
    if key is None:
        return context
    name = classify_key(key)
    if isinstance(name, Skipped):
        if chosen is None:
            raise click.BadParameter(
                f"{key} is not the key of an ALB log object ({name.reason}); with --kind it is "
                "taken all the same",
                param_hint="--key",
            )
        return context
    return with_name(context, name)


def _batches(name: str, context: Context) -> Iterator[Batch | ObjectCorruptError]:
    try:
        with open_source(name) as stream:
            for chunk in read_stream(stream, name=name):
                yield encode_chunk(chunk, context)
    except ObjectCorruptError as error:
        yield error


@contextmanager
def open_source(name: str) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for -; one that can not be read is a wrong call."""
    try:
        with click.open_file(name, "rb") as stream:
            yield stream
    except OSError as error:
        raise click.BadParameter(f"{name} can not be read: {error.strerror}") from error


def _write(batch: Batch, *, bulk: bool) -> None:
    items = batch.items if bulk else [item.split(b"\n", 1)[1] for item in batch.items]
    sys.stdout.buffer.write(b"".join(items))
    sys.stdout.buffer.flush()


def _write_rejects(batch: Batch, rejects: IO[bytes] | None, context: Context) -> None:
    if rejects is not None:
        for reject in batch.rejects:
            rejects.write(orjson.dumps(describe(reject, context)) + b"\n")


def _tally(batch: Batch) -> Tally:
    """Count documents as `indexed`: here standard output is where they end."""
    return Tally(
        lines=batch.read,
        indexed=len(batch.items),
        rejected=len(batch.rejects),
        blank=batch.blank,
        bytes=batch.size,
    )


def _summary(total: Tally) -> str:
    parts = [f"{total.lines:,} lines", f"{total.indexed:,} documents"]
    counts = (
        ("rejected", total.rejected),
        ("blank", total.blank),
        ("truncated", total.truncated),
    )
    parts += [f"{count:,} {name}" for name, count in counts if count]
    return f"alb-logs: {', '.join(parts)}"
