"""The number that a model gives for a word problem (rule `number-answer`)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import ClassVar

from engines.base import GenerateRequest, Generation
from suites import rules
from suites.base import Answer, Condition, Item, Metric, TaskKind, Verdict
from suites.kinds.math_template import value
from suites.refusals import refusal
from suites.tasks.common import RuleTask, quote, text_of

_NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_NUMBERS = re.compile(rf"(?<![\d.,]){_NUMBER}(?![\d])")
_ANNOUNCED = re.compile(rf"(?:\banswer\b(?:\s+is)?\s*[:=]?|####|\\boxed\{{)[^\d\n-]{{0,20}}({_NUMBER})", re.IGNORECASE)


class NumberAnswer(RuleTask):
    """Kinds of verdict: `correct`, `incorrect`, `refused`, `unparsed` (no number, or cut off before one was announced),
    `empty`, `error`. The choice is the number."""

    kind: ClassVar[TaskKind] = "short-answer"
    item_kinds: ClassVar[tuple[str, ...]] = ("math-template",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Right numbers, and numbers of a known mistake."""
        return (
            Metric(
                id="correct",
                title="Right numbers",
                kind="share",
                unit="%",
                headline=True,
                breakdown=True,
                about="Share of readable answers whose number is right. The same problem is asked in the dress of "
                "every culture: the differences between these are what the suite is about.",
            ),
            Metric(
                id="known-mistake",
                title="Results of a foreseen mistake, of wrong numbers",
                kind="share",
                unit="%",
                stability=False,
                about="Share of wrong numbers that come out of a plausible mistake (a step left out, a sum for a "
                "product): reckoning that went wrong, rather than a number from nowhere.",
            ),
        )

    def choices(self, item: Item) -> int:
        """The right result and the foreseen mistakes."""
        return 1 + len(item.data["wrong"])

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The right number."""
        return (_plain(value(item.data["answer"])),)

    def asks(self, item: Item, language: str, context: str) -> bool:
        """The problems are English texts."""
        return language == "en"

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The problem."""
        return {"problem": item.data["problem"]}

    def request(self, item: Item, condition: Condition) -> GenerateRequest:
        """The problem, to be answered in writing."""
        return self.written(item, condition)

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """The number that is announced as the answer, else the only one, else the last one of a finished answer."""
        text = text_of(answer)
        if isinstance(text, Verdict):
            return text
        read = rules.read_answer(text, [self.question(item, condition), item.data["problem"]])
        number, how = find_number(read.text)
        cut = isinstance(answer, Generation) and answer.finish == "length"
        if number is None or (cut and how == "last"):
            return self._unread(read, condition.language, number is not None)
        right = value(item.data["answer"])
        foreseen = number in {value(one) for one in item.data["wrong"]}
        kind = "correct" if number == right else "incorrect"
        reason = f"It gives {_plain(number)} ({how} number); right is {_plain(right)}."
        return Verdict(kind, _plain(number), reason, values={"known_mistake": float(foreseen)})

    def _unread(self, read: rules.Answered, language: str, cut: bool) -> Verdict:
        if read.thinking:
            return Verdict("unparsed", reason="It ended while still thinking.")
        if rules.blank(read.text):
            return Verdict("empty", reason="It holds no word.")
        if refused := refusal(read.text, language):
            return Verdict("refused", reason=f"It refuses or does not know: {quote(refused)}.")
        said = "It was cut off before it came to an answer" if cut else "It holds no number"
        return Verdict("unparsed", reason=f"{said}: {quote(read.text)}.")

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0."""
        if not verdict.usable:
            return None
        if metric.id == "known-mistake":
            return None if verdict.kind == "correct" else verdict.values.get("known_mistake")
        return float(verdict.kind == "correct")


def find_number(text: str) -> tuple[Decimal | None, str]:
    """The number of an answer and which it was: `announced`, `only` or `last`."""
    text = text[:20_000]
    announced = [found[1] for found in _ANNOUNCED.finditer(text)]
    if announced:
        return value(announced[-1].replace(",", "")), "announced"
    numbers = [found[0] for found in _NUMBERS.finditer(text)]
    if not numbers:
        return None, ""
    return value(numbers[-1].replace(",", "")), "only" if len(set(numbers)) == 1 else "last"


def _plain(number: Decimal) -> str:
    return format(number, "f")
