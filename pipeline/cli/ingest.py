"""The command `ingest`: index single objects or files now."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pipeline.alb.fields import Kind
from pipeline.cli.options import foreign, json_option, kind_option, object_of, open_source
from pipeline.cli.screen import Progress, Screen, complain, verbosity_options
from pipeline.config import Config
from pipeline.errors import ConfigError, ObjectNotAlbError, PipelineError, RetriableError
from pipeline.ingest import ingest_stream
from pipeline.outcome import Outcome, Tally
from pipeline.wiring import Pipeline, open_pipeline

_LONGEST_NAME = 200


def _check_files(
    _context: click.Context, _parameter: click.Parameter, sources: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse a misspelled name before anything is indexed."""
    for source in sources:
        if not (source == "-" or object_of(source) or _is_file(source)):
            short = source if len(source) <= _LONGEST_NAME else f"{source[:_LONGEST_NAME]}…"
            raise click.BadParameter(f"there is no file {short}; an S3 object is s3://BUCKET/KEY")
    return sources


def _is_file(source: str) -> bool:
    """Return whether there is a file or a pipe; one that only cannot be read is told later."""
    try:
        return not stat.S_ISDIR(Path(source).stat().st_mode)
    except PermissionError:
        return True
    except OSError:  # missing, too long, a loop of links
        return False


@click.command
@click.argument(
    "sources", nargs=-1, required=True, metavar="s3://BUCKET/KEY|FILE…", callback=_check_files
)
@kind_option("Which log it is; auto: decided by the object's name, else line by line.")
@json_option("Write one JSON object per source.")
@verbosity_options()
@click.pass_obj
def ingest(screen: Screen, sources: tuple[str, ...], kind: Kind | None, *, as_json: bool) -> int:
    """
    Index single S3 objects or local files, plain or gzip; - is standard input.

    A line that is already indexed counts as a duplicate, so running it again is always safe. Lines
    that cannot be indexed become dead letters, with the reason. What is no ALB log by its name or
    by its lines fails; --kind has a name ignored.

    \b
    Examples:
      alb-logs ingest s3://my-logs/AWSLogs/123456789012/elasticloadbalancing/…/….log.gz
      alb-logs ingest downloads/*.log.gz
      zcat old.log.gz | alb-logs ingest --kind access -

    Exit codes: 0 all indexed, 1 a source failed or a line was rejected, 2 a setting or a source's
    name is wrong.
    """  # noqa: D301  \b is click's
    with screen.waiting("Elasticsearch"):
        pipeline = open_pipeline(Config.from_env(), kind=kind)
    ingesting = _Ingesting(screen, pipeline, as_json=as_json)
    with screen.progress(len(sources)) as progress, ingesting.summary(len(sources)):
        for source in sources:
            ingesting.ingest(source, progress)
    return ingesting.exit_code


class _Ingesting:
    """One run of the command: what became of its sources so far."""

    def __init__(self, screen: Screen, pipeline: Pipeline, *, as_json: bool) -> None:
        self._screen, self._pipeline, self._as_json = screen, pipeline, as_json
        self._total, self._failed = Tally(), 0

    @property
    def exit_code(self) -> int:
        """Return 1 where not every line is indexed that should be."""
        return int(self._failed > 0 or self._total.rejected > 0)

    def ingest(self, source: str, progress: Progress) -> None:
        """Ingest one source and report it; ConfigError where the next would fail likewise."""
        so_far = Tally()

        def watch(tally: Tally) -> None:
            nonlocal so_far
            so_far += tally
            progress.count(tally)

        options = replace(self._pipeline.options, watch=watch)
        try:
            outcome = _outcome(source, replace(self._pipeline, options=options), progress)
        except KeyboardInterrupt:
            self._add(source, Outcome(so_far, InterruptedRunError("interrupted")))
            raise
        if isinstance(outcome.error, ConfigError):
            raise outcome.error
        self._add(source, outcome)

    @contextmanager
    def summary(self, sources: int) -> Iterator[None]:
        """Say at the end what became of all sources together; also at an early end by Ctrl-C."""
        try:
            yield
        except KeyboardInterrupt:
            self._summarise(sources)
            raise
        self._summarise(sources)

    def _summarise(self, sources: int) -> None:
        if sources > 1 and not self._as_json:
            self._screen.say(f"{sources} sources: {_counts(self._total)}; {self._failed} failed")

    def _add(self, source: str, outcome: Outcome) -> None:
        self._total += outcome.tally
        self._failed += outcome.error is not None
        if self._as_json:
            self._screen.write_json(_as_json(source, outcome))
            return
        said = f"{source}: {_counts(outcome.tally)}"
        self._screen.say(said)
        if self._screen.quiet and outcome.tally.rejected:
            complain(said)
        if outcome.unrecorded:
            complain(f"{source}: the ledger has no entry of it: {outcome.unrecorded}")
        if outcome.error:
            complain(f"{source} failed: {_why(source, outcome.error)}")


class InterruptedRunError(PipelineError):
    """Somebody pressed Ctrl-C."""


def _outcome(source: str, pipeline: Pipeline, progress: Progress) -> Outcome:
    ref = object_of(source)
    what = foreign(source) if pipeline.options.kind is None else None
    if what:
        error = ObjectNotAlbError(f"by its name it is {what}; to ingest it anyway, add --kind")
        return Outcome(Tally(), error)
    if ref is not None:
        progress.begin(source, None)
        return pipeline.ingest(ref)
    with open_source(source, progress) as stream:
        return ingest_stream(stream, source, store=pipeline.store, options=pipeline.options)


def _why(source: str, error: PipelineError) -> str:
    """Return why a source failed, without its name again, and whether another try may help."""
    why = str(error).removeprefix(f"{source}: ")
    if isinstance(error, RetriableError):
        return f"{why}. Run it again then: what is indexed already counts as duplicate"
    return why


def _as_json(source: str, outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    failure = None if error is None else {"type": type(error).__name__, "message": str(error)}
    return {"source": source, **outcome.tally.as_dict(), "error": failure}


def _counts(tally: Tally) -> str:
    terms = {name: count for name, count in tally.as_dict().items() if name != "bytes"}
    always = {"lines", "indexed", "duplicates", "rejected"}
    return ", ".join(
        f"{count:,} {name}" for name, count in terms.items() if count or name in always
    )
