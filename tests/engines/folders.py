"""Folders with models as other programs keep them: safetensors byte by byte, Hugging Face's, LM Studio's, Ollama's."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import raw_gguf

CARD = "---\nlicense: apache-2.0\nlanguage:\n- zh\n- en\nmodel-index:\n- name: x\n---\n# A model\n"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def config(**changes: Any) -> dict[str, Any]:
    """The config of a small Llama: 2 layers, 4 heads of 8 numbers, 2 key/value heads, 10 tokens, context 128."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 10,
        "max_position_embeddings": 128,
    } | changes


def tensors(dtype: str = "BF16", width: int = 2, layers: int = 2) -> dict[str, Any]:
    """Entries of a header, one after the other: embeddings of 10 × 32 and a matrix of 32 × 32 a layer."""
    shapes = {"model.embed_tokens.weight": [10, 32]}
    shapes |= {f"model.layers.{layer}.mlp.up_proj.weight": [32, 32] for layer in range(layers)}
    at, entries = 0, {}
    for name, (rows, columns) in shapes.items():
        size = rows * columns * width
        entries[name] = {"dtype": dtype, "shape": [rows, columns], "data_offsets": [at, at + size]}
        at += size
    return entries


def safetensors(path: Path, header: object = None, *, data: int | None = None, length: int | None = None) -> Path:
    """Write a file; `header` may be bytes, `data` and `length` are the true ones unless others are given."""
    entries = tensors() if header is None else header
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    if data is None:
        ends = [one["data_offsets"][1] for one in entries.values() if "data_offsets" in one]  # type: ignore[union-attr]
        data = max(ends, default=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + bytes(data))
    return path


def folder(path: Path, *, weights: bool = True, card: str = CARD, template: bool = True, **changes: Any) -> Path:
    """Write the folder of a small model."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config(**changes)))
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ x }}"} if template else {}))
    if card:
        (path / "README.md").write_text(card)
    if weights:
        safetensors(path / "model.safetensors", {"__metadata__": {"format": "pt"}} | tensors())
    return path


def sharded(path: Path) -> Path:
    """Write the folder of a model in two files."""
    folder(path, weights=False)
    one, two = (f"model-{part:05}-of-00002.safetensors" for part in (1, 2))
    entries = tensors()
    first, *rest = entries
    begin = entries[first]["data_offsets"][1]
    second = {}
    for name in rest:
        offsets = [offset - begin for offset in entries[name]["data_offsets"]]
        second[name] = entries[name] | {"data_offsets": offsets}
    safetensors(path / one, {first: entries[first]})
    safetensors(path / two, second)
    table = {first: one} | dict.fromkeys(rest, two)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return path


def hub_cache(root: Path, repository: str, commit: str = COMMIT, refs: tuple[str, ...] = ("main",)) -> Path:
    """Write a snapshot into a Hugging Face cache, its files linked to blobs; returns the snapshot."""
    home = root / f"models--{repository.replace('/', '--')}"
    made = folder(home / "made")
    snapshot = home / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir(exist_ok=True)
    for file in sorted(made.iterdir()):
        blob = home / "blobs" / hashlib.sha256(file.read_bytes() + commit.encode()).hexdigest()
        file.rename(blob)
        (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
    made.rmdir()
    for ref in refs:
        path = home / "refs" / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commit)
    return snapshot


def ollama(root: Path, name: str = "library/tiny/1b", extra: dict[str, bytes] | None = None) -> Path:
    """Write a model into an Ollama store; returns the blob with the weights. `extra`: other layers by kind."""
    layers = {"model": raw_gguf.build(raw_gguf.facts("Tiny")), **(extra or {})}
    listed = []
    blobs = root / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    for kind, data in layers.items():
        digest = hashlib.sha256(data).hexdigest()
        (blobs / f"sha256-{digest}").write_bytes(data)
        listed.append({"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}"})
    manifest = root / "manifests" / "registry.ollama.ai" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": listed}))
    return blobs / f"sha256-{hashlib.sha256(layers['model']).hexdigest()}"
