"""
Keep every rejected line: write its dead letter, with the raw bytes and the reason.

A dead letter has the id of its line, so a line that is rejected again is the same dead letter. It
is `rejected` only once Elasticsearch has acknowledged it.
"""

from collections.abc import Iterator, Sequence

from pipeline.alb.document import Context
from pipeline.deadline import Deadline
from pipeline.errors import ClusterRefusedError
from pipeline.sink.bulk import Replies, send
from pipeline.sink.encoding import Action, Batch, Reject, create_action
from pipeline.sink.letters import full_letter, general, minimal_letter
from pipeline.sink.refusals import Refused
from pipeline.sink.store import Store


def rejects_of(batch: Batch, replies: Replies, context: Context) -> list[Reject]:
    """Return all rejects of a batch: lines that did not parse, documents that were refused."""
    quoting = context.privacy.rejected_lines
    refused = [_refused(batch.actions[at], why, quoting) for at, why in replies.refused.items()]
    return batch.rejects + refused


def _refused(action: Action, why: Refused, quoting: bool) -> Reject:  # noqa: FBT001
    """Return the reject of a refused document; the reason quotes values of it."""
    message = why.reason if quoting else general(why.type)
    return Reject(action.id, why.type, message, action.line, action.offset)


def write_dead_letters(
    rejects: Sequence[Reject],
    *,
    context: Context,
    store: Store,
    deadline: Deadline,
    body_bytes: int,
) -> int:
    """
    Write the dead letters of rejects; return how many were acknowledged: all, or it raises.

    They go out in bodies of about `body_bytes`. One that Elasticsearch refuses is written again
    without the raw line, which S3 still holds at the letter's offset.
    """
    return sum(
        _write_body(letters, context, store, deadline)
        for letters in _bodies(rejects, context, store.dead_letters, body_bytes)
    )


def _bodies(
    rejects: Sequence[Reject], context: Context, index: str, body_bytes: int
) -> Iterator[list[tuple[Reject, Action]]]:
    """Yield rejects with their letters, as many as make one body."""
    body: list[tuple[Reject, Action]] = []
    size = 0
    for reject in rejects:
        letter = create_action(reject.id, index, full_letter(reject, context))
        if body and size + len(letter.text) > body_bytes:
            yield body
            body, size = [], 0
        body.append((reject, letter))
        size += len(letter.text)
    if body:
        yield body


def _write_body(
    letters: list[tuple[Reject, Action]], context: Context, store: Store, deadline: Deadline
) -> int:
    index = store.dead_letters
    replies = send([letter for _, letter in letters], es=store.es, deadline=deadline)
    refused = [letters[at][0] for at in replies.refused]
    minimal = [create_action(each.id, index, minimal_letter(each, context)) for each in refused]
    again = send(minimal, es=store.es, deadline=deadline)
    for why in again.refused.values():
        raise ClusterRefusedError(
            f"Elasticsearch refuses dead letters for what they hold ({why.type}: {why.reason}): "
            f"the mapping of {index} is not ours; delete its indices and run `alb-logs setup`"
        )
    return sum(each.created + each.duplicates for each in (replies, again))
