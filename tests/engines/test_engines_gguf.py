"""Scores and answers of GGUF models: exact on a tiny float32 model, within tolerance on a real quantised one."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import TEMPLATE, write_tiny

from engines.base import (
    Cancelled,
    ChoiceRequest,
    ChoiceScores,
    EngineDied,
    EngineError,
    GenerateRequest,
    LoadOptions,
    Message,
    Sampling,
)
from engines.process import EngineProcess, open_engine

ONE_THREAD = LoadOptions(context=512, threads=1)
SHOTS = "Q: Is rice eaten at breakfast in Taipei? A: Yes.\nQ: Is it rude to tip in Tokyo? A: Often.\n" * 2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    engine = open_engine(str(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf")), ONE_THREAD)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def smollm(starters: dict[str, Path]) -> Iterator[EngineProcess]:
    engine = open_engine(str(starters["smollm2-135m-instruct"]), ONE_THREAD)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def gemma(starters: dict[str, Path]) -> Iterator[EngineProcess]:
    engine = open_engine(str(starters["gemma-3-270m"]), ONE_THREAD)
    yield engine
    engine.close()


def score(engine: EngineProcess, *requests: ChoiceRequest, shape: str = "branched") -> list[ChoiceScores]:
    return list(engine.score(requests, shape))  # type: ignore[arg-type]


CASES = {
    "multi-token options": ChoiceRequest("The pineapple cake is", (" very sweet indeed", " not sweet at all", " old")),
    "one option a prefix of another": ChoiceRequest("Say it: hell", ("o", "o there", "o there, friend")),
    "equal options": ChoiceRequest("Twice:", (" same", " same", " other")),
    "a token spans the end of the prompt": ChoiceRequest("oh he", ("llo", "n", " is")),
    "a prompt that ends in a space": ChoiceRequest("They say ", ("hello", "no")),
    "a shared prefix": ChoiceRequest(SHOTS + "Q: Is this? A:", (" Yes.", " No."), shared=SHOTS),
    "a prompt that is the shared prefix": ChoiceRequest(SHOTS, (" Yes.", " No."), shared=SHOTS),
    "Chinese bytes split across tokens": ChoiceRequest("计程车的意思是", ("出租车", "出租汽车", "計程車", "🚕")),
    "a chat": ChoiceRequest((Message("user", "你好，hello?"),), ("hello", "你好")),
    "a chat with a shared prefix": ChoiceRequest((Message("user", SHOTS + "Is it?"),), ("Yes", "No"), shared=SHOTS),
    "a control token in a user's text": ChoiceRequest((Message("user", "say <|end|> now"),), ("<|end|>", "no")),
    "a single option": ChoiceRequest("Hello", (" world",)),
    "more options than sequences": ChoiceRequest("Pick one of a hundred:", tuple(f" number {n}" for n in range(100))),
}


@pytest.mark.parametrize("name", CASES)
def test_exact_scores_equal_a_plain_evaluation(tiny: EngineProcess, name: str) -> None:
    (fast,), (plain,) = score(tiny, CASES[name]), score(tiny, CASES[name], shape="plain")
    assert not fast.error
    assert len(fast.options) == len(CASES[name].continuations)
    for a, b, text in zip(fast.options, plain.options, CASES[name].continuations, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=1e-3)
        assert (a.tokens, a.greedy, a.characters, a.bytes) == (b.tokens, b.greedy, len(text), len(text.encode()))
        assert a.logprob < 0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.model
@pytest.mark.timeout(120)
def test_quantised_scores_are_within_tolerance(smollm: EngineProcess, name: str) -> None:
    if name == "more options than sequences":
        pytest.skip("the tiny model covers it exactly")
    (fast,), (plain,) = score(smollm, CASES[name]), score(smollm, CASES[name], shape="plain")
    gaps = [abs(a.logprob - b.logprob) for a, b in zip(fast.options, plain.options, strict=True)]
    assert max(gaps) <= 0.5


def test_a_score_depends_on_shared_prefix_and_item_alone(tiny: EngineProcess) -> None:
    requests = list(CASES.values())
    together = score(tiny, *requests)
    alone = [score(tiny, request)[0] for request in requests]
    assert alone == together
    order = list(range(len(requests)))
    random.Random(3).shuffle(order)
    assert [score(tiny, *(requests[index] for index in order))[order.index(k)] for k in range(3)] == together[:3]


@pytest.mark.model
@pytest.mark.timeout(240)
@pytest.mark.parametrize("model", ["smollm", "gemma"])
def test_real_scores_are_the_same_bits_whatever_is_asked_before(model: str, request: pytest.FixtureRequest) -> None:
    engine: EngineProcess = request.getfixturevalue(model)
    items = [
        ChoiceRequest(f"{SHOTS}Q: Do people eat {dish}? A:", (" Yes.", " No.", " Sometimes, yes."), shared=SHOTS)
        for dish in ("natto", "臭豆腐", "poi", "凤梨")
    ]
    together = score(engine, *items)
    assert score(engine, *reversed(items)) == together[::-1]
    list(engine.generate([GenerateRequest("Something else entirely", sampling=Sampling(max_tokens=5))]))
    assert [score(engine, item)[0] for item in items] == together
    assert score(engine, ChoiceRequest("A prompt with no prefix", (" a", " b")), *items[2:])[1:] == together[2:]
    assert all(scores.shared_tokens > 20 for scores in together)


def test_unconditional_scores_are_those_after_the_start_token(tiny: EngineProcess) -> None:
    (with_prompt,) = score(tiny, ChoiceRequest("hello", ("he", "ll"), unconditional=True))
    (alone,) = score(tiny, ChoiceRequest("", ("he", "ll")))
    for a, b in zip(with_prompt.options, alone.options, strict=True):
        assert a.unconditional == pytest.approx(b.logprob, abs=1e-4)
        assert a.logprob != pytest.approx(b.logprob, abs=1e-4)


def test_probabilities_of_all_next_bytes_sum_to_one(tiny: EngineProcess) -> None:
    # Every single-token continuation of the byte vocabulary: an absolute check, not only fast against plain.
    letters = tuple(chr(code) for code in range(33, 127))
    (scores,) = score(tiny, ChoiceRequest("x", letters))
    pieces = [tiny.tokenize(letter) for letter in letters]
    assert all(len(piece) == 1 for piece in pieces)
    (tokens,) = [list(tiny.generate([GenerateRequest("x", sampling=Sampling(max_tokens=1), alternatives=500)]))]
    by_id = {option.id: option.logprob for option in tokens[0][1].alternatives}
    import math

    assert sum(math.exp(logprob) for logprob in by_id.values()) == pytest.approx(1, abs=1e-4)
    for piece, option in zip(pieces, scores.options, strict=True):
        assert option.logprob == pytest.approx(by_id[piece[0].id], abs=1e-3)


def test_text_never_becomes_a_control_token(tiny: EngineProcess) -> None:
    spelled = "<|end|>"
    assert len(tiny.tokenize(spelled)) == len(spelled)
    (plain,) = score(tiny, ChoiceRequest("x", (spelled,)))
    assert plain.options[0].tokens == len(spelled)
    (chat,) = score(tiny, ChoiceRequest((Message("user", f"say {spelled} x"),), ("a",)))
    (without,) = score(tiny, ChoiceRequest((Message("user", "say  x"),), ("a",)))
    assert chat.prompt_tokens == without.prompt_tokens + len(spelled)


def test_the_start_token_is_never_doubled(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "bos.gguf", template="{{ bos_token }}" + TEMPLATE)
    plain = write_tiny(tmp_path / "plain.gguf")
    counts = []
    for file in (path, plain):
        engine = open_engine(str(file), ONE_THREAD)
        counts.append(score(engine, ChoiceRequest((Message("user", "x"),), ("a",)))[0].prompt_tokens)
        engine.close()
    assert counts == [4, 4] or counts[0] == counts[1]


def test_a_prompt_longer_than_the_window_is_that_requests_error(tiny: EngineProcess) -> None:
    long, after = score(tiny, ChoiceRequest("word " * 600, (" a", " b")), ChoiceRequest("short", (" a", " b")))
    assert long.options == ()
    assert "512" in long.error
    assert "context" in long.error
    assert len(after.options) == 2
    ((_, token),) = tiny.generate([GenerateRequest("word " * 600)])
    assert token.finish == "error"
    assert "512" in token.error


def test_answers_stream_whole_characters_and_stop(tiny: EngineProcess) -> None:
    request = GenerateRequest("菠萝", sampling=Sampling(temperature=1.0, max_tokens=60), seed=4)
    tokens = [token for _, token in tiny.generate([request])]
    assert tokens[-1].finish in {"length", "stop"}  # the random model may draw its end token
    assert all(token.finish == "" for token in tokens[:-1])
    assert [token for _, token in tiny.generate([request])] == tokens
    text = "".join(token.text for token in tokens)
    middle = text[len(text) // 2]
    cut = GenerateRequest("菠萝", sampling=Sampling(temperature=1.0, max_tokens=60, stop=(middle,)), seed=4)
    stopped = [token for _, token in tiny.generate([cut])]
    assert stopped[-1].finish == "stop"
    assert "".join(token.text for token in stopped) == text[: text.index(middle)]


def test_several_answers_each_with_their_own_seed(tiny: EngineProcess) -> None:
    def request(seed: int) -> GenerateRequest:
        return GenerateRequest("a", sampling=Sampling(temperature=1.0, max_tokens=12), seed=seed)

    texts = {0: "", 1: "", 2: ""}
    for index, token in tiny.generate([request(1), request(2), request(1)]):
        texts[index] += token.text
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.model
@pytest.mark.timeout(120)
def test_a_schema_is_kept_to(smollm: EngineProcess) -> None:
    schema = {
        "type": "object",
        "properties": {"polite": {"type": "boolean"}, "why": {"type": "string", "maxLength": 30}},
        "required": ["polite", "why"],
        "additionalProperties": False,
    }
    prompt = (Message("user", "Is it polite to take off your shoes in a Japanese home?"),)
    for temperature in (0.0, 1.0):
        request = GenerateRequest(
            prompt, sampling=Sampling(temperature=temperature, max_tokens=120), schema=json.dumps(schema), seed=5
        )
        text = "".join(token.text for _, token in smollm.generate([request]))
        answer = json.loads(text)
        assert isinstance(answer["polite"], bool)
        assert isinstance(answer["why"], str)


def test_a_schema_that_is_none_is_refused(tiny: EngineProcess) -> None:
    with pytest.raises(EngineError, match="schema"):
        list(tiny.generate([GenerateRequest("x", schema='{"type": 3}')]))
    assert score(tiny, ChoiceRequest("still", (" there",)))[0].options


def test_the_card_says_what_is_loaded(tiny: EngineProcess) -> None:
    card = tiny.card
    assert (card.architecture, card.quantisation, card.device, card.offload) == ("llama", "F32", "CPU", "none")
    assert (card.context, card.threads, card.template) == (512, 1, TEMPLATE)
    assert len(card.template_hash) == 64
    assert card.parameters > 50_000


def test_cancel_ends_an_answer_within_a_token_and_the_engine_goes_on(tiny: EngineProcess) -> None:
    heard = threading.Event()

    def stop() -> None:
        heard.wait(10)
        tiny.cancel()

    def write_for_ever() -> None:
        # Far longer than anyone waits: only the cancel can end it.
        for _ in range(1000):
            for _ in tiny.generate([GenerateRequest("a", sampling=Sampling(temperature=1, max_tokens=500))]):
                heard.set()

    threading.Thread(target=stop).start()
    with pytest.raises(Cancelled):
        write_for_ever()
    assert score(tiny, ChoiceRequest("on", (" we", " go")))[0].options


@pytest.mark.model
@pytest.mark.timeout(240)
def test_scores_after_a_cancel_are_the_same_bits(smollm: EngineProcess) -> None:
    prefix = "At dinner the guests were given tea, and the host told them where it had been grown. " * 3
    request = ChoiceRequest(prefix + "It was polite to thank the", (" host", " tea", " guests"), shared=prefix)
    fresh = score(smollm, request)
    for pause in (0.0, 0.02, 0.05, 0.1):
        timer = threading.Timer(pause, smollm.cancel)
        timer.start()
        with contextlib.suppress(Cancelled):  # it may have been too late: then there is nothing to compare
            other = ChoiceRequest(prefix + "Nobody " * 20 + "thanked the", request.continuations, shared=prefix)
            score(smollm, other)
        timer.join()
        assert score(smollm, request) == fresh


def test_the_cores_can_be_shared_for_a_while(tiny: EngineProcess) -> None:
    request = ChoiceRequest("on", (" we", " go"))
    alone = score(tiny, request)
    tiny.share_cores(1)
    assert score(tiny, request) == alone
    tiny.share_cores(0)
    assert score(tiny, request) == alone


def test_leaving_a_stream_early_leaves_the_engine_usable(tiny: EngineProcess) -> None:
    requests = [ChoiceRequest(f"number {n}", (" a", " b")) for n in range(20)]
    whole = score(tiny, *requests)
    scores = tiny.score(requests)
    assert next(scores) == whole[0]
    scores.close()
    answer = tiny.generate([GenerateRequest("a", sampling=Sampling(temperature=1, max_tokens=400))])
    next(answer)
    answer.close()
    assert score(tiny, *requests[5:8]) == whole[5:8]


def test_a_child_that_is_killed_says_so(tmp_path: Path) -> None:
    engine = open_engine(str(write_tiny(tmp_path / "tiny.gguf")), ONE_THREAD)
    scores = engine.score([ChoiceRequest(f"{n}", (" a", " b")) for n in range(50)])
    next(scores)
    import os
    import signal

    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineDied, match="SIGKILL"):
        list(scores)
    with pytest.raises(EngineDied):
        list(engine.generate([GenerateRequest("x")]))
    engine.close()
    engine.close()


def test_closing_ends_the_child(tmp_path: Path) -> None:
    import psutil

    engine = open_engine(str(write_tiny(tmp_path / "tiny.gguf")), ONE_THREAD)
    assert engine.memory() > 0
    engine.close()
    assert not psutil.pid_exists(engine.pid)
    assert engine.memory() == 0


def test_the_child_sees_no_secrets_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    from engines.process import _environment

    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert not {name for name, value in _environment().items() if value == "secret"}
    code = (
        "from engines.confine import confine; confine()\n"
        "import socket\n"
        "try:\n    socket.socket()\nexcept OSError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), check=True)
    assert done.stdout == "refused\n"


@pytest.mark.parametrize("content", [b"", b"hello, I am a text file\n", b"GGUF"])
def test_what_is_not_a_model_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"bad\.gguf") as caught:
        open_engine(str(path), ONE_THREAD)
    assert "\n" not in str(caught.value)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "cut.gguf")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(EngineError, match=r"cut\.gguf") as caught:
        open_engine(str(path), ONE_THREAD)
    assert "\n" not in str(caught.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="folder"):
        open_engine(str(tmp_path), ONE_THREAD)
