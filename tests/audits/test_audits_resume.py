"""An audit that was interrupted, in whatever way and wherever, ends up as one that was not (times excepted)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scripted import Background, Garage, Lab, Scripted, hashed, model, terms

from engines.base import ChoiceRequest, GenerateRequest, Token
from workbench.audits import events
from workbench.audits.build import build_plan
from workbench.audits.checks import CANARIES, SHAPES
from workbench.audits.errors import AuditError
from workbench.audits.plan import Plan, trials
from workbench.history import History, HistoryError

SUITE = terms(3, versions=1, languages=("zh-Hans",))
NOISE_ITEMS = 1
TRIALS = 6
CANARY = 2 * CANARIES
CHECKS = CANARY + NOISE_ITEMS * len(SHAPES)
PER_MODEL = CHECKS + TRIALS


def small_plan(*keys: str) -> Plan:
    plan = build_plan([model(key) for key in keys or ("alpha", "beta")], [SUITE])
    return msgspec.structs.replace(plan, noise_items=NOISE_ITEMS)


def written(request: GenerateRequest) -> str:
    return f"简{chr(0x5000 + len(str(request.prompt)) % 3)}"


def scripted(key: str, **rest: Any) -> Scripted:
    """The same answers however often it is opened; the scores wobble, so that the noise floor is not 0."""
    return Scripted(key, **{"write": written, "wobble": 0.004, "quantisation": "Q4_0", **rest})


def garage(**special: Callable[[], Scripted]) -> Garage:
    return Garage(**{"alpha": lambda: scripted("alpha"), "beta": lambda: scripted("beta"), **special})


def kept_answers(lab: Lab, audit: str) -> int:
    with lab.open() as history:
        return len(history.answered(audit))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the history holds after an audit of two models that nothing disturbed."""
    lab = Lab(tmp_path_factory.mktemp("uninterrupted"))
    made = garage()
    found = lab.contents(lab.complete(small_plan(), [SUITE], made))
    assert [engine.requests for engine in made.made] == [PER_MODEL, PER_MODEL]
    assert all(row.floor > 0 for row in found["noise"].values())
    assert len(found["rows"]) == 2 * TRIALS
    assert found["findings"].findings
    assert found["findings"].comparisons
    return found


def test_two_uninterrupted_runs_are_equal(lab: Lab, uninterrupted: dict[str, Any]) -> None:
    assert lab.contents(lab.complete(small_plan(), [SUITE], garage())) == uninterrupted


# -- an engine that dies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(2 * PER_MODEL))
def test_after_an_engine_died_at_request_k_a_resume_completes_the_same_audit(
    lab: Lab, uninterrupted: dict[str, Any], k: int
) -> None:
    key, after = ("alpha", k) if k < PER_MODEL else ("beta", k - PER_MODEL)
    audit, status = lab.run(small_plan(), [SUITE], garage(**{key: lambda: scripted(key, dies_after=after)}))
    assert status == lab.status(audit) == "paused"
    assert "SIGKILL" in lab.message(audit)
    assert "resume" in lab.message(audit)
    assert kept_answers(lab, audit) == max(0, after - CHECKS) + (TRIALS if key == "beta" else 0)
    with lab.open() as history:
        assert history.findings(audit) is None
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


def test_an_engine_that_dies_again_and_again_still_gets_there(lab: Lab, uninterrupted: dict[str, Any]) -> None:
    """Each engine lives for the checks and two questions more; what it answered is never asked again."""
    made = garage(
        alpha=lambda: scripted("alpha", dies_after=CHECKS + 2), beta=lambda: scripted("beta", dies_after=CHECKS + 2)
    )
    audit, status = lab.run(small_plan(), [SUITE], made)
    lives = 1
    while status == "paused":
        status = lab.resume(audit, made)
        lives += 1
        assert lives < 10
    assert status == "complete"
    assert lab.contents(audit) == uninterrupted
    for key in ("alpha", "beta"):
        engines = [engine for engine in made.made if engine.card.name == key]
        asked = [entry for life, engine in enumerate(engines) for entry in engine.asked[CANARY if life else CHECKS :]]
        assert len(engines) == 2
        assert len(asked) == len(set(asked)) == TRIALS


def test_every_engine_is_closed_whatever_happens(lab: Lab) -> None:
    made = garage(beta=lambda: scripted("beta", dies_after=CHECKS + 1))
    lab.run(small_plan(), [SUITE], made)
    assert len(made.made) == 2
    assert all(engine.closed for engine in made.made)


def test_an_engine_that_cannot_be_opened_pauses_the_audit_with_its_reason(
    lab: Lab, uninterrupted: dict[str, Any]
) -> None:
    from engines.base import EngineError

    def missing() -> Scripted:
        raise EngineError("beta: /models/beta.gguf is not there any more")

    audit, status = lab.run(small_plan(), [SUITE], garage(beta=missing))
    assert status == "paused"
    assert lab.message(audit).startswith("beta: /models/beta.gguf is not there any more")
    assert kept_answers(lab, audit) == TRIALS
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


def test_other_weights_than_the_plans_are_asked_nothing(lab: Lab, uninterrupted: dict[str, Any]) -> None:
    made = garage(alpha=lambda: scripted("alpha", fingerprint="f" * 64))
    audit, status = lab.run(small_plan(), [SUITE], made)
    assert status == "paused"
    assert "other weights than the plan's" in lab.message(audit)
    assert made.made[0].requests == 0
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


# -- a cancel ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(PER_MODEL))
def test_after_a_cancel_at_request_k_a_resume_completes_the_same_audit(
    lab: Lab, uninterrupted: dict[str, Any], k: int
) -> None:
    engine = scripted("alpha", gate=threading.Event(), gate_at=k)
    runner = lab.runner(garage(alpha=lambda: engine))
    audit = runner.start(small_plan(), [SUITE])
    run = Background(runner.run)
    assert engine.reached.wait(60)
    runner.cancel()
    assert run.result() == lab.status(audit) == "paused"
    assert engine.requests == k
    assert kept_answers(lab, audit) == max(0, k - CHECKS)
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


@pytest.mark.parametrize("k", range(1, 2 * TRIALS))
def test_after_a_cancel_at_answer_k_nothing_more_is_asked(lab: Lab, uninterrupted: dict[str, Any], k: int) -> None:
    heard: list[events.Event] = []

    def listen(event: events.Event) -> None:
        heard.append(event)
        if sum(isinstance(one, events.TrialAnswered) for one in heard) == k:
            runner.cancel()

    runner = lab.runner(garage(), [listen])
    audit = runner.start(small_plan(), [SUITE])
    assert runner.run() == "paused"
    assert kept_answers(lab, audit) == k
    ended = heard[-1]
    assert isinstance(ended, events.AuditEnded)
    assert (ended.status, ended.message) == ("paused", "cancelled")
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


@pytest.mark.parametrize("k", [0, 1, CANARY - 1, CANARY, CHECKS - 1, CHECKS, CHECKS + 2])
def test_a_cancel_while_a_score_is_computed_is_heeded_after_it(lab: Lab, uninterrupted: dict[str, Any], k: int) -> None:
    """The engine finishes the score as if it had not heard; the runner asks nothing more."""

    def score(request: ChoiceRequest, place: int) -> float:
        if engine.requests == k + 1:
            runner.cancel()
        return hashed("alpha")(request, place)

    engine = scripted("alpha", score=score)
    runner = lab.runner(garage(alpha=lambda: engine))
    audit = runner.start(small_plan(), [SUITE])
    assert runner.run() == "paused"
    assert engine.requests == k + 1
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


def test_a_half_written_answer_is_none(lab: Lab, uninterrupted: dict[str, Any]) -> None:
    """The cancel comes while an answer is written; it is asked again."""

    def cancelling(request: GenerateRequest) -> str:
        runner.cancel()
        return written(request)

    runner = lab.runner(garage(alpha=lambda: scripted("alpha", write=cancelling)))
    audit = runner.start(small_plan(), [SUITE])
    assert runner.run() == "paused"
    assert kept_answers(lab, audit) == 3
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


def test_an_answer_that_the_engine_ends_as_cancelled_is_none(lab: Lab, uninterrupted: dict[str, Any]) -> None:
    class Polite(Scripted):
        def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Token]]:
            yield 0, Token("简", 1)
            yield 0, Token("", finish="cancelled")

    made = garage(alpha=lambda: Polite("alpha", wobble=0.004, quantisation="Q4_0"))
    audit, status = lab.run(small_plan(), [SUITE], made)
    assert status == "paused"
    assert kept_answers(lab, audit) == 3
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


def test_a_cancel_before_the_run_opens_nothing(lab: Lab) -> None:
    made = garage()
    runner = lab.runner(made)
    runner.start(small_plan(), [SUITE])
    runner.cancel()
    assert runner.run() == "paused"
    assert made.made == []


# -- a killed process -------------------------------------------------------------------------------------------------

CHILD = """
import sys, threading
from pathlib import Path
sys.path[:0] = {paths!r}
from scripted import Garage, Lab
from test_audits_resume import SUITE, garage, scripted, small_plan

lab, blocked = Lab(Path({folder!r})), {blocked!r}

def listen(event):
    print(type(event).__name__, flush=True)

special = {{}}
if blocked is not None:
    engine = scripted("alpha", gate=threading.Event(), gate_at=blocked)
    def tell():
        engine.reached.wait()
        print("blocked", flush=True)
    threading.Thread(target=tell, daemon=True).start()
    special["alpha"] = lambda: engine
runner = lab.runner(garage(**special), [listen])
print(runner.start(small_plan(), [SUITE]), flush=True)
print(runner.run(), flush=True)
sys.stdin.read()
"""


def killed(lab: Lab, until: Callable[[list[str]], bool], *, blocked: int | None = None) -> tuple[str, list[str]]:
    """Run the audit in a process of its own and kill that with SIGKILL as soon as `until` holds for what it has
    printed; the audit's id and what it printed."""
    here = Path(__file__).resolve()
    paths = [str(here.parents[2]), str(here.parents[1]), str(here.parent)]
    code = CHILD.format(paths=paths, folder=str(lab.folder), blocked=blocked)
    lines: list[str] = []
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line.strip())
            if until(lines):
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL, lines
    return lines[0], lines


@pytest.mark.parametrize("k", [0, CANARY, CHECKS, CHECKS + 1, CHECKS + 3, PER_MODEL - 1])
def test_after_a_kill_while_request_k_is_computed_a_resume_completes_the_same_audit(
    lab: Lab, uninterrupted: dict[str, Any], k: int
) -> None:
    audit, _ = killed(lab, lambda lines: lines[-1] == "blocked", blocked=k)
    assert lab.status(audit) == "paused"
    assert "resumed" in lab.message(audit)
    assert kept_answers(lab, audit) <= max(0, k - CHECKS)
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


@pytest.mark.parametrize("answers", [1, 2 * TRIALS - 1])
def test_after_a_kill_in_full_run_a_resume_completes_the_same_audit(
    lab: Lab, uninterrupted: dict[str, Any], answers: int
) -> None:
    """The process goes on while it is killed, so the moment is any."""
    audit, lines = killed(lab, lambda lines: lines.count("TrialAnswered") == answers)
    assert "AuditEnded" not in lines
    if lab.status(audit) != "complete":
        assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


def test_answers_are_on_the_disk_while_the_next_question_is_computed(lab: Lab) -> None:
    """What another process reads, while the audit's own waits for an answer: so a kill loses none of them."""
    engine = scripted("alpha", gate=threading.Event(), gate_at=CHECKS + 4)
    runner = lab.runner(garage(alpha=lambda: engine))
    audit = runner.start(small_plan(), [SUITE])
    run = Background(runner.run)
    assert engine.reached.wait(60)
    lab.until(lambda: kept_answers(lab, audit) == 4)
    assert lab.status(audit) == "running"
    runner.cancel()
    assert run.result() == "paused"


# -- what cannot be resumed -------------------------------------------------------------------------------------------


def test_a_complete_audit_is_not_resumed(lab: Lab) -> None:
    audit = lab.complete(small_plan("alpha"), [SUITE], garage())
    with pytest.raises(AuditError, match=f"history rerun {audit}"):
        lab.resume(audit)


def test_an_unknown_audit_is_not_resumed(lab: Lab) -> None:
    audit = lab.complete(small_plan("alpha"), [SUITE], garage())
    with pytest.raises(HistoryError, match=audit):
        lab.resume("0000")


def test_a_running_audit_is_not_resumed_by_another_program(lab: Lab) -> None:
    engine = scripted("alpha", gate=threading.Event())
    runner = lab.runner(garage(alpha=lambda: engine))
    audit = runner.start(small_plan("alpha"), [SUITE])
    run = Background(runner.run)
    assert engine.reached.wait(60)
    with History.open(lab.path, wait=0) as other, pytest.raises(HistoryError, match="writing it"):
        other.set_status(audit, "running")
    runner.cancel()
    assert run.result() == "paused"


def test_an_audit_is_resumed_by_a_beginning_of_its_id(lab: Lab, uninterrupted: dict[str, Any]) -> None:
    audit, _ = lab.run(small_plan(), [SUITE], garage(alpha=lambda: scripted("alpha", dies_after=CHECKS + 1)))
    assert lab.resume(audit[:3], garage()) == "complete"
    assert lab.contents(audit) == uninterrupted


# -- the noise floor --------------------------------------------------------------------------------------------------


def test_the_noise_floor_is_measured_once_and_reused(lab: Lab) -> None:
    made = garage(alpha=lambda: scripted("alpha", dies_after=CHECKS + 1))
    audit, _ = lab.run(small_plan("alpha"), [SUITE], made)
    with lab.open() as history:
        before = history.noise(audit)
    again = garage(alpha=lambda: scripted("alpha", wobble=0.02))
    assert lab.resume(audit, again) == "complete"
    with lab.open() as history:
        assert history.noise(audit) == before
        found = history.findings(audit)
    assert found is not None
    assert {finding.noise for finding in found.findings if finding.task == "likelihood"} == {before["alpha"].floor}
    # The canary again, but no more than its two shapes.
    assert again.made[0].requests == CANARY + TRIALS - 1


def test_a_floor_that_was_not_finished_is_measured_anew(lab: Lab, uninterrupted: dict[str, Any]) -> None:
    made = garage(alpha=lambda: scripted("alpha", dies_after=CHECKS - 1))
    audit, _ = lab.run(small_plan(), [SUITE], made)
    with lab.open() as history:
        assert history.noise(audit) == {}
    assert lab.resume(audit, garage()) == "complete"
    assert lab.contents(audit)["noise"] == uninterrupted["noise"]


def test_the_plan_says_on_how_many_items_the_floor_is_measured(lab: Lab) -> None:
    plan = msgspec.structs.replace(small_plan("alpha"), noise_items=2)
    audit = lab.complete(plan, [SUITE], garage())
    with lab.open() as history:
        assert history.noise(audit)["alpha"].items == 2
    assert len({trial.item for trial in trials(plan)}) == 3
