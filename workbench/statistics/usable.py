"""Answers that could not be read: their share, and what they could have done to the figure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from workbench.statistics.clusters import cluster_means
from workbench.statistics.intervals import Estimate, wilson

WARN_ABOVE = 0.1
"""Share of unusable answers above which a row carries a warning."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A share with all unusable answers counted against it, and for it; None when nothing was asked."""

    low: float | None
    high: float | None


def bounds(successes: int, usable: int, total: int) -> Bounds:
    """Lower and upper bound of a share of single verdicts. ValueError unless 0 <= successes <= usable <= total."""
    if not 0 <= successes <= usable <= total:
        raise ValueError(f"expected 0 <= successes <= usable <= total, got {successes}, {usable}, {total}")
    if total == 0:
        return Bounds(None, None)
    return Bounds(successes / total, (successes + total - usable) / total)


def clustered_bounds(values: Sequence[float | None], clusters: Sequence[Hashable]) -> Bounds:
    """The same for the mean of cluster means: `values` are verdicts within 0..1, None where unusable."""
    if any(value is not None and not 0 <= value <= 1 for value in values):
        raise ValueError("values: every value must be None or lie within 0 and 1")
    if not values:
        return Bounds(None, None)
    low, high = (
        float(cluster_means([filled if value is None else value for value in values], clusters).means.mean())
        for filled in (0.0, 1.0)
    )
    return Bounds(low, high)


def unusable_share(usable: int, total: int) -> Estimate:
    """Share of answers that were unusable, with its Wilson interval. ValueError unless 0 <= usable <= total."""
    if not 0 <= usable <= total:
        raise ValueError(f"expected 0 <= usable <= total, got {usable}, {total}")
    return wilson(total - usable, total)


def usable_pairs(a: Sequence[float | None], b: Sequence[float | None]) -> tuple[list[float], list[float]]:
    """The items that are usable on both sides, in order. ValueError when the lengths differ."""
    if len(a) != len(b):
        raise ValueError(f"a and b differ in length: {len(a)} and {len(b)}")
    both = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return [x for x, _ in both], [y for _, y in both]
