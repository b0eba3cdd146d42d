"""Make the README's pictures from the real screens: one small audit of the two starter models, drawn as SVG.

    make shots

The models really run (two to three minutes on two cores). All but the pictures goes into a temporary folder.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from workbench.app import WorkbenchApp

HERE = Path(__file__).parent
SIZE = (120, 36)


async def _until(pilot: Pilot[None], screen: str, ready: str) -> None:
    """Wait until a screen of that class is on top and holds a widget of that selector with content."""
    while type(pilot.app.screen).__name__ != screen or not pilot.app.screen.query(ready):
        await pilot.pause(0.2)
    await pilot.pause(1)


def _save(app: WorkbenchApp, name: str) -> None:
    target = HERE / f"{name}.svg"
    target.write_text(app.export_screenshot(title="culture-workbench"), encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size // 1000} kB")


async def shoot() -> None:
    """Walk through the application as the README does."""
    from textual.widgets import Button, Checkbox, Input

    from screens.live import LiveScreen
    from screens.live_pane import LivePane
    from workbench.app import WorkbenchApp
    from workbench.core import Workbench
    from workbench.settings import Settings

    core = Workbench(Settings(reduced_motion=True))
    for line in core.prepare_starters():
        print(line)
    app = WorkbenchApp(core)
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, "ModelsScreen", "DataTable")
        _save(app, "models")
        await pilot.press("2")
        await _until(pilot, "SetupScreen", "#setup-run")
        app.screen.query_one("#option-limit", Input).value = "8"
        app.screen.query_one("#option-quick", Checkbox).value = True
        while app.screen.query_one("#setup-run", Button).disabled:
            await pilot.pause(0.2)
        _save(app, "compare")
        await pilot.press("ctrl+r")
        await _until(pilot, "FindingsScreen", "#findings")
        await pilot.pause(1)
        _save(app, "findings")
        await pilot.press("enter")
        await _until(pilot, "ItemsScreen", ".answer")
        _save(app, "items")
        await pilot.press("3")
        await _until(pilot, "LiveScreen", "LivePane")
        while not all(pane.bars is not None for pane in app.screen.query(LivePane)):
            await pilot.pause(0.2)
        # The noise of what is shown is measured when nothing has been typed for a while.
        while isinstance(app.screen, LiveScreen) and not app.screen._floors:
            await pilot.pause(0.2)
        _save(app, "live")


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        # A home of its own, so that no user's folder is touched and none is seen in the pictures.
        for name in [name for name in os.environ if name.startswith(("XDG_", "CULTURE_WORKBENCH_"))]:
            del os.environ[name]
        os.environ["HOME"] = folder
        asyncio.run(shoot())


if __name__ == "__main__":
    sys.exit(main())
