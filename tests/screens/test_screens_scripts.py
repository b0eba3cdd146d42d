"""The view of words and scripts, as a user reads it: sort, look at an answer, turn to the analyses."""

from __future__ import annotations

from typing import Any

import pytest
from screen_lab import CompareApp, ScriptedCore, likes, run_audit, said, shown, wait_for_screen, wait_until
from scripted import Garage, Scripted, listed, mainland, names, place_of, taiwan, terms
from textual.pilot import Pilot
from textual.widgets import DataTable, TabbedContent

from engines.base import ChoiceRequest, GenerateRequest
from suites.base import Suite
from workbench.history import History
from workbench.paths import history_path

WIDE, NARROW = (120, 36), (80, 24)
SIZES = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x36"])
LANGUAGES = ("zh-Hans", "zh-Hant", "en")


def leaning(region: str) -> Scripted:
    """A model that finds one region's words likelier, more so the later the term; of a list it takes the first name of
    that region."""
    plain = likes(region)

    def score(request: ChoiceRequest, place: int) -> float:
        word = request.continuations[place].strip()
        own = (mainland if region == "mainland" else taiwan)(place_of(request))[1]
        return -2.0 if own in word else -2.5 - 0.5 * place_of(request)

    def write(request: GenerateRequest) -> str:
        if "选一位" not in str(request.prompt):
            return plain._write(request)
        wanted = [0x5200, 0x5202] if region == "mainland" else [0x5201, 0x5203]
        return next(name for name in listed(request) if ord(name[0]) in wanted)

    return Scripted("one" if region == "mainland" else "two", score=score, write=write)


def app(*suites: Suite) -> CompareApp:
    """Two models that lean to different regions."""
    garage = Garage(one=lambda: leaning("mainland"), two=lambda: leaning("taiwan"))
    return CompareApp(ScriptedCore(suites or [terms(6, versions=1, languages=LANGUAGES), names(4)], garage))


async def to_words(pilot: Pilot[None]) -> None:
    """As far as the table of words."""
    await run_audit(pilot)
    await pilot.press("v")
    await wait_for_screen(pilot, "ScriptsScreen")
    await wait_until(pilot, lambda: pilot.app.screen.query_one("#scripts-words", DataTable).row_count)
    # The line at the top looks at the audit twice a second.
    await wait_until(pilot, lambda: "complete" in shown(pilot).splitlines()[0])
    await pilot.pause()


async def to_analyses(pilot: Pilot[None]) -> None:
    """As far as the analysis of the choices of names."""
    await to_words(pilot)
    await pilot.press("v")
    table = pilot.app.screen.query_one("#scripts-sections", DataTable)
    await wait_until(pilot, lambda: table.has_focus)
    place = next(row for row in range(table.row_count) if "Valid choices" in str(table.get_row_at(row)[0]))
    table.move_cursor(row=place)
    await pilot.pause()
    if pilot.app.size.width < 100:
        await pilot.press("enter")
    await wait_until(pilot, lambda: "Mainland 100 %" in shown(pilot))


@SIZES
def test_words(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=to_words)


@SIZES
def test_analyses(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=to_analyses)


def first(pilot: Pilot[None]) -> str:
    table = pilot.app.screen.query_one("#scripts-words", DataTable)
    return str(table.get_row_at(0)[0])


async def test_words_are_sorted_by_their_lead() -> None:
    def only_one() -> CompareApp:
        # Model two sees no difference, so the mean lead is the first model's alone.
        garage = Garage(one=lambda: leaning("mainland"), two=lambda: Scripted("two", score=lambda r, p: -1.0 - p / 100))
        suite = terms(6, versions=1, languages=LANGUAGES, tasks=("likelihood",))
        return CompareApp(ScriptedCore([suite], garage))

    async with only_one().run_test(size=WIDE) as pilot:
        await to_words(pilot)
        assert mainland(5) in first(pilot), "its Mainland word leads by most"
        assert "most Mainland first" in said(pilot, "#scripts-state")
        await pilot.press("s")
        assert mainland(0) in first(pilot)
        assert "most Taiwan first" in said(pilot, "#scripts-state")
        await pilot.press("s")
        assert "farthest apart" in said(pilot, "#scripts-state")
        assert mainland(5) in first(pilot)
        await pilot.press("s", "s")
        assert mainland(5) in first(pilot)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_raw_answers_are_one_key_away(size: tuple[int, int]) -> None:
    async with app().run_test(size=size) as pilot:
        await to_words(pilot)
        await pilot.press("l")
        item = pilot.app.screen._focused().item.id  # type: ignore[attr-defined]
        await pilot.press("enter")
        await wait_for_screen(pilot, "ItemsScreen")
        await wait_until(pilot, lambda: "1 of 6 questions" in shown(pilot))
        assert item in shown(pilot)
        assert "asked in 繁體" in shown(pilot)
        await pilot.press("escape", "escape")
        await wait_for_screen(pilot, "ScriptsScreen")
        await pilot.press("p")
        await wait_for_screen(pilot, "ItemsScreen")
        await wait_until(pilot, lambda: "Likelihood" in shown(pilot))


async def test_narrow_and_wide_show_the_same_words() -> None:
    async with app().run_test(size=WIDE) as pilot:
        await to_words(pilot)
        wide = first(pilot)
        assert "繁體" in shown(pilot)
        assert "English" in shown(pilot)
        await pilot.resize_terminal(*NARROW)
        await pilot.pause()
        assert first(pilot) == wide
        assert "English" in shown(pilot)
        assert "lead" in shown(pilot)


async def test_an_audit_without_terms_opens_on_the_analyses() -> None:
    async with app(names(4)).run_test(size=WIDE) as pilot:
        await run_audit(pilot)
        await pilot.press("v")
        await wait_for_screen(pilot, "ScriptsScreen")
        await wait_until(pilot, lambda: "No word likelihoods in this audit" in said(pilot, "#scripts-state"))
        tabs = pilot.app.screen.query_one("#scripts-tabs", TabbedContent)
        await wait_until(pilot, lambda: tabs.active == "scripts-plots-tab")
        await wait_until(pilot, lambda: "A ■ valid 100 %, Mainland 100 % · one" in shown(pilot))
        assert "B ▲ valid 100 %, Mainland 0 % · two" in shown(pilot)


async def test_the_same_figures_on_screen_and_command_line() -> None:
    """The screen draws what `audit_analysis` gives."""
    from workbench.analyses.sctc.audit import audit_analysis

    async with app().run_test(size=WIDE) as pilot:
        await to_words(pilot)
        with History.open(history_path(), readonly=True) as history:
            found = audit_analysis(history, history.audits()[0].id)
        assert found is not None
        table = pilot.app.screen.query_one("#scripts-sections", DataTable)
        assert table.row_count == len(found.sections)
        choices = found.section("name-choices")
        assert choices is not None
        shares = {line.model: line.figure("Mainland name") for line in choices.lines}
        assert {name: one.estimate for name, one in shares.items() if one is not None} == {"one": 1.0, "two": 0.0}
