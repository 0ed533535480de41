"""Say how many objects may be under way at once: fewer when Elasticsearch asks for patience."""

_CALM = 20
"""Objects without a refusal after which one more may be under way."""


class Pace:
    """
    How many objects are read at the same time.

    It halves when Elasticsearch refuses documents for having too much to do (429), and grows again
    one by one. A pace of one is never left: a body that is refused waits and is sent again anyway.
    """

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._calm = 0

    def note(self, *, throttled: bool) -> str | None:
        """Take in how an object went; return a sentence if the pace changes."""
        if throttled:
            self._calm = 0
            return self._change(max(1, self.now // 2), "Elasticsearch asks for patience (429)")
        self._calm += 1
        if self._calm < _CALM:
            return None
        self._calm = 0
        return self._change(min(self.most, self.now + 1), "Elasticsearch keeps pace again")

    def _change(self, to: int, why: str) -> str | None:
        if to == self.now:
            return None
        self.now = to
        return f"{why}: {to} of {self.most} objects at a time"
