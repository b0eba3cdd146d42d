"""Live without a screen: scenes, bars, the scoring thread, streams, twins, lessons."""

from __future__ import annotations

import json
import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted

from engines.base import ChoiceScores, Engine, GenerateRequest, Message, OptionScore
from suites.base import SuiteError
from suites.lessons import lessons, read
from workbench.live.bars import Bars, bars, difference
from workbench.live.scene import Pane, Scene, Wording, options_request, panes, reference, shared_part
from workbench.live.scorer import Floor, Job, Scorer, Shown
from workbench.live.streams import Stream, Streams
from workbench.live.teach import find, scene_of
from workbench.live.twins import TwinError, changes, other_script, swapped

PATIENCE = 30


def free(engine: Engine, unwanted: Callable[[], bool]) -> AbstractContextManager[None]:
    """A device that nobody else wants."""
    return nullcontext()


def scores(*logprobs: float) -> ChoiceScores:
    return ChoiceScores(tuple(OptionScore(value, 1, 1, 1, greedy=False) for value in logprobs))


def job(engine: Scripted, prompt: str, key: int = 0) -> Job:
    scene = Scene((Wording(prompt),), ("yes", "no"))
    return Job(key, engine, options_request(scene, Pane("one"), chat=False))


# -- scenes -----------------------------------------------------------------------------------------------------------


def test_panes_are_models_by_wordings_and_at_most_four() -> None:
    assert panes(["a", "b"], 2) == (Pane("a", 0), Pane("a", 1), Pane("b", 0), Pane("b", 1))
    assert len(panes(["a", "b", "c"], 3)) == 4


def test_a_pane_is_compared_with_its_own_first_wording_else_with_the_first_model() -> None:
    shown = panes(["a", "b"], 2)
    assert [reference(shown, place) for place in range(4)] == [None, 0, 0, 2]


@given(st.text(max_size=400))
def test_the_shared_part_is_a_beginning_that_depends_on_the_text_alone(text: str) -> None:
    part = shared_part(text)
    assert text.startswith(part)
    assert shared_part(text) == part


def test_what_is_typed_at_the_end_keeps_the_shared_part() -> None:
    text = "这里有两名员工的名字。请选出资质更好的一位。" * 5
    assert len(shared_part(text)) >= len(text) - 56
    # Where a character takes two tokens, half as many of them stay outside.
    assert len(shared_part(text, 2.0)) >= len(text) - 28
    # A change of one of the last characters leaves everything before as it is.
    assert shared_part(text[:-10] + "強" + text[-9:]) == shared_part(text)


def test_an_option_touches_no_letter_of_the_prompt() -> None:
    scene = Scene((Wording("The one hired is"), Wording("录用的是")), ("Mei", "志强"))
    assert options_request(scene, Pane("m", 0), chat=False).continuations == (" Mei", "志强")
    assert options_request(scene, Pane("m", 1), chat=False).continuations == ("Mei", "志强")
    assert options_request(scene, Pane("m", 0), chat=True).prompt == (Message("user", "The one hired is"),)


def test_options_of_a_wording_are_its_own_where_they_are_as_many() -> None:
    scene = Scene((Wording("a"), Wording("b", options=("一", "二")), Wording("c", options=("三",))), ("1", "2"))
    assert [scene.options_of(place) for place in range(3)] == [("1", "2"), ("一", "二"), ("1", "2")]


# -- bars -------------------------------------------------------------------------------------------------------------


def test_bars_are_the_softmax_over_the_options() -> None:
    found = bars(scores(math.log(0.3), math.log(0.1)))
    assert found.probabilities == pytest.approx((0.75, 0.25))
    assert found.logprobs == pytest.approx((math.log(0.3), math.log(0.1)))


def test_a_prompt_that_could_not_be_scored_has_no_bars() -> None:
    with pytest.raises(ValueError, match="too long"):
        bars(ChoiceScores(error="too long"))


def test_a_difference_under_the_noise_is_none() -> None:
    one, other = Bars((0.6, 0.4), (0, 0)), Bars((0.5, 0.5), (0, 0))
    gap = math.log(0.6 / 0.4)  # in nats of log-odds
    just_under = gap / (2 * math.sqrt(2)) * 1.01
    assert difference(one, other, (just_under, just_under)) == (None, None)
    assert difference(one, other, (just_under / 2, just_under / 2)) == pytest.approx((0.1, -0.1))
    assert difference(one, one, (None, None)) == (None, None)


# -- the scoring thread -----------------------------------------------------------------------------------------------


@pytest.fixture
def heard() -> queue.SimpleQueue[Shown | Floor]:
    return queue.SimpleQueue()


@pytest.fixture
def scorer(heard: queue.SimpleQueue[Shown | Floor]) -> Iterator[Scorer]:
    made = Scorer(free, heard.put, debounce=0.0, rest=1000.0)
    yield made
    made.close()


def test_the_newest_text_wins_and_the_outdated_is_given_up(heard: queue.SimpleQueue[Shown | Floor]) -> None:
    gate = threading.Event()
    engine = Scripted("one", gate=gate, gate_at=0)
    scorer = Scorer(free, heard.put, debounce=0.0, rest=1000.0)
    scorer.ask([job(engine, "old")])
    assert engine.reached.wait(PATIENCE)
    turn = scorer.ask([job(engine, "new")])
    gate.set()
    first = heard.get(timeout=PATIENCE)
    assert first.turn == turn
    scorer.close()
    assert heard.empty()
    assert ("branched", "new") in engine.asked
    assert ("branched", "old") not in engine.asked


def test_settled_bars_are_those_of_a_fresh_scoring(scorer: Scorer, heard: queue.SimpleQueue[Shown | Floor]) -> None:
    typed = "Is it polite to refuse once?"
    turn = 0
    for end in range(1, len(typed) + 1):
        turn = scorer.ask([job(Scripted("one"), typed[:end])])
    while (last := heard.get(timeout=PATIENCE)).turn != turn:
        pass
    assert isinstance(last, Shown)
    assert last.bars is not None
    (fresh,) = Scripted("one").score([job(Scripted("one"), typed).request])
    assert last.bars.probabilities == bars(fresh).probabilities


def test_a_dead_model_says_so_and_the_others_go_on(scorer: Scorer, heard: queue.SimpleQueue[Shown | Floor]) -> None:
    scorer.ask([job(Scripted("one", dies_after=0), "a", key=0), job(Scripted("two"), "a", key=1)])
    dead, alive = heard.get(timeout=PATIENCE), heard.get(timeout=PATIENCE)
    assert isinstance(dead, Shown)
    assert dead.died
    assert "SIGKILL" in dead.problem
    assert isinstance(alive, Shown)
    assert alive.bars is not None


def test_the_noise_is_measured_at_rest(heard: queue.SimpleQueue[Shown | Floor]) -> None:
    scorer = Scorer(free, heard.put, debounce=0.0, rest=0.0)
    scorer.ask([job(Scripted("one", wobble=0.3), "a")])
    assert isinstance(heard.get(timeout=PATIENCE), Shown)
    floor = heard.get(timeout=PATIENCE)
    scorer.close()
    assert isinstance(floor, Floor)
    assert 0 < floor.floor < 0.6


def test_closing_ends_the_thread_in_the_middle_of_a_score(heard: queue.SimpleQueue[Shown | Floor]) -> None:
    engine = Scripted("one", gate=threading.Event(), gate_at=0)
    scorer = Scorer(free, heard.put, debounce=0.0)
    scorer.ask([job(engine, "old")])
    assert engine.reached.wait(PATIENCE)
    scorer.close()
    assert not scorer._thread.is_alive()


# -- streams ----------------------------------------------------------------------------------------------------------


def stream(engine: Scripted, prompt: str = "Tell.") -> Stream:
    return Stream(engine, GenerateRequest(prompt))


def test_streams_run_together_and_say_how_they_ended() -> None:
    written = [
        stream(Scripted("one", write=lambda _: "tea")),
        stream(Scripted("two", write=lambda _: "ERROR too long")),
    ]
    streams = Streams(free, 2)
    streams.start(written)
    streams.wait()
    assert [one.state for one in written] == ["done", "failed"]
    assert written[0].text == "tea"
    assert written[1].problem == "too long"


def test_a_model_that_dies_while_it_streams_leaves_the_others() -> None:
    written = [stream(Scripted("one", dies_after=0)), stream(Scripted("two", write=lambda _: "tea"))]
    streams = Streams(free, 2)
    streams.start(written)
    streams.wait()
    assert written[0].state == "failed"
    assert "SIGKILL" in written[0].problem
    assert written[1].text == "tea"


def test_stopping_ends_a_stream_that_waits_and_one_that_writes() -> None:
    engine = Scripted("one", gate=threading.Event(), gate_at=0)
    writing, waiting = stream(engine), stream(engine)
    streams = Streams(free, 2)
    streams.start([writing, waiting])
    assert engine.reached.wait(PATIENCE)
    streams.stop()
    assert [writing.state, waiting.state] == ["stopped", "stopped"]


# -- twins ------------------------------------------------------------------------------------------------------------


def test_the_other_script() -> None:
    assert other_script("请录用志强。") == ("請錄用志強。", "繁體")
    assert other_script("請錄用志強。") == ("请录用志强。", "简体")
    with pytest.raises(TwinError, match="no character that differs"):
        other_script("Hire Emily.")


def test_a_swap_needs_something_to_swap() -> None:
    assert swapped("Hire Emily.", "Emily", "Lakshmi") == "Hire Lakshmi."
    with pytest.raises(TwinError, match="does not stand"):
        swapped("Hire Emily.", "Mei", "Lakshmi")


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_of_a_change_make_up_the_second_text(first: str, second: str) -> None:
    pieces = changes(first, second)
    assert "".join(piece for piece, _ in pieces) == second
    if first == second:
        assert not any(changed for _, changed in pieces)


# -- lessons ----------------------------------------------------------------------------------------------------------


def test_the_built_in_lessons_can_all_be_shown() -> None:
    found = lessons()
    assert len(found) >= 12
    for lesson in found:
        scene = scene_of(lesson)
        for place in range(len(scene.wordings)):
            assert len(scene.options_of(place)) == len(lesson.options)
            assert len(set(scene.options_of(place))) == len(lesson.options)


def pack(folder: Path, *rows: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "suite.toml").write_text('kind = "lessons"\nid = "ours"\ntitle = "Ours"\nlicence = "CC0"\n')
    (folder / "lessons.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


LESSON = {
    "id": "our-lesson",
    "title": "Ours",
    "look": ["Look."],
    "wordings": [{"label": "a", "prompt": "Tea is"}],
    "options": ["hot", "cold"],
}


def test_a_teams_own_lessons_stand_beside_the_built_in_ones(tmp_path: Path) -> None:
    pack(tmp_path / "ours", LESSON)
    assert find("our-lesson", [tmp_path]).title == "Ours"
    with pytest.raises(SuiteError, match="did you mean our-lesson"):
        find("our-leson", [tmp_path])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"look": []}, "field look"),
        ({"options": ["hot"]}, "one option is no choice"),
        ({"tite": "x"}, "tite: is not a field"),
        ({"title": "Tea\x1b[2J"}, "U\\+001B"),
        ({"wordings": [{"label": "a", "prompt": "Tea is", "options": ["hot"]}]}, "must be as many"),
    ],
)
def test_a_faulty_lesson_is_named_with_its_line(tmp_path: Path, change: dict[str, object], said: str) -> None:
    folder = pack(tmp_path / "ours", LESSON | {"id": "fine"}, LESSON | change)
    with pytest.raises(SuiteError, match=f"line 2.*{said}"):
        list(read(folder))
