"""Which option a model writes when it is asked for one, with what it would have chosen by likelihood beside it
(rule `option-answer`).

An answer in the wrong form says nothing of what the model knows. So each question is put in two parts, written and
scored: where the written answer cannot be read, the scored one stands in for it, and figures say how often. Failing the
form and not knowing are never added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from engines.base import ChoiceRequest, GenerateRequest, Generation
from suites import rules
from suites.base import Answer, Condition, Item, Metric, TaskKind, Verdict
from suites.picks import pick
from suites.refusals import refusal
from suites.tasks.common import error, quote, scores_of, text_of
from suites.tasks.options import KNOWLEDGE, OptionTask

WRITTEN, SCORED = "written", "scored"
WRONG_FORM = frozenset({"unparsed", "empty"})


class OptionAnswer(OptionTask):
    """Kinds of verdict, of a written part and of a question: `correct`, `incorrect` (or `chosen`), `refused`,
    `unparsed`, `empty`, `error`. A question whose answer was in the wrong form keeps that kind; `values` hold what the
    scored part says."""

    kind: ClassVar[TaskKind] = "choice-generated"
    item_kinds: ClassVar[tuple[str, ...]] = KNOWLEDGE

    @property
    def parts(self) -> tuple[str, ...]:
        """The written answer, and the same question by likelihood."""
        return (WRITTEN, SCORED)

    def scored(self, condition: Condition) -> bool:
        """Only the second part."""
        return condition.part == SCORED

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Right answers among the readable ones; form and refusals apart; right answers with the scored ones."""
        found = [self.correct("Share of the readable written answers that are right.", grouped=True)]
        found += self.per_label(grouped=True)
        return (*found, *self.forms(), self.first_place(grouped=True))

    def forms(self) -> tuple[Metric, ...]:
        """What became of the answers that are no choice."""
        return (
            Metric(
                id="wrong-form",
                title="Answers in the wrong form",
                kind="share",
                unit="%",
                grouped=True,
                stability=False,
                about="Share of written answers that name none, or several, of the options, without refusing: a "
                "failure of form, not of knowledge.",
            ),
            Metric(
                id="refused",
                title="Refusals",
                kind="share",
                unit="%",
                grouped=True,
                stability=False,
                about="Share of written answers that refuse or say that the model does not know.",
            ),
            Metric(
                id="correct-either-way",
                title="Right answers, wrong form replaced by likelihood",
                kind="share",
                unit="%",
                grouped=True,
                stability=False,
                about="Share of right answers where those in the wrong form count as the option that is likeliest "
                "after the same question. Refusals are left out.",
            ),
        )

    def _labels(self, item: Item, condition: Condition) -> dict[str, str]:
        keys = self.options(item, condition)
        return dict(zip(keys, self.labels(len(keys)), strict=True)) if self.spec.labels else {}

    def request(self, item: Item, condition: Condition) -> ChoiceRequest | GenerateRequest:
        """The question, to be answered in writing, or with the labels (or texts) as continuations."""
        if condition.part == WRITTEN:
            return self.written(item, condition)
        keys = self.options(item, condition)
        named = tuple(self._labels(item, condition).values())
        offered = named or tuple(self.option_text(item, condition, key) for key in keys)
        return self.answered_by_score(item, condition, offered)

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """What a part says. `values` of a written one: by_label, by_text."""
        if condition.part == SCORED:
            return self._likeliest(item, condition, answer)
        text = text_of(answer)
        if isinstance(text, Verdict):
            return text
        read = rules.read_answer(text, [self.question(item, condition)])
        keys = self.options(item, condition)
        texts = {key: self.option_text(item, condition, key) for key in keys}
        picked = pick(read.text, texts, self._labels(item, condition))
        finish = answer.finish if isinstance(answer, Generation) else ""
        if not picked.key:
            return unread(read, picked.several, condition.language, finish)
        values = {
            "by_label": float(picked.form in {"label", "both"}),
            "by_text": float(picked.form in {"text", "both"}),
            "position": float(keys.index(picked.key)),
        }
        return Verdict(
            self.judged(item, condition, picked.key),
            picked.key,
            f"It names {quote(texts[picked.key])} by its {'label and text' if picked.form == 'both' else picked.form}.",
            values=values,
        )

    def _likeliest(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        keys = self.options(item, condition)
        scores = scores_of(answer, len(keys))
        if isinstance(scores, Verdict):
            return scores
        ranked = sorted(range(len(keys)), key=lambda place: -scores[place])
        margin = scores[ranked[0]] - scores[ranked[1]]
        if margin == 0:
            return error("The two likeliest options are exactly as likely as each other.")
        key = keys[ranked[0]]
        reason = f"Asked again by likelihood: {quote(self.option_text(item, condition, key))}, by {margin:.2f} nats."
        return Verdict(self.judged(item, condition, key), key, reason, margin)

    def group(self, item: Item, condition: Condition, verdicts: Mapping[str, Verdict]) -> Verdict:
        """The written verdict. `values` in the wrong form: instead (1 right, 0 wrong by likelihood)."""
        written, scored = verdicts[WRITTEN], verdicts[SCORED]
        if written.kind not in WRONG_FORM or not scored.usable:
            return written
        values = {**written.values, "instead": float(scored.kind == "correct")}
        return Verdict(written.kind, "", f"{written.reason} {scored.reason}", values=values)

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0."""
        if verdict.kind == "error":
            return None
        if metric.id == "wrong-form":
            return float(verdict.kind in WRONG_FORM)
        if metric.id == "refused":
            return float(verdict.kind == "refused")
        if metric.id == "correct-either-way":
            instead = verdict.values.get("instead") if verdict.kind in WRONG_FORM else None
            return float(verdict.kind == "correct") if verdict.usable else instead
        return self.measured(metric, item, condition, verdict) if verdict.usable else None


def unread(read: rules.Answered, several: bool, language: str, finish: str) -> Verdict:
    """Why an answer names none of what was offered."""
    text = read.text
    if read.thinking:
        return Verdict("unparsed", reason="It ended while still thinking.")
    if rules.blank(text):
        if read.echoed:
            return Verdict("unparsed", reason="It only repeats the question.")
        return Verdict("empty", reason="It holds no word.")
    if refused := refusal(text, language):
        return Verdict("refused", reason=f"It refuses or does not know: {quote(refused)}.")
    if several:
        return Verdict("unparsed", reason=f"It names several of the options: {quote(text)}.")
    if loop := rules.looping(text):
        return Verdict("unparsed", reason=f"It repeats {quote(loop)} over and over and names no option.")
    if finish == "length":
        return Verdict("unparsed", reason=f"It was cut off before it named an option: {quote(text)}.")
    return Verdict("unparsed", reason=f"It names none of the options: {quote(text)}.")
