"""Audits of models on servers: spread over several, with one that dies, with all that die; and what is said of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from scripted import Lab, terms
from served import Handler, Served, Trouble, llama_server, served
from tiny import write_tiny

from engines.base import Engine
from engines.describe import CatalogModel
from engines.endpoint.address import parse_address
from engines.endpoint.engine import EndpointEngine
from engines.endpoint.replicas import Patience
from workbench.audits import events
from workbench.audits.build import build_plan
from workbench.audits.plan import Plan, PlannedModel, trials

pytestmark = pytest.mark.timeout(120)
SUITE = terms(4, versions=1)
QUICK = Patience(attempts=4, base=0.001, cap=0.01, aside=0.05)
Open = Callable[[PlannedModel], Engine]


def opening(*servers: Served | str, slots: int = 2) -> Open:
    urls = ",".join(server if isinstance(server, str) else server.url for server in servers)
    return lambda model: EndpointEngine(parse_address(urls), name=model.name, slots=slots, patience=QUICK)


def plan_for(server: Served | str, *, template: bool = True) -> Plan:
    """A plan over the model of a server; its address stands for the model wherever it is opened."""
    with_facts = opening(server)(PlannedModel(key="m", name="m", path="", fingerprint="", template=True))
    with_facts.close()
    model = CatalogModel(
        name="m", path="http://plan/v1", engine="endpoint", template=template, fingerprint=with_facts.card.fingerprint
    )
    return build_plan([model], [SUITE])


def contents(lab: Lab, audit: str) -> dict[str, Any]:
    """All that an audit holds, but for its card, which names the servers."""
    found = lab.contents(audit)
    del found["cards"]
    return found


def hangs_up_after(count: int) -> tuple[Trouble, threading.Event]:
    """A server that dies after so many requests for an answer, until the event is set."""
    healed = threading.Event()
    lock = threading.Lock()
    left = count

    def trouble(handler: Handler, body: dict[str, Any]) -> bool:
        nonlocal left
        if healed.is_set() or (body and body.get("max_tokens", 1) == 1):
            return False
        with lock:
            left -= bool(body)
            if left >= 0:
                return False
        handler.close_connection = True
        return True

    return trouble, healed


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, dict[str, Any]]]:
    """A plan, and what the history holds after it was run on one server, a question at a time."""
    with served() as server:
        plan = plan_for(server)
        lab = Lab(tmp_path_factory.mktemp("alone"))
        yield plan, contents(lab, lab.complete(plan, [SUITE], opening(server, slots=1)))


def test_spread_over_servers_the_history_is_the_same(lab: Lab, alone: tuple[Plan, dict[str, Any]]) -> None:
    plan, expected = alone
    with served() as one, served() as two:
        audit = lab.complete(plan, [SUITE], opening(one, two))
        assert min(one.count("/v1/chat/completions"), two.count("/v1/chat/completions")) > 2
    assert contents(lab, audit) == expected


def test_answers_are_asked_in_chat_form_and_likelihoods_in_plain_form(alone: tuple[Plan, dict[str, Any]]) -> None:
    plan, expected = alone
    forms = {trial.task: trial.condition.form for trial in trials(plan)}
    assert forms == {"likelihood": "plain", "answer": "chat"}
    assert {row[0].task: row[0].condition.form for row in expected["rows"]} == forms


def test_there_is_no_noise_floor_and_it_is_said(lab: Lab) -> None:
    heard: list[events.Event] = []
    with served() as server:
        plan = plan_for(server)
        audit = lab.complete(plan, [SUITE], opening(server), listeners=[heard.append])
    with lab.open() as history:
        assert history.noise(audit) == {}
        assert history.canary(audit)
        found = history.findings(audit)
    assert found is not None
    assert {finding.noise for finding in found.findings} == {None}
    said = [one.detail for one in heard if isinstance(one, events.ModelStage) and one.stage == "noise"]
    assert len(said) == 1
    assert said[0].startswith("not applicable")


def test_one_server_dies_and_the_others_finish(lab: Lab, alone: tuple[Plan, dict[str, Any]]) -> None:
    plan, expected = alone
    heard: list[events.Event] = []
    trouble, _ = hangs_up_after(2)
    with served(trouble) as dying, served() as steady:
        audit = lab.complete(plan, [SUITE], opening(dying, steady), listeners=[heard.append])
    assert contents(lab, audit) == expected
    notices = [one.text for one in heard if isinstance(one, events.ModelNotice)]
    assert any("put aside" in text for text in notices)


def test_all_servers_die_and_a_resume_completes_the_same_audit(lab: Lab, alone: tuple[Plan, dict[str, Any]]) -> None:
    plan, expected = alone
    with ExitStack() as stack:
        troubles = [hangs_up_after(2), hangs_up_after(3)]
        servers = [stack.enter_context(served(trouble)) for trouble, _ in troubles]
        audit, status = lab.run(plan, [SUITE], opening(*servers))  # type: ignore[arg-type]
        assert status == "paused"
        assert "Everything so far is kept" in lab.message(audit)
        with lab.open() as history:
            kept = len(history.answered(audit))
        assert 0 < kept < len(expected["rows"])
        for _, healed in troubles:
            healed.set()
        assert lab.resume(audit, opening(*servers)) == "complete"  # type: ignore[arg-type]
    assert contents(lab, audit) == expected


@pytest.mark.parametrize("k", [1, 5, 9, 13])
def test_after_a_cancel_at_answer_k_a_resume_completes_the_same_audit(
    lab: Lab, alone: tuple[Plan, dict[str, Any]], k: int
) -> None:
    plan, expected = alone
    heard: list[events.Event] = []

    def listen(event: events.Event) -> None:
        heard.append(event)
        if sum(isinstance(one, events.TrialAnswered) for one in heard) == k:
            runner.cancel()

    with served() as one, served() as two:
        runner = lab.runner(opening(one, two), [listen])  # type: ignore[arg-type]
        audit = runner.start(plan, [SUITE])
        assert runner.run() == "paused"
        with lab.open() as history:
            assert len(history.answered(audit)) == k
        assert lab.resume(audit, opening(one, two)) == "complete"  # type: ignore[arg-type]
    assert contents(lab, audit) == expected


def test_a_server_without_likelihoods_is_asked_for_none(lab: Lab) -> None:
    def ignores(handler: Handler, body: dict[str, Any]) -> bool:
        body.pop("logprobs", None)
        return False

    with served(ignores) as server:
        plan = plan_for(server)
        audit, status = lab.run(plan, [SUITE], opening(server))  # type: ignore[arg-type]
        assert status == "failed"
        assert "gives no likelihoods, and this audit asks for them: the server gives no log-prob" in lab.message(audit)
        only_writes = build_plan(
            [CatalogModel(name="m", path="http://plan/v1", engine="endpoint", fingerprint=plan.models[0].fingerprint)],
            [terms(2, tasks=("answer",))],
        )
        lab.complete(only_writes, [terms(2, tasks=("answer",))], opening(server))  # type: ignore[arg-type]


def test_another_model_on_the_same_server_is_asked_nothing(lab: Lab) -> None:
    with served() as server:
        plan = plan_for(server)
        server.models = ("something else",)
        audit, status = lab.run(plan, [SUITE], opening(server))  # type: ignore[arg-type]
    assert status == "paused"
    assert "the server says something else of this model" in lab.message(audit)


@pytest.mark.timeout(280)
def test_two_real_servers_share_an_audit_and_one_is_killed(lab: Lab, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "tiny.gguf")
    with llama_server(model, "--n_ctx", "512") as (one, first), llama_server(model, "--n_ctx", "512") as (two, _):
        plan = plan_for(one)
        whole = Lab(tmp_path / "whole")
        whole.folder.mkdir()
        expected = contents(whole, whole.complete(plan, [SUITE], opening(two)))
        answers = threading.Semaphore(5)

        def listen(event: events.Event) -> None:
            if isinstance(event, events.TrialAnswered) and not answers.acquire(blocking=False):
                first.kill()

        audit = lab.complete(plan, [SUITE], opening(one, two), listeners=[listen])
        assert first.wait(10) < 0
    found = contents(lab, audit)
    assert [row[1] for row in found["rows"]] == [row[1] for row in expected["rows"]]
    assert [row[3].kind for row in found["rows"]] == [row[3].kind for row in expected["rows"]]
