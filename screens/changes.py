"""Two audits compared: what changed from the older to the newer, on the items that are the same in both."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from screens.behind import behind
from screens.draw import clipped, colour, plain, right, sign
from screens.frame import Frame
from screens.languages import asked_in, asked_short
from workbench.figures import interval, number, p_value
from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from workbench.audits.compare import AuditComparison, Change
    from workbench.history.rows import AuditRow

GROUPS = (
    ("changed", "✱", "changed"),
    ("same", "", "with no change found"),
    ("unknown", "?", "not comparable"),
    ("new", "+", "only in the newer audit"),
    ("gone", "−", "only in the older audit"),
)
"""Status, sign and heading, in the order in which they are listed."""
_SIGNS = {status: mark for status, mark, _ in GROUPS}
_SCROLLBAR = 2

Column = tuple[str, str, int]
"""Key, heading and width."""


class _Compared(msgspec.Struct):
    older: AuditRow
    newer: AuditRow
    found: AuditComparison
    places: dict[str, int]
    """The models' places in the older audit's plan, then those that only the newer has."""


class ChangesScreen(Frame):
    """What could be compared in a few lines, then a line a figure, what changed first."""

    HELP_TITLE = "History: two audits compared"
    HELP = (
        "The older audit is *before*, the newer one *after*. A figure is compared on the items that are word for word "
        "the same in both and that have a usable answer in both; *n* counts them. The interval beside the difference "
        "holds the true one 19 times in 20.\n\n"
        "✱ means that the change is too large for chance alone (p under .05 after Holm's correction for all changes of "
        "this figure) and larger than the model's own noise. **No change found** is not **no change**: the line below "
        "says how large one would have to be to be seen.\n\n"
        "A change need not be the model's: the lines at the top say when questions, seed or weights were others."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "changes", "only changes", id="changes.only"),
        Binding("escape", "back", "back", id="back"),
    ]

    DEFAULT_CSS = """
    ChangesScreen {
        #changes-summary { height: auto; max-height: 8; padding: 0 1; margin-bottom: 1; }
        #changes-said, #changes-figure { height: auto; }
        #changes { height: 1fr; }
        #changes-detail { height: 8; border-top: solid $panel; padding: 0 1; }
        &.-short #changes-summary { max-height: 5; margin-bottom: 0; }
        &.-short #changes-detail { height: 6; }
    }
    """

    def __init__(self, one: str, other: str) -> None:
        """Two ids, in any order: the audit that was made first is compared with the one after it."""
        super().__init__()
        self._audits = (one, other)
        self._compared: _Compared | None = None
        self._only_changes = False
        self._lines: list[Change | str] = []
        """What each line of the table is: a change or a heading."""
        self._width = 0

    def body(self) -> ComposeResult:
        """Title, summary, table, the focused figure in words."""
        yield Static(id="changes-title", classes="crumbs")
        with VerticalScroll(id="changes-summary"):
            yield Static("Comparing…", id="changes-said")
        yield Static(id="changes-state", classes="hint")
        yield DataTable[Text](id="changes", cursor_type="row")
        with VerticalScroll(id="changes-detail"):
            yield Static(id="changes-figure")

    def on_mount(self) -> None:
        """Compare."""
        self.query_one("#changes-state").display = False
        self.query_one("#changes", DataTable).focus()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._fill())
        self._draw_title()
        behind(self, self._compare, self._show, failed=self._failed)

    def _compare(self) -> _Compared:
        from workbench.audits.compare import compare_audits

        with self.core.history() as history:
            chosen = {history.audit(audit).id for audit in self._audits}
            # Newest first: times of creation have whole seconds, so they could be the same.
            newer, older = (row for row in history.audits() if row.id in chosen)
            found = compare_audits(history, older.id, newer.id)
            names = [model.key for model in history.plan(older.id).models]
        names += [change.model for change in found.changes]
        return _Compared(older, newer, found, {name: place for place, name in enumerate(dict.fromkeys(names))})

    def _failed(self, problem: str) -> None:
        self.query_one("#changes-said", Static).update(Text(safe_text(problem)))

    def _show(self, compared: _Compared) -> None:
        self._compared = compared
        self._draw_title()
        self.query_one("#changes-said", Static).update(self._summary())
        self._fill()
        table = self.query_one("#changes", DataTable)
        if len(self._lines) > 1:
            table.move_cursor(row=1)

    def on_resize(self) -> None:
        """Columns depend on the width."""
        if self._width and self.app.size.width != self._width:
            self._draw_title()
            self._fill()

    # -- the top ------------------------------------------------------------------------------------------------

    def _draw_title(self) -> None:
        line = Text(end="", no_wrap=True)
        if self._compared is None:
            line.append("History › two audits", style="bold")
        else:
            audits = (self._compared.older, self._compared.newer)
            said = " → ".join(f"{row.id} ({_time(row.created)})" for row in audits)
            line.append(f"History › {said}", style="bold")
            if any(row.note for row in audits):
                notes = " → ".join(safe_text(row.note) or "–" for row in audits)
                line.append(f" · {notes}", style="dim italic")
        line.truncate(max(1, self.app.size.width - 2), overflow="ellipsis")
        self.query_one("#changes-title", Static).update(line)

    def _summary(self) -> Text:
        assert self._compared is not None
        text = Text(end="")
        for place, line in enumerate(self._compared.found.summary):
            text.append("\n" if place else "")
            text.append(safe_text(line), style="" if place else "bold")
        for row in (self._compared.older, self._compared.newer):
            if row.status != "complete":
                said = f"Audit {row.id} is {row.status}: {row.done:,} of {row.total:,} answers are in it."
                text.append(f"\n{safe_text(said)}")
        return text

    # -- the table ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        if self._compared is None:
            return
        self._width = self.app.size.width
        focused = self._focused()
        table = self.query_one("#changes", DataTable)
        columns = self._columns()
        table.clear(columns=True)
        for key, heading, width in columns:
            table.add_column(right(heading) if key in _FIGURES else plain(heading), width=width, key=key)
        self._lines = self._listed()
        for line in self._lines:
            if isinstance(line, str):
                table.add_row(Text(""), clipped(line, columns[1][2], "dim italic"), *[Text("")] * (len(columns) - 2))
            else:
                table.add_row(*(self._cell(line, key, width) for key, _, width in columns))
        if focused in self._lines:
            table.move_cursor(row=self._lines.index(focused))
        elif len(self._lines) > 1:
            table.move_cursor(row=1)
        self._draw_state()
        self._draw_detail()

    def _listed(self) -> list[Change | str]:
        """The changes in groups, each under its heading."""
        assert self._compared is not None
        lines: list[Change | str] = []
        for status, _, heading in GROUPS:
            group = [change for change in self._compared.found.changes if change.status == status]
            if group and (status == "changed" or not self._only_changes):
                lines += [f"{len(group)} {heading}", *group]
        return lines

    def _draw_state(self) -> None:
        assert self._compared is not None
        found = self._compared.found.changes
        said = ""
        if not found:
            said = "There is no figure to compare."
        elif self._only_changes:
            changed = sum(change.status == "changed" for change in found)
            said = f"only what changed: {changed} of {len(found)}"
            said += "; d shows all" if changed else ", which is not proof of no change; d shows all"
        state = self.query_one("#changes-state", Static)
        state.update(Text(said))
        state.display = bool(said)

    def _columns(self) -> list[Column]:
        """Columns that fill the width exactly; the title has what the others leave."""
        assert self._compared is not None
        models = max([5, *(cells(safe_text(name)) + 2 for name in self._compared.places)])
        differences = max(
            [
                6 if self.narrow else 10,
                *(cells(self._difference(one, "").plain) for one in self._compared.found.changes),
            ]
        )
        if self.narrow:
            ends = [("language", "asked", 7), ("model", "model", min(models, 12))]
            ends += [("before", "before", 6), ("after", "after", 6), ("difference", "change", differences)]
        else:
            ends = [("language", "asked in", 8), ("model", "model", min(models, 20))]
            ends += [("before", "before", 6), ("after", "after", 6), ("difference", "difference", differences)]
            ends += [("p", "p (Holm)", 8), ("n", "n", 5)]
        columns = [("mark", "", 1), *ends]
        room = self.app.size.width - _SCROLLBAR - sum(width for _, _, width in columns) - 2 * (len(columns) + 1)
        return [columns[0], ("title", "", max(10, room)), *ends]

    def _cell(self, change: Change, key: str, width: int) -> Text:
        style = "bold" if change.status == "changed" else ""
        if key == "model":
            place = self._place(change)
            return clipped(f"{sign(place)} {change.model}", width, colour(place, self.app.current_theme.dark))
        if key == "difference":
            return self._difference(change, style)
        texts = {
            "mark": _SIGNS[change.status],
            "title": change.title + ("" if change.unit == "%" else f" ({change.unit})"),
            "language": asked_short(change.condition.get("language", ""), change.condition.get("context", "")),
            "before": number(change.before, change.unit),
            "after": number(change.after, change.unit),
            "p": p_value(change.p_adjusted),
            "n": f"{change.n:,}" if change.n else "",
        }
        return right(texts[key]) if key in _FIGURES else clipped(texts[key], width, style)

    def _difference(self, change: Change, style: str) -> Text:
        text = Text(end="", justify="right")
        text.append(number(change.difference, change.unit, sign=True), style=style)
        span = interval(change.low, change.high, change.unit)
        if span and not self.narrow:
            text.append(f" {span}", style="dim")
        return text

    def _place(self, change: Change) -> int:
        assert self._compared is not None
        return self._compared.places[change.model]

    def _focused(self) -> Change | None:
        place = self.query_one("#changes", DataTable).cursor_row
        line = self._lines[place] if 0 <= place < len(self._lines) else None
        return None if isinstance(line, str) else line

    # -- the focused figure -------------------------------------------------------------------------------------

    def on_data_table_row_highlighted(self) -> None:
        """Say the figure in words."""
        self._draw_detail()

    def _draw_detail(self) -> None:
        change = self._focused()
        words = self.query_one("#changes-figure", Static)
        if change is None:
            hint = "Choose a figure to see what may be said of it." if self._compared is not None else ""
            words.update(Text(hint, style="dim"))
            return
        place = self._place(change)
        text = Text(end="")
        asked = asked_in(change.condition.get("language", ""), change.condition.get("context", ""))
        text.append(safe_text(f"{change.title}, {asked}"), style="bold")
        text.append(f" · {sign(place)} {safe_text(change.model)}", style=colour(place, self.app.current_theme.dark))
        if change.words:
            text.append(f"\n{safe_text(change.words)}")
        text.append(f"\n{_figures(change)}", style="dim")
        text.append(f"\n{safe_text(f'{change.suite} › {change.task}')}", style="dim")
        words.update(text)
        self.query_one("#changes-detail").scroll_home(animate=False)

    # -- commands -----------------------------------------------------------------------------------------------

    def action_changes(self) -> None:
        """Show only what changed, or everything again."""
        self._only_changes = not self._only_changes
        self._fill()


_FIGURES = frozenset({"before", "after", "difference", "p", "n"})
"""Columns of figures: right-aligned."""


def _figures(change: Change) -> str:
    """The figures of a change that its row may have no room for, in one line."""
    parts = []
    if change.difference is not None:
        said = number(change.difference, change.unit, sign=True)
        unit = "points" if change.unit == "%" else change.unit
        parts.append(f"difference {said} {unit} {interval(change.low, change.high, change.unit)}".rstrip())
    if change.p_adjusted is not None:
        parts.append(f"p (Holm of {change.family}) {p_value(change.p_adjusted)}")
    parts += [part for part in (clip(safe_text(change.test), 40), f"n {change.n:,}" if change.n else "") if part]
    return " · ".join(parts)


def _time(moment: str) -> str:
    """A time of the history (UTC) on this machine's clock, as short as it can be told apart."""
    try:
        at = datetime.fromisoformat(moment).astimezone()
    except ValueError:
        return safe_text(moment)
    return f"{at.day} {at:%b %H:%M}" if at.year == datetime.now().astimezone().year else f"{at.day} {at:%b %Y}"
