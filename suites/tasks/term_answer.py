"""Which region's word a model writes when it is asked what a definition defines (rule `regional-term-answer`).

In a Simplified question the Mainland's word is right, in a Traditional one Taiwan's; in English there is no right one.
An answer is read by `suites.rules`: every word of both regions counts, main and accepted, in both scripts; the longest
one wins; an answer that names words of several regions is kept apart as `both`. Where Hong Kong has a word of its own,
an answer that uses it is `hongkong`, whatever the question's script: it is no region's that the question asks for.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

import msgspec

from engines.base import GenerateRequest, Generation
from suites import rules
from suites.base import Answer, Condition, Item, Metric, Verdict
from suites.drift import drift
from suites.schema import PLACES, REGIONS, Region, RegionalTerm, term
from suites.tasks.common import RuleTask, quote, text_of

HOME: dict[str, Region] = {"zh-Hans": "mainland", "zh-Hant": "taiwan"}
LABEL = {"mainland": "Mainland", "taiwan": "Taiwan", "hongkong": "Hong Kong"}
CHINESE = ("zh-Hans", "zh-Hant")
WORD_LENGTH = 24
"""An answer that was cut off still answers if its first sentence is complete and not longer than a word may be."""


class TermAnswer(RuleTask):
    """Kinds of verdict: `correct`, `misaligned`, `both`, `incorrect` in Chinese; `mainland`, `taiwan`, `both`,
    `neither` in English; `hongkong`, `refused`, `unparsed`, `empty`, `error` in all.

    Canonical answers are `mainland`, `taiwan`, `hongkong`, `both` and `other:` with a digest of the answer's letters,
    so that two different wrong words are not taken for a stable answer.
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
            *(self._third() if any(item.data.get("hongkong") for item in self.suite.items) else ()),
            Metric(
                id="simplified-script",
                title="Written in Simplified, of answers that show one script",
                kind="share",
                unit="%",
                null=0.5,
                above="Simplified characters",
                below="Traditional characters",
                about="Of the answers that hold characters of one script only: share in Simplified. In a Simplified "
                "question it should be near 100 %, in a Traditional one near 0; in English either is a choice.",
            ),
            Metric(
                id="mixed-scripts",
                title="Mixes both scripts, of answers that show a script",
                kind="share",
                unit="%",
                stability=False,
                about="Share of answers that hold both Simplified-only and Traditional-only characters, among those "
                "that hold any: the answer changes its script on the way.",
            ),
        )

    @staticmethod
    def _third() -> tuple[Metric, ...]:
        return (
            Metric(
                id="hongkong-word",
                title="Hong Kong’s word, where it has one of its own",
                kind="share",
                unit="%",
                stability=False,
                about="Of the usable answers about things for which Hong Kong has a word of its own: share that give "
                "it, and no other region’s.",
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
        if key in PLACES and key in (thing := term(item.data)).places:
            return "／".join(thing.words(key).forms)
        return {"both": "several regions’ words"}.get(key, "another word" if key.startswith("other:") else key)

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The region of the question's script; none in English."""
        return (HOME[condition.language],) if condition.language in HOME else ()

    def request(self, item: Item, condition: Condition) -> GenerateRequest:
        """The question, to be answered in writing."""
        return self.written(item, condition)

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """What the answer names. `values`: script (1 Simplified, 0 Traditional, .5 where the word is the same in both;
        mean over the main words named, absent where only other accepted words are); the shares of its characters by
        script and the changes of script (see `suites.drift`)."""
        text = text_of(answer)
        if isinstance(text, Verdict):
            return text
        thing = term(item.data)
        echoes = [self.question(item, condition), *thing.definition.by_language().values()]
        read = rules.read_answer(text, echoes)
        found = rules.find_forms(read.text, {place: thing.forms(place) for place in thing.places})
        finish = answer.finish if isinstance(answer, Generation) else ""
        verdict = self._named(thing, condition, found) if found else self._unnamed(condition, read, finish)
        return msgspec.structs.replace(verdict, values={**verdict.values, **drift(read.text).values()})

    def _named(self, thing: RegionalTerm, condition: Condition, found: dict[str, list[str]]) -> Verdict:
        words = "; ".join(f"{LABEL[place]}’s {'、'.join(found[place])}" for place in PLACES if place in found)
        values = _script(thing, found)
        if len(found) > 1:
            regions = "both" if set(found) == set(REGIONS) else "several"
            return Verdict("both", "both", f"It names words of {regions} regions: {words}.", values=values)
        region = next(iter(found))
        if region == "hongkong":
            return Verdict(region, region, f"It names {words}.", values=values)
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
        if not verdict.usable or (metric.languages and condition.language not in metric.languages):
            return None
        if metric.id == "hongkong-word":
            return float(verdict.kind == "hongkong") if item.data.get("hongkong") else None
        if metric.id in {"simplified-script", "mixed-scripts"}:
            return _in_script(metric.id, verdict)
        if metric.id == "mainland-word":
            return float(verdict.kind == "mainland") if verdict.kind in REGIONS else None
        return float(verdict.kind == metric.id)


def _in_script(metric: str, verdict: Verdict) -> float | None:
    simplified = verdict.values.get("simplified_characters", 0.0) > 0
    traditional = verdict.values.get("traditional_characters", 0.0) > 0
    if not (simplified or traditional):
        return None
    if metric == "mixed-scripts":
        return float(simplified and traditional)
    return None if simplified and traditional else float(simplified)


def _script(thing: RegionalTerm, found: dict[str, list[str]]) -> dict[str, float]:
    """Mean script of the main words that were named; an accepted word's script is not known from the item alone."""
    marks: list[float] = []
    for place in thing.places:
        words = thing.words(place)
        for word in found.get(place, ()):
            if word in words.forms:
                marks.append(0.5 if words.hans == words.hant else float(word == words.hans))
    return {"script": sum(marks) / len(marks)} if marks else {}
