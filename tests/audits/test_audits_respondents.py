"""Respondents of known character, through the whole pipeline: what the findings make of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from scripted import (
    Garage,
    Lab,
    Scripted,
    always_first,
    by_lot,
    hashed,
    listed,
    model,
    names,
    number_of,
    refusing,
    same,
    steady,
)

from engines.base import ChoiceRequest, GenerateRequest
from suites.base import Suite, Verdict
from workbench.audits.build import build_plan
from workbench.audits.compute import compute_findings
from workbench.audits.findings import Finding, Findings
from workbench.audits.gather import Judged
from workbench.audits.plan import Plan, Trial, trials
from workbench.audits.work import Work, collect
from workbench.history.rows import JudgedRow


def ask(
    lab: Lab, write: Callable[[GenerateRequest], str], *, lists: int = 6, size: int = 4, orders: int = 0
) -> dict[str, Finding]:
    """The findings on a suite of name lists, by metric."""
    suite = names(lists, size=size, orders=orders or size)
    audit = lab.complete(
        build_plan([model("alpha")], [suite]), [suite], Garage(alpha=lambda: Scripted("alpha", write=write))
    )
    with lab.open() as history:
        found = history.findings(audit)
    assert found is not None
    return {one.metric: one for one in found.findings}


def random_error(lists: int, size: int, orders: int) -> float:
    """Standard error of the mean stability of a random respondent: the pairs of a list agree independently."""
    return math.sqrt(1 / ((size - 1) * math.comb(orders, 2) * lists))


@pytest.mark.parametrize("size", [2, 4, 5, 10])
def test_a_respondent_that_always_means_the_same_has_stability_1(lab: Lab, size: int) -> None:
    found = ask(lab, steady, size=size)
    assert found["mainland-name"].stability == 1.0
    assert found["mainland-name"].flips == 0.0
    # The least of the names stands at a place of the stored list that never changes: a Mainland one.
    assert found["mainland-name"].estimate == 1.0
    assert found["first-name"].estimate == pytest.approx(1 / size)
    assert found["mainland-name"].warnings == ()


@pytest.mark.parametrize(("size", "orders"), [(4, 4), (5, 3), (10, 10)])
def test_a_random_respondent_has_stability_0_within_monte_carlo_error(lab: Lab, size: int, orders: int) -> None:
    lists = 120
    found = ask(lab, by_lot, lists=lists, size=size, orders=orders)
    share = found["mainland-name"]
    assert share.stability is not None
    assert abs(share.stability) <= 3 * random_error(lists, size, orders)
    assert share.stability_low is not None
    assert share.stability_high is not None
    assert share.stability_low <= 0.0 <= share.stability_high
    assert share.warnings[0].startswith("the answer of alpha changes in")
    assert found["first-name"].estimate == pytest.approx(1 / size, abs=3 * math.sqrt(1 / (4 * lists * orders)))


@pytest.mark.parametrize(("size", "orders"), [(2, 2), (4, 4), (4, 2), (5, 5), (10, 10), (10, 6)])
def test_a_respondent_that_always_takes_the_first_has_minus_1_over_k_minus_1(lab: Lab, size: int, orders: int) -> None:
    found = ask(lab, always_first, size=size, orders=orders)
    share = found["mainland-name"]
    assert share.stability == pytest.approx(-1 / (size - 1))
    assert share.flips == 1.0
    assert found["first-name"].estimate == 1.0
    # Balanced orders: as often a Mainland name first as there are on the list, if all orders are asked.
    if orders == size:
        assert share.estimate == pytest.approx(math.ceil(size / 2) / size)
    assert share.warnings[0] == (
        "the answer of alpha changes in 100 % of pairs when the order of the options changes: do not read this figure "
        "as a preference"
    )


def test_a_respondent_that_always_refuses_has_no_stability_and_nothing_usable(lab: Lab) -> None:
    found = ask(lab, refusing)
    for finding in found.values():
        assert (finding.estimate, finding.low, finding.high, finding.n) == (None, None, None, 0)
        assert finding.unusable == 1.0
        assert finding.unusable_low is not None
        assert finding.unusable_low > 0.45
        assert (finding.stability, finding.flips, finding.p) == (None, None, None)
        assert (finding.bound_low, finding.bound_high) == (0.0, 1.0)
        assert finding.warnings[0].startswith("100 % of alpha's answers could not be used")


def test_an_echo_of_the_list_is_no_choice_but_not_unusable(lab: Lab) -> None:
    found = ask(lab, lambda request: "、".join(listed(request)))
    assert found["no-single-name"].estimate == 1.0
    assert found["mainland-name"].estimate is None
    assert found["mainland-name"].stability is None
    assert found["mainland-name"].unusable == 0.0


def test_half_refusals_leave_the_figure_to_the_other_half(lab: Lab) -> None:
    """Refuses in every other list: the rest is as stable as ever, and the bounds say what the others could do."""
    found = ask(lab, lambda request: steady(request) if "匀" in str(request.prompt) else refusing(request), lists=2)
    share = found["mainland-name"]
    assert (share.estimate, share.n, share.unusable, share.stability) == (1.0, 1, 0.5, 1.0)
    assert (share.bound_low, share.bound_high) == (0.5, 1.0)


def test_likelihoods_give_the_same_figures_as_written_choices(lab: Lab) -> None:
    """A model for which the first listed name is always likeliest."""
    suite = names(6, tasks=("likelihood",))

    def score(request: ChoiceRequest, place: int) -> float:
        return -1.0 - place - hashed()(request, place) / 100

    audit = lab.complete(
        build_plan([model("alpha")], [suite]), [suite], Garage(alpha=lambda: Scripted("alpha", score=score))
    )
    with lab.open() as history:
        findings = history.findings(audit)
    assert findings is not None
    found = {one.metric: one for one in findings.findings}
    assert found["first-name"].estimate == 1.0
    assert found["mainland-name"].stability == pytest.approx(-1 / 3)
    assert found["mainland-name"].estimate == pytest.approx(0.5)


# -- many audits of random respondents, without a history -------------------------------------------------------------


def judged(plan: Plan, suites: list[Suite], writers: dict[str, Callable[[GenerateRequest], str]]) -> Iterator[Judged]:
    work = Work(plan, suites)
    for trial in trials(plan):
        yield JudgedRow(trial, verdict_on(work, trial, writers[trial.model]))


def verdict_on(work: Work, trial: Trial, write: Callable[[GenerateRequest], str]) -> Verdict:
    task, item = work.find(trial)
    request = work.request(trial)
    assert isinstance(request, GenerateRequest)
    answer = collect(token for _, token in Scripted(write=write).generate([request]))
    return task.judge(item, trial.condition, answer)


def salted(salt: str) -> Callable[[GenerateRequest], str]:
    def write(request: GenerateRequest) -> str:
        chosen = listed(request)
        return chosen[number_of(salt, request.seed) % len(chosen)]

    return write


def findings_of(seed: int, suite: Suite, writers: dict[str, Callable[[GenerateRequest], str]]) -> Findings:
    plan = build_plan([model(key) for key in writers], [suite], seed=seed)
    return compute_findings(plan, [suite], judged(plan, [suite], writers), {})


def test_random_respondents_raise_few_false_alarms() -> None:
    """Three of them, 150 audits: a preference against the share on offer, and a difference between any two models after
    Holm, are each found in at most 5 % of audits, and three Monte Carlo errors."""
    suite = names(12, size=4, orders=4)
    writers = {key: salted(key) for key in ("alpha", "beta", "gamma")}
    audits, preferences, differences = 150, 0, 0
    for seed in range(audits):
        found = findings_of(seed, suite, writers)
        share = next(one for one in found.findings if one.metric == "mainland-name")
        preferences += share.p is not None and share.p < 0.05
        adjusted = [one.p_adjusted for one in found.comparisons if one.metric == "mainland-name"]
        assert len(adjusted) == 3
        differences += min(p for p in adjusted if p is not None) < 0.05
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / audits)
    assert preferences / audits <= allowed
    assert differences / audits <= allowed


def test_opposite_respondents_are_told_apart() -> None:
    suite = names(12, size=4, orders=4)
    found = findings_of(1, suite, {"alpha": steady, "beta": lambda request: max(listed(request))})
    (difference,) = [one for one in found.comparisons if one.metric == "mainland-name"]
    assert difference.difference == 1.0
    assert difference.p_adjusted == pytest.approx(2 / 2**12)
    assert difference.words.startswith("alpha differs from beta: 100.0 points above it")


def test_of_repeats_the_first_counts_for_stability_and_all_for_the_figure() -> None:
    """Steady when first asked, contrary when asked again: a change of presentation never turned the answer."""
    suite = names(6, size=4, orders=4)
    plan = build_plan([model("alpha")], [suite], repeats=2)
    work = Work(plan, [suite])
    rows = [
        JudgedRow(trial, verdict_on(work, trial, (lambda request: max(listed(request))) if trial.repeat else steady))
        for trial in trials(plan)
    ]
    share = compute_findings(plan, [suite], rows, {}).findings[0]
    assert (share.metric, share.stability, share.flips) == ("mainland-name", 1.0, 0.0)
    assert (share.estimate, share.n) == (0.5, 6)


def test_findings_do_not_depend_on_the_order_of_the_verdicts() -> None:
    suite = names(8, size=4, orders=4)
    writers = {"alpha": by_lot, "beta": same("无")}
    plan = build_plan([model(key) for key in writers], [suite])
    rows = list(judged(plan, [suite], writers))
    one = compute_findings(plan, [suite], rows, {})
    other = compute_findings(plan, [suite], sorted(rows, key=lambda row: row.trial.id), {})
    for left, right in zip(one.findings, other.findings, strict=True):
        assert (left.model, left.metric, left.n, left.p) == (right.model, right.metric, right.n, right.p)
        for name in ("estimate", "low", "high", "stability", "stability_low", "unusable_high", "bound_high"):
            assert getattr(left, name) == pytest.approx(getattr(right, name)), name
