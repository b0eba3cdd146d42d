"""Rank correlation: as it is usually tested, and within strata."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workbench.statistics.clusters import Floats, column
from workbench.statistics.intervals import LEVEL, Estimate


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Spearman's rho with its interval and p, all None where it is undefined."""

    rho: Estimate
    p: float | None
    test: str


def spearman(x: ArrayLike, y: ArrayLike) -> RankCorrelation:
    """Spearman's rho as scipy computes it, with the interval of Bonett & Wright (2000, Psychometrika 65:23-28):
    Fisher's z with the variance (1 + rho²/2) / (n - 3). Undefined for fewer than 4 pairs or a constant side."""
    first, second = _pair(x, y)
    if len(first) < 4 or _constant(first) or _constant(second):
        return RankCorrelation(Estimate(None, None, None, len(first), "spearman"), None, "t")
    found = stats.spearmanr(first, second)
    return RankCorrelation(_interval(float(found.statistic), len(first), 1), float(found.pvalue), "t")


def stratified_spearman(
    x: ArrayLike, y: ArrayLike, strata: Sequence[Hashable], *, draws: int = 5000, seed: int = 0
) -> RankCorrelation:
    """Rank correlation within strata: both sides are ranked within each stratum, put on a scale of -1 to 1 there, and
    correlated over all; p by `draws` seeded permutations within the strata, (k + 1) / (draws + 1), two-sided.

    So a difference between the strata (another scale of counts, another rate) cannot make a correlation. With one
    stratum rho is Spearman's. Strata of one row do not count.
    """
    first, second = _pair(x, y)
    if len(strata) != len(first):
        raise ValueError(f"x and strata differ in length: {len(first)} and {len(strata)}")
    members: dict[Hashable, list[int]] = {}
    for place, key in enumerate(strata):
        members.setdefault(key, []).append(place)
    kept = [np.array(places) for places in members.values() if len(places) > 1]
    left = [_ranked(first[places]) for places in kept]
    right = [_ranked(second[places]) for places in kept]
    n = sum(map(len, left))
    scale = math.sqrt(sum(float(a @ a) for a in left) * sum(float(b @ b) for b in right))
    if n < 4 or scale == 0:
        return RankCorrelation(Estimate(None, None, None, n, "spearman within strata"), None, "permutation")
    rho = sum(float(a @ b) for a, b in zip(left, right, strict=True)) / scale
    rng = np.random.default_rng(seed)
    drawn = sum(rng.permuted(np.tile(a, (draws, 1)), axis=1) @ b for a, b in zip(left, right, strict=True)) / scale
    p = (int((np.abs(drawn) >= abs(rho) - 1e-12).sum()) + 1) / (draws + 1)
    return RankCorrelation(
        _interval(rho, n, len(left)), p, "permutation within strata" if len(left) > 1 else "permutation"
    )


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    first, second = column(x, "x"), column(y, "y")
    if len(first) != len(second):
        raise ValueError(f"x and y differ in length: {len(first)} and {len(second)}")
    return first, second


def _constant(values: Floats) -> bool:
    return bool((values == values[0]).all())


def _ranked(values: Floats) -> Floats:
    """Ranks about 0, on a scale from -1 to 1."""
    ranks = stats.rankdata(values)
    return np.asarray((2 * ranks - len(ranks) - 1) / (len(ranks) - 1), dtype=np.float64)


def _interval(rho: float, n: int, strata: int) -> Estimate:
    freedom = n - strata - 2
    if freedom < 1 or abs(rho) >= 1 - 1e-12:
        return Estimate(rho, None, None, n, "spearman")
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt((1 + rho**2 / 2) / freedom)
    centre = math.atanh(rho)
    return Estimate(rho, math.tanh(centre - half), math.tanh(centre + half), n, "spearman")
