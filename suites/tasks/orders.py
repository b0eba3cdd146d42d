"""Counterbalanced orders of a list of candidates.

For K candidates there are K presentations, 0 being the stored order. They are the rows of a Latin square: over all of
them every candidate stands in every place once (and, where K is even, follows every other one once: a Williams design).
The rows are so arranged that over the first m of them, for any m, the groups hold the first place as equally as can be,
and then the other places too, as far as a greedy choice of the next row brings it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=256)
def presentations(groups: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """K orders of the indices 0…K−1, where `groups` names each candidate's group (for instance its region)."""
    size = len(groups)
    zigzag = [(place + 1) // 2 if place % 2 else (size - place // 2) % size for place in range(size)]
    index_of = {step: place for place, step in enumerate(zigzag)}
    rows = [tuple(index_of[(step + shift) % size] for step in zigzag) for shift in range(size)]
    kinds = sorted(set(groups))
    held = [dict.fromkeys(kinds, 0) for _ in range(size)]
    chosen = [rows.pop(0)]
    _count(held, chosen[0], groups)
    while rows:
        best = min(rows, key=lambda row: _cost(held, row, groups))
        rows.remove(best)
        chosen.append(best)
        _count(held, best, groups)
    return tuple(chosen)


def _count(held: list[dict[str, int]], row: Sequence[int], groups: Sequence[str]) -> None:
    for place, index in enumerate(row):
        held[place][groups[index]] += 1


def _cost(held: list[dict[str, int]], row: Sequence[int], groups: Sequence[str]) -> tuple[int, int]:
    """How often the row's groups have held its first place, then all places squared: what it would make uneven."""
    first = held[0][groups[row[0]]]
    return first, sum(2 * held[place][groups[index]] + 1 for place, index in enumerate(row))
