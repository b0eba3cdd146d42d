"""Findings by culture, region group, topic and attribute: what differs within a model, and what chance gives."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from suites.base import Metric
from workbench.audits.contrasts import unit_of
from workbench.audits.findings import Breakdown, Slice
from workbench.audits.gather import Cell, Presentation
from workbench.figures import number
from workbench.statistics.gaps import RANKED_FROM, culture_gap, pooled
from workbench.statistics.intervals import Estimate, bootstrap_t, clustered_share
from workbench.statistics.wording import describe_gap

SHUFFLES = 4_000
Estimator = Callable[[Metric, Mapping[Presentation, float], int], Estimate]
_Asked = tuple[str, str]
"""Item (hash) and part: what belongs to one culture and one topic."""


class _Facets(NamedTuple):
    culture: str
    group: str
    topic: str
    block: str
    """Within what the labels of cultures are shuffled: a template has every culture once, and one topic may be harder
    than another."""


def breakdowns(cell: Cell, metric: Metric, estimate: Estimator, seed: int) -> Iterator[Breakdown]:
    """A metric of one cell by everything that tells its items apart. `estimate` is how the whole is estimated, too."""
    facets: dict[_Asked, _Facets] = {}
    for trial, item, _ in cell.of(metric):
        part = trial.condition.part
        culture, group = ("", "") if cell.task.parts and not part else cell.task.culture(item, trial.condition)
        if not culture and not part:
            culture, group = item.culture, item.group
        block = f"cluster {item.cluster}" if item.cluster else item.topic
        facets[trial.item, part] = _Facets(culture, group, item.topic, block)
    for by in ("culture", "group", "topic"):
        if len({getattr(one, by) for one in facets.values()} - {""}) >= 2:
            yield _by_item(cell, metric, by, facets, estimate, seed)
    if details := _details(cell, metric):
        yield _by_detail(cell, metric, details, seed)


def _by_item(
    cell: Cell, metric: Metric, by: str, facets: Mapping[_Asked, _Facets], estimate: Estimator, seed: int
) -> Breakdown:
    own: dict[_Asked, str] = {asked: getattr(one, by) for asked, one in facets.items()}
    values = {key: value for key, value in cell.values(metric).items() if own[key.item, key.part]}
    keys = list(values)
    answered = {(key.item, key.part): facets[key.item, key.part] for key in keys}
    ranked_by = {asked: own[asked] for asked in answered}
    if by == "culture":
        groups: dict[Hashable, Hashable] = {one.culture: one.group for one in answered.values() if one.group}
        labels = pooled([one.culture for one in answered.values()], groups)
        ranked_by = {asked: str(label) for asked, label in zip(answered, labels, strict=True)}
    gap = culture_gap(
        list(values.values()),
        [ranked_by[key.item, key.part] for key in keys],
        [answered[key.item, key.part].culture if by == "topic" else answered[key.item, key.part].block for key in keys],
        items=[(key.item, key.part) for key in keys],
        shuffles=SHUFFLES,
        seed=seed,
    )
    enough = {str(label) for label, count in gap.counts.items() if count >= RANKED_FROM}
    shown = dict.fromkeys((*sorted(filter(None, own.values())), *sorted(ranked_by.values())))
    names = _names(cell)
    slices = []
    for label in shown:
        mine = {
            key: value
            for key, value in values.items()
            if label in (own[key.item, key.part], ranked_by[key.item, key.part])
        }
        found = estimate(metric, mine, seed)
        slices.append(
            Slice(
                key=label,
                name=names.get(label, label.replace("-", " ")),
                estimate=found.estimate,
                low=found.low,
                high=found.high,
                n=found.n,
                ranked=label in enough,
            )
        )
    return msgspec.structs.replace(
        _breakdown(cell, metric, by, slices),
        gap=gap.gap,
        chance_low=gap.chance_low,
        chance_high=gap.chance_high,
        p=gap.p,
        is_gap=gap.is_gap,
        words=describe_gap(gap, unit=unit_of(metric)),
    )


def _names(cell: Cell) -> dict[str, str]:
    """What people call the cultures, where the items say so."""
    found = {}
    for item in cell.task.suite.items:
        for culture in (item.data.get("culture"), *item.data.get("cultures", ())):
            if isinstance(culture, dict):
                found[culture["id"]] = str(culture["name"]["en"])
    return found


def _details(cell: Cell, metric: Metric) -> dict[str, list[tuple[str, float]]]:
    """The parts of a metric's values by what they are about, each with its cluster."""
    found: dict[str, list[tuple[str, float]]] = {}
    for trial, item, verdict in cell.of(metric):
        for name, value in cell.task.details(metric, item, trial.condition, verdict).items():
            found.setdefault(name, []).append((item.unit, value))
    return found


def _by_detail(cell: Cell, metric: Metric, details: Mapping[str, list[tuple[str, float]]], seed: int) -> Breakdown:
    slices = []
    for name, rows in details.items():
        figures, units = [value for _, value in rows], [unit for unit, _ in rows]
        share = metric.kind == "share"
        found = clustered_share(figures, units) if share else bootstrap_t(figures, units, draws=1000, seed=seed)
        slices.append(
            Slice(key=name, name=name, estimate=found.estimate, low=found.low, high=found.high, n=found.n, ranked=True)
        )
    slices.sort(key=lambda one: -(one.estimate or 0.0))
    first, last = slices[0], slices[-1]
    most, least = (number(one.estimate, metric.unit) for one in (first, last))
    words = f"most: {first.name} ({most}); least: {last.name} ({least})"
    return msgspec.structs.replace(_breakdown(cell, metric, "detail", slices), words=words)


def _breakdown(cell: Cell, metric: Metric, by: str, slices: Sequence[Slice]) -> Breakdown:
    return Breakdown(
        suite=cell.task.suite.id,
        task=cell.task.spec.id,
        metric=metric.id,
        title=metric.title,
        unit=metric.unit,
        model=cell.model,
        condition=cell.asked.condition(),
        by=by,
        slices=tuple(slices),
    )
