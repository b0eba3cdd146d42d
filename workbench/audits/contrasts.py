"""Two sides of an audit against each other: models in one language, languages of one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import msgspec

from suites.base import Metric, Task
from workbench.audits.findings import Comparison
from workbench.audits.gather import Cell, Gathered, Presentation
from workbench.statistics.families import holm
from workbench.statistics.paired import PairedComparison, compare_means, compare_verdicts
from workbench.statistics.wording import Unit, describe_difference


class _Pair(msgspec.Struct, frozen=True):
    """Two cells to compare: of two models in a language, or of two languages of a model."""

    kind: str
    a: str
    b: str
    model: str
    condition: dict[str, str]
    first: Cell
    second: Cell


def unit_of(metric: Metric) -> Unit:
    """How the wording says a figure of the metric."""
    return "share" if metric.kind == "share" else "nats"


def family(
    gathered: Gathered, task: Task, metric: Metric, models: Sequence[str], languages: Sequence[str], seed: int
) -> list[Comparison]:
    """All comparisons of one metric: the family over which p is adjusted. Its size is fixed by the plan: a comparison
    for which there is no usable answer counts as well."""
    spoken = [language for language in languages if not metric.languages or language in metric.languages]
    pairs = list(_pairs(gathered, task, models, spoken))
    values = {id(cell): cell.values(metric) for pair in pairs for cell in (pair.first, pair.second)}
    found = [compare_values(metric, values[id(pair.first)], values[id(pair.second)], seed) for pair in pairs]
    adjusted = adjust([None if one is None else one.p for one in found])
    return [
        _comparison(task, metric, pair, one, p, len(pairs)) for pair, one, p in zip(pairs, found, adjusted, strict=True)
    ]


def adjust(pvalues: Sequence[float | None]) -> list[float | None]:
    """Holm over all of them: one that could not be computed makes the family no smaller, and stays None."""
    adjusted = holm([1.0 if p is None else p for p in pvalues])
    return [None if raw is None else p for raw, p in zip(pvalues, adjusted, strict=True)]


def compare_values(
    metric: Metric, a: Mapping[Presentation, float], b: Mapping[Presentation, float], seed: int
) -> PairedComparison | None:
    """a minus b over the questions that have a value on both sides; None when there is none."""
    both = [key for key in a if key in b]
    if not both:
        return None
    clusters = [key[0] for key in both]
    left, right = [a[key] for key in both], [b[key] for key in both]
    if metric.kind == "share" and len(set(clusters)) == len(clusters):
        return compare_verdicts(left, right)
    return compare_means(left, clusters, right, clusters, shares=metric.kind == "share", seed=seed)


def _pairs(gathered: Gathered, task: Task, models: Sequence[str], languages: Sequence[str]) -> Iterable[_Pair]:
    for language in languages:
        for a, b in combinations(models, 2):
            first, second = gathered.cell(task, a, language), gathered.cell(task, b, language)
            if first is not None and second is not None:
                yield _Pair("model", a, b, "", {"language": language}, first, second)
    for model in models:
        for a, b in combinations(languages, 2):
            first, second = gathered.cell(task, model, a), gathered.cell(task, model, b)
            if first is not None and second is not None:
                yield _Pair("language", a, b, model, {}, first, second)


def _comparison(
    task: Task, metric: Metric, pair: _Pair, one: PairedComparison | None, p: float | None, size: int
) -> Comparison:
    difference = one.difference if one is not None else None
    words = "nothing to compare: no item has a usable answer on both sides"
    if one is not None:
        words = describe_difference(pair.a, pair.b, one, p, unit=unit_of(metric))
    return Comparison(
        kind=pair.kind,
        suite=task.suite.id,
        task=task.spec.id,
        metric=metric.id,
        title=metric.title,
        unit=metric.unit,
        a=pair.a,
        b=pair.b,
        model=pair.model,
        condition=pair.condition,
        difference=difference.estimate if difference is not None else None,
        low=difference.low if difference is not None else None,
        high=difference.high if difference is not None else None,
        p=one.p if one is not None else None,
        p_adjusted=p,
        test=one.test if one is not None else "",
        n=one.n if one is not None else 0,
        family=size,
        words=words,
    )
