"""Does a ranking on one half of the dimensions predict the ranking on the other?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workbench.statistics.intervals import LEVEL

FEWEST_ENTITIES = 4
FEWEST_DIMENSIONS = 4


@dataclass(frozen=True, slots=True)
class SplitHalf:
    """Spearman's rank correlation between the two halves, over many splits; None where there is too little to split."""

    mean: float | None
    low: float | None
    high: float | None
    """Central 95 % of the splits: how much depends on which dimensions were taken."""
    entities: int
    dimensions: int
    splits: int
    """Splits that gave a correlation."""


def split_half(table: ArrayLike, *, splits: int = 200, seed: int = 0) -> SplitHalf:
    """Split-half rank correlation (C. Spearman 1910, British J. of Psychology 3:271-295) over seeded random splits.

    `table`: entities × dimensions (any unit), nan where an entity has no value. An entity's score on a half is the mean
    of its values there; entities without any on a half are left out of that split, and a split with fewer than 4
    entities, or with a half on which all are equal, is not counted. ValueError for a table that is not two-dimensional.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"table: expected entities × dimensions, got shape {values.shape}")
    entities, dimensions = values.shape
    nothing = SplitHalf(None, None, None, entities, dimensions, 0)
    if entities < FEWEST_ENTITIES or dimensions < FEWEST_DIMENSIONS:
        return nothing
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(splits):
        order = rng.permutation(dimensions)
        halves = [_means(values[:, half]) for half in (order[: dimensions // 2], order[dimensions // 2 :])]
        kept = ~(np.isnan(halves[0]) | np.isnan(halves[1]))
        one, other = halves[0][kept], halves[1][kept]
        if kept.sum() < FEWEST_ENTITIES or np.ptp(one) < 1e-12 or np.ptp(other) < 1e-12:
            continue
        found.append(float(stats.spearmanr(one, other).statistic))
    if not found:
        return nothing
    low, high = (float(x) for x in np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return SplitHalf(float(np.mean(found)), low, high, entities, dimensions, len(found))


def _means(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The mean of each row's known values; nan for a row without any."""
    known = ~np.isnan(values)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    means: np.ndarray[tuple[int], np.dtype[np.float64]] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means
