"""Pictures of the Compare screens at both sizes: what changes on a screen must be meant.

After a change that is meant: `pytest tests/screens --snapshot-update`, then look at the pictures.
"""

from __future__ import annotations

from typing import Any

import pytest
from screen_lab import CompareApp, ScriptedCore, opposed, ready, run_audit, shown, wait_for_screen, wait_until
from scripted import terms
from textual.pilot import Pilot

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])


def app() -> CompareApp:
    """Two models that take different regions' words."""
    return CompareApp(ScriptedCore([terms(8)], opposed()))


async def to_items(pilot: Pilot[None]) -> None:
    """As far as the answers of the first item."""
    await run_audit(pilot)
    await pilot.press("enter")
    await wait_for_screen(pilot, "ItemsScreen")
    await wait_until(pilot, lambda: "of 16 questions" in shown(pilot))
    if pilot.app.size.width < 100:
        await pilot.press("enter")
    await wait_until(pilot, lambda: "margin" in shown(pilot))


async def to_suite(pilot: Pilot[None]) -> None:
    """As far as the suite's first tab."""
    await ready(pilot)
    await pilot.press("i")
    await wait_for_screen(pilot, "SuiteScreen")
    await wait_until(pilot, lambda: "What it cannot show" in shown(pilot))


@SIZES
def test_set_up(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=ready)


@SIZES
def test_findings(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=run_audit)


@SIZES
def test_items(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=to_items)


@SIZES
def test_suite(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=to_suite)
