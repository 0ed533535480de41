"""The command `parse`: log lines in, documents out, without AWS or Elasticsearch."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO

import click
import orjson

from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.alb.keys import Skipped, classify_key
from pipeline.cli.options import foreign, kind_option, open_source
from pipeline.cli.screen import (
    OutputError,
    Progress,
    Screen,
    complain,
    printable,
    verbosity_options,
)
from pipeline.config import OF_LINES, Config
from pipeline.errors import ObjectCorruptError
from pipeline.outcome import Tally
from pipeline.sink.encoding import Batch, Reject, encode_chunk
from pipeline.sink.letters import describe
from pipeline.source.reading import Chunk, LongLine, read_stream

_SHOWN_PLACES = 3


@click.command
@click.argument(
    "files", nargs=-1, type=click.Path(allow_dash=True, exists=True, dir_okay=False, readable=True)
)
@kind_option("Which log the lines are from; auto: decided by the key, else line by line.")
@click.option("--key", metavar="S3KEY", help="Parse the lines as those of this S3 object.")
@click.option(
    "--bulk", is_flag=True, help="Write bulk requests: an action line before each document."
)
@click.option(
    "--rejects",
    type=click.File("wb", lazy=False),
    metavar="FILE",
    help="Write rejected lines to FILE, as JSON lines.",
)
@verbosity_options()
@click.pass_obj
def parse(  # noqa: PLR0913  one parameter an option
    screen: Screen,
    files: tuple[str, ...],
    kind: Kind | None,
    key: str | None,
    *,
    bulk: bool,
    rejects: IO[bytes] | None,
) -> int:
    """
    Turn ALB log lines, plain or gzip, into one JSON document per line.

    Without a FILE, or where FILE is -, standard input is read. A summary goes to standard error,
    with the reasons why lines were rejected and where the first of them are. No setting is needed;
    those for privacy and filters (docs/privacy.md) are applied, so that their effect can be seen.

    \b
    Examples:
      alb-logs parse 123456789012_elasticloadbalancing_….log.gz
      aws s3 cp s3://bucket/key - | alb-logs parse --rejects bad.jsonl > documents.jsonl
      alb-logs parse --bulk access.log | curl -H 'content-type: application/x-ndjson' \\
          --data-binary @- localhost:9200/_bulk
      ALB_LOGS_REDACT_QUERY='*' ALB_LOGS_EXCLUDE='url.path=/health*' alb-logs parse access.log

    Exit codes: 0 every line parsed, 1 a line was rejected, a gzip file is cut short or the output
    cannot be written, 2 the call or a setting is wrong.
    """  # noqa: D301  \b is click's, and must stay one character
    parsing = _Parsing(_context(kind, key), screen, rejects, bulk=bulk)
    names = files or ("-",)
    try:
        with screen.progress(len(names), beside_output=False) as progress:
            for name in names:
                parsing.parse(name, progress)
    except KeyboardInterrupt:
        parsing.summarise(names)
        raise
    parsing.summarise(names)
    return parsing.exit_code


def _context(kind: Kind | None, key: str | None) -> Context:
    name = None if key is None else classify_key(key)
    if isinstance(name, Skipped):
        if kind is None:
            raise click.BadParameter(
                f"{key} is not the key of an ALB log object ({name.reason}); add --kind to parse "
                "the lines anyway",
                param_hint="--key",
            )
        name = None
    config = Config.from_env(only=OF_LINES)
    return Context.of(
        datetime.now(UTC),
        name=name,
        kind=kind,
        key=key,
        privacy=config.privacy,
        exclude=config.exclude,
    )


class _Parsing:
    """One run of the command: where documents and rejects go, and what became of all lines."""

    def __init__(
        self, context: Context, screen: Screen, rejects: IO[bytes] | None, *, bulk: bool
    ) -> None:
        self._context, self._screen = context, screen
        self._rejects, self._bulk = rejects, bulk
        self._total, self._cut = Tally(), False
        self._reasons = _Reasons()

    @property
    def exit_code(self) -> int:
        """Return 1 where anything is not a document that should be one."""
        self._total.check()
        return int(self._total.rejected > 0 or self._cut)

    def parse(self, name: str, progress: Progress) -> None:
        """Parse one source to its end."""
        line = 1
        try:
            for chunk in _chunks(name, progress):
                batch = encode_chunk(chunk, self._context)
                for reject in batch.rejects:
                    self._reasons.add(reject, name, line + _lines_before(reject, chunk))
                line += batch.read
                self._write(batch)
                self._count(_tally(batch), progress)
        except ObjectCorruptError as error:
            self._cut = True
            self._count(Tally(lines=error.truncated, truncated=error.truncated), progress)
            complain(str(error))

    def summarise(self, names: tuple[str, ...]) -> None:
        """Say what became of the lines, and why not all are documents."""
        for sentence in self._reasons.sentences():
            complain(sentence)
        if self._total.rejected and not (self._total.indexed or self._total.filtered):
            complain(_doubt(names, self._context.kind))
        self._screen.note(_summary(self._total))

    def _write(self, batch: Batch) -> None:
        lines = [a.text if self._bulk else f"{a.source}\n" for a in batch.actions]
        self._write_rejects(batch.rejects)
        if lines:
            self._screen.write("".join(lines).encode())

    def _write_rejects(self, rejects: list[Reject]) -> None:
        if self._rejects is None:
            return
        try:
            for reject in rejects:
                self._rejects.write(orjson.dumps(describe(reject, self._context)) + b"\n")
            self._rejects.flush()
        except OSError as error:
            raise OutputError(
                f"--rejects {self._rejects.name} cannot be written: {error.strerror}"
            ) from error

    def _count(self, tally: Tally, progress: Progress) -> None:
        self._total += tally
        progress.count(tally)


def _chunks(name: str, progress: Progress) -> Iterator[Chunk | LongLine]:
    with open_source(name, progress) as stream:
        yield from read_stream(stream, name=name)


def _lines_before(reject: Reject, chunk: Chunk | LongLine) -> int:
    """Return how many lines of a chunk come before a reject."""
    if isinstance(chunk, LongLine):
        return 0
    return chunk.data.count(b"\n", 0, reject.offset - chunk.offset)


class _Reasons:
    """Why lines were rejected: how many by each reason, and where the first of them are."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._places: defaultdict[str, list[str]] = defaultdict(list)
        self._messages: dict[str, str] = {}

    def add(self, reject: Reject, name: str, line: int) -> None:
        """Count a reject at a line of a source."""
        self._counts[reject.reason] += 1
        self._messages.setdefault(reject.reason, reject.message)
        places = self._places[reject.reason]
        if len(places) < _SHOWN_PLACES:
            places.append(f"{'stdin' if name == '-' else name}:{line}")

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each reason, the commonest first."""
        for reason, count in self._counts.most_common():
            places = ", ".join(self._places[reason])
            more = ", …" if count > _SHOWN_PLACES else ""
            message = printable(self._messages[reason])
            yield f"{count:,} {reason} at {places}{more}; the first: {message}"


def _doubt(names: tuple[str, ...], kind: Kind | None) -> str:
    """Return what sources may be of which no line parses."""
    if kind is not None:
        return f"no line is one of the {kind} log: is that the right --kind, or --key?"
    known = sorted({what for name in names if (what := foreign(name))})
    return "this looks like no ALB log" + "".join(f": by its name it is {what}" for what in known)


def _tally(batch: Batch) -> Tally:
    """Count a batch; its documents are `indexed` once they are on standard output."""
    return Tally(
        lines=batch.read,
        indexed=len(batch.actions),
        rejected=len(batch.rejects),
        filtered=batch.filtered,
        blank=batch.blank,
        bytes=batch.size,
    )


def _summary(total: Tally) -> str:
    parts = [f"{total.lines:,} lines", f"{total.indexed:,} documents"]
    counts = (
        ("rejected", total.rejected),
        ("filtered", total.filtered),
        ("blank", total.blank),
        ("truncated", total.truncated),
    )
    parts += [f"{count:,} {name}" for name, count in counts if count]
    return ", ".join(parts)
