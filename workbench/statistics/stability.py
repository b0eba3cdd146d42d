"""Does an answer survive a change of presentation (option order, labels, prompt version)?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.statistics.intervals import Estimate, bootstrap_t

Answer = Hashable | None
"""A canonical answer (what was meant, not its letter or place); None when the presentation gave no usable one."""


@dataclass(frozen=True, slots=True)
class Stability:
    """`agreement` is the mean over items of the chance-corrected agreement, with its interval over items."""

    agreement: Estimate
    flips: float | None
    """Mean over items of the share of pairs of presentations whose answers differ."""
    items: tuple[float | None, ...]
    """Chance-corrected agreement of each item given; None with fewer than two usable presentations."""


def stability(
    items: Sequence[Sequence[Answer]], options: int | Sequence[int], *, draws: int = 2000, seed: int = 0
) -> Stability:
    """Pairwise agreement A of an item's canonical answers over its presentations, corrected for chance:
    (A - 1/K) / (1 - 1/K) with K options (the uniform-chance coefficient S of Bennett, Alpert & Goldstein 1954, Public
    Opinion Quarterly 18:303-308, between presentations), and its mean over items.

    `items`: for each item its answers, one a presentation; `options`: K, at least 2, the same for all or one an item.
    Unusable answers are left out; fewer than two usable ones give None, and the item does not count.

    Closed forms: always the same answer 1; uniformly random 0 on average; always the first option, over m orders
    that put each of K options first m/K times, (m/K - 1) / (m - 1) before correction: -1/(K-1) for m = K, and
    -1/(m-1) for K = 2. Always refusing: None.
    """
    sizes = [options] * len(items) if isinstance(options, int) else list(options)
    if len(sizes) != len(items):
        raise ValueError(f"items and options differ in length: {len(items)} and {len(sizes)}")
    if any(k < 2 for k in sizes):
        raise ValueError("options: every item needs at least 2")
    shares = [_pairwise_agreement(answers) for answers in items]
    corrected = [None if a is None else _beyond_chance(a, k) for a, k in zip(shares, sizes, strict=True)]
    known = [value for value in corrected if value is not None]
    floor = -1 / (min(sizes, default=2) - 1)
    agreement = bootstrap_t(np.array(known), draws=draws, seed=seed, bounds=(floor, 1.0))
    agreed = [share for share in shares if share is not None]
    return Stability(agreement, float(1 - np.mean(agreed)) if agreed else None, tuple(corrected))


def _pairwise_agreement(answers: Sequence[Answer]) -> float | None:
    usable = Counter(answer for answer in answers if answer is not None)
    m = usable.total()
    return sum(count * (count - 1) for count in usable.values()) / (m * (m - 1)) if m >= 2 else None


def _beyond_chance(agreement: float, options: int) -> float:
    return (agreement - 1 / options) / (1 - 1 / options)


@dataclass(frozen=True, slots=True)
class Presentation:
    """One asking of an item: where it stood on each axis (`{"order": 1, "version": "b"}`), and what was meant."""

    axes: Mapping[str, Hashable]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Movement:
    """`axis`: the change that moves the answer most, None when no two presentations differ in one axis alone."""

    axis: str | None
    agreement: dict[str, float | None]
    """For each axis the chance-corrected agreement between presentations that differ in it alone, mean over items."""


def most_moving(items: Sequence[Sequence[Presentation]], options: int | Sequence[int]) -> Movement:
    """Which change moves the answer most: the axis with the lowest chance-corrected agreement among pairs of
    presentations of an item that differ in that axis alone. Of equal axes the first by name.

    `items`: for each item its presentations, all with the same axes; `options` as in `stability`. ValueError when the
    axes differ or an item has fewer than 2 options.
    """
    sizes = [options] * len(items) if isinstance(options, int) else list(options)
    if len(sizes) != len(items):
        raise ValueError(f"items and options differ in length: {len(items)} and {len(sizes)}")
    if any(k < 2 for k in sizes):
        raise ValueError("options: every item needs at least 2")
    names = sorted({name for presentations in items for one in presentations for name in one.axes})
    found: dict[str, list[float]] = {name: [] for name in names}
    for presentations, k in zip(items, sizes, strict=True):
        agreed: dict[str, list[bool]] = {}
        for one, other in combinations(presentations, 2):
            if set(one.axes) != set(other.axes):
                raise ValueError("presentations of an item must name the same axes")
            changed = [name for name in one.axes if one.axes[name] != other.axes[name]]
            if len(changed) == 1 and one.answer is not None and other.answer is not None:
                agreed.setdefault(changed[0], []).append(one.answer == other.answer)
        for name, pairs in agreed.items():
            found[name].append(_beyond_chance(float(np.mean(pairs)), k))
    means = {name: float(np.mean(values)) if values else None for name, values in found.items()}
    known = {name: value for name, value in means.items() if value is not None}
    return Movement(min(known, key=lambda name: known[name]) if known else None, means)
