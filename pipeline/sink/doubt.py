"""
Hold rejects back until one line shows that an object is an ALB log at all.

An object of something else, ingested by mistake, would fill the dead letters with its lines. So
rejects become dead letters only once a line of the object parses, wherever it is; or at its end,
where the object is too short to say.
"""

from dataclasses import dataclass, field, replace

from pipeline.errors import ObjectNotAlbError, TooManyRejectsError
from pipeline.sink.encoding import Batch, Reject

MOST_REJECTS = 10_000
"""Dead letters of one object, unless told otherwise: with more, something else is wrong."""

_ENOUGH_LINES = 20
"""So many lines, none of which parses, are no ALB log."""

_HELD_BYTES = 8 * 1024 * 1024
_HEAD_BYTES = 64
"""Kept of a line once more than 8 MiB are held; S3 still has all of it."""

_SAMPLE_BYTES = 8 * 1024
_MOST_BINARY = 0.3
_TEXT = bytes(range(32, 127)) + b"\t\r\n"


@dataclass(slots=True)
class Doubt:
    """
    The rejects of one object that are held back.

    `rejected` counts the lines rejected so far, those of earlier invocations included.
    """

    most_rejects: int = MOST_REJECTS
    rejected: int = 0
    _sure: bool = field(default=False, init=False)  # a line of the object was parsed
    _held: Batch = field(default_factory=lambda: Batch(read=0, size=0))
    _held_bytes: int = 0

    @property
    def holds(self) -> bool:
        """Return whether any line is held back."""
        return self._held.read > 0

    def weigh(self, batch: Batch) -> Batch:
        """
        Return what may be sent now: nothing in doubt, else the batch and all that was held.

        Raises TooManyRejectsError.
        """
        self.count(len(batch.rejects))
        if self._sure:
            return batch
        self._held = _joined(self._held, replace(batch, rejects=self._light(batch.rejects)))
        proven = batch.actions or batch.filtered  # only a line that parses is filtered
        return self._release() if proven else Batch(read=0, size=0)

    def count(self, rejects: int) -> None:
        """Count rejects; TooManyRejectsError if there are more than an object may have."""
        self.rejected += rejects
        if self.rejected > self.most_rejects:
            raise TooManyRejectsError(
                f"more than {self.most_rejects} lines were rejected: see their reasons in the dead "
                "letters, or that this is an ALB log; to go on all the same raise "
                "ALB_LOGS_MOST_REJECTS"
            )

    def settle(self) -> Batch:
        """Return what is held at the end of the object; ObjectNotAlbError if it is no ALB log."""
        held = self._held.rejects
        if held and _is_binary(held):
            raise ObjectNotAlbError(
                "its content is binary, such as a gzip within a gzip; nothing was dead-lettered"
            )
        if len(held) >= _ENOUGH_LINES:
            raise ObjectNotAlbError(
                f"none of its {len(held)} lines is one of an ALB log (the first: "
                f"{held[0].reason}); nothing was dead-lettered"
            )
        return self._release()

    def _release(self) -> Batch:
        released, self._held = self._held, Batch(read=0, size=0)
        self._sure = True
        return released

    def _light(self, rejects: list[Reject]) -> list[Reject]:
        """Return rejects as they are held: with their whole lines while there is room for them."""
        light: list[Reject] = []
        for reject in rejects:
            self._held_bytes += len(reject.line)
            light.append(reject if self._held_bytes <= _HELD_BYTES else _with_head_only(reject))
        return light


def _with_head_only(reject: Reject) -> Reject:
    length = len(reject.line) if reject.length is None else reject.length
    return replace(reject, line=reject.line[:_HEAD_BYTES], length=length)


def _joined(first: Batch, second: Batch) -> Batch:
    return Batch(
        read=first.read + second.read,
        size=first.size + second.size,
        actions=first.actions + second.actions,
        rejects=first.rejects + second.rejects,
        filtered=first.filtered + second.filtered,
        blank=first.blank + second.blank,
        fallback=first.fallback + second.fallback,
    )


def _is_binary(rejects: list[Reject]) -> bool:
    """Return whether the first lines are no text: much of it is neither ASCII nor UTF-8."""
    sample = b"".join(reject.line[:_SAMPLE_BYTES] for reject in rejects[:100])[:_SAMPLE_BYTES]
    odd = len(sample.translate(None, _TEXT))
    return odd > _MOST_BINARY * len(sample) and not _is_utf8(sample)


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(sample) - 3  # the sample may end within a character
    return True
