"""Reading the files of a pack that nobody has vouched for: bounded, inside its folder, strict UTF-8, clear errors."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from suites.base import SuiteError

LINE_LIMIT = 1 << 20
FILE_LIMIT = 64 << 20
MANIFEST_LIMIT = 1 << 20
ITEM_LIMIT = 100_000
EXPANDED_LIMIT = 128 << 20
"""Bytes of all items together once further files have been filled into them."""
PACKS = Path(__file__).resolve().parent / "packs"

T = TypeVar("T")


def printable(text: str) -> str:
    """`text` on one line, with what a terminal must not see written as escapes."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


class PackError(SuiteError):
    """A fault in a pack: file, line (0 where the whole file is meant), field ("" likewise) and what is wrong."""

    def __init__(self, file: Path, line: int, field: str, message: str) -> None:
        self.file = str(file.relative_to(PACKS)) if file.is_relative_to(PACKS) else str(file)
        self.line, self.field, self.message = line, printable(field)[:200], printable(message)[:500]
        place = printable(self.file) + (f", line {line}" if line else "") + (f", field {self.field}" if field else "")
        super().__init__(f"{place}: {self.message}")


def _open(folder: Path, name: str, limit: int) -> BinaryIO:
    """A regular file of the folder, not larger than `limit`, open for reading. Raises PackError."""
    path = folder / name
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
            raise PackError(path, 0, "", "is a link that leaves the suite's folder")
        # Opened without waiting, so that a pipe under this name cannot hold the reader up.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise PackError(path, 0, "", "is missing") from None
    except (OSError, RuntimeError) as error:
        raise PackError(path, 0, "", f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise PackError(path, 0, "", "is not a regular file")
    if facts.st_size > limit:
        os.close(handle)
        raise PackError(path, 0, "", f"has {facts.st_size:,} bytes; at most {limit:,} are read")
    return os.fdopen(handle, "rb")


def lines(folder: Path, name: str) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1. Raises PackError on a file or line that is too long."""
    path = folder / name
    with _open(folder, name, FILE_LIMIT) as file:
        number = count = 0
        while line := file.readline(LINE_LIMIT + 1):
            number += 1
            if len(line) > LINE_LIMIT:
                raise PackError(path, number, "", f"is longer than {LINE_LIMIT:,} bytes")
            if stripped := line.strip():
                count += 1
                if count > ITEM_LIMIT:
                    raise PackError(path, number, "", f"holds more than {ITEM_LIMIT:,} entries")
                yield number, stripped


def table(folder: Path, name: str) -> dict[str, Any]:
    """A TOML file as plain data. Raises PackError."""
    path = folder / name
    with _open(folder, name, MANIFEST_LIMIT) as file:
        raw = file.read(MANIFEST_LIMIT + 1)
    try:
        return tomllib.loads(_text(path, 0, raw))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        raise PackError(path, int(place[1]) if place else 0, "", f"is not TOML: {error}") from None
    except RecursionError:
        raise PackError(path, 0, "", "is nested too deeply") from None


def record(path: Path, number: int, raw: bytes, kind: type[T]) -> T:
    """A JSON line as a struct of that type. Raises PackError that names the field."""
    text = _text(path, number, raw)
    try:
        value = msgspec.json.decode(text, type=kind)
        json.loads(text, object_pairs_hook=_unique)
    except (msgspec.MsgspecError, _Twice) as error:
        raise fault(path, number, error) from None
    except RecursionError:
        raise PackError(path, number, "", "is nested too deeply") from None
    return value


def fault(path: Path, number: int, error: Exception) -> PackError:
    """An error of msgspec's as a PackError, with the field where it names one."""
    message = str(error)
    place = ""
    if found := re.search(r" - at (?:`key` in )?`\$\.?(.*)`\Z", message, re.DOTALL):
        place, message = found[1], message[: found.start()]
    if found := re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", message, re.DOTALL):
        place = f"{place}.{found[2]}" if place else found[2]
        message = "is not a field of this schema" if found[1].startswith("contains") else "is missing"
    elif not isinstance(error, msgspec.ValidationError | _Twice):
        message = f"is not JSON: {message}"
    message = re.sub(r"matching regex '(.*)'\Z", _pattern, message)
    return PackError(path, number, place, message.replace("`", "").replace("Expected", "expected"))


def _pattern(found: re.Match[str]) -> str:
    return "of the form " + found[1].replace("\\\\", "\\").removeprefix("\\A").removesuffix("\\Z")


class _Twice(ValueError):
    """A key that stands twice in one object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values for one key a reader sees the first and a program takes the last: refuse both."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(f"the field {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


def _text(path: Path, number: int, raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise PackError(path, number, "", "begins with a byte order mark; save it as plain UTF-8")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if number == 0:
            number = raw.count(b"\n", 0, error.start) + 1
        raise PackError(path, number, "", f"is not UTF-8 (byte {error.start:,}: {error.reason})") from None
