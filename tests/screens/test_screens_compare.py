"""Compare, as a user goes through it: set up, run, findings, items; with scripted models and a real history."""

from __future__ import annotations

import threading

from screen_lab import CompareApp, ScriptedCore, opposed, ready, run_audit, said, shown, wait_for_screen, wait_until
from scripted import Garage, Scripted, hashed, mainland, names, same, terms
from textual.widgets import Button, Checkbox, Input, SelectionList, TabbedContent

from workbench.history import History
from workbench.history.rows import AuditRow
from workbench.paths import history_path

WIDE, NARROW = (120, 36), (80, 24)


def audits() -> list[AuditRow]:
    """What is in the history."""
    with History.open(history_path(), readonly=True) as history:
        return history.audits()


async def test_the_set_up_counts_the_questions_and_says_what_is_missing() -> None:
    app = CompareApp(ScriptedCore([terms(6), names(4)]))
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        # 6 terms × 2 tasks × 2 languages × 2 wordings, and 4 lists × 4 orders
        assert "64 questions to each of 2 models" in said(pilot, "#setup-sum")
        app.screen.query_one("#option-limit", Input).value = "3"
        # 3 × 2 × 2 × 2 and 3 × 4
        await wait_until(pilot, lambda: "36 questions to each of 2 models" in said(pilot, "#setup-sum"))
        app.screen.query_one("#option-limit", Input).value = ""
        await wait_until(pilot, lambda: "items: a whole number" in said(pilot, "#setup-sum"))
        assert app.screen.query_one("#setup-run", Button).disabled
        app.screen.query_one("#option-limit", Input).value = "0"
        app.screen.query_one("#choose-models", SelectionList).deselect_all()
        await wait_until(pilot, lambda: "Choose at least one model" in said(pilot, "#setup-sum"))


async def test_without_models_the_set_up_says_what_to_press() -> None:
    app = CompareApp(ScriptedCore([terms(6)], names=()))
    async with app.run_test(size=NARROW) as pilot:
        await wait_until(pilot, lambda: "1 opens Models" in shown(pilot))


async def test_an_audit_runs_to_its_findings_and_down_to_an_item() -> None:
    app = CompareApp(ScriptedCore([terms(8)], opposed()))
    async with app.run_test(size=WIDE) as pilot:
        await run_audit(pilot)
        assert "✱" in shown(pilot), "100 % against 0 % over 8 items is a difference"
        assert "100.0 [" in shown(pilot)
        assert "one prefers the Mainland’s words" in shown(pilot)
        await pilot.press("d")
        await pilot.pause()
        assert "only rows where the models differ" in shown(pilot)
        await pilot.press("enter")
        await wait_for_screen(pilot, "ItemsScreen")
        await wait_until(pilot, lambda: "margin" in shown(pilot))
        text = shown(pilot)
        assert "the models differ in 16" in text
        assert mainland(0) in text
        assert "第0號" in text
        assert "■ one" in text
        assert "▲ two" in text
        await pilot.press("slash", *"term-0003", "enter")
        await wait_until(pilot, lambda: "2 of 16 questions" in shown(pilot))
        await pilot.press("escape")
        await wait_until(pilot, lambda: "16 of 16 questions" in shown(pilot))
        await pilot.press("escape")
        await wait_for_screen(pilot, "FindingsScreen")
        await pilot.press("escape")
        await wait_for_screen(pilot, "SetupScreen")
    assert [row.status for row in audits()] == ["complete"]


async def test_a_run_can_be_stopped_and_resumed() -> None:
    gate = threading.Event()
    slow = Scripted("one", gate=gate, gate_at=30)
    made = iter([slow, Scripted("one")])
    app = CompareApp(ScriptedCore([terms(6)], Garage(one=lambda: next(made))))
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+r")
        await wait_for_screen(pilot, "RunScreen")
        await wait_until(pilot, slow.reached.is_set)
        await wait_until(pilot, lambda: "answers" in shown(pilot))
        assert "⏵ audit" in shown(pilot)
        await pilot.press("escape", "p")
        await wait_for_screen(pilot, "RunScreen")
        await pilot.press("s")
        await wait_until(pilot, lambda: "Stopped" in shown(pilot))
        assert [row.status for row in audits()] == ["paused"]
        await pilot.press("r")
        await wait_for_screen(pilot, "FindingsScreen")
    assert [(row.status, row.done) for row in audits()] == [("complete", 96)]


async def test_leaving_the_application_pauses_the_audit() -> None:
    gate = threading.Event()
    slow = Scripted("one", gate=gate, gate_at=30)
    app = CompareApp(ScriptedCore([terms(6)], Garage(one=lambda: slow)))
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+r")
        await wait_until(pilot, slow.reached.is_set)
        await pilot.press("ctrl+q")
    assert [row.status for row in audits()] == ["paused"]


async def test_a_failed_check_is_told_and_the_audit_has_failed() -> None:
    app = CompareApp(ScriptedCore([terms(6)], Garage(one=lambda: Scripted("one", score=lambda request, place: -1.0))))
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "The audit failed" in shown(pilot))
        assert "are equal" in shown(pilot)
    assert [row.status for row in audits()] == ["failed"]


async def test_what_a_model_writes_is_never_markup_nor_a_control_code() -> None:
    hostile = "[bold red]x[/] \x1b[31mred\x1b[0m \u202eright to left [@click=app.quit]q[/]"
    garage = Garage(one=lambda: Scripted("one", write=same(hostile)), two=lambda: Scripted("two", score=hashed("b")))
    app = CompareApp(ScriptedCore([terms(4, tasks=("answer",), languages=("zh-Hans",))], garage))
    async with app.run_test(size=WIDE) as pilot:
        await run_audit(pilot)
        await pilot.press("enter")
        await wait_for_screen(pilot, "ItemsScreen")
        await wait_until(pilot, lambda: "[bold red]x[/] red right to left" in shown(pilot).replace("\n", " "))
        assert "\x1b" not in shown(pilot)
        assert "\u202e" not in shown(pilot)


async def test_a_suite_can_be_read_before_it_runs() -> None:
    app = CompareApp(ScriptedCore([terms(6)]))
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("i")
        await wait_for_screen(pilot, "SuiteScreen")
        await wait_until(pilot, lambda: "What it cannot show" in shown(pilot))
        assert "what the script says" in shown(pilot)
        app.screen.query_one("#suite-tabs", TabbedContent).active = "suite-items"
        await wait_until(pilot, lambda: "term-0005" in shown(pilot))
        app.screen.query_one("#suite-tabs", TabbedContent).active = "suite-sources"
        await wait_until(pilot, lambda: "A book" in shown(pilot))


async def test_on_a_small_screen_the_answers_are_a_tab() -> None:
    app = CompareApp(ScriptedCore([terms(8)], opposed()))
    async with app.run_test(size=NARROW) as pilot:
        await run_audit(pilot)
        await pilot.press("enter")
        await wait_for_screen(pilot, "ItemsScreen")
        await wait_until(pilot, lambda: "of 16 questions" in shown(pilot))
        await pilot.press("enter")
        await wait_until(pilot, lambda: "■ one" in shown(pilot) and "margin" in shown(pilot))
        await pilot.press("escape")
        await wait_until(pilot, lambda: "of 16 questions" in shown(pilot) and "term-0001" in shown(pilot))


async def test_the_findings_can_be_noted_and_exported(tmp_path: object) -> None:
    from pathlib import Path

    target = Path(str(tmp_path)) / "out.md"
    app = CompareApp(ScriptedCore([terms(4)], opposed()))
    async with app.run_test(size=WIDE) as pilot:
        await run_audit(pilot)
        await pilot.press("n", *"week one", "enter")
        await wait_until(pilot, lambda: audits()[0].note == "week one")
        await pilot.press("x")
        await wait_for_screen(pilot, "Choose")
        await pilot.press("enter")
        await wait_for_screen(pilot, "Ask")
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await wait_until(pilot, target.exists)
        await wait_for_screen(pilot, "FindingsScreen")
    assert "scripted-terms" in target.read_text(encoding="utf-8")


async def test_a_box_that_is_not_ticked_is_empty_without_any_colour() -> None:
    app = CompareApp(ScriptedCore([terms(6)]))
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        assert "▐X▌ one" in shown(pilot)
        assert "▐ ▌ quick" in shown(pilot)
        app.screen.query_one("#choose-models", SelectionList).deselect("one")
        app.screen.query_one("#option-quick", Checkbox).value = True
        await wait_until(pilot, lambda: "▐ ▌ one" in shown(pilot) and "▐X▌ quick" in shown(pilot))
