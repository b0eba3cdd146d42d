"""An audit as one self-contained HTML file: findings, plots, method, stability, noise, examples, and how to repeat it.

Nothing comes from elsewhere and nothing runs: a strict content security policy stands in the file, its one style sheet
is named there by its hash, every text is escaped by the template, and control and bidi characters are left out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from engines.base import ChoiceScores
from suites.base import Suite, SuiteError, Task
from suites.tasks import task_for
from workbench.audits.findings import Comparison, Finding, Findings
from workbench.figures import interval, number, p_value
from workbench.history.reading import Reader
from workbench.history.rows import AnswerRow, JudgedRow
from workbench.live.bars import bars
from workbench.reports.intervals import Line, plot
from workbench.text import safe_text

_ASSETS = Path(__file__).parents[2] / "assets"
SIGNS = ("■", "▲", "●", "◆", "▼", "■", "▲", "●")
EXAMPLES = 3
"""Questions shown for each task: those on which the models' verdicts differ come first."""


def page(history: Reader, audit: str) -> Iterator[str]:
    """The file, in pieces. Raises HistoryError."""
    row = history.audit(audit)
    plan, found, suites = history.plan(row.id), history.findings(row.id), history.suites(row.id)
    environment = Environment(
        loader=FileSystemLoader(_ASSETS), autoescape=True, undefined=StrictUndefined, finalize=_safe, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    style = (_ASSETS / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    cards, noise = history.cards(row.id), history.noise(row.id)
    models = [
        {
            "name": model.name,
            "sign": SIGNS[place % 8],
            "place": place % 8,
            "fingerprint": model.fingerprint,
            "card": cards.get(model.key),
            "noise": noise.get(model.key),
        }
        for place, model in enumerate(plan.models)
    ]
    yield from environment.get_template("report.html").generate(
        row=row,
        plan=plan,
        details=history.details(row.id),
        models=models,
        suites=suites,
        tasks=_tasks([model.key for model in plan.models], suites, found),
        warnings=_warnings(found),
        examples=_examples(history, row.id, suites, [model.key for model in plan.models]),
        style=Markup(style),
        style_hash=digest,
        number=number,
        interval=interval,
        p_value=p_value,
        condition=condition,
    )


def _safe(value: object) -> object:
    """What the template prints: text from outside without control characters (markup is this module's own)."""
    return safe_text(value, newlines=True) if isinstance(value, str) and not isinstance(value, Markup) else value


def condition(of: dict[str, str]) -> str:
    """A condition as people read it."""
    return ", ".join(value for value in of.values() if value) or "everything"


def _tasks(models: Sequence[str], suites: Sequence[Suite], found: Findings | None) -> list[dict[str, Any]]:
    """Findings by task and metric, each metric with its plot and its comparisons."""
    if found is None:
        return []
    titles = {(suite.id, spec.id): spec.title for suite in suites for spec in suite.tasks}
    made: dict[tuple[str, str], dict[str, Any]] = {}
    for finding in found.findings:
        task = made.setdefault(
            (finding.suite, finding.task),
            {
                "suite": finding.suite,
                "title": titles.get((finding.suite, finding.task), finding.task),
                "metrics": {},
            },
        )
        metric = task["metrics"].setdefault(
            finding.metric, {"title": finding.title, "unit": finding.unit, "findings": [], "comparisons": []}
        )
        metric["findings"].append(finding)
    for comparison in found.comparisons:
        place = (comparison.suite, comparison.task)
        if place in made and comparison.metric in made[place]["metrics"]:
            made[place]["metrics"][comparison.metric]["comparisons"].append(comparison)
    for task in made.values():
        for metric in task["metrics"].values():
            metric["plot"] = _plot(models, metric)
            metric["comparisons"].sort(key=_by_p)
    return list(made.values())


def _plot(models: Sequence[str], metric: dict[str, Any]) -> Markup:
    shown: list[Finding] = [one for one in metric["findings"] if one.estimate is not None]
    lines = [
        Line(f"{condition(one.condition)} {SIGNS[models.index(one.model) % 8]}", models.index(one.model), one.estimate,
             one.low, one.high)
        for one in shown
        if one.estimate is not None and one.model in models
    ]  # fmt: skip
    if not lines:
        return Markup("")
    return plot(lines, metric["unit"], next((one.null for one in shown if one.null is not None), None), metric["title"])


def _by_p(one: Comparison) -> float:
    return 2.0 if one.p_adjusted is None else one.p_adjusted


def _warnings(found: Findings | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    return [
        (f"{one.model}, {one.title}, {condition(one.condition)}", line)
        for one in found.findings
        for line in one.warnings
    ]


# -- examples ---------------------------------------------------------------------------------------------------------


def _examples(history: Reader, audit: str, suites: Sequence[Suite], models: Sequence[str]) -> list[dict[str, Any]]:
    """For each task the first questions on which the models differ, filled up with the first others: chosen by a rule,
    so that nobody can pick what suits."""
    by_id = {suite.id: suite for suite in suites}
    # Verdicts first, without prompts and answers: an audit can have a million of them, and a few are shown.
    asked: dict[tuple[str, str], dict[tuple[object, ...], dict[str, JudgedRow]]] = {}
    for row in history.judged(audit):
        trial = row.trial
        if trial.repeat or trial.condition.order or trial.condition.version != 1:
            continue
        key = (trial.item, trial.condition.language, trial.condition.context)
        asked.setdefault((trial.suite, trial.task), {}).setdefault(key, {})[trial.model] = row
    shown = []
    for (suite_id, task_id), questions in asked.items():
        suite = by_id.get(suite_id)
        if suite is None:
            continue
        try:
            task: Task | None = task_for(suite, task_id)
        except SuiteError:
            task = None
        whole = [rows for rows in questions.values() if len(rows) == len(models)]
        whole.sort(key=lambda rows: len({row.verdict.kind + row.verdict.choice for row in rows.values()}) < 2)
        for chosen in whole[:EXAMPLES]:
            rows = {model: history.row(audit, chosen[model].trial.id) for model in models}
            first = rows[models[0]]
            shown.append(
                {
                    "suite": suite_id,
                    "task": task.spec.title if task is not None else task_id,
                    "language": first.trial.condition.language,
                    "prompt": first.prompt,
                    "answers": [_answer(suite, task, rows[model], place) for place, model in enumerate(models)],
                }
            )
    return shown


def _answer(suite: Suite, task: Task | None, row: AnswerRow, place: int) -> dict[str, Any]:
    said: dict[str, Any] = {
        "model": row.trial.model,
        "sign": SIGNS[place % 8],
        "place": place % 8,
        "verdict": row.verdict.kind,
        "reason": row.verdict.reason,
        "text": "",
        "options": [],
    }
    if not isinstance(row.answer, ChoiceScores):
        said["text"] = row.answer.text or row.answer.error
        return said
    item = next((item for item in suite.items if item.hash == row.trial.item), None)
    if row.answer.error or task is None or item is None:
        said["text"] = row.answer.error
        return said
    keys = task.options(item, row.trial.condition)
    texts = [task.option_text(item, row.trial.condition, key) for key in keys]
    found = bars(row.answer)
    if len(texts) == len(found.probabilities):
        said["options"] = list(zip(texts, found.probabilities, strict=True))
    return said
