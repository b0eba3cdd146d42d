"""How far a judge or rater agrees with labels, or raters with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workbench.statistics.clusters import Floats
from workbench.statistics.intervals import LEVEL, Estimate, wilson

Label = Hashable | None
"""None: this rater gave no label here."""


def _pairs(a: Sequence[Label], b: Sequence[Label]) -> list[tuple[Hashable, Hashable]]:
    if len(a) != len(b):
        raise ValueError(f"a and b differ in length: {len(a)} and {len(b)}")
    return [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]


def accuracy(judged: Sequence[Label], labels: Sequence[Label]) -> Estimate:
    """Share of pairs that agree, with its Wilson interval, over the pairs in which both have a label."""
    pairs = _pairs(judged, labels)
    return wilson(sum(x == y for x, y in pairs), len(pairs))


def cohens_kappa(a: Sequence[Label], b: Sequence[Label], *, draws: int = 2000, seed: int = 0) -> Estimate:
    """Cohen's kappa of two raters (J. Cohen 1960, Educational and Psychological Measurement 20:37-46) with a bootstrap
    interval over pairs.

    Each limit is the farther of the percentile of `draws` resamples and the large-sample limit of Fleiss, Cohen &
    Everitt (1969, Psychological Bulletin 72:323-327): alone, either covers about 91-93 % where disagreements are rare.
    Where all pairs agree, the upper limit is 1 and the lower that kappa at which the share of disagreements is
    Wilson's upper limit of 0 of n.

    `a`, `b`: labels of the same things in the same order; pairs with a missing label are left out. Kappa is None where
    it is undefined: no pairs, or both raters use one and the same label throughout. Limits are None for 1 pair.
    ValueError for different lengths or fewer than 100 draws.
    """
    if draws < 100:
        raise ValueError(f"draws: at least 100, got {draws}")
    pairs = _pairs(a, b)
    n = len(pairs)
    method = "bootstrap"
    names = sorted({label for pair in pairs for label in pair}, key=repr)
    if len(names) < 2:
        return Estimate(None, None, None, n, method)
    place = {name: index for index, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    for (x, y), count in Counter(pairs).items():
        table[place[x], place[y]] = count / n
    kappas, errors = _kappa(table[None], n)
    kappa, error = float(kappas[0]), float(errors[0])
    if n < 2:
        return Estimate(kappa, None, None, n, method)
    if all(x == y for x, y in pairs):
        disagreement, by_chance = 1 - float(wilson(n, n).low or 0.0), 1 - float((table.diagonal() ** 2).sum())
        return Estimate(1.0, max(-1.0, 1 - disagreement / by_chance), 1.0, n, method)
    drawn = np.random.default_rng(seed).multinomial(n, table.ravel() / table.sum(), draws) / n
    resampled = _kappa(drawn.reshape(draws, len(names), len(names)), n)[0]
    ends = np.nanquantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    low, high = min(float(ends[0]), kappa - half), max(float(ends[1]), kappa + half)
    return Estimate(kappa, max(-1.0, low), min(1.0, high), n, method)


def _kappa(tables: Floats, n: int) -> tuple[Floats, Floats]:
    """Kappa and its standard error of each table of shares (draws × K × K); nan where undefined."""
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    diagonal = np.einsum("dii->di", tables)
    observed, expected = diagonal.sum(axis=1), (rows * columns).sum(axis=1)
    rest = 1 - expected
    rest = np.where(rest < 1e-12, np.nan, rest)
    kappa = (observed - expected) / rest
    kept = 1 - kappa
    sums = columns[:, :, None] + rows[:, None, :]
    own = np.einsum("dii->di", sums)
    first = (diagonal * (1 - own * kept[:, None]) ** 2).sum(axis=1)
    second = kept**2 * ((tables * sums**2).sum(axis=(1, 2)) - (diagonal * own**2).sum(axis=1))
    third = (kappa - expected * kept) ** 2
    return kappa, np.sqrt(np.maximum(0.0, first + second - third) / n) / rest


def krippendorff_alpha(ratings: Sequence[Sequence[Label]]) -> float | None:
    """Krippendorff's alpha for nominal labels (K. Krippendorff 2011, Computing Krippendorff's Alpha-Reliability,
    University of Pennsylvania).

    `ratings`: raters × units, None where a rater gave none. Units with fewer than two labels do not count. None where
    alpha is undefined: no unit with two labels, or one and the same label throughout. ValueError for raters of unlike
    lengths.
    """
    if len({len(rater) for rater in ratings}) > 1:
        raise ValueError("ratings: every rater needs one entry a unit")
    names: dict[Hashable, int] = {}
    units: list[NDArray[np.int64]] = []
    for unit in zip(*ratings, strict=True):
        codes = [names.setdefault(label, len(names)) for label in unit if label is not None]
        if len(codes) >= 2:
            units.append(np.array(codes, dtype=np.int64))
    if not units:
        return None
    counts = np.array([np.bincount(unit, minlength=len(names)) for unit in units], dtype=np.float64)
    sizes = counts.sum(axis=1)
    totals, n = counts.sum(axis=0), float(sizes.sum())
    observed = float(((sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)).sum()) / n
    expected = float(n**2 - (totals**2).sum()) / (n * (n - 1))
    return None if expected < 1e-12 else 1 - observed / expected
