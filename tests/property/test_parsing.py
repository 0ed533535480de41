"""What holds for any line: parsing restores what was rendered, and never raises."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import orjson
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alb.document import Context
from pipeline.alb.fields import COLUMNS, FIRST_GENERATION, Form, Kind
from pipeline.alb.parsing import TIME_COLUMN, Record, Unparsed, Value, parse_line
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.source.reading import Chunk
from tests.support.factories import alb_line

LATEST = "2026-11-23T00:00:00Z"
KINDS = st.sampled_from(Kind)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text != "-"
)
instants = st.datetimes(datetime(2016, 1, 2), datetime(2026, 11, 22), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
)
VALUES: dict[Form, st.SearchStrategy[Value]] = {
    Form.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Form.SECONDS: st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=6),
    Form.INSTANT: instants,
    Form.VALIDITY: st.tuples(instants, instants).map("NotBefore={0[0]};NotAfter={0[1]}".format),
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw a record of any kind and generation, with some columns absent."""
    kind = draw(KINDS)
    columns = COLUMNS[kind]
    generation = draw(st.integers(FIRST_GENERATION[kind], len(columns)))
    values = {}
    for column in columns[:generation]:
        if column.name == TIME_COLUMN[kind] or draw(st.booleans()):
            values[column.name] = draw(VALUES.get(column.form, texts))
    extra = draw(st.lists(texts, max_size=3)) if generation == len(columns) else []
    return Record(kind, values, tuple(extra))


def render(record: Record) -> bytes:
    """Write a record as the load balancer would, every value in quotes."""
    named = [record.values.get(column.name) for column in COLUMNS[record.kind]]
    while len(named) > FIRST_GENERATION[record.kind] and named[-1] is None and not record.extra:
        named.pop()
    return b" ".join(map(quoted, [*named, *record.extra]))


def quoted(value: Value | None) -> bytes:
    """Escape a value as nginx does."""
    text = "-" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
    escaped = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02X}"
        for byte in text.encode()
    )
    return f'"{escaped}"'.encode()


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that must not depend on how lines were chunked."""

    items: list[bytes]
    rejects: list[tuple[str, str, int]]
    blank: int

    @classmethod
    def of(cls, *batches: Batch) -> "Shape":
        """Join batches."""
        return cls(
            [action.text.encode() for batch in batches for action in batch.actions],
            [(each.id, each.reason, each.offset) for batch in batches for each in batch.rejects],
            sum(batch.blank for batch in batches),
        )


@given(records())
def test_what_was_rendered_is_parsed(record: Record) -> None:
    """Parsing the line rendered from a record returns the record, whatever its texts hold."""
    assert parse_line(render(record), record.kind, latest=LATEST) == record


@given(st.binary(), KINDS)
def test_no_bytes_raise(line: bytes, kind: Kind) -> None:
    """Any bytes are a record or have a reason why not."""
    assert isinstance(parse_line(line, kind, latest=LATEST), Record | Unparsed)


@given(st.data())
def test_no_damaged_line_raises(data: st.DataObject) -> None:
    """A real line with any bytes anywhere in it becomes a document in valid JSON, or a reject."""
    line = alb_line()
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, min(len(line), start + 20)))
    damaged = line[:start] + data.draw(st.binary(max_size=30)) + line[end:]
    chunk = Chunk(0, damaged + b"\n", (damaged + b"\n").count(b"\n"))

    batch = encode_chunk(chunk, Context(latest=LATEST))

    assert len(batch.actions) + len(batch.rejects) + batch.blank == chunk.lines
    for item in (action.text.encode() for action in batch.actions):
        action, document = item.splitlines()
        assert orjson.loads(action)["create"]["_index"].startswith("alb-logs-")
        assert orjson.loads(document)["@timestamp"]


LINES = st.sampled_from(
    [alb_line(1), alb_line(2), b"", b" \t", b"no line", b'"', alb_line(3) + b"\r"]
)


@given(st.lists(LINES, max_size=12), st.booleans(), st.data())
def test_chunking_makes_no_difference(lines: list[bytes], ended: bool, data: st.DataObject) -> None:  # noqa: FBT001
    """Lines become the same items, rejects and blanks in one chunk as in several."""
    text = b"\n".join(lines) + (b"\n" if ended else b"")
    cut = data.draw(st.integers(0, text.count(b"\n")))
    head = b"".join(line + b"\n" for line in text.split(b"\n")[:cut])
    context = Context(latest=LATEST)

    whole = encode_chunk(Chunk(0, text, 0), context)
    first = encode_chunk(Chunk(0, head, 0), context)
    second = encode_chunk(Chunk(len(head), text[len(head) :], 0), context)

    assert Shape.of(first, second) == Shape.of(whole)
