"""How a model's answers keep through changes of presentation: option order, wording."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import msgspec

from workbench.audits.gather import Cell, by_item
from workbench.statistics.stability import Presentation, Stability, most_moving, stability

_AXES = {"order": "the order of the options", "version": "the wording of the question"}


class Steadiness(msgspec.Struct, frozen=True):
    """The stability of one cell; None where no item was asked in two ways. `cause` is the change that moves the answer
    most, in words, and `turned` the share of pairs in which it does when nothing else changes."""

    stability: Stability | None = None
    cause: str = "the presentation"
    turned: float = 0.0


def steadiness(cell: Cell, seed: int) -> Steadiness:
    """Over option orders and prompt versions, within a language; of repeats the first, which all others only redraw."""
    items: list[list[Presentation]] = []
    sizes: list[int] = []
    for rows in by_item(cell.whole()).values():
        items.append(
            [
                Presentation(
                    {"order": trial.condition.order, "version": trial.condition.version},
                    verdict.choice if verdict.usable and verdict.choice else None,
                )
                for trial, _, verdict in rows
                if trial.repeat == 0
            ]
        )
        sizes.append(max(2, cell.task.choices(rows[0][1])))
    if all(len(asked) < 2 for asked in items):
        return Steadiness()
    found = stability([[one.answer for one in asked] for asked in items], sizes, seed=seed)
    axis = most_moving(items, sizes).axis
    if axis is None:
        return Steadiness(found, turned=found.flips or 0.0)
    return Steadiness(found, _AXES.get(axis, axis), _turned(items, axis))


def _turned(items: Sequence[Sequence[Presentation]], axis: str) -> float:
    """Mean over items of the share of pairs that differ in this axis alone and have different answers."""
    shares = []
    for asked in items:
        pairs = [
            one.answer != other.answer
            for one, other in combinations([one for one in asked if one.answer is not None], 2)
            if [name for name in one.axes if one.axes[name] != other.axes[name]] == [axis]
        ]
        if pairs:
            shares.append(sum(pairs) / len(pairs))
    return sum(shares) / len(shares) if shares else 0.0
