"""Compare, third part: what was found, models side by side."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import DataTable, Static

from screens.draw import clipped, colour, models_line, right, sign
from screens.figures import difference_line, estimate_line
from screens.frame import Frame, crumbs
from screens.languages import asked_in, asked_short
from screens.rows import Row, neighbours, table_rows
from screens.table import Table
from workbench.figures import interval, number, p_value
from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from workbench.audits.findings import Breakdown, Finding, Findings
    from workbench.audits.plan import Plan
    from workbench.history.rows import AuditRow

NO_STABILITY = "–"


class _Loaded(msgspec.Struct):
    audit: AuditRow
    plan: Plan
    found: Findings | None
    tasks: dict[tuple[str, str], str]
    """Titles of the tasks by (suite, task)."""
    scripts: bool
    """Whether there is a view of its own for what was asked: Simplified against Traditional."""


class FindingsScreen(Frame):
    """The findings of one audit: a table, and for the focused row its plot and its words."""

    HELP_TITLE = "Findings"
    HELP = (
        "Each row is one figure in one language, the models side by side; the interval beside it holds the true value "
        "19 times in 20. *Difference* is the first model minus the second on the same items; ✱ means that it is too "
        "large for chance alone (p under .05 after Holm's correction for all comparisons of this figure). *Stable* "
        "says how often an answer survives another order or wording: 1 always, 0 like a random answer. A ⚠ means that "
        "there is something to know before you quote the figure: it is said below when the row has the focus.\n\n"
        "**No difference found** is not **no difference**: the line below says how large one would have to be to be "
        "seen. What a figure cannot show stands in the suite's *About* (`i`). Where an audit asked for words or names "
        "in Simplified and Traditional Chinese, `v` shows every word with its probability, and the analyses."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "differences", "differences", id="findings.differences"),
        Binding("v", "scripts", "words", id="findings.scripts"),
        Binding("x", "export", "export", id="findings.export"),
        Binding("n", "note", "note", id="findings.note"),
        Binding("b", "vote", "blind vote", id="findings.vote"),
        Binding("i", "suite", "about the suite", id="findings.suite", show=False),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(self, audit: str) -> None:
        super().__init__()
        self._audit = audit
        self._loaded: _Loaded | None = None
        self._all: list[Row] = []
        self._shown: list[Row | None] = []
        """What each line of the table is; None for a heading."""
        self._only_differences = False
        self._width = 0

    def body(self) -> ComposeResult:
        """Title, table, detail of the focused row."""
        yield Static(crumbs("Findings", f"audit {self._audit[:8]}"), id="findings-title", classes="crumbs")
        yield Static("Reading…", id="findings-state", classes="hint")
        yield Table(id="findings", enter="items")
        with VerticalScroll(id="findings-detail"), Vertical(id="findings-inner"):
            yield Static(id="findings-words")
            yield Static(id="findings-plot")

    def on_mount(self) -> None:
        """Read the audit."""
        self.query_one("#findings", DataTable).focus()
        self._read()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _read(self) -> None:
        from workbench.analyses.sctc.audit import concerned
        from workbench.history.rows import HistoryError

        try:
            with self.core.history() as history:
                row = history.audit(self._audit)
                plan, found, suites = history.plan(row.id), history.findings(row.id), history.suites(row.id)
                titles = {(suite.id, spec.id): spec.title for suite in suites for spec in suite.tasks}
        except HistoryError as error:
            self.app.call_from_thread(self._failed, str(error))
            return
        self.app.call_from_thread(self._show, _Loaded(row, plan, found, titles, concerned(suites)))

    def _failed(self, problem: str) -> None:
        self.query_one("#findings-state", Static).update(Text(safe_text(problem)))

    def _show(self, loaded: _Loaded) -> None:
        self._loaded = loaded
        self._audit = loaded.audit.id
        self.refresh_bindings()
        self._draw_title()
        state = self.query_one("#findings-state", Static)
        if loaded.found is None:
            audit = loaded.audit
            state.update(
                Text(
                    safe_text(
                        f"No findings yet: the audit is {audit.status} ({audit.done:,} of {audit.total:,} answers). "
                        f"{audit.message} r in the history (7) resumes it."
                    )
                )
            )
            return
        self._all = table_rows(loaded.plan, loaded.found)
        self._fill()

    def _draw_title(self) -> None:
        assert self._loaded is not None
        audit, plan = self._loaded.audit, self._loaded.plan
        width = self.app.size.width - 2
        line = Text(end="", no_wrap=True, overflow="ellipsis")
        line.append(f"Findings › audit {audit.id[:4]}", style="bold")
        line.append(" · ", style="dim")
        room = width - cells(line.plain)
        line.append_text(models_line([model.name for model in plan.models], self._dark, room if self.narrow else 0))
        if not self.narrow:
            line.append(f" · {safe_text(', '.join(audit.suites))}", style="dim")
            if audit.note:
                line.append(f" · {safe_text(audit.note)}", style="dim italic")
        self.query_one("#findings-title", Static).update(line)

    @property
    def _dark(self) -> bool:
        return self.app.current_theme.dark

    # -- the table ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        assert self._loaded is not None
        plan = self._loaded.plan
        table = self.query_one("#findings", DataTable)
        focused = self._focused()
        table.clear(columns=True)
        self._shown = []
        names = [model.name for model in plan.models]
        self._width = self.app.size.width
        wide = not self.narrow
        per_model = 21 if wide and len(names) <= 2 else 8
        pair = len(names) == 2
        fixed = len(names) * (per_model + 2) + (10 + 2 if pair else 0) + (8 + 2 if pair and wide else 0) + 5
        fixed += 5 * len(names) + 3 if wide else 0
        title_width = max(18, self._width - fixed - 5 - self._asked_width)
        table.add_column(Text(""), width=title_width, key="title")
        table.add_column(Text("asked in"), width=self._asked_width, key="language")
        for place, name in enumerate(names):
            head = Text(end="", justify="right")
            head.append_text(clipped(name, per_model - 2))
            head.append(f" {sign(place)}")
            head.stylize(colour(place, self._dark))
            table.add_column(head, width=per_model, key=f"model{place}")
        if pair:
            table.add_column(right("difference"), width=10, key="difference")
            if wide:
                table.add_column(right("p (Holm)"), width=8, key="p")
        if wide:
            table.add_column(right("stable"), width=max(6, 5 * len(names) + 1), key="stable")
        table.add_column(Text(""), width=2, key="warning")
        rows = [row for row in self._all if row.differs or not self._only_differences]
        place_of = ("", "")
        title_of = ""
        lines: Iterator[str] = iter(())
        for row in rows:
            if (row.suite, row.task) != place_of:
                place_of = (row.suite, row.task)
                heading = clipped(self._loaded.tasks.get(place_of, row.task), title_width, "dim italic")
                table.add_row(heading, *[Text("")] * (len(table.columns) - 1))
                self._shown.append(None)
                title_of = ""
            if row.title != title_of:
                title_of = row.title
                lines = iter(_title_lines(row, sum(row.metric == one.metric for one in rows), title_width))
            table.add_row(Text(next(lines, ""), end=""), *self._cells(row, wide, pair))
            self._shown.append(row)
        self._settle(rows, focused)

    def _settle(self, rows: list[Row], focused: Row | None) -> None:
        assert self._loaded is not None
        audit, plan = self._loaded.audit, self._loaded.plan
        state = self.query_one("#findings-state", Static)
        said = [] if audit.status == "complete" else [f"{audit.status}: {audit.message}"]
        if plan.quick:
            said.append("quick: one order and one wording, so nothing is known of stability")
        if self._only_differences:
            said.append(f"only rows where the models differ ({sum(row.differs for row in self._all)}); d shows all")
            if not rows:
                said.append("none does: that is not proof of no difference")
        state.update(Text(safe_text(" · ".join(said))))
        state.display = bool(said)
        table = self.query_one("#findings", DataTable)
        wanted = self._shown.index(focused) if focused in self._shown and focused is not None else 1
        if len(self._shown) > wanted:
            table.move_cursor(row=wanted)
            self._detail()

    def _cells(self, row: Row, wide: bool, pair: bool) -> list[Text]:
        found = [clipped(asked_short(row.language, row.context), self._asked_width)]
        for place, finding in enumerate(row.findings):
            found.append(self._estimate(place, finding, row.unit, wide and len(row.findings) <= 2))
        if pair:
            one = row.comparison
            mark = " ✱" if row.differs else "  "
            text = "–" if one is None else number(one.difference, row.unit, sign=True)
            found.append(right(text + mark, "bold" if row.differs else ""))
            if wide:
                found.append(right(p_value(one.p_adjusted) if one is not None else ""))
        if wide:
            found.append(right(" ".join(_stability(finding) for finding in row.findings)))
        found.append(Text("⚠" if row.warned else "", style="bold", end=""))
        return found

    def _estimate(self, place: int, finding: Finding | None, unit: str, with_interval: bool) -> Text:
        if finding is None:
            return right(NO_STABILITY)
        text = Text(end="", justify="right")
        text.append(number(finding.estimate, unit), style=colour(place, self._dark))
        if with_interval:
            span = interval(finding.low, finding.high, unit).replace(" – ", "–")
            text.append(f" {span}" if span else "", style="dim")
        return text

    def _focused(self) -> Row | None:
        place = self.query_one("#findings", DataTable).cursor_row
        return self._shown[place] if 0 <= place < len(self._shown) else None

    # -- the focused row ----------------------------------------------------------------------------------------

    def on_data_table_row_highlighted(self) -> None:
        """Show the row's plot and words."""
        self._detail()

    @property
    def _asked_width(self) -> int:
        """Cells that the column of languages and contexts takes."""
        return max(8, min(14, max((cells(asked_short(row.language, row.context)) for row in self._all), default=8)))

    def _detail(self) -> None:
        from screens.plots import Estimated, interval_plot

        row = self._focused()
        plot, words = self.query_one("#findings-plot", Static), self.query_one("#findings-words", Static)
        if row is None or self._loaded is None:
            plot.update("")
            words.update(Text("Choose a row to see its plot and what may be said of it.", style="dim"))
            return
        lines = [
            Estimated(
                asked_in(one.language, one.context),
                sign(place),
                colour(place, self._dark),
                finding.estimate,
                finding.low,
                finding.high,
            )
            for one in neighbours(self._all, row)
            for place, finding in enumerate(one.findings)
            if finding is not None and finding.estimate is not None
        ]
        null = next((one.null for one in row.findings if one is not None and one.null is not None), None)
        wide = not self.narrow
        plot.display = bool(lines)
        width = self.app.size.width * 3 // 5 if wide else self.app.size.width - 4
        plot.update(interval_plot(lines, row.unit, null, max(30, width - 2)))
        words.update(self._words(row))

    def _words(self, row: Row) -> Text:
        text = Text(end="")
        text.append(safe_text(f"{row.title}, {asked_in(row.language, row.context)}") + "\n", style="bold")
        for warning in row.warnings:
            text.append(f"⚠ {safe_text(warning)}\n", style="bold")
        for place, finding in enumerate(row.findings):
            if finding is None:
                continue
            text.append(f"{sign(place)} ", style=colour(place, self._dark))
            text.append(safe_text(finding.words) + "\n" if finding.words else "")
            text.append(f"  {estimate_line(finding)}\n", style="dim")
        for broken in row.breakdowns:
            text.append_text(_breakdown(broken))
        for one in (row.comparison, *row.others):
            if one is None:
                continue
            text.append(safe_text(one.words) + "\n" if one.words else "")
            text.append(f"  {safe_text(difference_line(one))}\n", style="dim")
        return text

    def on_resize(self) -> None:
        """Columns depend on the width."""
        if self._loaded is not None and self._loaded.found is not None and self.app.size.width != self._width:
            self._draw_title()
            self._fill()

    # -- commands -----------------------------------------------------------------------------------------------

    def on_data_table_row_selected(self) -> None:
        """Enter on a row."""
        self.action_items()

    def action_items(self) -> None:
        """Show the items behind the focused row."""
        from screens.items import ItemsScreen

        row = self._focused()
        if row is not None:
            self.app.push_screen(
                ItemsScreen(self._audit, row.suite, row.task, row.language, row.title, context=row.context)
            )

    def action_differences(self) -> None:
        """Show only the rows in which the models differ, or all again."""
        if self._loaded is not None and self._loaded.found is not None:
            self._only_differences = not self._only_differences
            self._fill()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The view of words and scripts only where such a suite was asked."""
        if action == "scripts":
            return self._loaded is not None and self._loaded.scripts
        return True

    def action_scripts(self) -> None:
        """Show the words of both scripts and regions side by side, and their analyses."""
        from screens.scripts import ScriptsScreen

        self.app.push_screen(ScriptsScreen(self._audit))

    def action_suite(self) -> None:
        """Show what the suite of the focused row measures and what it cannot show."""
        from screens.suite import SuiteScreen

        row = self._focused()
        if row is not None:
            self.app.push_screen(SuiteScreen(row.suite))

    def action_vote(self) -> None:
        """Judge the models' written answers, without knowing whose is whose."""
        from screens.vote import VoteScreen

        if self._loaded is not None:
            self.app.push_screen(VoteScreen(self._audit))

    def action_note(self) -> None:
        """Write a note to the audit."""
        from screens.dialogs import Ask

        if self._loaded is not None:
            self.app.push_screen(Ask("Note to this audit", self._loaded.audit.note), self._noted)

    def _noted(self, text: str | None) -> None:
        from workbench.history.rows import HistoryError

        if text is None:
            return
        try:
            with self.core.history(readonly=False) as history:
                history.set_note(self._audit, text)
        except HistoryError as error:
            self.tell(str(error), error=True)
            return
        self._read()

    def action_export(self) -> None:
        """Write findings or answers into a file."""
        from screens.exporting import export

        export(self, self._audit)


def _title_lines(row: Row, count: int, width: int) -> list[str]:
    """A title over as many lines as the metric has rows; cut with an ellipsis where these are too few."""
    title = safe_text(row.title + ("" if row.unit == "%" else f" ({row.unit})"))
    lines = wrap(title, width) or [""]
    if len(lines) > count:
        lines = [*lines[: count - 1], clip(" ".join(lines[count - 1 :]), width)]
    return lines


def _stability(finding: Finding | None) -> str:
    if finding is None or finding.stability is None:
        return "  –"
    text = f"{finding.stability:.2f}".replace("-", "−")
    return text.replace("0.", ".", 1) if "1" not in text.split(".")[0] else text


def _breakdown(one: Breakdown) -> Text:
    """A finding by culture, region or topic: the sentence, and the figures in one line."""
    text = Text(end="")
    name = {"detail": "made of"}.get(one.by, f"by {one.by}")
    text.append(safe_text(f"{one.model}, {name}: {one.words}") + "\n")
    shown = sorted(one.slices, key=lambda part: (not part.ranked, -(part.estimate or 0.0)))
    parts = [
        f"{part.name} {number(part.estimate, one.unit)} {interval(part.low, part.high, one.unit)} n {part.n}"
        + ("" if part.ranked else " (too few to rank)")
        for part in shown
        if part.estimate is not None
    ]
    text.append(safe_text("  " + " · ".join(parts)) + "\n", style="dim")
    return text
