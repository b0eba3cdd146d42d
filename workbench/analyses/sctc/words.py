"""Per term: how likely each region's word is in each prompt language, by model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from engines.base import ChoiceScores
from suites.base import Item, Suite
from suites.schema import Place, RegionalTerm, term
from suites.tasks.term_likelihood import SCRIPT
from workbench.audits.plan import Plan
from workbench.history.rows import AnswerRow

RULE = "regional-term-likelihood"


class Asked(msgspec.Struct, frozen=True):
    """The words of a thing in one prompt language: probabilities among the words on offer (mean over wordings), and the
    lead of the Mainland's word over Taiwan's in nats. A word is taken in the script of the question; in English by the
    mean of its log-probabilities in both."""

    probabilities: dict[str, float]
    margin: float

    @property
    def mainland(self) -> float:
        """Probability of the Mainland's word against Taiwan's alone."""
        first, second = self.probabilities["mainland"], self.probabilities["taiwan"]
        return first / (first + second) if first + second else 0.5


class TermWords(msgspec.Struct, frozen=True, kw_only=True):
    """A thing, its words and what every model makes of them, by (model, language)."""

    item: Item
    thing: RegionalTerm
    suite: str
    task: str
    asked: dict[tuple[str, str], Asked]

    def text(self, place: Place, language: str) -> str:
        """A place's word as it is compared in that language."""
        words = self.thing.words(place)
        script = SCRIPT.get(language, "")
        return {"Hans": words.hans, "Hant": words.hant}.get(script, "／".join(words.forms))

    def bias(self, models: Sequence[str]) -> float | None:
        """The lead of the Mainland's word in nats, mean over these models and all languages; None without an answer."""
        found = [one.margin for (model, _), one in self.asked.items() if model in models]
        return sum(found) / len(found) if found else None

    def spread(self, models: Sequence[str]) -> float:
        """How far the models' leads lie apart."""
        found = [lead for model in models if (lead := self.bias([model])) is not None]
        return max(found) - min(found) if len(found) > 1 else 0.0


def term_words(plan: Plan, suites: Iterable[Suite], rows: Iterable[AnswerRow]) -> list[TermWords]:
    """The things in the order of their suites; those without any usable answer are left out."""
    by_id = {suite.id: suite for suite in suites}
    wanted = {
        (planned.suite, planned.task) for planned in plan.tasks if by_id[planned.suite].task(planned.task).rule == RULE
    }
    items = {(name, item.hash): item for name, suite in by_id.items() for item in suite.items}
    things: dict[str, RegionalTerm] = {}
    found: dict[tuple[str, str, str], dict[tuple[str, str], list[dict[str, float]]]] = {}
    for row in rows:
        trial = row.trial
        if (
            (trial.suite, trial.task) not in wanted
            or not isinstance(row.answer, ChoiceScores)
            or not row.verdict.usable
        ):
            continue
        item = items[trial.suite, trial.item]
        thing = things.setdefault(item.hash, term(item.data))
        scores = _scores(thing, trial.condition.language, row.answer)
        place = found.setdefault((trial.suite, trial.task, item.hash), {})
        place.setdefault((trial.model, trial.condition.language), []).append(scores)
    return [
        TermWords(
            item=item,
            thing=things[item.hash],
            suite=suite,
            task=task,
            asked={key: _asked(scores) for key, scores in found[suite, task, item.hash].items()},
        )
        for suite, task in sorted(wanted)
        for item in by_id[suite].items
        if (suite, task, item.hash) in found
    ]


def _scores(thing: RegionalTerm, language: str, answer: ChoiceScores) -> dict[str, float]:
    """The log-probability of each place's word, as it is compared."""
    given = iter([option.logprob for option in answer.options])
    script = SCRIPT.get(language, "")
    found: dict[str, float] = {}
    for place in thing.places:
        words = thing.words(place)
        forms = {"Hans": next(given)} if words.hans == words.hant else {"Hans": next(given), "Hant": next(given)}
        found[place] = forms.get(script, sum(forms.values()) / len(forms))
    return found


def _asked(scores: Sequence[dict[str, float]]) -> Asked:
    shares = [_softmax(one) for one in scores]
    return Asked(
        {place: sum(one[place] for one in shares) / len(shares) for place in shares[0]},
        sum(one["mainland"] - one["taiwan"] for one in scores) / len(scores),
    )


def _softmax(scores: dict[str, float]) -> dict[str, float]:
    top = max(scores.values())
    weights = {place: math.exp(score - top) for place, score in scores.items()}
    total = sum(weights.values())
    return {place: weight / total for place, weight in weights.items()}
