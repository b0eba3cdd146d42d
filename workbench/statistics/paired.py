"""Two sides over the same items: tests of no difference, and the difference that would be missed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workbench.statistics.clusters import Floats, column, paired_means, truths
from workbench.statistics.intervals import Estimate, bootstrap_t, paired_share_difference

EXACT_UP_TO = 20
"""Most differences off zero whose sign flips are all enumerated (2^20 sums, 8 MB)."""
_BLOCK = 2_000_000
_POWER_FACTOR = 2.8
"""z(.975) + z(.80), rounded as in Gelman & Hill 2007, Data Analysis Using Regression, sec. 20.2."""
_FEWEST_DISCORDANT = 6
"""Fewer differences off zero, even all of one sign, cannot give p < .05: 2 / 2^5 = .0625."""


def exact_binomial(successes: int, n: int, null: float = 0.5) -> float | None:
    """Two-sided exact binomial p of `successes` in n independent verdicts against the share `null` (chance, or the
    share on offer); None for n = 0. ValueError for impossible counts or a null outside 0..1."""
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n: {successes} of {n}")
    if not 0 <= null <= 1:
        raise ValueError(f"null must lie within 0 and 1: {null}")
    return float(stats.binomtest(successes, n, null).pvalue) if n else None


def mcnemar_exact(a: ArrayLike, b: ArrayLike) -> float | None:
    """Exact two-sided McNemar p (Q. McNemar 1947, Psychometrika 12:153-157): one verdict (0 or 1) an item and side.

    The binomial test of the items on which the sides disagree; 1 when there are none, None for no items. ValueError
    for other values or different lengths.
    """
    first, second = truths(a, "a"), truths(b, "b")
    if len(first) != len(second):
        raise ValueError(f"a and b differ in length: {len(first)} and {len(second)}")
    if len(first) == 0:
        return None
    only_a, only_b = int((first & ~second).sum()), int((~first & second).sum())
    return exact_binomial(only_a, only_a + only_b) if only_a + only_b else 1.0


def sign_flip(differences: ArrayLike, *, flips: int = 10_000, seed: int = 0) -> float | None:
    """Two-sided sign-flip (one-sample permutation) p that the mean of the differences is 0 (R. A. Fisher 1935, The
    Design of Experiments, sec. 21; Good 2005, Permutation, Parametric and Bootstrap Tests, sec. 3.2).

    `differences`: one a cluster, any unit; for a test against a null, cluster means minus the null. Up to 20 that are
    not 0 every flip counts (a 0 has no sign to flip); beyond, `flips` seeded ones, p = (k + 1) / (flips + 1)
    (Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39). None for no differences, 1 when all are 0. Exact only
    where the differences are symmetric about 0 under the null, as paired differences are; roughly so otherwise.

    The order of the differences does not matter. ValueError for fewer than 1 flip or values that are not finite.
    """
    if flips < 1:
        raise ValueError(f"flips: at least 1, got {flips}")
    rows = column(differences, "differences")
    if len(rows) == 0:
        return None
    sizes = np.sort(np.abs(rows[rows != 0]))
    if len(sizes) == 0:
        return 1.0
    reached = abs(float(rows.sum())) - 1e-9 * float(sizes.sum())
    if len(sizes) <= EXACT_UP_TO:
        return float((np.abs(_all_sums(sizes)) >= reached).mean())
    rng = np.random.default_rng(seed)
    count = 0
    for start in range(0, flips, max(1, _BLOCK // len(sizes))):
        size = min(flips - start, max(1, _BLOCK // len(sizes)))
        signs = rng.integers(0, 2, (size, len(sizes)), dtype=np.int8).astype(np.float64)
        count += int((np.abs(2 * (signs @ sizes) - sizes.sum()) >= reached).sum())
    return (count + 1) / (flips + 1)


def _all_sums(sizes: Floats) -> Floats:
    """The 2^(n-1) signed sums in which the last size keeps its sign; the others are their mirror image."""
    sums = np.array([sizes[-1]])
    for size in sizes[:-1]:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def detectable_difference(differences: ArrayLike, *, shares: bool = False) -> float | None:
    """The true difference under which a test at .05 (unadjusted) misses more often than one time in five: 2.8 × the
    standard error of the paired difference. Same unit as `differences` (one a cluster).

    None where no difference can ever be found: fewer than 6 clusters, or no spread to judge by. `shares=True` for
    differences of shares (-1..1): there the spread of a few differences off zero says too little, and no less is given
    than the difference for which at least 6 of n clusters would differ four times in five (6, all one way, is the
    fewest that gives p < .05): the .8 quantile of Beta(6, n - 5).
    """
    rows = column(differences, "differences")
    n = len(rows)
    if n < _FEWEST_DISCORDANT:
        return None
    spread = _POWER_FACTOR * float(rows.std(ddof=1)) / math.sqrt(n)
    if shares:
        return max(spread, float(stats.beta.ppf(0.8, _FEWEST_DISCORDANT, n - _FEWEST_DISCORDANT + 1)))
    return spread if spread > 1e-12 * max(1.0, float(np.abs(rows).max())) else None


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """a minus b over `n` clusters that both sides have. `p` is unadjusted: see `families.holm`."""

    difference: Estimate
    p: float | None
    test: str
    n: int
    detectable: float | None
    """See `detectable_difference`."""


def compare_verdicts(a: ArrayLike, b: ArrayLike) -> PairedComparison:
    """Two sides with one verdict (0 or 1) an item: exact McNemar and Newcombe's paired interval.

    `a`, `b`: the same n items in the same order, all usable. ValueError as `mcnemar_exact`.
    """
    p = mcnemar_exact(a, b)
    differences = truths(a, "a").astype(np.float64) - truths(b, "b")
    detectable = detectable_difference(differences, shares=True)
    return PairedComparison(paired_share_difference(a, b), p, "exact McNemar", len(differences), detectable)


def compare_means(
    values_a: ArrayLike,
    clusters_a: Sequence[Hashable],
    values_b: ArrayLike,
    clusters_b: Sequence[Hashable],
    *,
    shares: bool = False,
    draws: int = 2000,
    flips: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Two sides with several rows a cluster, or with means: sign-flip test and bootstrap-t interval of the paired
    differences of cluster means.

    Usable rows only, each with the key of its cluster; only clusters that both sides have count. `shares=True` when the
    values are verdicts (0..1). ValueError as `cluster_means` and `bootstrap_t`.
    """
    pairs = paired_means(values_a, clusters_a, values_b, clusters_b)
    bounds = (-1.0, 1.0) if shares else None
    return PairedComparison(
        bootstrap_t(pairs.differences, draws=draws, seed=seed, bounds=bounds),
        sign_flip(pairs.differences, flips=flips, seed=seed),
        "sign-flip",
        pairs.n,
        detectable_difference(pairs.differences, shares=shares),
    )
