"""How photos of any shape share the rows of a contact sheet."""

import math
from collections.abc import Sequence

# Sum of width over height that one row takes: six squares, or four photos of 3:2.
_ROOM = 6.2

BLANK_ASPECT = 1.5
"""Width over height of what stands in for a photo that can no longer be read."""


def balanced_rows(aspects: Sequence[float]) -> list[int]:
    """How many photos each row takes, so that all rows come out about equally high.

    Args:
        aspects: Width over height of each photo, in their order.
    """
    total = sum(aspects)
    rows = min(len(aspects), math.ceil(total / _ROOM))
    counts = [0] * rows
    covered = 0.0
    for aspect in aspects:
        # The row in which the photo's middle lies when all are laid out in one long band.
        middle = (covered + aspect / 2) / total
        counts[min(rows - 1, int(middle * rows))] += 1
        covered += aspect
    return [count for count in counts if count]
