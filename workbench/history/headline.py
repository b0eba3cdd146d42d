"""The main figure of an audit in one line, for lists."""

from __future__ import annotations

from collections.abc import Collection

from workbench.audits.findings import Finding, Findings


def headline(findings: Findings, metrics: Collection[str] = ()) -> str:
    """The first of the named metrics (else the first finding at all) that has a figure, for each model, in one line.

    For instance `Mainland terms (zh-Hans): smollm2 63 % [54, 71] · gemma 48 % [39, 57]`.
    """
    figures = [finding for finding in findings.findings if finding.estimate is not None]
    first = next((finding for finding in figures if finding.metric in metrics), figures[0] if figures else None)
    if first is None:
        return ""
    same = [
        finding
        for finding in figures
        if (finding.suite, finding.task, finding.metric, finding.condition)
        == (first.suite, first.task, first.metric, first.condition)
    ]
    condition = ", ".join(value for value in first.condition.values() if value)
    title = f"{first.title} ({condition})" if condition else first.title
    return " ".join(f"{title}: {' · '.join(map(_figure, same))}".split())


def _figure(finding: Finding) -> str:
    share = finding.unit == "%"

    def show(value: float | None) -> str:
        return "–" if value is None else f"{value * 100:.0f}" if share else f"{value:.2f}"

    unit = " %" if share else f" {finding.unit}" if finding.unit else ""
    interval = "" if finding.low is None or finding.high is None else f" [{show(finding.low)}, {show(finding.high)}]"
    return f"{finding.model} {show(finding.estimate)}{unit}{interval}"
