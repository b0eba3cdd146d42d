"""Verdicts, sorted into the cells that findings are computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from suites.base import Condition, Item, Metric, Suite, Task, Verdict
from suites.tasks import task_for
from workbench.audits.plan import Plan, Trial


class Presentation(NamedTuple):
    """What two sides must share to be compared: one question, put in one way."""

    unit: str
    """The item's cluster, which statistics count as one thing (`Item.unit`)."""
    item: str
    """Hash of the item."""
    version: int
    order: int
    repeat: int
    part: str = ""


class Judged(Protocol):
    """A trial and what was made of its answer: a row of the history, for instance."""

    @property
    def trial(self) -> Trial: ...

    @property
    def verdict(self) -> Verdict: ...


class Asked(NamedTuple):
    """What the answers of a cell have in common beside task and model."""

    language: str
    context: str = ""

    def condition(self) -> dict[str, str]:
        """As findings say it: only what there is."""
        return {"language": self.language} | ({"context": self.context} if self.context else {})


Row = tuple[Trial, Item, Verdict]


class Cell(msgspec.Struct):
    """All answers of one model to one task in one language and context."""

    task: Task
    model: str
    asked: Asked
    rows: list[Row] = []
    known: dict[str, dict[Presentation, float]] = {}
    """What `values` has found, by metric."""
    joined: list[Row] | None = None

    @property
    def language(self) -> str:
        """The language that it was asked in."""
        return self.asked.language

    def whole(self) -> list[Row]:
        """One row a question: for a task with parts the verdicts of all of them grouped (a question with a part
        missing is left out), with the part taken out of the trial. Call it when all rows are there."""
        if not self.task.parts:
            return self.rows
        if self.joined is None:
            wanted = set(self.task.parts)
            asked: dict[Presentation, list[Row]] = defaultdict(list)
            for row in self.rows:
                asked[presentation(row[0], row[1])._replace(part="")].append(row)
            self.joined = [
                self._grouped(rows)
                for rows in asked.values()
                if {trial.condition.part for trial, _, _ in rows} == wanted
            ]
        return self.joined

    def _grouped(self, rows: Sequence[Row]) -> Row:
        trial, item, _ = rows[0]
        condition = msgspec.structs.replace(trial.condition, part="")
        # In the order of the parts, so that the order of the answers changes nothing.
        by_part = {one.condition.part: verdict for one, _, verdict in rows}
        verdicts = {part: by_part[part] for part in self.task.parts}
        return (
            msgspec.structs.replace(trial, condition=condition),
            item,
            self.task.group(item, condition, verdicts),
        )

    def of(self, metric: Metric) -> list[Row]:
        """The rows that a metric is about."""
        return self.whole() if metric.grouped else self.rows

    def values(self, metric: Metric) -> dict[Presentation, float]:
        """The metric's value where it has one. Computed once: call it when all rows are there."""
        if metric.id in self.known:
            return self.known[metric.id]
        found = self.known[metric.id] = {}
        for trial, item, verdict in self.of(metric):
            value = self.task.measure(metric, item, trial.condition, verdict)
            if value is not None:
                found[presentation(trial, item)] = value
        return found

    def unusable(self, metric: Metric) -> tuple[list[float], list[str]]:
        """For every answer that the metric is about whether it was unusable (1) or not (0), and its cluster."""
        rows = self.of(metric)
        return [0.0 if verdict.usable else 1.0 for _, _, verdict in rows], [item.unit for _, item, _ in rows]


class Gathered(msgspec.Struct):
    """Tasks in the order of the plan, and the cells by (suite, task, model, language and context)."""

    tasks: list[Task]
    cells: dict[tuple[str, str, str, Asked], Cell]

    def cell(self, task: Task, model: str, asked: Asked) -> Cell | None:
        """A cell, or None where nothing was answered."""
        return self.cells.get((task.suite.id, task.spec.id, model, asked))


def asked_of(condition: Condition) -> Asked:
    """The cell of a condition."""
    return Asked(condition.language, condition.context)


def asked_in(plan: Plan, suite: str, task: str) -> dict[Asked, frozenset[str]]:
    """The cells of a task in the order of the plan, and the items (hashes) that are asked in each."""
    found: dict[Asked, set[str]] = {}
    for planned in plan.tasks:
        if (planned.suite, planned.task) == (suite, task):
            for condition in planned.conditions:
                found.setdefault(asked_of(condition), set()).update(planned.items)
    return {asked: frozenset(items) for asked, items in found.items()}


def gives(metric: Metric, asked: Asked) -> bool:
    """Whether a metric means something there."""
    return (not metric.languages or asked.language in metric.languages) and (
        not metric.contexts or asked.context in metric.contexts
    )


def presentation(trial: Trial, item: Item) -> Presentation:
    """What identifies a question across models, languages and contexts."""
    c = trial.condition
    return Presentation(item.unit, trial.item, c.version, c.order, trial.repeat, c.part)


def gather(plan: Plan, suites: Sequence[Suite], rows: Iterable[Judged]) -> Gathered:
    """Sort the verdicts. Rows whose item is in none of the suites are a ValueError: they belong to another audit."""
    by_id = {suite.id: suite for suite in suites}
    planned = list(dict.fromkeys((task.suite, task.task) for task in plan.tasks))
    known = {(suite, task): task_for(by_id[suite], task) for suite, task in planned}
    items: Mapping[str, dict[str, Item]] = {suite.id: {item.hash: item for item in suite.items} for suite in suites}
    cells: dict[tuple[str, str, str, Asked], Cell] = {}
    for row in rows:
        trial = row.trial
        item = items[trial.suite].get(trial.item)
        if item is None:
            raise ValueError(f"an answer about an item that suite {trial.suite} does not have")
        asked = asked_of(trial.condition)
        key = (trial.suite, trial.task, trial.model, asked)
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Cell(known[trial.suite, trial.task], trial.model, asked, [])
        cell.rows.append((trial, item, row.verdict))
    return Gathered(list(known.values()), cells)


def by_item(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by item, items in the order in which they first came."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[0].item].append(row)
    return found
