"""Say in the log that Elasticsearch keeps the work waiting, for nobody likes to wonder why."""

import logging
import time
from dataclasses import dataclass, field

FIRST_SECONDS = 5.0
NEXT_SECONDS = 30.0
_LONGEST_CAUSE = 200

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Silence:
    """
    The time since Elasticsearch last took something; the log says so after 5 s and every 30 s.

    Several threads may share one: what each of them notes is the cause that is named next.
    """

    _begun: float = field(default_factory=lambda: time.monotonic())  # noqa: PLW0108  looked up late
    _next: float = FIRST_SECONDS
    _cause: str = ""

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the log has to say so."""
        return max(0.0, self._begun + self._next - time.monotonic())

    def end(self) -> None:
        """Begin again: Elasticsearch took something, or is given something to take."""
        self._begun, self._next, self._cause = time.monotonic(), FIRST_SECONDS, ""

    def note(self, cause: str) -> None:
        """Note why an attempt failed, and say so if it is time."""
        self._cause = cause[:_LONGEST_CAUSE]
        self.tell()

    def tell(self) -> None:
        """Say how long it has lasted, if it is time."""
        if self.seconds_left > 0:
            return
        self._next += NEXT_SECONDS
        _logger.warning(
            "Elasticsearch has taken nothing for %.0f s (%s); still trying",
            time.monotonic() - self._begun,
            self._cause or "no answer",
        )
