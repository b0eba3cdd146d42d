"""Two audits side by side, and verdicts that are given again by other rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from scripted import (
    Garage,
    Lab,
    Scripted,
    fingerprint_of,
    hashed,
    mainland,
    model,
    names,
    place_of,
    same,
    taiwan,
    terms,
)

from engines.base import ChoiceRequest, GenerateRequest
from suites.base import Answer, Condition, Item, Suite, Verdict
from suites.tasks.term_answer import TermAnswer
from workbench.audits.build import build_plan
from workbench.audits.compare import AuditComparison, Change, compare_audits
from workbench.audits.runner import rescore
from workbench.history import History, HistoryError

SUITE = terms(12, versions=1, languages=("zh-Hans",))
PLAN = build_plan([model("alpha")], [SUITE])


def naming(word: Callable[[int], str]) -> Callable[[GenerateRequest], str]:
    return lambda request: word(place_of(request))


def leaning(places: Sequence[int], nats: float = 4.0) -> Callable[[ChoiceRequest, int], float]:
    return lambda request, place: -3.0 - (0.0 if (place < 2) == (place_of(request) in places) else nats)


def compared(lab: Lab, a: str, b: str) -> AuditComparison:
    with lab.open() as history:
        return compare_audits(history, a, b)


def change(found: AuditComparison, metric: str, **wanted: Any) -> Change:
    (one,) = [
        each
        for each in found.changes
        if each.metric == metric and all(getattr(each, name) == value for name, value in wanted.items())
    ]
    return one


# -- comparing --------------------------------------------------------------------------------------------------------


WITHOUT = {"hongkong-likeliest", "hongkong-margin", "hongkong-word", "simplified-script", "mixed-scripts"}
"""Figures that the scripted terms give no answer to."""


@pytest.mark.parametrize("versions", [1, 2])
def test_the_same_audit_twice_has_not_changed(lab: Lab, versions: int) -> None:
    suite = terms(6, versions=versions)
    plan = build_plan([model("alpha"), model("beta")], [suite])
    first, second = lab.complete(plan, [suite]), lab.complete(plan, [suite])
    for one, other in ((first, second), (first, first)):
        found = compared(lab, one, other)
        assert found.items == 6
        assert found.models == (("alpha", "alpha"), ("beta", "beta"))
        # This suite has no word of Hong Kong's and no Chinese script: there is nothing to say of those figures.
        said = [each for each in found.changes if each.n]
        assert {each.metric for each in found.changes if not each.n} <= WITHOUT
        assert {each.status for each in said} == {"same"}
        assert all(each.n == 6 for each in said)
        assert found.summary[0].startswith(f"0 of {len(said)} figures changed beyond chance and noise")
        assert {each.difference for each in said} == {0.0}
        assert {each.words for each in said} == {"the same in all 6 items"}
        assert all(each.before == each.after for each in said)


def test_answers_that_changed_places_within_an_item_are_not_the_same(lab: Lab) -> None:
    """The first wording gains in every item what the second loses: the means are equal, the answers are not."""
    suite = terms(6, versions=2, languages=("zh-Hans",), tasks=("likelihood",))
    plan = build_plan([model("alpha")], [suite])

    def turning(first: bool) -> Garage:
        def score(request: ChoiceRequest, place: int) -> float:
            return -3.0 if (place < 2) == (str(request.prompt).startswith("zh-Hans1") == first) else -6.0

        return Garage(alpha=lambda: Scripted("alpha", score=score))

    found = compared(lab, lab.complete(plan, [suite], turning(True)), lab.complete(plan, [suite], turning(False)))
    margin = change(found, "region-margin")
    assert (margin.difference, margin.status) == (0.0, "same")
    assert not margin.words.startswith("the same in all")


def test_two_metrics_of_each_language_and_model_are_compared_with_the_findings_figures(lab: Lab) -> None:
    suite = terms(9, versions=2)
    plan = build_plan([model("alpha"), model("beta")], [suite])
    first, second = lab.complete(plan, [suite]), lab.complete(plan, [suite])
    found = compared(lab, first, second)
    with lab.open() as history:
        findings = history.findings(first)
    assert findings is not None
    figures = {(one.task, one.metric, one.model, one.condition["language"]): one.estimate for one in findings.findings}
    told = {(one.task, one.metric, one.model, one.condition["language"]): one.before for one in found.changes}
    assert set(told) == set(figures)
    assert all(told[key] == pytest.approx(figures[key]) for key in figures if figures[key] is not None)


def test_a_changed_model_of_the_same_name_has_changed_beyond_noise(lab: Lab) -> None:
    """The new weights give Taiwan's words where the old ones gave the Mainland's."""
    before = lab.complete(
        PLAN, [SUITE], Garage(alpha=lambda: Scripted("alpha", score=leaning(range(12)), write=naming(mainland)))
    )
    new = fingerprint_of("other weights")
    after = lab.complete(
        build_plan([model("alpha", fingerprint=new)], [SUITE]),
        [SUITE],
        Garage(alpha=lambda: Scripted("alpha", score=leaning([]), write=naming(taiwan), fingerprint=new)),
    )
    found = compared(lab, before, after)
    assert found.models == (("alpha", "alpha"),)
    assert "alpha: same name, other weights" in found.summary
    share = change(found, "mainland-word-likelier")
    assert (share.status, share.before, share.after, share.difference) == ("changed", 1.0, 0.0, -1.0)
    assert share.p == pytest.approx(2 / 2**12)
    assert (share.test, share.n) == ("exact McNemar", 12)
    assert share.words.startswith("after differs from before: 100.0 points below it")
    margin = change(found, "region-margin")
    assert (margin.status, margin.difference) == ("changed", pytest.approx(-8.0))
    assert change(found, "correct").status == "changed"
    assert change(found, "misaligned").difference == 1.0
    assert change(found, "script-margin").status == "same"
    changed = sum(one.status == "changed" for one in found.changes)
    assert found.summary[0] == f"{changed} of {len(found.changes)} figures changed beyond chance and noise"


def test_the_other_way_round_the_difference_turns(lab: Lab) -> None:
    one = lab.complete(PLAN, [SUITE], Garage(alpha=lambda: Scripted("alpha", score=leaning(range(9)))))
    other = lab.complete(PLAN, [SUITE], Garage(alpha=lambda: Scripted("alpha", score=leaning(range(2)))))
    there, back = compared(lab, one, other), compared(lab, other, one)
    for metric in ("mainland-word-likelier", "region-margin"):
        left, right = change(there, metric), change(back, metric)
        assert left.difference == pytest.approx(-(right.difference or 0.0))
        assert (left.before, left.after, left.p, left.status) == (right.after, right.before, right.p, right.status)


def test_a_steady_change_under_twice_the_noise_floor_is_not_called_one(lab: Lab) -> None:
    def shifted(nats: float) -> Callable[[], Scripted]:
        def score(request: ChoiceRequest, place: int) -> float:
            extra = nats * (1 + place_of(request) / 100) if place < 2 else 0.0
            return hashed()(request, place) + extra

        return lambda: Scripted("alpha", score=score, wobble=0.05, quantisation="Q4_0")

    plan = PLAN
    before = lab.complete(plan, [SUITE], Garage(alpha=shifted(0.0)))
    barely = change(compared(lab, before, lab.complete(plan, [SUITE], Garage(alpha=shifted(0.02)))), "region-margin")
    assert barely.p_adjusted is not None
    assert barely.p_adjusted < 0.05
    assert barely.status == "same"
    assert "under twice the noise floor" in barely.words
    well = change(compared(lab, before, lab.complete(plan, [SUITE], Garage(alpha=shifted(2.0)))), "region-margin")
    assert well.status == "changed"
    assert "noise" not in well.words


def test_another_version_of_a_suite_is_compared_on_equal_items_only(lab: Lab) -> None:
    """Four of twelve items were changed and three added; on the eight others nothing has changed."""
    old = terms(12, versions=1, languages=("zh-Hans",), changed=range(4))
    new = terms(15, versions=1, languages=("zh-Hans",), changed=range(4), version="1.1")
    assert len({item.hash for item in old.items} & {item.hash for item in new.items}) == 8

    def scripted(places: Sequence[int]) -> Garage:
        return Garage(alpha=lambda: Scripted("alpha", score=leaning(places), write=same("無")))

    before = lab.complete(build_plan([model("alpha")], [old]), [old], scripted(range(4, 12)))
    after = lab.complete(build_plan([model("alpha")], [new]), [new], scripted(range(12)))
    found = compared(lab, before, after)
    (overlap,) = found.suites
    assert (overlap.version_a, overlap.version_b) == ("1.0", "1.1")
    assert (overlap.equal, overlap.only_a, overlap.only_b, overlap.wording) == (8, 4, 7, False)
    assert found.items == 8
    share = change(found, "mainland-word-likelier")
    assert (share.n, share.before, share.after, share.status) == (8, 1.0, 1.0, "same")
    (line,) = [line for line in found.summary if line.startswith("scripted-terms")]
    assert line == ("scripted-terms 1.0 and 1.1: 8 items are equal in both, 4 only in the first, 7 only in the second")


def test_versions_without_an_equal_item_compare_nothing_and_say_so(lab: Lab) -> None:
    old = terms(4, versions=1, languages=("zh-Hans",), changed=range(4))
    new = terms(4, versions=1, languages=("zh-Hans",), changed=range(4), version="2.0")
    before = lab.complete(build_plan([model("alpha")], [old]), [old])
    after = lab.complete(build_plan([model("alpha")], [new]), [new])
    found = compared(lab, before, after)
    assert found.items == 0
    assert {(one.status, one.n, one.difference) for one in found.changes} == {("unknown", 0, None)}
    assert all(one.words.startswith("nothing to compare") for one in found.changes)
    assert "scripted-terms 1.0 and 2.0: 0 items are equal in both, 4 only in the first, 4 only in the second" in (
        found.summary
    )
    assert found.summary[0] == "Nothing could be compared: no question has a usable answer in both audits"


def test_other_words_in_the_questions_are_said(lab: Lab) -> None:
    reworded = msgspec.structs.replace(SUITE, tasks=tuple(msgspec.structs.replace(t, title="New") for t in SUITE.tasks))
    before = lab.complete(PLAN, [SUITE])
    after = lab.complete(build_plan([model("alpha")], [reworded]), [reworded])
    found = compared(lab, before, after)
    assert found.suites[0].wording
    assert any("its questions are worded differently" in line for line in found.summary)


def test_a_renamed_model_is_paired_by_its_weights(lab: Lab) -> None:
    before = lab.complete(PLAN, [SUITE])
    print_of = fingerprint_of("alpha")
    after = lab.complete(
        build_plan([model("omega", fingerprint=print_of), model("alpha", fingerprint="e" * 64)], [SUITE]),
        [SUITE],
        Garage(
            omega=lambda: Scripted("omega", score=hashed("alpha"), fingerprint=print_of),
            alpha=lambda: Scripted("alpha", score=hashed("elsewhere"), fingerprint="e" * 64),
        ),
    )
    found = compared(lab, before, after)
    assert found.models == (("alpha", "omega"),)
    assert "alpha is called omega in the second audit: the same weights" in found.summary
    assert change(found, "region-margin", model="alpha", status="same").difference == 0.0
    assert change(found, "region-margin", model="alpha", status="new").before is None


@pytest.mark.parametrize("keys", [("alpha", "beta"), ("beta", "alpha")])
def test_of_two_copies_of_a_model_the_one_of_the_same_name_is_paired(lab: Lab, keys: tuple[str, str]) -> None:
    weights = fingerprint_of("alpha")
    copies = {key: (lambda key=key: Scripted(key, score=hashed("alpha"), fingerprint=weights)) for key in keys}
    plan = build_plan([model(key, fingerprint=weights) for key in keys], [SUITE])
    found = compared(lab, lab.complete(plan, [SUITE], Garage(**copies)), lab.complete(PLAN, [SUITE]))
    assert found.models == (("alpha", "alpha"),)
    assert {one.status for one in found.changes if one.model == "beta"} == {"gone"}


def test_what_only_one_audit_has_is_new_or_gone(lab: Lab) -> None:
    other = names(4)
    first = lab.complete(build_plan([model("alpha"), model("beta")], [SUITE]), [SUITE])
    plan = build_plan([model("alpha"), model("gamma")], [SUITE, other])
    second = lab.complete(plan, [SUITE, other], Garage(alpha=lambda: Scripted("alpha", write=same("简倀"))))
    found = compared(lab, first, second)
    gone = change(found, "region-margin", model="beta")
    assert (gone.status, gone.after, gone.n) == ("gone", None, 12)
    assert gone.before is not None
    new = change(found, "region-margin", model="gamma")
    assert (new.status, new.before, new.n, new.words) == ("new", None, 12, "only in the second audit")
    assert change(found, "mainland-name", model="alpha").status == "new"
    assert "scripted-names: only in the second audit" in found.summary
    back = compared(lab, second, first)
    assert change(back, "mainland-name", model="alpha").status == "gone"
    assert "scripted-names: only in the first audit" in back.summary


def test_audits_without_a_common_model_compare_nothing(lab: Lab) -> None:
    found = compared(lab, lab.complete(PLAN, [SUITE]), lab.complete(build_plan([model("beta")], [SUITE]), [SUITE]))
    assert found.models == ()
    assert {one.status for one in found.changes} == {"new", "gone"}
    assert found.summary[0] == "No model is in both audits, so nothing could be compared in pairs"


def test_different_seeds_and_quick_are_said(lab: Lab) -> None:
    first = lab.complete(PLAN, [SUITE])
    second = lab.complete(build_plan([model("alpha")], [SUITE], quick=True, seed=5), [SUITE])
    summary = compared(lab, first, second).summary
    assert "Only one of the audits was quick" in summary
    assert "The audits had different seeds" in summary


def test_an_interrupted_audit_is_compared_on_what_it_has(lab: Lab) -> None:
    first = lab.complete(PLAN, [SUITE])
    second, status = lab.run(PLAN, [SUITE], Garage(alpha=lambda: Scripted("alpha", dies_after=6 + 48 + 5)))
    assert status == "paused"
    found = compared(lab, first, second)
    assert change(found, "region-margin").n == 5
    assert (change(found, "correct").n, change(found, "correct").status) == (0, "unknown")
    assert found.summary[0] == "0 of 5 figures changed beyond chance and noise; 4 more could not be compared"


def test_the_family_of_a_change_is_its_metric_over_models_and_languages(lab: Lab) -> None:
    suite = terms(8, versions=1, tasks=("likelihood",))
    plan = build_plan([model("alpha"), model("beta")], [suite])
    first, second = lab.complete(plan, [suite]), lab.complete(plan, [suite])
    assert {one.family for one in compared(lab, first, second).changes} == {4}


def test_an_unknown_audit_is_an_error_with_the_nearest(lab: Lab) -> None:
    audit = lab.complete(PLAN, [SUITE])
    with pytest.raises(HistoryError, match=audit):
        compared(lab, audit, "ffffffff")


# -- rescoring --------------------------------------------------------------------------------------------------------


def stricter(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the rule reads every answer of the other region as wrong."""
    judge = TermAnswer.judge

    def changed(task: TermAnswer, item: Item, condition: Condition, answer: Answer) -> Verdict:
        verdict = judge(task, item, condition, answer)
        if verdict.kind == "misaligned":
            return Verdict("incorrect", "other:changed", "By the changed rule.")
        return verdict

    monkeypatch.setattr(TermAnswer, "judge", changed)


def mixed() -> Garage:
    def write(request: GenerateRequest) -> str:
        place = place_of(request)
        return mainland(place) if place < 5 else taiwan(place) if place < 9 else "我不知道。"

    return Garage(alpha=lambda: Scripted("alpha", write=write))


def figures(lab: Lab, audit: str, suites: Sequence[Suite] = (SUITE,)) -> dict[str, float | None]:
    with lab.open() as history:
        found = history.findings(audit)
    assert found is not None
    return {one.metric: one.estimate for one in found.findings}


def test_rescoring_by_a_changed_rule_keeps_the_answers_and_changes_the_findings(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = lab.complete(PLAN, [SUITE], mixed())
    before, old = lab.contents(audit), figures(lab, audit)
    assert (old["correct"], old["misaligned"]) == (pytest.approx(5 / 9), pytest.approx(4 / 9))
    stricter(monkeypatch)
    with History.open(lab.path) as history:
        assert rescore(history, audit) == 4
    after, new = lab.contents(audit), figures(lab, audit)
    assert [row[:3] for row in after["rows"]] == [row[:3] for row in before["rows"]]
    assert after["head"] == before["head"]
    assert (new["correct"], new["misaligned"]) == (pytest.approx(5 / 9), 0.0)
    assert new["region-margin"] == old["region-margin"]
    changed = [
        (one[0], one[3], other[3]) for one, other in zip(before["rows"], after["rows"], strict=True) if one != other
    ]
    assert len(changed) == 4
    with lab.open() as history:
        assert history.details(audit).rescored == 1
        for trial, was, is_now in changed:
            assert [version.verdict for version in history.verdict_versions(audit, trial.id)] == [was, is_now]


def test_rescoring_by_the_same_rule_changes_nothing(lab: Lab) -> None:
    audit = lab.complete(PLAN, [SUITE], mixed())
    before = lab.contents(audit)
    with History.open(lab.path) as history:
        assert rescore(history, audit) == 0
        assert history.details(audit).rescored == 0
    assert lab.contents(audit) == before


def test_rescoring_back_and_forth_keeps_every_version(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = lab.complete(PLAN, [SUITE], mixed())
    before = lab.contents(audit)
    with monkeypatch.context() as patch, History.open(lab.path) as history:
        stricter(patch)
        rescore(history, audit)
    with History.open(lab.path) as history:
        assert rescore(history, audit) == 4
    assert lab.contents(audit) == before
    trial = next(row[0] for row in before["rows"] if row[3].kind == "misaligned")
    with lab.open() as history:
        kinds = [version.verdict.kind for version in history.verdict_versions(audit, trial.id)]
    assert kinds == ["misaligned", "incorrect", "misaligned"]


def test_an_interrupted_audit_can_be_rescored_and_then_resumed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made = mixed()
    dying = Garage(alpha=lambda: Scripted("alpha", write=made(PLAN.models[0])._write, dies_after=6 + 48 + 12 + 7))
    audit, status = lab.run(PLAN, [SUITE], dying)
    assert status == "paused"
    stricter(monkeypatch)
    with History.open(lab.path) as history:
        assert rescore(history, audit) == 2
        assert history.findings(audit) is None
    assert lab.status(audit) == "paused"
    assert lab.resume(audit, mixed()) == "complete"
    straight = lab.complete(PLAN, [SUITE], mixed())
    assert lab.contents(audit) == lab.contents(straight)
