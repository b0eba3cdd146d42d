"""Estimates with their intervals, drawn by plotext: one line a model, its sign where the estimate is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.text import Text

from workbench.text import cells, clip, safe_text


class Estimated(msgspec.Struct, frozen=True):
    """One line of the plot. `group` is the label of the lines that belong together (a language)."""

    group: str
    sign: str
    colour: str
    estimate: float
    low: float | None
    high: float | None


def height(rows: Sequence[Estimated]) -> int:
    """Lines that the plot needs: a line each, a gap between groups, the scale."""
    return len(rows) + max(0, len({row.group for row in rows}) - 1) + 1


def interval_plot(rows: Sequence[Estimated], unit: str, null: float | None, width: int) -> Text:
    """The plot, `width` cells wide. Shares lie on a scale from 0 to 100 %, everything else on one that holds all
    intervals and the null; bars begin at 0 (shares) or at the null."""
    import plotext

    if not rows or width < 30:
        return Text("")
    share = unit == "%"
    scale = 100.0 if share else 1.0
    low, high = (0.0, 100.0) if share else _range(rows, null)
    origin = 0.0 if share else (null if null is not None else low)
    label_width = min(24, max(cells(safe_text(row.group)) for row in rows) + 2)
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height(rows))
    figure.axes(False)
    places: list[int] = []
    for row in rows:
        gap = 2 if places and row.group != rows[len(places) - 1].group else 1
        places.append(places[-1] - gap if places else 0)
    labels = []
    for place, row in zip(places, rows, strict=True):
        first = place == 0 or rows[places.index(place) - 1].group != row.group
        name = clip(safe_text(row.group), label_width - 2) if first else ""
        labels.append(name + " " * (label_width - 2 - cells(name)) + f" {row.sign}")
        at, start = row.estimate * scale, max(low, min(high, origin))
        figure.draw(figure.segment([min(start, at), max(start, at)], [place, place], marker="░"))
        if row.low is not None and row.high is not None:
            left, right = max(low, row.low * scale), min(high, row.high * scale)
            figure.draw(figure.segment([left, right], [place, place], marker="─"))
            figure.draw(figure.signal([left], [place], marker="├"))
            figure.draw(figure.signal([right], [place], marker="┤"))
        figure.draw(figure.signal([at], [place], marker=row.sign))
    figure.ruler("x").lim(low, high)
    figure.ruler("x").ticks(*_ticks(low, high, share))
    figure.ruler("y").lim(places[-1] - 0.5, 0.5)
    figure.ruler("y").ticks(places, labels)
    lines = plotext.uncolorize(str(figure.build())).splitlines()
    figure.clear()
    return _coloured(lines, rows, places)


def _range(rows: Sequence[Estimated], null: float | None) -> tuple[float, float]:
    values = [value for row in rows for value in (row.estimate, row.low, row.high) if value is not None]
    if null is not None:
        values.append(null)
    low, high = min(values), max(values)
    margin = max((high - low) * 0.05, 0.05)
    return low - margin, high + margin


def _ticks(low: float, high: float, share: bool) -> tuple[list[float], list[str]]:
    if share:
        return [0.0, 25.0, 50.0, 75.0, 100.0], ["0", "25", "50", "75", "100 %"]
    at = [low + (high - low) * part / 4 for part in range(5)]
    if low < 0 < high:
        # Zero is where most figures in nats have their meaning, so it is always named.
        nearest = min(range(5), key=lambda place: abs(at[place]))
        at[nearest] = 0.0
    return at, [f"{value:+.1f}".replace("-", "−") if value else "0" for value in at]


def _coloured(lines: Sequence[str], rows: Sequence[Estimated], places: Sequence[int]) -> Text:
    text = Text(end="", no_wrap=True)
    colours = {-place: row.colour for place, row in zip(places, rows, strict=True)}
    for number, line in enumerate(lines):
        text.append(line.rstrip() + ("\n" if number < len(lines) - 1 else ""), style=colours.get(number, "dim"))
    return text
