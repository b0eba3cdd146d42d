"""What the engine finds out about models of many architectures: tiny random ones, in this process."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("torch", reason="the hf extra is not installed (make install-hf)")
pytest.importorskip("transformers", reason="the hf extra is not installed (make install-hf)")

import torch
import transformers

from engines.base import Cancelled
from engines.choices import score_tokens
from engines.hf_layers import Layers
from engines.hf_network import Network
from engines.hf_scoring import Scoring

COMMON: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.3, "pad_token_id": 0,
}  # fmt: skip
SMALL: dict[str, Any] = {"vocab_size": 300, "hidden_size": 64, "initializer_range": 0.3}
EXPERTS: dict[str, Any] = {"num_experts": 4, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
VISION = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 28, "patch_size": 14}  # fmt: skip
MODELS: dict[str, tuple[dict[str, Any], bool, bool]] = {
    # configuration, whether its state can branch, whether it takes a tree of options in one pass
    "GPT2": ({"vocab_size": 300, "n_embd": 64, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}, True, True),
    "Bloom": ({**SMALL, "n_layer": 2, "n_head": 4}, True, False),  # distances from the mask: no tree
    "OPT": (
        {"vocab_size": 300, "hidden_size": 64, "ffn_dim": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
         "word_embed_proj_dim": 32, "init_std": 0.3},
        True,
        True,
    ),
    "GPTNeoX": ({**SMALL, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}, True, True),
    "Cohere": ({**COMMON, "bos_token_id": 1, "eos_token_id": 2}, True, True),  # logits scaled
    "Granite": ({**COMMON, "logits_scaling": 8.0, "embedding_multiplier": 2.0}, True, True),
    "Qwen3": ({**COMMON, "head_dim": 16}, True, True),
    "Qwen2Moe": ({**COMMON, **EXPERTS}, True, True),
    "FalconH1": (
        {**COMMON, "mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8},
        False,
        False,
    ),
    "Gemma3": (
        {"text_config": {**COMMON, "head_dim": 16, "sliding_window": 16}, "vision_config": VISION},
        True,
        True,
    ),
}  # fmt: skip


def build(name: str, cancelled: threading.Event) -> tuple[Any, Network]:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**MODELS[name][0])
    kind = transformers.AutoModelForImageTextToText if name == "Gemma3" else transformers.AutoModelForCausalLM
    model = kind.from_config(config, dtype=torch.float32).eval()
    return model, Network(model, name, cancelled)


@pytest.mark.parametrize("name", MODELS)
def test_many_architectures_score_as_they_do_by_themselves(name: str) -> None:
    model, network = build(name, threading.Event())
    assert (network.branching, network.tree) == MODELS[name][1:]
    scoring = Scoring(network, 256)
    prompt = [(7 * k) % 290 + 3 for k in range(40)]
    tails = [[5, 6, 7], [5, 6, 9, 11], [20], [5]]
    joined = [prompt + tail for tail in tails]
    fast, reused = score_tokens(scoring, prompt, joined, prompt[:20], "branched")
    assert reused == (20 if network.branching else 0)
    for tail, (score, tokens, _) in zip(tails, fast, strict=True):
        with torch.inference_mode():
            logprobs = model(input_ids=torch.tensor([prompt + tail]), use_cache=False).logits[0].log_softmax(-1)
        own = sum(float(logprobs[len(prompt) - 1 + place, token]) for place, token in enumerate(tail))
        assert score == pytest.approx(own, abs=1e-3)
        assert tokens == len(tail)
    assert Layers(network).usable is (name != "OPT")  # it projects after its norm, inside its decoder


def test_logits_exist_only_where_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, network = build("Qwen3", threading.Event())
    seen: list[int] = []
    model.get_output_embeddings().register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-2]))
    prompt = [(7 * k) % 290 + 3 for k in range(100)]
    score_tokens(Scoring(network, 256), prompt, [[*prompt, 5, 6, 7], [*prompt, 5, 6, 9], [*prompt, 8]], [], "branched")
    assert seen == [3]  # after the prompt, after 5 and after 6
    monkeypatch.setattr("engines.hf_network.LOGITS", 4 * 300 * 10)
    seen.clear()
    score_tokens(Scoring(network, 256), prompt[:1], [prompt], [], "branched")
    assert max(seen) == 10
    assert sum(seen) == 99


def test_a_shared_prefix_is_decoded_once_and_an_item_in_one_pass() -> None:
    model, network = build("Qwen3", threading.Event())
    widths: list[int] = []
    model.model.layers[0].register_forward_pre_hook(
        lambda _, given, named: widths.append((given[0] if given else named["hidden_states"]).shape[1]),
        with_kwargs=True,
    )
    scoring = Scoring(network, 256)
    shared = [(7 * k) % 290 + 3 for k in range(60)]
    for first in (11, 12, 13):
        prompt = [*shared, first, 14, 15]
        score_tokens(scoring, prompt, [[*prompt, 5, 6, 7], [*prompt, 5, 6, 9], [*prompt, 8]], shared, "branched")
    assert widths == [60, 5, 5, 5]  # the prefix; then each time three tokens of the prompt, 5 and 6


def test_a_cancel_is_heard_before_the_next_layer() -> None:
    cancelled = threading.Event()
    model, network = build("Qwen3", cancelled)
    model.model.layers[0].register_forward_hook(lambda *_: cancelled.set())
    ran: list[int] = []
    model.model.layers[1].register_forward_hook(lambda *_: ran.append(1))
    with pytest.raises(Cancelled):
        network.hidden([[1, 2, 3]])
    assert not ran
