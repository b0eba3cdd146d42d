"""From an audit's verdicts to the rows that the analyses read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from suites.base import Item, Suite, Verdict
from suites.schema import Candidate, PublishedList, candidates, term
from suites.tasks import task_for
from workbench.analyses.sctc import Analysis, analyse
from workbench.analyses.sctc.rows import MeasureRow, NameRow, Person, Rows, TermRow
from workbench.analyses.sctc.tokens import count_tokens
from workbench.audits.gather import Judged
from workbench.audits.plan import Plan, Trial

if TYPE_CHECKING:
    from workbench.history.reading import Reader

_KINDS = ("simplified", "traditional", "shared", "other")


def concerned(suites: Iterable[Suite]) -> bool:
    """Whether any of the suites asks what these analyses are about."""
    return any(spec.rule in _READERS for suite in suites for spec in suite.tasks)


def audit_rows(plan: Plan, suites: Sequence[Suite], judged: Iterable[Judged]) -> Rows:
    """The rows of an audit: of every task whose rule is known here, in whatever suite it stands."""
    by_id = {suite.id: suite for suite in suites}
    rules = {(planned.suite, planned.task): by_id[planned.suite].task(planned.task).rule for planned in plan.tasks}
    items = {suite.id: {item.hash: item for item in suite.items} for suite in suites}
    readers = {key: (_READERS[rule], _Names(by_id[key[0]], key[1])) for key, rule in rules.items() if rule in _READERS}
    terms: list[TermRow] = []
    names: list[NameRow] = []
    measures: list[MeasureRow] = []
    for row in judged:
        found = readers.get((row.trial.suite, row.trial.task))
        item = items[row.trial.suite].get(row.trial.item)
        if found is None or item is None:
            continue
        for one in found[0](row.trial, item, row.verdict, found[1]):
            if isinstance(one, TermRow):
                terms.append(one)
            elif isinstance(one, NameRow):
                names.append(one)
            else:
                measures.append(one)
    return Rows(terms=tuple(terms), names=tuple(names), measures=tuple(measures))


def token_rows(suites: Iterable[Suite], tokenizer: str, count: Callable[[str], int]) -> Rows:
    """The names and main words of the suites, counted by a model's tokenizer."""
    words: dict[tuple[str, str, str], None] = {}
    for suite in suites:
        for item in suite.items:
            if suite.item_kind == "regional-term":
                thing = term(item.data)
                words["term", "mainland", thing.terms.mainland.hans] = None
                words["term", "taiwan", thing.terms.taiwan.hant] = None
            elif suite.item_kind == "candidate-list":
                words.update((("name", one.region, one.name), None) for one in candidates(item.data).candidates)
    return Rows(tokens=tuple(count_tokens(tokenizer, count, words)))


def audit_analysis(history: Reader, audit: str, more: Rows | None = None) -> Analysis | None:
    """The analysis of a stored audit, with `more` rows beside (tokens, counts); None where it asks nothing that these
    analyses are about. Raises HistoryError."""
    plan, suites = history.plan(audit), history.suites(audit)
    if not concerned(suites):
        return None
    rows = audit_rows(plan, suites, history.judged(audit))
    if more is not None:
        rows = msgspec.structs.replace(rows, tokens=more.tokens, counts=more.counts)
    return analyse(rows, plan.seed)


class _Names:
    """People by item, made once; and the task that says in which order they were listed."""

    def __init__(self, suite: Suite, task: str) -> None:
        self.task = task_for(suite, task)
        self.how = {"name-choice": "written", "name-likelihood": "likeliest"}.get(self.task.spec.rule, "")
        self._people: dict[str, dict[str, Person]] = {}

    def people(self, item: Item) -> dict[str, Person]:
        """The people on a list, by name."""
        if item.hash not in self._people:
            if self.task.suite.item_kind == "published-list":
                listed = msgspec.convert(item.data, PublishedList).candidates
                found = {one.name: Person(name=one.name, region=one.region, given=one.name[1:]) for one in listed}
            else:
                found = {one.name: _person(one) for one in candidates(item.data).candidates}
            self._people[item.hash] = found
        return self._people[item.hash]


def _person(one: Candidate) -> Person:
    return Person(name=one.name, region=one.region, gender=one.gender, given=one.given, frequency=_frequency(one.band))


def _frequency(band: str) -> float | None:
    """A band of ranks (`surname 6-10`) as a number that grows with frequency: the first rank, negative."""
    first = band.rsplit(" ", 1)[-1].partition("-")[0]
    return -float(first) if first.isdecimal() else None


def _answers(trial: Trial, item: Item, verdict: Verdict, names: _Names) -> Iterator[TermRow | MeasureRow]:
    language = trial.condition.language
    if language in {"zh-Hans", "zh-Hant"}:
        yield TermRow(
            model=trial.model, language=language, item=item.id, outcome=verdict.kind, version=trial.condition.version
        )
    if not verdict.usable:
        return
    values = {kind: verdict.values.get(f"{kind}_characters") for kind in _KINDS}
    switches = verdict.values.get("script_switches")
    values["switched"] = None if switches is None else float(switches > 0)
    yield from _measures(trial, item, values)


def _likelihoods(trial: Trial, item: Item, verdict: Verdict, names: _Names) -> Iterator[MeasureRow]:
    values = verdict.values
    if "region_by_script" in values:
        # Only where all four cells exist, so that the three effects are about the same things.
        effects = {"region": values.get("region_margin"), "script": values.get("script_margin")}
        yield from _measures(trial, item, {**effects, "interaction": values["region_by_script"]})
    yield from _measures(trial, item, {"hongkong": values.get("hongkong_margin")})


def _variants(trial: Trial, item: Item, verdict: Verdict, names: _Names) -> Iterator[MeasureRow]:
    characters = {what: value for what, value in verdict.values.items() if what.startswith("character:")}
    yield from _measures(trial, item, {"variant": verdict.values.get("variant_margin"), **characters})


def _measures(trial: Trial, item: Item, values: dict[str, float | None]) -> Iterator[MeasureRow]:
    for what, value in values.items():
        if value is not None:
            yield MeasureRow(model=trial.model, language=trial.condition.language, item=item.id, what=what, value=value)


def _choices(trial: Trial, item: Item, verdict: Verdict, names: _Names) -> Iterator[NameRow]:
    people = names.people(item)
    order = names.task.options(item, trial.condition)
    chosen = people.get(verdict.choice) if verdict.usable else None
    yield NameRow(
        model=trial.model,
        language=trial.condition.language,
        list=item.id,
        offered=tuple(people[name] for name in order),
        chosen=chosen,
        place=order.index(chosen.name) if chosen is not None else None,
        order=trial.condition.order,
        set=names.how,
    )


_Reader = Callable[[Trial, Item, Verdict, _Names], Iterator[TermRow | NameRow | MeasureRow]]
_READERS: dict[str, _Reader] = {
    "regional-term-answer": _answers,
    "regional-term-likelihood": _likelihoods,
    "character-variant": _variants,
    "published-terms": _answers,
    "published-names": _choices,
    "name-choice": _choices,
    "name-likelihood": _choices,
}
