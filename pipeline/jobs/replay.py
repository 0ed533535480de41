"""
Send dead letters through today's parser, and remove those whose lines Elasticsearch has taken.

A letter is removed only after the index acknowledged its line, and only while it is still the
letter that was read. So the work may be interrupted at any moment: what was not removed is found
again, and what was indexed already is a duplicate then. All else stays as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from pipeline.alb.document import document_id, id_of_digest
from pipeline.alb.parsing import Reason
from pipeline.deadline import Deadline
from pipeline.errors import ClusterRefusedError, ObjectMissingError, PipelineError
from pipeline.ingest import MOST_INDICES, context_for
from pipeline.jobs.letterbox import FIELDS, Letter, Selection, find_letters
from pipeline.jobs.rereading import LinesAt
from pipeline.sink.bulk import send
from pipeline.sink.changes import Change, change
from pipeline.sink.encoding import Action, encode_chunk
from pipeline.sink.scanning import Wanted, read_again
from pipeline.source.reading import LONGEST_LINE, Chunk, LongLine
from pipeline.wiring import Pipeline

_NO_LIMIT = Deadline()


class End(StrEnum):
    """What becomes of a letter, beside the reasons for which its line is rejected again."""

    INDEXED = "indexed"
    FILTERED = "filtered"
    ERASED = "erased"
    CHANGED = "changed"
    NO_OBJECT = "no_object"
    OBJECT_MISSING = "object_missing"
    OBJECT_UNREADABLE = "object_unreadable"
    NOT_ITS_LINE = "not_its_line"
    TOO_MANY_INDICES = "too_many_indices"
    CLUSTER_REFUSED = "cluster_refused"


ABOUT = {
    End.INDEXED: "its line is indexed, and the dead letter removed",
    End.FILTERED: "a rule of ALB_LOGS_EXCLUDE, or a pipeline of the cluster, leaves its line out",
    End.ERASED: "its line was erased on a person's behalf, and is not read again",
    End.CHANGED: "somebody changed it meanwhile; its line is indexed: run the command again",
    End.NO_OBJECT: "it holds no raw line, and names no ALB log object to read it from",
    End.OBJECT_MISSING: "it holds no raw line, and its object is gone",
    End.OBJECT_UNREADABLE: "it holds no raw line, and its object cannot be read",
    End.NOT_ITS_LINE: "its id is not that of the line that it holds, or that is at its offset",
    End.TOO_MANY_INDICES: f"without an object's name, lines may be of {MOST_INDICES} days at most",
    End.CLUSTER_REFUSED: "Elasticsearch refuses for a cause that its operator must fix",
}
"""What each end means, for people."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one letter: an `End`, or the reason for which its line is rejected again."""

    letter: Letter
    end: str
    why: str = ""
    """What the error says, where there is one."""


class Replay:
    """One run; with `dry_run`, lines are parsed and nothing is written."""

    def __init__(
        self, pipeline: Pipeline, *, dry_run: bool = False, deadline: Deadline = _NO_LIMIT
    ) -> None:
        self._pipeline, self._dry_run, self._deadline = pipeline, dry_run, deadline
        self._waiting: list[tuple[Letter, Action]] = []
        self._waiting_bytes = 0
        self._indices: set[str] = set()
        self.new = 0
        """Documents that are new in Elasticsearch."""
        self.duplicates = 0
        """Documents that were there already."""

    def run(self, selection: Selection) -> Iterator[Fate]:
        """Yield what became of each letter; raise where no other would fare better."""
        store = self._pipeline.store
        wanted = Wanted(store.dead_letters, selection.query(), fields=FIELDS)
        found = find_letters(store.es, wanted, self._deadline)
        letters = filter(selection.includes, found)
        with closing(_Lines(self._pipeline, self._deadline)) as lines:
            for _, group in groupby(letters, lambda letter: (letter.bucket, letter.key)):
                yield from self._replay(group, lines)
        yield from self._index_waiting()

    def _replay(self, letters: Iterable[Letter], lines: "_Lines") -> Iterator[Fate]:
        """Encode the lines of one object's letters, as many at once as make a bulk body."""
        found: list[tuple[Letter, bytes]] = []
        size = 0
        for letter in letters:
            line = lines.of(letter)
            if isinstance(line, Fate):
                yield line
                continue
            found.append((letter, line))
            size += len(line)
            if size >= self._pipeline.options.chunk_bytes:
                yield from self._encode(found)
                found, size = [], 0
        if found:
            yield from self._encode(found)

    def _encode(self, found: Sequence[tuple[Letter, bytes]]) -> Iterator[Fate]:
        """Encode lines of one object; what parses waits to be indexed."""
        (first, _), store = found[0], self._pipeline.store
        name, options = first.name, self._pipeline.options
        context = context_for(store, options, name, bucket=first.bucket, key=first.key)
        # With \r\n, a line that itself ends with a carriage return keeps it.
        text = b"".join(line + b"\r\n" for _, line in found)
        batch = encode_chunk(Chunk(0, text, len(found)), context)
        actions = {action.id: action for action in batch.actions}
        rejects = {reject.id: reject.reason for reject in batch.rejects}
        for letter, _ in found:
            action = actions.get(letter.hit.id)
            if action is None:
                yield Fate(letter, rejects.get(letter.hit.id, End.FILTERED))
            elif name is None and not self._may_touch(action.index):
                yield Fate(letter, End.TOO_MANY_INDICES)
            elif self._dry_run:
                yield Fate(letter, End.INDEXED)
            else:
                self._waiting.append((letter, action))
                self._waiting_bytes += len(action.text)
        if self._waiting_bytes >= self._pipeline.options.bulk_bytes:
            yield from self._index_waiting()

    def _may_touch(self, index: str) -> bool:
        """Return whether lines without an object's name, which bounds their time, may go there."""
        if len(self._indices) < MOST_INDICES:
            self._indices.add(index)
        return index in self._indices

    def _index_waiting(self) -> Iterator[Fate]:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        # A line that was rejected in two weeks has two letters.
        ends = self._index(list({action.id: action for _, action in waiting}.values()))
        taken = [letter for letter, action in waiting if ends[action.id][0] == End.INDEXED]
        kept = set(self._remove(taken))
        for letter, action in waiting:
            end, why = ends[action.id]
            yield Fate(letter, End.CHANGED if letter.hit.place in kept else end, why)

    def _index(self, actions: Sequence[Action]) -> dict[str, tuple[str, str]]:
        """Index documents; return the end of each by its id, and what the error says."""
        try:
            return self._send(actions)
        except ClusterRefusedError as error:
            self._pipeline.store.forget()
            indices = {action.index for action in actions}
            if len(indices) == 1:
                refused = (End.CLUSTER_REFUSED, str(error))
                return {action.id: refused for action in actions}
        ends: dict[str, tuple[str, str]] = {}
        for index in sorted(indices):  # the others may be well
            ends |= self._index([action for action in actions if action.index == index])
        return ends

    def _send(self, actions: Sequence[Action]) -> dict[str, tuple[str, str]]:
        store = self._pipeline.store
        store.admit({action.index for action in actions}, deadline=self._deadline)
        replies = send(actions, es=store.es, deadline=self._deadline)
        self.new += replies.created
        self.duplicates += replies.duplicates
        ends = {action.id: (End.INDEXED.value, "") for action in actions}
        if replies.filtered:  # by a pipeline of the cluster; the replies do not say which
            places = [(action.index, action.id) for action in actions]
            there = read_again(store.es, places, self._deadline)
            missing = {id_ for index, id_ in places if (index, id_) not in there}
            ends |= dict.fromkeys(missing, (End.FILTERED.value, ""))
        return ends | {actions[at].id: (why.type, "") for at, why in replies.refused.items()}

    def _remove(self, letters: Sequence[Letter]) -> Iterator[tuple[str, str]]:
        """Remove letters; yield where those are that are another version by now."""
        es = self._pipeline.store.es
        for changed in change(
            (Change(letter.hit) for letter in letters), es=es, deadline=self._deadline
        ):
            places = [each.of.place for each in changed.conflicts]
            yield from read_again(es, places, self._deadline)


class _Lines:
    """The raw lines of letters: from the letters themselves, or from their object, read once."""

    def __init__(self, pipeline: Pipeline, deadline: Deadline) -> None:
        self._pipeline, self._deadline = pipeline, deadline
        self._object: LinesAt | None = None

    def of(self, letter: Letter) -> bytes | Fate:
        """Return a letter's line, if it is the one that the letter has the id of."""
        if letter.erased:
            return Fate(letter, End.ERASED)
        found = self._read(letter) if letter.line is None else letter.line
        return _checked(letter, found) if isinstance(found, bytes) else found

    def close(self) -> None:
        """Let go of the object."""
        if self._object:
            self._object.close()

    def _read(self, letter: Letter) -> bytes | Fate:
        if (lines := self._object_of(letter)) is None or letter.offset is None:
            return Fate(letter, End.NO_OBJECT)
        try:
            line = lines.at(letter.offset)
        except ObjectMissingError:
            return Fate(letter, End.OBJECT_MISSING)
        except PipelineError as error:
            return Fate(letter, End.OBJECT_UNREADABLE, str(error))
        if isinstance(line, LongLine):
            own = id_of_digest(line.digest) == letter.hit.id
            return Fate(letter, Reason.LINE_TOO_LONG if own else End.NOT_ITS_LINE)
        return Fate(letter, End.NOT_ITS_LINE) if line is None else line

    def _object_of(self, letter: Letter) -> LinesAt | None:
        """Return a letter's object; a letter leads to no other than a notification could."""
        if not (letter.bucket and letter.key and letter.name):
            return None
        if self._object is None or self._object.place != (letter.bucket, letter.key):
            self.close()
            self._object = LinesAt(self._pipeline, letter.bucket, letter.key, self._deadline)
        return self._object


def _checked(letter: Letter, line: bytes) -> bytes | Fate:
    if len(line) > LONGEST_LINE:
        return Fate(letter, Reason.LINE_TOO_LONG)
    is_line = b"\n" not in line and line.strip(b" \t")
    if not is_line or document_id(line) != letter.hit.id:
        return Fate(letter, End.NOT_ITS_LINE)
    return line
