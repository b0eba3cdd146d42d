"""From a copy of the authors' repository to the rows that the analyses read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from suites.importers.sctc.model import Language, Name, NameRun, SurnameRun, Term, TermRun
from suites.importers.sctc.overrides import Overrides
from suites.importers.sctc.reader import Copy
from suites.importers.sctc.verdicts import Mode, TermRule, name_verdict
from workbench.analyses.sctc.rows import CountRow, NameRow, Person, Rows, SurnameRow, TermRow
from workbench.replay.sctc import term_labels

LANGUAGES = {"simplified": "zh-Hans", "traditional": "zh-Hant", "english": "en"}
_REGIONS = frozenset({"mainland", "taiwan"})


class Records(Protocol):
    """What is needed of a copy for its further tables."""

    def records(self, path: str) -> list[dict[str, str]]:
        """The records of a CSV file; [] where it is absent."""


CORPORA = ("baidu-baike", "c4", "cctw", "map-cc", "mcc4", "ootc", "tw-wiki", "twc4", "twchat")
"""The corpora that the authors counted in."""


def published_rows(root: Path, mode: Mode = "published", overrides: Overrides | None = None) -> Rows:
    """Everything that a copy of the authors' repository holds, labelled in one mode. Raises SuiteError where the folder
    is no copy."""
    copy = Copy(root)
    people = People(copy.names)
    simplify = copy.converter.simplified if copy.converter else str
    rules: dict[Language, TermRule] = {}
    terms: list[TermRow] = []
    for run in copy.term_runs(overrides):
        if run.language not in rules:
            rules[run.language] = TermRule(copy.terms, run.language, mode, overrides, simplify)
        terms += term_rows(run, (label for _, label, _ in term_labels(run, rules[run.language])))
    names: list[NameRow] = []
    for choices in copy.name_runs():
        columns = zip(choices.codes, choices.chosen, choices.lists, choices.responses, strict=True)
        names += name_rows(choices, (name_verdict(mode, *row) for row in columns), people)
    surnames: list[SurnameRow] = []
    for asked in copy.surname_runs():
        surnames += surname_rows(asked, people, free_surnames(copy, asked.model))
    return Rows(
        terms=tuple(terms),
        names=tuple(names),
        surnames=tuple(surnames),
        counts=tuple(count_rows(copy, copy.terms, CORPORA)),
    )


def term_rows(run: TermRun, labels: Iterable[str]) -> Iterator[TermRow]:
    """A run's answers with their labels, one a row in its order. ValueError where their numbers differ."""
    for item, label in zip(run.items, labels, strict=True):
        yield TermRow(
            model=run.model, language=LANGUAGES[run.language], item=str(item), outcome=label, version=run.version
        )


class People:
    """The names of the repository as people, and every list of them made once."""

    def __init__(self, names: Iterable[Name]) -> None:
        self._people = {
            one.name: Person(
                name=one.name, region=one.region, gender=one.gender, given=one.name[1:], frequency=float(one.count)
            )
            for one in names
        }
        self._lists: dict[tuple[str, ...], tuple[Person, ...]] = {}

    def person(self, name: str, region: str) -> Person:
        """Somebody by name; one who is not in the table has no more than a region (the fragments that were coded)."""
        return self._people.get(name) or Person(name=name, region=region)

    def listed(self, names: tuple[str, ...]) -> tuple[Person, ...]:
        """A list of names; the same object for the same names."""
        if names not in self._lists:
            self._lists[names] = tuple(self._people[name] for name in names if name in self._people)
        return self._lists[names]

    def region(self, name: str) -> str:
        """Where a name is from; "" for one that is not in the table."""
        found = self._people.get(name)
        return "" if found is None else found.region


def name_rows(run: NameRun, labels: Iterable[str], people: People) -> Iterator[NameRow]:
    """A run's choices with their labels, one a row in its order. Where the order of a prompt is not known there is no
    place; where the list is not known either, nobody was on offer as far as can be said. ValueError where the numbers
    of rows and labels differ."""
    seen: dict[int | None, int] = {}
    for trial, order, known, chosen, label in zip(run.trials, run.orders, run.lists, run.chosen, labels, strict=True):
        names = order or (() if known is None else tuple(sorted(known.names)))
        offered = people.listed(names)
        person = people.person(chosen, label) if label in _REGIONS else None
        number = seen[trial] = seen.get(trial, -1) + 1
        yield NameRow(
            model=run.model,
            language=LANGUAGES[run.language],
            list=f"row {number}" if trial is None else str(trial),
            offered=offered,
            chosen=person,
            place=order.index(chosen) if person is not None and chosen in order else None,
            order=number,
            set=str(run.set),
        )


def surname_rows(run: SurnameRun, people: People, free: Mapping[str, float]) -> Iterator[SurnameRow]:
    """A run of set 4: two rows a prompt, the pair the same in both orders. `free`: the context-free log-probability of
    each full name's surname, by full name, where it is known."""
    for start in range(0, len(run.rows) - 1, 2):
        both = run.rows[start : start + 2]
        pair = " ".join(sorted(one.surname + one.given for one in both))
        for one in both:
            name = one.surname + one.given
            yield SurnameRow(
                model=run.model,
                language=LANGUAGES[run.language],
                prompt=str(start // 2),
                pair=pair,
                region=people.region(name),
                name=name,
                logprob=one.logprob,
                free=free.get(name),
            )


def free_surnames(copy: Records, model: str) -> dict[str, float]:
    """Context-free log-probabilities by full name, as the repository stores them for a model."""
    found = copy.records(f"response/regional_name/lastname_prob/{model}.csv")
    return {row["name"]: float(row["prob"]) for row in found}


def count_rows(copy: Records, terms: Sequence[Term], corpora: Iterable[str]) -> Iterator[CountRow]:
    """Corpus counts of the terms, in the order of the terms' table. A corpus whose two files are not both there, or not
    as long as the table, is left out."""
    for corpus in corpora:
        folder = "source_data/corpus_count/regional_term"
        sides = [copy.records(f"{folder}/{side}_{corpus}.csv") for side in ("mc", "tw")]
        if all(len(side) == len(terms) for side in sides):
            for term, mainland, taiwan in zip(terms, *sides, strict=True):
                yield CountRow(
                    corpus=corpus,
                    item=str(term.id),
                    mainland=float(mainland["count"]),
                    taiwan=float(taiwan["count"]),
                )
