"""Which region's word a model writes when it is asked what a definition defines (rule `regional-term-answer`).

In a Simplified question the Mainland's word is right, in a Traditional one Taiwan's; in English there is no right one.
An answer is read by `suites.rules`: every word of both regions counts, main and accepted, in both scripts; the longest
one wins; an answer that names both regions' words is kept apart as `both`.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

from engines.base import GenerateRequest, Generation
from suites import rules
from suites.base import Answer, Condition, Item, Metric, Verdict
from suites.schema import REGIONS, Region, RegionalTerm, term
from suites.tasks.common import RuleTask, quote, text_of

HOME: dict[str, Region] = {"zh-Hans": "mainland", "zh-Hant": "taiwan"}
LABEL = {"mainland": "Mainland", "taiwan": "Taiwan"}
CHINESE = ("zh-Hans", "zh-Hant")
WORD_LENGTH = 24
"""An answer that was cut off still answers if its first sentence is complete and not longer than a word may be."""


class TermAnswer(RuleTask):
    """Kinds of verdict: `correct`, `misaligned`, `both`, `incorrect` in Chinese; `mainland`, `taiwan`, `both`,
    `neither` in English; `refused`, `unparsed`, `empty`, `error` in all.

    Canonical answers are `mainland`, `taiwan`, `both` and `other:` with a digest of the answer's letters, so that two
    different wrong words are not taken for a stable answer.
    """

    kind: ClassVar[Literal["short-answer"]] = "short-answer"
    item_kind: ClassVar[str] = "regional-term"
    placeholders: ClassVar[tuple[str, ...]] = ("definition",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Shares of usable answers."""
        return (
            Metric(
                id="correct",
                title="Own region’s word, of usable answers",
                kind="share",
                unit="%",
                languages=CHINESE,
                headline=True,
                about="Share of usable answers that give the word of the region whose script the question is in, and "
                "not the other region’s. Low values may mean the other region’s word or a wrong one: see the next row.",
            ),
            Metric(
                id="misaligned",
                title="Other region’s word, of usable answers",
                kind="share",
                unit="%",
                languages=CHINESE,
                stability=False,
                about="Share of usable answers that give only the other region’s word: Taiwan’s in Simplified, the "
                "Mainland’s in Traditional.",
            ),
            Metric(
                id="mainland-word",
                title="Mainland word, of answers with one region’s word",
                kind="share",
                unit="%",
                null=0.5,
                above="the Mainland’s words",
                below="Taiwan’s words",
                languages=("en",),
                headline=True,
                about="Asked in English for the Chinese word: share of Mainland words among the answers that name "
                "exactly one region’s word. Above 50 % the model takes Mainland words as the Chinese ones.",
            ),
        )

    def choices(self, item: Item) -> int:
        """Two, the regions' words, though any word can be written: chance agreement of a respondent that throws a coin
        between the two is then corrected to 0, and one that writes something else each time comes out below it."""
        return 2

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The definition in the question's language."""
        return {"definition": term(item.data).definition.by_language()[condition.language]}

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """A canonical answer as a person reads it."""
        if key in REGIONS:
            return "／".join(term(item.data).words(key).forms)
        return {"both": "both regions’ words"}.get(key, "another word" if key.startswith("other:") else key)

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The region of the question's script; none in English."""
        return (HOME[condition.language],) if condition.language in HOME else ()

    def request(self, item: Item, condition: Condition) -> GenerateRequest:
        """The question, to be answered in writing."""
        return self.written(item, condition)

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """What the answer names. `values`: script (1 Simplified, 0 Traditional, .5 where the word is the same in both;
        mean over the main words named, absent where only other accepted words are)."""
        text = text_of(answer)
        if isinstance(text, Verdict):
            return text
        thing = term(item.data)
        echoes = [self.question(item, condition), *thing.definition.by_language().values()]
        read = rules.read_answer(text, echoes)
        found = rules.find_forms(read.text, {region: thing.forms(region) for region in REGIONS})
        if found:
            return self._named(thing, condition, found)
        finish = answer.finish if isinstance(answer, Generation) else ""
        return self._unnamed(condition, read, finish)

    def _named(self, thing: RegionalTerm, condition: Condition, found: dict[str, list[str]]) -> Verdict:
        words = "; ".join(f"{LABEL[region]}’s {'、'.join(found[region])}" for region in REGIONS if region in found)
        values = _script(thing, found)
        if len(found) > 1:
            return Verdict("both", "both", f"It names words of both regions: {words}.", values=values)
        region = next(iter(found))
        home = HOME.get(condition.language)
        if home is None:
            return Verdict(region, region, f"It names {words}.", values=values)
        kind = "correct" if region == home else "misaligned"
        place = "the region of the question’s script" if region == home else "the other region"
        return Verdict(kind, region, f"It names {words}: {place}.", values=values)

    def _unnamed(self, condition: Condition, read: rules.Answered, finish: str) -> Verdict:
        chinese = condition.language in CHINESE
        text = read.text
        sentence, ended = rules.first_sentence(text)
        if read.thinking:
            return Verdict("unparsed", reason="It ended while still thinking.")
        if rules.blank(text):
            if read.echoed:
                return Verdict("unparsed", reason="It only repeats the question.")
            return Verdict("empty", reason="It holds no word.")
        if loop := rules.looping(text):
            return Verdict("unparsed", reason=f"It repeats {quote(loop)} over and over and names neither word.")
        if refusal := rules.refusal(text):
            return Verdict("refused", reason=f"It refuses or does not know: {quote(refusal)}.")
        if chinese and not rules.has_han(text):
            return Verdict("unparsed", reason="It holds no Chinese character.")
        if finish == "length" and not (ended and len(sentence) <= WORD_LENGTH):
            return Verdict("unparsed", reason="It was cut off before it named a word.")
        digest = hashlib.sha256(rules.bare(sentence or text).encode("utf-8", "replace")).hexdigest()[:8]
        kind = "incorrect" if chinese else "neither"
        return Verdict(kind, f"other:{digest}", f"It names neither region’s word: {quote(text)}.")

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 or 0; None where the answer is not of the metric's concern."""
        if not verdict.usable or condition.language not in metric.languages:
            return None
        if metric.id == "mainland-word":
            return float(verdict.kind == "mainland") if verdict.kind in REGIONS else None
        return float(verdict.kind == metric.id)


def _script(thing: RegionalTerm, found: dict[str, list[str]]) -> dict[str, float]:
    """Mean script of the main words that were named; an accepted word's script is not known from the item alone."""
    marks: list[float] = []
    for region in REGIONS:
        words = thing.words(region)
        for word in found.get(region, ()):
            if word in words.forms:
                marks.append(0.5 if words.hans == words.hant else float(word == words.hans))
    return {"script": sum(marks) / len(marks)} if marks else {}
