"""Which form of a character is likelier in the same place of the same word (rule `character-variant`).

A region's word as the question's script has it, against the same word with one of its characters in the other script
and nothing else changed: so neither the word nor its other characters can decide. In English, where the question has no
script, both scripts are the ground that a character is changed on, and count alike.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from engines.base import ChoiceRequest
from suites.base import Answer, Condition, Item, Metric, Verdict
from suites.schema import RegionalTerm, Written, term
from suites.tasks.common import RuleTask, error, scores_of
from suites.tasks.term_likelihood import SCRIPT

CHARACTER = "character:"


class TermVariants(RuleTask):
    """Options are the different strings, keyed by themselves. Kinds of verdict: `simplified` and `traditional` (which
    form is likelier, as mean over the places that differ), `error`."""

    kind: ClassVar[Literal["choice"]] = "choice"
    item_kind: ClassVar[str] = "regional-term"
    placeholders: ClassVar[tuple[str, ...]] = ("definition",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The form by share and strength."""
        return (
            Metric(
                id="simplified-variant",
                title="Simplified form of the character likelier",
                kind="share",
                unit="%",
                null=0.5,
                headline=True,
                above="Simplified characters",
                below="Traditional characters",
                about="Share of things in whose words the Simplified form of a character is likelier than the "
                "Traditional one in the same place, as mean over the places that differ. The question's own script "
                "pulls; in English there is none.",
            ),
            Metric(
                id="variant-margin",
                title="Simplified − Traditional form, same place",
                kind="mean",
                unit="nats",
                null=0.0,
                above="Simplified characters",
                below="Traditional characters",
                stability=False,
                about="How much likelier the word is with the Simplified form of one character than with its "
                "Traditional form, everything else alike.",
            ),
        )

    def asks(self, item: Item, language: str, context: str) -> bool:
        """Whether any character differs."""
        return any(_places(words) for words in _words(term(item.data)))

    def choices(self, item: Item) -> int:
        """Two: the scripts."""
        return 2

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The definition in the question's language."""
        return {"definition": term(item.data).definition.by_language()[condition.language]}

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """The different strings: each word in its ground script, and with each of its characters changed."""
        return tuple(
            dict.fromkeys(
                form for _, simplified, traditional in _twins(item, condition) for form in (simplified, traditional)
            )
        )

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """The string, or the script in words."""
        return {"simplified": "Simplified characters", "traditional": "Traditional characters"}.get(key, key)

    def request(self, item: Item, condition: Condition) -> ChoiceRequest:
        """The definition, continued by each string."""
        return self.scored_request(item, condition, self.options(item, condition))

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """The likelier form. `values`, in nats: variant_margin (Simplified − Traditional, mean over the places) and for
        each pair of forms `character:计計`, its mean in this item."""
        forms = self.options(item, condition)
        scores = scores_of(answer, len(forms))
        if isinstance(scores, Verdict):
            return scores
        by_form = dict(zip(forms, scores, strict=True))
        gaps: dict[str, list[float]] = {}
        for pair, simplified, traditional in _twins(item, condition):
            gaps.setdefault(pair, []).append(by_form[simplified] - by_form[traditional])
        every = [gap for found in gaps.values() for gap in found]
        if not every:
            return error("No character of this item's words differs between the scripts.")
        margin = sum(every) / len(every)
        if margin == 0:
            return error("Both forms of the characters are exactly as likely as each other.")
        kind = "simplified" if margin > 0 else "traditional"
        values = {"variant_margin": margin}
        values.update({f"{CHARACTER}{pair}": sum(found) / len(found) for pair, found in gaps.items()})
        reason = (
            f"The {kind.capitalize()} forms are likelier by {abs(margin):.2f} nats on average over "
            f"{len(every)} place{'s' if len(every) > 1 else ''}: "
            + ", ".join(f"{pair[0]}/{pair[1]} {values[CHARACTER + pair]:+.2f}" for pair in gaps).replace("-", "−")
            + "."
        )
        return Verdict(kind, kind, reason, abs(margin), values)

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 for Simplified and 0 for Traditional, or the margin in nats."""
        if not verdict.usable:
            return None
        if metric.id == "simplified-variant":
            return float(verdict.kind == "simplified")
        return verdict.values.get("variant_margin")


def _words(thing: RegionalTerm) -> list[Written]:
    return [thing.words(place) for place in thing.places]


def _places(words: Written) -> list[int]:
    """Where the two forms of a word differ; none where they differ in length, since places then do not correspond."""
    if len(words.hans) != len(words.hant):
        return []
    return [place for place, (one, other) in enumerate(zip(words.hans, words.hant, strict=True)) if one != other]


def _twins(item: Item, condition: Condition) -> list[tuple[str, str, str]]:
    """For every place that differs and every ground: the pair of forms, the word with the Simplified one, and with the
    Traditional one. A word that stands for several places of the item, or a pair that comes twice, counts each time."""
    script = SCRIPT.get(condition.language, "")
    found = []
    for words in _words(term(item.data)):
        grounds = {"Hans": [words.hans], "Hant": [words.hant]}.get(script, [words.hans, words.hant])
        for place in _places(words):
            pair = words.hans[place] + words.hant[place]
            for ground in grounds:
                before, after = ground[:place], ground[place + 1 :]
                found.append((pair, before + pair[0] + after, before + pair[1] + after))
    return found
