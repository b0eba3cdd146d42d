"""Compare, for the suites on Simplified and Traditional Chinese: words side by side, analyses with their plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Static, TabbedContent, TabPane

from screens.behind import behind
from screens.draw import bar, clipped, colour, models_line, pad, right, sign
from screens.frame import Frame
from screens.languages import asked_in, language_name
from screens.table import Table
from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from suites.schema import Place
    from workbench.analyses.sctc import Analysis, Section
    from workbench.analyses.sctc.words import TermWords
    from workbench.audits.plan import Plan

SORTS = ("most Mainland first", "most Taiwan first", "models farthest apart first", "as in the suite")
LETTERS = {"mainland": "M", "taiwan": "T", "hongkong": "H"}
MOST_COLUMNS = 4
"""Models that the table of words has room for; the detail below it shows all."""


class _Loaded(msgspec.Struct):
    plan: Plan
    analysis: Analysis | None
    words: list[TermWords]
    languages: list[str]


class ScriptsScreen(Frame):
    """Two tabs: the words of every term with their probabilities, and the analyses with their plots."""

    HELP_TITLE = "Simplified and Traditional"
    HELP = (
        "*Words*: for every thing the words of Mainland (M) and Taiwan (T), of Hong Kong (H) where it has one of its "
        "own. Under each prompt language stands the probability of the Mainland's word against Taiwan's, in per cent, "
        "one figure a model: 50 is no leaning. A word is taken in the script of the question, in English by the mean "
        "of both; the figure is the mean over the wordings. *Lead* is the mean lead of the Mainland's word over models "
        "and languages in nats: above 0 M, below 0 T. `s` sorts by it. Below: all words of the focused thing.\n\n"
        "`enter` shows the raw written answers about the thing, `p` its likelihoods word by word; `l` chooses in which "
        "prompt language.\n\n*Analyses*: each question with its plot and table. By design: intervals and tests over "
        "the things or lists that were drawn; published: as the paper computes it, rows pooled. Models are letters or "
        "signs in every plot."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "sort", id="scripts.sort"),
        Binding("l", "language", "language", id="scripts.language"),
        Binding("p", "likelihoods", "likelihoods", id="scripts.likelihoods"),
        Binding("v", "turn", "analyses", id="scripts.turn"),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(self, audit: str) -> None:
        super().__init__()
        self._audit = audit
        self._loaded: _Loaded | None = None
        self._shown: list[TermWords] = []
        self._sort = 0
        self._language = 0
        self._width = 0
        self._tabbed = False

    def body(self) -> ComposeResult:
        """Title and tabs; where it is narrow, the list of analyses and the one that is read are tabs, too."""
        self._tabbed = self.narrow
        yield Static(id="scripts-title", classes="crumbs")
        yield Static("Reading…", id="scripts-state", classes="hint")
        with TabbedContent(id="scripts-tabs"):
            with TabPane("Words", id="scripts-words-tab"):
                yield Table(id="scripts-words", enter="answers")
                with VerticalScroll(id="scripts-detail"):
                    yield Static(id="scripts-detail-text")
            if self._tabbed:
                with TabPane("Analyses", id="scripts-plots-tab"):
                    yield Table(id="scripts-sections", enter="read")
                with TabPane("Plot (enter)", id="scripts-plot-tab"):
                    yield from self._section_pane()
            else:
                with TabPane("Analyses", id="scripts-plots-tab"), Horizontal(id="scripts-panes"):
                    yield Table(id="scripts-sections", enter="read")
                    yield from self._section_pane()

    def _section_pane(self) -> ComposeResult:
        with VerticalScroll(id="scripts-section"):
            yield Static(id="scripts-section-text")

    def on_mount(self) -> None:
        """Read the audit and compute, in a thread."""
        self.query_one("#scripts-words", DataTable).focus()
        self.app.theme_changed_signal.subscribe(self, self._recoloured)
        behind(self, self._read, self._show, failed=self._failed, latest="scripts")

    def _read(self) -> _Loaded:
        from workbench.analyses.sctc.audit import audit_analysis
        from workbench.analyses.sctc.words import RULE, term_words

        with self.core.history() as history:
            plan, suites = history.plan(self._audit), history.suites(self._audit)
            by_id = {suite.id: suite for suite in suites}
            rows = (
                row
                for planned in plan.tasks
                if by_id[planned.suite].task(planned.task).rule == RULE
                for row in history.rows(self._audit, suite=planned.suite, task=planned.task)
            )
            words = term_words(plan, suites, rows)
            analysis = audit_analysis(history, self._audit)
        languages = dict.fromkeys(condition.language for task in plan.tasks for condition in task.conditions)
        return _Loaded(plan, analysis, words, list(languages))

    def _recoloured(self, _theme: object) -> None:
        if self._loaded is not None:
            self._fill()
            self._draw_section()

    def _failed(self, problem: str) -> None:
        self.query_one("#scripts-state", Static).update(Text(safe_text(problem)))

    def _show(self, loaded: _Loaded) -> None:
        self._loaded = loaded
        sections = self.query_one("#scripts-sections", DataTable)
        width = self.app.size.width - 6 if self._tabbed else 42
        sections.add_column(Text("question"), width=width, key="section")
        found = loaded.analysis.sections if loaded.analysis is not None else ()
        for section in found:
            sections.add_row(clipped(section.title, width))
        self._fill()
        if not loaded.words:
            self.query_one("#scripts-tabs", TabbedContent).active = "scripts-plots-tab"
            sections.focus()
        self._draw_section()

    @property
    def _dark(self) -> bool:
        return self.app.current_theme.dark

    @property
    def _models(self) -> list[str]:
        return [model.key for model in self._loaded.plan.models] if self._loaded is not None else []

    # -- words --------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        assert self._loaded is not None
        self._width = self.app.size.width
        self._draw_title()
        table = self.query_one("#scripts-words", DataTable)
        focused = self._focused()
        table.clear(columns=True)
        shown = list(range(min(len(self._models), MOST_COLUMNS)))
        each = max(8, 5 * len(shown))
        fixed = (each + 2) * len(self._loaded.languages) + 9 + 2
        room = min(44, max(14, self._width - fixed - 4))
        table.add_column(Text("M · T · H"), width=room, key="words")
        for place, language in enumerate(self._loaded.languages):
            head = right(f"▸{language_name(language)}" if place == self._language else language_name(language))
            table.add_column(head, width=each, key=language)
        table.add_column(right("lead"), width=7, key="lead")
        self._shown = self._sorted()
        for one in self._shown:
            row = [clipped(_words(one), room)]
            row += [self._cell(one, language, shown) for language in self._loaded.languages]
            lead = one.bias(self._models)
            row.append(right("–" if lead is None else f"{lead:+.2f}".replace("-", "−")))
            table.add_row(*row)
        state = self.query_one("#scripts-state", Static)
        if self._shown:
            said = f"{len(self._shown)} things · {SORTS[self._sort]} · probability of M against T, %"
            if len(self._models) > len(shown):
                said += f" · {len(self._models) - len(shown)} more models: below"
        else:
            said = (
                "No word likelihoods in this audit: run sc-tc-terms (2 Compare, n new audit) to see them here. "
                "v shows the analyses of what was asked."
            )
        state.update(Text(clip(safe_text(said), 2 * self._width - 6)))
        if focused in self._shown and focused is not None:
            table.move_cursor(row=self._shown.index(focused))
        self._detail()

    def _draw_title(self) -> None:
        assert self._loaded is not None
        line = Text(end="", no_wrap=True, overflow="ellipsis")
        line.append(f"Findings › audit {self._audit[:4]} › Simplified and Traditional", style="bold")
        line.append(" · ", style="dim")
        line.append_text(models_line(self._models, self._dark, self.app.size.width - cells(line.plain) - 3))
        self.query_one("#scripts-title", Static).update(line)

    def _sorted(self) -> list[TermWords]:
        assert self._loaded is not None
        words = list(self._loaded.words)
        if self._sort in (0, 1):
            turn = -1 if self._sort == 0 else 1
            return sorted(words, key=lambda one: turn * (one.bias(self._models) or 0.0))
        if self._sort == 2:
            return sorted(words, key=lambda one: -one.spread(self._models))
        return words

    def _cell(self, one: TermWords, language: str, shown: list[int]) -> Text:
        text = Text(end="", justify="right")
        for place in shown:
            asked = one.asked.get((self._models[place], language))
            figure = "–" if asked is None else f"{100 * asked.mainland:.0f}"
            text.append(f"{sign(place)}{figure:>3} ", style=colour(place, self._dark))
        text.rstrip()
        return text

    def _focused(self) -> TermWords | None:
        place = self.query_one("#scripts-words", DataTable).cursor_row
        return self._shown[place] if 0 <= place < len(self._shown) else None

    @on(DataTable.RowHighlighted, "#scripts-words")
    def _detail(self) -> None:
        one = self._focused()
        box = self.query_one("#scripts-detail-text", Static)
        if one is None or self._loaded is None:
            box.update("")
            return
        text = Text(end="")
        text.append(f"{safe_text(one.item.id)}  ", style="bold")
        chosen = self._loaded.languages[self._language]
        about = one.thing.definition.by_language().get(chosen, "")
        text.append(clip(safe_text(about), max(10, self._width - cells(one.item.id) - 8)) + "\n", style="dim")
        for place, model in enumerate(self._models):
            for language in self._loaded.languages:
                asked = one.asked.get((model, language))
                if asked is not None:
                    text.append_text(self._line(one, place, language, asked.probabilities))
        box.update(text)

    def _line(self, one: TermWords, place: int, language: str, shares: dict[str, float]) -> Text:
        """`■ 简体   M 菠萝 ████▍ 81.2   T 凤梨 █ 18.8`."""
        text = Text(end="", no_wrap=True)
        text.append(f"{sign(place)} ", style=colour(place, self._dark))
        text.append(pad(language_name(language), 8))
        each = max(18, (self._width - 16) // max(2, len(one.thing.places)))
        for where in one.thing.places:
            text.append_text(self._word(one, where, language, shares[where], place, each))
        text.append("\n")
        return text

    def _word(self, one: TermWords, where: Place, language: str, share: float, place: int, each: int) -> Text:
        text = Text(end="")
        long = max(6, min(17, each - 17))
        word = clip(safe_text(one.text(where, language)), long)
        room = max(2, min(16, each - long - 10))
        text.append(f"{LETTERS[where]} ", style="bold")
        text.append(pad(word, long) + " ")
        text.append(pad(bar(share, room), room), style=colour(place, self._dark))
        text.append(f"{100 * share:5.1f} ")
        return text

    # -- analyses -----------------------------------------------------------------------------------------------

    def _section(self) -> Section | None:
        if self._loaded is None or self._loaded.analysis is None:
            return None
        place = self.query_one("#scripts-sections", DataTable).cursor_row
        found = self._loaded.analysis.sections
        return found[place] if 0 <= place < len(found) else None

    @on(DataTable.RowHighlighted, "#scripts-sections")
    def _draw_section(self) -> None:
        from screens.analysis_plots import section_plot
        from workbench.analyses.sctc.render import notes

        section = self._section()
        box = self.query_one("#scripts-section-text", Static)
        if section is None:
            box.update(Text("Nothing to analyse: the audit has no usable answers yet.", style="dim"))
            return
        width = self.app.size.width - (6 if self._tabbed else 52)
        text = Text(end="")
        text.append(f"{safe_text(section.title)}\n", style="bold")
        height = max(10, min(18, self.app.size.height - 14))
        text.append_text(section_plot(section, self._models, self._dark, width, height))
        text.append("\n")
        for line in section.words:
            text.append(f"{safe_text(line)}\n")
        text.append(f"{safe_text(section.about)} n counts {section.counts}.\n\n", style="dim")
        text.append_text(self._figures(section))
        for line in notes(section):
            text.append(f"{safe_text(line)}\n", style="dim")
        box.update(text)

    def _figures(self, section: Section) -> Text:
        """Every figure in two lines: by design, and as published where the paper has it."""
        from workbench.analyses.sctc.render import amount
        from workbench.figures import p_value

        text = Text(end="")
        for line in section.lines:
            place = self._models.index(line.model) if line.model in self._models else None
            said = " · ".join(part for part in (line.model, language_name(line.language), line.group) if part)
            mark = f"{sign(place)} " if place is not None else ""
            text.append(f"{mark}{safe_text(said)}\n", style=colour(place, self._dark) if place is not None else "bold")
            for one in line.figures:
                span = (
                    ""
                    if one.low is None or one.high is None
                    else f" [{amount(one.low, one)} – {amount(one.high, one)}]"
                )
                p = "" if one.p_adjusted is None else f" · p(Holm) {p_value(one.p_adjusted)}"
                text.append(f"  {safe_text(one.what)}: {amount(one.estimate, one)}{span} · n {one.n}{p}\n")
                if one.published is not None and (one.p_published is not None or one.published != one.estimate):
                    tested = "" if one.p_published is None else f", {one.test_published}: p {p_value(one.p_published)}"
                    text.append(
                        f"    published: {amount(one.published, one)}, n {one.n_published}{tested}\n", style="dim"
                    )
        return text

    # -- commands -----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Sorting and what belongs to one thing only where the words are on top."""
        if action in {"sort", "language", "likelihoods"}:
            return self._on_words
        return True

    @property
    def _on_words(self) -> bool:
        found = self.query("#scripts-tabs").first(TabbedContent) if self.is_mounted else None
        return found is not None and found.active == "scripts-words-tab" and bool(self._shown)

    @on(TabbedContent.TabActivated, "#scripts-tabs")
    def _turned(self) -> None:
        self.refresh_bindings()

    def action_turn(self) -> None:
        """From the words to the analyses and back."""
        tabs = self.query_one("#scripts-tabs", TabbedContent)
        to_words = tabs.active != "scripts-words-tab"
        tabs.active = "scripts-words-tab" if to_words else "scripts-plots-tab"
        self.query_one("#scripts-words" if to_words else "#scripts-sections", DataTable).focus()

    def action_sort(self) -> None:
        """The next way of sorting."""
        self._sort = (self._sort + 1) % len(SORTS)
        self._fill()
        self.query_one("#scripts-words", DataTable).move_cursor(row=0)

    def action_language(self) -> None:
        """The next prompt language, for definitions and answers."""
        assert self._loaded is not None
        self._language = (self._language + 1) % max(1, len(self._loaded.languages))
        self._fill()
        self.tell(f"Answers and definitions are shown {asked_in(self._loaded.languages[self._language])}.")

    @on(DataTable.RowSelected, "#scripts-words")
    def _selected(self) -> None:
        self._open("regional-term-answer")

    @on(DataTable.RowSelected, "#scripts-sections")
    def _reading(self) -> None:
        if self._tabbed:
            self.query_one("#scripts-tabs", TabbedContent).active = "scripts-plot-tab"
        self.query_one("#scripts-section").focus()

    def action_likelihoods(self) -> None:
        """The likelihoods of the focused thing, word by word and wording by wording."""
        self._open("regional-term-likelihood")

    def _open(self, rule: str) -> None:
        """The questions about the focused thing: of the task with that rule, else of the likelihoods."""
        from screens.items import ItemsScreen
        from workbench.history.rows import HistoryError

        one = self._focused()
        if one is None or self._loaded is None:
            return
        try:
            with self.core.history() as history:
                suite = next(found for found in history.suites(self._audit) if found.id == one.suite)
        except HistoryError as error:
            self.tell(str(error), error=True)
            return
        planned = {found.task for found in self._loaded.plan.tasks if found.suite == one.suite}
        task = next((spec for spec in suite.tasks if spec.rule == rule and spec.id in planned), None)
        task_id, title = (one.task, "Word likelihood") if task is None else (task.id, task.title)
        language = self._loaded.languages[self._language]
        self.app.push_screen(ItemsScreen(self._audit, one.suite, task_id, language, title, find=one.item.id))

    def action_back(self) -> None:
        """Leave the plot first, then the screen."""
        tabs = self.query_one("#scripts-tabs", TabbedContent)
        if tabs.active == "scripts-plot-tab":
            tabs.active = "scripts-plots-tab"
            self.query_one("#scripts-sections", DataTable).focus()
        else:
            super().action_back()

    def on_resize(self) -> None:
        """Columns and plots depend on the width."""
        if self._loaded is not None and self.app.size.width != self._width:
            self._fill()
            self._draw_section()


def _words(one: TermWords) -> str:
    """The words as they are written at home: `软件 · 軟體`, and Hong Kong's where there is one."""
    written = [one.thing.terms.mainland.hans, one.thing.terms.taiwan.hant]
    if one.thing.hongkong is not None:
        written.append(one.thing.hongkong.word.hant)
    return " · ".join(written)
