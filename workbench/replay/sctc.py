"""SC-TC-Bench scored again, from a copy of the authors' repository: the published counts, and the corrected ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from suites.importers.sctc.model import Drop, Language, NameRun, TermCell, TermRun
from suites.importers.sctc.overrides import Overrides
from suites.importers.sctc.reader import Copy
from suites.importers.sctc.verdicts import Mode, TermRule, name_verdict

SMALL = 30
"""Below this many answers that count, a share says next to nothing, and its row is marked."""
MODES: tuple[Mode, ...] = ("published", "corrected")


class TermResult(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a model's answers to the term prompts. n = correct + misaligned + incorrect + unusable."""

    task: str = "term"
    model: str
    language: Language
    version: int
    n: int
    correct: int
    misaligned: int
    incorrect: int
    unusable: dict[str, int] = {}
    """Corrected mode: refused, unparsed, empty."""
    overridden: int = 0
    """Answers that an override made, or unmade, misaligned."""
    small: bool = False


class NameResult(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a model's choices from lists of names. n = mainland + taiwan + invalid."""

    task: str = "name"
    model: str
    language: Language
    set: int
    n: int
    mainland: int
    taiwan: int
    invalid: int
    unusable: dict[str, int] = {}
    """Corrected mode: what the invalid ones are (several, none, fragment, refused, unparsed, empty, or invalid where
    no raw response tells)."""
    small: bool = False
    """Fewer than `SMALL` choices of a listed name."""


Result = TermResult | NameResult


class Check(msgspec.Struct, frozen=True):
    """Our per-item counts against the authors' own table."""

    cells: int
    equal: int
    first: str = ""
    """The first cell that differs, in words."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy gives in each mode, what was left out of it, and what should be known about it."""

    rows: dict[str, list[Result]]
    overrides: bool
    """Whether a file of manual overrides was given."""
    check: Check | None
    """Published mode against the authors' per-item table; None where the copy has none."""
    drops: list[Drop]
    notes: list[str]


def replay(root: Path, modes: tuple[Mode, ...] = MODES, overrides: Overrides | None = None) -> Replay:
    """Score a copy again. Raises SuiteError where it is none or holds no responses."""
    copy = Copy(root)
    rows: dict[str, list[Result]] = {mode: [] for mode in modes}
    term_rules: dict[tuple[Mode, Language], TermRule] = {}
    checked = _Checked(copy)
    for run in copy.term_runs(overrides):
        for mode in modes:
            key = (mode, run.language)
            if key not in term_rules:
                simplify = copy.converter.simplified if copy.converter else str
                term_rules[key] = TermRule(copy.terms, run.language, mode, overrides, simplify)
            rows[mode].append(score_terms(run, term_rules[key]))
        if "published" in modes:
            checked.compare(run, term_rules["published", run.language])
    for choices in copy.name_runs():
        for mode in modes:
            rows[mode].append(score_names(choices, mode))
    if not any(rows.values()):
        raise_nothing(copy)
    notes = _notes(rows, overrides)
    for (mode, _), rule in term_rules.items():
        if mode == "corrected" and rule.unbound:
            notes.append(f"{len(rule.unbound)} override strings belong to no item and do not apply in corrected mode.")
    return Replay(
        rows=rows, overrides=overrides is not None, check=checked.result(), drops=list(copy.drops), notes=notes
    )


def raise_nothing(copy: Copy) -> None:
    """Raises SuiteError: there is nothing to score, and the first reason why."""
    from suites.base import SuiteError
    from suites.files import printable

    why = f"; {copy.drops[0]}" if copy.drops else ""
    raise SuiteError(f"{printable(str(copy.root))}: holds no responses that can be scored{why}")


def term_labels(run: TermRun, rule: TermRule) -> Iterator[tuple[int, str, str]]:
    """Item, label and the rule that gave it, for each row."""
    for item, response, judged in zip(run.items, run.responses, run.judged, strict=True):
        verdict = rule.verdict(item, response, judged)
        yield item, verdict.label, verdict.rule


def score_terms(run: TermRun, rule: TermRule) -> TermResult:
    """A run's counts."""
    labels: Counter[str] = Counter()
    overridden = 0
    for _, label, by in term_labels(run, rule):
        labels[label] += 1
        overridden += by == "override"
    count = len(run.items)
    apart = {label: labels[label] for label in ("refused", "unparsed", "empty") if labels[label]}
    return TermResult(
        model=run.model,
        language=run.language,
        version=run.version,
        n=count,
        correct=labels["correct"],
        misaligned=labels["misaligned"],
        incorrect=labels["incorrect"],
        unusable=apart,
        overridden=overridden,
        small=count - sum(apart.values()) < SMALL,
    )


def score_names(run: NameRun, mode: Mode) -> NameResult:
    """A run's counts."""
    labels: Counter[str] = Counter()
    lists = {id(listed): listed for listed in run.lists}
    rows = Counter(zip(run.codes, run.chosen, map(id, run.lists), run.responses, strict=True))
    for (code, chosen, key, response), count in rows.items():
        labels[name_verdict(mode, code, chosen, lists[key], response)] += count
    mainland, taiwan = labels.pop("mainland", 0), labels.pop("taiwan", 0)
    return NameResult(
        model=run.model,
        language=run.language,
        set=run.set,
        n=len(run.codes),
        mainland=mainland,
        taiwan=taiwan,
        invalid=labels.total(),
        unusable=dict(sorted(labels.items())) if mode == "corrected" else {},
        small=mainland + taiwan < SMALL,
    )


class _Checked:
    """Per-item counts against the authors' table, while runs go by."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._tables: dict[tuple[Language, int], dict[str, list[TermCell]] | None] = {}
        self._cells = self._equal = 0
        self._first = ""

    def compare(self, run: TermRun, rule: TermRule) -> None:
        """Count the cells of this run that are as the authors have them."""
        key = (run.language, run.version)
        if key not in self._tables:
            self._tables[key] = self._copy.item_table(*key)
        theirs = (self._tables[key] or {}).get(run.model)
        if theirs is None:
            return
        counts: dict[int, Counter[str]] = {term.id: Counter() for term in self._copy.terms}
        for item, label, _ in term_labels(run, rule):
            counts[item][label] += 1
        for (item, count), cell in zip(counts.items(), theirs, strict=False):
            ours = TermCell(count["correct"], count["misaligned"], count["incorrect"])
            self._cells += 1
            self._equal += ours == cell
            if ours != cell and not self._first:
                self._first = (
                    f"{run.model}, {run.language} {run.version}, item {item}: correct/misaligned/incorrect "
                    f"{'/'.join(map(str, ours))}, theirs {'/'.join(map(str, cell))}"
                )

    def result(self) -> Check | None:
        """None where there was nothing to compare with."""
        return Check(self._cells, self._equal, self._first) if self._cells else None


def _notes(rows: dict[str, list[Result]], overrides: Overrides | None) -> list[str]:
    every = [row for found in rows.values() for row in found]
    notes = []
    if overrides is None and any(isinstance(row, TermResult) for row in every):
        notes.append(
            "Term counts are WITHOUT the authors’ manual overrides: give them with --overrides FILE for the paper’s."
        )
    small = {(row.model, row.language, row.task) for row in every if row.small}
    if small:
        notes.append(f"Rows marked * rest on fewer than {SMALL} answers that count: their shares say next to nothing.")
    if any(isinstance(row, NameResult) and row.unusable.get("fragment") for row in rows.get("corrected", ())):
        notes.append(
            "Corrected: codings whose stored name is a fragment, not a whole name of the list, count as invalid."
        )
    return notes
