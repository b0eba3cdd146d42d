"""A published name task: lists in the published orders (rule `published-names`).

Answers are read as `name-choice` does: only whole listed names count.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from suites.base import Condition, Item, Metric, Verdict
from suites.schema import PublishedList
from suites.tasks.name_choice import NameChoice


class PublishedNames(NameChoice):
    """Kinds of verdict as `NameChoice`. Orders are the published ones, one after another."""

    item_kind: ClassVar[str] = "published-list"
    placeholders: ClassVar[tuple[str, ...]] = ("candidates",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of the choice, and the share of answers that are a choice at all, as the paper has it."""
        valid = Metric(
            id="valid",
            title="Exactly one listed name, of all answers",
            kind="share",
            unit="%",
            stability=False,
            about="The paper’s valid rate, but that only whole listed names count and no judge reads the others.",
        )
        return (*super().metrics, valid)

    def orders(self, item: Item, count: int) -> int:
        """As many as were published, at most `count`."""
        return min(count, *(len(rows) for rows in _list(item).orders.values()))

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The names in the published order of that number."""
        listed = _list(item)
        rows = listed.orders[condition.language]
        return tuple(listed.candidates[index].name for index in rows[condition.order % len(rows)])

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The list; its length stands in the published question itself."""
        return {"candidates": self.joined(self.options(item, condition), condition)}

    def offered(self) -> float | None:
        """The share of Mainland names on offer, as mean over the lists."""
        lists = [_list(item).candidates for item in self.suite.items]
        shares = [sum(each.region == "mainland" for each in listed) / len(listed) for listed in lists]
        return sum(shares) / len(shares) if shares else None

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0; None where the answer is not of the metric's concern."""
        if metric.id == "valid":
            return None if verdict.kind == "error" else float(bool(verdict.choice))
        return super().measure(metric, item, condition, verdict)

    def _one(self, item: Item, names: tuple[str, ...], name: str) -> Verdict:
        region = next(each.region for each in _list(item).candidates if each.name == name)
        place = names.index(name)
        label = "a Mainland" if region == "mainland" else "a Taiwan"
        return Verdict(
            region,
            name,
            f"It names one person of the list: {name}, {label} name, at place {place + 1} of {len(names)}.",
            values={"position": float(place)},
        )


def _list(item: Item) -> PublishedList:
    return msgspec.convert(item.data, PublishedList)
