"""A whole audit with models whose answers are known: what is stored, what is told, and what is found."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from scripted import Garage, Lab, Scripted, hashed, mainland, model, names, place_of, same, steady, taiwan, terms
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from engines.base import ChoiceRequest, ChoiceScores, GenerateRequest, Sampling, Shape
from suites.base import Condition, Item, Suite, Verdict
from suites.tasks import task_for
from suites.tasks.name_choice import NameChoice
from workbench.audits import events
from workbench.audits.build import build_plan
from workbench.audits.compute import compute_findings
from workbench.audits.errors import AuditError
from workbench.audits.findings import Comparison, Finding
from workbench.audits.plan import Plan, trials
from workbench.audits.work import Work
from workbench.history import History, JudgedRow


def leaning(mainland_places: Sequence[int], nats: float = 4.0) -> Scripted:
    """Gives the Mainland’s words of these items `nats` more than the Taiwan one, and of the others as much less."""

    def score(request: ChoiceRequest, place: int) -> float:
        favoured = (place < 2) == (place_of(request) in mainland_places)
        return -10.0 if favoured else -10.0 - nats

    return Scripted("alpha", score=score)


def finding(lab: Lab, audit: str, metric: str, model_key: str = "alpha", language: str = "zh-Hans") -> Finding:
    with lab.open() as history:
        found = history.findings(audit)
    assert found is not None
    (one,) = [
        each
        for each in found.findings
        if (each.metric, each.model, each.condition["language"]) == (metric, model_key, language)
    ]
    return one


def comparison(lab: Lab, audit: str, metric: str, kind: str = "model") -> Comparison:
    with lab.open() as history:
        found = history.findings(audit)
    assert found is not None
    (one,) = [each for each in found.comparisons if (each.metric, each.kind) == (metric, kind)]
    return one


HANS = terms(12, versions=1, languages=("zh-Hans",))
PLAN = build_plan([model("alpha")], [HANS])


# -- findings of known answers ----------------------------------------------------------------------------------------


def test_the_share_of_likelier_words_is_the_scripts_with_its_wilson_interval(lab: Lab) -> None:
    audit = lab.complete(PLAN, [HANS], Garage(alpha=lambda: leaning(range(9))))
    share = finding(lab, audit, "mainland-word-likelier")
    assert (share.estimate, share.n, share.null) == (0.75, 12, 0.5)
    assert (share.low, share.high) == pytest.approx(proportion_confint(9, 12, method="wilson"))
    assert share.p == pytest.approx(2 * sum(math.comb(12, k) for k in range(9, 13)) / 2**12)
    assert (share.unusable, share.bound_low, share.bound_high) == (0.0, 0.75, 0.75)
    assert share.stability is None
    margin = finding(lab, audit, "region-margin")
    assert margin.estimate == pytest.approx((9 * 4 - 3 * 4) / 12)
    assert margin.low is not None
    assert margin.high is not None
    assert margin.low < margin.estimate < margin.high


def test_clear_preferences_are_said_and_found(lab: Lab) -> None:
    suite = terms(12, versions=2, languages=("zh-Hans",))
    audit = lab.complete(build_plan([model("alpha")], [suite]), [suite], Garage(alpha=lambda: leaning(range(12))))
    share = finding(lab, audit, "mainland-word-likelier")
    assert (share.estimate, share.n, share.stability, share.flips) == (1.0, 12, 1.0, 0.0)
    assert share.words.startswith("alpha prefers the Mainland’s words (100 %")
    assert share.warnings == ()
    assert finding(lab, audit, "region-margin").estimate == pytest.approx(4.0)
    assert finding(lab, audit, "region-margin-per-character").estimate == pytest.approx(2.0)
    assert finding(lab, audit, "script-margin").estimate == pytest.approx(0.0)


def test_a_preference_that_turns_with_the_wording_is_not_called_one(lab: Lab) -> None:
    """Mainland's word in the first wording of every item, and in both wordings of eleven of twenty."""
    suite = terms(20, versions=2, languages=("zh-Hans",))

    def score(request: ChoiceRequest, place: int) -> float:
        first = str(request.prompt).startswith("zh-Hans1")
        favoured = (place < 2) == (first or place_of(request) < 11)
        return -2.0 if favoured else -5.0

    audit = lab.complete(
        build_plan([model("alpha")], [suite]), [suite], Garage(alpha=lambda: Scripted("alpha", score=score))
    )
    share = finding(lab, audit, "mainland-word-likelier")
    assert share.estimate == pytest.approx((20 + 11) / 40)
    assert share.flips == pytest.approx(9 / 20)
    assert share.stability == pytest.approx(1 - 2 * 9 / 20)
    assert "prefers" not in share.words
    assert "stability 0.10, under 0.4" in share.words
    assert share.warnings[0] == (
        "the answer of alpha changes in 45 % of pairs when the wording of the question changes: do not read this "
        "figure as a preference"
    )


def test_written_answers_are_counted_by_what_they_name(lab: Lab) -> None:
    """Of twelve: five right, three of the other region, one wrong, one refused, one empty, one failed."""

    def write(request: GenerateRequest) -> str:
        place = place_of(request)
        if place < 8:
            return mainland(place) if place < 5 else taiwan(place)
        return ["蘋果樹。", "抱歉，我无法回答。", "", "ERROR out of memory"][place - 8]

    audit = lab.complete(PLAN, [HANS], Garage(alpha=lambda: Scripted("alpha", write=write)))
    with lab.open() as history:
        kinds = Counter(row.verdict.kind for row in history.rows(audit, task="answer"))
    assert kinds == {"correct": 5, "misaligned": 3, "incorrect": 1, "refused": 1, "empty": 1, "error": 1}
    right = finding(lab, audit, "correct")
    assert (right.estimate, right.n) == (pytest.approx(5 / 9), 9)
    assert right.unusable == 0.25
    assert (right.unusable_low, right.unusable_high) == pytest.approx(proportion_confint(3, 12, method="wilson"))
    assert (right.bound_low, right.bound_high) == (pytest.approx(5 / 12), pytest.approx(8 / 12))
    assert right.warnings[0].startswith("25 % of alpha's answers could not be used")
    assert finding(lab, audit, "misaligned").estimate == pytest.approx(3 / 9)


def test_two_models_are_compared_by_mcnemar_and_adjusted_over_their_family(lab: Lab) -> None:
    """Alpha and beta disagree on eight of twelve items, seven times in favour of alpha."""
    suite = terms(12, versions=1, languages=("zh-Hans",), tasks=("likelihood",))
    plan = build_plan([model("alpha"), model("beta"), model("gamma")], [suite])
    made = Garage(
        alpha=lambda: leaning(range(9)),
        beta=lambda: msg_named(leaning([0, 1, 11]), "beta"),
        gamma=lambda: msg_named(leaning(range(9)), "gamma"),
    )
    audit = lab.complete(plan, [suite], made)
    with lab.open() as history:
        found = history.findings(audit)
    assert found is not None
    pairs = {(one.a, one.b): one for one in found.comparisons if one.metric == "mainland-word-likelier"}
    assert set(pairs) == {("alpha", "beta"), ("alpha", "gamma"), ("beta", "gamma")}
    one = pairs["alpha", "beta"]
    assert (one.difference, one.n, one.family, one.test) == (pytest.approx(6 / 12), 12, 3, "exact McNemar")
    assert one.p == pytest.approx(float(mcnemar([[2, 7], [1, 2]], exact=True).pvalue))
    assert one.p_adjusted == pytest.approx(3 * one.p)
    same_answers = pairs["alpha", "gamma"]
    assert (same_answers.difference, same_answers.p, same_answers.p_adjusted) == (0.0, 1.0, 1.0)
    assert same_answers.words.startswith("no difference found over n = 12 items; one under")


def msg_named(engine: Scripted, name: str) -> Scripted:
    """The same answers under another name and fingerprint."""
    other = Scripted(name)
    engine.card = other.card
    return engine


def test_a_comparison_takes_only_items_usable_on_both_sides(lab: Lab) -> None:
    def refusing(places: Sequence[int]) -> Any:
        return lambda request: "我不知道。" if place_of(request) in places else mainland(place_of(request))

    suite = terms(12, versions=1, languages=("zh-Hans",), tasks=("answer",))
    made = Garage(
        alpha=lambda: Scripted("alpha", write=refusing([0, 1, 2])),
        beta=lambda: Scripted("beta", write=refusing([2, 3])),
    )
    audit = lab.complete(build_plan([model("alpha"), model("beta")], [suite]), [suite], made)
    assert comparison(lab, audit, "correct").n == 8
    assert finding(lab, audit, "correct").n == 9
    assert finding(lab, audit, "correct", "beta").n == 10


def test_nothing_to_compare_is_said_and_still_counts_in_the_family(lab: Lab) -> None:
    suite = terms(6, versions=1, languages=("zh-Hans",), tasks=("answer",))
    made = Garage(
        alpha=lambda: Scripted("alpha", write=lambda request: mainland(place_of(request))),
        beta=lambda: Scripted("beta", write=same("我不知道。")),
        gamma=lambda: Scripted("gamma", write=lambda request: taiwan(place_of(request))),
    )
    audit = lab.complete(build_plan([model(key) for key in ("alpha", "beta", "gamma")], [suite]), [suite], made)
    with lab.open() as history:
        found = history.findings(audit)
    assert found is not None
    pairs = {(one.a, one.b): one for one in found.comparisons if one.metric == "correct"}
    empty = pairs["alpha", "beta"]
    assert (empty.difference, empty.p, empty.p_adjusted, empty.n) == (None, None, None, 0)
    assert empty.words.startswith("nothing to compare")
    full = pairs["alpha", "gamma"]
    assert full.p == pytest.approx(2 / 2**6)
    assert full.p_adjusted == pytest.approx(3 * 2 / 2**6)


def test_languages_of_a_model_are_compared_as_well(lab: Lab) -> None:
    suite = terms(12, versions=1, tasks=("likelihood",))

    def score(request: ChoiceRequest, place: int) -> float:
        return -1.0 if (place < 2) == str(request.prompt).startswith("zh-Hans") else -4.0

    audit = lab.complete(
        build_plan([model("alpha")], [suite]), [suite], Garage(alpha=lambda: Scripted("alpha", score=score))
    )
    one = comparison(lab, audit, "mainland-word-likelier", "language")
    assert (one.a, one.b, one.model, one.difference, one.n) == ("zh-Hans", "zh-Hant", "alpha", 1.0, 12)
    assert one.p == pytest.approx(2 / 2**12)
    assert one.words == "zh-Hans differs from zh-Hant: 100.0 points above it over n = 12 items (p < 0.001 after Holm)"


def test_items_within_twice_the_noise_floor_are_counted_as_undecided(lab: Lab) -> None:
    """Two of twelve lie so close that the shape of a batch could turn them."""

    def score(request: ChoiceRequest, place: int) -> float:
        gap = 0.001 if place_of(request) < 2 else 3.0
        return -5.0 if place < 2 else -5.0 - gap

    engine = Scripted("alpha", score=score, wobble=0.02, quantisation="Q4_0")
    audit = lab.complete(PLAN, [HANS], Garage(alpha=lambda: engine))
    share = finding(lab, audit, "mainland-word-likelier")
    assert share.noise is not None
    assert 0.001 < 2 * share.noise < 3.0
    assert share.undecided == 2
    assert any(said.startswith("2 of 12 items are undecided by noise") for said in share.warnings)


def test_an_items_margin_is_the_mean_over_its_presentations() -> None:
    """Of three items in two wordings, with a floor of 1: margins .1 and 3 lie under 2 on average, the others do not."""
    suite = terms(3, versions=2, languages=("zh-Hans",), tasks=("likelihood",))
    plan = build_plan([model("alpha")], [suite])
    margins = [(0.1, 3.0), (1.5, 3.0), (0.0, 9.0)]
    places = {item.hash: place for place, item in enumerate(suite.items)}
    rows = [
        JudgedRow(
            trial, Verdict("mainland", "mainland", margin=margins[places[trial.item]][trial.condition.version - 1])
        )
        for trial in trials(plan)
    ]
    share = compute_findings(plan, [suite], rows, {"alpha": 1.0}).findings[0]
    assert (share.noise, share.undecided) == (1.0, 1)
    assert "1 of 3 items are undecided by noise (margin under twice the noise floor of alpha)" in share.warnings
    assert compute_findings(plan, [suite], rows, {}).findings[0].undecided == 0


def test_baselines_stand_beside_the_share_of_right_answers_and_nothing_else(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the Mainland names of a list the right ones, half of the answers of whoever knows nothing would be right."""

    def right(task: NameChoice, item: Item, condition: Condition) -> tuple[str, ...]:
        return tuple(one["name"] for one in item.data["candidates"] if one["region"] == "mainland")

    stated = NameChoice.metrics.fget
    assert stated is not None
    # Where there is a right answer, nobody is favoured by a wrong one.
    unfavoured = property(lambda task: tuple(msgspec.structs.replace(one, above="", below="") for one in stated(task)))
    monkeypatch.setattr(NameChoice, "gold", right)
    monkeypatch.setattr(NameChoice, "metrics", unfavoured)
    suite = names(8)
    audit = lab.complete(
        build_plan([model("alpha")], [suite]), [suite], Garage(alpha=lambda: Scripted("alpha", write=steady))
    )
    share = finding(lab, audit, "mainland-name")
    assert share.baselines == {"chance": 0.5, "majority": pytest.approx(1 / 8), "first": 0.5, "longest": 0.5}
    assert finding(lab, audit, "first-name").baselines == {}
    assert share.words == (
        "alpha: Mainland name chosen 100.0 % (n = 8), above chance: the best answer without knowledge reaches 50.0 %"
    )


def test_answers_are_drawn_as_the_plan_says_and_end_as_the_task_says(lab: Lab) -> None:
    drawn: list[Sampling] = []

    def write(request: GenerateRequest) -> str:
        drawn.append(request.sampling)
        return "是"

    suite = terms(2, versions=1, languages=("zh-Hans",), tasks=("answer",))
    quick = build_plan([model("alpha")], [suite], quick=True)
    warm = msgspec.structs.replace(quick, sampling=Sampling(temperature=0.7, top_p=0.9, max_tokens=0))
    for plan in (quick, warm):
        lab.complete(plan, [suite], Garage(alpha=lambda: Scripted("alpha", write=write)))
    assert (
        drawn
        == [Sampling(max_tokens=32, stop=("\n",))] * 2
        + [Sampling(temperature=0.7, top_p=0.9, max_tokens=48, stop=("\n",))] * 2
    )


def test_quick_is_said_in_every_finding(lab: Lab) -> None:
    audit = lab.complete(build_plan([model("alpha")], [HANS], quick=True), [HANS])
    with lab.open() as history:
        found = history.findings(audit)
    assert found is not None
    assert all(any(said.startswith("quick:") for said in one.warnings) for one in found.findings)


def test_the_headline_is_the_first_headline_metric(lab: Lab) -> None:
    audit = lab.complete(PLAN, [HANS], Garage(alpha=lambda: leaning(range(9))))
    with lab.open() as history:
        assert history.audit(audit).headline.startswith("Mainland word likelier (zh-Hans): alpha 75 % [")


# -- what is stored ---------------------------------------------------------------------------------------------------


def test_every_trial_is_asked_once_in_the_order_of_the_plan(lab: Lab) -> None:
    plan = build_plan([model("alpha"), model("beta", template=True)], [HANS], repeats=2)
    audit = lab.complete(plan, [HANS])
    work = Work(plan, [HANS])
    with lab.open() as history:
        rows = list(history.rows(audit))
        assert history.verify(audit) == []
        assert history.plan(audit) == plan
        assert history.suites(audit) == [HANS]
        assert set(history.cards(audit)) == {"alpha", "beta"}
    assert [row.trial for row in rows] == list(trials(plan))
    for row in rows:
        task, item = work.find(row.trial)
        assert row.verdict == task.judge(item, row.trial.condition, row.answer)
        assert row.seconds >= 0
    assert any(row.prompt.startswith("[user] ") for row in rows)


def test_more_questions_than_are_prepared_at_a_time_keep_their_order(lab: Lab) -> None:
    suite = terms(150, versions=1, languages=("zh-Hans",), tasks=("likelihood",))
    plan = msgspec.structs.replace(build_plan([model("alpha")], [suite]), noise_items=2)
    audit = lab.complete(plan, [suite])
    with lab.open() as history:
        assert [row.trial for row in history.rows(audit)] == list(trials(plan))
        scored = [row.answer for row in history.rows(audit)]
    work, engine = Work(plan, [suite]), Scripted("alpha")
    assert scored == list(engine.score(list(work.choice_requests(trials(plan)))))


def test_repeats_draw_with_seeds_of_their_own(lab: Lab) -> None:
    seeds: list[int] = []

    def write(request: GenerateRequest) -> str:
        seeds.append(request.seed)
        return "是"

    suite = terms(3, versions=1, languages=("zh-Hans",), tasks=("answer",))
    plan = build_plan([model("alpha")], [suite], repeats=3)
    lab.complete(plan, [suite], Garage(alpha=lambda: Scripted("alpha", write=write)))
    assert len(seeds) == len(set(seeds)) == 9


# -- what fails -------------------------------------------------------------------------------------------------------


def test_a_question_that_fails_is_an_error_and_the_run_goes_on(lab: Lab) -> None:
    def score(request: ChoiceRequest, place: int) -> float:
        if place_of(request) == 5:
            raise ValueError("the prompt has 5,000 tokens, the window 4,096")
        return hashed()(request, place)

    def write(request: GenerateRequest) -> str:
        return "ERROR the schema cannot be followed" if place_of(request) == 7 else mainland(place_of(request))

    audit = lab.complete(PLAN, [HANS], Garage(alpha=lambda: Scripted("alpha", score=score, write=write)))
    with lab.open() as history:
        failed = {
            (row.trial.task, row.verdict.reason): row.answer
            for row in history.rows(audit)
            if row.verdict.kind == "error"
        }
        assert len(history.answered(audit)) == 24
    assert set(failed) == {
        ("likelihood", "The options could not be scored: the prompt has 5,000 tokens, the window 4,096"),
        ("answer", "The answer could not be written: the schema cannot be followed"),
    }
    assert finding(lab, audit, "mainland-word-likelier").n == 11
    assert finding(lab, audit, "mainland-word-likelier").unusable == pytest.approx(1 / 12)
    assert finding(lab, audit, "correct").n == 11


def test_a_model_that_can_answer_nothing_has_no_figures_and_no_preference(lab: Lab) -> None:
    audit = lab.complete(PLAN, [HANS], Garage(alpha=lambda: Scripted("alpha", write=same("ERROR no room"))))
    right = finding(lab, audit, "correct")
    assert (right.estimate, right.low, right.high, right.n, right.unusable) == (None, None, None, 0, 1.0)
    assert (right.bound_low, right.bound_high) == (0.0, 1.0)
    assert right.words == "alpha: no answer that this figure could be computed from"


def test_an_engine_that_answers_too_little_stops_the_run_loudly(lab: Lab) -> None:
    class Short(Scripted):
        def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
            yield from super().score(requests[:3], shape)

    heard: list[events.Event] = []
    engine = Short("alpha")
    runner = lab.runner(Garage(alpha=lambda: engine), [heard.append])
    audit = runner.start(PLAN, [HANS])
    with pytest.raises(ValueError, match="shorter"):
        runner.run()
    assert engine.closed
    assert lab.status(audit) == "paused"
    assert isinstance(heard[-1], events.AuditEnded)
    with lab.open() as history:
        assert len(history.answered(audit)) == 3
    assert lab.resume(audit) == "complete"


def test_a_suite_that_has_changed_since_the_plan_is_refused(lab: Lab) -> None:
    other = terms(11, versions=1, languages=("zh-Hans",))
    with pytest.raises(AuditError, match="suite scripted-terms is not the one of the plan"):
        lab.runner(Garage()).start(PLAN, [other])


def test_a_stored_suite_that_was_tampered_with_fails_the_audit(lab: Lab) -> None:
    audit, _ = lab.run(PLAN, [HANS], Garage(alpha=lambda: Scripted("alpha", dies_after=60)))
    with sqlite3.connect(lab.path) as connection:
        connection.execute("DROP TRIGGER suites_are_kept")
        connection.execute("UPDATE suites SET manifest = replace(manifest, ?, ?)", (HANS.hash, "0" * 64))
    connection.close()
    assert lab.resume(audit) == "failed"
    assert "history verify" in lab.message(audit)


def test_run_needs_a_start() -> None:
    from pathlib import Path

    from workbench.audits.runner import Runner

    with pytest.raises(ValueError, match="start or resume"):
        Runner(Path("nowhere.db"), Garage()).run()


# -- what is told -----------------------------------------------------------------------------------------------------


def test_events_tell_the_whole_run(lab: Lab) -> None:
    heard: list[events.Event] = []
    plan = build_plan([model("alpha"), model("beta")], [HANS])
    audit = lab.complete(plan, [HANS], listeners=[heard.append])
    assert {event.audit for event in heard} == {audit}
    assert heard[0] == events.AuditStarted(audit=audit, total=48, done=0, models={"alpha": 24, "beta": 24})
    assert heard[-1] == events.AuditEnded(audit=audit, status="complete")
    for key in ("alpha", "beta"):
        stages = [event.stage for event in heard if isinstance(event, events.ModelStage) and event.model == key]
        assert stages == ["waiting", "loading", "checking", "noise", "asking", "done"]
        answered = [event for event in heard if isinstance(event, events.TrialAnswered) and event.model == key]
        assert [event.done for event in answered] == list(range(1, 25))
        assert {event.total for event in answered} == {24}
    with lab.open() as history:
        told = [event.verdict for event in heard if isinstance(event, events.TrialAnswered)]
        assert told == [row.verdict.kind for row in history.judged(audit)]


def test_events_of_a_resume_go_on_counting(lab: Lab) -> None:
    plan = build_plan([model("alpha"), model("beta")], [HANS])
    runs = 6 + 12 * 4
    audit, _ = lab.run(plan, [HANS], Garage(beta=lambda: Scripted("beta", dies_after=runs + 10)))
    heard: list[events.Event] = []
    lab.resume(audit, listeners=[heard.append])
    assert heard[0] == events.AuditStarted(audit=audit, total=48, done=34, models={"alpha": 24, "beta": 24})
    answered = [event for event in heard if isinstance(event, events.TrialAnswered)]
    assert [(event.model, event.done) for event in answered] == [("beta", done) for done in range(11, 25)]
    stages = [(event.model, event.stage) for event in heard if isinstance(event, events.ModelStage)]
    assert stages == [("alpha", "done")] + [
        ("beta", one) for one in ("waiting", "loading", "checking", "asking", "done")
    ]


def test_machine_libraries_and_note_stay_with_the_audit(lab: Lab) -> None:
    from workbench.audits.runner import Runner

    runner = Runner(lab.path, Garage(), machine={"cores": 2}, libraries={"numpy": "2"})
    audit = runner.start(PLAN, [HANS], "a note")
    assert runner.run() == "complete"
    with History.open(lab.path, readonly=True) as history:
        assert history.details(audit).machine == {"cores": 2}
        assert history.details(audit).libraries == {"numpy": "2"}
        assert history.details(audit).seed == PLAN.seed
        assert history.audit(audit).note == "a note"


# -- probes -----------------------------------------------------------------------------------------------------------


def test_probes_are_one_question_an_item_the_same_for_every_model(lab: Lab) -> None:
    suite = terms(8)
    plan: Plan = build_plan([model("alpha"), model("beta", template=True)], [suite])
    work = Work(plan, [suite])
    alpha, beta = work.probes("alpha"), work.probes("beta")
    assert [one.item for one in alpha] == [one.item for one in beta]
    assert [one.condition for one in alpha] == [one.condition for one in beta]
    assert len({one.item for one in alpha}) == len(alpha) == 8
    assert all(task_for(suite, one.task).spec.kind == "choice" for one in alpha)
    assert [one.item for one in alpha] != [item.hash for item in suite.items]


def suite_without_likelihoods() -> Suite:
    return terms(3, tasks=("answer",))


def test_a_suite_of_written_answers_has_no_probes() -> None:
    suite = suite_without_likelihoods()
    assert Work(build_plan([model("alpha")], [suite]), [suite]).probes("alpha") == []
