"""Blind vote: two models' answers side by side, without their names, judged with single keys."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from screens.draw import clipped, colour, content, pad, sign
from screens.frame import Frame, crumbs
from screens.languages import asked_in
from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.audits.plan import Plan
    from workbench.history.votes import Annotator, Reason
    from workbench.votes.ballot import Ballot, Pair, Shown, Side
    from workbench.votes.results import Results

_TAGS = ("wrong fact", "stereotype", "outsider’s gaze", "language", "tone")
"""The reasons as they are drawn, in the order of their keys."""


class Write(ModalScreen[str | None]):
    """A longer text; None when it was left with Escape. `takes`: texts to start from, on F2 and F3."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("ctrl+s", "keep", "keep", priority=True),
        Binding("f2", "take(0)", "take A", priority=True),
        Binding("f3", "take(1)", "take B", priority=True),
    ]

    def __init__(self, question: str, value: str, takes: tuple[str, str] | None = None) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._takes = takes

    def compose(self) -> ComposeResult:
        """Question and field."""
        with Container(classes="dialog vote-write"):
            yield Static(content(self._question), classes="question")
            yield TextArea(self._value, soft_wrap=True, tab_behavior="focus")
            takes = "f2 start from A · f3 start from B · " if self._takes else ""
            yield Static(f"{takes}ctrl+s keeps · esc leaves", classes="hint")

    def on_mount(self) -> None:
        """The cursor stands at the end."""
        field = self.query_one(TextArea)
        field.focus()
        field.move_cursor(field.document.end)

    def action_keep(self) -> None:
        """Give the text back."""
        self.dismiss(self.query_one(TextArea).text)

    def action_take(self, place: int) -> None:
        """Start from one of the answers."""
        if self._takes is not None:
            self.query_one(TextArea).text = safe_text(self._takes[place], newlines=True)


class VoteScreen(Frame):
    """The question, the two answers (one above the other when narrow), reasons; at the end who was who."""

    HELP_TITLE = "Blind vote"
    HELP = (
        "Two models answered the same question. Which answer would you rather have read? `a` and `b` vote for one, `t` "
        "says that they are equally good, `x` that both are bad. Before the vote, `1`–`5` say what is wrong with the "
        "worse one, `w` writes what you would have wanted to read, `n` adds a note.\n\nWhich model stands where is "
        "drawn anew for every question and shown only when all of them have a vote. Every vote is kept at once; "
        "`esc` leaves, and the same name goes on later. Several people vote under their own names: the result then "
        "says how far they agree. `u` takes the last vote back.\n\nThe number keys are reasons here; elsewhere they "
        "change the mode."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "vote('left')", "A", id="vote.a"),
        Binding("b", "vote('right')", "B", id="vote.b"),
        Binding("t", "vote('tie')", "tie", id="vote.tie"),
        Binding("x", "vote('both bad')", "both bad", id="vote.bad"),
        *(
            Binding(str(number), f"tag({number - 1})", tag, show=False, id=f"vote.reason{number}")
            for number, tag in enumerate(_TAGS, 1)
        ),
        Binding("w", "rewrite", "rewrite", id="vote.rewrite"),
        Binding("n", "note", "note", show=False, id="vote.note"),
        Binding("u", "undo", "undo", id="vote.undo"),
        Binding("escape", "back", "leave", id="back"),
    ]

    def __init__(self, audit: str) -> None:
        super().__init__()
        self._audit = audit
        self._models: tuple[str, str] = ("", "")
        self._people: list[Annotator] = []
        self._annotator = ""
        self._ballot: Ballot | None = None
        self._pair: Pair | None = None
        self._shown: Shown | None = None
        self._found: Results | None = None
        self._busy = False
        self._forget()

    def _forget(self) -> None:
        self._reasons: list[Reason] = []
        self._rewrite = ""
        self._note = ""

    def body(self) -> ComposeResult:
        """Title, state, question, answers, reasons; the result takes their place at the end."""
        yield Static(crumbs("Findings", f"audit {self._audit[:4]}", "Blind vote"), classes="crumbs")
        yield Static("Reading…", id="vote-state", classes="hint")
        with VerticalScroll(id="vote-question"):
            yield Static(id="vote-prompt")
        with Container(id="vote-sides"):
            for side, letter in (("left", "A"), ("right", "B")):
                with VerticalScroll(id=f"vote-{side}", classes="vote-side"):
                    yield Static(letter, classes="vote-letter")
                    yield Static(id=f"vote-{side}-text")
        yield Static(id="vote-said")
        with VerticalScroll(id="vote-results"):
            yield Static(id="vote-result")

    def on_mount(self) -> None:
        """Nothing to vote on is shown before it is known who votes."""
        self._arrange(voting=False)
        self.query_one("#vote-results").display = False
        self._read()

    # -- who votes on what --------------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="vote", exit_on_error=False)
    def _read(self) -> None:
        from workbench.history.rows import HistoryError

        try:
            with self.core.history() as history:
                plan, people = history.plan(self._audit), history.annotators(self._audit)
        except HistoryError as error:
            self.app.call_from_thread(self._failed, str(error))
            return
        self.app.call_from_thread(self._choose, plan, people)

    def _failed(self, problem: str) -> None:
        self._busy = False
        self.query_one("#vote-state", Static).update(Text(safe_text(problem)))

    def _choose(self, plan: Plan, people: list[Annotator]) -> None:
        from screens.dialogs import Choose

        self._people = people
        keys = [model.key for model in plan.models]
        if len(keys) < 2:
            self._failed("This audit has one model only: a vote is between two. 2 opens Compare.")
        elif len(keys) == 2:
            self._chosen(f"{keys[0]}\n{keys[1]}")
        else:
            pairs = [(f"{one}\n{other}", f"{one} and {other}") for one, other in combinations(keys, 2)]
            self.app.push_screen(Choose("Whose answers?", pairs), self._chosen)

    def _chosen(self, pair: str | None) -> None:
        if pair is None:
            self.dismiss()
            return
        first, second = pair.split("\n")
        self._models = first, second
        self._ask_name(self._people[-1].name if self._people else "")

    def _ask_name(self, name: str, problem: str = "") -> None:
        from screens.dialogs import Ask

        question = problem or "Who votes? (a name, to tell the votes of several people apart)"
        self.app.push_screen(Ask(question, name, "your name, or any word"), self._named)

    def _named(self, name: str | None) -> None:
        from screens.dialogs import Ask
        from workbench.audits.errors import AuditError
        from workbench.votes.ballot import clean_name

        if name is None:
            self.dismiss()
            return
        try:
            self._annotator = clean_name(name)
        except AuditError as error:
            self._ask_name("", f"{error}.")
            return
        if any(person.name == self._annotator and person.background for person in self._people):
            self._begin(None)
            return
        question = (
            "What should be known of you as a judge of these answers? (where you grew up, languages, …; optional)"
        )
        self.app.push_screen(Ask(question), self._described)

    def _described(self, background: str | None) -> None:
        self._begin(background)

    @work(thread=True, exclusive=True, group="vote", exit_on_error=False)
    def _begin(self, background: str | None) -> None:
        from workbench.audits.errors import AuditError
        from workbench.history.rows import HistoryError
        from workbench.votes.ballot import Ballot, enrol, offered

        try:
            with self.core.history() as history:
                offer = offered(history, self._audit, self._models)
            if not offer.pairs:
                said = (
                    "There is nothing to vote on: no question has a usable written answer of both models. esc leaves."
                )
                self.app.call_from_thread(self._failed, said)
                return
            with self.core.history(readonly=False) as history:
                enrol(history, self._audit, self._annotator, background or None)
            with self.core.history() as history:
                ballot = Ballot(history, offer, self._annotator)
        except (AuditError, HistoryError) as error:
            self.app.call_from_thread(self._failed, str(error))
            return
        self._ballot = ballot
        self._next()

    # -- one pair after the other -------------------------------------------------------------------------------

    def _next(self) -> None:
        """Read what comes next; called in a worker's thread."""
        from workbench.history.rows import HistoryError
        from workbench.votes.results import results

        ballot = self._ballot
        assert ballot is not None
        pair, shown, found = ballot.current, None, None
        try:
            with self.core.history() as history:
                if pair is not None:
                    shown = ballot.shown(history, pair)
                else:
                    found = results(history, ballot.offer)
        except HistoryError as error:
            self.app.call_from_thread(self._failed, str(error))
            return
        self.app.call_from_thread(self._show, pair, shown, found)

    def _show(self, pair: Pair | None, shown: Shown | None, found: Results | None) -> None:
        self._busy = False
        self._pair, self._shown, self._found = pair, shown, found
        self._arrange(voting=shown is not None)
        self.query_one("#vote-results").display = found is not None
        if shown is not None:
            self.query_one("#vote-prompt", Static).update(content(shown.prompt.strip()))
            for side, text in (("left", shown.left), ("right", shown.right)):
                self.query_one(f"#vote-{side}-text", Static).update(content(text.strip()))
                self.query_one(f"#vote-{side}", VerticalScroll).scroll_home(animate=False)
            self.query_one("#vote-question", VerticalScroll).scroll_home(animate=False)
            self.query_one("#vote-left").focus()
        elif found is not None:
            self._draw_results()
            self.query_one("#vote-results").focus()
        self._draw()

    def _arrange(self, *, voting: bool) -> None:
        for name in ("question", "sides", "said"):
            self.query_one(f"#vote-{name}").display = voting

    def _draw(self) -> None:
        ballot = self._ballot
        if ballot is None:
            return
        line = Text(end="", no_wrap=True, overflow="ellipsis")
        line.append(safe_text(ballot.annotator))
        if self._pair is not None:
            asked = asked_in(self._pair.condition.language)
            line.append(
                f" · {ballot.done + 1:,} of {ballot.total:,} · {safe_text(asked)} · whose answer is whose: hidden"
            )
        else:
            line.append(f" · all {ballot.total:,} pairs have a vote · u takes the last one back")
        self.query_one("#vote-state", Static).update(line)
        self.query_one("#vote-said", Static).update(self._said())

    def _said(self) -> Text:
        """The reasons with their keys, and what was written."""
        from workbench.history.votes import REASONS

        text = Text(end="")
        for number, (reason, tag) in enumerate(zip(REASONS, _TAGS, strict=True), 1):
            given = reason in self._reasons
            text.append(f"{number} {'✓' if given else ''}{tag}", style="reverse" if given else "")
            text.append("   ")
        for title, said in (("w", self._rewrite), ("n", self._note)):
            if said:
                text.append(f"\n{title} ", style="dim")
                text.append_text(clipped(said, self.app.size.width - 6, "italic"))
        return text

    # -- the result ---------------------------------------------------------------------------------------------

    def _draw_results(self) -> None:
        from workbench.votes.results import lines, table

        assert self._found is not None
        assert self._ballot is not None
        text = Text(end="")
        rows = table(self._found)
        if self.narrow:
            # The interval gives way, as in other tables.
            rows = [(*row[:7], row[8]) for row in rows]
        text.append_text(_grid(rows, self.app.size.width - 4, self.app.current_theme.dark))
        text.append("\n")
        for line in lines(self._found):
            text.append(safe_text(line) + "\n")
        text.append("\nYour votes\n", style="bold")
        head = ("", "A was", "B was", "you took")
        text.append_text(_grid([head, *_revealed(self._ballot)], self.app.size.width - 4, None))
        self.query_one("#vote-result", Static).update(text)

    def on_resize(self) -> None:
        """Tables depend on the width."""
        if self._ballot is not None:
            self._draw()
            if self._found is not None:
                self._draw_results()

    # -- commands -----------------------------------------------------------------------------------------------

    def action_vote(self, side: Side) -> None:
        """Keep a vote and go on to the next pair."""
        if self._pair is not None and not self._busy:
            self._busy = True
            self._keep(self._pair, side)

    @work(thread=True, exclusive=True, group="vote", exit_on_error=False)
    def _keep(self, pair: Pair, side: Side) -> None:
        def keep() -> None:
            assert self._ballot is not None
            with self.core.history(readonly=False) as history:
                self._ballot.record(history, pair, side, self._reasons, self._rewrite, self._note)
            self._forget()

        self._changing(keep)

    def action_undo(self) -> None:
        """Take back the last vote and show its pair again, with what was said of it."""
        if self._ballot is not None and not self._busy:
            self._busy = True
            self._take_back()

    @work(thread=True, exclusive=True, group="vote", exit_on_error=False)
    def _take_back(self) -> None:
        def undo() -> None:
            assert self._ballot is not None
            with self.core.history(readonly=False) as history:
                last = self._ballot.undo(history)
            if last is None:
                self.app.call_from_thread(self.tell, "There is no vote of yours to take back.")
            else:
                vote = last[1]
                self._reasons, self._rewrite, self._note = list(vote.reasons), vote.rewrite, vote.note

        self._changing(undo)

    def _changing(self, change: Callable[[], None]) -> None:
        """Change the history and go on; what goes wrong is told, and the pair stays."""
        from workbench.audits.errors import AuditError
        from workbench.history.rows import HistoryError

        try:
            change()
        except (AuditError, HistoryError) as error:
            self.app.call_from_thread(self.tell, str(error), error=True)
        self._next()

    def action_tag(self, place: int) -> None:
        """Give a reason, or take it back."""
        from workbench.history.votes import REASONS

        if self._pair is not None and not self._busy:
            self._reasons = [one for one in REASONS if (one in self._reasons) != (one == REASONS[place])]
            self._draw()

    def action_rewrite(self) -> None:
        """Write what would have been better."""
        if self._shown is not None and not self._busy:
            takes = self._shown.left, self._shown.right
            self.app.push_screen(Write("What would you have wanted to read?", self._rewrite, takes), self._rewritten)

    def _rewritten(self, text: str | None) -> None:
        if text is not None:
            self._rewrite = text.strip()
            self._draw()

    def action_note(self) -> None:
        """Add a note to the vote."""
        if self._pair is not None and not self._busy:
            self.app.push_screen(Write("A note on this vote", self._note), self._noted)

    def _noted(self, text: str | None) -> None:
        if text is not None:
            self._note = text.strip()
            self._draw()


def _revealed(ballot: Ballot) -> list[tuple[str, ...]]:
    """Whose answers stood where, and what was taken."""
    names = ballot.offer.names
    rows: list[tuple[str, ...]] = []
    for pair, vote in ballot:
        if vote is not None:
            left, right = names[::-1] if vote.flipped else names
            taken = {"a": names[0], "b": names[1]}.get(vote.choice, vote.choice)
            rows.append((f"{pair.item_id}, {asked_in(pair.condition.language)}", left, right, taken))
    return rows


def _grid(rows: Sequence[tuple[str, ...]], width: int, dark: bool | None) -> Text:
    """Rows in columns: the first left-aligned and giving way where there is no room. `dark`: the second and third
    columns are models, in their colours for a dark or light theme."""
    texts = [[safe_text(cell) for cell in row] for row in rows]
    if dark is not None:
        texts[0][1], texts[0][2] = (f"{clip(texts[0][place + 1], 14)} {sign(place)}" for place in (0, 1))
    widths = [max(cells(row[column]) for row in texts) for column in range(len(texts[0]))]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    if over > 0:
        widths[0] = max(8, widths[0] - over)
    grid = Text(end="", no_wrap=True, overflow="ellipsis")
    for number, row in enumerate(texts):
        for column, cell in enumerate(row):
            cell = clip(cell, widths[column])
            space = " " * (widths[column] - cells(cell))
            style = "dim" if number == 0 else ""
            if dark is not None and column in (1, 2):
                style = colour(column - 1, dark)
            grid.append(pad(cell, widths[column]) if column == 0 or dark is None else space + cell, style=style)
            grid.append("  ")
        grid.append("\n")
    return grid
