"""Findings and comparisons in one line each."""

from __future__ import annotations

from workbench.audits.findings import Comparison, Finding
from workbench.figures import interval, number, p_value


def estimate_line(finding: Finding) -> str:
    """An estimate with all that belongs to it, in one line."""
    said = f"{number(finding.estimate, finding.unit)}{' %' if finding.unit == '%' else ' ' + finding.unit}"
    parts = [f"{said} {interval(finding.low, finding.high, finding.unit)}".rstrip(), f"n {finding.n}"]
    if finding.unusable:
        span = interval(finding.unusable_low, finding.unusable_high, "%")
        parts.append(f"unusable {100 * finding.unusable:.1f} % {span}".rstrip())
        if finding.bound_low is not None and finding.bound_high is not None:
            parts.append(f"bounds {100 * finding.bound_low:.0f} to {100 * finding.bound_high:.0f} %")
    if finding.stability is not None:
        flips = "" if finding.flips is None else f", flips {100 * finding.flips:.0f} %"
        parts.append(f"stability {number(finding.stability, 'share')}{flips}")
    if finding.noise is not None:
        parts.append(f"noise {finding.noise:.2f} nats, {finding.undecided} undecided")
    best = max(finding.baselines.items(), key=lambda pair: pair[1], default=None)
    if best is not None:
        parts.append(f"best baseline {best[0]} {100 * best[1]:.1f} %")
    return " · ".join(parts)


def difference_line(one: Comparison) -> str:
    """A comparison in one line: sides, difference, interval, test."""
    unit = "points" if one.unit == "%" else one.unit
    side = f"{one.model}: {one.a} − {one.b}" if one.kind != "model" else f"{one.a} − {one.b}"
    if one.difference is None:
        return f"{side}: nothing to compare"
    return (
        f"{side} {number(one.difference, one.unit, sign=True)} {unit} {interval(one.low, one.high, one.unit)} "
        f"p(Holm of {one.family}) {p_value(one.p_adjusted)} · {one.test} · n {one.n}"
    )
