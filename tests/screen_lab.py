"""The application over scripted models and suites, and how tests drive it: no real model, no sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scripted import Garage, Scripted, fingerprint_of, mainland, model, place_of, taiwan
from textual.pilot import Pilot
from textual.widgets import Button, DataTable, Static

from engines.base import ChoiceRequest, GenerateRequest
from engines.describe import CatalogModel
from suites.base import Suite
from suites.loader import SuiteSummary
from workbench import paths
from workbench.app import WorkbenchApp
from workbench.audits.events import Listener
from workbench.audits.plan import PlannedModel
from workbench.audits.runner import Runner
from workbench.core import Progress, Workbench
from workbench.settings import Settings

PATIENCE = 30.0
"""Seconds after which a condition that should have come is taken for lost."""


class ScriptedCore(Workbench):
    """A workbench whose models are scripted and whose history is real."""

    def __init__(
        self, suites: Sequence[Suite], garage: Garage | None = None, names: Sequence[str] = ("one", "two")
    ) -> None:
        super().__init__(Settings(reduced_motion=True))
        self._suites = list(suites)
        self._names = names
        self.garage = garage or Garage()

    def prepare_starters(self, progress: Progress | None = None, *, restore: bool = False) -> list[str]:
        return []

    def models(self) -> list[CatalogModel]:
        return [model(name, fingerprint=fingerprint_of(name)) for name in self._names]

    def usable(self, name: str, progress: Progress | None = None) -> CatalogModel:
        return next(one for one in self.models() if one.name == name)

    def open_planned(self, model: PlannedModel) -> object:  # type: ignore[override]
        return self.garage(model)

    def suites(self) -> list[SuiteSummary]:
        return [
            SuiteSummary(
                id=one.id,
                version=one.version,
                title=one.title,
                items=len(one.items),
                languages=one.languages,
                measures=one.measures,
                folder=Path("/suites") / one.id,
                builtin=True,
            )
            for one in self._suites
        ]

    def suite(self, name: str) -> Suite:
        return next(one for one in self._suites if one.id == name)

    def runner(self, listeners: Sequence[Listener] = ()) -> Runner:
        return Runner(paths.history_path(), self.garage, listeners, self.scheduler)


async def wait_until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Let the application work until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"the condition never came; on screen:\n{shown(pilot)}"
        await pilot.pause(0.01)


async def wait_for_screen(pilot: Pilot[None], name: str) -> None:
    """Wait until a screen of that class is on top and settled."""
    await wait_until(pilot, lambda: type(pilot.app.screen).__name__ == name)
    await pilot.pause()


def shown(pilot: Pilot[None]) -> str:
    """What is on the screen, as text."""
    app = pilot.app
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines[:height])[: (width + 1) * height * 2]


def said(pilot: Pilot[None], selector: str) -> str:
    """The text of a Static."""
    return str(pilot.app.screen.query_one(selector, Static).render())


class CompareApp(WorkbenchApp):
    """The application, opened on Compare."""

    DEFAULT_MODE = "compare"


def likes(region: str) -> Scripted:
    """A model that finds the words of one region likelier by three nats, whatever the script."""

    def score(request: ChoiceRequest, place: int) -> float:
        word = request.continuations[place]
        own = mainland(place_of(request))[1] if region == "mainland" else taiwan(place_of(request))[1]
        return (-2.0 if own in word else -5.0) - (sum(map(ord, word)) % 7) / 100

    def write(request: GenerateRequest) -> str:
        return mainland(place_of(request)) if region == "mainland" else taiwan(place_of(request))

    return Scripted("one" if region == "mainland" else "two", score=score, write=write)


def opposed() -> Garage:
    """Model `one` takes the Mainland's words, model `two` Taiwan's."""
    return Garage(one=lambda: likes("mainland"), two=lambda: likes("taiwan"))


async def run_audit(pilot: Pilot[None]) -> None:
    """From the set-up to the findings."""
    await ready(pilot)
    await pilot.press("ctrl+r")
    await wait_for_screen(pilot, "FindingsScreen")
    await wait_until(pilot, lambda: pilot.app.screen.query_one("#findings", DataTable).row_count)
    await pilot.pause()


async def ready(pilot: Pilot[None]) -> None:
    """Wait until the set-up has counted its questions."""
    await wait_for_screen(pilot, "SetupScreen")
    await wait_until(pilot, lambda: not pilot.app.screen.query_one("#setup-run", Button).disabled)
