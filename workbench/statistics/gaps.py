"""Differences between the cultures (countries, regions, topics) of one model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.statistics.clusters import Floats, cluster_means, column
from workbench.statistics.intervals import LEVEL

RANKED_FROM = 20
"""Items that a culture needs to be ranked."""
_BLOCK = 2_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """The gap between the best and the worst ranked culture, beside what shuffled labels give."""

    gap: float | None
    """Always positive; None with fewer than two ranked cultures."""
    chance_low: float | None
    chance_high: float | None
    """Central 95 % of the gaps of shuffled labels."""
    p: float | None
    """Share of shuffles with a gap at least as wide, (k + 1) / (shuffles + 1)."""
    is_gap: bool
    """Wider than the chance range."""
    best: Hashable
    worst: Hashable
    means: dict[Hashable, float]
    """Mean of each culture, ranked or not, in order of first appearance."""
    counts: dict[Hashable, int]
    """Items of each culture."""
    unranked: tuple[Hashable, ...]
    """Cultures with too few items: shown, not ranked."""


def culture_gap(
    values: ArrayLike,
    cultures: Sequence[Hashable],
    topics: Sequence[Hashable],
    *,
    items: Sequence[Hashable] | None = None,
    minimum: int = RANKED_FROM,
    shuffles: int = 10_000,
    seed: int = 0,
) -> Gap:
    """Best minus worst culture mean, with its 95 % chance range from permuting the culture labels within topic
    (Good 2005, Permutation, Parametric and Bootstrap Tests, ch. 6, blocked permutations).

    `values`: n rows in any unit; `cultures`, `topics`: the label of each; `items`: the item of each row when an item
    has several (they are averaged first, and stay together), None when each row is an item. Cultures with fewer than
    `minimum` items are left out of the gap and of the shuffles. ValueError when lengths differ, or an item has two
    cultures or topics.
    """
    rows = column(values)
    if not len(rows) == len(cultures) == len(topics):
        raise ValueError(f"values, cultures and topics differ in length: {len(rows)}, {len(cultures)}, {len(topics)}")
    if shuffles < 1 or minimum < 1:
        raise ValueError("shuffles and minimum: at least 1")
    labels = list(zip(cultures, topics, strict=True))
    if items is not None:
        grouped = cluster_means(rows, items)
        of_item: dict[Hashable, tuple[Hashable, Hashable]] = {}
        for item, label in zip(items, labels, strict=True):
            if of_item.setdefault(item, label) != label:
                raise ValueError(f"item {item!r} has two cultures or topics")
        rows, labels = grouped.means, [of_item[key] for key in grouped.keys]
    by_culture = cluster_means(rows, [culture for culture, _ in labels])
    means = dict(zip(by_culture.keys, by_culture.means.tolist(), strict=True))
    counts = dict(zip(by_culture.keys, by_culture.sizes.tolist(), strict=True))
    ranked = [culture for culture, count in counts.items() if count >= minimum]
    unranked = tuple(culture for culture in counts if counts[culture] < minimum)
    if len(ranked) < 2:
        return Gap(None, None, None, None, False, None, None, means, counts, unranked)
    best, worst = max(ranked, key=lambda c: means[c]), min(ranked, key=lambda c: means[c])
    gap = means[best] - means[worst]
    place = {culture: index for index, culture in enumerate(ranked)}
    kept = [index for index, (culture, _) in enumerate(labels) if culture in place]
    codes = np.array([place[labels[index][0]] for index in kept], dtype=np.intp)
    chance = _shuffled_gaps(rows[kept], codes, [labels[index][1] for index in kept], shuffles, seed)
    low, high = (float(x) for x in np.quantile(chance, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf"))
    slack = 1e-9 * max(1.0, abs(gap))
    p = (int((chance >= gap - slack).sum()) + 1) / (shuffles + 1)
    return Gap(gap, low, high, p, gap > high + slack, best, worst, means, counts, unranked)


def _shuffled_gaps(
    values: Floats, codes: NDArray[np.intp], topics: Sequence[Hashable], shuffles: int, seed: int
) -> Floats:
    """Best minus worst mean of `shuffles` permutations of the values among the items of each topic."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    blocks = [np.array([i for i, t in enumerate(topics) if t == topic]) for topic in dict.fromkeys(topics)]
    gaps = []
    for start in range(0, shuffles, max(1, _BLOCK // len(values))):
        size = min(shuffles - start, max(1, _BLOCK // len(values)))
        shuffled = np.empty((size, len(values)))
        for block in blocks:
            shuffled[:, block] = rng.permuted(np.tile(values[block], (size, 1)), axis=1)
        by_culture = np.array([shuffled[:, member].mean(axis=1) for member in members])
        gaps.append(by_culture.max(axis=0) - by_culture.min(axis=0))
    return np.concatenate(gaps)


def pooled(
    cultures: Sequence[Hashable], regions: Mapping[Hashable, Hashable], *, minimum: int = RANKED_FROM
) -> list[Hashable]:
    """The culture label of each item, with cultures of fewer than `minimum` items replaced by their region.

    `cultures`: one an item; `regions`: region of each culture (a culture without one keeps its label).
    """
    counts = Counter(cultures)
    return [regions.get(culture, culture) if counts[culture] < minimum else culture for culture in cultures]
