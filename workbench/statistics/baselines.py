"""What answers without knowing anything would score, where there is a gold answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baselines:
    """Shares of items answered correctly (0..1); None where there is nothing to count."""

    chance: float | None
    majority: float | None
    """Always the label that is gold most often; None when no label is offered by two items."""
    first: float | None
    longest: float | None
    """Always the option with most characters; equally long ones share the item."""
    n: int
    """Items with a gold answer."""

    @property
    def best(self) -> float | None:
        """The highest of them."""
        return max((x for x in (self.chance, self.majority, self.first, self.longest) if x is not None), default=None)


def baselines(
    options: Sequence[Sequence[str]],
    gold: Sequence[Collection[int]],
    *,
    labels: Sequence[Sequence[Hashable]] | None = None,
) -> Baselines:
    """Chance, majority class, always first and longest option over items.

    `options`: for each item its options as shown, in the order shown; `gold`: for each item the places (from 0) of its
    right options, empty when there is none (the item does not count); `labels`: for each item what each option stands
    for ("yes", "region-1"), for the majority class; None takes the options' own text. ValueError when lengths
    differ or a place does not exist.
    """
    meanings: Sequence[Sequence[Hashable]] = options if labels is None else labels
    if not len(options) == len(gold) == len(meanings):
        raise ValueError(f"options, gold and labels differ in length: {len(options)}, {len(gold)}, {len(meanings)}")
    chance = first = longest = 0.0
    right: Counter[Hashable] = Counter()
    offered: Counter[Hashable] = Counter()
    n = 0
    for texts, places, names in zip(options, gold, meanings, strict=True):
        if not places:
            continue
        if len(texts) != len(names) or not all(0 <= place < len(texts) for place in places):
            raise ValueError(f"item {n}: labels and gold must match its {len(texts)} options")
        n += 1
        correct = set(places)
        chance += len(correct) / len(texts)
        first += 0 in correct
        most = max(len(text) for text in texts)
        tied = [place for place, text in enumerate(texts) if len(text) == most]
        longest += sum(place in correct for place in tied) / len(tied)
        right.update({names[place] for place in correct})
        offered.update(set(names))
    if n == 0:
        return Baselines(None, None, None, None, 0)
    majority = max(right.values()) / n if max(offered.values()) > 1 or n == 1 else None
    return Baselines(chance / n, majority, first / n, longest / n, n)
