"""What the tasks on questions with options share: how an item is asked, in which order its options are listed, and the
figures that hold wherever there is a right answer.

They work on any kind of item that says how it is asked (`ItemKind.question`). Keys of options are canonical: the same
whatever the order, the labels or the language.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import ClassVar

from suites.base import Condition, Item, Metric, Suite, TaskSpec, Verdict
from suites.kinds import ITEM_KINDS
from suites.kinds.shared import Question
from suites.tasks.common import RuleTask
from suites.tasks.orders import presentations

KNOWLEDGE = ("everyday-question", "etiquette-story", "commonsense-question", "math-template")
"""Kinds of item with options of which some are right."""


class OptionTask(RuleTask):
    """An item with options, asked in the order that the condition says (where the prompt lists them)."""

    item_kinds: ClassVar[tuple[str, ...]] = KNOWLEDGE

    def __init__(self, suite: Suite, spec: TaskSpec) -> None:
        super().__init__(suite, spec)
        self._kind = ITEM_KINDS[suite.item_kind]
        self._views: dict[tuple[str, str, int, str, str], Question] = {}
        self.lists = any("{options}" in prompt.text for prompt in spec.prompts)
        """Whether the prompts list the options, so that their order can matter."""

    def view(self, item: Item, condition: Condition) -> Question:
        """The item as it is asked under a condition."""
        key = (item.hash, condition.language, condition.version, condition.context, condition.part)
        found = self._views.get(key)
        if found is None:
            assert self._kind.question is not None
            answers = self.prompt_text(condition).answers
            found = self._views[key] = self._kind.question(item.data, condition.language, condition.part, answers)
        return found

    def asks(self, item: Item, language: str, context: str) -> bool:
        """Where the item has a text in the language."""
        return self._kind.spoken is None or language in self._kind.spoken(item.data)

    def orders(self, item: Item, count: int) -> int:
        """As many as there are options, where they are listed."""
        return min(count, self.choices(item)) if self.lists else min(count, 1)

    def choices(self, item: Item) -> int:
        """The number of options."""
        return len(self._any_view(item).options)

    def _any_view(self, item: Item) -> Question:
        """The item in the first wording that it can be asked in."""
        for prompt in self.spec.prompts:
            if self.asks(item, prompt.language, prompt.context):
                asked = Condition(language=prompt.language, version=prompt.version, context=prompt.context)
                return self.view(item, asked)
        return Question({}, {"": "", " ": ""})

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The keys in the order in which they are listed and scored."""
        keys = tuple(self.view(item, condition).options)
        if not self.lists:
            return keys
        rows = presentations(("option",) * len(keys))
        return tuple(keys[index] for index in rows[condition.order % len(rows)])

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """An option as it is offered."""
        return self.view(item, condition).options.get(key, key)

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """Keys of the right answers."""
        return self.view(item, condition).gold

    def labels(self, count: int) -> tuple[str, ...]:
        """What listed options are called by, in their order."""
        if self.spec.labels == "numbers":
            return tuple(str(number) for number in range(1, count + 1))
        return tuple(string.ascii_uppercase[:count])

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The item's texts and the list of options."""
        view = self.view(item, condition)
        keys = self.options(item, condition)
        return {**view.texts, "options": self.listing([view.options[key] for key in keys], condition)}

    def listing(self, texts: Sequence[str], condition: Condition) -> str:
        """The options as they stand in the prompt: with labels a line each, else as the prompt separates them."""
        separator = self.prompt_text(condition).separator
        if not self.spec.labels:
            return (separator or "\n").join(texts if separator else (f"- {text}" for text in texts))
        labelled = zip(self.labels(len(texts)), texts, strict=True)
        return (separator or "\n").join(f"{label}. {text}" for label, text in labelled)

    def judged(self, item: Item, condition: Condition, key: str) -> str:
        """The kind of verdict for a chosen option."""
        gold = self.gold(item, condition)
        if not gold:
            return "chosen"
        return "correct" if key in gold else "incorrect"

    def correct(self, about: str, *, grouped: bool = False) -> Metric:
        """The share of right answers."""
        return Metric(
            id="correct",
            title="Right answers",
            kind="share",
            unit="%",
            headline=True,
            breakdown=True,
            about=f"{about} Above chance only where the interval excludes the best answer without knowledge "
            "(guessing, the commonest, the first, the longest).",
            grouped=grouped,
        )

    def first_place(self, *, grouped: bool = False) -> Metric:
        """How often the option listed first is chosen."""
        sizes = [self.choices(item) for item in self.suite.items]
        return Metric(
            id="first-option",
            title="First option of the list chosen",
            kind="share",
            unit="%",
            null=sum(1 / size for size in sizes) / len(sizes) if sizes else None,
            above="the first place",
            below="the other places",
            stability=False,
            about="Share of answers that are the option listed first, over counterbalanced orders. Above chance the "
            "place decides, not the content.",
            grouped=grouped,
        )

    def per_label(self, *, grouped: bool = False) -> tuple[Metric, ...]:
        """For kinds of item with fixed answers, the share of right answers among the items of each: a model that always
        says the same is right in one of them and wrong in the others."""
        return tuple(
            Metric(
                id=f"correct-{key}",
                title=f"Right answers where {key.replace('-', ' ')} is right",
                kind="share",
                unit="%",
                stability=False,
                about="Read the rows of all answers together: one that is always given is right in all items of its "
                "row and in none of the others.",
                grouped=grouped,
            )
            for key in self._kind.answers
        )

    def measured(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """The figures of this class for a usable verdict."""
        if metric.id == "first-option":
            return float(verdict.choice == self.options(item, condition)[0])
        gold = self.gold(item, condition)
        if not gold:
            return None
        if metric.id.startswith("correct-") and metric.id.removeprefix("correct-") in self._kind.answers:
            return float(verdict.choice in gold) if metric.id.removeprefix("correct-") in gold else None
        return float(verdict.choice in gold)
