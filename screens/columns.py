"""Columns that fit the terminal: the widest that can gives way first, and nothing scrolls sideways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from rich.style import Style
from rich.text import Text

from screens.draw import pad, plain, right
from workbench.text import cells, clip, safe_text

Cells = Mapping[str, tuple[str, Style]]
"""What a line says, by the column's key, and in which style."""


class Column(msgspec.Struct, frozen=True):
    """A column of the table. A column that gives way keeps at least `least` cells."""

    key: str
    label: str
    most: int
    least: int = 0
    """0: it does not give way."""
    figures: bool = False


def fitted(columns: Sequence[Column], rows: Sequence[Cells], width: int) -> list[tuple[Column, int]]:
    """The columns with widths that leave no need to scroll sideways: the widest that can gives way first."""
    wanted = {
        column.key: min(
            column.most, max([cells(column.label), 1, *(cells(safe_text(row[column.key][0])) for row in rows)])
        )
        for column in columns
    }
    # A blank on both sides of each column, and the scroll bar.
    over = sum(wanted.values()) + 2 * len(columns) + 2 - width
    for _ in range(over):
        able = [column for column in columns if column.least and wanted[column.key] > column.least]
        if not able:
            break
        wanted[max(able, key=lambda column: wanted[column.key]).key] -= 1
    return [(column, wanted[column.key]) for column in columns]


def head(column: Column) -> Text:
    """The column's label."""
    return right(column.label) if column.figures else plain(column.label)


def cell(column: Column, width: int, row: Cells) -> Text:
    """What a line says in a column, clipped to its width."""
    text, style = row[column.key]
    if column.figures:
        return right(clip(safe_text(text), width), style)
    return Text(pad(clip(safe_text(text), width), width), style=style, end="", no_wrap=True)


def few(words: Sequence[str], count: int = 3) -> str:
    """The first few, and whether there are more."""
    return " ".join(words[:count]) + (" …" if len(words) > count else "")
