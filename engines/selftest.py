"""Two tiny models with random weights, written without any library: what `doctor` loads to see that an engine works.

Both are Llamas of two layers over a byte vocabulary; they say nothing, but load, score and write in no time.
"""

from __future__ import annotations

import array
import json
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT = 64, 2, 4, 128, 512
_SPECIAL = ("<s>", "</s>")


def tokens() -> list[str]:
    """A token for each byte, as GPT-2 writes them, and two control tokens."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in shown}
    hidden = [byte for byte in range(256) if byte not in letters]
    letters |= {byte: chr(256 + place) for place, byte in enumerate(hidden)}
    return [letters[byte] for byte in range(256)] + list(_SPECIAL)


def write_gguf(path: Path) -> Path:
    """Write the model as a GGUF file. Raises `OSError`."""
    names = tokens()
    entries = [
        _text("general.architecture", "llama"),
        _text("general.name", "Self-test"),
        _number("llama.context_length", CONTEXT),
        _number("llama.embedding_length", WIDTH),
        _number("llama.block_count", LAYERS),
        _number("llama.feed_forward_length", HIDDEN),
        _number("llama.attention.head_count", HEADS),
        _number("llama.attention.head_count_kv", HEADS),
        _key("llama.attention.layer_norm_rms_epsilon", 6) + struct.pack("<f", 1e-5),
        _number("llama.rope.dimension_count", WIDTH // HEADS),
        _number("general.file_type", 0),
        _text("tokenizer.ggml.model", "gpt2"),
        _text("tokenizer.ggml.pre", "gpt-2"),
        _key("tokenizer.ggml.tokens", 9) + struct.pack("<IQ", 8, len(names)) + b"".join(map(_string, names)),
        _key("tokenizer.ggml.token_type", 9)
        + struct.pack(f"<IQ{len(names)}i", 5, len(names), *([1] * 256 + [3] * len(_SPECIAL))),
        # An array of merges must be there, and may not be empty: these two never join bytes that are asked about.
        _key("tokenizer.ggml.merges", 9) + struct.pack("<IQ", 8, 1) + _string("\u0100 \u0101"),
        _number("tokenizer.ggml.bos_token_id", 256),
        _number("tokenizer.ggml.eos_token_id", 257),
    ]
    wanted = {
        "token_embd.weight": (len(names), WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (len(names), WIDTH),
    }
    for layer in range(LAYERS):
        wanted |= {f"blk.{layer}.{part}_norm.weight": (WIDTH,) for part in ("attn", "ffn")}
        wanted |= {f"blk.{layer}.attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        wanted |= {f"blk.{layer}.ffn_{part}.weight": (HIDDEN, WIDTH) for part in ("gate", "up")}
        wanted[f"blk.{layer}.ffn_down.weight"] = (WIDTH, HIDDEN)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(wanted), len(entries)) + b"".join(entries)
    at, weights = 0, []
    for (name, shape), data in zip(wanted.items(), _weights(wanted), strict=True):
        # GGUF counts dimensions from the innermost one.
        header += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), 0, at)
        weights.append(data + bytes(-len(data) % 32))
        at += len(weights[-1])
    path.write_bytes(header + bytes(-len(header) % 32) + b"".join(weights))
    return path


def write_folder(folder: Path) -> Path:
    """Write the model as a folder of safetensors. Raises `OSError`."""
    names = tokens()
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH,
        "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "vocab_size": len(names), "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "tie_word_embeddings": False, "bos_token_id": 256,
        "eos_token_id": 257, "hidden_act": "silu", "torch_dtype": "float32",
    }  # fmt: skip
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer: dict[str, object] = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": level,
        "pre_tokenizer": level, "decoder": level,
        "added_tokens": [
            {"id": 256 + place, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for place, name in enumerate(_SPECIAL)
        ],
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {name: place for place, name in enumerate(names)}, "merges": [],
        },
    }  # fmt: skip
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    for file, value in (("config.json", config), ("tokenizer.json", tokenizer), ("tokenizer_config.json", about)):
        (folder / file).write_text(json.dumps(value), encoding="utf-8")
    wanted = {
        "model.embed_tokens.weight": (len(names), WIDTH),
        "model.norm.weight": (WIDTH,),
        "lm_head.weight": (len(names), WIDTH),
    }
    for layer in range(LAYERS):
        start = f"model.layers.{layer}"
        wanted |= {f"{start}.{part}_layernorm.weight": (WIDTH,) for part in ("input", "post_attention")}
        wanted |= {f"{start}.self_attn.{part}_proj.weight": (WIDTH, WIDTH) for part in "qkvo"}
        wanted |= {f"{start}.mlp.{part}_proj.weight": (HIDDEN, WIDTH) for part in ("gate", "up")}
        wanted[f"{start}.mlp.down_proj.weight"] = (WIDTH, HIDDEN)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at, weights = 0, []
    for (name, shape), data in zip(wanted.items(), _weights(wanted), strict=True):
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + len(data)]}
        weights.append(data)
        at += len(data)
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + b"".join(weights))
    return folder


def _weights(wanted: dict[str, tuple[int, ...]]) -> Iterator[bytes]:
    """The numbers of each tensor, float32 and little-endian: ones for norms, else drawn, the same every time."""
    source = random.Random(1)
    for name, shape in wanted.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        spread = 1.0 if "embd" in name or "embed" in name else 0.3
        values = array.array("f", [1.0] * count if "norm" in name else [source.gauss(0, spread) for _ in range(count)])
        if sys.byteorder == "big":
            values.byteswap()
        yield values.tobytes()


def _string(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _key(name: str, kind: int) -> bytes:
    return _string(name) + struct.pack("<I", kind)


def _text(name: str, value: str) -> bytes:
    return _key(name, 8) + _string(value)


def _number(name: str, value: int) -> bytes:
    return _key(name, 4) + struct.pack("<I", value)
