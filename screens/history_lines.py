"""What the history's screens say of an audit and of a find, in a cell and in full."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from screens.draw import colour, models_line, plain, sign, verdict_sign
from screens.languages import asked_in
from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from workbench.history.rows import AuditRow, Hit

_MARKS = {"running": "⏵", "complete": "✓", "paused": "⏸", "failed": "✗"}
_INTERVAL = re.compile(r" \[[^\[\]]*\]")
FOUND = "bold underline"
"""The style of what was searched for: it is seen without colour and under the cursor."""


def local(moment: str) -> datetime | None:
    """A time of the history (UTC) in the time of the place; None when it is none."""
    try:
        return datetime.fromisoformat(moment).astimezone()
    except ValueError:
        return None


def short_time(moment: str, now: datetime | None = None) -> str:
    """A time in at most 12 cells: the time of day within the year, else the year."""
    at = local(moment)
    if at is None:
        return clip(safe_text(moment), 12)
    same_year = at.year == (now or datetime.now().astimezone()).year
    return f"{at.day:2} {at:%b %H:%M}" if same_year else f"{at.day:2} {at:%b %Y}"


def long_time(moment: str) -> str:
    """A time with its day and year."""
    at = local(moment)
    return safe_text(moment) if at is None else f"{at.day} {at:%b %Y %H:%M}"


def status_line(row: AuditRow) -> str:
    """Mark and word, and how far it is when it is not complete."""
    said = f"{_MARKS.get(row.status, ' ')} {row.status}"
    return said if row.status == "complete" else f"{said} {row.done:,}/{row.total:,}"


def models_cell(row: AuditRow, dark: bool, width: int) -> Text:
    """The models with their signs, in at most `width` cells."""
    line = models_line(row.models, dark)
    if cells(line.plain) > width:
        line = models_line(row.models, dark, width)
    if cells(line.plain) > width:
        line.truncate(width, overflow="ellipsis")
    return line


def headline_cell(row: AuditRow, dark: bool, width: int) -> Text:
    """The main figure with the numbers first, the models as their signs: what is cut off is the title's end."""
    title, figures = _headline_parts(row)
    line = Text(end="")
    for place, figure in figures:
        line.append(f"{sign(place)} {safe_text(_INTERVAL.sub('', figure))} ", style=colour(place, dark))
    line.append((" " if figures else "") + safe_text(title))
    if cells(line.plain) > width:
        line.truncate(width, overflow="ellipsis")
    return line


def _headline_parts(row: AuditRow) -> tuple[str, list[tuple[int, str]]]:
    """The headline's title, and each model's place and figure; all of it as title when it is not of that shape."""
    starts = [row.headline.find(f": {name} ") for name in row.models]
    start = min((one for one in starts if one >= 0), default=-1)
    if start < 0:
        return row.headline, []
    figures = []
    for part in row.headline[start + 2 :].split(" · "):
        # The longest name first: one may be the beginning of another.
        named = sorted((name for name in row.models if part.startswith(f"{name} ")), key=len)
        if not named:
            return row.headline, []
        figures.append((row.models.index(named[-1]), part[len(named[-1]) + 1 :]))
    return row.headline[:start], figures


def audit_text(row: AuditRow, dark: bool, verified: Sequence[str] | None = None) -> Text:
    """All that the list knows of an audit. `verified`: what its check found, None before."""
    text = Text(end="")
    text.append(f"Audit {row.id}", style="bold")
    text.append(f" · {long_time(row.created)} · {status_line(row)}")
    if row.status == "complete":
        text.append(f" · {row.done:,} answers · finished {long_time(row.finished)}")
    if row.message:
        text.append(f"\n{safe_text(row.message)}", style="bold" if row.status == "failed" else "")
    for line in verified or ():
        text.append(f"\n✗ {safe_text(line)}", style="bold")
    if verified is not None and not verified:
        text.append("\n✓ verified: plan, items, answers and their order are as they were written")
    if row.note:
        text.append(f"\n{safe_text(row.note)}", style="italic")
    if row.headline:
        text.append(f"\n{safe_text(row.headline)}")
    text.append("\n")
    text.append_text(models_line(row.models, dark))
    text.append(f"\n{safe_text(', '.join(row.suites))}", style="dim")
    return text


# -- finds ------------------------------------------------------------------------------------------------------------


def searchable(text: str) -> bool:
    """Whether prompts and answers are searched for it: a word of two letters, or one character of a wide script."""
    return any(
        len(word) > 1 or unicodedata.east_asian_width(word) in "WF"
        for word in text.split()
        if any(map(str.isalnum, word))
    )


def snippet_text(hit: Hit, width: int = 0) -> Text:
    """A find with what was searched for emphasised; in at most `width` cells (0: all of it), the find among them."""
    said, spans = safe_text(hit.snippet), _safe_spans(hit)
    begin = 0
    if width and spans and cells(said) > width:
        # What comes before the find gets a third of the room at most.
        while cells(said[begin : spans[0][0]]) > width // 3:
            begin += 1
    line = Text(("…" if begin else "") + said[begin:], end="")
    shift = begin - (1 if begin else 0)
    for start, end in spans:
        line.stylize(FOUND, max(0, start - shift), max(0, end - shift))
    if width and cells(line.plain) > width:
        line.truncate(width, overflow="ellipsis")
    return line


def _safe_spans(hit: Hit) -> list[tuple[int, int]]:
    """The places of the find in the safe form of the snippet."""
    return [(len(safe_text(hit.snippet[:start])), len(safe_text(hit.snippet[:end]))) for start, end in hit.spans]


def verdict_cell(kind: str) -> Text:
    """A verdict as sign and word."""
    return plain(f"{verdict_sign(kind)} {kind}" if kind else "")


def hit_text(hit: Hit) -> Text:
    """All that is known of a find."""
    text = Text(end="")
    text.append(f"Audit {hit.audit}", style="bold")
    text.append(safe_text(f" · {hit.model} · {hit.suite} › {hit.task} · {hit.item_id} · {asked_in(hit.language)}"))
    text.append(f"\n{'Asked' if hit.where == 'prompt' else 'Answered'}: ", style="dim")
    text.append_text(snippet_text(hit))
    if hit.verdict:
        text.append("\n")
        text.append_text(verdict_cell(hit.verdict))
    return text
