"""What moves a model's answers, and whether a ranking on some topics says anything of the others.

The presentation (option order, labels, wording, direction of a scale) is set against what the suite is meant to show:
language, context, the culture that is named or dressed up. Answers are compared as what they mean: an option's
canonical key, never the letter or the place that it was offered under; a missing answer is no answer. (After the
question of Khan, Casper and Hadfield-Menell, Randomness, Not Representation, 2025, whose scoring is not followed.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import msgspec

from suites.base import Metric, Suite, SuiteError, Task
from workbench.audits.gather import Asked, Cell, Gathered, Row, gather
from workbench.audits.plan import Plan
from workbench.statistics.halves import SplitHalf, split_half
from workbench.statistics.intervals import bootstrap_t

if TYPE_CHECKING:
    from workbench.audits.gather import Judged
    from workbench.history.reading import Reader

PRESENTATION: Mapping[str, str] = {
    "order": "the order of the options changes",
    "direction": "the direction of the scale changes",
    "wording": "the wording changes",
    "labels": "the options get other labels (texts, letters, numbers)",
}
MEANT: Mapping[str, str] = {
    "language": "the language",
    "context": "what the question tells",
    "culture": "the culture",
}


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """How often an answer changes when one thing changes and all else stays.

    `flips` is the mean over items of the share of such pairs whose answers differ, `agreement` the same corrected for
    chance (1 never changes, 0 random), `distance` the mean distance of ratings in steps, where there are any.
    """

    suite: str
    tasks: tuple[str, ...]
    model: str
    axis: str
    meant: bool
    """Whether the suite is meant to show a difference here; else it is presentation only."""
    flips: float | None
    low: float | None
    high: float | None
    agreement: float | None
    distance: float | None
    n: int
    """Items (clusters) with at least one such pair."""
    pairs: int


class Extrapolation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the ranking of cultures (or languages) on one half of the topics predicts that on the other half:
    Spearman's rank correlation, mean and central 95 % over seeded splits."""

    suite: str
    task: str
    metric: str
    model: str
    condition: dict[str, str]
    over: str
    """What is ranked: culture or language."""
    mean: float | None
    low: float | None
    high: float | None
    entities: int
    dimensions: int


class Movements(msgspec.Struct, frozen=True, kw_only=True):
    """The stability report of an audit; `words` says in plain lines what of it carries."""

    moved: tuple[Moved, ...]
    extrapolation: tuple[Extrapolation, ...]
    words: tuple[str, ...]


class _Answer(msgspec.Struct, frozen=True):
    axes: tuple[str, ...]
    """One value for each of `_AXES`."""
    choice: str
    rating: float | None
    chance: float


_AXES = ("order", "wording", "labels", "language", "context", "culture")


def movements_of(history: Reader, audit: str) -> Movements | None:
    """The stability report of an audit in the history; None where it has a task that this version does not know."""
    plan, suites = history.plan(audit), history.suites(audit)
    try:
        return movements(plan, suites, history.judged(audit))
    except (SuiteError, KeyError):
        return None


def movements(plan: Plan, suites: Sequence[Suite], rows: Iterable[Judged]) -> Movements:
    """The stability report from verdicts. Of repeats the first counts."""
    gathered = gather(plan, suites, rows)
    moved: list[Moved] = []
    for siblings in _siblings(gathered.tasks):
        for model in plan.models:
            moved += _moved(siblings, model.key, gathered)
    extrapolation = [one for task in gathered.tasks for one in _extrapolations(plan, task, gathered)]
    return Movements(moved=tuple(moved), extrapolation=tuple(extrapolation), words=tuple(_words(moved, extrapolation)))


def _siblings(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks of a suite that ask the same by the same rule, and so have the same canonical answers; they differ in how
    the options are called, or in what is scored."""
    groups: dict[tuple[str, str, str], list[Task]] = defaultdict(list)
    for task in tasks:
        groups[task.suite.id, task.spec.rule, task.spec.attributes].append(task)
    return list(groups.values())


def _moved(tasks: Sequence[Task], model: str, gathered: Gathered) -> list[Moved]:
    answers: dict[str, list[_Answer]] = defaultdict(list)
    for task in tasks:
        for cell in gathered.cells.values():
            if cell.task is task and cell.model == model:
                _collect(cell, answers)
    found = []
    for place, axis in enumerate(_AXES):
        one = _along(place, answers)
        if one is None:
            continue
        shares, distances, chances, pairs = one
        flips = bootstrap_t(shares, bounds=(0.0, 1.0))
        kept = [(1 - share - chance) / (1 - chance) for share, chance in zip(shares, chances, strict=True)]
        rated = tasks[0].spec.kind == "rating" or tasks[0].spec.rule.startswith("agreement")
        found.append(
            Moved(
                suite=tasks[0].suite.id,
                tasks=tuple(task.spec.id for task in tasks),
                model=model,
                axis="direction" if axis == "order" and rated else axis,
                meant=axis in MEANT,
                flips=flips.estimate,
                low=flips.low,
                high=flips.high,
                agreement=sum(kept) / len(kept),
                distance=sum(distances) / len(distances) if distances else None,
                n=len(shares),
                pairs=pairs,
            )
        )
    return found


def _collect(cell: Cell, answers: dict[str, list[_Answer]]) -> None:
    task = cell.task
    # Where the parts are two cultures of one item, each answer counts by itself: the culture is an axis.
    named = task.spec.rule == "culture-named"
    for trial, item, verdict in cell.rows if named else cell.whole():
        if trial.repeat or not verdict.usable or not verdict.choice:
            continue
        c = trial.condition
        culture = task.culture(item, c)[0] if named or item.cluster else ""
        axes = (str(c.order), str(c.version), task.spec.labels or "texts", c.language, c.context, culture)
        rating = verdict.values.get("rating")
        answers[item.unit].append(_Answer(axes, verdict.choice, rating, 1 / max(2, task.choices(item))))


def _along(
    place: int, answers: Mapping[str, Sequence[_Answer]]
) -> tuple[list[float], list[float], list[float], int] | None:
    """Along one axis, by cluster: share of pairs that differ, mean distance of ratings, chance agreement; and how many
    pairs there are in all. None where nothing differs in this axis alone."""
    shares, distances, chances = [], [], []
    pairs = 0
    for given in answers.values():
        alike: dict[tuple[str, ...], list[_Answer]] = defaultdict(list)
        for one in given:
            alike[one.axes[:place] + one.axes[place + 1 :]].append(one)
        differ: list[bool] = []
        apart: list[float] = []
        for group in alike.values():
            for one, other in combinations(group, 2):
                if one.axes[place] == other.axes[place]:
                    continue
                differ.append(one.choice != other.choice)
                if one.rating is not None and other.rating is not None:
                    apart.append(abs(one.rating - other.rating))
        if differ:
            shares.append(sum(differ) / len(differ))
            chances.append(given[0].chance)
            pairs += len(differ)
        if apart:
            distances.append(sum(apart) / len(apart))
    return (shares, distances, chances, pairs) if shares else None


def _extrapolations(plan: Plan, task: Task, gathered: Gathered) -> Iterable[Extrapolation]:
    """Rankings of cultures within a cell; where there are none, of languages."""
    for metric in task.metrics:
        if not metric.breakdown or (metric.grouped and task.spec.kind == "paired-text"):
            continue
        for model in plan.models:
            cells = [cell for cell in gathered.cells.values() if cell.task is task and cell.model == model.key]
            tables: list[tuple[str, dict[str, str], SplitHalf]] = []
            for cell in cells:
                found = split_half(_table(_by_culture(cell, metric)), seed=plan.seed)
                if found.mean is not None:
                    tables.append(("culture", cell.asked.condition(), found))
            contexts = dict.fromkeys(cell.asked.context for cell in cells)
            if not tables:
                for context in contexts:
                    mine = [cell for cell in cells if cell.asked.context == context]
                    found = split_half(_table(_by_language(mine, metric)), seed=plan.seed)
                    if found.mean is not None:
                        asked = Asked("", context).condition()
                        tables.append(("language", {k: v for k, v in asked.items() if v}, found))
            for over, condition, found in tables:
                yield Extrapolation(
                    suite=task.suite.id,
                    task=task.spec.id,
                    metric=metric.id,
                    model=model.key,
                    condition=condition,
                    over=over,
                    mean=found.mean,
                    low=found.low,
                    high=found.high,
                    entities=found.entities,
                    dimensions=found.dimensions,
                )


_Figures = dict[str, dict[str, list[float]]]
"""Values by entity and topic."""


def _by_culture(cell: Cell, metric: Metric) -> _Figures:
    found: _Figures = {}
    for (trial, item, _), value in _valued(cell, metric):
        culture = cell.task.culture(item, trial.condition)[0] if trial.condition.part or not cell.task.parts else ""
        culture = culture or item.culture
        if culture and item.topic:
            found.setdefault(culture, {}).setdefault(item.topic, []).append(value)
    return found


def _by_language(cells: Sequence[Cell], metric: Metric) -> _Figures:
    found: _Figures = {}
    for cell in cells:
        for (_, item, _), value in _valued(cell, metric):
            if item.topic:
                found.setdefault(cell.language, {}).setdefault(item.topic, []).append(value)
    return found


def _valued(cell: Cell, metric: Metric) -> Iterable[tuple[Row, float]]:
    for row in cell.of(metric):
        value = cell.task.measure(metric, row[1], row[0].condition, row[2])
        if value is not None:
            yield row, value


def _table(figures: _Figures) -> list[list[float]]:
    topics = sorted({topic for by_topic in figures.values() for topic in by_topic})
    if not topics:
        return [[]]
    return [
        [sum(by_topic[t]) / len(by_topic[t]) if t in by_topic else float("nan") for t in topics]
        for by_topic in figures.values()
    ]


def _words(moved: Sequence[Moved], extrapolation: Sequence[Extrapolation]) -> Iterable[str]:
    """For each model and group of tasks the change of presentation that moves most, against what is meant to move."""
    groups: dict[tuple[str, tuple[str, ...], str], list[Moved]] = defaultdict(list)
    for one in moved:
        groups[one.suite, one.tasks, one.model].append(one)
    for (suite, tasks, model), members in groups.items():
        where = f"{suite} ({', '.join(tasks)}), {model}"
        idle = max((one for one in members if not one.meant), key=lambda one: one.flips or 0.0, default=None)
        if idle is None:
            continue
        said = f"{where}: the answer changes in {_percent(idle.flips)} of pairs when {PRESENTATION[idle.axis]}"
        meant = [one for one in members if one.meant]
        if not meant:
            yield said
        for one in meant:
            tail = f"and in {_percent(one.flips)} when {MEANT[one.axis]} does"
            beyond = one.low is not None and idle.high is not None and one.low > idle.high
            verdict = "" if beyond else ": no more than presentation alone would do"
            yield f"{said}, {tail}{verdict}"
    for part in extrapolation:
        if part.mean is not None and part.low is not None and part.low <= 0:
            asked = " ".join(part.condition.values())
            place = ", ".join(filter(None, (part.task, part.metric, asked)))
            yield (
                f"{part.suite} ({place}), {part.model}: the ranking of {part.over}s on half of the topics does not "
                f"predict the other half (rank correlation {part.mean:+.2f})"
            )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
