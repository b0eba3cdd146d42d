"""Tiny random-weight models in the Hugging Face layout, with a small real tokenizer: exact, and loaded in no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTROL = ["<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "h"), ("Ġh", "e")]
SHAPE: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.3,
}  # fmt: skip
KINDS = ("llama", "llama-tied", "gemma2", "gemma3", "mistral-sliding")


def write_tokenizer(folder: Path, *, template: str = TEMPLATE, add_bos: bool = True) -> int:
    """Write a byte-level tokenizer with a few merges; returns the number of its tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    for left, right in MERGES:
        vocabulary[left + right] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in CONTROL])
    if add_bos:
        start = tokenizer.token_to_id("<s>")
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    if template:
        fast.chat_template = template
    fast.save_pretrained(folder)
    return len(fast)


def write_tiny_hf(
    folder: Path, kind: str = "llama", *, seed: int = 1, template: str = TEMPLATE, add_bos: bool = True
) -> Path:
    """Write a model of one of `KINDS` (or `mamba`) and return its folder."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    size = write_tokenizer(folder, template=template, add_bos=add_bos)
    common = {**SHAPE, "vocab_size": size, "bos_token_id": size - 6, "eos_token_id": size - 5, "pad_token_id": None}
    if kind == "llama":
        config: Any = transformers.LlamaConfig(**common, tie_word_embeddings=False)
    elif kind == "llama-tied":
        config = transformers.LlamaConfig(**common, tie_word_embeddings=True)
    elif kind == "gemma2":
        config = transformers.Gemma2Config(
            **common, head_dim=16, sliding_window=16, attn_logit_softcapping=5.0, final_logit_softcapping=3.0,
            query_pre_attn_scalar=16,
        )  # fmt: skip
    elif kind == "gemma3":
        config = transformers.Gemma3TextConfig(**common, head_dim=16, sliding_window=16, query_pre_attn_scalar=16)
    elif kind == "mistral-sliding":
        config = transformers.MistralConfig(**common, head_dim=16, sliding_window=16)
    elif kind == "mamba":
        config = transformers.MambaConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=2, state_size=8, eos_token_id=size - 5,
            initializer_range=0.3,
        )  # fmt: skip
    else:
        raise ValueError(kind)
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 and "norm" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    return folder


def change_json(path: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def dequantise(gguf: Path, folder: Path) -> Path:
    """Write the weights of a GGUF file as a float32 safetensors folder, tokenizer and template with them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
    weights = read.state_dict()
    if hasattr(read.config, "quantization_config"):
        del read.config.quantization_config
    # A model of its own: what was read still counts as quantised, and is not saved.
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    model.load_state_dict(weights)
    model.generation_config = read.generation_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(folder)
    return folder
