"""Deadlines that do not wait, and the longest pause between attempts."""

from pipeline.deadline import Deadline


def at_once(pauses: list[float] | None = None, end: float = float("inf")) -> Deadline:
    """Return a deadline that notes each pause instead of waiting."""
    return Deadline(end, pause=([] if pauses is None else pauses).append)


def longest_pause(attempt: int) -> float:
    """Return the longest pause that may follow an attempt, by its number from 0."""
    return min(20.0, 0.25 * 2.0**attempt)
