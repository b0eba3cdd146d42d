"""The models on this machine: what they are, whether they fit, how they run."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec
from rich.style import Style
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import DataTable, Static

from engines.base import Cancelled, EngineError
from screens import models_card
from screens.columns import Cells, Column, cell, few, fitted, head
from screens.draw import clipped, content
from screens.frame import Frame
from screens.loaded import Work, session_of
from workbench.audits.tryout import Checked
from workbench.settings import SettingsError, save
from workbench.text import cells, clip, parameters, safe_text, size

if TYPE_CHECKING:
    from engines.describe import CatalogModel
    from engines.fetch import Looked as LookedUp
    from engines.hardware import Fit, Machine

T = TypeVar("T")

EMPTY = "No models yet. g get one · s scan your folders · or `make install`, which brings two."
_LOADED, _LOADING = "●", "◌"
_GET = "get"
"""The work of fetching: one model at a time."""
_LOOK_SECONDS = 10.0
"""How often free memory and loaded engines are looked at."""


_MARK = Column("mark", "", 1)
_NAME = Column("name", "name", 40, 12)
_FORMAT = Column("format", "format", 16, 8)
_SIZE = Column("size", "size", 9, figures=True)
_FITS = Column("fits", "memory", 14)
_WIDE = (
    _MARK,
    _NAME,
    _FORMAT,
    Column("parameters", "weights", 9, figures=True),
    _SIZE,
    Column("languages", "languages", 16, 6),
    _FITS,
    Column("device", "device", 26, 6),
    Column("licence", "licence", 60, 8),
)
_NARROW = (_MARK, _NAME, _FORMAT, _SIZE, _FITS)


class ModelTable(DataTable[Text]):
    """The list. Enter loads; a click only chooses the line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.toggle_load", "load/unload", key_display="enter", id="models.load"),
    ]


class Ended(Message):
    """Slow work is over: `then` draws its result, or `error` says in one line why there is none."""

    def __init__(self, work: Work, then: Callable[[], None] | None = None, error: str = "") -> None:
        super().__init__()
        self.work = work
        self.then = then
        self.error = error


class Looked(Message):
    """What the machine has now, and which engines are gone by themselves."""

    def __init__(self, machine: Machine, gone: list[str]) -> None:
        super().__init__()
        self.machine = machine
        self.gone = gone


class ModelsScreen(Frame):
    """A table of all known models and the card of the one that has the focus."""

    HELP_TITLE: ClassVar[str] = "Models"
    HELP: ClassVar[str] = (
        "A **model** is a file on this machine that continues text. Each line is one model; the card below describes "
        "the line that you are on. Nothing here uses the network, but for `g`.\n\n"
        "- **memory** says whether the model fits: *fits*, *tight* (little would be left for other programs) or "
        "*too large*.\n"
        "- **fingerprint** is computed from the whole file. Two people with the same fingerprint have the same model; "
        "every audit keeps it.\n"
        "- **chat template**: *yes* means that the model was trained to answer questions. *No* means that it only "
        "continues a text; it is then asked in plain form.\n"
        "- **offload** is how many of its layers run on a graphics card (GPU). More layers are faster. `o` changes "
        "that, and the length of the context, for this model.\n"
        "- **check** (`k`) asks three small questions in two ways that must give the same scores, lets the model write "
        "one sentence and measures its speed. Do this before you trust an audit of a new model.\n\n"
        "You need not load a model for an audit: an audit loads what it needs. A loaded model answers at once, but "
        "keeps its memory until you unload it or leave. `●` marks the models that are loaded.\n\n"
        "**Where do models come from?** `make install` brings two small ones. `s` finds those that other programs keep "
        "on this machine (the Hugging Face cache, LM Studio, Ollama), and those in a folder that you name: `.gguf` "
        "files and folders of safetensors. `g` fetches one from a list, over the network. Pay attention to the "
        "licence: it says what you may use the model for."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "toggle_load", "load/unload", key_display="enter", id="models.load", show=False),
        Binding("g", "get", "get", tooltip="fetch a model from a list", id="models.get"),
        Binding("s", "scan", "scan", tooltip="look for models in a folder", id="models.scan"),
        Binding("k", "check", "check", tooltip="check the scores and measure the speed", id="models.check"),
        Binding("o", "offload", "offload", tooltip="layers on the GPU, context, device", id="models.offload"),
        Binding("c", "compare", "compare", tooltip="set up an audit of this model", show=False, id="models.compare"),
        Binding("delete", "remove", "remove", tooltip="forget this model", show=False, id="models.remove"),
        Binding("escape", "back", "stop", tooltip="stop loading or checking", show=False, id="back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._models: list[CatalogModel] | None = None
        """None until the catalogue has been read."""
        self._machine: Machine | None = None
        self._works: dict[str, Work] = {}
        """What goes on, by what it goes on with."""
        self._focused = ""
        """Name of the model that the card shows."""
        self._layout: object = None
        """Columns and rows as the table has them."""
        self._turn = itertools.count(1)
        self._newest = 0
        """The number of the listing that is shown: an older one that comes later is not."""

    # -- what is drawn ------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """Title, table, card; a line for what goes on."""
        yield Static(id="models-title")
        yield Static(id="models-busy")
        yield Static(id="models-empty", classes="empty")
        yield ModelTable(id="models-table", cursor_type="row")
        with VerticalScroll(id="models-card"):
            yield Static(id="models-facts")

    def on_mount(self) -> None:
        """Put the starter models together, and look at the machine."""
        # Kept here: threads may outlive the moment when a screen still knows its application.
        self._core, self.session = self.core, session_of(self.workbench)
        self.set_interval(0.2, self._draw_busy)
        self.set_interval(_LOOK_SECONDS, self._look_again)
        self.watch(self.app, "theme", self._draw, init=False)
        self._begin(Work("starters", "", stoppable=False), self._prepare, self._prepared)
        self._look()

    def on_screen_resume(self) -> None:
        """Others may have changed the catalogue meanwhile."""
        self._begin(Work("list", "", stoppable=False), lambda _: self._list(), self._listed)

    async def on_unmount(self) -> None:
        """Give all memory back; nothing goes on behind a closed application."""
        import asyncio

        for running in list(self._works.values()):
            running.stop()
        await asyncio.to_thread(self.session.close)

    def on_resize(self) -> None:
        """Other columns, other line breaks."""
        self._draw()

    def _draw(self) -> None:
        models = self._models or []
        self._draw_title(models)
        self._draw_busy()
        self._draw_empty()
        self._draw_table(models)
        self._draw_card()

    def _draw_title(self, models: list[CatalogModel]) -> None:
        said = "reading the list…" if self._models is None else f"{len(models)} found"
        said += f" · {len(self.session.names)} loaded"
        said += f" · {size(self._machine.memory_free)} memory free" if self._machine else " · looking at the memory…"
        line = Text("Models", style="bold", end="", no_wrap=True)
        line.append(" " * max(2, self.app.size.width - 2 - len("Models") - cells(said)), style="")
        line.append(said, style="not bold")
        self.query_one("#models-title", Static).update(line)

    def _draw_busy(self) -> None:
        """What goes on, while anything does."""
        running = list(self._works.values())
        said = " · ".join(filter(None, (safe_text(one.line) for one in running)))
        if said and any(one.stoppable for one in running):
            said += "   (esc stops)"
        line = self.query_one("#models-busy", Static)
        line.display = bool(said)
        if said:
            line.update(clipped(said, self.app.size.width - 2))

    def _draw_empty(self) -> None:
        empty = self._models == [] and "starters" not in self._works
        widget = self.query_one("#models-empty", Static)
        widget.display = empty
        widget.update(content(EMPTY))
        for selector in ("#models-table", "#models-card"):
            self.query_one(selector).display = bool(self._models)

    def _draw_table(self, models: list[CatalogModel]) -> None:
        """Change the cells; make the table anew only where its lines or columns are others."""
        table = self.query_one(ModelTable)
        rows = {model.name: self._cells(model) for model in models}
        columns = fitted(_NARROW if self.narrow else _WIDE, list(rows.values()), self.app.size.width)
        layout = (list(rows), columns)
        drawn = {name: [cell(column, width, row) for column, width in columns] for name, row in rows.items()}
        if layout == self._layout:
            for name, line in drawn.items():
                for (column, _), text in zip(columns, line, strict=True):
                    table.update_cell(name, column.key, text)
            return
        self._layout = layout
        with table.prevent(DataTable.RowHighlighted):
            table.clear(columns=True)
            for column, width in columns:
                table.add_column(head(column), width=width, key=column.key)
            for name, line in drawn.items():
                table.add_row(*line, key=name)
            if models:
                table.move_cursor(row=self._place(models), animate=False)
        if models and self.focused is None:
            table.focus()

    def _place(self, models: list[CatalogModel]) -> int:
        """The line of the focused model; the first where it is gone."""
        place = next((place for place, model in enumerate(models) if model.name == self._focused), 0)
        self._focused = models[place].name
        return place

    def _cells(self, model: CatalogModel) -> Cells:
        """What the line of a model says."""
        none = Style.null()
        fit, card = self._fit(model), self.session.card(model.name)
        mark = _LOADING if model.name in self._works else _LOADED if card else ""
        rest = (model.licence, none)
        said: str = "on a server" if model.engine == "endpoint" else fit.verdict if fit else "…"
        verdict = (said, self._tone({"tight": "warning", "too large": "error"}.get(said, "")))
        device = _device(card.device, card.offload) if card else (fit.where if fit else "")
        if model.problem:
            rest = (f"cannot be used: {model.problem}", self._tone("error"))
            verdict, device = ("cannot be used" if self.narrow else "–", self._tone("error")), ""
        return {
            "mark": (mark, self._tone("success")),
            "name": (model.name, none),
            "format": (model.format, none),
            "parameters": (parameters(model.parameters), none),
            "size": (size(model.size) if model.size else "", none),
            "languages": (few(model.languages), none),
            "fits": verdict,
            "device": (device, none),
            "licence": rest,
        }

    def _draw_card(self) -> None:
        model = self._current()
        if model is None:
            return
        card = self.query_one("#models-card", VerticalScroll)
        card.border_title = content(f" {clip(safe_text(model.name), max(8, self.app.size.width - 12))} ")
        seen = models_card.Seen(
            model=model,
            options=self.core.options(model.name),
            machine=self._machine,
            fit=None if model.problem else self._fit(model),
            card=self.session.card(model.name),
            loaded=self.session.options(model.name),
            memory=self.session.memory(model.name),
            taken=self.session.taken.get(model.name),
            checked=self.session.checks.get(model.name),
        )
        text = models_card.drawn(models_card.rows(seen), self.app.size.width - 6, self._tone("error"))
        self.query_one("#models-facts", Static).update(text)

    def _fit(self, model: CatalogModel) -> Fit | None:
        """Whether the model fits; None before the machine is known."""
        if self._machine is None or model.engine == "endpoint":
            return None
        return self.core.fit(model, self._machine)

    def _tone(self, kind: str) -> Style:
        """A colour of the theme; the words say the same."""
        value = getattr(self.app.current_theme, kind, None) if kind else None
        return Style(color=Color.parse(value).rich_color) if value else Style.null()

    @on(DataTable.RowHighlighted)
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        if event.row_key is not None and event.row_key.value:
            self._focused = event.row_key.value
            self._draw_card()

    def _current(self) -> CatalogModel | None:
        """The focused model."""
        return next((model for model in self._models or [] if model.name == self._focused), None)

    def _usable(self) -> CatalogModel | None:
        """The focused model when something can be done with it now, else None and a line that says why."""
        model = self._current()
        if model is None:
            self.tell("There is no model here yet: g gets one, s scans a folder")
        elif model.problem:
            self.tell(f"{model.name} cannot be used: {model.problem}", error=True)
        elif model.name in self._works:
            self.tell(f"{model.name} is at work: wait, or stop it with esc")
        else:
            return model
        return None

    # -- slow work ----------------------------------------------------------------------------------------------

    def _begin(self, job: Work, call: Callable[[Work], T], then: Callable[[T], None]) -> None:
        """Do something slow in a thread; `then` draws its result. Not twice at once with the same thing."""
        if job.key in self._works:
            return
        self._works[job.key] = job
        self._draw()
        self.run_worker(partial(self._run, job, call, then), thread=True, exit_on_error=False, name=job.key)

    def _run(self, job: Work, call: Callable[[Work], T], then: Callable[[T], None]) -> None:
        """In the thread: whatever happens, the screen hears of it."""
        try:
            result = call(job)
        except Cancelled:
            self.post_message(Ended(job))
        except (EngineError, SettingsError) as error:
            self.post_message(Ended(job, error=str(error)))
        except Exception as error:
            # A bug must be seen, not swallowed: the log has its traceback, the screen its line.
            logging.getLogger("culture-workbench").exception("models: %s", job.key)
            self.post_message(Ended(job, error=f"{type(error).__name__}: {error} (the log has more: F12)"))
        else:
            self.post_message(Ended(job, partial(then, result)))

    @on(Ended)
    def _ended(self, event: Ended) -> None:
        self._works.pop(event.work.key, None)
        if event.then is not None:
            event.then()
        elif event.error:
            self.tell(event.error, error=True)
        elif event.work.stopped:
            fetching = event.work.key == _GET
            self.tell("Stopped; what came so far is kept, and g goes on from there" if fetching else "Stopped")
        self._draw()
        if event.work.key != "list":
            self._look()

    def _look_again(self) -> None:
        if self.is_current:
            self._look()

    @work(thread=True, exclusive=True, exit_on_error=False, group="look")
    def _look(self) -> None:
        """What is free now, and which engines are still there."""
        from engines.hardware import machine

        # torch takes seconds to ask: only where a model is there for it.
        torch = any(model.engine == "hf" for model in self._models or [])
        before = self._machine
        if torch and not (before and (before.torch_devices or before.torch_note)):
            self.post_message(Looked(machine(), []))
        self.post_message(Looked(machine(torch=torch), self.session.bury()))

    @on(Looked)
    def _looked(self, event: Looked) -> None:
        self._machine = event.machine
        for name in event.gone:
            self.tell(f"{name}: its process has ended by itself; enter loads it again (F12 shows the log)", error=True)
        self._draw()

    def _list(self) -> tuple[int, list[CatalogModel]]:
        """In a thread: the catalogue as it is now, numbered."""
        return next(self._turn), self._core.models()

    def _listed(self, listing: tuple[int, list[CatalogModel]]) -> None:
        number, models = listing
        if number > self._newest:
            self._newest, self._models = number, models
            if models:
                self._place(models)

    def _prepare(self, job: Work) -> tuple[list[str], tuple[int, list[CatalogModel]]]:
        return self._core.prepare_starters(job.progress), self._list()

    def _prepared(self, result: tuple[list[str], tuple[int, list[CatalogModel]]]) -> None:
        told, listing = result
        self._listed(listing)
        for line in told:
            self.tell(line)

    # -- keys ---------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Stop what can be stopped, else go back."""
        running = [job for job in self._works.values() if job.stoppable]
        for job in running:
            job.stop()
        if not running:
            super().action_back()

    def action_toggle_load(self) -> None:
        """Load the focused model, or give its memory back."""
        model = self._usable()
        if model is None:
            return
        if self.session.card(model.name) is not None:
            job = Work(model.name, f"unloading {model.name}", stoppable=False)
            self._begin(job, lambda _: self.session.unload(model.name), lambda _: None)
            return
        fit = self._fit(model)
        if fit is None or fit.verdict != "too large":
            self._load(model.name)
            return
        question = f"{model.name} needs about {size(fit.total)}, and {size(fit.free)} are free on {fit.device}."
        self.confirmed(f"{question} Load it all the same?", "Load", partial(self._load, model.name))

    def _load(self, name: str) -> None:
        self._begin(Work(name, f"loading {name}"), partial(self._loaded, name), self._listed)

    def _loaded(self, name: str, job: Work) -> tuple[int, list[CatalogModel]]:
        self.session.load(name, job)
        # It has its fingerprint now.
        return self._list()

    def action_check(self) -> None:
        """Check the focused model's scores and measure its speed."""
        model = self._usable()
        if model is not None:
            self._begin(Work(model.name, f"checking {model.name}"), partial(self.session.check, model.name), self._told)

    def _told(self, checked: Checked) -> None:
        name = checked.card.name
        if checked.ok:
            self.tell(
                f"{name} passes the check: prompt {checked.prompt_pace:.0f} tok/s · answer {checked.answer_pace:.0f} "
                "tok/s"
            )
        else:
            self.tell(f"{name} does not pass the check: {checked.said}", error=True)

    def action_scan(self) -> None:
        """Ask for a folder and look for models in it."""
        from screens.dialogs import Ask

        question = (
            "Look for models in this folder and those inside it (and in the folders of your settings). Empty: where "
            "other programs keep theirs (Hugging Face cache, LM Studio, Ollama)."
        )
        self.app.push_screen(Ask(question, placeholder="~/models"), self._scan)

    def _scan(self, answer: str | None) -> None:
        if answer is None:
            return
        folder = answer.strip().strip("'\"")
        stores = [] if folder else [place.kind for place in self._core.stores() if place.exists]
        where = folder or ", ".join(dict.fromkeys(["your folders", *stores]))
        job = Work("scan", f"looking through {where}", stoppable=False)
        self._begin(job, lambda _: (self._core.scan([folder] if folder else []), self._list()), self._scanned)

    def _scanned(self, result: tuple[list[CatalogModel], tuple[int, list[CatalogModel]]]) -> None:
        new, listing = result
        if new:
            self._focused = new[0].name
            self._layout = None
        self._listed(listing)
        bad = sum(1 for model in new if model.problem)
        said = f"{len(new)} new model{'s' * (len(new) != 1)}" if new else "Nothing new was found"
        self.tell(f"{said}, {bad} of them cannot be used" if bad else said)

    def action_get(self) -> None:
        """Show the models that can be fetched."""
        from screens.offers import OffersScreen

        try:
            offers = self.core.offers()
        except EngineError as error:
            self.tell(str(error), error=True)
            return
        known = {model.name for model in self._models or []}
        context = self.core.settings.context
        self.app.push_screen(OffersScreen(offers, self._machine, context, known, self._look_up))

    def _look_up(self, name: str) -> None:
        if _GET in self._works:
            self.tell("One model is being fetched already: wait, or stop it with esc")
            return
        self._begin(Work(_GET, f"asking the hub for {name}"), lambda _: self._core.look_up(name), self._looked_up)

    def _looked_up(self, looked: LookedUp) -> None:
        """Ask before anything is fetched."""
        licence = " · ".join(filter(None, (looked.licence, looked.licence_note))) or "not said: read the model's card"
        files = f"{len(looked.files)} file{'s' * (len(looked.files) != 1)}"
        question = (
            f"Fetch {looked.name}, {size(looked.size)} in {files}, from {looked.repository}?\n\nLicence: {licence}\n\n"
            "Fetching it means that you agree to its licence."
        )
        self.confirmed(question, "Fetch", partial(self._fetch, looked))

    def _fetch(self, looked: LookedUp) -> None:
        self._begin(Work(_GET, f"getting {looked.name}"), partial(self._fetched, looked), self._got)

    def _fetched(self, looked: LookedUp, job: Work) -> tuple[CatalogModel, tuple[int, list[CatalogModel]]]:
        model = self._core.fetch(looked, lambda name, done, total: job.progress(f"getting {name}", done, total))
        return model, self._list()

    def _got(self, result: tuple[CatalogModel, tuple[int, list[CatalogModel]]]) -> None:
        model, listing = result
        self._focused, self._layout = model.name, None
        self._listed(listing)
        if model.problem:
            self.tell(f"{model.name} is there, but cannot be used: {model.problem}", error=True)
        else:
            self.tell(f"{model.name} is there: enter loads it, k checks it")

    def action_offload(self) -> None:
        """Ask how the focused model is loaded: layers on the GPU, context, device."""
        from screens.loading import LoadingDialog, questions
        from workbench.settings import Loading

        model = self._usable()
        if model is None:
            return
        settings = self.core.settings
        asked = questions(
            model.engine,
            self.core.options(model.name).gpu_layers,
            settings.loading.get(model.name, Loading()),
            settings.context,
            asks_for_code=model.remote_code,
        )
        self.app.push_screen(LoadingDialog(f"How {model.name} is loaded", asked), partial(self._offload, model.name))

    def _offload(self, name: str, answers: dict[str, str] | None) -> None:
        """Keep the answers for this model, in the settings and in force."""
        from screens.loading import MOST_LAYERS, layers_of, loading_of
        from workbench.settings import Loading

        if answers is None:
            return
        settings = self.core.settings
        offload, loading = dict(settings.offload), dict(settings.loading)
        if "layers" in answers:
            layers = layers_of(answers["layers"])
            if layers is None:
                self.tell(f"{answers['layers']!r} is neither auto, none nor a number up to {MOST_LAYERS:,}", error=True)
                return
            if layers != self.core.options(name).gpu_layers:
                offload[name] = layers
        own = loading_of(answers)
        if isinstance(own, str):
            self.tell(own, error=True)
            return
        loading.pop(name, None)
        if own != Loading():
            loading[name] = own
        changes = {"offload": offload, "loading": loading}
        changes = {key: value for key, value in changes.items() if value != getattr(settings, key)}
        try:
            if changes:
                save(msgspec.to_builtins(changes))
        except SettingsError as error:
            self.tell(str(error), error=True)
            return
        self.core.settings = msgspec.structs.replace(settings, **changes)
        again = " when it is loaded again" if self.session.card(name) else ""
        options = self.core.options(name)
        where = (
            models_card.planned(options.gpu_layers, self._machine)
            if "layers" in answers
            else models_card.planned_device(own)
        )
        self.tell(f"{name}: context {options.context:,} · {where}{again}")
        self._draw()

    def action_remove(self) -> None:
        """Forget the focused model, after a question."""
        model = self._current()
        if model is None or model.name in self._works:
            self._usable()
            return
        if model.origin == "settings":
            self.tell(f"{model.name} stands in settings.toml, under [endpoints]: take it out there")
            return
        try:
            owned = self.core.catalog.owns(model)
        except EngineError as error:
            self.tell(str(error), error=True)
            return
        question = (
            f"Remove {model.name} and delete its files ({size(model.size)})?"
            if owned
            else f"Forget {model.name}? Its files stay where they are: {model.path}"
        )
        job = Work(model.name, f"removing {model.name}", stoppable=False)
        begin = partial(self._begin, job, partial(self._removed, model.name), self._gone)
        self.confirmed(question, "Remove" if owned else "Forget", begin)

    def _removed(self, name: str, _: Work) -> tuple[str, bool, tuple[int, list[CatalogModel]]]:
        self.session.unload(name)
        return name, self._core.catalog.remove(name), self._list()

    def _gone(self, result: tuple[str, bool, tuple[int, list[CatalogModel]]]) -> None:
        name, deleted, listing = result
        self._listed(listing)
        for path in self.core.catalog.left:
            self.tell(f"{path} is no longer as it was fetched, so it was left alone")
        self.tell(f"{name}: {'its files are deleted' if deleted else 'forgotten; its files were left alone'}")

    def action_compare(self) -> None:
        """Choose the focused model and go where audits are set up."""
        model = self._current()
        if model is None or model.problem:
            self._usable()
            return
        self.session.chosen = model.name
        self.app.switch_mode("compare")


def _device(device: str, offload: str) -> str:
    """`CPU`, or the kind of GPU and how many layers are on it."""
    return device if offload == "none" else f"{device} {offload.replace(' layers', '')}"
