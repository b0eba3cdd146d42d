"""What votes come to, against scipy and closed forms, and what goes out to other programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from scipy import stats
from scripted import Lab

from workbench.history import History
from workbench.history.votes import Choice, Reason
from workbench.statistics.agreement import krippendorff_alpha
from workbench.votes.ballot import Ballot, Offer, Pair, Side, enrol, offered
from workbench.votes.export import export_votes
from workbench.votes.results import lines, results, table

Say = Callable[..., None]


@pytest.fixture
def say(history: History, offer: Offer) -> Say:
    """Vote as somebody, for a model whatever its side."""

    def vote(name: str, pair: Pair, choice: Choice, reasons: Sequence[Reason] = (), **texts: str) -> None:
        ballot = Ballot(history, offer, name)
        over = ballot.flipped(pair)
        sides: dict[Choice, Side] = {
            "a": "right" if over else "left",
            "b": "left" if over else "right",
            "tie": "tie",
            "both bad": "both bad",
        }
        ballot.record(history, pair, sides[choice], reasons, **texts)

    return vote


def in_simplified(offer: Offer) -> list[Pair]:
    return [pair for pair in offer.pairs if pair.condition.language == "zh-Hans"]


def test_one_annotator_with_a_vote_a_prompt_is_the_exact_sign_test(history: History, offer: Offer, say: Say) -> None:
    for pair, choice in zip(in_simplified(offer), "aaaaaaab", strict=False):
        say("ada", pair, choice)
    say("ada", in_simplified(offer)[8], "tie")
    found = results(history, offer)
    one = found.overall
    assert (one.a, one.b, one.ties, one.both_bad, one.n, one.test) == (7, 1, 1, 0, 9, "exact sign test")
    assert one.p == pytest.approx(stats.binomtest(7, 8).pvalue)
    assert one.lead == pytest.approx(6 / 9)
    assert one.low is not None
    assert one.high is not None
    assert -1 <= one.low < one.lead < one.high <= 1
    assert found.alpha is None
    assert found.shared == 0


def test_several_votes_a_prompt_are_a_sign_flip_over_the_prompts_means(
    history: History, offer: Offer, say: Say
) -> None:
    for pair in in_simplified(offer)[:6]:
        for name in ("ada", "bo"):
            say(name, pair, "a")
    one = results(history, offer).overall
    assert (one.n, one.test) == (6, "sign-flip")
    assert one.p == pytest.approx(2 / 2**6), "all six means have one sign: 2 of 64 flips reach it"


def test_languages_of_one_item_are_one_prompt(history: History, offer: Offer, say: Say) -> None:
    for pair in offer.pairs:
        say("ada", pair, "b")
    found = results(history, offer)
    assert (found.overall.b, found.overall.n) == (18, 9)
    assert found.overall.p == pytest.approx(2 / 2**9)
    assert [(row.label, row.n, row.test) for row in found.by_language] == [
        ("zh-Hans", 9, "exact sign test"),
        ("zh-Hant", 9, "exact sign test"),
    ]
    assert found.words.startswith("two is preferred to one over 9 prompts (sign-flip, p .0039)")


def test_rows_that_stand_together_are_adjusted_by_holm(history: History, offer: Offer, say: Say) -> None:
    for pair in in_simplified(offer):
        say("ada", pair, "a")
    rows = results(history, offer).by_culture
    assert len(rows) == 3
    assert {row.p for row in rows} == {0.25}
    assert {row.p_adjusted for row in rows} == {0.75}
    assert sum(row.votes for row in rows) == 9


def test_agreement_is_krippendorffs_alpha_over_the_pairs(history: History, offer: Offer, say: Say) -> None:
    pairs = in_simplified(offer)[:4]
    given: dict[str, list[Choice]] = {"ada": ["a", "a", "b", "tie"], "bo": ["a", "b", "b", "tie"]}
    for name, choices in given.items():
        for pair, choice in zip(pairs, choices, strict=True):
            say(name, pair, choice)
    say("cy", pairs[0], "a")
    found = results(history, offer)
    ratings = [*given.values(), ["a", None, None, None]]
    assert found.alpha == pytest.approx(krippendorff_alpha(ratings))
    assert found.shared == 4
    assert [row.label for row in found.by_annotator] == ["ada", "bo", "cy"]
    assert any("α" in line for line in lines(found))


def test_reasons_and_sides_are_counted(history: History, offer: Offer, say: Say) -> None:
    pairs = in_simplified(offer)
    say("ada", pairs[0], "a", ["stereotype"])
    say("ada", pairs[1], "b", ["stereotype", "tone"])
    say("ada", pairs[2], "both bad", ["stereotype"])
    found = results(history, offer)
    by_name = {one.reason: (one.against_a, one.against_b, one.neither) for one in found.reasons}
    assert by_name["stereotype"] == (1, 1, 1)
    assert by_name["tone"] == (1, 0, 0)
    assert by_name["language"] == (0, 0, 0)
    flips = [Ballot(history, offer, "ada").flipped(pair) for pair in pairs[:2]]
    assert found.left == [not flips[0], flips[1]].count(True)
    assert found.left + found.right == 2
    assert len(table(found)) > 2


def test_no_votes_is_said(history: History, offer: Offer) -> None:
    found = results(history, offer)
    assert found.words == "No votes yet."
    assert found.overall.p is None


def test_preference_pairs_are_conversations(history: History, audit: str, offer: Offer, say: Say) -> None:
    pairs = in_simplified(offer)
    enrol(history, audit, "ada", "secret background")
    say("ada", pairs[0], "b", ["wrong fact"], note="not said here", rewrite="a better one")
    say("ada", pairs[1], "tie")
    say("ada", pairs[2], "both bad", rewrite="neither")
    text = "".join(export_votes(history, offer, "dpo"))
    assert "ada" not in text
    assert "secret" not in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["chosen_from"], row["rejected_from"]) for row in rows] == [
        ("two", "one"),
        ("rewrite", "one"),
        ("rewrite", "one"),
        ("rewrite", "two"),
    ]
    first, second = (history.row(audit, trial) for trial in (pairs[0].a, pairs[0].b))
    assert rows[0]["prompt"] == [{"role": "user", "content": first.prompt}]
    assert rows[0]["chosen"] == [{"role": "assistant", "content": second.answer.text}]  # type: ignore[union-attr]
    assert rows[0]["rejected"] == [{"role": "assistant", "content": first.answer.text}]  # type: ignore[union-attr]
    assert rows[0]["reason"] == "wrong fact; not said here"
    assert rows[1]["chosen"] == [{"role": "assistant", "content": "a better one"}]
    assert len({tuple(row) for row in rows}) == 1, "every row has the same columns"


def test_a_chat_prompt_is_exported_as_its_messages(lab: Lab, chat_audit: Callable[[bool, bool], str]) -> None:
    audit = chat_audit(True, False)
    with History.open(lab.path) as history:
        offer = offered(history, audit, ("one", "two"))
        Ballot(history, offer, "ada").record(history, offer.pairs[0], "left")
        (row,) = [json.loads(line) for line in "".join(export_votes(history, offer, "dpo")).splitlines()]
    assert [message["role"] for message in row["prompt"]] == ["user"]
    assert not row["prompt"][0]["content"].startswith("[user]")


def test_llm_comparator_gets_scores_and_raters(history: History, offer: Offer, say: Say) -> None:
    pairs = in_simplified(offer)
    say("ada", pairs[0], "a", ["tone"])
    say("bo", pairs[0], "tie")
    say("ada", pairs[1], "b")
    found = json.loads("".join(export_votes(history, offer, "llm-comparator")))
    assert set(found) == {"metadata", "models", "examples"}
    assert found["models"] == [{"name": "one"}, {"name": "two"}]
    first, second = found["examples"]
    required = {
        "input_text",
        "tags",
        "output_text_a",
        "output_text_b",
        "score",
        "individual_rater_scores",
        "custom_fields",
    }
    assert set(first) == required
    assert (first["score"], second["score"]) == (0.5, -1.0)
    assert [(one["score"], one["rationale"]) for one in first["individual_rater_scores"]] == [(1.0, "tone"), (0.0, "")]
    assert set(first["custom_fields"]) == {field["name"] for field in found["metadata"]["custom_fields_schema"]}
