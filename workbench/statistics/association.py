"""Association of two twin texts with attributes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.statistics.intervals import Estimate, bootstrap_t


@dataclass(frozen=True, slots=True)
class Association:
    """Mean log ratio (nats) over pairs, and that of the noise control (twins that differ in nothing that matters)."""

    association: Estimate
    control: Estimate | None


def association(
    log_ratios: ArrayLike,
    pairs: Sequence[Hashable] | None = None,
    *,
    control: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Association:
    """Mean over attributes, then bootstrap-t over pairs.

    `log_ratios`: rows × attributes, log P(attribute | one twin) - log P(attribute | other twin) in nats; `pairs`: the
    pair of each row, None when each row is a pair. `control`: the same table of the noise control, whose rows are each
    a pair. ValueError for tables that are not two-dimensional or hold values that are not finite.
    """
    found = bootstrap_t(_over_attributes(log_ratios), pairs, draws=draws, seed=seed)
    beside = None if control is None else bootstrap_t(_over_attributes(control), draws=draws, seed=seed)
    return Association(found, beside)


def _over_attributes(log_ratios: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    table = np.asarray(log_ratios, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"log ratios: expected pairs × attributes, got shape {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("log ratios: every value must be a finite number")
    return np.array([float(row.mean()) for row in table])
