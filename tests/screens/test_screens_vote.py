"""The blind vote as an annotator goes through it: keys, reasons, rewrite, undo, leaving and going on, the reveal."""

from __future__ import annotations

from typing import Any

import pytest
from screen_lab import (
    CompareApp,
    ScriptedCore,
    likes,
    opposed,
    ready,
    run_audit,
    said,
    shown,
    wait_for_screen,
    wait_until,
)
from scripted import Garage, Scripted, place_of, same, taiwan, terms
from textual.pilot import Pilot
from textual.widgets import Input, SelectionList, TextArea

from screens.vote import VoteScreen
from workbench.history import History
from workbench.history.votes import Vote
from workbench.paths import history_path

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
WIDE, NARROW = (120, 36), (80, 24)
AUDIT = "00000001"


def app(garage: Garage | None = None, names: tuple[str, ...] = ("one", "two")) -> CompareApp:
    """Three terms, asked in both scripts in one wording: six pairs."""
    return CompareApp(ScriptedCore([terms(3, versions=1, tasks=("answer",))], garage or opposed(), names))


def votes() -> list[Vote]:
    with History.open(history_path(), readonly=True) as history:
        return history.votes(AUDIT)


def screen(pilot: Pilot[None]) -> VoteScreen:
    found = pilot.app.screen
    assert isinstance(found, VoteScreen)
    return found


def told(pilot: Pilot[None]) -> list[str]:
    """What was said in toasts."""
    return [one.message for one in pilot.app._notifications]


async def enter(pilot: Pilot[None], text: str, question: str) -> None:
    """Answer a question with a line."""
    await wait_for_screen(pilot, "Ask")
    await wait_until(pilot, lambda: question in shown(pilot))
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")


async def to_vote(pilot: Pilot[None], name: str = "ada", background: str | None = "from Tainan") -> None:
    """From the set-up to the first pair."""
    await run_audit(pilot)
    await pilot.press("b")
    await enter(pilot, name, "Who votes?")
    if background is not None:
        await enter(pilot, background, "judge of these answers")
    await voting(pilot, 1)


async def voting(pilot: Pilot[None], number: int) -> None:
    """Wait for that pair."""
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, VoteScreen))
    await wait_until(pilot, lambda: f"· {number} of 6 ·" in said(pilot, "#vote-state"))
    await pilot.pause()


async def to_result(pilot: Pilot[None]) -> None:
    """Every key once, then the result."""
    await to_vote(pilot)
    for number, keys in enumerate((["a"], ["1", "4", "b"], ["t"], ["x"], ["a"], ["b"]), 1):
        await voting(pilot, number)
        await pilot.press(*keys)
    await wait_until(pilot, lambda: "Your votes" in shown(pilot))
    await pilot.pause()


async def test_keys_vote_and_the_sides_are_revealed_at_the_end_only() -> None:
    async with app().run_test(size=WIDE) as pilot:
        await to_vote(pilot)
        assert "hidden" in shown(pilot)
        for sign in ("■", "▲"):
            assert sign not in shown(pilot), "no sign of a model before the end"
        for number, keys in enumerate((["a"], ["1", "4", "b"], ["t"], ["x"], ["a"], ["b"]), 1):
            await voting(pilot, number)
            await pilot.press(*keys)
        await wait_until(pilot, lambda: "Your votes" in shown(pilot))
        text = shown(pilot)
        for wanted in ("A was", "one ■", "two ▲", "all votes", "language: zh-Hans", "wrong fact", "prompts"):
            assert wanted in text, wanted
        await pilot.press("escape")
        await wait_for_screen(pilot, "FindingsScreen")
    kept = votes()
    assert [vote.choice for vote in kept[2:4]] == ["tie", "both bad"]
    for vote, side in zip((kept[0], kept[1], kept[4], kept[5]), "abab", strict=True):
        assert vote.choice == ({"a": "b", "b": "a"}[side] if vote.flipped else side)
    assert kept[1].reasons == ("wrong fact", "language")
    with History.open(history_path(), readonly=True) as history:
        assert history.annotators(AUDIT)[0].background == "from Tainan"


async def test_leaving_keeps_what_was_given_and_the_same_name_goes_on() -> None:
    async with app().run_test(size=NARROW) as pilot:
        await to_vote(pilot)
        await pilot.press("a")
        await voting(pilot, 2)
        second = said(pilot, "#vote-left-text")
        await pilot.press("escape")
        await wait_for_screen(pilot, "FindingsScreen")
        await pilot.press("b")
        await wait_for_screen(pilot, "Ask")
        assert pilot.app.screen.query_one(Input).value == "ada"
        await pilot.press("enter")
        await voting(pilot, 2)
        assert said(pilot, "#vote-left-text") == second, "the background is known: not asked again"
    assert len(votes()) == 1


async def test_another_annotator_begins_from_the_start() -> None:
    async with app().run_test(size=WIDE) as pilot:
        await to_vote(pilot)
        await pilot.press("t")
        await voting(pilot, 2)
        await pilot.press("escape")
        await wait_for_screen(pilot, "FindingsScreen")
        await pilot.press("b")
        await enter(pilot, "bo", "Who votes?")
        await enter(pilot, "", "judge of these answers")
        await voting(pilot, 1)
        await pilot.press("t")
        await voting(pilot, 2)
    assert [vote.annotator for vote in votes()] == ["ada", "bo"]


async def test_rewrite_note_and_undo() -> None:
    async with app().run_test(size=WIDE) as pilot:
        await to_vote(pilot)
        left = said(pilot, "#vote-left-text")
        await pilot.press("w")
        await wait_for_screen(pilot, "Write")
        await pilot.press("f2")
        field = pilot.app.screen.query_one(TextArea)
        assert field.text == left
        field.text = "better\nlines"
        await pilot.press("ctrl+s")
        await voting(pilot, 1)
        await pilot.press("n")
        await wait_for_screen(pilot, "Write")
        pilot.app.screen.query_one(TextArea).text = "why"
        await pilot.press("ctrl+s")
        await voting(pilot, 1)
        await pilot.press("5", "b")
        await voting(pilot, 2)
        assert "better" not in shown(pilot), "what was said belongs to the pair before"
        await pilot.press("u")
        await voting(pilot, 1)
        assert votes() == []
        assert "better⏎lines" in shown(pilot)
        assert "✓tone" in shown(pilot)
        assert said(pilot, "#vote-left-text") == left
        await pilot.press("w")
        await wait_for_screen(pilot, "Write")
        await pilot.press("escape", "5", "2", "a")
        await voting(pilot, 2)
        await pilot.press("u")
        await voting(pilot, 1)
        await pilot.press("u")
        await wait_until(pilot, lambda: "There is no vote of yours to take back." in told(pilot))
        await pilot.press("x")
        await voting(pilot, 2)
    (vote,) = votes()
    assert (vote.choice, vote.reasons, vote.rewrite, vote.note) == ("both bad", ("stereotype",), "better\nlines", "why")


async def test_undo_works_from_the_result_too() -> None:
    async with app().run_test(size=NARROW) as pilot:
        await to_result(pilot)
        await pilot.press("u")
        await voting(pilot, 6)
        await pilot.press("x")
        await wait_until(pilot, lambda: "Your votes" in shown(pilot))
    assert votes()[-1].choice == "both bad"


async def test_a_vote_that_cannot_be_kept_is_told_and_the_pair_stays() -> None:
    async with app().run_test(size=WIDE) as pilot:
        await to_vote(pilot)
        pair = screen(pilot)._pair
        assert pair is not None
        with History.open(history_path()) as history:
            history.add_vote(AUDIT, Vote(annotator="ada", a=pair.a, b=pair.b, choice="tie", flipped=False))
        await pilot.press("a")
        await wait_until(pilot, lambda: any("has voted on these two answers already" in line for line in told(pilot)))
        assert "· 1 of 6 ·" in said(pilot, "#vote-state")
    assert [vote.choice for vote in votes()] == ["tie"]


async def test_model_text_is_drawn_as_text() -> None:
    long = "甲[bold]x[/]\x1b[31m\u202e乙。ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    garage = Garage(one=lambda: Scripted("one", write=same(long)), two=lambda: Scripted("two", write=same("नमस्ते 丙")))
    async with app(garage).run_test(size=NARROW) as pilot:
        await to_vote(pilot)
        text = shown(pilot)
        assert "甲[bold]x[/]乙" in text
        assert "नमस्ते" in text
        assert not set(text) & {"\x1b", "\u202e"}


async def test_without_pairs_or_a_second_model_it_says_so() -> None:
    refusing = Garage(two=lambda: Scripted("two", write=same("抱歉，我无法回答。")))
    async with app(refusing).run_test(size=WIDE) as pilot:
        await run_audit(pilot)
        await pilot.press("b")
        await enter(pilot, "ada", "Who votes?")
        await enter(pilot, "", "judge of these answers")
        await wait_until(pilot, lambda: "There is nothing to vote on" in shown(pilot))
        await pilot.press("a", "u", "1", "w", "escape")
        await wait_for_screen(pilot, "FindingsScreen")


async def test_of_one_model_no_vote_is_possible() -> None:
    async with app(names=("one",)).run_test(size=WIDE) as pilot:
        await run_audit(pilot)
        await pilot.press("b")
        await wait_until(pilot, lambda: "one model only" in shown(pilot))


async def test_of_three_models_two_are_chosen() -> None:
    third = Scripted("three", write=lambda request: taiwan(place_of(request)))
    garage = Garage(one=lambda: likes("mainland"), two=lambda: likes("taiwan"), three=lambda: third)
    async with app(garage, ("one", "two", "three")).run_test(size=WIDE) as pilot:
        await ready(pilot)
        pilot.app.screen.query_one("#choose-models", SelectionList).select_all()
        await wait_until(pilot, lambda: "each of 3 models" in said(pilot, "#setup-sum"))
        await run_audit(pilot)
        await pilot.press("b")
        await wait_for_screen(pilot, "Choose")
        await pilot.press("down", "enter")
        await enter(pilot, "ada", "Who votes?")
        await enter(pilot, "", "judge of these answers")
        await voting(pilot, 1)
        await pilot.press("t")
        await voting(pilot, 2)
        assert screen(pilot)._models == ("one", "three")


async def test_leaving_at_the_first_question_votes_nothing() -> None:
    async with app().run_test(size=WIDE) as pilot:
        await run_audit(pilot)
        await pilot.press("enter")
        await wait_for_screen(pilot, "ItemsScreen")
        await pilot.press("b")
        await enter(pilot, "  ", "Who votes?")
        await wait_until(pilot, lambda: "needs a name" in shown(pilot))
        await wait_for_screen(pilot, "Ask")
        await pilot.press("escape")
        await wait_for_screen(pilot, "ItemsScreen")
    assert votes() == []


@SIZES
def test_voting(snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await to_vote(pilot)
        await pilot.press("1", "3")
        await pilot.pause()

    assert snap_compare(app(), terminal_size=size, run_before=before)


@SIZES
def test_result(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=to_result)
