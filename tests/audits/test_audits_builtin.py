"""Every built-in suite: whole on a scripted engine, and a few items of it on both starter models."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import questions
from scripted import Garage, Lab, Scripted, model

from engines.base import Engine, LoadOptions
from engines.process import open_engine
from suites.loader import builtin, load
from workbench.audits.build import build_plan
from workbench.audits.plan import PlannedModel, PlannedTask
from workbench.audits.runner import Runner
from workbench.core import Workbench

IDS = [summary.id for summary in builtin()]
OPTIONS = LoadOptions(context=1024, threads=1, gpu_layers=0)


@pytest.mark.parametrize("suite_id", IDS)
def test_a_suite_runs_whole_on_a_scripted_engine(lab: Lab, suite_id: str) -> None:
    """Every item in every language and context, in one wording and order: nothing fails, and every figure is given."""
    suite = load(suite_id)
    plan = build_plan([model("alpha", template=True)], [suite], quick=True)
    audit = lab.complete(
        plan, [suite], Garage(alpha=lambda: Scripted("alpha", score=questions.by_lot, write=questions.writes_by_lot))
    )
    with lab.open() as history:
        row, found = history.audit(audit), history.findings(audit)
        kinds = {one.verdict.kind for one in history.judged(audit)}
    assert row.done == row.total
    assert found is not None
    assert "error" not in kinds
    assert {one.task for one in found.findings} == {task.id for task in suite.tasks}
    asked = {(one.task, one.condition["language"], one.condition.get("context", "")) for one in found.findings}
    assert asked == {(task.id, p.language, p.context) for task in suite.tasks for p in task.prompts}


def first_context(task: PlannedTask) -> PlannedTask:
    """A task in its first context only: all of them are asked on the scripted engine."""
    first = task.conditions[0].context
    kept = tuple(condition for condition in task.conditions if condition.context == first)
    return msgspec.structs.replace(task, conditions=kept)


@pytest.mark.model
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "gemma-3-270m"])
def test_all_suites_run_on_a_real_model(lab: Lab, starters: dict[str, Path], name: str) -> None:
    """Five items of each, quickly, in one thread, in English; every answer is one, and none is an error."""

    def opened(planned: PlannedModel) -> Engine:
        return open_engine(planned.path, planned.options, name=planned.name, fingerprint=planned.fingerprint)

    usable = Workbench().usable(Workbench().catalog.find(str(starters[name])).name)
    suites = [load(suite_id) for suite_id in IDS if not suite_id.startswith("sc-tc")]
    plan = build_plan([usable], suites, languages=("en",), limit=5, quick=True, options={usable.name: OPTIONS})
    # What the noise floor is does not matter here, and measuring it takes as long as the rest.
    plan = msgspec.structs.replace(plan, noise_items=2, tasks=tuple(map(first_context, plan.tasks)))
    runner = Runner(lab.path, opened)
    audit = runner.start(plan, suites)
    assert runner.run() == "complete", lab.message(audit)
    with lab.open() as history:
        assert history.verify(audit) == []
        found = history.findings(audit)
        failed = [row.verdict.reason for row in history.judged(audit) if row.verdict.kind == "error"]
    assert failed == []
    assert found is not None
    assert {one.suite for one in found.findings} == {suite.id for suite in suites}
