"""How far the right option of a question can be guessed from the options alone.

Rules of thumb (the longest, the shortest, the text that is right most often elsewhere), and a linear classifier on
character sequences, cross-validated so that no item helps to judge itself or its cluster.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from suites.rules import fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDS = 5
FEATURES = 1024
_PENALTY = 10.0
_FEWEST = 40
"""Fewer items say nothing about a classifier."""

Offered = tuple[Sequence[str], frozenset[int], str]
"""Options, places of the right ones, and the cluster that the item belongs to."""


class Guess(NamedTuple):
    """A way to guess and how often it is right; `low` is the lower end of its 95 % Wilson interval."""

    how: str
    share: float
    low: float | None
    n: int
    chance: float


def shortcuts(items: Sequence[Offered]) -> list[Guess]:
    """Every way to guess, over the items that have a right and a wrong option."""
    kept = [item for item in items if 0 < len(item[1]) < len(item[0])]
    if not kept:
        return []
    chance = sum(len(gold) / len(options) for options, gold, _ in kept) / len(kept)
    found = [
        _guess("the longest option", [_by(options, gold, len) for options, gold, _ in kept], chance),
        _guess(
            "the shortest option", [_by(options, gold, lambda text: -len(text)) for options, gold, _ in kept], chance
        ),
        _guess("the option that is right most often elsewhere", list(_elsewhere(kept)), chance),
    ]
    if len(kept) >= _FEWEST:
        found.append(_guess("a classifier of the options’ letters", _classified(kept), chance))
    return found


def _by(options: Sequence[str], gold: frozenset[int], score: Callable[[str], float]) -> float:
    """The share of right ones among the options with the highest score."""
    scores = [score(text) for text in options]
    best = [place for place, value in enumerate(scores) if value == max(scores)]
    return sum(place in gold for place in best) / len(best)


def _elsewhere(items: Sequence[Offered]) -> Iterator[float]:
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for options, gold, _ in items:
        for place, text in enumerate(options):
            (right if place in gold else wrong)[fold(text)] += 1
    for options, gold, _ in items:

        def score(text: str, own: Sequence[str] = options, mine: frozenset[int] = gold) -> float:
            here = own.index(text) in mine
            return (right[fold(text)] - here) - (wrong[fold(text)] - (not here))

        yield _by(options, gold, score)


def _classified(items: Sequence[Offered]) -> list[float]:
    """Ridge regression of right against wrong on hashed sequences of two and three characters and on length; each
    item's options are centred, so that only what tells them apart counts."""
    import numpy as np

    rows = []
    for options, _, _ in items:
        table = np.stack([_features(text) for text in options])
        rows.append(table - table.mean(axis=0))
    targets = []
    for options, gold, _ in items:
        target = np.array([float(place in gold) for place in range(len(options))])
        targets.append(target - target.mean())
    folds = np.array([zlib.crc32(cluster.encode()) % FOLDS for _, _, cluster in items])
    hits = [0.0] * len(items)
    for fold_ in range(FOLDS):
        train, test = np.flatnonzero(folds != fold_), np.flatnonzero(folds == fold_)
        if not len(train) or not len(test):
            continue
        x = np.concatenate([rows[place] for place in train])
        y = np.concatenate([targets[place] for place in train])
        weights = np.linalg.solve(x.T @ x + _PENALTY * np.eye(x.shape[1]), x.T @ y)
        for place in map(int, test):
            scores = rows[place] @ weights
            best = np.flatnonzero(scores >= scores.max() - 1e-12)
            hits[place] = sum(int(one) in items[place][1] for one in best) / len(best)
    return hits


def _features(text: str) -> NDArray[np.float64]:
    import numpy as np

    found = np.zeros(FEATURES + 1)
    padded = f"^{fold(text)}$"
    for size in (2, 3):
        for place in range(len(padded) - size + 1):
            found[zlib.crc32(padded[place : place + size].encode()) % FEATURES] += 1.0
    found[:FEATURES] /= max(1.0, float(np.linalg.norm(found[:FEATURES])))
    found[FEATURES] = math.log1p(len(text))
    return found


def _guess(how: str, hits: Sequence[float], chance: float) -> Guess:
    n = len(hits)
    share = sum(hits) / n
    z = 1.959964
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Guess(how, share, (centre - half) / (1 + z * z / n), n, chance)
