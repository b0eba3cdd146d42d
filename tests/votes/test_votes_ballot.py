"""What is offered, in which blind order, and how votes are kept, taken back and gone on with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import scripted
from scripted import Lab, model, terms

from engines.base import Generation
from workbench.audits.build import build_plan
from workbench.audits.errors import AuditError
from workbench.history import History, HistoryError
from workbench.votes.ballot import (
    LONGEST_TEXT,
    Ballot,
    Offer,
    choose_models,
    clean_name,
    default_annotator,
    enrol,
    flipped,
    offered,
)


def test_only_written_answers_to_the_same_question_are_offered(history: History, audit: str, offer: Offer) -> None:
    # 9 terms × 2 languages; the scored task has nothing to read
    assert len(offer.pairs) == 18
    assert (offer.models, offer.unusable) == (("one", "two"), 0)
    for pair in offer.pairs:
        first, second = history.row(audit, pair.a), history.row(audit, pair.b)
        assert (first.trial.model, second.trial.model) == ("one", "two")
        assert isinstance(first.answer, Generation)
        assert (first.trial.item, first.trial.condition, first.trial.repeat) == (
            second.trial.item,
            second.trial.condition,
            second.trial.repeat,
        )
        assert first.trial.task == "answer"
    assert {pair.stratum for pair in offer.pairs} == {item.stratum for item in history.suites(audit)[0].items}


def test_a_question_with_an_unusable_answer_is_not_offered(lab: Lab, half_refused: str) -> None:
    with lab.open() as history:
        found = offered(history, half_refused, ("one", "two"))
    assert {pair.condition.language for pair in found.pairs} <= {"zh-Hans"}
    assert found.unusable >= 4
    assert len(found.pairs) + found.unusable == 8


def test_models_with_and_without_a_template_are_still_paired(lab: Lab, chat_audit: Callable[[bool, bool], str]) -> None:
    audit = chat_audit(True, False)
    with lab.open() as history:
        found = offered(history, audit, ("one", "two"))
        forms = {
            (history.row(audit, p.a).trial.condition.form, history.row(audit, p.b).trial.condition.form)
            for p in found.pairs
        }
        shown = [Ballot(history, found, "ada").shown(history, pair) for pair in found.pairs]
    assert not any(one.prompt.startswith("[user]") for one in shown)
    assert len(found.pairs) == 4
    assert forms <= {("chat", "plain"), ("plain", "plain")}


def test_which_two_models_must_be_clear() -> None:
    suites = [terms(2)]
    three = build_plan([model("one"), model("two"), model("three")], suites)
    assert choose_models(three, ["three", "one"]) == ("one", "three")
    for wanted, said in (
        ((), "say which two"),
        (("one",), "two different models"),
        (("one", "one"), "two different models"),
        (("one", "four"), "has no model 'four'"),
    ):
        with pytest.raises(AuditError, match=said):
            choose_models(three, wanted)
    with pytest.raises(AuditError, match="one model only"):
        choose_models(build_plan([model("one")], suites))


def test_sides_and_order_depend_on_audit_pair_and_annotator_only(history: History, audit: str, offer: Offer) -> None:
    ada, again, bo = (Ballot(history, offer, name) for name in ("ada", "ada", "bo"))
    order = [pair for pair, _ in ada]
    assert order == [pair for pair, _ in again]
    assert order != [pair for pair, _ in bo]
    assert sorted(pair.a for pair in order) == sorted(pair.a for pair in offer.pairs)
    sides = [flipped(audit, pair, f"annotator {number}") for pair in offer.pairs for number in range(100)]
    # 1800 fair coins: 900 ± 21
    assert abs(sum(sides) - len(sides) / 2) < 4.5 * (len(sides) / 4) ** 0.5


def test_what_is_shown_names_no_model_and_stands_as_it_was_drawn(history: History, audit: str, offer: Offer) -> None:
    ballot = Ballot(history, offer, "ada")
    for pair, _ in ballot:
        shown = ballot.shown(history, pair)
        texts = [history.row(audit, trial).answer.text for trial in (pair.a, pair.b)]  # type: ignore[union-attr]
        assert [shown.left, shown.right] == (texts[::-1] if ballot.flipped(pair) else texts)


def test_votes_are_kept_and_gone_on_with(lab: Lab, audit: str, history: History, offer: Offer) -> None:
    enrol(history, audit, "ada", "grew up in Tainan")
    ballot = Ballot(history, offer, "ada")
    seen = []
    for side in ("left", "right", "tie", "both bad"):
        pair = ballot.current
        assert pair is not None
        seen.append((pair, ballot.record(history, pair, side)))  # type: ignore[arg-type]
    for (pair, vote), side in zip(seen, ("left", "right", "tie", "both bad"), strict=True):
        expected = {"left": "ba"[not vote.flipped], "right": "ab"[not vote.flipped]}.get(side, side)
        assert vote.choice == expected
        assert vote.flipped == flipped(audit, pair, "ada")
    again = Ballot(history, offer, "ada")
    assert (again.done, again.total) == (4, 18)
    assert again.current == ballot.current
    assert Ballot(history, offer, "bo").done == 0
    with lab.open() as reader:
        assert [vote.annotator for vote in reader.votes(audit)] == ["ada"] * 4
        assert reader.annotators(audit)[0].background == "grew up in Tainan"
        assert reader.verify(audit) == []


def test_a_pair_has_one_vote_of_an_annotator(history: History, offer: Offer) -> None:
    ballot = Ballot(history, offer, "ada")
    pair = ballot.current
    assert pair is not None
    ballot.record(history, pair, "left")
    with pytest.raises(HistoryError, match="has voted on these two answers already"):
        ballot.record(history, pair, "right")
    Ballot(history, offer, "bo").record(history, pair, "right")


def test_undo_gives_back_the_last_vote_with_all_that_was_said(history: History, offer: Offer) -> None:
    ballot = Ballot(history, offer, "ada")
    first = ballot.current
    assert first is not None
    ballot.record(history, first, "left")
    second = ballot.current
    assert second is not None
    ballot.record(history, second, "tie", ["tone", "wrong fact"], " better ", " why ")
    back = ballot.undo(history)
    assert back is not None
    assert back[0] == second == ballot.current
    assert (back[1].reasons, back[1].rewrite, back[1].note) == (("wrong fact", "tone"), "better", "why")
    assert ballot.undo(history) is not None
    assert ballot.undo(history) is None
    assert history.votes(offer.audit) == []


def test_what_cannot_be_kept_is_refused_in_one_line(history: History, offer: Offer) -> None:
    ballot = Ballot(history, offer, "ada")
    pair = ballot.current
    assert pair is not None
    with pytest.raises(AuditError, match="there is no reason"):
        ballot.record(history, pair, "left", ["ugly"])  # type: ignore[list-item]
    with pytest.raises(AuditError, match="too long"):
        ballot.record(history, pair, "left", rewrite="x" * (LONGEST_TEXT + 1))
    assert ballot.current == pair
    for name, said in (("  ", "needs a name"), ("x" * 61, "too long")):
        with pytest.raises(AuditError, match=said):
            clean_name(name)
    assert clean_name(" A\u0301da\x1b[2J \n Lin ") == "Áda ⏎ Lin"


def test_who_votes_where_nobody_is_named(history: History, audit: str) -> None:
    assert default_annotator(history, audit) == "me"
    enrol(history, audit, "ada", None)
    assert default_annotator(history, audit) == "ada"
    enrol(history, audit, "bo", None)
    with pytest.raises(HistoryError, match="say who you are"):
        default_annotator(history, audit)


def test_votes_go_with_their_audit(history: History, audit: str, offer: Offer) -> None:
    ballot = Ballot(history, offer, "ada")
    ballot.record(history, offer.pairs[0], "left")
    history.delete_audit(audit)
    with history._reading() as connection:
        for table in ("votes", "annotators"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_an_audit_of_scores_only_offers_nothing(lab: Lab) -> None:
    suites = [terms(3, tasks=("likelihood",))]
    audit = lab.complete(build_plan([model("one"), model("two")], suites), suites, scripted.Garage())
    with lab.open() as history:
        assert offered(history, audit, ("one", "two")).pairs == ()


def test_the_readable_view_names_whom_a_vote_preferred(history: History, audit: str, offer: Offer) -> None:
    pair = offer.pairs[0]
    vote = Ballot(history, offer, "ada").record(history, pair, "left", ["language"])
    with history._reading() as connection:
        row = connection.execute("SELECT audit, annotator, preferred, reasons FROM votes_readable").fetchone()
    assert row == (audit, "ada", {"a": "one", "b": "two"}[vote.choice], "language")
