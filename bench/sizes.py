"""Define how much is measured: more takes longer and varies less."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """
    How many lines and rounds each part gets.

    `objects` are the sizes of the objects that memory is measured with, in bytes, decompressed, and
    `many` the numbers of small objects.
    """

    parsed: int
    parsing_rounds: int
    split_rounds: int
    indexed: int
    indexing_rounds: int
    objects: tuple[int, int]
    many: tuple[int, int]


SIZES = {
    "tiny": Sizes(400, 1, 1, 400, 1, (MIB, 2 * MIB), (5, 10)),
    "quick": Sizes(8_000, 5, 3, 30_000, 3, (64 * MIB, 256 * MIB), (200, 1_000)),
    "default": Sizes(20_000, 9, 5, 80_000, 7, (256 * MIB, 1024 * MIB), (500, 5_000)),
    "full": Sizes(20_000, 9, 5, 80_000, 7, (1024 * MIB, 4096 * MIB), (1_000, 10_000)),
}
