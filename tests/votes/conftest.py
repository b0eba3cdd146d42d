"""An audit of two scripted models that write different words, with its pairs to vote on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from screen_lab import opposed
from scripted import Garage, Lab, Scripted, model, terms

from engines.base import GenerateRequest, canonical_text
from workbench.audits.build import build_plan
from workbench.history import History
from workbench.votes.ballot import Offer, choose_models, offered


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A history of the test's own."""
    return Lab(tmp_path)


@pytest.fixture
def audit(lab: Lab) -> str:
    """Nine terms in three categories, asked in Chinese in both scripts, scored and answered in writing."""
    suites = [terms(9, versions=1)]
    return lab.complete(build_plan([model("one"), model("two")], suites), suites, opposed())


@pytest.fixture
def history(lab: Lab, audit: str) -> Iterator[History]:
    """Its history, open for writing."""
    with History.open(lab.path) as opened:
        yield opened


@pytest.fixture
def offer(history: History, audit: str) -> Offer:
    """The pairs of the two models."""
    return offered(history, audit, choose_models(history.plan(audit)))


@pytest.fixture
def half_refused(lab: Lab) -> str:
    """An audit in which the second model refuses in Traditional."""

    def write(request: GenerateRequest) -> str:
        return "抱歉，我無法回答。" if "zh-Hant" in canonical_text(request.prompt) else "繁怀"

    suites = [terms(4, versions=1, tasks=("answer",))]
    plan = build_plan([model("one"), model("two")], suites)
    return lab.complete(plan, suites, Garage(two=lambda: Scripted("two", write=write)))


@pytest.fixture
def chat_audit(lab: Lab) -> Callable[[bool, bool], str]:
    """An audit whose models have a chat template or none."""

    def make(first: bool, second: bool) -> str:
        suites = [terms(2, versions=1, tasks=("answer",))]
        plan = build_plan([model("one", template=first), model("two", template=second)], suites)
        return lab.complete(plan, suites, opposed())

    return make
