"""What a GGUF file says about itself, checked in pure Python before any native code sees the file.

Nothing but `EngineError` comes out, whatever is in the file; `engines.gguf_format` has the checks.
"""

from __future__ import annotations

import re
import stat
from collections import Counter
from pathlib import Path

import msgspec

from engines.files import file_error, os_error, printable
from engines.gguf_format import (
    FILE_TYPES,
    INT32,
    MAX_KEY,
    ArrayInfo,
    Reader,
    Value,
    alignment,
    damaged,
    read_start,
    read_tensors,
    read_value,
)

__all__ = ["ArrayInfo", "GgufHeader", "MemoryFacts", "Value", "printable", "read_header", "split_part"]

MAX_LAYERS = 1024
MAX_PARTS = 999
_BLOCK = re.compile(r"blk\.(\d{1,4})\.")
_PART = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE | re.DOTALL)


class MemoryFacts(msgspec.Struct, frozen=True):
    """What an estimate of the memory in use needs, beside the size of the weights."""

    cache_per_token: int = 0
    """Bytes that one token of context takes in the key/value cache: 16 bits a number, 32 where the weights have 32."""
    vocabulary: int = 0
    embedding: int = 0
    heads: int = 0
    layers: tuple[int, ...] = ()
    """Bytes of the weights of each repeated layer, in order; () where the file does not show layers."""
    output: int = 0
    """Bytes of the output layer (final norm and projection; of the embeddings, where these serve for it too)."""


class GgufHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a GGUF file says about itself. `name` and `architecture` are safe to draw; metadata strings are raw."""

    path: str
    version: int
    tensor_count: int
    metadata: dict[str, Value]
    """Scalars, strings (clipped to 4,096 bytes, the chat template to none) and arrays as `ArrayInfo`."""
    architecture: str
    name: str
    parameters: int
    """Elements of all tensors."""
    quantisation: str
    """For instance `Q4_K_M`; from the file's own word, else the type that most elements have."""
    context_length: int
    """Tokens that the model was trained for; 0 where the file does not say."""
    vocabulary: int
    chat_template: str
    """Untrusted code; "" when there is none."""
    size: int
    """Bytes of the file, or of all parts of a split one."""
    memory: MemoryFacts
    parts: tuple[str, ...]
    """Paths of all files of the model, in order; one, but for split models."""
    sizes: dict[str, int] = {}
    """Bytes of each tensor."""

    @property
    def format(self) -> str:
        """For instance `GGUF Q4_K_M`."""
        return f"GGUF {self.quantisation}".rstrip()


def read_header(path: Path) -> GgufHeader:
    """Read and check the header of `path`; for the first part of a split model, of all its parts.

    Raises `EngineError` (one line: what, where, what to do) for a file that is missing, unreadable, not GGUF, of an
    unknown version, truncated, or whose counts, lengths, offsets or alignment cannot be true.
    """
    header = _read_file(path)
    count = _count(path, header.metadata, "split.count")
    if not header.architecture and not _count(path, header.metadata, "split.no"):
        raise damaged(path, "it does not say its architecture (general.architecture)")
    return _join_parts(path, header, count) if count > 1 else header


def split_part(path: Path) -> int:
    """Which part of a split model the file's name says it is (from 1); 0 for a whole model."""
    match = _PART.fullmatch(path.name)
    return int(match["number"]) if match else 0


def _read_file(path: Path) -> GgufHeader:
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise file_error(path, "is a folder: give a .gguf file, or find those in it with `models scan`")
        if not stat.S_ISREG(path.stat().st_mode):
            raise file_error(path, "is not a regular file: give a .gguf file")
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _parse(Reader(path, file, size))
    except (OSError, ValueError) as error:
        raise os_error(path, error) from error


def _parse(reader: Reader) -> GgufHeader:
    path = reader.path
    version, tensor_count, metadata_count = read_start(reader)
    metadata: dict[str, Value] = {}
    for index in range(metadata_count):
        key = reader.string(f"the name of metadata entry {index + 1}", limit=MAX_KEY, clip=MAX_KEY)
        if key in metadata:
            raise damaged(path, f"it has the metadata entry {printable(key)} twice")
        metadata[key] = read_value(reader, key)
    parameters, types, sizes = read_tensors(reader, tensor_count, alignment(path, metadata))
    architecture = _text(metadata, "general.architecture")

    def count(key: str) -> int:
        return _count(path, metadata, f"{architecture}.{key}")

    tokens = metadata.get("tokenizer.ggml.tokens")
    vocabulary = tokens.count if isinstance(tokens, ArrayInfo) else count("vocab_size")
    heads = max(_per_layer(path, metadata, f"{architecture}.attention.head_count", 1), default=0)
    embedding = count("embedding_length")
    quantisation = _quantisation(metadata, types)
    width = 4 if quantisation == "F32" else 2  # The engine keeps an exact cache for exact weights.
    return GgufHeader(
        path=str(path),
        version=version,
        tensor_count=tensor_count,
        metadata=metadata,
        architecture=printable(architecture, 40),
        name=printable(_text(metadata, "general.name")),
        parameters=parameters,
        quantisation=quantisation,
        context_length=count("context_length"),
        vocabulary=vocabulary,
        chat_template=_text(metadata, "tokenizer.chat_template"),
        size=reader.size,
        memory=MemoryFacts(
            _cache_per_token(path, metadata, architecture, width), vocabulary, embedding, heads, *_layers(sizes)
        ),
        parts=(str(path),),
        sizes=sizes,
    )


def _text(metadata: dict[str, Value], key: str) -> str:
    value = metadata.get(key)
    return value if isinstance(value, str) else ""


def _count(path: Path, metadata: dict[str, Value], key: str) -> int:
    """A whole number from the metadata; 0 where there is none."""
    value = metadata.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    if not 0 <= value <= INT32:
        raise damaged(path, f"{printable(key)} is {value:,}, which makes no sense")
    return value


def _per_layer(path: Path, metadata: dict[str, Value], key: str, layers: int) -> list[int]:
    """A number that may differ by layer; [] where the file does not have it."""
    value = metadata.get(key)
    if isinstance(value, ArrayInfo):
        numbers = [number for number in value.values if isinstance(number, int) and not isinstance(number, bool)]
        if any(not 0 <= number <= INT32 for number in numbers):
            raise damaged(path, f"{printable(key)} makes no sense")
        return numbers
    return [_count(path, metadata, key)] * min(layers, MAX_LAYERS) if value is not None else []


def _cache_per_token(path: Path, metadata: dict[str, Value], architecture: str, width: int) -> int:
    """Bytes of keys and values for one token, over all layers; 0 for models without attention."""
    layers = _count(path, metadata, f"{architecture}.block_count")
    if layers > MAX_LAYERS:
        raise damaged(path, f"it claims {layers:,} layers, more than the {MAX_LAYERS:,} that make sense")
    heads = _per_layer(path, metadata, f"{architecture}.attention.head_count", layers)
    kv_heads = _per_layer(path, metadata, f"{architecture}.attention.head_count_kv", layers) or heads
    embedding = _count(path, metadata, f"{architecture}.embedding_length")
    usual = embedding // max(1, max(heads, default=1))
    key = _count(path, metadata, f"{architecture}.attention.key_length") or usual
    value = _count(path, metadata, f"{architecture}.attention.value_length") or usual
    return width * sum(kv_heads[:layers]) * (key + value)


def _layers(sizes: dict[str, int]) -> tuple[tuple[int, ...], int]:
    """Bytes of each layer, and of the output layer, from the sizes of the tensors."""
    layers: Counter[int] = Counter()
    for name, size in sizes.items():
        if found := _BLOCK.match(name):
            layers[int(found[1])] += size
    output = sum(size for name, size in sizes.items() if name.startswith("output"))
    if "output.weight" not in sizes:
        output += sizes.get("token_embd.weight", 0)
    return tuple(layers[number] for number in sorted(layers)) if len(layers) <= MAX_LAYERS else (), output


def _quantisation(metadata: dict[str, Value], types: Counter[str]) -> str:
    said = metadata.get("general.file_type")
    if isinstance(said, int) and not isinstance(said, bool) and said in FILE_TYPES:
        return FILE_TYPES[said]
    return types.most_common(1)[0][0] if types else ""


def _join_parts(path: Path, first: GgufHeader, count: int) -> GgufHeader:
    """The header of a split model: its first part's, with the tensors and bytes of all parts."""
    match = _PART.fullmatch(path.name)
    number = _count(path, first.metadata, "split.no") + 1
    if count > MAX_PARTS or number > count:
        raise damaged(path, f"it claims to be part {number:,} of {count:,}")
    if match is None or int(match["number"]) != number or int(match["count"]) != count:
        raise file_error(
            path, f"is part {number} of {count} of a model: its name must end in -{number:05}-of-{count:05}.gguf"
        )
    names = [f"{match['stem']}-{part:05}-of-{count:05}{path.suffix}" for part in range(1, count + 1)]
    if number != 1:
        raise file_error(path, f"is part {number} of {count} of a model: give the first one, {printable(names[0])}")
    files = [path.with_name(name) for name in names]
    headers = [first]
    for part, file in enumerate(files[1:], 2):
        if not file.exists():
            raise file_error(path, f"needs all its {count} parts in the same folder: {printable(file.name)} is missing")
        header = _read_file(file)
        if (header.metadata.get("split.no"), header.metadata.get("split.count")) != (part - 1, count):
            raise damaged(file, f"it is not part {part} of {count}, as its name says")
        headers.append(header)
    sizes = {name: size for header in headers for name, size in header.sizes.items()}
    layers, output = _layers(sizes)
    return msgspec.structs.replace(
        first,
        memory=msgspec.structs.replace(first.memory, layers=layers, output=output),
        sizes=sizes,
        tensor_count=sum(header.tensor_count for header in headers),
        parameters=sum(header.parameters for header in headers),
        size=sum(header.size for header in headers),
        parts=tuple(str(file) for file in files),
    )
