"""How many presentations it takes until a share no longer moves."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from workbench.statistics.clusters import column


def running_share(values: ArrayLike, steps: Sequence[int]) -> list[float | None]:
    """The mean of the first 1..n rows (0..1) at each number of rows in `steps`; None where there are fewer rows."""
    rows = column(values)
    return [float(rows[:step].mean()) if 0 < step <= len(rows) else None for step in steps]


def settles_at(shares: Sequence[float], within: float) -> int | None:
    """The first place from which on every share lies within `within` of the last one; None for fewer than three shares,
    and where only the last is (then it has not settled yet, as far as one can see)."""
    if len(shares) < 3:
        return None
    place = len(shares) - 1
    while place > 0 and abs(shares[place - 1] - shares[-1]) <= within + 1e-12:
        place -= 1
    return place if place < len(shares) - 1 else None
