"""The history, as a user goes through it: scripted models, a real history, every key."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

import pytest
from screen_lab import CompareApp, ScriptedCore, likes, opposed, said, shown, wait_for_screen, wait_until
from scripted import Garage, Lab, Scripted, hashed, mainland, model, same, taiwan, terms
from textual.pilot import Pilot
from textual.widgets import DataTable, Footer, Input
from textual.widgets._footer import FooterKey

from suites.base import Suite
from workbench.audits.build import build_plan
from workbench.history import History
from workbench.history.importing import opened
from workbench.history.lock import WriterLock
from workbench.history.rows import AuditRow
from workbench.paths import history_path
from workbench.text import cells

WIDE, NARROW = (120, 36), (80, 24)
SUITE = terms(8, versions=1, languages=("zh-Hans", "zh-Hant"))


class HistoryApp(CompareApp):
    """The application, opened on the history."""

    DEFAULT_MODE = "history"


@pytest.fixture
def lab(home: Path) -> Lab:
    """The history of the application under test."""
    return Lab(home)


def app(garage: Garage | None = None) -> HistoryApp:
    return HistoryApp(ScriptedCore([SUITE], garage))


def audit(lab: Lab, garage: Garage | None = None, *, suite: Suite = SUITE, note: str = "") -> str:
    """A complete audit of two models; its id."""
    name = lab.complete(build_plan([model("one"), model("two")], [suite]), [suite], garage or opposed())
    if note:
        with History.open(lab.path) as history:
            history.set_note(name, note)
    return name


def turned() -> Garage:
    """Model `one` now takes Taiwan's words too."""
    taiwanese = likes("taiwan")
    return Garage(
        one=lambda: Scripted("one", score=taiwanese._score, write=taiwanese._write), two=lambda: likes("taiwan")
    )


def paused(lab: Lab) -> str:
    """An audit whose model died; its id."""
    plan = build_plan([model("one")], [SUITE])
    name, status = lab.run(plan, [SUITE], Garage(one=lambda: Scripted("one", dies_after=20)))
    assert status == "paused"
    return name


def audits() -> list[AuditRow]:
    """What is in the history, newest first."""
    with History.open(history_path(), readonly=True) as history:
        return history.audits()


def table(pilot: Pilot[None], selector: str = "#history") -> DataTable[Any]:
    return pilot.app.screen.query_one(selector, DataTable)


def toasts(pilot: Pilot[None]) -> str:
    """Everything that was said in toasts."""
    return "\n".join(one.message for one in pilot.app._notifications)


async def listed(pilot: Pilot[None], count: int) -> None:
    """Wait until that many audits are in the list and have the keyboard."""
    await wait_for_screen(pilot, "HistoryScreen")
    await wait_until(pilot, lambda: table(pilot).row_count == count and table(pilot).has_focus)
    await pilot.pause()


async def back_to_history(pilot: Pilot[None]) -> None:
    """Escape as often as it takes."""
    while type(pilot.app.screen).__name__ != "HistoryScreen":
        await pilot.press("escape")
        await pilot.pause()


def lines(pilot: Pilot[None], selector: str) -> list[list[str]]:
    """The cells of a table, as text."""
    found = table(pilot, selector)
    return [[cell.plain for cell in found.get_row_at(row)] for row in range(found.row_count)]


async def search(pilot: Pilot[None], text: str) -> None:
    """Type into the search and wait for its line."""
    await pilot.press("slash", *text)
    await wait_until(pilot, lambda: text in said(pilot, "#history-found"))
    await pilot.pause()


# -- the list ---------------------------------------------------------------------------------------------------------


async def test_an_empty_history_says_what_to_press() -> None:
    async with app().run_test(size=NARROW) as pilot:
        await wait_until(pilot, lambda: "No audits yet" in shown(pilot) and "2 " in shown(pilot))
        await pilot.press("enter", "space", "c", "x", "n", "r", "v", "delete")
        await wait_for_screen(pilot, "HistoryScreen")


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_audits_are_listed_newest_first(lab: Lab, size: tuple[int, int]) -> None:
    first, second = audit(lab, note="before the lesson"), audit(lab)
    async with app().run_test(size=size) as pilot:
        await listed(pilot, 2)
        text = shown(pilot)
        assert "complete" in text
        assert "one" in text
        # The cursor is on the newest; the line below says all of it.
        assert f"udit {second}" in text
        await pilot.press("down")
        await wait_until(pilot, lambda: f"udit {first}" in shown(pilot) and "before the lesson" in shown(pilot))
        assert "scripted-terms" in shown(pilot)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_nothing_scrolls_sideways(lab: Lab, size: tuple[int, int]) -> None:
    long = "很長的筆記 [bold]not markup[/bold] " * 8
    for _ in range(2):
        audit(lab, note=long)
    async with app().run_test(size=size) as pilot:
        await listed(pilot, 2)
        await search(pilot, taiwan(1)[1])
        await wait_until(pilot, lambda: table(pilot, "#history-hits").row_count)
        for selector in ("#history", "#history-hits"):
            assert table(pilot, selector).virtual_size.width <= size[0], selector
        assert "…" in shown(pilot)
        assert max(map(cells, shown(pilot).split("\n"))) <= size[0]
        await pilot.press("escape")
        await listed(pilot, 2)
        assert "[bold]not markup[/bold]" in shown(pilot)
        await pilot.press("space", "down", "space", "c")
        await wait_for_screen(pilot, "ChangesScreen")
        await wait_until(pilot, lambda: table(pilot, "#changes").row_count)
        assert table(pilot, "#changes").virtual_size.width <= size[0]


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_footer_shows_six_keys_at_most(lab: Lab, size: tuple[int, int]) -> None:
    audit(lab)
    async with app().run_test(size=size) as pilot:
        await listed(pilot, 1)
        await wait_until(pilot, lambda: "search" in shown(pilot))
        keys = pilot.app.screen.query_one(Footer).query(FooterKey)
        assert len([key for key in keys if "-command-palette" not in key.classes]) <= 6


async def test_enter_opens_the_findings_and_escape_comes_back(lab: Lab) -> None:
    audit(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        await pilot.press("enter")
        await wait_for_screen(pilot, "FindingsScreen")
        await pilot.press("escape")
        await listed(pilot, 1)


async def test_the_list_follows_what_other_programs_write(lab: Lab) -> None:
    audit(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        audit(lab)
        await pilot.press("1", "7")
        await listed(pilot, 2)


# -- searching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("text", [taiwan(3)[1], taiwan(3), "第3號"])
async def test_chinese_is_found_from_one_character_on(lab: Lab, size: tuple[int, int], text: str) -> None:
    audit(lab)
    async with app().run_test(size=size) as pilot:
        await listed(pilot, 1)
        await search(pilot, text)
        await wait_until(pilot, lambda: table(pilot, "#history-hits").row_count)
        hits = table(pilot, "#history-hits")
        line = hits.get_row_at(0)
        snippet = next(cell for cell in line if text in cell.plain)
        underlined = [snippet.plain[span.start : span.end] for span in snippet.spans if "underline" in str(span.style)]
        assert "".join(underlined).startswith(text)
        assert {"prompt", "answer"} & {cell.plain for cell in line}
        await pilot.press("enter")
        await wait_until(pilot, lambda: hits.has_focus)
        await pilot.press("enter")
        await wait_until(pilot, lambda: type(pilot.app.screen).__name__ in {"FindingsScreen", "ItemsScreen"})
        await back_to_history(pilot)
        # The search is still there; escape ends it.
        assert hits.row_count
        await pilot.press("escape")
        await wait_until(pilot, lambda: not hits.display)
        await listed(pilot, 1)


async def test_words_choose_among_the_audits(lab: Lab) -> None:
    audit(lab, note="after the lesson")
    audit(lab, note="before the lesson")
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 2)
        await search(pilot, "after")
        await wait_until(pilot, lambda: table(pilot).row_count == 1)
        assert "after the lesson" in shown(pilot)
        await pilot.press("escape")
        await listed(pilot, 2)


async def test_what_is_nowhere_is_said(lab: Lab) -> None:
    audit(lab)
    async with app().run_test(size=NARROW) as pilot:
        await listed(pilot, 1)
        await pilot.press("slash", *"zzz")
        await wait_until(pilot, lambda: not table(pilot).display and not table(pilot, "#history-hits").display)
        await pilot.press("escape")
        await listed(pilot, 1)


async def test_what_is_found_is_never_markup(lab: Lab) -> None:
    hostile = "[bold red]needle[/] \x1b[31mred \u202eback"
    audit(lab, Garage(one=lambda: Scripted("one", write=same(hostile)), two=lambda: Scripted("two", score=hashed("b"))))
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        await search(pilot, "needle")
        await wait_until(pilot, lambda: "[bold red]needle[/] red back" in shown(pilot))
        assert "\x1b" not in shown(pilot)
        assert "\u202e" not in shown(pilot)


# -- two audits -------------------------------------------------------------------------------------------------------


async def test_two_marked_audits_are_compared(lab: Lab) -> None:
    audit(lab, note="week one")
    audit(lab, turned(), note="week two")
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 2)
        await pilot.press("c")
        await wait_until(pilot, lambda: "Mark two audits" in toasts(pilot))
        # The newer one is marked first; it is the second of the comparison all the same.
        await pilot.press("space", "down", "space", "c")
        await wait_for_screen(pilot, "ChangesScreen")
        await wait_until(pilot, lambda: table(pilot, "#changes").row_count)
        await pilot.pause()
        text = shown(pilot)
        assert "week one → week two" in text
        assert "figures changed beyond chance and noise" in text
        assert "8 items are equal in both" in text
        first = [cell.plain for cell in table(pilot, "#changes").get_row_at(1)]
        assert first[0] == "✱"
        assert "■ one" in first
        assert "100.0" in first
        assert "0.0" in first
        assert any(cell.startswith("−100.0 [") for cell in first)
        assert "differs from before" in said(pilot, "#changes-figure")
        everything = table(pilot, "#changes").row_count
        await pilot.press("d")
        await wait_until(pilot, lambda: table(pilot, "#changes").row_count < everything)
        assert {line[0] for line in lines(pilot, "#changes")[1:]} == {"✱"}
        await pilot.press("enter")
        await wait_for_screen(pilot, "ChangesScreen")
        await pilot.press("d")
        await wait_until(pilot, lambda: table(pilot, "#changes").row_count == everything)
        await pilot.press("escape")
        await listed(pilot, 2)


async def test_no_change_is_not_said_to_be_proof(lab: Lab) -> None:
    audit(lab)
    audit(lab)
    async with app().run_test(size=NARROW) as pilot:
        await listed(pilot, 2)
        await pilot.press("space", "down", "space", "c")
        await wait_for_screen(pilot, "ChangesScreen")
        await wait_until(pilot, lambda: table(pilot, "#changes").row_count)
        assert "0 of " in shown(pilot)
        assert "the same in all 8 items" in said(pilot, "#changes-figure")
        await pilot.press("d")
        await wait_until(pilot, lambda: "not proof of no change" in shown(pilot))


async def test_what_only_one_audit_has_is_new_or_gone(lab: Lab) -> None:
    other = terms(8, versions=1, languages=("zh-Hans",))
    audit(lab)
    audit(lab, suite=other)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 2)
        await pilot.press("space", "down", "space", "c")
        await wait_for_screen(pilot, "ChangesScreen")
        await wait_until(pilot, lambda: table(pilot, "#changes").row_count)
        rows = lines(pilot, "#changes")
        assert any(row[1].endswith("only in the older audit") for row in rows)
        assert {row[2] for row in rows if row[0] == "−"} == {"繁體"}


async def test_an_audit_that_has_just_gone_is_one_line(lab: Lab) -> None:
    first, _ = audit(lab), audit(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 2)
        await pilot.press("space", "down", "space")
        with History.open(lab.path) as history:
            history.delete_audit(first)
        await pilot.press("c")
        await wait_for_screen(pilot, "ChangesScreen")
        await wait_until(pilot, lambda: f"no audit '{first}'" in shown(pilot))


# -- commands ---------------------------------------------------------------------------------------------------------


async def test_a_note_is_written(lab: Lab) -> None:
    audit(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        await pilot.press("n")
        await wait_for_screen(pilot, "Ask")
        await pilot.press(*"week 7", "enter")
        await wait_until(pilot, lambda: audits()[0].note == "week 7")
        await wait_until(pilot, lambda: "week 7" in shown(pilot))


async def test_the_answers_are_exported_and_nothing_is_overwritten_unasked(lab: Lab, tmp_path: Path) -> None:
    target = tmp_path / "answers.csv"
    name = audit(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)

        async def export() -> None:
            await pilot.press("x")
            await wait_for_screen(pilot, "Choose")
            await pilot.press("down", "down", "down", "enter")
            await wait_for_screen(pilot, "Ask")
            asked = pilot.app.screen.query_one(Input)
            assert asked.value == str(Path.home() / f"culture-workbench-{name}.csv")
            asked.value = str(target)
            await pilot.press("enter")

        await export()
        await wait_until(pilot, lambda: str(target) in toasts(pilot))
        with target.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == audits()[0].done
        assert any(mainland(0) in row["answer"] for row in rows)
        target.write_text("mine", encoding="utf-8")
        await export()
        await wait_for_screen(pilot, "Confirm")
        await pilot.press("enter")
        await wait_for_screen(pilot, "HistoryScreen")
        assert target.read_text(encoding="utf-8") == "mine"


async def test_an_audit_is_exported_whole_as_a_bundle(lab: Lab, tmp_path: Path) -> None:
    name = audit(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        await pilot.press("x")
        await wait_for_screen(pilot, "Choose")
        await pilot.press("end", "enter")
        await wait_for_screen(pilot, "Ask")
        asked = pilot.app.screen.query_one(Input)
        assert asked.value == str(Path.home() / f"culture-workbench-{name}.zip")
        asked.value = str(tmp_path / "whole.zip")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "whole.zip" in toasts(pilot))
    with opened(tmp_path / "whole.zip") as bundle:
        assert bundle.manifest.audit == name


async def test_an_audit_is_deleted_only_on_yes(lab: Lab) -> None:
    first, second = audit(lab), audit(lab)
    async with app().run_test(size=NARROW) as pilot:
        await listed(pilot, 2)
        for no in ("enter", "escape", "n"):
            await pilot.press("delete")
            await wait_for_screen(pilot, "Confirm")
            assert second in shown(pilot)
            await pilot.press(no)
            await listed(pilot, 2)
        await pilot.press("delete")
        await wait_for_screen(pilot, "Confirm")
        await pilot.press("y")
        await listed(pilot, 1)
        assert [row.id for row in audits()] == [first]
        assert f"udit {first}" in shown(pilot)


async def test_a_history_that_is_being_written_is_one_line_and_nothing_is_lost(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = audit(lab)
    opened = History.open
    monkeypatch.setattr(
        "workbench.history.History.open", lambda path, *, readonly=False: opened(path, readonly=readonly, wait=0.05)
    )
    lock = WriterLock(lab.path)
    lock.acquire(1)
    try:
        async with app().run_test(size=WIDE) as pilot:
            await listed(pilot, 1)
            for keys in (("delete", "y"), ("n", "a", "enter")):
                pilot.app.clear_notifications()
                await pilot.press(*keys)
                await wait_until(pilot, lambda: any(one.severity == "error" for one in pilot.app._notifications))
                assert "\n" not in toasts(pilot)
                await listed(pilot, 1)
    finally:
        lock.release()
    assert [(row.id, row.note) for row in audits()] == [(name, "")]


async def test_a_paused_audit_is_resumed_and_the_list_follows(lab: Lab) -> None:
    name = paused(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        assert "paused" in shown(pilot)
        await pilot.press("r")
        await wait_until(pilot, lambda: pilot.app.job is not None and pilot.app.job.status == "complete")
        await pilot.press("7")
        await wait_until(pilot, lambda: audits()[0].status == "complete")
        assert pilot.app.job.audit == name
        await back_to_history(pilot)
        await wait_until(pilot, lambda: "complete" in said(pilot, "#history-title") or "complete" in shown(pilot))
        await pilot.press("r")
        await wait_until(pilot, lambda: "is complete" in toasts(pilot))
    assert [(row.status, row.done) for row in audits()] == [("complete", 32)]


async def test_nothing_is_resumed_while_an_audit_runs(lab: Lab) -> None:
    paused(lab)
    gate = threading.Event()
    slow = Scripted("one", gate=gate, gate_at=0)
    async with app(Garage(one=lambda: slow)).run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        await pilot.press("r")
        await wait_until(pilot, slow.reached.is_set)
        await back_to_history(pilot)
        await wait_until(pilot, lambda: "running" in shown(pilot))
        await pilot.press("r")
        await wait_until(pilot, lambda: "An audit is running" in toasts(pilot))
        gate.set()
        await wait_until(pilot, lambda: not pilot.app.job.running)
        # Nobody presses a key: the list looks by itself.
        await back_to_history(pilot)
        await wait_until(pilot, lambda: any("complete" in cell for cell in lines(pilot, "#history")[0]))


async def test_an_audit_is_verified_and_a_changed_one_is_told(lab: Lab) -> None:
    import sqlite3

    name = audit(lab)
    async with app().run_test(size=WIDE) as pilot:
        await listed(pilot, 1)
        await pilot.press("v")
        await wait_until(pilot, lambda: "as it was written" in toasts(pilot))
        with sqlite3.connect(lab.path) as connection:
            connection.execute("UPDATE cells SET language = 'en'")
        connection.close()
        pilot.app.clear_notifications()
        await pilot.press("v")
        await wait_until(pilot, lambda: any(one.severity == "error" for one in pilot.app._notifications))
    with lab.open() as history:
        assert history.verify(name)


async def test_a_damaged_history_is_one_line(lab: Lab) -> None:
    lab.path.write_bytes(b"no history at all" * 100)
    async with app().run_test(size=WIDE) as pilot:
        await wait_until(pilot, lambda: "not a SQLite file" in shown(pilot) + toasts(pilot))
    assert lab.path.read_bytes().startswith(b"no history")
