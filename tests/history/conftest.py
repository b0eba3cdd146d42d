"""Histories with audits in them, answered by scripts; no engine and no runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import scripted

from engines.base import ChoiceRequest, Generation, canonical_text
from suites.base import Answer, Suite, Verdict
from workbench.audits.build import build_plan
from workbench.audits.plan import Plan, Trial, trials
from workbench.audits.work import Work, collect, conclude
from workbench.history import History

Given = tuple[Trial, str, Answer, Verdict]
"""A trial, the prompt as the history keeps it, the answer, and what the task makes of it."""
Writer = Callable[[int], str]
"""The text of the answer to the trial at a place of the plan."""


class Recorder:
    """Plans of two models on a few scripted terms, and answers to them."""

    def __init__(self, suites: Sequence[Suite], models: Sequence[str] = ("ada", "bo"), seed: int = 2024) -> None:
        self.suites = list(suites)
        self.plan: Plan = build_plan([scripted.model(name) for name in models], self.suites, seed=seed)

    def given(self, write: Writer | None = None) -> Iterator[Given]:
        """All trials of the plan with their answers, in the plan's order."""
        work = Work(self.plan, self.suites)
        engines = {model.key: scripted.Scripted(model.key) for model in self.plan.models}
        for place, trial in enumerate(trials(self.plan)):
            request = work.request(trial)
            answer: Answer
            if isinstance(request, ChoiceRequest):
                (answer,) = engines[trial.model].score([request])
            elif write is None:
                answer = collect(token for _, token in engines[trial.model].generate([request]))
            else:
                answer = Generation(write(place), "stop", (1, 2), (-0.25, -0.5))
            task, item = work.find(trial)
            yield trial, canonical_text(request.prompt), answer, task.judge(item, trial.condition, answer)

    def begin(self, history: History, note: str = "") -> str:
        """An audit that runs, with nothing answered."""
        return history.create_audit(self.plan, self.suites, note=note, machine={"cpu": "abacus"}, libraries={"x": "1"})

    def fill(self, history: History, audit: str, *, most: int = 10**9, write: Writer | None = None) -> int:
        """Answer what is not answered yet, at most so many; returns how many."""
        known = history.answered(audit)
        left = [given for given in self.given(write) if given[0].id not in known][:most]
        for trial, prompt, answer, verdict in left:
            history.add_answer(audit, trial, prompt, answer, verdict, 0.25)
        history.flush()
        return len(left)

    def complete(self, history: History, note: str = "", write: Writer | None = None) -> str:
        """A whole audit with its findings."""
        audit = self.begin(history, note)
        self.fill(history, audit, write=write)
        for model in self.plan.models:
            history.add_card(audit, model.key, scripted.Scripted(model.key).card)
            history.set_noise(audit, model.key, 0.05, 3, {"spread": [0.01, 0.05]})
            history.set_canary(audit, model.key, {"largest": 0.01})
        history.set_status(audit, "complete")
        conclude(history, audit)
        return audit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the history of a test lies."""
    return tmp_path / "kept" / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    """A new history, open for writing, that gives up waiting at once."""
    with History.open(path, wait=0.05) as opened:
        yield opened


@pytest.fixture
def recorder() -> Recorder:
    """Three terms, two tasks, two languages, one wording: 24 trials."""
    return Recorder([scripted.terms(3, versions=1)])


@pytest.fixture
def make_recorder() -> Callable[..., Recorder]:
    """For other suites, models and seeds."""
    return Recorder
