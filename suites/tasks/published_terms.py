"""A published term task, asked and judged as published (rule `published-terms`).

The question stands word for word in the item. An answer is `misaligned` where the other region's term stands in it, as
written or converted to the question's script, whatever else it names; then, without a judge, `correct` where the own
region's term does. A judge's word on an answer can take the place of that second step (see `verdict`).
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

import msgspec

from engines.base import GenerateRequest
from suites import rules
from suites.base import Answer, Condition, Item, Metric, Verdict
from suites.schema import PublishedTerm, Region
from suites.tasks.common import RuleTask, quote, text_of
from suites.tasks.term_answer import CHINESE, HOME, LABEL


class PublishedTerms(RuleTask):
    """Kinds of verdict: `correct`, `misaligned`, `incorrect`, `refused`, `unparsed`, `empty`, `error`."""

    kind: ClassVar[Literal["short-answer"]] = "short-answer"
    item_kind: ClassVar[str] = "published-term"
    placeholders: ClassVar[tuple[str, ...]] = ("question",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Shares of all answers, as the paper counts."""
        return (
            Metric(
                id="correct",
                title="Own region’s term, of all answers (no judge)",
                kind="share",
                unit="%",
                languages=CHINESE,
                headline=True,
                about="Share of all answers, empty and refused ones among them as in the paper, that hold the own "
                "region’s term and not the other’s. The paper asks a judge model instead: its shares are higher where "
                "a synonym is right.",
            ),
            Metric(
                id="misaligned",
                title="Other region’s term, of all answers",
                kind="share",
                unit="%",
                languages=CHINESE,
                stability=False,
                about="Share of all answers that hold the other region’s term: the published rule, but for the manual "
                "overrides.",
            ),
        )

    def choices(self, item: Item) -> int:
        """Two, the regions' terms."""
        return 2

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The question as published."""
        return {"question": _term(item).questions[condition.language][condition.version - 1]}

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """A canonical answer as a person reads it."""
        thing = _term(item)
        return {"mainland": thing.mainland, "taiwan": thing.taiwan}.get(key, "another word")

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The region of the question's script."""
        return (HOME[condition.language],) if condition.language in HOME else ()

    def request(self, item: Item, condition: Condition) -> GenerateRequest:
        """The question, to be answered in writing."""
        return self.written(item, condition)

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """What the answer is by the judge-free rule."""
        return self.verdict(item, condition, answer, None)

    def verdict(self, item: Item, condition: Condition, answer: Answer, judged: bool | None) -> Verdict:
        """What the answer is; `judged`: a judge's word on it, None where there is no judge."""
        text = text_of(answer)
        if isinstance(text, Verdict):
            return text
        text, thinking = rules.strip_thinking(text)
        if thinking:
            return Verdict("unparsed", reason="It ended while still thinking.")
        thing = _term(item)
        home = HOME[condition.language]
        other: Region = "taiwan" if home == "mainland" else "mainland"
        if word := _stands(thing, other, text):
            return Verdict("misaligned", other, f"{LABEL[other]}’s {word} stands in it.")
        word = _stands(thing, home, text)
        if judged or (judged is None and word):
            by = "The judge calls it right." if judged else f"{LABEL[home]}’s {word} stands in it, and not the other’s."
            return Verdict("correct", home, by)
        if rules.blank(text):
            return Verdict("empty", reason="It holds no word.")
        if refusal := rules.refusal(text):
            return Verdict("refused", reason=f"It refuses or does not know: {quote(refusal)}.")
        if rules.looping(text) or not rules.has_han(text):
            return Verdict("unparsed", reason=f"It holds no Chinese word that could be read: {quote(text)}.")
        digest = hashlib.sha256(rules.bare(text).encode("utf-8", "replace")).hexdigest()[:8]
        why = "Neither region’s term stands in it" if judged is None else "The judge calls it wrong"
        return Verdict("incorrect", f"other:{digest}", f"{why}: {quote(text)}.")

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0 of every answer; None only where there was none because something failed."""
        if verdict.kind == "error" or condition.language not in metric.languages:
            return None
        return float(verdict.kind == metric.id)


def _term(item: Item) -> PublishedTerm:
    return msgspec.convert(item.data, PublishedTerm)


def _stands(thing: PublishedTerm, region: Region, text: str) -> str:
    """The first of a region's terms, in either script, that stands in a text."""
    terms = (
        (thing.mainland, thing.mainland_converted) if region == "mainland" else (thing.taiwan, thing.taiwan_converted)
    )
    return next((word for term in terms for word in term.split("/") if word in text), "")
