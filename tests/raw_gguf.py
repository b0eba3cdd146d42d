"""GGUF files byte by byte, right or wrong in exactly one place."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

Entry = tuple[str, int, bytes]
Tensor = tuple[str, Sequence[int], int, int]


def text(value: str) -> bytes:
    """A string as GGUF writes it."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def string(key: str, value: str) -> Entry:
    """A metadata entry with a string."""
    return key, 8, text(value)


def number(key: str, value: int) -> Entry:
    """A metadata entry with an unsigned 32-bit number."""
    return key, 4, struct.pack("<I", value)


def strings(key: str, values: Sequence[str]) -> Entry:
    """A metadata entry with an array of strings."""
    return key, 9, struct.pack("<IQ", 8, len(values)) + b"".join(text(value) for value in values)


def numbers(key: str, values: Sequence[int]) -> Entry:
    """A metadata entry with an array of signed 32-bit numbers."""
    return key, 9, struct.pack(f"<IQ{len(values)}i", 5, len(values), *values)


def facts(
    name: str = "Tiny", *extra: Entry, template: bool = True, languages: Sequence[str] = ("en", "zh")
) -> list[Entry]:
    """The metadata of a small Llama: 2 layers, 4 heads of 8 numbers, 2 key/value heads, 10 tokens, context 128."""
    entries = [
        string("general.architecture", "llama"),
        string("general.name", name),
        string("general.license", "apache-2.0"),
        strings("general.languages", languages),
        number("llama.block_count", 2),
        number("llama.context_length", 128),
        number("llama.embedding_length", 32),
        number("llama.attention.head_count", 4),
        number("llama.attention.head_count_kv", 2),
        strings("tokenizer.ggml.tokens", [f"t{index}" for index in range(10)]),
    ]
    if template:
        entries.append(string("tokenizer.chat_template", "{{ messages[0].content }}"))
    return entries + list(extra)


TENSORS: tuple[Tensor, ...] = (("token_embd.weight", (32, 10), 8, 0), ("output_norm.weight", (32,), 0, 352))
"""Name, dimensions, type (8: Q8_0, 34 bytes for 32 elements; 0: F32), offset: 340 bytes, padding to 352, 128 bytes."""
DATA = 352 + 128


def build(
    entries: Sequence[Entry] | None = None,
    tensors: Sequence[Tensor] = TENSORS,
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    tensor_count: int | None = None,
    entry_count: int | None = None,
    data: int = DATA,
    alignment: int = 32,
) -> bytes:
    """The bytes of a file; counts are the true ones unless others are given, `data` bytes of weights follow."""
    entries = facts() if entries is None else entries
    out = magic + struct.pack(
        "<IQQ",
        version,
        len(tensors) if tensor_count is None else tensor_count,
        len(entries) if entry_count is None else entry_count,
    )
    for key, kind, value in entries:
        out += text(key) + struct.pack("<I", kind) + value
    for name, dimensions, kind, offset in tensors:
        out += text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset)
    out += bytes(-len(out) % alignment)
    return out + bytes(index % 251 for index in range(data))


def write(path: Path, *arguments: object, **options: object) -> Path:
    """Write the file that `build` makes, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build(*arguments, **options))  # type: ignore[arg-type]
    return path
