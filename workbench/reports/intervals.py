"""Estimates with their intervals as SVG: no text that is not escaped, no style, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

from workbench.figures import number
from workbench.text import safe_text

WIDTH, LABEL, LINE = 760, 190, 22
"""Of the picture, of its labels, and of one line, in pixels."""


class Line(msgspec.Struct, frozen=True):
    """One estimate. `place` is the model's in the plan: it chooses sign and colour."""

    label: str
    place: int
    estimate: float
    low: float | None
    high: float | None


def plot(lines: Sequence[Line], unit: str, null: float | None, title: str) -> Markup:
    """The picture of estimates on one scale: 0–100 % for shares, else one that holds all intervals and the null."""
    low, high = _range(lines, unit, null)
    top, bottom = 8, 8 + LINE * len(lines)
    parts = [
        Markup(
            '<svg class="plot" role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'xmlns="http://www.w3.org/2000/svg"><title>{title}</title>'
        ).format(width=WIDTH, height=bottom + 26, title=safe_text(title))
    ]
    for at in _ticks(low, high, unit):
        x = _x(at, low, high)
        parts.append(
            Markup('<line class="grid" x1="{x}" y1="{y}" x2="{x}" y2="{end}"/>').format(x=x, y=top, end=bottom)
        )
        parts.append(
            Markup('<text class="tick" x="{x}" y="{y}">{said}</text>').format(
                x=x, y=bottom + 18, said=number(at, unit) + (" %" if unit == "%" else "")
            )
        )
    if null is not None:
        x = _x(null, low, high)
        parts.append(
            Markup('<line class="null" x1="{x}" y1="{y}" x2="{x}" y2="{end}"/>').format(x=x, y=top, end=bottom)
        )
    for place, line in enumerate(lines):
        parts.append(_line(line, top + LINE * place + LINE // 2, low, high))
    return Markup("").join(parts) + Markup("</svg>")


def _line(line: Line, y: int, low: float, high: float) -> Markup:
    made = Markup('<g class="m{place}"><text class="label" x="{x}" y="{y}">{label}</text>').format(
        place=line.place % 8, x=LABEL - 10, y=y + 4, label=_clipped(line.label)
    )
    if line.low is not None and line.high is not None:
        start, end = _x(line.low, low, high), _x(line.high, low, high)
        made += Markup(
            '<line class="span" x1="{a}" y1="{y}" x2="{b}" y2="{y}"/><line class="span" x1="{a}" y1="{t}" x2="{a}" '
            'y2="{u}"/><line class="span" x1="{b}" y1="{t}" x2="{b}" y2="{u}"/>'
        ).format(a=start, b=end, y=y, t=y - 4, u=y + 4)
    return made + _sign(line.place, _x(line.estimate, low, high), y) + Markup("</g>")


def _sign(place: int, x: float, y: int) -> Markup:
    """The model's sign: its shape says whose it is where colours cannot."""
    shapes = (
        f"{x - 5},{y - 5} {x + 5},{y - 5} {x + 5},{y + 5} {x - 5},{y + 5}",
        f"{x},{y - 6} {x + 6},{y + 5} {x - 6},{y + 5}",
        f"{x},{y - 7} {x + 7},{y} {x},{y + 7} {x - 7},{y}",
        f"{x - 6},{y - 5} {x + 6},{y - 5} {x},{y + 6}",
    )
    if place % 8 == 2:
        return Markup('<circle class="dot" cx="{x}" cy="{y}" r="5.5"/>').format(x=x, y=y)
    chosen = shapes[{0: 0, 1: 1, 3: 2, 4: 3}.get(place % 8, place % 4)]
    return Markup('<polygon class="dot" points="{points}"/>').format(points=chosen)


def _range(lines: Sequence[Line], unit: str, null: float | None) -> tuple[float, float]:
    if unit == "%":
        return 0.0, 1.0
    values = [value for line in lines for value in (line.estimate, line.low, line.high) if value is not None]
    values += [] if null is None else [null]
    low, high = min(values), max(values)
    margin = max((high - low) * 0.05, 0.05)
    return low - margin, high + margin


def _ticks(low: float, high: float, unit: str) -> list[float]:
    if unit == "%":
        return [0.0, 0.25, 0.5, 0.75, 1.0]
    at = [low + (high - low) * part / 4 for part in range(5)]
    if low < 0 < high:
        at[min(range(5), key=lambda place: abs(at[place]))] = 0.0
    return at


def _x(value: float, low: float, high: float) -> float:
    share = (min(max(value, low), high) - low) / (high - low)
    return round(LABEL + share * (WIDTH - LABEL - 40), 1)


def _clipped(label: str) -> Markup:
    label = safe_text(label)
    return escape(label if len(label) <= 28 else label[:27] + "…")
