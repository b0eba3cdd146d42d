"""Live: a prompt, its options, and what two to four models and wordings make of it while one types."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static, TextArea

from engines.base import Cancelled, Engine, EngineError
from screens.draw import colour, sign
from screens.frame import Frame
from screens.live_pane import LivePane, diff_line
from screens.loaded import Work, session_of
from suites.base import SuiteError
from workbench.live.scene import (
    PANES,
    Pane,
    Scene,
    Wording,
    options_request,
    panes,
    reference,
    stream_request,
    token_width,
)
from workbench.live.scorer import Floor, Job, Scorer, Shown
from workbench.live.streams import Stream, Streams
from workbench.text import clip, safe_text

if TYPE_CHECKING:
    from suites.lessons import Lesson

TOKENS = 512
"""The most that a free answer may have."""
_FIRST = "hiring-by-script"
"""The lesson that the screen opens with."""
_PARTS = re.compile(r"\s*[|·\n]\s*")


class Heard(Message):
    """Bars or a noise floor, from the scoring thread."""

    def __init__(self, what: Shown | Floor) -> None:
        super().__init__()
        self.what = what


class Loaded(Message):
    """A model is loaded, or could not be."""

    def __init__(self, name: str, problem: str = "") -> None:
        super().__init__()
        self.name, self.problem = name, problem


class PromptField(TextArea):
    """The prompt's field, without the keys that this screen has other uses for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for key in ("f6", "f7"):
            self._bindings.key_to_bindings.pop(key, None)


class LiveScreen(Frame):
    """Prompt and options above, a pane for every model and wording below."""

    HELP_TITLE = "Live"
    HELP = (
        "Type a prompt and, under it, options separated by `|`. Each pane shows how probable its model finds each "
        "option as the next words: the bars move while you type. The small figure beside a bar is the difference to "
        "the pane that it is compared with, in points; `=` means that it is no more than the model's own noise.\n\n"
        "- **f2** opens a lesson: a prepared demonstration, with two lines on what to look at.\n"
        "- **f3** makes a twin of the prompt (the other Chinese script, another name or place) that stands beside it; "
        "what differs is marked. **f9** goes to the next wording.\n"
        "- **f4** chooses the models, **f6** lets them write an answer instead; the darker a token, the less probable "
        "it was. In a pane, left and right choose a token, enter shows what else it could have been and goes on from "
        "there, r writes anew.\n"
        "- **f5** is for a room: large, few words, high contrast. **f7** keeps what is shown in the history.\n\n"
        "The bars compare the options with each other only. A long option is less probable than a short one for its "
        "length alone; one prompt is a demonstration, not a finding: an audit (2) asks many, in many orders."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "lesson", "lesson", id="live.lesson"),
        Binding("f3", "twin", "twin", id="live.twin"),
        Binding("f4", "models", "models", id="live.models"),
        Binding("f5", "present", "present", id="live.present"),
        Binding("f6", "write", "write", id="live.write"),
        Binding("f7", "keep", "keep", id="live.keep"),
        Binding("f8", "next_pane", "next pane", id="live.pane", show=False),
        Binding("f9", "next_wording", "next wording", id="live.wording", show=False),
        Binding("ctrl+r", "again", "again", id="live.rerun", show=False),
        Binding("escape", "back", "stop", id="back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._prompts: list[str] = [""]
        self._labels: list[str] = [""]
        self._options: list[tuple[str, ...]] = [()]
        self._at = 0
        """The wording that is edited."""
        self._lesson: Lesson | None = None
        self._models: list[str] = []
        self._templates: dict[str, bool] = {}
        self._works: dict[str, Work] = {}
        self._shown: dict[int, Shown] = {}
        self._floors: dict[str, float] = {}
        self._widths: dict[str, float] = {}
        """Tokens a character, by the model's name."""
        self._turn = 0
        self._moved = 0.0
        self._writing = False
        self._seed = 0
        self._narrow_pane = 0
        self._presenting = False

    # -- the screen ---------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """Title, prompt, options, panes, a line on how fresh they are."""
        yield Static(id="live-title")
        yield Static(id="live-look")
        yield Static(id="live-wordings")
        yield PromptField(id="live-prompt", soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        yield Static(id="live-diff")
        with Horizontal(id="live-options-row"):
            yield Static("options")
            yield Input(id="live-options", placeholder="two or more, separated by |  (none: the models write)")
        yield Horizontal(id="live-panes")
        yield Static(id="live-status")

    def on_mount(self) -> None:
        """Choose models, open with a lesson, and keep the panes current."""
        # Kept here: threads may outlive the moment when a screen still knows its application.
        self._core, self._session = self.core, session_of(self.workbench)
        self._scorer = Scorer(self._device, self._tell_heard)
        from engines.threads import physical_cores

        self._streams = Streams(self._device, physical_cores())
        self.set_interval(0.1, self._tick)
        self.watch(self.app, "theme", self._draw, init=False)
        self.query_one("#live-prompt", TextArea).focus()
        self._choose_models()

    async def on_unmount(self) -> None:
        """Nothing goes on behind a closed application."""
        import asyncio

        for running in list(self._works.values()):
            running.stop()
        await asyncio.to_thread(self._scorer.close)
        await asyncio.to_thread(self._streams.stop)

    def _tell_heard(self, what: Shown | Floor) -> None:
        self.post_message(Heard(what))

    def on_screen_resume(self) -> None:
        """Models may have been unloaded elsewhere meanwhile."""
        if self._models:
            self._load_missing()
            self._ask()

    def on_screen_suspend(self) -> None:
        """What nobody sees is not computed."""
        self._scorer.ask(())

    @work(thread=True, exit_on_error=False, group="live-models")
    def _choose_models(self) -> None:
        """The loaded models; else the first two that can be used. Then the first lesson."""
        from suites.lessons import lessons

        self._core.prepare_starters()
        known = {model.name: model for model in self._core.models() if not model.problem}
        self._templates = {name: model.template for name, model in known.items()}
        loaded = [name for name in self._session.names if name in known]
        chosen = loaded[:PANES] or sorted(known, key=lambda name: known[name].size)[:2]
        for name in loaded:
            self._measure_width(name)
        problem, first = "", None
        try:
            first = next((one for one in lessons(self._core.suite_roots) if one.id == _FIRST), None)
        except SuiteError as error:
            problem = str(error)
        self.app.call_from_thread(self._begin, chosen, first, problem)

    def _begin(self, models: list[str], lesson: Lesson | None, problem: str) -> None:
        self._models = models
        if problem:
            self.tell(problem, error=True)
        if lesson is not None and not any(self._prompts):
            self._take(lesson)
        else:
            self._rebuild()

    # -- the scene ----------------------------------------------------------------------------------------------

    @property
    def _scene(self) -> Scene:
        wordings = tuple(
            Wording(prompt, label, options)
            for prompt, label, options in zip(self._prompts, self._labels, self._options, strict=True)
        )
        return Scene(wordings, self._options[0], lesson=self._lesson.id if self._lesson else "")

    @property
    def _panes(self) -> tuple[Pane, ...]:
        return panes(self._models, len(self._prompts))

    def _take(self, lesson: Lesson) -> None:
        """Show a lesson."""
        self._lesson = lesson
        self._prompts = [one.prompt for one in lesson.wordings]
        self._labels = [one.label for one in lesson.wordings]
        self._options = [tuple(one.options) or tuple(lesson.options) for one in lesson.wordings]
        self._at = 0
        self._writing = False
        self._rebuild()
        if not lesson.options:
            self.action_write()

    def _rebuild(self) -> None:
        """Other panes: make them anew, and ask."""
        self._streams.stop()
        self._shown = {}
        self._fill()
        self._make_panes()

    @work(exclusive=True, group="live-panes")
    async def _make_panes(self) -> None:
        row = self.query_one("#live-panes", Horizontal)
        await row.remove_children()
        places = {name: place for place, name in enumerate(self._models)}
        scene = self._scene
        made = [
            LivePane(
                key,
                pane.model,
                places[pane.model],
                scene.wordings[pane.wording].label or (f"wording {pane.wording + 1}" if len(self._prompts) > 1 else ""),
                "chat" if scene.chat(self._templates.get(pane.model, False), free=self._writing) else "plain",
            )
            for key, pane in enumerate(self._panes)
        ]
        for pane in made:
            pane.large = self._presenting
        if made:
            await row.mount(*made)
        else:
            await row.mount(Static("No models yet: 1 Models says how to get one.", classes="empty"))
        self._narrow_pane = min(self._narrow_pane, max(0, len(made) - 1))
        self._draw()
        self._load_missing()
        if self._writing:
            self._start_writing()
        else:
            self._ask()

    def _fill(self) -> None:
        """Put the edited wording into the fields."""
        prompt, options = self.query_one("#live-prompt", TextArea), self.query_one("#live-options", Input)
        with self.prevent(TextArea.Changed, Input.Changed):
            prompt.text = self._prompts[self._at]
            options.value = " | ".join(self._options[self._at])
        self._draw()

    # -- drawing ------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        narrow = self.narrow
        title = Text("Live", style="bold", end="", no_wrap=True)
        if self._lesson is not None:
            title.append(f" › {safe_text(self._lesson.title)}", style="bold")
        self.query_one("#live-title", Static).update(title)
        look = self.query_one("#live-look", Static)
        look.display = self._lesson is not None and (self.app.size.height >= 30 or self._presenting)
        if self._lesson is not None:
            look.update(Text("\n".join(safe_text(line) for line in self._lesson.look)))
        strip = self.query_one("#live-wordings", Static)
        strip.display = len(self._prompts) > 1 and not self._presenting
        strip.update(self._strip())
        diff = self.query_one("#live-diff", Static)
        diff.display = len(self._prompts) > 1
        if len(self._prompts) > 1:
            from workbench.live.twins import changes

            other = self._at if self._at else 1
            diff.update(diff_line(changes(self._prompts[0], self._prompts[other]), self.app.size.width - 4))
        for place, pane in enumerate(self.query(LivePane)):
            pane.display = not narrow or place == self._narrow_pane
            pane.redraw()
        self._draw_status()

    def _strip(self) -> Text:
        line = Text(end="", no_wrap=True, overflow="ellipsis")
        for place, label in enumerate(self._labels):
            said = f" {place + 1} {safe_text(label) or 'wording'} "
            line.append(said, style="reverse" if place == self._at else "dim")
        line.append("  f9 next wording", style="dim")
        return line

    def _draw_status(self) -> None:
        line = Text(end="", no_wrap=True, overflow="ellipsis")
        if self.narrow and len(self._panes) > 1:
            for place, pane in enumerate(self._panes):
                name = f"{clip(safe_text(pane.model), 12)} {sign(self._models.index(pane.model))}"
                label = self._labels[pane.wording]
                said = f" {name}{'′' * pane.wording or ''} " if label else f" {name} "
                dark = self.app.current_theme.dark
                style = colour(self._models.index(pane.model), dark)
                line.append(said, style=f"{style} reverse" if place == self._narrow_pane else style)
            line.append(" f8 next pane  ", style="dim")
        if len(self._options[0]) == 1 and not self._writing:
            line.append("one option is no choice: type another one behind a |")
        elif self._moved and not self._writing and self._shown:
            took = sum(one.bars.seconds for one in self._shown.values() if one.bars is not None)
            line.append(f"bars moved {time.monotonic() - self._moved:.1f} s ago · scored in {took:.2f} s")
            floors = [
                f"{sign(self._models.index(name))} {floor:.2f}"
                for name, floor in self._floors.items()
                if name in self._models
            ]
            line.append(f" · noise {' '.join(floors)} nats" if floors else " · noise not measured yet", style="dim")
        self.query_one("#live-status", Static).update(line)

    def on_resize(self) -> None:
        """Panes become tabs, or panes again."""
        self._draw()

    def _tick(self) -> None:
        if self.app.screen is not self:
            return
        for running in [pane for pane in self.query(LivePane) if pane.model in self._works]:
            running.say(self._works[running.model].line)
        if self._writing:
            for pane in self.query(LivePane):
                pane.tick()
        self._draw_status()

    # -- models -------------------------------------------------------------------------------------------------

    def _load_missing(self) -> None:
        for name in self._models:
            if self._session.engine(name) is None and name not in self._works:
                self._works[name] = Work(name, f"loading {name}")
                self._load(name, self._works[name])

    @work(thread=True, exit_on_error=False, group="live-load")
    def _load(self, name: str, job: Work) -> None:
        problem = ""
        try:
            self._session.load(name, job)
            self._measure_width(name)
        except Cancelled:
            problem = "loading was stopped"
        except EngineError as error:
            problem = str(error)
        self.post_message(Loaded(name, problem))

    def _measure_width(self, name: str) -> None:
        """From a thread: it asks the engine."""
        engine = self._session.engine(name)
        if engine is not None:
            self._widths[name] = token_width(engine)

    @on(Loaded)
    def _was_loaded(self, event: Loaded) -> None:
        self._works.pop(event.name, None)
        for pane in self.query(LivePane):
            if pane.model == event.name:
                if event.problem:
                    pane.fail(event.problem)
                else:
                    pane.say("")
        if not event.problem:
            if self._writing:
                self._start_writing()
            else:
                self._ask()

    @contextmanager
    def _device(self, engine: Engine, unwanted: Callable[[], bool]) -> Iterator[None]:
        """Lease the device that an engine computes on; an audit steps aside for it."""
        with self._core.scheduler.interactive(self._session.device(engine), unwanted):
            yield

    # -- options ------------------------------------------------------------------------------------------------

    @on(TextArea.Changed, "#live-prompt")
    def _typed(self, event: TextArea.Changed) -> None:
        self._prompts[self._at] = event.text_area.text
        self._changed()

    @on(Input.Changed, "#live-options")
    def _options_typed(self, event: Input.Changed) -> None:
        self._options[self._at] = tuple(part for part in _PARTS.split(event.value) if part)
        self._changed()

    def _changed(self) -> None:
        if self._writing:
            self._writing = False
            self._streams.stop()
        self._draw()
        self._ask()

    def _ask(self, *, now: bool = False) -> None:
        """Have every pane whose model is loaded scored."""
        scene = self._scene
        jobs = []
        for key, pane in enumerate(self._panes):
            engine = self._session.engine(pane.model)
            if engine is None or len(scene.options) < 2 or not scene.wordings[pane.wording].prompt.strip():
                continue
            chat = scene.chat(bool(engine.card.template), free=False)
            jobs.append(Job(key, engine, options_request(scene, pane, chat, self._widths.get(pane.model, 1.0))))
        if not self._writing:
            self._turn = self._scorer.ask(jobs, now=now)
            self._core.scheduler.wake()

    @on(Heard)
    def _heard(self, event: Heard) -> None:
        what = event.what
        if what.turn != self._turn or self._writing:
            return
        shown = {pane.key: pane for pane in self.query(LivePane)}
        pane = shown.get(what.key)
        if pane is None:
            return
        if isinstance(what, Floor):
            self._floors[pane.model] = what.floor
            self._compare(shown)
            return
        if what.died:
            self._session.bury()
        if what.bars is None:
            self._shown.pop(what.key, None)
            pane.fail(what.problem)
            return
        self._shown[what.key] = what
        self._moved = time.monotonic()
        self._compare(shown)

    def _compare(self, shown: dict[int, LivePane]) -> None:
        """Draw the bars of this turn, each with its difference to the pane that it is compared with."""
        from workbench.live.bars import difference

        scene, all_panes = self._scene, self._panes
        for key, found in self._shown.items():
            if key not in shown or found.bars is None or key >= len(all_panes):
                continue
            against = reference(all_panes, key)
            other = self._shown.get(against) if against is not None else None
            apart, beside = None, ""
            if other is not None and other.bars is not None and against is not None and other.turn == found.turn:
                floors = (self._floors.get(all_panes[key].model), self._floors.get(all_panes[against].model))
                if len(other.bars.probabilities) == len(found.bars.probabilities):
                    apart = difference(found.bars, other.bars, floors)
                    place = self._models.index(all_panes[against].model)
                    beside = f"{sign(place)} {self._labels[all_panes[against].wording]}".strip()
            options = scene.options_of(all_panes[key].wording)
            if len(options) == len(found.bars.probabilities):
                shown[key].show_bars(options, found.bars, apart, beside)

    # -- writing ------------------------------------------------------------------------------------------------

    def _start_writing(self, only: int | None = None, prefix: str = "") -> None:
        """Let the panes whose models are loaded write; `only` one of them, from a beginning."""
        scene = self._scene
        self._scorer.ask(())
        started = []
        for pane, drawn in zip(self._panes, self.query(LivePane), strict=False):
            engine = self._session.engine(pane.model)
            if engine is None or (only is not None and drawn.key != only):
                continue
            chat = scene.chat(bool(engine.card.template), free=True)
            request = stream_request(scene, pane, chat, prefix=prefix, tokens=TOKENS, seed=self._seed)
            stream = Stream(engine, request, prefix)
            drawn.show_stream(stream)
            started.append(stream)
        if started:
            self._run_streams(started)

    @work(thread=True, exit_on_error=False, group="live-streams", exclusive=True)
    def _run_streams(self, streams: list[Stream]) -> None:
        self._streams.start(streams)

    @on(LivePane.Chosen)
    def _alternatives(self, event: LivePane.Chosen) -> None:
        """What else a token could have been; choosing one goes on from there."""
        from screens.dialogs import Choose

        stream = event.pane.stream
        if stream is None:
            return
        token = stream.tokens[event.place]
        before = stream.prefix + "".join(one.text for one in stream.tokens[: event.place])
        choices = [
            (str(place), f"{_percent(one.logprob)}  {one.text!r}") for place, one in enumerate(token.alternatives)
        ]

        def chosen(answer: str | None) -> None:
            if answer is not None:
                self._start_writing(event.pane.key, before + token.alternatives[int(answer)].text)

        self.app.push_screen(Choose("Go on from another token", choices), chosen)

    @on(LivePane.Again)
    def _again(self, event: LivePane.Again) -> None:
        self._seed += 1
        self._start_writing(event.pane.key)

    # -- commands -----------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Stop writing; leave the presenter view; leave the field."""
        if self._writing and any(stream.going for stream in self._streams.running):
            for stream in self._streams.running:
                stream.stop()
        elif self._presenting:
            self.action_present()
        else:
            self.query(LivePane).first().focus() if self.query(LivePane) else None

    def action_lesson(self) -> None:
        """Choose a lesson."""
        from screens.dialogs import Choose
        from suites.lessons import lessons

        try:
            found = lessons(self.core.suite_roots)
        except SuiteError as error:
            self.tell(str(error), error=True)
            return
        by_id = {one.id: one for one in found}

        def chosen(answer: str | None) -> None:
            if answer is not None:
                self._take(by_id[answer])

        self.app.push_screen(Choose("Lessons", [(one.id, one.title) for one in found]), chosen)

    def action_twin(self) -> None:
        """Put a counterpart beside the prompt, or take one away."""
        from screens.dialogs import Choose

        choices = [
            ("script", "the other Chinese script (简 ↔ 繁)"),
            ("swap", "another name, place or word…"),
            ("copy", "a copy, to be changed by hand"),
        ]
        if len(self._prompts) >= PANES:
            choices = []
        if len(self._prompts) > 1:
            choices.append(("remove", "take this wording away"))
        self.app.push_screen(Choose("Twin of the prompt", choices), self._make_twin)

    def _make_twin(self, answer: str | None) -> None:
        from screens.dialogs import Ask
        from workbench.live.twins import TwinError, other_script

        prompt, options = self._prompts[self._at], self._options[self._at]
        if answer == "script":
            try:
                text, label = other_script(prompt)
                changed = tuple(_converted(option) for option in options)
            except TwinError as error:
                self.tell(str(error), error=True)
                return
            self._add(text, label, changed)
        elif answer == "swap":
            self.app.push_screen(Ask("Replace what by what? OLD > NEW", placeholder="Emily > Lakshmi"), self._swap)
        elif answer == "copy":
            self._add(prompt, "copy", options)
        elif answer == "remove":
            for kept in (self._prompts, self._labels, self._options):
                del kept[self._at]
            self._at = max(0, self._at - 1)
            self._rebuild()

    def _swap(self, answer: str | None) -> None:
        from workbench.live.twins import TwinError, swapped

        if answer is None:
            return
        old, _, new = (part.strip() for part in answer.replace("→", ">").partition(">"))
        try:
            text = swapped(self._prompts[self._at], old, new)
        except TwinError as error:
            self.tell(str(error), error=True)
            return
        self._add(text, new, tuple(option.replace(old, new) for option in self._options[self._at]))

    def _add(self, prompt: str, label: str, options: tuple[str, ...]) -> None:
        if not self._labels[self._at]:
            self._labels[self._at] = "as typed"
        self._prompts.append(prompt)
        self._labels.append(label)
        self._options.append(options)
        self._at = len(self._prompts) - 1
        self._rebuild()

    def action_models(self) -> None:
        """Take a model in, or out."""
        from screens.dialogs import Choose

        choices = [(name, f"{'☑' if name in self._models else '☐'} {name}") for name in self._templates]

        def chosen(answer: str | None) -> None:
            if answer is None:
                return
            if answer in self._models:
                self._models.remove(answer)
            elif len(self._models) < PANES:
                self._models.append(answer)
            else:
                self.tell(f"At most {PANES} panes: take a model out first.", error=True)
                return
            self._rebuild()

        self.app.push_screen(Choose("Models: choose one to take it in or out", choices), chosen)

    def action_present(self) -> None:
        """Large, few words, high contrast; or back."""
        self._presenting = not self._presenting
        self.set_class(self._presenting, "-presenting")
        for pane in self.query(LivePane):
            pane.large = self._presenting
        self._draw()

    def action_write(self) -> None:
        """Let the models write; or show the options again."""
        if self._writing and len(self._options[0]) >= 2:
            self._writing = False
        else:
            self._writing, self._seed = True, 0
        self._rebuild()

    def action_again(self) -> None:
        """Score, or write, once more."""
        if self._writing:
            self._seed += 1
            self._start_writing()
        else:
            self._ask(now=True)

    def action_next_pane(self) -> None:
        """On a narrow screen: show the next pane."""
        self._narrow_pane = (self._narrow_pane + 1) % max(1, len(self._panes))
        self._draw()

    def action_next_wording(self) -> None:
        """Edit the next wording."""
        self._at = (self._at + 1) % len(self._prompts)
        self._fill()

    def action_keep(self) -> None:
        """Keep what is shown in the history, with a note."""
        from screens.dialogs import Ask

        record = self._record()
        if record is None:
            self.tell("There is nothing to keep yet.", error=True)
            return

        def noted(note: str | None) -> None:
            if note is not None:
                self._keep(record, note)

        self.app.push_screen(Ask("A note to what is kept", placeholder="where and why it was shown"), noted)

    def _record(self) -> dict[str, object] | None:
        from workbench.live.record import options_record, stream_record

        scene, all_panes = self._scene, self._panes
        cards = {name: card for name in self._models if (card := self._session.card(name)) is not None}
        if self._writing:
            answers = {
                pane.key: (pane.stream.text, pane.stream.finish, list(pane.stream.tokens))
                for pane in self.query(LivePane)
                if pane.stream is not None and pane.stream.tokens
            }
            return stream_record(scene, all_panes, cards, answers) if answers else None
        bars = {key: one.bars for key, one in self._shown.items() if one.bars is not None and one.turn == self._turn}
        return options_record(scene, all_panes, cards, bars, self._floors) if bars else None

    @work(thread=True, exit_on_error=False, group="live-keep")
    def _keep(self, record: dict[str, object], note: str) -> None:
        from workbench.history.rows import HistoryError

        title = self._lesson.title if self._lesson else self._prompts[0][:80]
        try:
            with self._core.history(readonly=False) as history:
                kept = history.keep_moment(title, record, note)
        except HistoryError as error:
            self.app.call_from_thread(self.tell, str(error), error=True)
            return
        self.app.call_from_thread(self.tell, f"Kept as {kept}: culture-workbench live kept {kept} shows it again.")


def _converted(option: str) -> str:
    """An option in the other script, where it has one."""
    from workbench.live.twins import TwinError, other_script

    try:
        return other_script(option)[0]
    except TwinError:
        return option


def _percent(logprob: float) -> str:
    import math

    return f"{100 * math.exp(min(0.0, logprob)):5.1f} %"
