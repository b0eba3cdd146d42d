"""Whether each option of a question is right, asked one by one (rule `option-judgements`).

The hard form: a question counts only if every one of its options was judged rightly. The words for yes and no come
from the prompt (`answers`, yes first) and are compared by likelihood. A model's leaning to yes or no moves all
judgements, so accuracy over statements, its two halves and accuracy over questions are given together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from engines.base import ChoiceRequest
from suites.base import UNUSABLE, Answer, Condition, Item, Metric, TaskKind, Verdict
from suites.tasks.common import error, scores_of
from suites.tasks.options import OptionTask

YES, NO = "yes", "no"


class OptionJudgements(OptionTask):
    """Each option is a part. Kinds of verdict of a part: `correct`, `incorrect`, `error`, with `yes` or `no` as choice;
    of a question: `correct` (all right) and `incorrect`, with the keys judged right as choice."""

    kind: ClassVar[TaskKind] = "judgements"
    item_kinds: ClassVar[tuple[str, ...]] = ("everyday-question", "commonsense-question", "math-template")
    placeholders: ClassVar[tuple[str, ...]] = ("option",)
    answers: ClassVar[tuple[int, int]] = (2, 2)

    @property
    def parts(self) -> tuple[str, ...]:
        """The keys of the options, which all items of the suite share."""
        return tuple(sorted(self._any_view(self.suite.items[0]).options)) if self.suite.items else ()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """By question, by statement and by what would have been right."""
        gold = [len(self._any_view(item).gold) for item in self.suite.items]
        shares = [count / max(1, len(self.parts)) for count in gold] or [0.25]
        yes = sum(shares) / len(shares)
        return (
            Metric(
                id="all-right",
                title="Questions with every option judged rightly",
                kind="share",
                unit="%",
                grouped=True,
                headline=True,
                breakdown=True,
                baselines={"chance": 0.5 ** len(self.parts), "always yes or no": 0.0},
                about="Share of questions all of whose options were judged rightly: guessing reaches "
                f"{100 * 0.5 ** len(self.parts):.1f} %, always yes or always no nothing.",
            ),
            Metric(
                id="most-likely-right",
                title="Questions whose likeliest yes is right",
                kind="share",
                unit="%",
                grouped=True,
                stability=False,
                baselines={"chance": yes},
                about="Share of questions in which the option that yes is likeliest for is right: knowledge that a "
                "leaning to yes or no hides.",
            ),
            Metric(
                id="statements-right",
                title="Options judged rightly",
                kind="share",
                unit="%",
                stability=False,
                about="Share of single judgements that are right; always saying no reaches "
                f"{100 * (1 - yes):.0f} % of them.",
            ),
            Metric(
                id="right-found",
                title="Right options judged right",
                kind="share",
                unit="%",
                stability=False,
                about="Share of the right options that were judged right (sensitivity). Read it with the next row: "
                "a model that always says yes has 100 % here and 0 % there.",
            ),
            Metric(
                id="wrong-refused",
                title="Wrong options judged wrong",
                kind="share",
                unit="%",
                stability=False,
                about="Share of the wrong options that were judged wrong (specificity).",
            ),
        )

    def scored(self, condition: Condition) -> bool:
        """Always by likelihood."""
        return True

    def orders(self, item: Item, count: int) -> int:
        """Nothing is listed."""
        return min(count, 1)

    def choices(self, item: Item) -> int:
        """How many sets of options can be judged right."""
        return int(2 ** len(self.parts))

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """Yes and no for one option; for the question as a whole there is no list."""
        return (YES, NO) if condition.part else ()

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """The word for yes or no; for a set of options their texts."""
        if key in {YES, NO}:
            return self.prompt_text(condition).answers[key == NO]
        offered = self.view(item, condition).options
        return " + ".join(offered.get(part, part) for part in key.split("+"))

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """Of one option yes or no; of the question the set of its right options."""
        gold = self.view(item, condition).gold
        if not condition.part or not gold:
            return ("+".join(sorted(gold)),) if gold else ()
        return (YES if condition.part in gold else NO,)

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The question and one option."""
        view = self.view(item, condition)
        return {**view.texts, "option": view.options[condition.part]}

    def request(self, item: Item, condition: Condition) -> ChoiceRequest:
        """The question with one option, continued by yes and no."""
        return self.scored_request(item, condition, self.prompt_text(condition).answers)

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """Yes or no for one option. `values`: yes_margin (yes − no, nats)."""
        scores = scores_of(answer, 2)
        if isinstance(scores, Verdict):
            return scores
        margin = scores[0] - scores[1]
        if margin == 0:
            return error("Yes and no are exactly as likely as each other.")
        choice = YES if margin > 0 else NO
        gold = self.gold(item, condition)
        kind = "chosen" if not gold else "correct" if choice in gold else "incorrect"
        reason = f"{self.option_text(item, condition, choice)} is likelier, by {abs(margin):.2f} nats."
        return Verdict(kind, choice, reason, abs(margin), {"yes_margin": margin})

    def group(self, item: Item, condition: Condition, verdicts: Mapping[str, Verdict]) -> Verdict:
        """All judgements together. `values`: likeliest_right (1 where the option with the greatest yes margin is
        right, where anything is)."""
        lost = next((one for one in verdicts.values() if one.kind in UNUSABLE), None)
        if lost is not None:
            return lost
        taken = sorted(part for part, one in verdicts.items() if one.choice == YES)
        choice = "+".join(taken) or "nothing"
        right = self.view(item, condition).gold
        likeliest = max(verdicts, key=lambda part: verdicts[part].values.get("yes_margin", 0.0))
        margins = [one.margin for one in verdicts.values() if one.margin is not None]
        if not right:
            return Verdict("chosen", choice, "Nothing is right or wrong here.", min(margins, default=None))
        wrong = sum(one.kind != "correct" for one in verdicts.values())
        kind = "correct" if not wrong else "incorrect"
        reason = "Every option was judged rightly." if not wrong else f"{wrong} of {len(verdicts)} were judged wrongly."
        return Verdict(kind, choice, reason, min(margins, default=None), {"likeliest_right": float(likeliest in right)})

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0."""
        if not verdict.usable or verdict.kind == "chosen":
            return None
        if metric.id == "most-likely-right":
            return verdict.values.get("likeliest_right")
        if metric.id in {"right-found", "wrong-refused"}:
            wanted = YES if metric.id == "right-found" else NO
            if self.gold(item, condition) != (wanted,):
                return None
        return float(verdict.kind == "correct")
