"""What may be said of a figure: the words, and the rules for them."""

from __future__ import annotations

from typing import Literal

from workbench.statistics.baselines import Baselines
from workbench.statistics.gaps import Gap
from workbench.statistics.intervals import Estimate
from workbench.statistics.paired import PairedComparison
from workbench.statistics.stability import Movement
from workbench.statistics.usable import WARN_ABOVE

STABLE_FROM = 0.4
SIGNIFICANT_BELOW = 0.05

Unit = Literal["share", "nats", "steps"]
"""Shares are said in per cent and their differences in points (of 100), margins in nats, ratings in steps."""


def prefers(estimate: Estimate, null: float, stability: float | None) -> bool:
    """Whether "prefers" may be said: the interval excludes the null, and the stability is at least .4. An unknown
    stability or a missing limit forbids it."""
    return _excludes(estimate, null) and stability is not None and stability >= STABLE_FROM


def differs(p_adjusted: float | None) -> bool:
    """Whether "differs" may be said: p after Holm below .05."""
    return p_adjusted is not None and p_adjusted < SIGNIFICANT_BELOW


def above_chance(estimate: Estimate, beside: Baselines) -> bool:
    """Whether "above chance" may be said: the interval lies wholly above the best baseline."""
    return estimate.low is not None and beside.best is not None and estimate.low > beside.best


def describe_preference(
    who: str, what: str, estimate: Estimate, *, null: float, stability: float | None, other: str, unit: Unit = "share"
) -> str:
    """One sentence on a share of answers for `what` (or a mean margin) against `null`; `other` is the alternative."""
    if estimate.estimate is None:
        return f"{who}: nothing to judge a preference by (n = 0)"
    figure = f"{_figure(estimate, unit)}, n = {estimate.n}; no preference would be {_amount(null, unit)}"
    favoured = what if estimate.estimate > null else other
    if not _excludes(estimate, null):
        return f"{who}: no preference found for {what} or {other} ({figure})"
    if prefers(estimate, null, stability):
        return f"{who} prefers {favoured} ({figure})"
    if stability is None:
        return f"{who} leans towards {favoured} ({figure}); whether a change of presentation turns it was not measured"
    return (
        f"{who} leans towards {favoured} ({figure}), but its answers change with the presentation "
        f"(stability {stability:.2f}, under {STABLE_FROM:g}): no preference can be said"
    )


def describe_difference(
    a: str, b: str, comparison: PairedComparison, p_adjusted: float | None, *, unit: Unit = "share"
) -> str:
    """One sentence on a paired difference, a minus b."""
    estimate = comparison.difference
    if differs(p_adjusted) and estimate.estimate is not None and p_adjusted is not None:
        way = "above" if estimate.estimate > 0 else "below"
        size = _difference(abs(estimate.estimate), unit)
        p = "p < 0.001" if p_adjusted < 0.001 else f"p = {p_adjusted:.3f}"
        return f"{a} differs from {b}: {size} {way} it over n = {comparison.n} items ({p} after Holm)"
    return no_difference(comparison.n, comparison.detectable, unit=unit)


def no_difference(n: int, detectable: float | None, *, unit: Unit = "share") -> str:
    """The sentence for a difference that was not found, with the one that would be missed (`detectable_difference`)."""
    if detectable is None:
        return f"no difference found over n = {n} items; they are too few, or too alike, to find one"
    amount = _difference(detectable, unit)
    return (
        f"no difference found over n = {n} items; one under {amount} would be missed more often than one time in five"
    )


def describe_gap(gap: Gap, *, unit: Unit = "share") -> str:
    """One sentence on the gap between cultures beside its chance range."""
    if gap.gap is None or gap.chance_low is None or gap.chance_high is None:
        return "too few items a culture to rank them"
    size, low, high = (_difference(x, unit) for x in (gap.gap, gap.chance_low, gap.chance_high))
    if gap.is_gap:
        return f"{gap.best} and {gap.worst} lie {size} apart; shuffled labels give {low} to {high}"
    return f"no gap beyond chance: best and worst lie {size} apart, shuffled labels give {low} to {high}"


def unusable_warning(unusable: int, total: int) -> str | None:
    """A warning when more than a tenth of the answers is unusable, None otherwise."""
    if total == 0 or unusable / total <= WARN_ABOVE:
        return None
    return f"{unusable} of {total} answers could not be used"


def stability_warning(stability: float | None, movement: Movement | None = None) -> str | None:
    """A warning when the stability is under .4, naming the change that moves the answer most; None otherwise."""
    if stability is None or stability >= STABLE_FROM:
        return None
    warning = f"answers change with the presentation (stability {stability:.2f})"
    return f"{warning}, most with a change of {movement.axis}" if movement is not None and movement.axis else warning


def noise_sentence(undecided: int, n: int) -> str | None:
    """How many items are undecided by noise; None when none is."""
    return f"{undecided} of {n} items are undecided by noise" if undecided else None


def _excludes(estimate: Estimate, null: float) -> bool:
    return estimate.low is not None and estimate.high is not None and not estimate.low <= null <= estimate.high


def _amount(value: float, unit: Unit) -> str:
    return f"{100 * value:.0f} %" if unit == "share" else f"{value:.2f} {unit}"


def _difference(value: float, unit: Unit) -> str:
    return f"{100 * value:.1f} points" if unit == "share" else f"{value:.2f} {unit}"


def _figure(estimate: Estimate, unit: Unit) -> str:
    assert estimate.estimate is not None
    text = _amount(estimate.estimate, unit)
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text}, 95 % interval {_amount(estimate.low, unit)} to {_amount(estimate.high, unit)}"
