"""The screen of models, with a catalogue of the test's own and scripted engines; once with a real model."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import raw_gguf
from hub import running
from rich.style import Style
from rich.text import Text
from scripted import Background, Scripted
from textual.pilot import Pilot
from textual.widgets import DataTable, Footer, Input, Static

from engines import hardware
from engines.base import EngineError, LoadOptions
from engines.describe import CatalogModel
from engines.fetch import Looked, Wanted
from engines.hardware import Device, Machine
from engines.header import MemoryFacts
from screens import models, models_card
from screens.columns import fitted
from screens.dialogs import Ask, Confirm
from screens.frame import Frame
from screens.loading import LoadingDialog, layers_of, loading_of, questions
from screens.models import ModelsScreen, ModelTable
from screens.offers import OffersScreen
from workbench.app import WorkbenchApp
from workbench.core import Progress, Workbench
from workbench.paths import settings_path
from workbench.settings import Loading, Settings
from workbench.text import cells

PATIENCE = 2000
"""Turns of the event loop after which a condition that should have come is taken for lost."""
MACHINE = Machine(
    system="Test x86_64",
    cpu="A processor",
    physical_cores=2,
    logical_cores=2,
    memory_total=32_000_000_000,
    memory_free=21_400_000_000,
    gpu_note="no GPU in this build of llama.cpp",
)


def catalogued(name: str, **facts: Any) -> CatalogModel:
    """A model as the catalogue lists it."""
    given: dict[str, Any] = {
        "format": "GGUF Q4_1",
        "parameters": 135_000_000,
        "size": 98_000_000,
        "context": 8192,
        "vocabulary": 49_152,
        "languages": ("en",),
        "licence": "Apache-2.0",
        "fingerprint": "9f2c" * 16,
        "template": True,
        "memory": MemoryFacts(cache_per_token=20_000, vocabulary=49_152, heads=9, embedding=576),
        "origin": "starter",
    } | facts
    return CatalogModel(name=name, path=f"/models/{name}.gguf", **given)


SMALL = catalogued("smollm2-135m-instruct")
BASE = catalogued(
    "gemma-3-270m",
    format="GGUF Q4_K_M",
    template=False,
    licence="Gemma terms",
    languages=("140+ languages",),
    origin="found",
)
BROKEN = catalogued("broken", parameters=0, licence="", languages=(), problem="is cut off at 10 %: copy it again")


class Catalogue:
    """As much of `engines.catalog.Catalog` as the screen needs."""

    left: tuple[str, ...] = ()

    def __init__(self, found: list[CatalogModel]) -> None:
        self.found = found

    def list(self) -> list[CatalogModel]:
        return list(self.found)

    def find(self, name: str) -> CatalogModel:
        return next(model for model in self.found if model.name == name)

    def fingerprint(self, model: CatalogModel, progress: Callable[[int, int], None] | None = None) -> str:
        if progress is not None:
            progress(model.size // 2, model.size)
        return model.fingerprint

    def owns(self, model: CatalogModel) -> bool:
        return model.origin in {"starter", "fetched"}

    def remove(self, name: str) -> bool:
        model = self.find(name)
        self.found.remove(model)
        return self.owns(model)


class Core(Workbench):
    """A workbench with fixed models. `make` opens an engine by name; `starting` is called instead of putting starter
    models together."""

    def __init__(self, *found: CatalogModel, make: Callable[[str], Scripted] = Scripted) -> None:
        super().__init__(Settings())
        self.known = Catalogue(list(found))
        self.make = make
        self.made: list[Scripted] = []
        self.scanned: list[list[str]] = []
        self.new: list[CatalogModel] = []
        self.starting: Callable[[Progress], list[str]] = lambda progress: []

    @property
    def catalog(self) -> Any:
        return self.known

    def prepare_starters(self, progress: Progress | None = None, *, restore: bool = False) -> list[str]:
        assert progress is not None
        return self.starting(progress)

    def open_engine(self, name: str, options: LoadOptions | None = None, progress: Progress | None = None) -> Any:
        self.made.append(self.make(name))
        return self.made[-1]

    def scan(self, folders: Any = ()) -> list[CatalogModel]:
        self.scanned.append([str(folder) for folder in folders])
        if "nowhere" in self.scanned[-1]:
            raise EngineError("nowhere: is not there")
        self.known.found += self.new
        return self.new


class Elsewhere(Frame):
    """Stands for the other modes."""

    def body(self) -> Iterator[Static]:
        yield Static("elsewhere")


class App(WorkbenchApp):
    """The application without its other screens."""

    MODES: ClassVar[dict[str, Any]] = {"models": ModelsScreen, "compare": Elsewhere, "history": Elsewhere}


class View:
    """What a user sees and presses."""

    def __init__(self, app: App, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> ModelsScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, ModelsScreen)
        return screen

    @property
    def table(self) -> ModelTable:
        return self.screen.query_one(ModelTable)

    def text(self, selector: str) -> str:
        widget = self.screen.query_one(selector, Static)
        return str(widget.content) if widget.display else ""

    @property
    def busy(self) -> str:
        return self.text("#models-busy")

    @property
    def card(self) -> str:
        return self.text("#models-facts")

    def lines(self) -> list[list[str]]:
        return [[cell.plain.strip() for cell in self.table.get_row_at(row)] for row in range(self.table.row_count)]

    def toasts(self) -> list[str]:
        return [one.message for one in self.app._notifications]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what a thread brings about."""
        for _ in range(PATIENCE):
            if condition():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.005)
        raise AssertionError(f"never came; the screen says {self.busy!r}, {self.lines()}, {self.toasts()}")

    async def type(self, text: str) -> None:
        """Answer the question that is open."""
        await self.until(lambda: isinstance(self.app.screen, Ask))
        self.app.screen.query_one(Input).value = text
        await self.press("enter")

    async def fill(self, **answers: str) -> None:
        """Answer the lines of the dialog about loading."""
        await self.until(lambda: isinstance(self.app.screen, LoadingDialog))
        for key, text in answers.items():
            self.app.screen.query_one(f"#loading-{key}", Input).value = text
        await self.press("enter")


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("model") is None:
        monkeypatch.setattr(hardware, "machine", lambda **_: MACHINE)


@asynccontextmanager
async def opened(core: Workbench, size: tuple[int, int] = (120, 36), *, ready: bool = True) -> Any:
    """The application on its screen of models; `ready`: once the list is there and nothing goes on."""
    app = App(core)
    async with app.run_test(size=size, notifications=True) as pilot:
        view = View(app, pilot)
        if ready:
            await view.until(lambda: view.screen._machine and not view.screen._works)
        yield view


@contextmanager
def audit_on(core: Core, device: str = "cpu") -> Iterator[threading.Event]:
    """Another thread that has the device, until the event that comes back is set; it steps aside only then."""
    has, go = threading.Event(), threading.Event()

    def hold() -> None:
        with core.scheduler.lease(device) as lease:
            has.set()
            go.wait(60)
            lease.step_aside()

    holder = Background(hold)
    assert has.wait(60)
    try:
        yield go
    finally:
        go.set()
        holder.result()


# -- what is shown ----------------------------------------------------------------------------------------------------


async def test_the_list_says_what_each_model_is() -> None:
    async with opened(Core(SMALL, BASE, BROKEN)) as view:
        title = view.text("#models-title")
        assert title.startswith("Models ")
        assert title.endswith(" 3 found · 0 loaded · 21.4 GB memory free")
        assert cells(title) == 118
        first, second, third = view.lines()
        assert first == ["", SMALL.name, "GGUF Q4_1", "135 M", "98 MB", "en", "fits", "CPU", "Apache-2.0"]
        assert second[5:] == ["140+ languages", "fits", "CPU", "Gemma terms"]
        assert third[-1].startswith("cannot be used: is cut off")


async def test_the_card_follows_the_line() -> None:
    async with opened(Core(SMALL, BASE, BROKEN)) as view:
        assert "9f2c9f2c9f2c…    context 8,192    vocabulary 49,152    chat template yes" in view.card
        assert "of 21.4 GB free    fits" in view.card
        assert "none (no GPU in this build of llama.cpp)" in view.card
        assert SMALL.path in view.card
        await view.press("down")
        await view.until(lambda: "chat template no" in view.card)
        await view.press("down")
        await view.until(lambda: "cannot be used: is cut off at 10 %: copy it again" in view.card)


async def test_names_from_files_are_never_markup() -> None:
    name = "[red]nasty[/]\x1b[31m\u202e模型"
    broken = catalogued("b", problem="[bold]no[/bold]")
    async with opened(Core(catalogued(name, licence="[link=x]l[/link]"), broken)) as view:
        cells_ = [cell for row in range(2) for cell in view.table.get_row_at(row)]
        assert all(isinstance(cell, Text) for cell in cells_)
        assert view.lines()[0][1] == "[red]nasty[/]模型"
        assert view.lines()[0][-1] == "[link=x]l[/link]"
        assert "[red]nasty[/]模型.gguf" in view.card
        assert str(view.screen.query_one("#models-card").border_title).strip() == "\\[red]nasty\\[/]模型"
        await view.press("down", "enter")
        assert "b cannot be used: [bold]no[/bold]" in view.toasts()


async def test_without_models_the_screen_says_which_key_is_next() -> None:
    async with opened(Core()) as view:
        assert view.text("#models-empty") == models.EMPTY
        assert not view.table.display
        await view.press("k", "o", "enter", "delete", "c")
        assert isinstance(view.app.screen, ModelsScreen)
        assert set(view.toasts()) == {"There is no model here yet: g gets one, s scans a folder"}


async def test_the_footer_has_at_most_six_keys() -> None:
    async with opened(Core(SMALL), (80, 24)) as view:
        keys = [key for key in view.screen.query_one(Footer).query("FooterKey") if key.display]
        assert len(keys) == 6
        assert sum(cells(f" {key.key_display} {key.description} ") for key in keys) <= 80


@pytest.mark.parametrize("size", [(80, 24), (99, 30), (100, 30), (120, 36), (200, 50)])
async def test_nothing_scrolls_sideways(size: tuple[int, int]) -> None:
    wordy = catalogued(
        "a-model-whose-name-goes-on-and-on-" * 3,
        format="GGUF IQ4_NL_VERY_LONG",
        languages=("zh", "en", "日本語の言葉", "th"),
        licence="A licence with a long name " * 4,
        licence_note="x" * 300,
        problem="",
    )
    many = [catalogued(f"model-{number}") for number in range(60)]
    async with opened(Core(wordy, BROKEN, *many), size) as view:
        table = view.table
        assert table.virtual_size.width <= table.scrollable_content_region.width
        assert view.lines()[0][1].endswith("…")
        labels = [column.label.plain for column in table.ordered_columns]
        assert labels == (
            ["", "name", "format", "size", "memory"]
            if size[0] < 100
            else ["", "name", "format", "weights", "size", "languages", "memory", "device", "licence"]
        )
        assert max(cells(line) for line in view.card.splitlines()) <= size[0] - 5
        assert "".join(view.card.split()).count("x") >= 300
        card = view.screen.query_one("#models-card")
        assert card.size.height >= 5
        assert table.size.height >= 3


async def test_a_narrower_terminal_gets_fewer_columns_and_the_line_stays() -> None:
    async with opened(Core(SMALL, BASE)) as view:
        await view.press("down")
        await view.pilot.resize_terminal(80, 24)
        await view.until(lambda: len(view.table.columns) == 5)
        assert view.table.cursor_row == 1
        assert "Gemma terms" in view.card
        await view.pilot.resize_terminal(120, 36)
        await view.until(lambda: len(view.table.columns) == 9)
        assert view.table.cursor_row == 1


async def test_a_gpu_is_named_and_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Device(name="CUDA0 H200", kind="CUDA", total=140_000_000_000, free=130_000_000_000)
    machine = msgspec.structs.replace(MACHINE, devices=(gpu,), gpu_offload_supported=True, gpu_note="")
    monkeypatch.setattr(hardware, "machine", lambda **_: machine)
    async with opened(Core(SMALL)) as view:
        assert view.lines()[0][7] == "CUDA0 H200"
        assert "automatic: as many layers as fit" in view.card


async def test_a_model_that_fits_in_part_says_how_many_layers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Device(name="CUDA0 RTX 4060", kind="CUDA", total=8_000_000_000, free=7_000_000_000)
    machine = msgspec.structs.replace(MACHINE, devices=(gpu,), gpu_offload_supported=True, gpu_note="")
    monkeypatch.setattr(hardware, "machine", lambda **_: machine)
    memory = msgspec.structs.replace(SMALL.memory, layers=(300_000_000,) * 28, output=100_000_000)
    async with opened(Core(catalogued("large", size=8_900_000_000, memory=memory)), (140, 36)) as view:
        assert view.lines()[0][7] == "CUDA0 18/29 layers"
        assert "18 of 29 layers fit" in view.card


def test_layers_are_worded() -> None:
    assert models_card.planned(0, MACHINE) == "none"
    assert models_card.planned(12, MACHINE) == "12 layers asked for, none possible (no GPU in this build of llama.cpp)"
    assert models_card.planned(-1, None) == "automatic"


@pytest.mark.parametrize(
    ("answer", "layers"),
    [("auto", -1), (" Auto ", -1), ("none", 0), ("0", 0), ("36", 36), ("10001", None), ("", None), ("-3", None),
     ("²", None), ("many", None)],
)  # fmt: skip
def test_answers_about_layers(answer: str, layers: int | None) -> None:
    assert layers_of(answer) == layers


@pytest.mark.parametrize("width", [8, 20, 61])
def test_wrapping_loses_no_character(width: int) -> None:
    text = "weights 98 MB 模型的路径很长很长很长 /a/very/long/path/without/any/blank/in/it/at/all"
    lines = models_card.wrapped(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cells(line) <= width for line in lines)


def test_columns_give_way_widest_first() -> None:
    row = {column.key: ("x" * 30, Style.null()) for column in models._WIDE}
    widths = {column.key: width for column, width in fitted(models._WIDE, [row], 110)}
    assert sum(widths.values()) + 2 * len(widths) + 2 == 110
    assert (widths["mark"], widths["fits"]) == (1, 14)
    assert abs(widths["name"] - widths["licence"]) <= 1


# -- starter models ---------------------------------------------------------------------------------------------------


async def test_starter_models_are_put_together_behind_the_screen() -> None:
    core = Core()
    go = threading.Event()

    def starting(progress: Progress) -> list[str]:
        progress("smollm2-135m-instruct", 45, 100)
        assert go.wait(60)
        core.known.found.append(SMALL)
        return ["smollm2-135m-instruct was put there"]

    core.starting = starting
    async with opened(core, ready=False) as view:
        await view.until(lambda: view.busy.startswith("smollm2-135m-instruct: 45 %"))
        assert not view.text("#models-empty")
        await view.press("escape", "f1")
        await view.until(lambda: len(view.app.screen_stack) == 2)
        await view.press("escape")
        assert view.busy.startswith("smollm2-135m-instruct: 45 %")
        go.set()
        await view.until(lambda: view.lines() and not view.busy)
        assert "smollm2-135m-instruct was put there" in view.toasts()
        assert view.table.has_focus


async def test_leaving_stops_what_goes_on() -> None:
    core = Core()
    reached, stopped = threading.Event(), threading.Event()

    def starting(progress: Progress) -> list[str]:
        try:
            while True:
                progress("smollm2-135m-instruct", 1, 100)
                reached.set()
        finally:
            stopped.set()

    core.starting = starting
    async with opened(core, ready=False) as view:
        await view.until(reached.is_set)
    assert stopped.wait(60)


async def test_an_error_with_the_starters_keeps_the_list() -> None:
    core = Core(SMALL)

    def starting(progress: Progress) -> list[str]:
        raise EngineError("the disk is full")

    core.starting = starting
    async with opened(core) as view:
        await view.until(view.lines)
        assert view.toasts() == ["the disk is full"]


# -- loading ----------------------------------------------------------------------------------------------------------


async def test_enter_loads_and_unloads() -> None:
    core = Core(SMALL, BASE)
    async with opened(core) as view:
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "●")
        assert "1 loaded" in view.text("#models-title")
        assert "threads 1 (calibrated)" in view.card
        assert "can score · generate · tokenize" in view.card
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "")
        await view.until(lambda: core.made[0].closed)
        assert "0 loaded" in view.text("#models-title")


async def test_a_click_only_chooses_the_line() -> None:
    core = Core(SMALL, BASE)
    async with opened(core) as view:
        await view.pilot.click(ModelTable, offset=(10, 2))
        await view.until(lambda: "chat template no" in view.card)
        await view.pilot.click(ModelTable, offset=(10, 2))
        assert not core.made
        assert not view.screen._works


async def test_leaving_unloads() -> None:
    core = Core(SMALL, BASE)
    async with opened(core) as view:
        await view.press("enter", "down", "enter")
        await view.until(lambda: "2 loaded" in view.text("#models-title"))
    assert [engine.closed for engine in core.made] == [True, True]


async def test_a_model_that_does_not_load_is_one_line() -> None:
    def fails(name: str) -> Scripted:
        raise EngineError(f"{name}: [not] enough memory")

    async with opened(Core(SMALL, make=fails)) as view:
        await view.press("enter")
        await view.until(view.toasts)
        assert view.toasts() == ["smollm2-135m-instruct: [not] enough memory"]
        assert view.lines()[0][0] == ""


async def test_a_bug_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fails(name: str) -> Scripted:
        raise ZeroDivisionError("oops")

    async with opened(Core(SMALL, make=fails)) as view:
        await view.press("enter")
        await view.until(view.toasts)
        assert view.toasts() == ["ZeroDivisionError: oops (the log has more: F12)"]
    assert "Traceback" in caplog.text


async def test_loading_waits_for_the_audit_without_blocking_the_screen() -> None:
    core = Core(SMALL, BASE)
    with audit_on(core) as go:
        async with opened(core) as view:
            await view.press("enter")
            await view.until(lambda: "waiting for the CPU" in view.busy)
            assert view.lines()[0][0] == "◌"
            assert core.scheduler.interactive_waiting("cpu")
            await view.press("down")
            assert view.table.cursor_row == 1
            await view.press("up", "enter")
            assert "smollm2-135m-instruct is at work: wait, or stop it with esc" in view.toasts()
            assert not core.made
            go.set()
            await view.until(lambda: view.lines()[0][0] == "●")


async def test_escape_gives_up_waiting() -> None:
    core = Core(SMALL)
    with audit_on(core):
        async with opened(core) as view:
            await view.press("enter")
            await view.until(lambda: "waiting for the CPU" in view.busy and "(esc stops)" in view.busy)
            await view.press("escape")
            await view.until(lambda: not view.screen._works)
            assert view.toasts() == ["Stopped"]
            assert not core.made


async def test_a_load_that_was_stopped_too_late_is_given_back() -> None:
    reached, go = threading.Event(), threading.Event()

    def slow(name: str) -> Scripted:
        reached.set()
        assert go.wait(60)
        return Scripted(name)

    core = Core(SMALL, make=slow)
    async with opened(core) as view:
        await view.press("enter")
        await view.until(reached.is_set)
        await view.press("escape")
        go.set()
        await view.until(lambda: core.made and core.made[0].closed)
        await view.until(lambda: not view.screen._works)
        assert view.lines()[0][0] == ""


async def test_what_is_too_large_is_asked_about() -> None:
    core = Core(catalogued("huge", size=90_000_000_000))
    async with opened(core) as view:
        assert view.lines()[0][6] == "too large"
        await view.press("enter")
        assert isinstance(view.app.screen, Confirm)
        await view.press("escape")
        assert not core.made
        await view.press("enter", "y")
        await view.until(lambda: view.lines()[0][0] == "●")


async def test_an_engine_that_died_by_itself_is_noticed() -> None:
    class Mortal(Scripted):
        held = 1000

        def memory(self) -> int:
            return self.held

    core = Core(SMALL, make=Mortal)
    async with opened(core) as view:
        await view.press("enter")
        await view.until(lambda: "in use 1 kB" in view.card)
        core.made[0].held = 0  # type: ignore[attr-defined]
        view.screen._look()
        await view.until(lambda: view.lines()[0][0] == "")
        assert any("its process has ended by itself" in line for line in view.toasts())


# -- checking ---------------------------------------------------------------------------------------------------------


async def test_checking_says_speed_and_sentence_and_unloads_again() -> None:
    core = Core(SMALL)
    async with opened(core) as view:
        await view.press("k")
        await view.until(lambda: "speed" in view.card)
        assert "tok/s · answer" in view.card
        assert "passed: fast and plain scores differ by 0.0000 nats" in view.card
        assert "“The tea is served with是”" in view.card
        assert core.made[0].closed
        assert any("passes the check" in line for line in view.toasts())


async def test_a_model_that_fails_the_check_is_said_to() -> None:
    core = Core(SMALL, make=lambda name: Scripted(name, score=lambda request, place: -1.0))
    async with opened(core) as view:
        await view.press("k")
        await view.until(lambda: "NOT PASSED" in view.card)
        assert any("does not pass the check: all 9 scores are equal" in line for line in view.toasts())


async def test_a_model_that_cannot_write_fails_the_check() -> None:
    core = Core(SMALL, make=lambda name: Scripted(name, write=lambda request: "ERROR no window"))
    async with opened(core) as view:
        await view.press("k")
        await view.until(lambda: "NOT PASSED: it could not write: no window" in view.card)


async def test_a_loaded_model_that_dies_in_the_check_is_unloaded() -> None:
    core = Core(SMALL, make=lambda name: Scripted(name, dies_after=2))
    async with opened(core) as view:
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "●")
        await view.press("k")
        await view.until(lambda: view.lines()[0][0] == "")
        await view.until(view.toasts)
        assert view.toasts()[-1].endswith("ended by SIGKILL (out of memory?)")
        assert core.made[0].closed


async def test_escape_stops_a_check_and_the_model_stays_loaded() -> None:
    core = Core(SMALL, make=lambda name: Scripted(name, gate=threading.Event(), gate_at=1))
    async with opened(core) as view:
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "●")
        await view.press("k")
        await view.until(core.made[0].reached.is_set)
        await view.press("escape")
        await view.until(lambda: not view.screen._works)
        assert view.toasts() == ["Stopped"]
        assert view.lines()[0][0] == "●"
        with core.scheduler.lease("cpu"):
            pass  # The device was given back.


# -- the other keys ---------------------------------------------------------------------------------------------------


async def test_offload_is_kept_in_the_settings() -> None:
    core = Core(SMALL, BASE)
    async with opened(core) as view:
        await view.press("o")
        await view.until(lambda: isinstance(view.app.screen, LoadingDialog))
        assert view.app.screen.query_one("#loading-layers", Input).value == "auto"
        assert view.app.screen.query_one("#loading-context", Input).placeholder == "4,096"
        await view.fill(layers="12", context="2,048")
        await view.until(lambda: "12 layers asked for" in view.card)
        assert "(context 2,048)" in view.card
        await view.press("down", "o")
        await view.fill(layers="none")
        saved = tomllib.loads(settings_path().read_text())
        assert saved == {"offload": {SMALL.name: 12, BASE.name: 0}, "loading": {SMALL.name: {"context": 2048}}}
        assert core.options(BASE.name).gpu_layers == 0
        assert (core.options(SMALL.name).context, core.options(BASE.name).context) == (2048, 4096)
        await view.press("o")
        await view.fill(layers="lots")
        assert view.toasts()[-1] == "'lots' is neither auto, none nor a number up to 10,000"
        await view.press("o")
        await view.fill(context="3")
        assert view.toasts()[-1] == "context = 3 is out of range: choose 64 to 1048576"
        assert tomllib.loads(settings_path().read_text()) == saved
        await view.press("up", "o")
        await view.fill(context="")
        await view.until(lambda: "(context 4,096)" in view.card)
        assert tomllib.loads(settings_path().read_text())["loading"] == {}


async def test_a_safetensors_model_has_its_own_questions() -> None:
    core = Core(catalogued("folder", engine="hf", format="HF bf16", remote_code=True))
    async with opened(core) as view:
        assert "asks for it; refused unless you allow it (o)" in view.card
        assert "torch is not installed" in view.card
        await view.press("o")
        await view.fill(device="cuda:1", dtype="float16", code="no")
        assert tomllib.loads(settings_path().read_text()) == {
            "loading": {"folder": {"device": "cuda:1", "dtype": "float16"}}
        }
        assert view.toasts()[-1] == "folder: context 4,096 · device cuda:1 · numbers float16"
        await view.press("o")
        await view.fill(dtype="bf16")
        assert "'bf16' is none of auto, float32" in view.toasts()[-1]


def test_only_a_model_that_brings_code_is_asked_about_it() -> None:
    keys = [one.key for one in questions("hf", -1, Loading(), 4096, asks_for_code=False)]
    assert keys == ["context", "device", "dtype"]
    assert questions("hf", -1, Loading(remote_code=True), 4096, asks_for_code=True)[-1].value == "yes"
    assert loading_of({"context": "", "device": "auto", "dtype": "auto", "code": "no"}) == Loading()
    assert loading_of({"context": "2 048", "code": "yes"}) == Loading(context=2048, remote_code=True)
    assert loading_of({"context": "²"}) == "'²' is no number of tokens"
    assert loading_of({"code": "perhaps"}) == "'perhaps' is neither yes nor no"


async def test_offload_of_a_loaded_model_waits_for_the_next_load() -> None:
    async with opened(Core(SMALL)) as view:
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "●")
        await view.press("o")
        await view.fill(layers="none")
        await view.until(lambda: "when it is loaded again: none" in view.card)
        assert view.toasts()[-1] == "smollm2-135m-instruct: context 4,096 · none when it is loaded again"


async def test_settings_that_cannot_be_written_are_one_line(home: Path) -> None:
    core = Core(SMALL)
    (home / "settings.toml").write_text("not toml")
    async with opened(core) as view:
        await view.press("o")
        await view.fill(layers="3")
        await view.until(view.toasts)
        assert "not valid TOML" in view.toasts()[0]
        assert core.settings.offload == {}
        assert (home / "settings.toml").read_text() == "not toml"


# -- fetching ---------------------------------------------------------------------------------------------------------


class Fetching(Core):
    """A workbench that looks up and fetches without a network; `during` is called while it fetches."""

    def __init__(self, *found: CatalogModel) -> None:
        super().__init__(*found)
        self.asked: list[str] = []
        self.during: Callable[[Progress], None] = lambda progress: None

    def look_up(self, name: str, *, file: str = "", revision: str = "") -> Looked:
        self.asked.append(name)
        if name == "org/gone":
            raise EngineError("org/gone is not on the hub")
        return Looked(
            name=name, repository=f"org/{name}", revision="c" * 40, endpoint="https://hub.example",
            files=(Wanted(name="a.gguf", size=640_000_000),), model="a.gguf", licence="Apache-2.0", licence_note="",
            languages=("zh",), gated=False,
        )  # fmt: skip

    def fetch(self, looked: Looked, progress: Progress | None = None) -> CatalogModel:
        assert progress is not None
        self.during(progress)
        self.known.found.append(catalogued(looked.name, origin="fetched", repository=looked.repository))
        return self.known.found[-1]


async def test_a_model_is_got_from_the_list_after_its_licence() -> None:
    core = Fetching(SMALL)
    go = threading.Event()

    def during(progress: Progress) -> None:
        progress("qwen3-0.6b", 320_000_000, 640_000_000)
        assert go.wait(60)

    core.during = during
    async with opened(core) as view:
        await view.press("g")
        await view.until(lambda: isinstance(view.app.screen, OffersScreen))
        about = str(view.app.screen.query_one("#offers-about", Static).content)
        assert "Qwen/Qwen3-0.6B-GGUF" in about
        await view.press("enter")
        await view.until(lambda: isinstance(view.app.screen, Confirm))
        question = str(view.app.screen.query_one(".question", Static).content)
        assert "Fetch qwen3-0.6b, 640 MB in 1 file, from org/qwen3-0.6b?" in question
        assert "Licence: Apache-2.0" in question
        assert core.asked == ["qwen3-0.6b"]
        await view.press("y")
        await view.until(lambda: view.busy.startswith("getting qwen3-0.6b: 50 %"))
        await view.press("g")
        await view.until(lambda: isinstance(view.app.screen, OffersScreen))
        await view.press("enter")
        await view.until(lambda: isinstance(view.app.screen, ModelsScreen))
        assert "One model is being fetched already" in view.toasts()[-1]
        go.set()
        await view.until(lambda: len(view.lines()) == 2)
        assert view.table.cursor_row == 1
        assert "fetched here" in view.card
        assert "qwen3-0.6b is there: enter loads it, k checks it" in view.toasts()


async def test_no_is_no_and_a_fetch_can_be_stopped() -> None:
    core = Fetching(SMALL)
    reached = threading.Event()

    def during(progress: Progress) -> None:
        while True:
            progress("qwen3-0.6b", 1, 640_000_000)
            reached.set()

    core.during = during
    async with opened(core) as view:
        for answer in ("escape", "y"):
            await view.press("g")
            await view.until(lambda: isinstance(view.app.screen, OffersScreen))
            await view.press("enter")
            await view.until(lambda: isinstance(view.app.screen, Confirm))
            assert not reached.is_set()
            await view.press(answer)
        await view.until(reached.is_set)
        await view.press("escape")
        await view.until(lambda: not view.screen._works)
        assert view.toasts() == ["Stopped; what came so far is kept, and g goes on from there"]
        assert len(view.lines()) == 1


async def test_another_repository_can_be_typed() -> None:
    core = Fetching(SMALL)
    async with opened(core) as view:
        await view.press("g")
        await view.until(lambda: isinstance(view.app.screen, OffersScreen))
        await view.press("r")
        await view.type(" org/gone ")
        await view.until(view.toasts)
        assert core.asked == ["org/gone"]
        assert view.toasts() == ["org/gone is not on the hub"]
        await view.press("g")
        await view.until(lambda: isinstance(view.app.screen, OffersScreen))
        await view.press("escape")
        assert isinstance(view.app.screen, ModelsScreen)


async def test_a_model_really_comes_from_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    core = Workbench(Settings())
    core.prepare_starters = lambda progress=None, *, restore=False: []  # type: ignore[method-assign, assignment]
    with running() as hub:
        hub.repositories["org/tiny"] = {"tiny.gguf": raw_gguf.build(data=50_000)}
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        async with opened(core) as view:
            await view.press("g")
            await view.until(lambda: isinstance(view.app.screen, OffersScreen))
            await view.press("r")
            await view.type("org/tiny")
            await view.until(lambda: isinstance(view.app.screen, Confirm))
            await view.press("y")
            await view.until(lambda: view.lines() and not view.screen._works)
            assert view.lines()[0][1:3] == ["tiny", "GGUF Q8_0"]
            assert "org/tiny at cccccccc" in view.card
            await view.press("delete")
            assert "delete its files" in str(view.app.screen.query_one(".question", Static).content)
            await view.press("y")
            await view.until(lambda: view.text("#models-empty") == models.EMPTY)
    assert core.catalog.list() == []


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_list_of_offers_fits(size: tuple[int, int]) -> None:
    async with opened(Fetching(catalogued("qwen3-0.6b")), size) as view:
        await view.press("g")
        await view.until(lambda: isinstance(view.app.screen, OffersScreen))
        table = view.app.screen.query_one("#offers", DataTable)
        assert table.virtual_size.width <= table.scrollable_content_region.width
        assert table.size.height >= 5
        assert table.get_row_at(0)[0].plain.strip() == "qwen3-0.6b ✓"
        await view.press("down", "down")
        about = str(view.app.screen.query_one("#offers-about", Static).content)
        assert "yes, in https://huggingface.co/Qwen/Qwen3-4B" in about
        assert max(cells(line) for line in about.splitlines()) <= size[0] - 2


async def test_scanning_finds_and_shows_the_new_one() -> None:
    core = Core(SMALL)
    core.new = [BASE]
    async with opened(core) as view:
        await view.press("s")
        await view.type(" '/some where/weights' ")
        await view.until(lambda: len(view.lines()) == 2)
        assert core.scanned == [["/some where/weights"]]
        assert view.toasts() == ["1 new model"]
        assert view.table.cursor_row == 1
        assert "Gemma terms" in view.card
        core.new = []
        await view.press("s")
        await view.type("")
        await view.until(lambda: view.toasts()[-1] == "Nothing new was found")
        assert core.scanned[-1] == []
        await view.press("s")
        await view.type("nowhere")
        await view.until(lambda: view.toasts()[-1] == "nowhere: is not there")
        assert len(view.lines()) == 2
        await view.press("s", "escape")
        assert len(core.scanned) == 3


async def test_removing_asks_first() -> None:
    core = Core(SMALL, BASE)
    async with opened(core) as view:
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "●")
        await view.press("delete", "escape", "delete", "enter")
        assert len(core.known.found) == 2
        await view.press("delete", "y")
        await view.until(lambda: len(view.lines()) == 1)
        assert core.made[0].closed
        assert view.toasts() == ["smollm2-135m-instruct: its files are deleted"]
        assert "Gemma terms" in view.card
        await view.press("delete", "y")
        await view.until(lambda: view.text("#models-empty") == models.EMPTY)
        assert view.toasts()[-1] == "gemma-3-270m: forgotten; its files were left alone"


async def test_choosing_goes_to_compare() -> None:
    async with opened(Core(SMALL, BASE)) as view:
        await view.press("down", "c")
        await view.until(lambda: view.app.current_mode == "compare")
        assert view.app._screen_stacks["models"][0].session.chosen == BASE.name  # type: ignore[attr-defined]


async def test_what_changed_meanwhile_is_seen_on_coming_back() -> None:
    core = Core(SMALL)
    async with opened(core) as view:
        await view.press("7")
        core.known.found.append(BASE)
        await view.press("1")
        await view.until(lambda: len(view.lines()) == 2)


# -- a real model -----------------------------------------------------------------------------------------------------


@pytest.mark.model
async def test_a_real_model_is_loaded_checked_and_unloaded(starters: dict[str, Path]) -> None:
    core = Workbench(Settings(threads=1, context=512))
    core.prepare_starters = lambda progress=None, *, restore=False: []  # type: ignore[method-assign, assignment]
    name = core.catalog.find(str(starters["smollm2-135m-instruct"])).name
    async with opened(core) as view:
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "●")
        assert "threads 1 (as set)" in view.card
        engine: Any = view.screen.session.engine(name)
        assert engine.memory() > 50_000_000
        await view.press("k")
        await view.until(lambda: "passed: fast and plain" in view.card)
        await view.press("enter")
        await view.until(lambda: view.lines()[0][0] == "")
        assert engine.memory() == 0
