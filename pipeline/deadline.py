"""Say until when work is worth trying: the one notion of time that all stages share."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 20.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """
    A moment, or sooner: the work may be given up before it.

    `end` is a moment of the monotonic clock, in seconds. `pause` waits; tests bring their own.
    """

    end: float = math.inf
    pause: Callable[[float], object] | None = None
    _given_up: Event = field(default_factory=Event, compare=False)

    def within(self, seconds: float) -> "Deadline":
        """Return the sooner of this deadline and one so many seconds from now."""
        return replace(self, end=min(self.end, time.monotonic() + seconds))

    def sooner_by(self, seconds: float) -> "Deadline":
        """Return the deadline that many seconds before this one."""
        return replace(self, end=self.end - seconds)

    def apart(self) -> "Deadline":
        """Return the same moment; giving up the one leaves the other its time."""
        return replace(self, _given_up=Event())

    @property
    def seconds_left(self) -> float:
        """Return the seconds left; none once the work was given up."""
        return 0.0 if self._given_up.is_set() else max(0.0, self.end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Return whether no time is left."""
        return self.seconds_left <= 0.0

    def give_up(self) -> None:
        """Leave no time to this deadline, nor to any that was derived from it."""
        self._given_up.set()

    def back_off(self, attempt: int, *, first: float = _FIRST_PAUSE) -> bool:
        """
        Wait before the next attempt, counted from 0; return False at once if there is no time.

        A pause is half to all of `first` seconds, doubled with each attempt, at most of 20 s:
        clients that failed together come back apart.
        """
        pause = min(_LONGEST_PAUSE, first * 2.0**attempt) * random.uniform(0.5, 1.0)
        if pause >= self.seconds_left:
            return False
        (self.pause or self._given_up.wait)(pause)
        return True
