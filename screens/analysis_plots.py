"""The plots of an analysis, drawn by plotext: a letter a point, with a legend; colour only beside letter or sign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_uppercase

import msgspec
from rich.text import Text

from screens.draw import colour, sign
from screens.languages import asked_in, language_name
from screens.plots import Estimated, interval_plot
from workbench.analyses.sctc import Line, Section
from workbench.text import cells, clip, safe_text

SCATTER = "name-choices"
STACK = "term-outcomes"
SHADES = {"correct": "█", "misaligned": "▒", "incorrect": "░"}
OTHER = "·"
_MOST_PLOTS = 8


class _Point(msgspec.Struct, frozen=True):
    letter: str
    model: int
    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]


def section_plot(section: Section, models: Sequence[str], dark: bool, width: int, height: int = 16) -> Text:
    """What a section looks like, at most `width` cells wide; planes are `height` lines high. `models` are the names in
    the order of their signs."""
    if width < 40:
        return Text("")
    if section.id == SCATTER:
        return _scatter(section, models, dark, width, height)
    if section.id == STACK:
        return _stack(section, models, dark, width)
    text = Text(end="")
    if section.curves:
        text.append_text(_curves(section, models, dark, width, height))
    text.append_text(_intervals(section, models, dark, width))
    return text


def _place(models: Sequence[str], model: str) -> int:
    return list(models).index(model) if model in models else 0


def _said(line: Line) -> str:
    return " · ".join(part for part in (language_name(line.language), line.group) if part) or "all"


def _intervals(section: Section, models: Sequence[str], dark: bool, width: int) -> Text:
    text = Text(end="")
    names = list(dict.fromkeys(one.what for line in section.lines for one in line.figures))
    for what in names[:_MOST_PLOTS]:
        found = [(line, one) for line in section.lines if (one := line.figure(what)) is not None]
        order = list(dict.fromkeys(_said(line) for line, _ in found))
        found.sort(key=lambda pair: order.index(_said(pair[0])))
        scale = 100.0 if found[0][1].unit == "points" else 1.0
        rows = [
            Estimated(
                _said(line),
                sign(_place(models, line.model)) if line.model else "●",
                colour(_place(models, line.model), dark),
                one.estimate * scale,
                None if one.low is None else one.low * scale,
                None if one.high is None else one.high * scale,
            )
            for line, one in found
            if one.estimate is not None
        ]
        if not rows:
            continue
        one = found[0][1]
        unit = "" if one.unit == "%" else f" ({one.unit})" if one.unit else ""
        text.append(f"\n{safe_text(what)}{unit}\n", style="bold")
        text.append_text(interval_plot(rows, "%" if one.unit == "%" else one.unit, one.null, width))
        text.append("\n")
    if len(names) > _MOST_PLOTS:
        text.append(f"\n{len(names) - _MOST_PLOTS} more in the table below\n", style="dim")
    return text


def _scatter(section: Section, models: Sequence[str], dark: bool, width: int, height: int) -> Text:
    points: list[_Point] = []
    for line in section.lines:
        valid, mainland = line.figure("valid"), line.figure("Mainland name")
        if valid is None or mainland is None or valid.estimate is None or mainland.estimate is None:
            continue
        who = ", ".join(part for part in (line.model, language_name(line.language), line.group) if part)
        points.append(
            _Point(
                ascii_uppercase[len(points) % 26],
                _place(models, line.model),
                # Figures first: a long name is what may be cut.
                f"valid {100 * valid.estimate:.0f} %, Mainland {100 * mainland.estimate:.0f} % · {who}",
                (100 * mainland.estimate,),
                (100 * valid.estimate,),
            )
        )
    if not points:
        return Text("No list has a valid choice yet.\n", style="dim")
    head = Text(end="", no_wrap=True)
    head.append("valid choices (up) × Mainland names among them (across), %\n", style="bold")
    limits = ((0.0, 100.0), (0.0, 100.0))
    return head.append_text(_drawn(points, dark, width, height, limits, lambda value: f"{value:.0f}"))


def _curves(section: Section, models: Sequence[str], dark: bool, width: int, height: int) -> Text:
    points = [
        _Point(
            ascii_uppercase[number % 26],
            _place(models, curve.model),
            f"{curve.model}, {asked_in(curve.language)}{f', {curve.group}' if curve.group else ''}",
            curve.x,
            tuple(100 * value for value in curve.y),
        )
        for number, curve in enumerate(section.curves)
    ]
    top = max(value for point in points for value in point.ys)
    last = max(value for point in points for value in point.xs)
    what = "place on the list" if section.id == "name-position" else "orders asked"
    share = "choices" if section.id == "name-position" else "Mainland names, of all answers"
    head = Text(end="", no_wrap=True)
    head.append(f"{share}, % (up) by {what} (across)\n", style="bold")
    limits = ((1.0, max(2.0, last)), (0.0, min(100.0, max(10.0, top * 1.1))))
    return head.append_text(_drawn(points, dark, width, height, limits, lambda value: f"{value:.0f}"))


def _drawn(
    points: Sequence[_Point],
    dark: bool,
    width: int,
    height: int,
    limits: tuple[tuple[float, float], tuple[float, float]],
    name: Callable[[float], str],
) -> Text:
    """Letters on a plane with a legend below. Where two points fall on one cell the later letter covers the earlier
    one; the legend has both."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(width, 84), height)
    for point in points:
        figure.draw(figure.signal(list(point.xs), list(point.ys), marker=point.letter))
    for axis, (low, high) in zip(("x", "y"), limits, strict=True):
        ticks = [low + (high - low) * part / 4 for part in range(5)]
        figure.ruler(axis).lim(low, high)
        figure.ruler(axis).ticks(ticks, [name(value) for value in ticks])
    lines = plotext.uncolorize(str(figure.build())).splitlines()
    figure.clear()
    colours = {point.letter: colour(point.model, dark) for point in points}
    text = Text(end="", no_wrap=True)
    for line in lines:
        for character in line.rstrip():
            text.append(character, style=f"bold {colours[character]}" if character in colours else "dim")
        text.append("\n")
    for point in points:
        text.append(f"{point.letter} {sign(point.model)} ", style=f"bold {colours[point.letter]}")
        text.append(clip(safe_text(point.label), width - 4) + "\n")
    return text


def _stack(section: Section, models: Sequence[str], dark: bool, width: int) -> Text:
    """One bar a model, language and wording: what is not correct, misaligned or incorrect is the rest."""
    text = Text(end="", no_wrap=True)
    text.append("correct █  misaligned ▒  incorrect ░  anything else ·   of all answers\n", style="bold")
    labels = [_said(line) for line in section.lines]
    label_width = min(24, max(map(cells, map(safe_text, labels)), default=0))
    room = max(10, min(60, width - label_width - 26))
    seen = list(dict.fromkeys(labels))
    order = sorted(range(len(labels)), key=lambda place: seen.index(labels[place]))
    before = ""
    for number in order:
        line, label = section.lines[number], clip(safe_text(labels[number]), label_width)
        shown = label if label != before else ""
        before = label
        text.append(shown + " " * (label_width - cells(shown)) + " ")
        place = _place(models, line.model)
        text.append(f"{sign(place)} ", style=colour(place, dark))
        shares = [(one.estimate or 0.0) if (one := line.figure(kind)) is not None else 0.0 for kind in SHADES]
        edges = [round(room * sum(shares[: index + 1])) for index in range(len(shares))]
        start = 0
        for shade, edge in zip(SHADES.values(), edges, strict=True):
            text.append(shade * max(0, edge - start), style=colour(place, dark))
            start = max(start, edge)
        text.append(OTHER * max(0, room - start), style="dim")
        text.append("  " + " ".join(f"{100 * value:5.1f}" for value in shares) + "\n")
    return text
