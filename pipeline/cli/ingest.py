"""The command `ingest`: carry single objects or files into Elasticsearch, now."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.cli.parse import KINDS, open_source
from pipeline.clients.buckets import Buckets
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.errors import ConfigError, PipelineError
from pipeline.ingest import Options, context_of, ingest_object, ingest_stream, with_name
from pipeline.outcome import Outcome, Tally
from pipeline.sink.store import Store, open_store
from pipeline.source.objects import ObjectRef

_S3_URL = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Run:
    buckets: Buckets
    store: Store
    options: Options


def _check_files(
    _context: click.Context, _parameter: click.Parameter, sources: tuple[str, ...]
) -> tuple[str, ...]:
    """Find a misspelt name before anything is indexed."""
    for source in sources:
        there = source == "-" or (Path(source).exists() and not Path(source).is_dir())
        if not there and not _S3_URL.fullmatch(source):
            raise click.BadParameter(f"there is no file {source}; an S3 object is s3://BUCKET/KEY")
    return sources


@click.command(short_help="Index one S3 object or file now.")
@click.argument(
    "sources", nargs=-1, required=True, metavar="s3://BUCKET/KEY|FILE…", callback=_check_files
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="auto",
    show_default=True,
    help="Which log it is; auto: the object's name tells, else each line.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per source.")
def ingest(sources: tuple[str, ...], kind: str, *, as_json: bool) -> None:
    """
    Index single S3 objects or local files, plain or gzip; - is standard input.

    What is indexed already is counted as duplicate, so it is always safe to run it again. Lines
    that can not be indexed become dead letters, with the reason.

    \b
    Examples:
      alb-logs ingest s3://my-logs/AWSLogs/123456789012/elasticloadbalancing/…/….log.gz
      alb-logs ingest downloads/*.log.gz
      zcat old.log.gz | alb-logs ingest --kind access -

    Exit codes: 0 all indexed, 1 a source failed, 2 a setting or a source's name is wrong.
    """  # noqa: D301  \b is click's
    config = Config.from_env()
    store = open_store(make_elasticsearch(config), config.index_prefix)
    options = options_of(config, kind=None if kind == "auto" else Kind(kind))
    run = _Run(Buckets(dict(config.bucket_roles)), store, options)
    total, failed = Tally(), 0
    for source, outcome in _outcomes(sources, run):
        total += outcome.tally
        failed += outcome.error is not None
        _report(source, outcome, as_json=as_json)
    if len(sources) > 1 and not as_json:
        click.echo(f"{len(sources)} sources: {_counts(total)}; {failed} failed")
    sys.exit(1 if failed else 0)


def options_of(config: Config, *, kind: Kind | None = None) -> Options:
    """Give what the settings say of how to ingest."""
    return Options(config.es_connections, config.bulk_bytes, config.keep_original, kind)


def _outcomes(sources: tuple[str, ...], run: _Run) -> Iterator[tuple[str, Outcome]]:
    with click.progressbar(
        sources,
        label="Indexing",
        file=sys.stderr,
        hidden=not sys.stderr.isatty() or len(sources) < 2,  # noqa: PLR2004
    ) as progress:
        for source in progress:
            outcome = _ingest_one(source, run)
            if isinstance(outcome.error, ConfigError):  # the next one would fail just so
                raise outcome.error
            yield source, outcome


def _ingest_one(source: str, run: _Run) -> Outcome:
    url = _S3_URL.fullmatch(source)
    if url is None:
        return _ingest_file(source, run)
    ref = ObjectRef(bucket=url[1], key=url[2], name=_name(url[2]))
    try:
        s3 = run.buckets.client_of(ref.bucket)
    except PipelineError as error:
        return Outcome(Tally(), error)
    return ingest_object(ref, s3=s3, store=run.store, options=run.options)


def _ingest_file(source: str, run: _Run) -> Outcome:
    context = with_name(context_of(run.store, run.options), _name(source))
    with open_source(source) as stream:
        return ingest_stream(stream, source, context=context, store=run.store, options=run.options)


def _name(key: str) -> ObjectName | None:
    name = classify_key(key)
    return name if isinstance(name, ObjectName) else None


def _report(source: str, outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_json(source, outcome)))
        return
    click.echo(f"{source}: {_counts(outcome.tally)}")
    if outcome.error:
        click.echo(f"alb-logs: {source} failed: {outcome.error}", err=True)


def _as_json(source: str, outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    told = None if error is None else {"type": type(error).__name__, "message": str(error)}
    return {"source": source, **outcome.tally.as_dict(), "error": told}


def _counts(tally: Tally) -> str:
    terms = {name: count for name, count in tally.as_dict().items() if name != "bytes"}
    always = {"lines", "indexed", "duplicates", "rejected"}
    return ", ".join(
        f"{count:,} {name}" for name, count in terms.items() if count or name in always
    )
