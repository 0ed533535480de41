"""
Create an empty index of each kind that has none, for those who look before the first line.

Kibana knows fields by the indices that have them: without one, panels show errors instead of 0.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from elasticsearch import AuthorizationException, Elasticsearch

from pipeline.alb.document import Context, index_name
from pipeline.alb.fields import Kind
from pipeline.cluster.templates import Layout
from pipeline.sink.refusals import elasticsearch_errors

_EXISTS = 400


def create_first_indices(es: Elasticsearch, layout: Layout) -> bool:
    """Create what is missing; return False where the user may not."""
    quiet = es.options(ignore_status=_EXISTS)
    with elasticsearch_errors():
        try:
            for pattern, name in _firsts(layout):
                if not es.indices.get(index=pattern):
                    quiet.indices.create(index=name)
        except AuthorizationException:
            return False
    return True


def _firsts(layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield the indices of each kind, and the name of the one of today."""
    now = datetime.now(UTC)
    context = Context(latest=now.isoformat(), prefix=layout.prefix, period=layout.period)
    for kind in Kind:
        yield f"{layout.prefix}-{kind}-*", index_name(kind, now.isoformat(), context)
    yield f"{layout.prefix}-ledger-*", f"{layout.prefix}-ledger-{now:%Y.%m}.01"
