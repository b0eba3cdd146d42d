"""What a .safetensors file says about itself, checked in pure Python before any library sees the file.

Format: https://github.com/huggingface/safetensors#format: eight bytes little-endian (the length of the header), the
header (a JSON object: for each tensor its type, its shape and where its bytes begin and end, and `__metadata__`, texts
by name), then the bytes. Files are untrusted: the header is read only when its length is in the file and reasonable,
and every tensor must lie where the one before it ended, up to the end of the file. Nothing but `EngineError` comes out.
"""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path

import msgspec

from engines.base import EngineError
from engines.files import file_error, os_error, printable

MAX_HEADER = 32 << 20
"""Bytes. The format allows three times as much; the largest models stay far below."""
MAX_TENSORS = 200_000
MAX_DIMENSIONS = 16
INT64 = (1 << 63) - 1

# Bits of one element (the library's `Dtype`).
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_SHORT = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64", "F8_E4M3": "fp8", "F8_E5M2": "fp8"}


class SafetensorsHeader(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `elements` and `tensors` are by the type's name, `sizes` are bytes by the tensor's name."""

    path: str
    size: int
    """Bytes of the file."""
    elements: dict[str, int]
    sizes: dict[str, int]


class _Tensor(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def damaged(path: Path, what: str) -> EngineError:
    """The error for a file that contradicts itself."""
    return file_error(path, f"is damaged: {what}; download it again")


def short_type(elements: dict[str, int]) -> str:
    """The type that most elements have, as people write it: `bf16`; "" where there are none."""
    if not elements:
        return ""
    name = max(elements, key=lambda kind: elements[kind])
    return _SHORT.get(name, name.lower())


def read_safetensors(path: Path) -> SafetensorsHeader:
    """Read and check the header of `path`. Raises `EngineError` (one line: what, where, what to do)."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise file_error(path, "is not a regular file: give a .safetensors file")
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(8)
            if len(start) < 8:
                raise damaged(path, f"it has only {size:,} bytes")
            if start == b"version ":
                raise file_error(
                    path, "is no safetensors file but a Git LFS pointer: fetch the weights with `git lfs pull`"
                )
            length = int.from_bytes(start, "little")
            if not 2 <= length <= MAX_HEADER:
                raise damaged(path, f"its header would take {length:,} bytes, and at most {MAX_HEADER:,} make sense")
            if length > size - 8:
                raise file_error(
                    path, f"is cut off: its header takes {length:,} bytes, {size - 8:,} are there; download it again"
                )
            data = file.read(length)
    except (OSError, ValueError) as error:
        raise os_error(path, error) from error
    return _checked(path, size, length, data)


def _checked(path: Path, size: int, length: int, data: bytes) -> SafetensorsHeader:
    try:
        entries = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        if len(entries) > MAX_TENSORS:
            raise damaged(path, f"it claims {len(entries):,} tensors, more than the {MAX_TENSORS:,} that make sense")
        tensors = {name: msgspec.json.decode(raw, type=_Tensor) for name, raw in entries.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged(path, f"its header is not what it should be ({printable(str(error), 80)})") from error
    elements: Counter[str] = Counter()
    spans: list[tuple[int, int, str]] = []
    for name, tensor in tensors.items():
        shown = printable(name)
        count = _count(path, shown, tensor)
        begin, end = tensor.data_offsets
        bits = count * _BITS[tensor.dtype]
        if bits % 8 or not 0 <= begin <= end or end - begin != bits // 8:
            raise damaged(path, f"the tensor {shown} has {end - begin:,} bytes for {count:,} numbers ({tensor.dtype})")
        elements[tensor.dtype] += count
        spans.append((begin, end, shown))
    expected = 0
    for begin, end, shown in sorted(spans):
        if begin != expected:
            raise damaged(path, f"the tensor {shown} begins at byte {begin:,}, where {expected:,} should be")
        expected = end
    if 8 + length + expected > size:
        raise file_error(
            path, f"is cut off: its tensors end at byte {8 + length + expected:,}, the file at {size:,}; "
            "download it again",
        )  # fmt: skip
    if 8 + length + expected < size:
        raise damaged(path, f"{size - 8 - length - expected:,} bytes at its end belong to no tensor")
    sizes = {name: tensor.data_offsets[1] - tensor.data_offsets[0] for name, tensor in tensors.items()}
    return SafetensorsHeader(path=str(path), size=size, elements=dict(elements), sizes=sizes)


def _count(path: Path, shown: str, tensor: _Tensor) -> int:
    """Elements of a tensor. Raises `EngineError` for a type or shape that cannot be."""
    if tensor.dtype not in _BITS:
        raise damaged(path, f"the tensor {shown} has the unknown type {printable(tensor.dtype, 20)}")
    if len(tensor.shape) > MAX_DIMENSIONS:
        raise damaged(path, f"the tensor {shown} claims {len(tensor.shape):,} dimensions")
    count = 1
    for extent in tensor.shape:
        count *= extent
        if extent < 0 or count > INT64:
            raise damaged(path, f"the dimensions of tensor {shown} make no sense")
    return count
