"""Which option of a question is the likeliest answer (rule `option-choice`).

With `labels` the listed options are told apart by letters or numbers, and these are scored; without, their texts are.
"""

from __future__ import annotations

from typing import ClassVar

from engines.base import ChoiceRequest, ChoiceScores
from suites.base import Answer, Condition, Item, Metric, TaskKind, Verdict
from suites.tasks.common import error, quote, scores_of
from suites.tasks.options import OptionTask


class OptionChoice(OptionTask):
    """Kinds of verdict: `correct` and `incorrect`, or `chosen` where nothing is right or wrong; `error`."""

    kind: ClassVar[TaskKind] = "choice"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Right answers, by sum and per character, and place."""
        found = [self.correct("Share of questions whose likeliest option is right.")]
        if not self.spec.labels and not self._kind.answers:
            found.append(
                Metric(
                    id="correct-per-character",
                    title="Right answers, likelihood per character",
                    kind="share",
                    unit="%",
                    stability=False,
                    about="The same with each option's log-probability divided by its number of characters, which "
                    "favours longer options as the plain sum favours shorter ones.",
                )
            )
        found += self.per_label()
        if self.lists:
            found.append(self.first_place())
        return tuple(found)

    def request(self, item: Item, condition: Condition) -> ChoiceRequest:
        """The question, continued by each option's text or label, in the order in which they are listed."""
        keys = self.options(item, condition)
        if self.spec.labels:
            return self.scored_request(item, condition, self.labels(len(keys)))
        return self.scored_request(item, condition, tuple(self.option_text(item, condition, key) for key in keys))

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """The likeliest option. `values`: position (from 0), per_character (1 where the likeliest option per character
        is right, where anything is)."""
        keys = self.options(item, condition)
        scores = scores_of(answer, len(keys))
        if isinstance(scores, Verdict):
            return scores
        ranked = sorted(range(len(keys)), key=lambda place: -scores[place])
        margin = scores[ranked[0]] - scores[ranked[1]]
        if margin == 0:
            return error("The two likeliest options are exactly as likely as each other.")
        key = keys[ranked[0]]
        values = {"position": float(ranked[0])}
        gold = self.gold(item, condition)
        if gold and not self.spec.labels and isinstance(answer, ChoiceScores):
            even = [option.logprob / max(1, option.characters) for option in answer.options]
            values["per_character"] = float(keys[max(range(len(keys)), key=even.__getitem__)] in gold)
        kind = self.judged(item, condition, key)
        said = {"correct": ", and right", "incorrect": ", and wrong"}.get(kind, "")
        text = quote(self.option_text(item, condition, key))
        return Verdict(kind, key, f"{text} is the likeliest answer, by {margin:.2f} nats{said}.", margin, values)

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0."""
        if not verdict.usable:
            return None
        if metric.id == "correct-per-character":
            return verdict.values.get("per_character")
        return self.measured(metric, item, condition, verdict)
