"""Read single lines of an object again, at their offsets, in one pass over the object."""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, cast

from pipeline.deadline import Deadline
from pipeline.errors import PipelineError
from pipeline.source.reading import Chunk, LongLine, ObjectReader, without_end
from pipeline.wiring import Pipeline

if TYPE_CHECKING:
    Chunks = Generator[Chunk | LongLine, None, None]


class LinesAt:
    """
    The lines of one object; it is opened for the first of them, and read as far as the last.

    Offsets may only grow: gzip is read from its start, and no object is read twice.
    """

    def __init__(self, pipeline: Pipeline, bucket: str, key: str, deadline: Deadline) -> None:
        self._pipeline, self._bucket, self._key = pipeline, bucket, key
        self._deadline = deadline
        self._chunks: Chunks | None = None
        self._chunk: Chunk | LongLine | None = None
        self._error: PipelineError | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Return the object's bucket and key."""
        return self._bucket, self._key

    def at(self, offset: int) -> bytes | LongLine | None:
        """
        Return the line that begins at an offset, without its line end; None if none does.

        Raises what an ObjectReader raises, and again for every later line.
        """
        if self._error:
            raise self._error
        try:
            while self._chunk is None or self._chunk.end <= offset:
                self._chunk = next(self._opened(), None)
                if self._chunk is None:
                    return None
        except PipelineError as error:
            self._error = error
            raise
        return _line_of(self._chunk, offset)

    def close(self) -> None:
        """Let go of the object."""
        if self._chunks is not None:
            self._chunks.close()
        self._chunks = self._chunk = None

    def _opened(self) -> Iterator[Chunk | LongLine]:
        if self._chunks is None:
            reader = ObjectReader(
                self._bucket,
                self._key,
                s3=self._pipeline.buckets.client_of(self._bucket),
                chunk_bytes=self._pipeline.options.chunk_bytes,
                deadline=self._deadline,
            )
            self._chunks = cast("Chunks", iter(reader))
        return self._chunks


def _line_of(chunk: Chunk | LongLine, offset: int) -> bytes | LongLine | None:
    begin = offset - chunk.offset
    if isinstance(chunk, LongLine):
        return chunk if begin == 0 else None
    if begin < 0 or (begin and chunk.data[begin - 1 : begin] != b"\n"):
        return None
    end = chunk.data.find(b"\n", begin) + 1
    return without_end(chunk.data[begin : end or len(chunk.data)])
