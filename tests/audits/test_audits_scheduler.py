"""Who computes where: one holder a device, devices side by side, and whoever sits at the screen goes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Background, Garage, Lab, Scripted, hashed, model, terms

from engines.base import ChoiceRequest, GenerateRequest
from workbench.audits import events
from workbench.audits.build import build_plan
from workbench.audits.checks import CANARIES, SHAPES
from workbench.audits.plan import Plan, PlannedModel
from workbench.audits.scheduler import LeaseCancelled, Scheduler, device_of

SUITE = terms(4, versions=1, languages=("zh-Hans",))
ITEMS = 4
CANARY = 2 * CANARIES
CHECKS = CANARY + ITEMS * len(SHAPES)
TRIALS = 2 * ITEMS
TIMEOUT = 60.0


def plan(*keys: str) -> Plan:
    return build_plan([model(key) for key in keys], [SUITE])


# -- models on devices ------------------------------------------------------------------------------------------------


def test_models_on_one_device_run_one_after_another_in_the_order_of_the_plan(lab: Lab) -> None:
    happened: list[str] = []

    class Watched(Scripted):
        def close(self) -> None:
            happened.append(f"close {self.card.name}")
            super().close()

    def opening(name: str) -> Callable[[], Scripted]:
        def make() -> Scripted:
            happened.append(f"open {name}")
            return Watched(name)

        return make

    names = ("gamma", "alpha", "beta")
    lab.complete(plan(*names), [SUITE], Garage(**{name: opening(name) for name in names}))
    assert happened == [f"{what} {name}" for name in names for what in ("open", "close")]


def test_models_on_two_devices_run_side_by_side(lab: Lab) -> None:
    """The first question of each waits for the other's: one after another, neither would ever be answered."""
    both = threading.Barrier(2, timeout=TIMEOUT)
    met: list[str] = []

    def meeting(name: str) -> Scripted:
        def score(request: ChoiceRequest, place: int) -> float:
            if name not in met:
                met.append(name)
                both.wait()
            return hashed(name)(request, place)

        return Scripted(name, score=score)

    made = Garage(alpha=lambda: meeting("alpha"), beta=lambda: meeting("beta"))
    audit = lab.complete(plan("alpha", "beta"), [SUITE], made, device=lambda chosen: chosen.key)
    assert sorted(met) == ["alpha", "beta"]
    one_by_one = lab.complete(plan("alpha", "beta"), [SUITE])
    assert lab.contents(audit, ordered=False) == lab.contents(one_by_one, ordered=False)


def test_when_one_device_fails_the_other_stops_and_the_audit_can_be_resumed(lab: Lab) -> None:
    reached = Scripted("beta", gate=threading.Event(), gate_at=CHECKS + 2)

    def failing(request: ChoiceRequest, place: int) -> float:
        assert reached.reached.wait(TIMEOUT)
        return hashed("alpha")(request, place)

    made = Garage(alpha=lambda: Scripted("alpha", score=failing, dies_after=CHECKS + 1), beta=lambda: reached)
    audit, status = lab.run(plan("alpha", "beta"), [SUITE], made, device=lambda chosen: chosen.key)
    assert status == "paused"
    assert "SIGKILL" in lab.message(audit)
    assert all(engine.closed for engine in made.made)
    with lab.open() as history:
        assert history.done_by_model(audit) == {"alpha": 1, "beta": 2}
    assert lab.resume(audit, device=lambda chosen: chosen.key) == "complete"
    straight = lab.complete(plan("alpha", "beta"), [SUITE])
    assert lab.contents(audit, ordered=False) == lab.contents(straight, ordered=False)


# -- interactive work -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [0, 1, 2, ITEMS - 1, ITEMS, ITEMS + 1, TRIALS - 1])
def test_interactive_work_gets_the_device_after_the_question_that_is_computed(lab: Lab, answered: int) -> None:
    at_screen = threading.Event()
    broke_in: list[str] = []

    def score(request: ChoiceRequest, place: int) -> float:
        if at_screen.is_set():
            broke_in.append(str(request.prompt))
        return hashed("alpha")(request, place)

    def write(request: GenerateRequest) -> str:
        if at_screen.is_set():
            broke_in.append(str(request.prompt))
        return "是"

    gate, scheduler = threading.Event(), Scheduler()
    engine = Scripted("alpha", score=score, write=write, gate=gate, gate_at=CHECKS + answered)
    runner = lab.runner(Garage(alpha=lambda: engine), scheduler=scheduler)
    audit = runner.start(plan("alpha"), [SUITE])
    run = Background(runner.run)
    assert engine.reached.wait(TIMEOUT)

    def talk() -> tuple[int, int]:
        with scheduler.interactive("cpu"):
            at_screen.set()
            before = engine.requests
            with lab.open() as history:
                kept = len(history.answered(audit))
            at_screen.clear()
            return before, kept

    talking = Background(talk)
    lab.until(lambda: scheduler.interactive_waiting("cpu"))
    gate.set()
    before, _ = talking.result()
    last = answered == TRIALS - 1
    assert before == CHECKS + answered + 1
    assert run.result() == "complete"
    assert broke_in == []
    assert engine.requests == CHECKS + TRIALS
    assert last or before < engine.requests
    assert lab.contents(audit) == lab.contents(lab.complete(plan("alpha"), [SUITE], Garage(alpha=plain)))


def plain() -> Scripted:
    return Scripted("alpha")


@pytest.mark.parametrize("done", [0, 1, CANARY - 2, CANARY, CANARY + 1, CHECKS - 1])
def test_interactive_work_gets_the_device_while_a_model_is_checked(lab: Lab, done: int) -> None:
    gate, scheduler = threading.Event(), Scheduler()
    engine = Scripted("alpha", gate=gate, gate_at=done)
    runner = lab.runner(Garage(alpha=lambda: engine), scheduler=scheduler)
    runner.start(plan("alpha"), [SUITE])
    run = Background(runner.run)
    assert engine.reached.wait(TIMEOUT)

    def talk() -> int:
        with scheduler.interactive("cpu"):
            return engine.requests

    talking = Background(talk)
    lab.until(lambda: scheduler.interactive_waiting("cpu"))
    gate.set()
    assert talking.result() == done + 1
    assert run.result() == "complete"


def test_a_cancel_while_somebody_at_the_screen_has_the_device_pauses_the_audit(lab: Lab) -> None:
    gate, scheduler = threading.Event(), Scheduler()
    engine = Scripted("alpha", gate=gate, gate_at=CHECKS + 2)
    runner = lab.runner(Garage(alpha=lambda: engine), scheduler=scheduler)
    audit = runner.start(plan("alpha"), [SUITE])
    run = Background(runner.run)
    assert engine.reached.wait(TIMEOUT)
    leave = threading.Event()

    def talk() -> None:
        with scheduler.interactive("cpu"):
            runner.cancel()
            assert run.result() == "paused"  # without waiting for the talk to end
            with pytest.raises(LeaseCancelled), scheduler.lease("cpu", lambda: True):
                pass  # the device is still the talk's
            leave.set()

    talking = Background(talk)
    lab.until(lambda: scheduler.interactive_waiting("cpu"))
    gate.set()
    talking.result()
    assert leave.is_set()
    with scheduler.lease("cpu") as lease:
        assert lease.held
    assert engine.closed
    assert lab.resume(audit) == "complete"


def test_interactive_work_on_another_device_disturbs_nothing(lab: Lab) -> None:
    scheduler = Scheduler()
    with scheduler.interactive("gpu"):
        runner = lab.runner(Garage(), scheduler=scheduler)
        runner.start(plan("alpha"), [SUITE])
        assert Background(runner.run).result() == "complete"


def test_an_audit_waits_for_its_device_and_says_so(lab: Lab) -> None:
    scheduler, heard, waiting = Scheduler(), [], threading.Event()

    def listen(event: events.Event) -> None:
        heard.append(event)
        if isinstance(event, events.ModelStage) and event.stage == "waiting":
            waiting.set()

    made = Garage()
    runner = lab.runner(made, [listen], scheduler=scheduler)
    runner.start(plan("alpha"), [SUITE])
    with scheduler.interactive("cpu"):
        run = Background(runner.run)
        assert waiting.wait(TIMEOUT)
        assert made.made == []
    assert run.result() == "complete"


# -- the scheduler alone ----------------------------------------------------------------------------------------------


def test_a_device_has_one_holder_at_a_time() -> None:
    scheduler, inside, most = Scheduler(), [], []

    def work() -> None:
        for _ in range(200):
            with scheduler.lease("cpu"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    for one in [Background(work) for _ in range(4)]:
        one.result()
    assert len(most) == 800
    assert set(most) == {1}


def test_interactive_work_comes_before_an_audit_that_waited_longer() -> None:
    scheduler, order = Scheduler(), []
    waits = threading.Event()

    def audit() -> None:
        def looked() -> bool:
            waits.set()
            return False

        with scheduler.lease("cpu", looked):
            order.append("audit")

    def screen() -> None:
        with scheduler.interactive("cpu"):
            order.append("screen")

    with scheduler.lease("cpu") as lease:
        one = Background(audit)
        assert waits.wait(TIMEOUT)
        other = Background(screen)
        while not lease.wanted:
            pass
    one.result()
    other.result()
    assert order == ["screen", "audit"]


def test_a_lease_is_given_back_when_its_block_fails() -> None:
    scheduler = Scheduler()
    with pytest.raises(RuntimeError), scheduler.lease("cpu"):
        raise RuntimeError
    with pytest.raises(RuntimeError), scheduler.interactive("cpu"):
        raise RuntimeError
    with scheduler.lease("cpu") as lease:
        assert lease.held
        assert not lease.wanted


def test_a_wait_that_is_given_up_ends_and_leaves_no_trace() -> None:
    scheduler, stop = Scheduler(), threading.Event()

    def wait(how: Callable[..., Any]) -> str:
        try:
            with how("cpu", stop.is_set):
                return "got it"
        except LeaseCancelled:
            return "gave up"

    with scheduler.lease("cpu"):
        waiting = [Background(lambda how=how: wait(how)) for how in (scheduler.lease, scheduler.interactive)]
        stop.set()
        scheduler.wake()
        assert [one.result() for one in waiting] == ["gave up", "gave up"]
        assert not scheduler.interactive_waiting("cpu")
    stop.clear()
    assert wait(scheduler.lease) == "got it"


@pytest.mark.parametrize(
    ("kind", "layers", "gpu", "device"),
    [
        ("gguf", -1, True, "gpu"),
        ("gguf", 12, True, "gpu"),
        ("gguf", 0, True, "cpu"),
        ("gguf", -1, False, "cpu"),
        ("hf", -1, True, "gpu"),
        ("endpoint", -1, True, "http://localhost:8080"),
    ],
)
def test_where_a_model_computes(kind: str, layers: int, gpu: bool, device: str) -> None:
    assert device_of(kind, "http://localhost:8080", layers, gpu) == device


def test_planned_models_are_grouped_by_what_the_application_says(lab: Lab) -> None:
    """Three models on two devices: those that share one never compute at the same time."""
    busy: dict[str, list[str]] = {"one": [], "two": []}
    overlaps: list[list[str]] = []

    def device(chosen: PlannedModel) -> str:
        return "two" if chosen.key == "beta" else "one"

    def watched(name: str) -> Scripted:
        where = "two" if name == "beta" else "one"

        def score(request: ChoiceRequest, place: int) -> float:
            busy[where].append(name)
            overlaps.append(sorted(set(busy[where])))
            value = hashed(name)(request, place)
            busy[where].remove(name)
            return value

        return Scripted(name, score=score)

    names = ("alpha", "beta", "gamma")
    made = Garage(**{name: (lambda name=name: watched(name)) for name in names})
    lab.complete(plan(*names), [SUITE], made, device=device)
    assert {len(names) for names in overlaps} == {1}
    assert {names[0] for names in overlaps} == {"alpha", "beta", "gamma"}
