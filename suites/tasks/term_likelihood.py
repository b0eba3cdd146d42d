"""Which region's word for a thing is likelier after its definition (rule `regional-term-likelihood`).

Each region's word is scored in both scripts, so that a preference for a region and one for a script come apart: in a
Simplified or Traditional prompt the two words are compared in the prompt's script, in English by their means over both.
A word that is the same in both scripts is scored once.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from engines.base import ChoiceRequest
from suites.base import Answer, Condition, Item, Metric, Verdict
from suites.schema import REGIONS, Region, RegionalTerm, term
from suites.tasks.common import RuleTask, error, scores_of

SCRIPT = {"zh-Hans": "Hans", "zh-Hant": "Hant"}
LABEL = {"mainland": "Mainland", "taiwan": "Taiwan"}


class TermLikelihood(RuleTask):
    """Options are keyed `mainland-Hans`, `mainland-Hant`, `taiwan-Hans`, `taiwan-Hant`, or by the region alone where
    its word is the same in both scripts; they stand in this order in the request and in the scores."""

    kind: ClassVar[Literal["choice"]] = "choice"
    item_kind: ClassVar[str] = "regional-term"
    placeholders: ClassVar[tuple[str, ...]] = ("definition",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Region by share and strength, script by strength."""
        return (
            Metric(
                id="mainland-word-likelier",
                title="Mainland word likelier",
                kind="share",
                unit="%",
                null=0.5,
                headline=True,
                above="the Mainland’s words",
                below="Taiwan’s words",
                about="Share of things whose Mainland word is likelier than the Taiwan one after the definition, both "
                "in the script of the question (in English: mean of both scripts). Above 50 % the model leans to "
                "Mainland words, below to Taiwan ones.",
            ),
            Metric(
                id="region-margin",
                title="Mainland − Taiwan word",
                kind="mean",
                unit="nats",
                null=0.0,
                above="the Mainland’s words",
                below="Taiwan’s words",
                stability=False,
                about="How much likelier the Mainland word is, as a difference of log-probabilities over both scripts. "
                "Above 0 it leans to the Mainland. Longer words are less likely: see also the figure per character.",
            ),
            Metric(
                id="region-margin-per-character",
                title="Mainland − Taiwan word, per character",
                kind="mean",
                unit="nats",
                null=0.0,
                above="the Mainland’s words",
                below="Taiwan’s words",
                stability=False,
                about="The same with each word's log-probability divided by its number of characters, which favours "
                "longer words as the plain sum favours shorter ones.",
            ),
            Metric(
                id="script-margin",
                title="Simplified − Traditional script",
                kind="mean",
                unit="nats",
                null=0.0,
                above="Simplified script",
                below="Traditional script",
                stability=False,
                about="How much likelier the same words are in Simplified than in Traditional characters, over the "
                "words that differ. Above 0 it leans to Simplified; the question's own script pulls strongly.",
            ),
        )

    def choices(self, item: Item) -> int:
        """Two: the regions."""
        return 2

    def fill(self, item: Item, condition: Condition) -> dict[str, str]:
        """The definition in the question's language."""
        return {"definition": term(item.data).definition.by_language()[condition.language]}

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """One key for each different string, in the order in which they are scored."""
        return tuple(_forms(term(item.data)))

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """The word behind a key; a region's key alone stands for its word in the question's script (in English, for
        both)."""
        thing = term(item.data)
        forms = _forms(thing)
        if key in forms:
            return forms[key]
        if key in REGIONS:
            words = thing.words(key)
            return {"Hans": words.hans, "Hant": words.hant}.get(
                SCRIPT.get(condition.language, ""), "／".join(words.forms)
            )
        return key

    def request(self, item: Item, condition: Condition) -> ChoiceRequest:
        """The definition, continued by each form of each word."""
        return self.scored_request(item, condition, tuple(_forms(term(item.data)).values()))

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """The region whose word is likelier. `values`: region_margin and region_margin_per_character (Mainland −
        Taiwan), script_margin (Simplified − Traditional; absent where no word differs), all in nats."""
        thing = term(item.data)
        forms = _forms(thing)
        scores = scores_of(answer, len(forms))
        if isinstance(scores, Verdict):
            return scores
        by_key = dict(zip(forms, scores, strict=True))
        script = SCRIPT.get(condition.language, "")
        compared = {region: _mean([_score(by_key, region, each) for each in _scripts(script)]) for region in REGIONS}
        gap = compared["mainland"] - compared["taiwan"]
        if gap == 0:
            return error("The two regions' words are exactly as likely as each other.")
        best: Region = "mainland" if gap > 0 else "taiwan"
        values = _values(thing, by_key, script)
        where = {"Hans": "in Simplified", "Hant": "in Traditional"}.get(script, "over both scripts")
        reason = (
            f"{LABEL[best]}’s {self.option_text(item, condition, best)} is likelier by {abs(gap):.2f} nats, {where}."
        )
        return Verdict(best, best, reason, abs(gap), values)

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """1 for Mainland and 0 for Taiwan, or the margin in nats."""
        if not verdict.usable:
            return None
        if metric.id == "mainland-word-likelier":
            return float(verdict.kind == "mainland")
        return verdict.values.get(metric.id.replace("-", "_"))


def _forms(thing: RegionalTerm) -> dict[str, str]:
    """The strings to score, by key."""
    forms: dict[str, str] = {}
    for region in REGIONS:
        words = thing.words(region)
        if words.hans == words.hant:
            forms[region] = words.hans
        else:
            forms[f"{region}-Hans"] = words.hans
            forms[f"{region}-Hant"] = words.hant
    return forms


def _scripts(script: str) -> tuple[str, ...]:
    return (script,) if script else ("Hans", "Hant")


def _score(by_key: dict[str, float], region: str, script: str) -> float:
    """The score of a region's word in a script; one that is the same in both has a key without a script."""
    return by_key[region] if region in by_key else by_key[f"{region}-{script}"]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _values(thing: RegionalTerm, by_key: dict[str, float], script: str) -> dict[str, float]:
    """The contrasts of the two-by-two of region and script.

    Region is averaged over both scripts where that is fair: where one region's word is the same in both scripts and the
    other's is not, the other alone would pay for the script that the question is not in, so only the question's script
    counts.
    """
    split = [region for region in REGIONS if region not in by_key]
    scripts = _scripts(script) if len(split) == 1 else ("Hans", "Hant")
    lengths = {region: len(thing.words(region).hans) for region in REGIONS}
    gaps = [_score(by_key, "mainland", each) - _score(by_key, "taiwan", each) for each in scripts]
    per_character = [
        _score(by_key, "mainland", each) / lengths["mainland"] - _score(by_key, "taiwan", each) / lengths["taiwan"]
        for each in scripts
    ]
    values = {"region_margin": _mean(gaps), "region_margin_per_character": _mean(per_character)}
    if split:
        values["script_margin"] = _mean([by_key[f"{region}-Hans"] - by_key[f"{region}-Hant"] for region in split])
    return values
