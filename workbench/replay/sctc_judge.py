"""A judge, and the judge-free rule, against the stored verdicts of SC-TC-Bench's term task."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from pathlib import Path

import msgspec

from engines.base import Engine
from suites.base import SuiteError
from suites.importers.sctc.model import Drop, Language
from suites.importers.sctc.overrides import Overrides
from suites.importers.sctc.reader import Copy
from suites.importers.sctc.verdicts import own_term
from workbench.judge.ask import Case, ask, way, without_latin
from workbench.judge.calibration import Calibration, calibrate

AGAINST = "the stored verdicts of the authors’ judge (GPT-4o-mini)"
RULE = "judge-free rule"
_STEP = 16


class Stored(msgspec.Struct, frozen=True):
    """A stored (response, verdict) pair. `by_rule`: whether the own region's term stands in the response."""

    case: Case
    correct: bool
    by_rule: bool
    language: Language


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The judge's and the rule's agreement, over all pairs drawn and by language."""

    n: int
    of: int
    """How many stored pairs there are."""
    judge: Calibration
    rule: Calibration
    by_language: dict[str, tuple[Calibration, Calibration]]
    drops: list[Drop]


def stored(
    root: Path, limit: int | None, seed: int, overrides: Overrides | None
) -> tuple[list[Stored], int, list[Drop]]:
    """`limit` stored pairs drawn by seed (all without), and how many there are. The draw depends on a pair's place and
    the seed alone; a smaller limit draws a part of a larger one's. Raises SuiteError where there are none."""
    copy = Copy(root)
    terms = {term.id: term for term in copy.terms}
    lots: list[tuple[bytes, Stored]] = []
    of = 0
    for run in copy.term_runs(overrides):
        llama = run.model.startswith("llama3")
        found: list[tuple[bytes, Stored]] = []
        for row, (item, question, gold, response, correct) in enumerate(
            zip(run.items, run.prompts, run.golds, run.responses, run.judged, strict=True)
        ):
            place = f"{seed}\n{run.model}\n{run.language}\n{run.version}\n{row}"
            lot = hashlib.sha256(place.encode("utf-8", "surrogateescape")).digest()
            case = Case(question, gold, without_latin(response) if llama else response)
            by_rule = own_term(terms[item], run.language, response)
            found.append((lot, Stored(case, correct, by_rule, run.language)))
        of += len(found)
        lots = lots + found if limit is None else heapq.nsmallest(limit, lots + found, key=lambda one: one[0])
    if not lots:
        raise SuiteError(f"{root}: holds no term responses with stored verdicts to compare a judge with")
    return [one for _, one in lots], of, copy.drops


def agreement(
    engine: Engine,
    drawn: tuple[list[Stored], int, list[Drop]],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Agreement:
    """Ask a judge about stored answers (what `stored` gives) and compare. Raises EngineDied, Cancelled."""
    pairs, of, drops = drawn
    words: list[bool | None] = []
    for start in range(0, len(pairs), _STEP):
        words += ask(engine, [pair.case for pair in pairs[start : start + _STEP]])
        progress(len(words), len(pairs))

    def both(kept: list[int]) -> tuple[Calibration, Calibration]:
        labels = [pairs[index].correct for index in kept]
        card = engine.card
        judge = calibrate(
            [words[index] for index in kept],
            labels,
            judge=card.name,
            fingerprint=card.fingerprint,
            way=way(engine),
            against=AGAINST,
        )
        rule = calibrate(
            [pairs[index].by_rule for index in kept], labels, judge=RULE, fingerprint="", way="rule", against=AGAINST
        )
        return judge, rule

    judge, rule = both(list(range(len(pairs))))
    languages = sorted({pair.language for pair in pairs})
    parts: dict[str, tuple[Calibration, Calibration]] = {
        each: both([index for index, pair in enumerate(pairs) if pair.language == each]) for each in languages
    }
    return Agreement(n=len(pairs), of=of, judge=judge, rule=rule, by_language=parts, drops=drops)
