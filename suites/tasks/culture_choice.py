"""Questions whose right answer depends on the culture: whose answer a model takes for granted when none is named (rule
`culture-default`), and whether it goes over to the one that is (rule `culture-named`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from suites.base import UNUSABLE, Condition, Item, Metric, Verdict
from suites.kinds.commonsense import CULTURE_PARTS
from suites.tasks.option_choice import OptionChoice

NEITHER = "neither"


def _owners(item: Item, key: str) -> list[str]:
    """The cultures whose answer an option is."""
    return [culture["id"] for culture in item.data["cultures"] if key in item.data["gold"][culture["id"]]]


class CultureDefault(OptionChoice):
    """No culture is named. Kinds of verdict: the key of the culture whose answer it is, `neither`, `error`."""

    item_kinds: ClassVar[tuple[str, ...]] = ("commonsense-question",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """How often it is an answer of either culture, and by culture how often its own."""
        found = [
            Metric(
                id="either-culture",
                title="An answer of either culture",
                kind="share",
                unit="%",
                headline=True,
                about="Share of questions, asked without naming a culture, whose likeliest option is the answer of one "
                "of the two cultures that the item knows. It is no share of right answers: nothing is right here.",
            ),
            Metric(
                id="taken-for-granted",
                title="The answer of the culture written first, of answers of either",
                kind="share",
                unit="%",
                null=0.5,
                above="the cultures written first",
                below="the cultures written second",
                breakdown=True,
                about="Which culture's answer is taken for granted: see it by culture. (Which of the two an item names "
                "first means nothing; the figure over all is there to be taken apart.)",
            ),
        ]
        if self.lists:
            found.append(self.first_place())
        return tuple(found)

    def judged(self, item: Item, condition: Condition, key: str) -> str:
        """Whose answer an option is."""
        owners = _owners(item, key)
        return owners[0] if owners else NEITHER

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0."""
        if not verdict.usable:
            return None
        if metric.id == "either-culture":
            return float(verdict.kind != NEITHER)
        if metric.id == "taken-for-granted":
            return None if verdict.kind == NEITHER else float(verdict.kind == item.data["cultures"][0]["id"])
        return self.measured(metric, item, condition, verdict)

    def details(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> dict[str, float]:
        """For each of the two cultures whether the answer is its own, of answers that are either's."""
        if metric.id != "taken-for-granted" or not verdict.usable or verdict.kind == NEITHER:
            return {}
        return {culture["name"]["en"]: float(culture["id"] == verdict.kind) for culture in item.data["cultures"]}


class CultureNamed(OptionChoice):
    """Each of the two cultures is named in turn, as a part. Kinds of verdict: `correct`, `misaligned` (the other
    culture's answer), `incorrect`, `error`; of both parts `adapts`, `first` or `second` (one culture's answer twice),
    `other`."""

    item_kinds: ClassVar[tuple[str, ...]] = ("commonsense-question",)

    @property
    def parts(self) -> tuple[str, ...]:
        """The item's cultures, in its own order."""
        return CULTURE_PARTS

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Right with a culture named, the other culture's answer, right with both."""
        about = "Share of questions, asked with the culture named, whose likeliest option is that culture's answer."
        rest = tuple(one for one in super().metrics if one.id != "correct")
        return (
            self.correct(about),
            Metric(
                id="misaligned",
                title="The other culture’s answer",
                kind="share",
                unit="%",
                breakdown=True,
                stability=False,
                about="Share of questions, asked with the culture named, that get the other culture's answer.",
            ),
            Metric(
                id="adapts",
                title="Right for both cultures",
                kind="share",
                unit="%",
                grouped=True,
                baselines={"chance": 1 / 16, "the same answer to both": 0.0},
                about="Share of questions that are answered rightly for each of the two cultures when it is named: the "
                "answer goes over with the culture. Who always says the same reaches nothing.",
            ),
            *rest,
        )

    def culture(self, item: Item, condition: Condition) -> tuple[str, str]:
        """The one that is named."""
        named = item.data["cultures"][CULTURE_PARTS.index(condition.part)]
        return named["id"], named["group"]

    def judged(self, item: Item, condition: Condition, key: str) -> str:
        """Whose answer an option is."""
        if key in self.gold(item, condition):
            return "correct"
        return "misaligned" if _owners(item, key) else "incorrect"

    def group(self, item: Item, condition: Condition, verdicts: Mapping[str, Verdict]) -> Verdict:
        """Whether the answer goes over with the culture."""
        lost = next((one for one in verdicts.values() if one.kind in UNUSABLE), None)
        if lost is not None:
            return lost
        first, second = (verdicts[part] for part in CULTURE_PARTS)
        margin = min(one.margin for one in (first, second) if one.margin is not None)
        choice = f"{first.choice}+{second.choice}"
        if first.kind == second.kind == "correct":
            return Verdict("adapts", choice, "Each culture gets its own answer.", margin)
        for name, right, wrong in (("first", first, second), ("second", second, first)):
            if right.kind == "correct" and wrong.kind == "misaligned":
                culture = item.data["cultures"][CULTURE_PARTS.index(name)]["name"]["en"]
                return Verdict(name, choice, f"Both get the answer of {culture}.", margin)
        return Verdict("other", choice, "At least one answer is neither culture's, or both are crossed.", margin)

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0."""
        if not verdict.usable:
            return None
        if metric.id in {"adapts", "misaligned"}:
            return float(verdict.kind == metric.id)
        return super().measure(metric, item, condition, verdict)
