"""Say how many objects may be under way at once: fewer when Elasticsearch asks for patience."""

_CALM = 20
"""Objects without a refusal after which one more may be under way."""


class Pace:
    """
    How many objects are read at the same time.

    It halves when Elasticsearch refuses documents for having too much to do (429), or takes none,
    and grows again one by one. Objects that were begun before it was halved do not halve it again.
    A pace of one is never left: a body that is refused waits and is sent again anyway.
    """

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._calm = self._begun_before = 0

    def note(self, *, throttled: bool) -> str | None:
        """Take in how an object went; return a sentence if the pace changes."""
        begun_before = self._begun_before > 0
        self._begun_before -= begun_before
        self._calm = 0 if throttled else self._calm + 1
        if throttled and not begun_before:
            self._begun_before = self.now - 1
            return self._change(max(1, self.now // 2), "Elasticsearch does not keep up")
        if self._calm < _CALM:
            return None
        self._calm = 0
        return self._change(min(self.most, self.now + 1), "Elasticsearch keeps up again")

    def _change(self, to: int, why: str) -> str | None:
        if to == self.now:
            return None
        self.now = to
        return f"{why}: {to} of {self.most} objects at a time"
