"""What all screens draw with: safe text, model signs and colours, figures for people.

Everything that comes from outside passes through `plain` on its way to the screen: it is never parsed as markup, and
control characters and bidi overrides are gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.style import Style
from rich.text import Text
from textual.content import Content

from workbench.text import cells, clip, safe_text

SIGNS = ("■", "▲", "●", "◆", "★", "▼", "◼", "◢")
"""A sign for each model of an audit: a colour never carries a meaning alone."""
_DARK = ("#6cb6e8", "#e8a85c", "#8fce8a", "#d69be0", "#e0d070", "#e88a8a", "#70d0c8", "#b0b0f0")
_LIGHT = ("#1f6aa5", "#a85a00", "#2f7a35", "#8a3f9c", "#7a6a00", "#a83a3a", "#107a70", "#4848b0")

VERDICT_SIGNS = {
    "correct": "✓",
    "misaligned": "≠",
    "incorrect": "·",
    "mainland": "M",
    "taiwan": "T",
    "hongkong": "H",
    "both": "B",
    "neither": "·",
    "several": "S",
    "none": "·",
    "refused": "?",
    "unparsed": "?",
    "empty": "?",
    "error": "!",
}
"""Signs of the kinds of verdict; a kind that is not here shows its first letter."""


def plain(text: str, style: str | Style = "", *, newlines: bool = False) -> Text:
    """Text from outside, safe to draw, for tables and Rich renderables."""
    return Text(safe_text(text, newlines=newlines), style=style, end="")


def content(text: str, *, newlines: bool = True) -> Content:
    """Text from outside, safe to draw, for `Static` and its kin."""
    return Content(safe_text(text, newlines=newlines))


def right(text: str, style: str | Style = "") -> Text:
    """A right-aligned cell."""
    return Text(text, style=style, justify="right", end="")


def clipped(text: str, width: int, style: str | Style = "") -> Text:
    """One safe line of at most `width` cells, with an ellipsis where something is missing."""
    return Text(clip(safe_text(text), width), style=style, end="")


def sign(place: int) -> str:
    """The sign of the model at a place of the plan."""
    return SIGNS[place % len(SIGNS)]


def colour(place: int, dark: bool) -> str:
    """The colour of the model at a place of the plan, the same on every screen and in every plot."""
    return (_DARK if dark else _LIGHT)[place % len(SIGNS)]


def models_line(names: Iterable[str], dark: bool, width: int = 0) -> Text:
    """Names with their signs and colours: `smollm2 ■ / gemma-3 ▲`."""
    line = Text(end="")
    shown = [safe_text(name) for name in names]
    each = max(8, (width - 5 * len(shown)) // max(1, len(shown))) if width else 0
    for place, name in enumerate(shown):
        if place:
            line.append(" / ", style="dim")
        line.append(f"{clip(name, each) if each else name} {sign(place)}", style=colour(place, dark))
    return line


def verdict_sign(kind: str) -> str:
    """The sign of a kind of verdict."""
    return VERDICT_SIGNS.get(kind, kind[:1].upper() or " ")


def duration(seconds: float) -> str:
    """A time for people: `40 s`, `2 min 41 s`, `1 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def bar(share: float, width: int) -> str:
    """A bar of at most `width` cells in eighths of a cell, for a share of 0..1."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def pad(text: str, width: int) -> str:
    """`text` filled with blanks up to `width` cells."""
    return text + " " * max(0, width - cells(text))
