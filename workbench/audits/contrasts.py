"""Two sides of an audit against each other: models asked the same; languages, contexts and cultures of one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import msgspec

from suites.base import Metric, Task
from workbench.audits.findings import Comparison
from workbench.audits.gather import Asked, Cell, Gathered, Presentation, gives
from workbench.statistics.families import holm
from workbench.statistics.paired import PairedComparison, compare_means, compare_verdicts
from workbench.statistics.wording import Unit, describe_difference

_Values = Mapping[Presentation, float]


class _Pair(msgspec.Struct, frozen=True):
    """Two sides to compare, with what is the same on both."""

    kind: str
    a: str
    b: str
    model: str
    condition: dict[str, str]
    first: _Values
    second: _Values


def unit_of(metric: Metric) -> Unit:
    """How the wording says a figure of the metric."""
    return "share" if metric.unit == "%" else metric.unit


def family(
    gathered: Gathered,
    task: Task,
    metric: Metric,
    models: Sequence[str],
    asked: Mapping[Asked, frozenset[str]],
    seed: int,
) -> list[Comparison]:
    """All comparisons of one metric: the family over which p is adjusted. Its size is fixed by the plan (`asked`: the
    items of each cell): a comparison for which there is no usable answer counts as well."""
    here = {place: items for place, items in asked.items() if gives(metric, place)}
    pairs = list(_pairs(gathered, task, metric, models, here))
    found = [compare_values(metric, pair.first, pair.second, seed) for pair in pairs]
    adjusted = adjust([None if one is None else one.p for one in found])
    return [
        _comparison(task, metric, pair, one, p, len(pairs)) for pair, one, p in zip(pairs, found, adjusted, strict=True)
    ]


def adjust(pvalues: Sequence[float | None]) -> list[float | None]:
    """Holm over all of them: one that could not be computed makes the family no smaller, and stays None."""
    adjusted = holm([1.0 if p is None else p for p in pvalues])
    return [None if raw is None else p for raw, p in zip(pvalues, adjusted, strict=True)]


def compare_values(metric: Metric, a: _Values, b: _Values, seed: int) -> PairedComparison | None:
    """a minus b over the questions that have a value on both sides; None when there is none."""
    both = [key for key in a if key in b]
    if not both:
        return None
    clusters = [key.unit for key in both]
    left, right = [a[key] for key in both], [b[key] for key in both]
    if metric.kind == "share" and len(set(clusters)) == len(clusters):
        return compare_verdicts(left, right)
    return compare_means(left, clusters, right, clusters, shares=metric.unit == "%", seed=seed)


def _pairs(
    gathered: Gathered, task: Task, metric: Metric, models: Sequence[str], asked: Mapping[Asked, frozenset[str]]
) -> Iterable[_Pair]:
    def cell(model: str, place: Asked) -> Cell | None:
        return gathered.cell(task, model, place)

    for place in asked:
        for a, b in combinations(models, 2):
            first, second = cell(a, place), cell(b, place)
            if first is not None and second is not None:
                yield _Pair("model", a, b, "", place.condition(), first.values(metric), second.values(metric))
    for axis in ("language", "context"):
        if axis not in task.spec.compare:
            continue
        for model in models:
            for one, other in combinations(asked, 2):
                first, second = cell(model, one), cell(model, other)
                if first is None or second is None or not _only(axis, one, other) or not asked[one] & asked[other]:
                    continue
                same = {name: value for name, value in one.condition().items() if name != axis}
                sides = getattr(one, axis), getattr(other, axis)
                yield _Pair(axis, *sides, model, same, first.values(metric), second.values(metric))
    if "culture" in task.spec.compare:
        for model in models:
            for place in asked:
                here = cell(model, place)
                if here is not None:
                    yield from _cultures(here, metric, place)


def _only(axis: str, one: Asked, other: Asked) -> bool:
    """Whether two cells differ in this and in nothing else."""
    return one != other and all(getattr(one, name) == getattr(other, name) for name in one._fields if name != axis)


def _cultures(cell: Cell, metric: Metric, place: Asked) -> Iterable[_Pair]:
    """Pairs of cultures within one cell, over the clusters that both have: the same template in two dresses."""
    owner = {item.hash: item.culture for item in cell.task.suite.items}
    values: dict[str, dict[Presentation, float]] = {culture: {} for culture in owner.values() if culture}
    for key, value in cell.values(metric).items():
        values[owner[key.item]][key._replace(item="")] = value
    for a, b in combinations(values, 2):
        yield _Pair("culture", a, b, cell.model, place.condition(), values[a], values[b])


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
