"""From verdicts to findings, by `workbench.statistics`. Pure: the same verdicts give the same findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from suites.base import Metric, Suite
from workbench.audits.breakdowns import breakdowns
from workbench.audits.contrasts import family, unit_of
from workbench.audits.findings import Breakdown, Comparison, Finding, Findings
from workbench.audits.gather import Cell, Judged, Presentation, asked_in, by_item, gather, gives, presentation
from workbench.audits.plan import Plan
from workbench.audits.steadiness import Steadiness, steadiness
from workbench.statistics.baselines import Baselines, baselines
from workbench.statistics.clusters import cluster_means
from workbench.statistics.intervals import Estimate, bootstrap_t, clustered_share, wilson
from workbench.statistics.noise import undecided
from workbench.statistics.paired import sign_flip
from workbench.statistics.presence import share_against
from workbench.statistics.usable import WARN_ABOVE, clustered_bounds
from workbench.statistics.wording import STABLE_FROM, above_chance, describe_preference, noise_sentence


def compute_findings(
    plan: Plan, suites: Sequence[Suite], rows: Iterable[Judged], noise: Mapping[str, float]
) -> Findings:
    """All findings and comparisons of an audit. `noise`: the noise floor (nats) of each model that has one, by key."""
    gathered = gather(plan, suites, rows)
    models = [model.key for model in plan.models]
    findings: list[Finding] = []
    comparisons: list[Comparison] = []
    broken: list[Breakdown] = []
    for task in gathered.tasks:
        asked = asked_in(plan, task.suite.id, task.spec.id)
        cells = [cell for place in asked for model in models if (cell := gathered.cell(task, model, place)) is not None]
        steady = {(cell.asked, cell.model): steadiness(cell, plan.seed) for cell in cells}
        for metric in task.metrics:
            here = [cell for cell in cells if gives(metric, cell.asked)]
            findings += [
                _finding(plan, metric, cell, steady[cell.asked, cell.model], noise.get(cell.model)) for cell in here
            ]
            comparisons += family(gathered, task, metric, models, asked, plan.seed)
            if metric.breakdown:
                broken += [one for cell in here for one in breakdowns(cell, metric, _estimate, plan.seed)]
    return Findings(findings=tuple(findings), comparisons=tuple(comparisons), breakdowns=tuple(broken))


# -- one model, one condition -----------------------------------------------------------------------------------------


def _estimate(metric: Metric, values: Mapping[Presentation, float], seed: int) -> Estimate:
    rows, clusters = list(values.values()), [key.unit for key in values]
    if metric.kind == "share":
        if len(set(clusters)) == len(clusters):
            return wilson(round(sum(rows)), len(rows))
        return clustered_share(rows, clusters)
    return bootstrap_t(rows, clusters, seed=seed, bounds=(0.0, 1.0) if metric.unit == "%" else None)


def _p_against_null(metric: Metric, values: Mapping[Presentation, float], seed: int) -> float | None:
    if metric.null is None or not values:
        return None
    rows, clusters = list(values.values()), [key.unit for key in values]
    if metric.kind == "share":
        return share_against(rows, clusters, metric.null, seed=seed).p
    return sign_flip(cluster_means(rows, clusters).means - metric.null, seed=seed)


def _finding(plan: Plan, metric: Metric, cell: Cell, steady: Steadiness, floor: float | None) -> Finding:
    values = cell.values(metric)
    estimate = _estimate(metric, values, plan.seed)
    flags, items = cell.unusable(metric)
    lost = _unusable(flags, items)
    kept = steady.stability if metric.stability else None
    margins = [
        sum(known) / len(known)
        for rows in by_item(cell.of(metric)).values()
        if (known := [verdict.margin for _, _, verdict in rows if verdict.margin is not None])
    ]
    open_items = int(undecided(margins, floor).sum()) if margins and floor is not None else 0
    bounds = _bounds(metric, cell, values)
    beside = _baselines(metric, cell, values)
    share = kept.agreement.estimate if kept is not None else None
    return Finding(
        suite=cell.task.suite.id,
        task=cell.task.spec.id,
        metric=metric.id,
        title=metric.title,
        unit=metric.unit,
        model=cell.model,
        condition=cell.asked.condition(),
        estimate=estimate.estimate,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        unusable=lost.estimate or 0.0,
        unusable_low=lost.low,
        unusable_high=lost.high,
        bound_low=bounds[0],
        bound_high=bounds[1],
        stability=share,
        stability_low=kept.agreement.low if kept is not None else None,
        stability_high=kept.agreement.high if kept is not None else None,
        flips=kept.flips if kept is not None else None,
        noise=floor if margins else None,
        undecided=open_items,
        null=metric.null,
        p=_p_against_null(metric, values, plan.seed),
        baselines=metric.baselines or _named(beside),
        warnings=tuple(_warnings(cell, lost, steady, kept is not None, open_items, len(margins), plan.quick)),
        words=_words(metric, cell.model, estimate, share, beside),
    )


def _unusable(flags: Sequence[float], items: Sequence[str]) -> Estimate:
    if len(set(items)) == len(items):
        return wilson(round(sum(flags)), len(flags))
    return clustered_share(flags, items)


def _bounds(metric: Metric, cell: Cell, values: Mapping[Presentation, float]) -> tuple[float | None, float | None]:
    """The share with all unusable answers counted against it, and for it."""
    if metric.kind != "share":
        return None, None
    rows: list[float | None] = []
    items: list[str] = []
    for trial, item, verdict in cell.of(metric):
        key = presentation(trial, item)
        if key in values or not verdict.usable:
            rows.append(values.get(key))
            items.append(item.unit)
    found = clustered_bounds(rows, items)
    return found.low, found.high


def _baselines(metric: Metric, cell: Cell, values: Mapping[Presentation, float]) -> Baselines | None:
    """What a model without any knowledge would reach, over all presentations; None where there are no options or no
    right one, and for a metric that is not the share of right answers."""
    if metric.baselines:
        return Baselines(max(metric.baselines.values()), None, None, None, len(values))
    texts, gold, labels = [], [], []
    for trial, item, verdict in cell.of(metric):
        right = cell.task.gold(item, trial.condition)
        value = values.get(presentation(trial, item))
        if value is None and verdict.usable:
            continue
        if value is not None and value != float(verdict.choice in right):
            return None
        options = cell.task.options(item, trial.condition)
        if options and right:
            texts.append([cell.task.option_text(item, trial.condition, key) for key in options])
            gold.append([index for index, key in enumerate(options) if key in right])
            labels.append(list(options))
    return baselines(texts, gold, labels=labels) if texts else None


def _named(found: Baselines | None) -> dict[str, float]:
    if found is None:
        return {}
    named = {"chance": found.chance, "majority": found.majority, "first": found.first, "longest": found.longest}
    return {name: value for name, value in named.items() if value is not None}


def _warnings(
    cell: Cell, lost: Estimate, steady: Steadiness, counts: bool, open_items: int, items: int, quick: bool
) -> Iterable[str]:
    """Plain sentences, the gravest first."""
    if lost.estimate is not None and lost.estimate > WARN_ABOVE:
        yield (
            f"{100 * lost.estimate:.0f} % of {cell.model}'s answers could not be used (refused, unreadable, empty or "
            "an error): the figure speaks of the others only"
        )
    share = steady.stability.agreement.estimate if steady.stability is not None and counts else None
    if share is not None and share < STABLE_FROM:
        yield (
            f"the answer of {cell.model} changes in {100 * steady.turned:.0f} % of pairs when {steady.cause} changes: "
            "do not read this figure as a preference"
        )
    said = noise_sentence(open_items, items)
    if said:
        yield f"{said} (margin under twice the noise floor of {cell.model})"
    if quick:
        yield "quick: one order and one wording, so the stability of the answers is not known"


def _words(metric: Metric, model: str, estimate: Estimate, share: float | None, beside: Baselines | None) -> str:
    if metric.null is not None and metric.above and metric.below:
        return describe_preference(
            model, metric.above, estimate, null=metric.null, stability=share, other=metric.below, unit=unit_of(metric)
        )
    if estimate.estimate is None:
        return f"{model}: no answer that this figure could be computed from"
    shown = f"{100 * estimate.estimate:.1f} %"
    figure = shown if metric.unit == "%" else f"{estimate.estimate:+.2f} {metric.unit}"
    said = f"{model}: {metric.title} {figure} (n = {estimate.n})"
    if beside is None or beside.best is None:
        return said
    best = f"the best answer without knowledge reaches {100 * beside.best:.1f} %"
    return f"{said}, {'above' if above_chance(estimate, beside) else 'not above'} chance: {best}"
