"""Written answers labelled by people, and how far the rules that judge them (and the people among themselves) agree."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from engines.base import Generation
from suites.base import Item, Task, Verdict
from suites.tasks import task_for
from workbench.audits.errors import AuditError
from workbench.audits.plan import Trial
from workbench.statistics.agreement import accuracy, cohens_kappa, krippendorff_alpha
from workbench.statistics.intervals import Estimate

if TYPE_CHECKING:
    from workbench.history.reading import Reader
    from workbench.history.rows import AnswerRow

REFUSED, NONE = "refused", "none"
_KINDS = ("correct", "incorrect")


class Choice(msgspec.Struct, frozen=True):
    """A label that can be given: what is stored, and how it reads."""

    label: str
    text: str


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to label: without its model, and without what the rule made of it."""

    trial: str
    task: str
    prompt: str
    answer: str
    choices: tuple[Choice, ...]
    right: tuple[str, ...]
    """How the right answers read, where there are any and the answer is not one of some options."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of one task. `rule`: the rule's verdicts against the people's labels (of several people the label of
    most of them; without a majority an answer does not count). `people`: Cohen's kappa of each two labellers; `alpha`:
    Krippendorff's over all of them."""

    suite: str
    task: str
    labellers: tuple[str, ...]
    answers: int
    """Answers with at least one label."""
    rule_accuracy: Estimate
    rule_kappa: Estimate
    people: tuple[tuple[str, str, Estimate], ...]
    alpha: float | None


class Desk:
    """The written answers of an audit, to be labelled by one person."""

    def __init__(self, history: Reader, audit: str, *, task: str = "") -> None:
        """Raises HistoryError; AuditError where there is no written answer."""
        self._history = history
        self.audit = history.audit(audit).id
        self._tasks = _tasks(history, self.audit)
        self._items = {(s.id, item.hash): item for s in history.suites(self.audit) for item in s.items}
        judged = list(history.judged(self.audit))
        self._kinds: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        written = []
        for row in judged:
            trial = row.trial
            found = self._tasks.get((trial.suite, trial.task))
            if found is None or found.scored(trial.condition) or task not in ("", trial.task):
                continue
            written.append(trial)
            kinds = self._kinds[trial.suite, trial.task, trial.condition.language]
            if row.verdict.usable and row.verdict.kind not in kinds:
                kinds.append(row.verdict.kind)
        if not written:
            where = f"task {task!r} of audit {self.audit}" if task else f"audit {self.audit}"
            raise AuditError(f"{where} has no written answer, so there is nothing to label")
        # In an order that says nothing of the model: the same for every labeller, so that those who stop early overlap.
        self.trials = sorted(written, key=lambda trial: hashlib.sha256(f"label {trial.id}".encode()).digest())

    def left(self, labeller: str) -> list[Trial]:
        """What this person has not labelled yet."""
        done = {row.trial for row in self._history.labels(self.audit) if row.labeller == labeller}
        return [trial for trial in self.trials if trial.id not in done]

    def sheet(self, trial: Trial) -> Sheet:
        """An answer as a labeller sees it."""
        row: AnswerRow = self._history.row(self.audit, trial.id)
        task, item = self._tasks[trial.suite, trial.task], self._items[trial.suite, trial.item]
        text = row.answer.text if isinstance(row.answer, Generation) else ""
        options = task.options(item, trial.condition)
        right = () if options else tuple(self._read(task, item, trial, key) for key in task.gold(item, trial.condition))
        return Sheet(
            trial=trial.id,
            task=trial.task,
            prompt=row.prompt,
            answer=text,
            choices=tuple(self._choices(task, item, trial, options)),
            right=right,
        )

    def _choices(self, task: Task, item: Item, trial: Trial, options: Sequence[str]) -> list[Choice]:
        if options:
            offered = [Choice(key, self._read(task, item, trial, key)) for key in options]
        else:
            kinds = self._kinds[trial.suite, trial.task, trial.condition.language]
            offered = [Choice(kind, kind) for kind in dict.fromkeys((*_KINDS, *sorted(kinds)))]
        return [*offered, Choice(REFUSED, "a refusal"), Choice(NONE, "none of these, or unreadable")]

    @staticmethod
    def _read(task: Task, item: Item, trial: Trial, key: str) -> str:
        return task.option_text(item, trial.condition, key)


def rule_label(task: Task, item: Item, trial: Trial, verdict: Verdict) -> str:
    """A verdict in the words that labellers have."""
    if verdict.kind == REFUSED:
        return REFUSED
    if not verdict.usable:
        return NONE
    if task.options(item, trial.condition):
        return verdict.choice or NONE
    return verdict.kind


def agreements(history: Reader, audit: str) -> list[Agreement]:
    """How far rules and people agree, for each task with labels."""
    tasks = _tasks(history, audit)
    items = {(suite.id, item.hash): item for suite in history.suites(audit) for item in suite.items}
    given: dict[str, dict[str, str]] = defaultdict(dict)
    for row in history.labels(audit):
        given[row.trial][row.labeller] = row.label
    by_task: dict[tuple[str, str], list[tuple[str, dict[str, str]]]] = defaultdict(list)
    for judged in history.judged(audit) if given else ():
        trial = judged.trial
        task = tasks.get((trial.suite, trial.task))
        if trial.id in given and task is not None:
            said = rule_label(task, items[trial.suite, trial.item], trial, judged.verdict)
            by_task[trial.suite, trial.task].append((said, given[trial.id]))
    return [_agreement(suite, task, rows) for (suite, task), rows in by_task.items()]


def _agreement(suite: str, task: str, rows: Sequence[tuple[str, dict[str, str]]]) -> Agreement:
    labellers = sorted({name for _, labels in rows for name in labels})
    ratings = {name: [labels.get(name) for _, labels in rows] for name in labellers}
    rule = [said for said, _ in rows]
    most = [_majority(list(labels.values())) for _, labels in rows]
    people = [
        (one, other, cohens_kappa(ratings[one], ratings[other]))
        for place, one in enumerate(labellers)
        for other in labellers[place + 1 :]
    ]
    return Agreement(
        suite=suite,
        task=task,
        labellers=tuple(labellers),
        answers=len(rows),
        rule_accuracy=accuracy(rule, most),
        rule_kappa=cohens_kappa(rule, most),
        people=tuple(people),
        alpha=krippendorff_alpha([ratings[name] for name in labellers]) if len(labellers) > 1 else None,
    )


def _majority(labels: Sequence[str]) -> str | None:
    """The label of more than half of the people; None where there is none."""
    label, count = Counter(labels).most_common(1)[0]
    return label if 2 * count > len(labels) else None


def _tasks(history: Reader, audit: str) -> dict[tuple[str, str], Task]:
    suites = {suite.id: suite for suite in history.suites(audit)}
    planned = {(task.suite, task.task) for task in history.plan(audit).tasks}
    return {(suite, task): task_for(suites[suite], task) for suite, task in planned}
