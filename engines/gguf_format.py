"""The bytes of a GGUF file: its tables of types, a reader that believes no count, and the checks of each section.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Files are untrusted:
every count, length and offset is checked against the bytes that are there before it is used, memory and time stay
bounded whatever the file says. The file is read through a small window and never mapped: a mapped file that shrinks
while it is read would end the process.
"""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import msgspec

from engines.base import EngineError
from engines.files import file_error, printable

MAX_METADATA = 4096
MAX_TENSORS = 65_536
MAX_KEY = 1024
MAX_TEMPLATE = 1 << 20
MAX_STRINGS = 8 << 20
"""Strings in all arrays of a file together (the largest vocabularies have 262,144 tokens)."""
MAX_DEPTH = 3
MAX_ALIGNMENT = 65_536
_CLIP = 4096
_KEPT_BYTES = 4 << 20
_WINDOW = 1 << 18
INT64 = (1 << 63) - 1
INT32 = (1 << 31) - 1

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_NAMES = {
    0: "uint8", 1: "int8", 2: "uint16", 3: "int16", 4: "uint32", 5: "int32", 6: "float32", 7: "bool", 10: "uint64",
    11: "int64", 12: "float64",
}  # fmt: skip
_UNPACK = {kind: struct.Struct("<" + code) for kind, code in _SCALARS.items()}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

# Type number: name, elements in a block, bytes of a block (ggml.c, `type_traits`).
_TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
_REMOVED_TYPES = frozenset({4, 5, 31, 32, 33, 36, 37, 38})

# `general.file_type` (llama.h, `llama_ftype`).
FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4",
    40: "Q1_0",
}  # fmt: skip


class ArrayInfo(msgspec.Struct, frozen=True):
    """An array of the metadata: the type of its elements and how many; `values` only where it is short, else ()."""

    type: str
    count: int
    values: tuple[bool | int | float | str, ...] = ()


Value = bool | int | float | str | ArrayInfo


def damaged(path: Path, what: str) -> EngineError:
    """The error for a file that contradicts itself."""
    return file_error(path, f"is damaged: {what}; download it again")


class Reader:
    """Little-endian values from a file, through a window; positions are checked against the file's size."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.size, self.position = path, size, 0
        self.strings = 0
        self.kept = 0
        self._file = file
        self._window, self._start = b"", 0

    @property
    def remaining(self) -> int:
        """Bytes from the position to the end of the file; negative beyond it."""
        return self.size - self.position

    def need(self, count: int, what: str) -> None:
        """Raise unless `count` more bytes are in the file."""
        if count > self.remaining:
            raise damaged(
                self.path,
                f"{what} would take {count:,} bytes, but only {max(self.remaining, 0):,} are left in the file",
            )

    def _ensure(self, count: int, what: str) -> int:
        """Have `count` bytes (at most a window) at the position; returns where they begin in the window."""
        self.need(count, what)
        at = self.position - self._start
        if at < 0 or at + count > len(self._window):
            self._file.seek(self.position)
            wanted = min(max(_WINDOW, count), self.remaining)
            self._window, self._start, at = self._file.read(wanted) or b"", self.position, 0
            if len(self._window) < count:
                raise file_error(self.path, "became shorter while it was read: try again when its download has ended")
        return at

    def scalar(self, form: struct.Struct, what: str) -> int | float | bool:
        """The number that comes next; `what` names it in an error."""
        at = self._ensure(form.size, what)
        self.position += form.size
        value: int | float | bool = form.unpack_from(self._window, at)[0]
        return value

    def take(self, count: int) -> bytes:
        """The next `count` bytes of the beginning."""
        at = self._ensure(count, "its beginning")
        self.position += count
        return self._window[at : at + count]

    def integer(self, form: struct.Struct, what: str) -> int:
        """The whole number that comes next."""
        return int(self.scalar(form, what))

    def string(self, what: str, *, limit: int = 0, clip: int = _CLIP) -> str:
        """A string; longer than `limit` bytes is an error (0: no limit), what is beyond `clip` bytes is left out."""
        length = self.integer(_U64, what)
        self.need(length, what)
        if limit and length > limit:
            raise damaged(self.path, f"{what} has {length:,} bytes, more than the {limit:,} that make sense")
        taken = min(length, clip)
        at = self._ensure(taken, what)
        raw = self._window[at : at + taken]
        self.position += length
        return raw.decode("utf-8", "replace")

    def skip_strings(self, count: int, what: str) -> None:
        """Skip strings without looking at them: a tight loop, because vocabularies are long."""
        unpack = _U64.unpack_from
        while count:
            at = self._ensure(8, what)
            window, end = self._window, len(self._window) - 8
            begin = at
            while count and at <= end:
                at += 8 + unpack(window, at)[0]
                count -= 1
            self.position += at - begin
            if self.position > self.size:
                raise damaged(self.path, f"a string of {what} ends beyond the end of the file")


def read_start(reader: Reader) -> tuple[int, int, int]:
    """Version, number of tensors, number of metadata entries."""
    path = reader.path
    if reader.size == 0:
        raise file_error(path, "is empty: download it again")
    magic = reader.take(4) if reader.size >= 4 else b""
    if magic != b"GGUF":
        if magic == b"vers":
            raise file_error(
                path, "is not a GGUF file; it looks like a Git LFS pointer: fetch the weights with `git lfs pull`"
            )
        raise file_error(path, "is not a GGUF file (it does not begin with GGUF): give a model in GGUF format")
    version = reader.integer(_U32, "the version")
    if version in (0x02000000, 0x03000000):
        raise file_error(path, "is a big-endian GGUF file, which cannot be read here: get the little-endian one")
    if version == 1:
        raise file_error(path, "is a GGUF file of version 1, which is no longer read: convert the model again")
    if version not in (2, 3):
        raise file_error(
            path, f"is a GGUF file of version {version}, but only 2 and 3 are known: update, or get another file"
        )
    tensors, entries = reader.integer(_U64, "the tensor count"), reader.integer(_U64, "the metadata count")
    for count, most, least, what in (
        (entries, MAX_METADATA, 13, "metadata entries"),
        (tensors, MAX_TENSORS, 32, "tensors"),
    ):
        if count > most:
            raise damaged(path, f"it claims {count:,} {what}, more than the {most:,} that make sense")
        reader.need(count * least, f"its {count:,} {what}")
    return version, tensors, entries


def read_value(reader: Reader, key: str) -> Value:
    """The value of the metadata entry `key`, whose type comes next."""
    shown = printable(key)
    kind = reader.integer(_U32, f"the type of {shown}")
    if kind in _UNPACK:
        return reader.scalar(_UNPACK[kind], shown)
    if kind == _STRING:
        if key == "tokenizer.chat_template":
            return reader.string(shown, limit=MAX_TEMPLATE, clip=MAX_TEMPLATE)
        return reader.string(shown)
    if kind == _ARRAY:
        return _array(reader, shown, 1)
    raise damaged(reader.path, f"the metadata entry {shown} has the unknown type {kind}")


def _array(reader: Reader, key: str, depth: int) -> ArrayInfo:
    """An array; the values of short ones are kept, those of long ones skipped."""
    kind, count = reader.integer(_U32, f"the type of {key}"), reader.integer(_U64, f"the length of {key}")
    what = f"{count:,} elements of {key}"
    if kind in _UNPACK:
        form = _UNPACK[kind]
        reader.need(count * form.size, what)
        values: tuple[bool | int | float | str, ...] = ()
        if count <= 4096 and reader.kept + count * 8 <= _KEPT_BYTES:
            reader.kept += count * 8
            values = tuple(reader.scalar(form, what) for _ in range(count))
        else:
            reader.position += count * form.size
        return ArrayInfo(_NAMES[kind], count, values)
    if kind not in (_STRING, _ARRAY):
        raise damaged(reader.path, f"the elements of {key} have the unknown type {kind}")
    reader.need(count * (8 if kind == _STRING else 12), what)
    reader.strings += count if kind == _STRING else 64 * count  # Reading a nested array takes far longer.
    if reader.strings > MAX_STRINGS:
        raise damaged(reader.path, f"its arrays hold more than {MAX_STRINGS:,} texts, which makes no sense ({key})")
    if kind == _STRING:
        if count <= 256 and reader.kept + count * 256 <= _KEPT_BYTES:
            reader.kept += count * 256
            return ArrayInfo("string", count, tuple(reader.string(what, clip=256) for _ in range(count)))
        reader.skip_strings(count, key)
        return ArrayInfo("string", count)
    if depth >= MAX_DEPTH:
        raise damaged(reader.path, f"the arrays of {key} are nested too deep")
    for _ in range(count):
        _array(reader, key, depth + 1)
    return ArrayInfo("array", count)


def alignment(path: Path, metadata: dict[str, Value]) -> int:
    """The multiple of bytes at which tensors begin."""
    value = metadata.get("general.alignment", 32)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
        raise damaged(path, "its alignment (general.alignment) is not a power of two up to 65,536")
    return value


def read_tensors(reader: Reader, count: int, alignment: int) -> tuple[int, Counter[str], dict[str, int]]:
    """Check all tensors against the file; returns elements in all, elements per type, and bytes per tensor."""
    path = reader.path
    sizes: dict[str, int] = {}
    types: Counter[str] = Counter()
    spans: list[tuple[int, int, str]] = []
    for index in range(count):
        name = reader.string(f"the name of tensor {index + 1}", limit=63)
        shown = printable(name)
        if name in sizes:
            raise damaged(path, f"it has the tensor {shown} twice")
        kind, elements, size = _tensor_size(reader, shown)
        sizes[name] = size
        offset = reader.integer(_U64, f"the offset of tensor {shown}")
        if offset % alignment:
            raise damaged(path, f"the tensor {shown} does not begin at a multiple of {alignment} bytes")
        types[kind] += elements
        spans.append((offset, size, shown))
    start = -(-reader.position // alignment) * alignment
    end = 0
    for offset, size, shown in sorted(spans):
        if offset < end:
            raise damaged(path, f"the tensor {shown} lies inside another one")
        end = offset + size
        if start + end > reader.size:
            raise file_error(
                path,
                f"is cut off: the tensor {shown} ends at byte {start + end:,}, the file at {reader.size:,}; "
                "download it again",
            )
    return sum(types.values()), types, sizes


def _tensor_size(reader: Reader, shown: str) -> tuple[str, int, int]:
    """The type's name, elements and bytes of the tensor whose dimensions come next."""
    path = reader.path
    dimensions = reader.integer(_U32, f"the dimensions of tensor {shown}")
    if dimensions > 4:
        raise damaged(path, f"the tensor {shown} claims {dimensions:,} dimensions, more than 4")
    extents = [reader.integer(_U64, f"the dimensions of tensor {shown}") for _ in range(dimensions)]
    elements = 1
    for extent in extents:
        elements *= extent
        if not 0 < elements <= INT64:
            raise damaged(path, f"the dimensions of tensor {shown} make no sense")
    number = reader.integer(_U32, f"the type of tensor {shown}")
    if number in _REMOVED_TYPES:
        raise file_error(
            path, f"has a tensor ({shown}) of type {number}, which llama.cpp no longer reads: get a newer file"
        )
    if number not in _TENSOR_TYPES:
        raise file_error(
            path, f"has a tensor ({shown}) of the unknown type {number}: it is damaged, or newer than this version"
        )
    kind, block, size = _TENSOR_TYPES[number]
    if (extents[0] if extents else 1) % block:
        raise damaged(path, f"the rows of tensor {shown} are no multiple of the {block} elements of a {kind} block")
    return kind, elements, elements // block * size
