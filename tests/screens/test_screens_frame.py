"""What all screens share: the line at the top, help, log, themes, keys of one's own, and the small questions."""

from __future__ import annotations

import logging
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.widgets import Input, Log, Markdown, Static

from screens.dialogs import Ask, Choose, Confirm
from screens.frame import MODES, Frame, TopBar, crumbs
from screens.help import HelpScreen
from screens.log import LogScreen
from screens.themes import DARK, LIGHT
from workbench import logs, paths
from workbench.app import WorkbenchApp
from workbench.core import Workbench
from workbench.settings import Settings
from workbench.text import cells

PATIENCE = 30.0
"""Seconds after which a condition that should have come is taken for lost."""


class Page(Frame):
    """A screen with some keys and nothing slow."""

    HELP_TITLE = "A page"
    HELP = "What this page is *for*."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "mark", "mark", tooltip="mark the line", id="page.mark"),
        Binding("z", "mark", "", show=False),
    ]
    marked = 0

    def body(self) -> Iterator[Static]:
        yield Static("a page", id="page")

    def action_mark(self) -> None:
        self.marked += 1


class App(WorkbenchApp):
    """The application with the same page in all its modes."""

    MODES: ClassVar[dict[str, Any]] = {"models": Page, "compare": Page, "live": Page, "history": Page}


@asynccontextmanager
async def opened(size: tuple[int, int] = (120, 36), **settings: Any) -> Any:
    """The application, and what was answered to its questions."""
    async with App(Workbench(Settings(**settings))).run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        yield pilot


async def wait_until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Let the application work until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition never came"
        await pilot.pause(0.005)
    await pilot.pause()


def top(pilot: Pilot[None]) -> str:
    """The line at the top."""
    return pilot.app.screen.query_one(TopBar).render().plain


def toasts(pilot: Pilot[None]) -> list[str]:
    """What was said in toasts, oldest first."""
    return [one.message for one in pilot.app._notifications]


def job(status: str, share: float = 0.614) -> SimpleNamespace:
    """As much of a running audit as the line at the top needs."""
    return SimpleNamespace(
        status=status, share=share, audit="3f2a9c01", running=status == "running", cancel=lambda: None
    )


# -- the line at the top and the modes --------------------------------------------------------------------------------


async def test_number_keys_change_the_mode() -> None:
    async with opened() as pilot:
        assert pilot.app.current_mode == "models"
        for key, mode, _ in MODES:
            await pilot.press(key)
            await wait_until(pilot, lambda mode=mode: pilot.app.current_mode == mode)
            line = pilot.app.screen.query_one(TopBar).render()
            here = [line.plain[span.start : span.end] for span in line.spans if span.style == "reverse"]
            assert [text.split()[0] for text in here] == [key]


@pytest.mark.parametrize(("size", "name"), [((80, 24), "cw"), ((120, 36), "culture-workbench")])
async def test_the_running_audit_is_always_at_the_top_right(size: tuple[int, int], name: str) -> None:
    async with opened(size) as pilot:
        assert "audit" not in top(pilot)
        pilot.app.job = job("running")
        for key in ("1", "2", "7"):
            await pilot.press(key)
            await pilot.pause()
            line = top(pilot)
            assert line.split()[0] == name
            assert line.endswith("⏵ audit 3f2a 61% ")
            assert cells(line) == size[0]
        for status, mark in (("complete", "✓"), ("paused", "⏸"), ("failed", "✗")):
            pilot.app.job = job(status)
            assert top(pilot).endswith(f"{mark} audit 3f2a {status} ")
        pilot.app.job = None


async def test_leaving_pauses_the_running_audit() -> None:
    cancelled, waited = [], []
    async with opened() as pilot:
        pilot.app.job = job("running")
        pilot.app.job.cancel = lambda: cancelled.append(True)
        pilot.app.job.wait = waited.append
        await pilot.app.action_quit()
    assert cancelled == [True]
    assert waited == [10]


def test_breadcrumbs_end_with_an_ellipsis_where_they_are_cut() -> None:
    assert crumbs("Compare", "audit [b]3f2[/b]\x1b[2J", "Findings").plain == "Compare › audit [b]3f2[/b] › Findings"
    cut = crumbs("Compare", "a very long name " * 5, "Findings", width=30).plain
    assert cut.endswith("…")
    assert cells(cut) <= 30


async def test_escape_on_the_first_screen_of_a_mode_changes_nothing() -> None:
    async with opened() as pilot:
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, Page)


async def test_a_toast_is_never_markup() -> None:
    async with opened() as pilot:
        pilot.app.screen.tell("[bold]no[/bold]\x1b[31m \u202eback", error=True)
        await wait_until(pilot, lambda: toasts(pilot))
        toast = next(iter(pilot.app._notifications))
        assert toast.message == "[bold]no[/bold] back"
        assert (toast.severity, toast.markup) == ("error", False)


# -- help, log, themes, keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["escape", "f1", "q"])
async def test_f1_explains_the_screen_and_lists_its_keys(key: str) -> None:
    async with opened() as pilot:
        await pilot.press("f1")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        said = pilot.app.screen.query_one(Markdown).source
        assert said.startswith("## A page\n\nWhat this page is *for*.")
        assert "| `x` | mark the line |" in said
        assert "| `f1` | help |" in said
        assert "| `f12` | log |" in said
        assert "`z`" not in said
        await pilot.press(key)
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, Page))


async def test_f12_shows_the_log_and_reads_it_again() -> None:
    logger = logs.start(paths.log_path())
    try:
        logger.info("the first [line]")
        async with opened((80, 24)) as pilot:
            await pilot.press("f12")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
            log = pilot.app.screen.query_one(Log)
            await wait_until(pilot, lambda: any("the first [line]" in line for line in log.lines))
            assert str(pilot.app.screen.query_one("#log-path", Static).content) == str(paths.log_path())
            logger.info("\x1b[31mthe second")
            await pilot.press("r")
            await wait_until(pilot, lambda: any(line.endswith("INFO the second") for line in log.lines))
            assert sum("the first" in line for line in log.lines) == 1
            await pilot.press("escape")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, Page))
    finally:
        _stop_logging(logger)


def _stop_logging(logger: logging.Logger) -> None:
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


async def test_an_empty_log_says_so() -> None:
    async with opened() as pilot:
        await pilot.press("f12")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
        assert next(iter(pilot.app.screen.query_one(Log).lines)) == "Nothing has been written down yet."


async def test_the_theme_is_changed_and_remembered() -> None:
    async with opened() as pilot:
        assert pilot.app.theme == DARK.name
        await pilot.press("ctrl+t")
        assert pilot.app.theme == LIGHT.name
        assert tomllib.loads(paths.settings_path().read_text()) == {"theme": LIGHT.name}
        await pilot.press("ctrl+t")
        assert pilot.app.theme == DARK.name


async def test_a_theme_that_cannot_be_remembered_is_one_line(home: Path) -> None:
    (home / "settings.toml").write_text("not toml")
    async with opened() as pilot:
        await pilot.press("ctrl+t")
        await wait_until(pilot, lambda: toasts(pilot))
        assert pilot.app.theme == LIGHT.name
        assert "not valid TOML" in toasts(pilot)[0]


async def test_an_unknown_theme_is_said_and_replaced() -> None:
    async with opened(theme="[mauve]") as pilot:
        await wait_until(pilot, lambda: toasts(pilot))
        assert pilot.app.theme == DARK.name
        assert toasts(pilot) == ["There is no theme '[mauve]': workbench-dark is used"]


async def test_keys_can_be_others() -> None:
    async with opened(keys={"page.mark": "m", "mode.history": "9"}) as pilot:
        await pilot.press("x", "m")
        assert pilot.app.screen.marked == 1
        await pilot.press("7")
        assert pilot.app.current_mode == "models"
        await pilot.press("9")
        await wait_until(pilot, lambda: pilot.app.current_mode == "history")


async def test_reduced_motion_is_kept() -> None:
    async with opened(reduced_motion=True) as pilot:
        assert pilot.app.animation_level == "none"


# -- small questions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "sure"),
    [
        (["enter"], False),
        (["escape"], False),
        (["n"], False),
        (["y"], True),
        (["tab", "enter"], True),
        (["right", "enter"], True),
        (["right", "left", "enter"], False),
    ],
)
async def test_a_question_is_answered_with_no_unless_yes_is_meant(keys: list[str], sure: bool) -> None:
    done: list[bool] = []
    async with opened((80, 24)) as pilot:
        pilot.app.screen.confirmed("Remove [red]it[/red]?", "Remove", lambda: done.append(True))
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert pilot.app.screen.query_one(".question", Static).render().plain == "Remove [red]it[/red]?"
        await pilot.press(*keys)
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, Page))
        assert done == [True] * sure


@pytest.mark.parametrize(("keys", "answer"), [(["x", "y", "enter"], "xy"), (["enter"], "old"), (["escape"], None)])
async def test_a_line_of_text_is_asked_for(keys: list[str], answer: str | None) -> None:
    answers: list[str | None] = []
    async with opened((80, 24)) as pilot:
        pilot.app.push_screen(Ask("Folder [b]?", "old"), answers.append)
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        assert pilot.app.screen.query_one(Input).has_focus
        await pilot.press(*keys)
        await wait_until(pilot, lambda: answers)
        assert answers == [answer]


@pytest.mark.parametrize(("keys", "answer"), [(["enter"], "a"), (["down", "enter"], "b"), (["escape"], None)])
async def test_one_of_a_few_is_chosen(keys: list[str], answer: str | None) -> None:
    answers: list[str | None] = []
    async with opened((80, 24)) as pilot:
        pilot.app.push_screen(Choose("Which?", [("a", "the [first]"), ("b", "the\nsecond")]), answers.append)
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press(*keys)
        await wait_until(pilot, lambda: answers)
        assert answers == [answer]


async def test_a_question_that_is_open_keeps_the_number_keys_to_itself() -> None:
    async with opened() as pilot:
        pilot.app.push_screen(Ask("How many?"))
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press("2", "7")
        assert pilot.app.screen.query_one(Input).value == "27"
        assert pilot.app.current_mode == "models"
