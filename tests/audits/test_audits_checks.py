"""The checks before a model's answers count: canary and noise floor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from scripted import Garage, Lab, Scripted, hashed, model, terms

from engines.base import ChoiceRequest, ChoiceScores, ModelCard, OptionScore, Shape, canonical_text
from workbench.audits import events
from workbench.audits.build import build_plan
from workbench.audits.checks import CANARIES, SHAPES, canary, canary_verdict, measure_noise, tolerance
from workbench.audits.errors import AuditError

SUITE = terms(5, versions=1, languages=("zh-Hans",))
REQUESTS = [ChoiceRequest(f"question {place}", ("one", "two", "three")) for place in range(8)]


def card(quantisation: str) -> ModelCard:
    return ModelCard(name="m", engine="scripted", path="", fingerprint="", quantisation=quantisation)


def scores(*values: float, error: str = "") -> ChoiceScores:
    return ChoiceScores(tuple(OptionScore(value, 1, 1, 1, greedy=False) for value in values), error=error)


class TwoPaths(Scripted):
    """Scores that lie `apart` nats from the fast ones on every other path."""

    def __init__(self, name: str, apart: float, quantisation: str = "F32") -> None:
        super().__init__(name, quantisation=quantisation)
        self._apart = apart

    def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
        shift = 0.0 if shape == "branched" else self._apart
        for found in super().score(requests, shape):
            yield scores(*(option.logprob - shift for option in found.options))


# -- the canary in an audit -------------------------------------------------------------------------------------------


def test_equal_scores_fail_the_audit_with_a_clear_message(lab: Lab) -> None:
    """A server that ignores the request for log-probabilities."""
    plan = build_plan([model("alpha"), model("beta")], [SUITE])
    made = Garage(alpha=lambda: Scripted("alpha", score=lambda request, place: -2.5))
    audit, status = lab.run(plan, [SUITE], made)
    assert status == lab.status(audit) == "failed"
    message = lab.message(audit)
    assert message.startswith("alpha does not pass the check of its scores: all 12 scores are equal (-2.5000)")
    assert "models check alpha" in message
    assert "\n" not in message
    with lab.open() as history:
        assert history.answered(audit) == set()
        assert history.findings(audit) is None
        assert history.audit(audit).finished
    assert [engine.requests for engine in made.made] == [2 * CANARIES]
    assert made.made[0].closed


def test_disagreeing_paths_fail_the_audit_with_a_clear_message(lab: Lab) -> None:
    heard: list[events.Event] = []
    plan = build_plan([model("alpha")], [SUITE])
    made = Garage(alpha=lambda: TwoPaths("alpha", apart=0.02))
    audit, status = lab.run(plan, [SUITE], made, listeners=[heard.append])
    assert status == "failed"
    assert "fast and plain scores differ by 0.0200 nats on average, 0.0200 at most" in lab.message(audit)
    assert "allowed are 0.001 and 0.001" in lab.message(audit)
    assert heard[-1] == events.AuditEnded(audit=audit, status="failed", message=lab.message(audit))
    stages = [event.stage for event in heard if isinstance(event, events.ModelStage)]
    assert stages == ["waiting", "loading", "checking"]


def test_the_same_distance_passes_where_weights_are_quantised(lab: Lab) -> None:
    plan = build_plan([model("alpha")], [SUITE])
    audit = lab.complete(plan, [SUITE], Garage(alpha=lambda: TwoPaths("alpha", apart=0.02, quantisation="Q4_K_M")))
    with lab.open() as history:
        said = history.canary(audit)["alpha"]
    assert said == {"items": 3, "result": "fast and plain scores differ by 0.0200 nats on average, 0.0200 at most"}


def test_a_failed_audit_can_be_resumed_when_the_engine_is_mended(lab: Lab) -> None:
    plan = build_plan([model("alpha")], [SUITE])
    broken = Garage(alpha=lambda: Scripted("alpha", score=lambda request, place: -2.5))
    audit, _ = lab.run(plan, [SUITE], broken)
    assert lab.resume(audit) == "complete"
    assert lab.contents(audit) == lab.contents(lab.complete(plan, [SUITE]))


def test_written_answers_alone_need_no_check(lab: Lab) -> None:
    suite = terms(3, tasks=("answer",))
    made = Garage(alpha=lambda: Scripted("alpha", score=lambda request, place: -2.5))
    audit = lab.complete(build_plan([model("alpha")], [suite]), [suite], made)
    assert {kind for kind, _ in made.made[0].asked} == {"written"}
    with lab.open() as history:
        assert history.canary(audit) == history.noise(audit) == {}


# -- the canary alone -------------------------------------------------------------------------------------------------


def test_the_canary_skips_questions_that_do_not_fit() -> None:
    """A prompt that is too long has an error of its own, and says nothing about the engine."""

    def score(request: ChoiceRequest, place: int) -> float:
        if canonical_text(request.prompt) in {"question 0", "question 2"}:
            raise ValueError("the prompt has 9,000 tokens, the window 4,096")
        return hashed()(request, place)

    engine = Scripted("alpha", score=score)
    assert canary(engine, REQUESTS)["items"] == CANARIES
    assert [prompt for kind, prompt in engine.asked if kind == "plain"] == ["question 1", "question 3", "question 4"]


def test_the_canary_takes_the_questions_with_the_least_text_to_score() -> None:
    asked = [ChoiceRequest(f"question {place}", ("x" * (9 - place), "y")) for place in range(6)]
    engine = Scripted("alpha")
    canary(engine, asked)
    assert [prompt for kind, prompt in engine.asked if kind == "plain"] == ["question 5", "question 4", "question 3"]


def test_a_canary_that_can_score_nothing_says_why() -> None:
    def score(request: ChoiceRequest, place: int) -> float:
        raise ValueError("the window is too small")

    with pytest.raises(AuditError, match="none of the questions could be scored: the window is too small"):
        canary(Scripted("alpha", score=score), REQUESTS)


@pytest.mark.parametrize(
    ("fast", "plain", "said"),
    [
        ([], [], "nothing could be scored"),
        ([scores(error="broken")], [scores(-1.0)], "nothing could be scored: broken"),
        ([scores(-1.0, -2.0)], [scores(-1.0)], "different numbers of options"),
        ([scores(-1.0, math.nan)], [scores(-1.0, -2.0)], "no numbers"),
        ([scores(-1.0, -2.0)], [scores(-1.0, -math.inf)], "no numbers"),
        ([scores(-3.0, -3.0)] * 3, [scores(-3.0, -3.0)] * 3, "all 6 scores are equal"),
        ([scores(-1.0, -2.0)], [scores(-1.0, -2.6)], "0.6000 at most; allowed are 0.05 and 0.5"),
    ],
)
def test_a_canary_that_does_not_hold_says_what_is_wrong(
    fast: list[ChoiceScores], plain: list[ChoiceScores], said: str
) -> None:
    holds, message = canary_verdict(card("Q4_0"), fast, plain)
    assert not holds
    assert said in message


def test_equal_scores_of_one_item_alone_are_no_failure() -> None:
    assert canary_verdict(
        card("F32"), [scores(-3.0, -3.0), scores(-1.0, -2.0)], [scores(-3.0, -3.0), scores(-1.0, -2.0)]
    )[0]


@pytest.mark.parametrize(
    ("quantisation", "limits"),
    [("F32", (1e-3, 1e-3)), ("bf16", (0.05, 0.05)), ("Q4_K_M", (0.05, 0.5)), ("", (0.05, 0.5))],
)
def test_what_is_tolerated_depends_on_the_weights(quantisation: str, limits: tuple[float, float]) -> None:
    assert tolerance(card(quantisation)) == limits
    mean, worst = limits
    near, far = scores(-1.0, -2.0 - 0.99 * mean), scores(-1.0, -2.0 - 1.01 * worst)
    assert canary_verdict(card(quantisation), [scores(-1.0, -2.0)], [near])[0]
    assert not canary_verdict(card(quantisation), [scores(-1.0, -2.0)], [far])[0]


# -- the noise floor --------------------------------------------------------------------------------------------------


def test_the_noise_floor_is_that_of_the_margins_over_the_shapes() -> None:
    engine = Scripted("alpha", wobble=0.01, quantisation="Q4_0")
    found = measure_noise(engine, REQUESTS)
    assert found is not None
    assert found.items == len(REQUESTS)
    expected = []
    for request in REQUESTS:
        by_shape = [[one.logprob for one in next(engine.score([request], shape)).options] for shape in SHAPES]
        best, second = np.argsort(by_shape[0])[::-1][:2]
        expected.append([row[best] - row[second] for row in by_shape])
    assert np.array(found.margins) == pytest.approx(np.array(expected))
    assert found.floor == pytest.approx(math.sqrt(np.mean(np.var(expected, axis=1, ddof=1))))
    assert found.floor > 0


def test_the_same_pair_of_options_is_followed_through_all_shapes() -> None:
    """Where another shape swaps best and second, the margin turns negative: it is not the margin of another pair."""

    class Swapping(Scripted):
        def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
            yield scores(-1.0, -1.2, -9.0) if shape == "branched" else scores(-1.2, -1.0, -9.0)

    found = measure_noise(Swapping("alpha"), REQUESTS[:1])
    assert found is not None
    assert found.margins[0] == pytest.approx((0.2, -0.2, -0.2, -0.2))


def test_questions_that_cannot_be_scored_leave_the_floor_to_the_others() -> None:
    def score(request: ChoiceRequest, place: int) -> float:
        if request is REQUESTS[0]:
            raise ValueError("too long")
        return hashed()(request, place)

    found = measure_noise(Scripted("alpha", score=score), [*REQUESTS[:3], ChoiceRequest("one option", ("only",))])
    assert found is not None
    assert found.items == 2
    assert found.floor == 0.0


def test_nothing_to_measure_on_gives_no_floor() -> None:
    assert measure_noise(Scripted("alpha"), []) is None
    assert measure_noise(Scripted("alpha"), [ChoiceRequest("one option", ("only",))]) is None
