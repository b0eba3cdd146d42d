"""How much of a margin is the machine's: margins, and the noise floor under them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from workbench.statistics.clusters import Floats, column


def probabilities(scores: ArrayLike) -> Floats:
    """Softmax of an item's option scores (nats), last axis: for display only, never the thing that is tested."""
    return np.asarray(softmax(np.asarray(scores, dtype=np.float64), axis=-1), dtype=np.float64)


def margin(scores: ArrayLike) -> float:
    """Best minus second option of one item, in nats. ValueError for fewer than two options."""
    ordered = np.sort(column(scores, "scores"))
    if len(ordered) < 2:
        raise ValueError(f"scores: at least two options, got {len(ordered)}")
    return float(ordered[-1] - ordered[-2])


def noise_floor(margins: ArrayLike) -> float | None:
    """Root mean square over items of the within-item standard deviation (ddof = 1) of the margin over batch shapes:
    the within-subject standard deviation of Bland & Altman 1996 (BMJ 312:1654).

    `margins`: items × shapes, in nats, at least two shapes, every item with the same pair of options throughout.
    None for no items. ValueError for another form or values that are not finite.
    """
    table = np.asarray(margins, dtype=np.float64)
    if table.size == 0 and table.ndim <= 2:
        return None
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"margins: expected items × at least 2 shapes, got shape {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("margins: every value must be a finite number")
    return math.sqrt(float(table.var(axis=1, ddof=1).mean()))


def undecided(margins: ArrayLike, floor: float) -> NDArray[np.bool_]:
    """For each item whether its margin (nats, either sign) is under twice the noise floor. ValueError for a negative
    floor."""
    if not floor >= 0:
        raise ValueError(f"floor must not be negative: {floor}")
    return np.abs(column(margins, "margins")) < 2 * floor
