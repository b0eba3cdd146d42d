"""The live screen: bars while one types, twins, lessons, answers with alternatives, keeping."""

from __future__ import annotations

from typing import Any

import pytest
from screen_lab import ScriptedCore, shown, wait_for_screen, wait_until
from scripted import Scripted, model
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from engines.base import ChoiceRequest, EngineError, LoadOptions
from engines.describe import CatalogModel
from screens.live import LiveScreen
from screens.live_pane import LivePane
from workbench.app import WorkbenchApp
from workbench.core import Progress

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])


class LiveApp(WorkbenchApp):
    """The application, opened on Live."""

    DEFAULT_MODE = "live"


class LiveCore(ScriptedCore):
    """Two scripted models that can be loaded: `one` likes the first option, `two` all alike."""

    def __init__(self, **engines: Scripted) -> None:
        super().__init__([])
        self.engines = {
            "one": Scripted("one", score=lambda request, place: -1.0 - place, write=lambda _: "[bold]tea[/] 茶\x1b[2J"),
            "two": Scripted("two", score=lambda request, place: -2.0, write=lambda _: "coffee"),
        } | engines

    def models(self) -> list[CatalogModel]:
        return [model("one"), model("two")]

    def open_engine(self, name: str, options: LoadOptions | None = None, progress: Progress | None = None) -> Any:
        if name not in self.engines:
            raise EngineError(f"{name}: is not there")
        return self.engines[name]


def live(pilot: Pilot[None]) -> LiveScreen:
    screen = pilot.app.screen
    assert isinstance(screen, LiveScreen)
    return screen


def panes(pilot: Pilot[None]) -> list[LivePane]:
    return list(live(pilot).query(LivePane))


async def settled(pilot: Pilot[None], count: int = 4) -> None:
    """Every pane has its bars."""
    await wait_for_screen(pilot, "LiveScreen")
    await wait_until(pilot, lambda: len(panes(pilot)) == count and all(pane.bars is not None for pane in panes(pilot)))
    await pilot.pause()


async def type_scene(pilot: Pilot[None], prompt: str, options: str) -> None:
    """One wording of one's own."""
    while len(live(pilot)._prompts) > 1:
        live(pilot)._make_twin("remove")
    await wait_until(pilot, lambda: len(panes(pilot)) == 2)
    live(pilot).query_one("#live-prompt", TextArea).text = prompt
    live(pilot).query_one("#live-options", Input).value = options
    if options:
        await settled(pilot, 2)


async def test_it_opens_with_a_lesson_and_bars_of_every_model_and_wording() -> None:
    async with LiveApp(LiveCore()).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await wait_until(pilot, lambda: "Hiring by script" in shown(pilot))
        assert [pane.model for pane in panes(pilot)] == ["one", "one", "two", "two"]
        await wait_until(pilot, lambda: "73.1" in shown(pilot) and "50.0" in shown(pilot))


async def test_bars_follow_what_is_typed() -> None:
    def score(request: ChoiceRequest, place: int) -> float:
        return -1.0 if ("coffee" in str(request.prompt)) == (place == 1) else -4.0

    core = LiveCore(one=Scripted("one", score=score))
    async with LiveApp(core).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await type_scene(pilot, "I like ", "tea | coffee")
        await wait_until(pilot, lambda: panes(pilot)[0].bars.probabilities[0] > 0.9)  # type: ignore[union-attr]
        live(pilot).query_one("#live-prompt", TextArea).focus()
        live(pilot).query_one("#live-prompt", TextArea).move_cursor((0, 7))
        await pilot.press(*"coffee")
        await wait_until(pilot, lambda: panes(pilot)[0].bars.probabilities[1] > 0.9)  # type: ignore[union-attr]


async def test_a_twin_in_the_other_script_stands_beside_and_shows_what_differs() -> None:
    async with LiveApp(LiveCore()).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await type_scene(pilot, "请录用", "志强 | 淑芬")
        await pilot.press("f3")
        await wait_for_screen(pilot, "Choose")
        await pilot.press("enter")
        await settled(pilot)
        assert live(pilot)._prompts == ["请录用", "請錄用"]
        assert live(pilot)._options[1] == ("志強", "淑芬")
        assert "≠ 請錄用" in shown(pilot)


async def test_answers_are_drawn_as_data_and_can_go_on_from_an_alternative() -> None:
    async with LiveApp(LiveCore()).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await type_scene(pilot, "Drink", "")
        await pilot.press("f6")
        await wait_until(pilot, lambda: panes(pilot)[0].stream is not None and panes(pilot)[0].stream.state == "done")  # type: ignore[union-attr]
        await wait_until(pilot, lambda: "[bold]tea[/] 茶" in shown(pilot))
        assert "coffee" in shown(pilot)
        panes(pilot)[0].focus()
        await pilot.press("left")
        await wait_until(pilot, lambda: "%" in shown(pilot))


async def test_a_model_that_dies_while_it_writes_leaves_a_message_and_the_others_go_on() -> None:
    core = LiveCore(one=Scripted("one", dies_after=0))
    async with LiveApp(core).run_test(size=(120, 36)) as pilot:
        await wait_for_screen(pilot, "LiveScreen")
        await pilot.press("f6")
        await wait_until(pilot, lambda: "SIGKILL" in shown(pilot) and "coffee" in shown(pilot))


async def test_a_model_that_does_not_load_says_why() -> None:
    core = LiveCore()
    del core.engines["one"]
    async with LiveApp(core).run_test(size=(120, 36)) as pilot:
        await wait_until(pilot, lambda: "one: is not there" in shown(pilot) and "50.0" in shown(pilot))


async def test_what_is_shown_can_be_kept() -> None:
    core = LiveCore()
    async with LiveApp(core).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("f7")
        await wait_for_screen(pilot, "Ask")
        await pilot.press(*"class", "enter")

        def kept() -> bool:
            with core.history() as history:
                return [moment.note for moment in history.moments()] == ["class"]

        await wait_until(pilot, kept)


async def test_the_presenter_view_shows_few_words_and_escape_leaves_it() -> None:
    async with LiveApp(LiveCore()).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("f5")
        await wait_until(pilot, lambda: "f2" not in shown(pilot) and "73.1" in shown(pilot))
        await pilot.press("escape")
        await wait_until(pilot, lambda: "f2" in shown(pilot))


async def test_below_100_columns_panes_take_turns() -> None:
    async with LiveApp(LiveCore()).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert [pane.display for pane in panes(pilot)] == [True, False, False, False]
        await pilot.press("f8")
        await wait_until(pilot, lambda: panes(pilot)[1].display and not panes(pilot)[0].display)


@SIZES
def test_live(snap_compare: Any, size: tuple[int, int]) -> None:
    async def still(pilot: Pilot[None]) -> None:
        await settled(pilot)
        # After the noise was measured nothing moves any more.
        await wait_until(pilot, lambda: len(live(pilot)._floors) == 2)
        # The line on how fresh the bars are, and a cursor that blinks, would differ each time.
        live(pilot)._moved = 0.0
        live(pilot).set_focus(None)
        live(pilot)._draw()
        await pilot.pause()

    assert snap_compare(LiveApp(LiveCore()), terminal_size=size, run_before=still)
