"""Scores and answers of Hugging Face models: exact on tiny float32 models of several kinds."""

from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the hf extra is not installed (make install-hf)")
pytest.importorskip("transformers", reason="the hf extra is not installed (make install-hf)")

from tiny_hf import KINDS, TEMPLATE, write_tiny_hf

from engines.base import (
    Cancelled,
    ChoiceRequest,
    ChoiceScores,
    EngineError,
    GenerateRequest,
    LayerRequest,
    LoadOptions,
    Message,
    Sampling,
)
from engines.process import EngineProcess, open_engine

ONE_THREAD = LoadOptions(context=512, threads=1)
SHOTS = "Q: Is rice eaten at breakfast in Taipei? A: Yes.\nQ: Is it rude to tip in Tokyo? A: Often.\n"
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
    "an empty prompt": ChoiceRequest("", ("A sentence on its own.", "Another one")),
    "many options": ChoiceRequest("Pick one of a hundred:", tuple(f" number {n}" for n in range(100))),
    "an option of many tokens": ChoiceRequest("Long: ", ("word " * 80, "word")),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("hf")
    return {kind: write_tiny_hf(base / kind, kind) for kind in (*KINDS, "mamba")}


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> Iterator[dict[str, EngineProcess]]:
    """One engine of each kind, loaded when it is first asked for."""

    class Loaded(dict[str, EngineProcess]):
        def __missing__(self, kind: str) -> EngineProcess:
            self[kind] = open_engine(str(folders[kind]), ONE_THREAD)
            return self[kind]

    loaded = Loaded()
    yield loaded
    for engine in loaded.values():
        engine.close()


@pytest.fixture
def llama(engines: dict[str, EngineProcess]) -> EngineProcess:
    return engines["llama"]


def score(engine: EngineProcess, *requests: ChoiceRequest, shape: str = "branched") -> list[ChoiceScores]:
    return list(engine.score(requests, shape))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [*KINDS, "mamba"])
def test_exact_scores_equal_a_plain_evaluation(engines: dict[str, EngineProcess], kind: str) -> None:
    engine = engines[kind]
    for name, case in CASES.items():
        if kind == "mamba" and name == "an empty prompt":
            continue
        shapes = ("branched", "chunks-13", "chunks-50")
        (plain,) = score(engine, case, shape="plain")
        for shape in shapes:
            (fast,) = score(engine, case, shape=shape)
            assert not fast.error, name
            assert len(fast.options) == len(case.continuations)
            for a, b, text in zip(fast.options, plain.options, case.continuations, strict=True):
                assert a.logprob == pytest.approx(b.logprob, abs=1e-3), (name, shape)
                assert (a.tokens, a.characters, a.bytes) == (b.tokens, len(text), len(text.encode()))
                assert a.logprob < 0


@pytest.mark.parametrize("kind", [*KINDS, "mamba"])
def test_plain_scores_are_those_of_transformers_itself(
    engines: dict[str, EngineProcess], folders: dict[str, Path], kind: str
) -> None:
    # The one reference that shares nothing with the engine: the library's own model and tokenizer, one sequence each.
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[kind])
    model = transformers.AutoModelForCausalLM.from_pretrained(folders[kind], dtype=torch.float32).eval()
    prompt, options = SHOTS + "What is said there?", (" hello there", " nothing", "计程车")
    (found,) = score(engines[kind], ChoiceRequest(prompt, options, shared=SHOTS))
    before = tokenizer(prompt)["input_ids"]
    for option, one in zip(options, found.options, strict=True):
        whole = tokenizer(prompt + option)["input_ids"]
        assert whole[: len(before)] == before
        with torch.inference_mode():
            logprobs = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        total = sum(float(logprobs[place - 1, whole[place]]) for place in range(len(before), len(whole)))
        assert one.logprob == pytest.approx(total, abs=1e-3)
        assert one.tokens == len(whole) - len(before)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "mistral-sliding", "mamba"])
def test_a_score_is_the_same_bits_alone_among_others_and_in_any_order(
    engines: dict[str, EngineProcess], kind: str
) -> None:
    engine = engines[kind]
    requests = [case for name, case in CASES.items() if name not in {"an empty prompt", "many options"}]
    together = score(engine, *requests)
    order = list(range(len(requests)))
    random.Random(3).shuffle(order)
    shuffled = score(engine, *(requests[index] for index in order))
    assert [shuffled[order.index(index)] for index in range(len(requests))] == together
    list(engine.generate([GenerateRequest("Something else entirely", sampling=Sampling(max_tokens=5))]))
    assert [score(engine, request)[0] for request in requests] == together


def test_the_shared_prefix_is_decoded_once(llama: EngineProcess) -> None:
    items = [
        ChoiceRequest(f"{SHOTS}Q: {dish}? A:", (" Yes.", " No."), shared=SHOTS) for dish in ("poi", "natto", "凤梨")
    ]
    found = score(llama, *items)
    assert all(scores.shared_tokens >= len(SHOTS) * 0.8 for scores in found)
    alone = score(llama, *(ChoiceRequest(item.prompt, item.continuations) for item in items))
    for a, b in zip(found, alone, strict=True):
        assert [x.logprob for x in a.options] == pytest.approx([x.logprob for x in b.options], abs=1e-3)


def test_sliding_windows_forget_nothing_that_a_branch_needs(engines: dict[str, EngineProcess]) -> None:
    # The window is 16 tokens, prompt and options are several times that.
    assert engines["mistral-sliding"].card.branching
    case = ChoiceRequest(SHOTS * 2 + "Q:", tuple(f" {'hello ' * n}end" for n in (1, 3, 9)), shared=SHOTS)
    for kind in ("gemma2", "gemma3", "mistral-sliding"):
        (fast,), (plain,) = score(engines[kind], case), score(engines[kind], case, shape="plain")
        assert [a.logprob for a in fast.options] == pytest.approx([b.logprob for b in plain.options], abs=1e-3)


def test_a_model_whose_state_cannot_branch_says_so(engines: dict[str, EngineProcess]) -> None:
    assert not engines["mamba"].card.branching
    assert all(engines[kind].card.branching for kind in KINDS)


def test_unconditional_scores_are_those_after_the_start_token(llama: EngineProcess) -> None:
    (with_prompt,) = score(llama, ChoiceRequest("hello", ("he", "ll"), unconditional=True))
    (alone,) = score(llama, ChoiceRequest("", ("he", "ll")))
    for a, b in zip(with_prompt.options, alone.options, strict=True):
        assert a.unconditional == pytest.approx(b.logprob, abs=1e-4)
        assert a.logprob != pytest.approx(b.logprob, abs=1e-4)


def test_text_never_becomes_a_control_token(llama: EngineProcess) -> None:
    spelled = "<|end|>"
    assert len(llama.tokenize(spelled)) == len(spelled)
    (plain,) = score(llama, ChoiceRequest("x", (spelled,)))
    assert plain.options[0].tokens == len(spelled)
    (chat,) = score(llama, ChoiceRequest((Message("user", f"say {spelled} x"),), ("a",)))
    (without,) = score(llama, ChoiceRequest((Message("user", "say  x"),), ("a",)))
    assert chat.prompt_tokens == without.prompt_tokens + len(spelled)


def test_the_start_token_is_never_doubled(llama: EngineProcess, tmp_path: Path) -> None:
    folder = write_tiny_hf(tmp_path / "bos", template="{{ bos_token }}" + TEMPLATE)
    engine = open_engine(str(folder), ONE_THREAD)
    chat = ChoiceRequest((Message("user", "x"),), ("a",))
    assert score(engine, chat)[0].prompt_tokens == score(llama, chat)[0].prompt_tokens == 5
    engine.close()


def test_tokens_show_their_text(llama: EngineProcess) -> None:
    assert [piece.text for piece in llama.tokenize("hello 菠")] == ["hello", " ", "�", "�", "�"]


def test_what_does_not_fit_is_that_requests_error(llama: EngineProcess) -> None:
    long, option, after = score(
        llama,
        ChoiceRequest("word " * 600, (" a", " b")),
        ChoiceRequest("short", ("word " * 600, " b")),
        ChoiceRequest("short", (" a", " b")),
    )
    for one in (long, option):
        assert one.options == ()
        assert "512" in one.error
        assert "context" in one.error
    assert len(after.options) == 2
    ((_, token),) = llama.generate([GenerateRequest("word " * 600)])
    assert token.finish == "error"
    assert "512" in token.error


def test_answers_stream_whole_characters_and_stop(llama: EngineProcess) -> None:
    request = GenerateRequest("菠萝", sampling=Sampling(temperature=1.0, max_tokens=60), seed=4)
    tokens = [token for _, token in llama.generate([request])]
    assert tokens[-1].finish in {"length", "stop"}  # the random model may draw its end token
    assert all(token.finish == "" for token in tokens[:-1])
    assert [token for _, token in llama.generate([request])] == tokens
    text = "".join(token.text for token in tokens)
    middle = text[len(text) // 2]
    cut = GenerateRequest("菠萝", sampling=Sampling(temperature=1.0, max_tokens=60, stop=(middle,)), seed=4)
    stopped = [token for _, token in llama.generate([cut])]
    assert stopped[-1].finish == "stop"
    assert "".join(token.text for token in stopped) == text[: text.index(middle)]


def test_a_character_waits_for_its_last_byte(engines: dict[str, EngineProcess]) -> None:
    # Each of its three bytes is a token, forced by a schema: nothing is shown before the third.
    schema = json.dumps({"const": "菠"})
    request = GenerateRequest("x", sampling=Sampling(max_tokens=20), schema=schema)
    tokens = [token for _, token in engines["llama"].generate([request])]
    assert [token.text for token in tokens if token.id >= 0] == ['"', "", "", "菠", '"']


@pytest.mark.parametrize("kind", ["llama", "gemma2", "mamba"])
def test_reported_probabilities_are_the_models_own(engines: dict[str, EngineProcess], kind: str) -> None:
    engine = engines[kind]
    request = GenerateRequest(
        "hello", sampling=Sampling(temperature=2.0, top_k=3, max_tokens=6), seed=2, alternatives=500
    )
    tokens = [token for _, token in engine.generate([request]) if token.id >= 0]
    written: tuple[int, ...] = ()
    for token in tokens:
        by_id = {one.id: one.logprob for one in token.alternatives}
        assert sum(math.exp(logprob) for logprob in by_id.values()) == pytest.approx(1, abs=1e-4)
        assert by_id[token.id] == pytest.approx(token.logprob)
        assert list(by_id.values()) == sorted(by_id.values(), reverse=True)
        written += (token.id,)
    (first,) = score(engine, ChoiceRequest("hello", ("x",)))
    (x,) = engine.tokenize("x")
    assert {one.id: one.logprob for one in tokens[0].alternatives}[x.id] == pytest.approx(
        first.options[0].logprob, abs=1e-3
    )


def test_several_answers_each_with_their_own_seed(llama: EngineProcess) -> None:
    def request(seed: int) -> GenerateRequest:
        return GenerateRequest("a", sampling=Sampling(temperature=1.0, max_tokens=12), seed=seed)

    texts = {0: "", 1: "", 2: ""}
    for index, token in llama.generate([request(1), request(2), request(1)]):
        texts[index] += token.text
    assert texts[0] == texts[2] != texts[1]


def test_a_schema_is_kept_to(llama: EngineProcess) -> None:
    schema = {
        "type": "object",
        "properties": {"polite": {"type": "boolean"}, "why": {"enum": ["since", "假如"]}},
        "required": ["polite", "why"],
        "additionalProperties": False,
    }
    for seed in range(4):
        request = GenerateRequest(
            "x", sampling=Sampling(temperature=1.0, max_tokens=120), schema=json.dumps(schema), seed=seed
        )
        tokens = [token for _, token in llama.generate([request])]
        answer = json.loads("".join(token.text for token in tokens))
        assert isinstance(answer["polite"], bool)
        assert answer["why"] in {"since", "假如"}
        assert tokens[-1].finish == "stop"


def test_a_schema_that_is_none_is_refused(llama: EngineProcess) -> None:
    with pytest.raises(EngineError, match="schema"):
        list(llama.generate([GenerateRequest("x", schema='{"type": 3}')]))
    assert score(llama, ChoiceRequest("still", (" there",)))[0].options


@pytest.mark.parametrize("kind", [*KINDS, "mamba"])
def test_the_last_layer_is_the_models_own_distribution(engines: dict[str, EngineProcess], kind: str) -> None:
    engine = engines[kind]
    prompt = "hello there, 菠"
    readout = engine.layers(LayerRequest(prompt, tokens=tuple(range(60)), top=3))
    assert len(readout.layers) == (3 if kind == "mamba" else 4)
    ((_, token), *_) = engine.generate([GenerateRequest(prompt, sampling=Sampling(max_tokens=1), alternatives=500)])
    own = {one.id: one.logprob for one in token.alternatives}
    assert readout.layers[-1].logprobs == pytest.approx([own[k] for k in range(60)], abs=1e-4)
    assert [one.id for one in readout.layers[-1].top] == [one.id for one in token.alternatives[:3]]
    for row in readout.layers:
        assert all(logprob < 0 for logprob in row.logprobs)
    assert readout.layers[0].logprobs != pytest.approx(readout.layers[-1].logprobs, abs=0.1)


def test_the_layers_are_what_transformers_gives_as_hidden_states(
    engines: dict[str, EngineProcess], folders: dict[str, Path]
) -> None:
    import torch
    import transformers

    for kind in ("llama-tied", "gemma2"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folders[kind])
        model = transformers.AutoModelForCausalLM.from_pretrained(folders[kind], dtype=torch.float32).eval()
        with torch.inference_mode():
            out = model(torch.tensor([tokenizer("hello x")["input_ids"]]), output_hidden_states=True)
            cap = getattr(model.config, "final_logit_softcapping", None)
            for layer, row in enumerate(engines[kind].layers(LayerRequest("hello x", tokens=(1, 2, 3))).layers[:-1]):
                logits = model.lm_head(model.model.norm(out.hidden_states[layer][0, -1]))
                logits = torch.tanh(logits / cap) * cap if cap else logits
                assert row.logprobs == pytest.approx(logits.log_softmax(-1)[1:4].tolist(), abs=1e-4)


def test_a_token_that_is_none_is_refused(llama: EngineProcess) -> None:
    with pytest.raises(EngineError, match="no token 99999"):
        llama.layers(LayerRequest("x", tokens=(99999,)))


def test_cancel_ends_an_answer_within_a_token_and_the_engine_goes_on(llama: EngineProcess) -> None:
    heard = threading.Event()

    def stop() -> None:
        heard.wait(30)
        llama.cancel()

    def write_for_ever() -> None:
        for _ in range(1000):
            for _ in llama.generate([GenerateRequest("a", sampling=Sampling(temperature=1, max_tokens=500))]):
                heard.set()

    threading.Thread(target=stop).start()
    with pytest.raises(Cancelled):
        write_for_ever()
    assert score(llama, ChoiceRequest("on", (" we", " go")))[0].options


def test_leaving_a_stream_early_leaves_the_engine_usable(llama: EngineProcess) -> None:
    requests = [ChoiceRequest(f"number {n}", (" a", " b")) for n in range(12)]
    whole = score(llama, *requests)
    scores = llama.score(requests)
    assert next(scores) == whole[0]
    scores.close()
    answer = llama.generate([GenerateRequest("a", sampling=Sampling(temperature=1, max_tokens=400))])
    next(answer)
    answer.close()
    assert score(llama, *requests[5:8]) == whole[5:8]


def test_the_card_says_what_is_loaded(llama: EngineProcess) -> None:
    card = llama.card
    assert (card.engine, card.architecture, card.quantisation) == ("hf", "llama", "F32")
    assert (card.device, card.offload, card.threads, card.context, card.template) == ("CPU", "none", 1, 512, TEMPLATE)
    assert card.can == ("score", "generate", "tokenize", "schema", "layers")
    assert {"torch", "transformers"} <= card.libraries.keys()
    assert card.size > 4 * card.parameters
