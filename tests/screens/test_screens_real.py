"""One real audit in the application, with SmolLM2 on one thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import screen_lab
from screen_lab import CompareApp, shown, wait_for_screen, wait_until
from textual.widgets import Button, Checkbox, DataTable, Input, SelectionList

from workbench.core import Workbench
from workbench.settings import Settings

NAME = "smollm2-135m-instruct"


@pytest.mark.model
@pytest.mark.timeout(240)
async def test_a_real_audit_from_the_set_up_to_an_answer(
    home: Path, starters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen_lab, "PATIENCE", 200.0)
    (home / "models").mkdir()
    os.symlink(starters[NAME], home / "models" / f"{NAME}.gguf")
    core = Workbench(Settings(threads=1, context=1024, gpu_layers=0, reduced_motion=True))
    core.scan()
    app = CompareApp(core)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_screen(pilot, "SetupScreen")
        await wait_until(pilot, lambda: app.screen.query_one("#choose-suites", SelectionList).option_count > 2)
        app.screen.query_one("#choose-suites", SelectionList).deselect("sc-tc-names")
        await wait_until(pilot, lambda: app.screen.query_one("#choose-languages", SelectionList).option_count == 3)
        languages = app.screen.query_one("#choose-languages", SelectionList)
        languages.deselect("zh-Hant")
        languages.deselect("en")
        app.screen.query_one("#option-limit", Input).value = "3"
        app.screen.query_one("#option-quick", Checkbox).value = True
        await wait_until(pilot, lambda: "8 questions to each of 1 model" in shown(pilot))
        await wait_until(pilot, lambda: not app.screen.query_one("#setup-run", Button).disabled)
        await pilot.press("ctrl+r")
        await wait_for_screen(pilot, "FindingsScreen")
        await wait_until(pilot, lambda: app.screen.query_one("#findings", DataTable).row_count)
        assert "Mainland word" in shown(pilot)
        await pilot.press("enter")
        await wait_for_screen(pilot, "ItemsScreen")
        await wait_until(pilot, lambda: "margin" in shown(pilot))
    with core.history() as history:
        (audit,) = history.audits()
        assert (audit.status, audit.done) == ("complete", 8)
        assert history.verify(audit.id) == []
        assert list(history.cards(audit.id)) == [NAME]
        assert history.cards(audit.id)[NAME].threads == 1
