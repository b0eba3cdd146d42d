"""An analysis as rows of text, as Markdown and as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from workbench.analyses.sctc.figures import Analysis, Figure, Line, Section
from workbench.figures import p_value

HEAD = (
    "model",
    "asked in",
    "of",
    "figure",
    "by design",
    "95 % interval",
    "n",
    "p",
    "p (Holm)",
    "published",
    "p published",
)
NUMBERS = (4, 6, 7, 8, 9, 10)
"""Columns that stand to the right."""


def rows(section: Section) -> Iterator[tuple[str, ...]]:
    """One row a figure, in the columns of `HEAD`."""
    for line in section.lines:
        for one in line.figures:
            yield _row(line, one)


def markdown(analysis: Analysis, escape: Callable[[str], str]) -> Iterator[str]:
    """The lines of a report, without line ends; `escape` makes text from outside harmless."""
    yield from ("## Simplified and Traditional", "")
    yield "By design: intervals and tests over the units that were drawn independently (n), two-sided; p (Holm) over"
    yield "all models, languages and groups of a figure. Published: computed as Lyu et al. (FAccT 2025) compute it,"
    yield "rows pooled, one-sided where they test so; – where they test nothing."
    yield ""
    for section in analysis.sections:
        yield from (f"### {escape(section.title)}", "", escape(f"{section.about} n counts {section.counts}."), "")
        yield f"| {' | '.join(HEAD)} |"
        yield f"|{'|'.join('---:' if place in NUMBERS else '---' for place in range(len(HEAD)))}|"
        for row in rows(section):
            yield f"| {' | '.join(escape(cell) or ' ' for cell in row)} |"
        yield ""
        said = [*section.words, *notes(section)]
        yield from (f"- {escape(line)}" for line in said)
        if said:
            yield ""


def plain(analysis: Analysis) -> dict[str, Any]:
    """An analysis as JSON-able data; None where a figure does not exist."""
    data: dict[str, Any] = msgspec.to_builtins(analysis)
    return data


def notes(section: Section) -> list[str]:
    """What there is to know of single figures, in plain lines."""
    said = [
        f"{' · '.join(part for part in (line.model, line.language, line.group, one.what) if part)}: {one.note}"
        for line in section.lines
        for one in line.figures
        if one.note
    ]
    return list(dict.fromkeys(said))


def _row(line: Line, one: Figure) -> tuple[str, ...]:
    mark = "✱ " if one.p_adjusted is not None and one.p_adjusted < 0.05 else ""
    interval = "" if one.low is None or one.high is None else f"{amount(one.low, one)} to {amount(one.high, one)}"
    null = "" if one.null in (None, 0.0) else f" (null {amount(one.null, one)})"
    return (
        line.model,
        line.language,
        line.group,
        one.what + null,
        mark + amount(one.estimate, one),
        interval,
        str(one.n),
        _p(one.p),
        _p(one.p_adjusted),
        amount(one.published, one),
        _p(one.p_published),
    )


def amount(value: float | None, one: Figure) -> str:
    """A figure with its unit, for people."""
    if value is None:
        return "–"
    match one.unit:
        case "%":
            text = f"{100 * value:.1f} %"
        case "points":
            text = f"{100 * value:+.1f}"
        case "orders":
            # The published figure of this one is the rate that is reached, not a number of orders.
            text = f"{value:.0f}" if value >= 1 else f"{100 * value:.1f} %"
        case "place":
            text = f"{value:.2f}"
        case _:
            text = f"{value:+.2f}"
    return text.replace("-", "−")


def _p(p: float | None) -> str:
    return "–" if p is None else p_value(p)
