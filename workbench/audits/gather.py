"""Verdicts, sorted into the cells that findings are computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from suites.base import Item, Metric, Suite, Task, Verdict
from suites.tasks import task_for
from workbench.audits.plan import Plan, Trial

Presentation = tuple[str, int, int, int]
"""Item (hash), prompt version, option order, repeat: what two sides must share to be compared."""


class Judged(Protocol):
    """A trial and what was made of its answer: a row of the history, for instance."""

    @property
    def trial(self) -> Trial: ...

    @property
    def verdict(self) -> Verdict: ...


class Cell(msgspec.Struct):
    """All answers of one model to one task in one language."""

    task: Task
    model: str
    language: str
    rows: list[tuple[Trial, Item, Verdict]] = []
    known: dict[str, dict[Presentation, float]] = {}
    """What `values` has found, by metric."""

    def values(self, metric: Metric) -> dict[Presentation, float]:
        """The metric's value where it has one. Computed once: call it when all rows are there."""
        if metric.id in self.known:
            return self.known[metric.id]
        found = self.known[metric.id] = {}
        for trial, item, verdict in self.rows:
            value = self.task.measure(metric, item, trial.condition, verdict)
            if value is not None:
                found[presentation(trial)] = value
        return found

    def unusable(self) -> tuple[list[float], list[str]]:
        """For every answer whether it was unusable (1) or not (0), and its item."""
        flags = [0.0 if verdict.usable else 1.0 for _, _, verdict in self.rows]
        return flags, [trial.item for trial, _, _ in self.rows]


class Gathered(msgspec.Struct):
    """Tasks in the order of the plan, and the cells by (suite, task, model, language)."""

    tasks: list[Task]
    cells: dict[tuple[str, str, str, str], Cell]

    def cell(self, task: Task, model: str, language: str) -> Cell | None:
        """A cell, or None where nothing was answered."""
        return self.cells.get((task.suite.id, task.spec.id, model, language))


def presentation(trial: Trial) -> Presentation:
    """What identifies a question across models and languages."""
    return (trial.item, trial.condition.version, trial.condition.order, trial.repeat)


def gather(plan: Plan, suites: Sequence[Suite], rows: Iterable[Judged]) -> Gathered:
    """Sort the verdicts. Rows whose item is in none of the suites are a ValueError: they belong to another audit."""
    by_id = {suite.id: suite for suite in suites}
    tasks = [task_for(by_id[planned.suite], planned.task) for planned in plan.tasks]
    known = {(task.suite.id, task.spec.id): task for task in tasks}
    items: Mapping[str, dict[str, Item]] = {suite.id: {item.hash: item for item in suite.items} for suite in suites}
    cells: dict[tuple[str, str, str, str], Cell] = {}
    for row in rows:
        trial = row.trial
        item = items[trial.suite].get(trial.item)
        if item is None:
            raise ValueError(f"an answer about an item that suite {trial.suite} does not have")
        key = (trial.suite, trial.task, trial.model, trial.condition.language)
        cell = cells.get(key)
        if cell is None:
            task = known[trial.suite, trial.task]
            cell = cells[key] = Cell(task, trial.model, trial.condition.language, [])
        cell.rows.append((trial, item, row.verdict))
    return Gathered(tasks, cells)


def by_item(rows: Iterable[tuple[Trial, Item, Verdict]]) -> dict[str, list[tuple[Trial, Item, Verdict]]]:
    """Rows by item, items in the order in which they first came."""
    found: dict[str, list[tuple[Trial, Item, Verdict]]] = defaultdict(list)
    for row in rows:
        found[row[0].item].append(row)
    return found
