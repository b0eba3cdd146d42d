"""Compare, fourth part: the items behind a figure, the models' answers next to each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Input, Static, TabbedContent, TabPane

from engines.base import ChoiceScores
from screens.draw import bar, clipped, colour, pad, sign, verdict_sign
from screens.frame import Frame, crumbs
from screens.languages import asked_in
from screens.table import Table
from workbench.text import cells, clip, safe_text

if TYPE_CHECKING:
    from suites.base import Item, Task, Verdict
    from workbench.audits.plan import Plan, Trial
    from workbench.history.rows import AnswerRow

_Asked = tuple[str, int, int, int, str, str]
"""Item (hash), version, order, repeat, context, part: one question, put to every model."""


class _Question(msgspec.Struct):
    """One question and what every model's answer was judged to be; None where it has not answered."""

    item: Item
    asked: _Asked
    answers: list[tuple[Trial, Verdict] | None]
    label: str

    @property
    def differ(self) -> bool:
        """Whether the models' answers are not the same: another kind of verdict, or another choice."""
        said = {(one[1].kind, one[1].choice) if one is not None else None for one in self.answers}
        return len(said) > 1


class _Loaded(msgspec.Struct):
    plan: Plan
    task: Task
    questions: list[_Question]


class ItemsScreen(Frame):
    """A list of questions on the left, prompt and answers of the focused one on the right (tabs when narrow)."""

    HELP_TITLE = "Items"
    HELP = (
        "Every question behind the figure, with the sign of each model's verdict: ✓ right, ≠ the other region's word, "
        "M Mainland, T Taiwan, H Hong Kong, B both, S several, · something else, ? refused, unreadable or empty, ! an "
        "error. `d` "
        "keeps the questions where the models differ; `[` and `]` go from one difference to the next; `/` looks for a "
        "word in items.\n\nOn the right: the question as it was asked, each model's answer, the probability of each "
        "option among those offered, the verdict and the rule that gave it. ≈ says that the two best options lie "
        "closer together than twice the model's noise."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "differences", "differences", id="items.differences"),
        Binding("left_square_bracket", "jump(-1)", "previous", key_display="[", id="items.previous"),
        Binding("right_square_bracket", "jump(1)", "next", key_display="]", id="items.next"),
        Binding("slash", "find", "find", key_display="/", id="items.find"),
        Binding("b", "vote", "blind vote", show=False, id="items.vote"),
        Binding("escape", "back", "back", id="back"),
    ]

    def __init__(
        self,
        audit: str,
        suite: str,
        task: str,
        language: str,
        title: str,
        find: str = "",
        *,
        context: str | None = None,
    ) -> None:
        super().__init__()
        self._find = find
        self._audit = audit
        self._suite_id = suite
        self._task_id = task
        self._language = language
        self._asked_context = context
        self._heading = title
        self._loaded: _Loaded | None = None
        self._shown: list[_Question] = []
        self._only_differences = False
        self._noise: dict[str, float] = {}

    def body(self) -> ComposeResult:
        """List and answer, next to each other or in tabs."""
        place = f"{self._heading}, {asked_in(self._language, self._asked_context or '')}"
        yield Static(
            crumbs("Findings", f"audit {self._audit[:4]}", place, width=self.app.size.width - 2), classes="crumbs"
        )
        yield Static("Reading…", id="items-state", classes="hint")
        yield Input(placeholder="a word; enter keeps it, esc clears it", id="items-find", compact=True)
        if self.narrow:
            with TabbedContent(id="items-tabs"):
                with TabPane("Items", id="items-list-tab"):
                    yield Table(id="items", enter="answers")
                with TabPane("Answers (enter)", id="items-answer-tab"):
                    yield from self._answer_pane()
        else:
            with Horizontal(id="items-panes"):
                with Vertical(id="items-left"):
                    yield Table(id="items", enter="answers")
                yield from self._answer_pane()

    def _answer_pane(self) -> ComposeResult:
        with VerticalScroll(id="items-right"):
            yield Static(id="items-prompt")
            yield Vertical(id="items-answers")

    def on_mount(self) -> None:
        """Read the task's verdicts; prompts and answers come one at a time."""
        box = self.query_one("#items-find", Input)
        box.value = self._find
        box.display = bool(self._find)
        self.query_one("#items", DataTable).focus()
        self._read()

    @work(thread=True, exclusive=True, group="items", exit_on_error=False)
    def _read(self) -> None:
        from suites.tasks import task_for
        from workbench.history.rows import HistoryError

        try:
            with self.core.history() as history:
                plan = history.plan(self._audit)
                suite = next(one for one in history.suites(self._audit) if one.id == self._suite_id)
                task = task_for(suite, self._task_id)
                judged = list(history.judged(self._audit, suite=self._suite_id, task=self._task_id))
                self._noise = {key: row.floor for key, row in history.noise(self._audit).items()}
        except HistoryError as error:
            self.app.call_from_thread(self._failed, str(error))
            return
        places = {model.key: place for place, model in enumerate(plan.models)}
        items = {item.hash: item for item in suite.items}
        questions: dict[_Asked, _Question] = {}
        for row in judged:
            trial = row.trial
            c = trial.condition
            if c.language != self._language or self._asked_context not in (None, c.context):
                continue
            asked = (trial.item, c.version, c.order, trial.repeat, c.context, c.part)
            question = questions.get(asked)
            if question is None:
                item = items[trial.item]
                question = questions[asked] = _Question(item, asked, [None] * len(places), _label(task, item, trial))
            question.answers[places[trial.model]] = (trial, row.verdict)
        self.app.call_from_thread(self._show, _Loaded(plan, task, list(questions.values())))

    def _failed(self, problem: str) -> None:
        self.query_one("#items-state", Static).update(Text(safe_text(problem)))

    def _show(self, loaded: _Loaded) -> None:
        self._loaded = loaded
        table = self.query_one("#items", DataTable)
        several = len({question.asked[1:] for question in loaded.questions}) > 1
        room = (self.app.size.width - 6) if self.narrow else max(34, self.app.size.width * 2 // 5 - 3)
        width = room - 3 * len(loaded.plan.models) - (10 if several else 0) - 4
        table.add_column(Text("item"), width=width, key="item")
        if several:
            table.add_column(Text("asked"), width=8, key="asked")
        for place, model in enumerate(loaded.plan.models):
            head = Text(sign(place), style=colour(place, self.app.current_theme.dark), end="")
            table.add_column(head, width=1, key=model.key)
        self._several = several
        self._item_width = width
        self._fill()

    def _fill(self) -> None:
        assert self._loaded is not None
        table = self.query_one("#items", DataTable)
        focused = self._focused()
        table.clear()
        wanted = safe_text(self.query_one("#items-find", Input).value).casefold().strip()
        self._shown = [
            question
            for question in self._loaded.questions
            if (question.differ or not self._only_differences) and wanted in question.label.casefold()
        ]
        for question in self._shown:
            cells_ = [clipped(question.label, self._item_width, "" if question.differ else "dim")]
            if self._several:
                cells_.append(clipped(_asked(*question.asked[1:]), 8, "dim"))
            cells_ += [
                Text(
                    verdict_sign(one[1].kind) if one is not None else " ",
                    style=colour(place, self.app.current_theme.dark),
                    end="",
                )
                for place, one in enumerate(question.answers)
            ]
            table.add_row(*cells_)
        differing = sum(question.differ for question in self._loaded.questions)
        said = f"{len(self._shown):,} of {len(self._loaded.questions):,} questions · the models differ in {differing:,}"
        if self._only_differences:
            said += " · d shows all"
        self.query_one("#items-state", Static).update(Text(said))
        if focused in self._shown and focused is not None:
            table.move_cursor(row=self._shown.index(focused))
        self._detail()

    def _focused(self) -> _Question | None:
        place = self.query_one("#items", DataTable).cursor_row
        return self._shown[place] if 0 <= place < len(self._shown) else None

    # -- the focused question -----------------------------------------------------------------------------------

    @on(DataTable.RowHighlighted, "#items")
    def _highlighted(self) -> None:
        self._detail()

    @on(DataTable.RowSelected, "#items")
    def _selected(self) -> None:
        if self.narrow:
            self.query_one("#items-tabs", TabbedContent).active = "items-answer-tab"
            self.query_one("#items-right").focus()

    def _detail(self) -> None:
        question = self._focused()
        if question is None:
            self.query_one("#items-prompt", Static).update(Text("No question fits: d or / changes what is shown."))
            self.query_one("#items-answers").remove_children()
            return
        self._read_answers(question)

    @work(thread=True, exclusive=True, group="answers", exit_on_error=False)
    def _read_answers(self, question: _Question) -> None:
        from workbench.history.rows import HistoryError

        try:
            with self.core.history() as history:
                rows = [None if one is None else history.row(self._audit, one[0].id) for one in question.answers]
        except HistoryError as error:
            self.app.call_from_thread(self.tell, str(error), error=True)
            return
        self.app.call_from_thread(self._show_answers, question, rows)

    def _show_answers(self, question: _Question, rows: list[AnswerRow | None]) -> None:
        if self._loaded is None or self._focused() is not question:
            return
        self.query_one("#items-prompt", Static).update(_prompt(rows, question))
        box = self.query_one("#items-answers")
        box.set_class(self._side_by_side, "-beside")
        dark = self.app.current_theme.dark
        texts = [
            self._answer(place, model.key, question, row, dark)
            for place, (model, row) in enumerate(zip(self._loaded.plan.models, rows, strict=True))
        ]
        if len(box.children) == len(texts):
            for child, text in zip(box.children, texts, strict=True):
                if isinstance(child, Static):
                    child.update(text)
            return
        box.remove_children()
        box.mount(*(Static(text, classes="answer") for text in texts))

    @property
    def _side_by_side(self) -> bool:
        """Whether answers stand next to each other: more than two of them would be too narrow to read."""
        return not self.narrow and self._loaded is not None and len(self._loaded.plan.models) == 2

    def _answer(self, place: int, key: str, question: _Question, row: AnswerRow | None, dark: bool) -> Text:
        assert self._loaded is not None
        text = Text(end="")
        text.append(f"{sign(place)} {safe_text(key)}\n", style=f"bold {colour(place, dark)}")
        if row is None:
            text.append("has not answered yet", style="dim")
            return text
        verdict = row.verdict
        if isinstance(row.answer, ChoiceScores):
            text.append_text(self._options(place, question, row, dark))
        else:
            text.append(safe_text(row.answer.text, newlines=True).strip() or "(nothing)")
            text.append("\n")
            if row.answer.finish == "length":
                text.append("… cut off at the most tokens allowed\n", style="dim")
        text.append(f"\n{verdict_sign(verdict.kind)} {safe_text(verdict.kind)}", style="bold")
        floor = self._noise.get(key)
        if verdict.margin is not None:
            text.append(f"   margin {verdict.margin:.2f} nats", style="dim")
            if floor is not None and verdict.margin < 2 * floor:
                text.append(" ≈ undecided by noise", style="dim")
        text.append(f"\n{safe_text(verdict.reason)}\n", style="dim")
        return text

    def _options(self, place: int, question: _Question, row: AnswerRow, dark: bool) -> Text:
        """The options with their probabilities among those offered (softmax of the summed log-probabilities)."""
        assert self._loaded is not None
        assert isinstance(row.answer, ChoiceScores)
        text = Text(end="")
        if row.answer.error:
            text.append(safe_text(row.answer.error) + "\n")
            return text
        task, item, condition = self._loaded.task, question.item, row.trial.condition
        keys = task.options(item, condition)
        names = [safe_text(task.option_text(item, condition, key)) for key in keys]
        scores = [option.logprob for option in row.answer.options]
        if len(scores) != len(names):
            return text
        top = max(scores)
        weights = [math.exp(score - top) for score in scores]
        width = min(16, max(map(cells, names), default=1))
        across = self.app.size.width * 3 // 5 - 6
        room = max(6, (across // 2 if self._side_by_side else across) - width - 17)
        for name, score, weight in zip(names, scores, weights, strict=True):
            share = weight / sum(weights)
            text.append(pad(clip(name, width), width) + " ")
            text.append(pad(bar(share, room), room), style=colour(place, dark))
            text.append(f"{100 * share:5.1f}")
            text.append(f" {score:7.2f}\n".replace("-", "−"), style="dim")
        return text

    # -- commands -----------------------------------------------------------------------------------------------

    def action_differences(self) -> None:
        """Only questions where the models differ, or all again."""
        if self._loaded is not None:
            self._only_differences = not self._only_differences
            self._fill()

    def action_jump(self, step: int) -> None:
        """To the next or previous question where the models differ."""
        place = self.query_one("#items", DataTable).cursor_row + step
        while 0 <= place < len(self._shown):
            if self._shown[place].differ:
                self.query_one("#items", DataTable).move_cursor(row=place)
                return
            place += step
        self.tell("No further question in this direction in which the models differ.")

    def action_vote(self) -> None:
        """Judge the models' written answers, without knowing whose is whose."""
        from screens.vote import VoteScreen

        self.app.push_screen(VoteScreen(self._audit))

    def action_find(self) -> None:
        """Look for a word."""
        box = self.query_one("#items-find", Input)
        box.display = True
        box.focus()

    @on(Input.Changed, "#items-find")
    def _finding(self) -> None:
        if self._loaded is not None:
            self._fill()

    @on(Input.Submitted, "#items-find")
    def _found(self) -> None:
        self.query_one("#items", DataTable).focus()

    def action_back(self) -> None:
        """Clear the search first, leave the answers' tab next, then the screen."""
        box = self.query_one("#items-find", Input)
        if box.display:
            box.value = ""
            box.display = False
            self.query_one("#items", DataTable).focus()
        elif self.narrow and self.query_one("#items-tabs", TabbedContent).active == "items-answer-tab":
            self.query_one("#items-tabs", TabbedContent).active = "items-list-tab"
            self.query_one("#items", DataTable).focus()
        else:
            super().action_back()


def _label(task: Task, item: Item, trial: Trial) -> str:
    """What the item is, in one safe line: its options where it has some, else its terms, else its id."""
    from screens.suite import summary

    return safe_text(f"{summary(item.data)}  {item.id}")


def _asked(version: int, order: int, repeat: int, context: str, part: str) -> str:
    """Which wording, order and repeat: `w2 o5 r1`, with what is always the same left out; of parts, which."""
    said = f"w{version} o{order + 1}" + (f" r{repeat + 1}" if repeat else "")
    return f"{part} {said}" if part else said


def _prompt(rows: list[AnswerRow | None], question: _Question) -> Text:
    text = Text(end="")
    prompts = {row.prompt for row in rows if row is not None}
    for number, prompt in enumerate(sorted(prompts)):
        if number:
            # Models with and without a chat template are asked in different forms.
            text.append("\n– and in the other form –\n", style="dim")
        text.append(safe_text(prompt, newlines=True) + "\n")
    return text
