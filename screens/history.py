"""History: every audit, searchable down to the answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Input, Static
from textual.worker import get_current_worker

from screens.draw import clipped, plain, verdict_sign
from screens.frame import Frame, crumbs
from screens.languages import language_name
from screens.table import Table
from workbench.text import clip, safe_text

if TYPE_CHECKING:
    from workbench.history import History
    from workbench.history.rows import AuditRow, Hit

EMPTY = "No audits yet. 2 opens Compare, which sets one up."
_COLUMNS = (("mark", 1), ("date", 16), ("id", 8), ("models", 26), ("suites", 18), ("status", 10), ("note", 0))
_NARROW = (("mark", 1), ("date", 11), ("models", 24), ("status", 12), ("note", 0))
"""Columns and their widths in cells; 0 takes what is left."""


class HistoryScreen(Frame):
    """A list of audits; below it the main figure of the focused one, or what a search found."""

    HELP_TITLE = "History"
    HELP = (
        "Every audit is kept with its plan, its models' fingerprints and every answer: it can be read and repeated. "
        "`/` looks for words in the list and in all questions and answers. Mark two audits with `space` "
        "and press `c` to see what changed between them.\n\nAn audit that was stopped, or whose program was killed, is "
        "*paused*: `r` goes on where it stopped. `v` checks that nothing has been changed since it was written."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "search", key_display="/", id="history.find"),
        Binding("space", "mark", "mark", id="history.mark"),
        Binding("c", "compare", "compare two", id="history.compare"),
        Binding("x", "export", "export", id="history.export"),
        Binding("r", "resume", "resume", id="history.resume", show=False),
        Binding("n", "note", "note", id="history.note", show=False),
        Binding("v", "verify", "verify", id="history.verify", show=False),
        Binding("delete", "delete", "delete", id="history.delete", show=False),
        Binding("escape", "back", "back", id="back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._audits: list[AuditRow] = []
        self._hits: list[Hit] = []
        self._marked: list[str] = []
        self._job_was = ""
        """What the running audit's state was when the list was last read."""

    def body(self) -> ComposeResult:
        """Title, search, list, the focused audit's figure, finds."""
        yield Static(crumbs("History"), id="history-title", classes="crumbs")
        yield Input(placeholder="words in audits, questions and answers; esc clears", id="history-find", compact=True)
        yield Static(EMPTY, id="history-empty", classes="empty")
        yield Table(id="history", enter="open")
        yield Static(id="history-line")
        yield Static(id="history-found", classes="hint")
        yield Table(id="history-hits", enter="open")

    def on_mount(self) -> None:
        """Read the list, and again while an audit runs."""
        self.query_one("#history-find").display = False
        self._show_hits([], "")
        self.query_one("#history", DataTable).focus()
        self.set_interval(2, self._look)
        self._read()

    def on_screen_resume(self) -> None:
        """Something may have been added meanwhile."""
        self._read()

    def on_resize(self) -> None:
        """Columns depend on the width."""
        self._fill()

    def _look(self) -> None:
        job = self.workbench.job
        state = "" if job is None else f"{job.audit} {job.status} {job.share:.2f}"
        if state != self._job_was:
            self._job_was = state
            self._read()

    # -- reading ------------------------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="history", exit_on_error=False)
    def _read(self) -> None:
        from workbench.history.rows import HistoryError

        query = self.query_one("#history-find", Input).value
        hits: list[Hit] = []
        try:
            with self.core.history() as history:
                audits = history.audits(query) if query.strip() else history.audits()
                if query.strip():
                    hits = history.search(query, 50)
                    # Who looks for a word of an answer wants the audits that hold it, too.
                    known = {row.id for row in audits}
                    missing = dict.fromkeys(hit.audit for hit in hits if hit.audit not in known)
                    audits += [history.audit(one) for one in missing]
        except HistoryError as error:
            self.app.call_from_thread(self.tell, str(error), error=True)
            return
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._show, audits, hits, query.strip())

    def _show(self, audits: list[AuditRow], hits: list[Hit], query: str) -> None:
        self._audits = audits
        self._marked = [one for one in self._marked if one in {row.id for row in audits}]
        self._fill()
        self._show_hits(hits, query)

    def _fill(self) -> None:
        table = self.query_one("#history", DataTable)
        focused = self._focused()
        table.clear(columns=True)
        columns = _NARROW if self.narrow else _COLUMNS
        rest = self.app.size.width - sum(width + 2 for _, width in columns) - 4
        for name, width in columns:
            title = "" if name == "mark" else "main figure" if name == "note" else name
            table.add_column(Text(title), width=width or max(8, rest), key=name)
        for row in self._audits:
            cells = self._cells(row)
            table.add_row(*(clipped(cells[name], width or max(8, rest)) for name, width in columns), key=row.id)
        empty = not self._audits
        self.query_one("#history-empty", Static).display = empty
        searching = bool(self.query_one("#history-find", Input).value.strip())
        self.query_one("#history-empty", Static).update(Text("Nothing found. esc clears." if searching else EMPTY))
        table.display = not empty
        if focused is not None and focused.id in [row.id for row in self._audits]:
            table.move_cursor(row=[row.id for row in self._audits].index(focused.id))
        marked = f" · {len(self._marked)} marked" if self._marked else ""
        count = f"{len(self._audits)} audit{'' if len(self._audits) == 1 else 's'}"
        self.query_one("#history-title", Static).update(crumbs("History", f"{count}{marked}"))
        self._line()

    def _cells(self, row: AuditRow) -> dict[str, str]:
        said = [row.note, row.headline or row.message]
        return {
            "mark": "●" if row.id in self._marked else "",
            "date": _local(row.created, short=self.narrow),
            "id": row.id,
            "models": " / ".join(row.models),
            "suites": ", ".join(row.suites),
            "status": row.status if row.status == "complete" else f"{row.status} {_percent(row)}",
            "note": " · ".join(part for part in said if part),
        }

    def _focused(self) -> AuditRow | None:
        place = self.query_one("#history", DataTable).cursor_row
        return self._audits[place] if 0 <= place < len(self._audits) else None

    @on(DataTable.RowHighlighted, "#history")
    def _line(self) -> None:
        """Everything of the focused audit that its row has no room for."""
        row = self._focused()
        text = Text(end="")
        if row is not None:
            text.append(
                f"audit {row.id} · {_local(row.created)} · {row.status} · {row.done:,} of {row.total:,} answers\n"
            )
            for part in (" / ".join(row.models), ", ".join(row.suites), row.note, row.headline, row.message):
                if part:
                    text.append(safe_text(part) + "\n", style="dim")
        self.query_one("#history-line", Static).update(text)

    # -- search -------------------------------------------------------------------------------------------------

    def _show_hits(self, hits: list[Hit], query: str) -> None:
        self._hits = hits
        table = self.query_one("#history-hits", DataTable)
        label = self.query_one("#history-found", Static)
        table.display = bool(hits)
        label.display = bool(query)
        more = " (the first 50)" if len(hits) >= 50 else ""
        label.update(Text(f"{len(hits)} questions and answers hold {clip(safe_text(query), 30)!r}{more}"))
        table.clear(columns=True)
        if not hits:
            return
        room = self.app.size.width - (2 + 6 + 10 + 8 + 12) - (0 if self.narrow else 20)
        table.add_columns(Text("audit"), Text(""), Text("where"), Text("asked in"))
        if not self.narrow:
            table.add_column(Text("model"), width=18)
        table.add_column(Text("found"), width=max(20, room))
        for hit in hits:
            cells = [plain(hit.audit[:4]), plain(verdict_sign(hit.verdict)), plain(hit.where)]
            cells.append(plain(language_name(hit.language)))
            if not self.narrow:
                cells.append(clipped(hit.model, 18))
            table.add_row(*cells, _snippet(hit, max(20, room)))

    def action_find(self) -> None:
        """Look for words."""
        box = self.query_one("#history-find", Input)
        box.display = True
        box.focus()

    @on(Input.Changed, "#history-find")
    def _finding(self) -> None:
        self._read()

    @on(Input.Submitted, "#history-find")
    def _found(self) -> None:
        self.query_one("#history-hits" if self._hits else "#history", DataTable).focus()

    def action_back(self) -> None:
        """Clear the search first."""
        box = self.query_one("#history-find", Input)
        if box.display:
            box.value = ""
            box.display = False
            self.query_one("#history", DataTable).focus()
        else:
            super().action_back()

    # -- commands -----------------------------------------------------------------------------------------------

    @on(DataTable.RowSelected, "#history")
    def _open(self) -> None:
        row = self._focused()
        if row is not None:
            self._findings(row.id)

    @on(DataTable.RowSelected, "#history-hits")
    def _open_hit(self, event: DataTable.RowSelected) -> None:
        if 0 <= event.cursor_row < len(self._hits):
            hit = self._hits[event.cursor_row]
            from screens.items import ItemsScreen

            self.app.push_screen(ItemsScreen(hit.audit, hit.suite, hit.task, hit.language, hit.item_id, hit.item_id))

    def _findings(self, audit: str) -> None:
        from screens.findings import FindingsScreen

        self.app.push_screen(FindingsScreen(audit))

    def action_mark(self) -> None:
        """Mark the focused audit for a comparison, or take the mark back; the third mark drops the first."""
        row = self._focused()
        if row is None:
            return
        if row.id in self._marked:
            self._marked.remove(row.id)
        else:
            self._marked = [*self._marked, row.id][-2:]
        self._fill()

    def action_compare(self) -> None:
        """Compare the two marked audits, the older one first."""
        from screens.changes import ChangesScreen

        if len(self._marked) != 2:
            self.tell("Mark two audits with space first.", error=True)
            return
        created = {row.id: row.created for row in self._audits}
        first, second = sorted(self._marked, key=lambda one: created.get(one, ""))
        self.app.push_screen(ChangesScreen(first, second))

    def action_export(self) -> None:
        """Write the focused audit into a file."""
        from screens.exporting import export

        row = self._focused()
        if row is not None:
            export(self, row.id)

    def action_note(self) -> None:
        """Write a note to the focused audit."""
        from screens.dialogs import Ask

        row = self._focused()
        if row is None:
            return

        def noted(text: str | None) -> None:
            if text is not None:
                self._write(lambda history: history.set_note(row.id, text), "")

        self.app.push_screen(Ask(f"Note to audit {row.id}", row.note), noted)

    def action_delete(self) -> None:
        """Delete the focused audit, after a question."""
        row = self._focused()
        if row is None:
            return
        self.confirmed(
            f"Delete audit {row.id} with its {row.done:,} answers? This cannot be undone.",
            "Delete",
            lambda: self._write(lambda history: history.delete_audit(row.id), f"Audit {row.id} is deleted."),
        )

    @work(thread=True, exit_on_error=False)
    def _write(self, change: Callable[[History], object], done: str) -> None:
        from workbench.history.rows import HistoryError

        try:
            with self.core.history(readonly=False) as history:
                change(history)
        except HistoryError as error:
            self.app.call_from_thread(self.tell, str(error), error=True)
            return
        if done:
            self.app.call_from_thread(self.tell, done)
        self.app.call_from_thread(self._read)

    @work(thread=True, exit_on_error=False)
    def _verify(self, audit: str) -> None:
        from workbench.history.rows import HistoryError

        try:
            with self.core.history() as history:
                problems = history.verify(audit)
        except HistoryError as error:
            problems = [str(error)]
        said = problems[0] if problems else f"Audit {audit}: every answer is as it was written."
        if len(problems) > 1:
            said += f" ({len(problems) - 1} more: culture-workbench history verify {audit})"
        self.app.call_from_thread(self.tell, said, error=bool(problems))

    def action_verify(self) -> None:
        """Check that nothing in the focused audit has been changed since it was written."""
        row = self._focused()
        if row is not None:
            self._verify(row.id)

    def action_resume(self) -> None:
        """Go on with a paused audit."""
        row = self._focused()
        if row is None:
            return
        if self.workbench.job is not None and self.workbench.job.running:
            self.tell("An audit is running already; one at a time.", error=True)
        elif row.status == "complete":
            self.tell(f"Audit {row.id} is complete.")
        else:
            self._resume(row.id)

    @work(thread=True, exit_on_error=False, exclusive=True, group="resume")
    def _resume(self, audit: str) -> None:
        from screens.jobs import AuditJob
        from workbench.audits.errors import AuditError
        from workbench.history.rows import HistoryError

        job = AuditJob(self.core)
        try:
            job.resume(audit)
        except (AuditError, HistoryError) as error:
            self.app.call_from_thread(self.tell, str(error), error=True)
            return
        self.app.call_from_thread(self._resumed, job)

    def _resumed(self, job: object) -> None:
        from screens.jobs import AuditJob
        from screens.running import RunScreen

        assert isinstance(job, AuditJob)
        self.workbench.job = job
        self.app.push_screen(RunScreen(job))


def _local(created: str, *, short: bool = False) -> str:
    """A time of the history (UTC) on this machine's clock."""
    try:
        when = datetime.fromisoformat(created.replace("Z", "+00:00")).astimezone()
    except ValueError:
        return created
    return when.strftime("%m-%d %H:%M" if short else "%Y-%m-%d %H:%M")


def _percent(row: AuditRow) -> str:
    return f"{row.done / row.total:.0%}" if row.total else ""


def _snippet(hit: Hit, width: int) -> Text:
    """The text around the find in one safe line, the find underlined."""
    text = Text(end="", no_wrap=True, overflow="ellipsis")
    place = 0
    for start, stop in hit.spans:
        text.append(safe_text(hit.snippet[place:start]))
        text.append(safe_text(hit.snippet[start:stop]), style="bold underline")
        place = stop
    text.append(safe_text(hit.snippet[place:]))
    text.truncate(width, overflow="ellipsis")
    return text
