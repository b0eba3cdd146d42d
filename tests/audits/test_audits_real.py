"""One audit of a real model, whose process is killed in the middle: what was answered stays, the rest is resumed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from scripted import Lab

from engines.base import Engine, LoadOptions
from engines.process import EngineProcess, open_engine
from suites.loader import load
from workbench.audits import events
from workbench.audits.build import build_plan
from workbench.audits.plan import Plan, PlannedModel
from workbench.audits.runner import Runner
from workbench.core import Workbench

NAME = "smollm2-135m-instruct"
OPTIONS = LoadOptions(context=1024, threads=1, gpu_layers=0)


class Opened:
    """Opens the planned models and keeps the last engine."""

    last: EngineProcess | None = None

    def __call__(self, model: PlannedModel) -> Engine:
        self.last = open_engine(model.path, model.options, name=model.name, fingerprint=model.fingerprint)
        return self.last


def plan_of(path: Path) -> Plan:
    """A few questions to SmolLM2: likelihoods and a written word."""
    found = Workbench().catalog.find(str(path))
    usable = Workbench().usable(found.name)
    suites = [load("sc-tc-terms")]
    return build_plan([usable], suites, languages=("zh-Hans",), limit=4, quick=True, options={usable.name: OPTIONS})


def comparable(lab: Lab, audit: str) -> dict[str, Any]:
    """All that an audit holds but what depends on the process that computed it."""
    found = lab.contents(audit)
    return {name: found[name] for name in ("plan", "status", "done", "rows", "findings", "noise", "canary", "head")}


@pytest.mark.model
@pytest.mark.timeout(240)
def test_a_killed_model_pauses_the_audit_and_the_resumed_one_is_equal(lab: Lab, starters: dict[str, Path]) -> None:
    plan, suites = plan_of(starters[NAME]), [load("sc-tc-terms")]
    opened = Opened()

    def kill(event: events.Event) -> None:
        if isinstance(event, events.TrialAnswered) and event.done == 3:
            assert opened.last is not None
            os.kill(opened.last.pid, signal.SIGKILL)

    runner = Runner(lab.path, opened, [kill])
    audit = runner.start(plan, suites)
    assert runner.run() == "paused"
    with lab.open() as history:
        row = history.audit(audit)
        assert "SIGKILL" in row.message
        assert 3 <= row.done < row.total
    resumed = Runner(lab.path, Opened())
    resumed.resume(audit)
    assert resumed.run() == "complete"
    whole = Runner(lab.path, Opened())
    other = whole.start(plan, suites)
    assert whole.run() == "complete"
    assert comparable(lab, audit) == comparable(lab, other)
