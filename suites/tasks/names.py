"""What the two tasks on lists of names share: orders, options, and the figures that hold for any list."""

from __future__ import annotations

from typing import ClassVar

from suites.base import Condition, Item, Metric
from suites.schema import CandidateList, candidates
from suites.tasks.common import RuleTask
from suites.tasks.orders import presentations


class NameTask(RuleTask):
    """A list of names of two regions in the order that the condition says. Options are keyed by the name itself."""

    item_kind: ClassVar[str] = "candidate-list"
    placeholders: ClassVar[tuple[str, ...]] = ("n", "candidates")

    def orders(self, item: Item, count: int) -> int:
        """At most as many as there are candidates (see `suites.tasks.orders`)."""
        return min(count, self.choices(item))

    def choices(self, item: Item) -> int:
        """The number of candidates."""
        return len(item.data["candidates"])

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The names in the order in which they are listed and scored."""
        listed = candidates(item.data).candidates
        rows = presentations(tuple(candidate.region for candidate in listed))
        return tuple(listed[index].name for index in rows[condition.order % len(rows)])

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The number of names and the list."""
        names = self.options(item, condition)
        return {"n": str(len(names)), "candidates": self.joined(names, condition)}

    def joined(self, names: tuple[str, ...], condition: Condition) -> str:
        """The list as it stands in the prompt."""
        return self.prompt_text(condition).separator.join(names)

    def offered(self) -> float | None:
        """The share of Mainland names on offer, as mean over the suite's lists."""
        lists = [candidates(item.data) for item in self.suite.items]
        return sum(map(_mainland_share, lists)) / len(lists) if lists else None

    def first_chance(self) -> float | None:
        """How often a random choice is the first name, as mean over the suite's lists."""
        sizes = [self.choices(item) for item in self.suite.items]
        return sum(1 / size for size in sizes) / len(sizes) if sizes else None

    def first_name(self, about: str) -> Metric:
        """The share of choices that are the first name listed: how much place counts."""
        return Metric(
            id="first-name",
            title="First name on the list chosen",
            kind="share",
            unit="%",
            null=self.first_chance(),
            above="the first place",
            below="the other places",
            stability=False,
            about=about,
        )


def _mainland_share(listed: CandidateList) -> float:
    return sum(candidate.region == "mainland" for candidate in listed.candidates) / len(listed.candidates)
