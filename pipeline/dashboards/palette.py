"""The one palette: what a colour says is the same on every panel."""

from dataclasses import dataclass

GOOD, INFO, WARN, BAD = "#209280", "#6092c0", "#d6bf57", "#cc5642"
OTHER = "#98a2b3"
CALM = "#e6f1ee"
"""Nothing is wrong, where good would be too loud."""

SERIES = ("#6092c0", "#54b399", "#9170b8", "#d36086", "#ca8eae", "#b9a888")
"""Things that are neither good nor bad."""

TEXT = "#69707d"
"""What is calm, where a number itself is coloured."""

HEAT = ("#e3ecf5", "#b5cce3", "#86abd0", "#5889bd", "#2f68a5")


@dataclass(frozen=True, slots=True)
class Levels:
    """From which value on a number has which colour, ascending; the first is from below."""

    colors: tuple[str, ...]
    limits: tuple[float, ...]
    end: float
    """A value above all that are expected."""


ERROR_SHARE = Levels((GOOD, WARN, BAD), (0.01, 0.05), end=1)
CLIENT_ERROR_SHARE = Levels((GOOD, WARN, BAD), (0.1, 0.3), end=1)
TARGET_SECONDS = Levels((GOOD, WARN, BAD), (0.5, 2), end=3_600)
LAG_SECONDS = Levels((GOOD, WARN, BAD), (600, 1_800), end=1e7)
ANY_IS_SEEN = Levels((CALM, WARN), (1,), end=1e12)
ANY_IS_ODD = Levels((OTHER, WARN, BAD), (1, 1_000), end=1e12)
ANY_IS_BAD = Levels((CALM, WARN, BAD), (1, 10), end=1e12)
