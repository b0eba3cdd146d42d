"""Files as the engines use them: one-line errors, whole writes, hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from engines.base import EngineError

_CHUNK = 1 << 20
_MAX_DEPTH = 32


def printable(text: str, limit: int = 120) -> str:
    """`text` in one line without control, format and surrogate characters, at most `limit` characters long."""
    kept = "".join(
        " " if character.isspace() else character
        for character in text[: 4 * limit]
        if character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    kept = " ".join(kept.split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def file_error(path: Path, message: str) -> EngineError:
    """The error for the file or folder at `path`; `message` goes on from its name."""
    return EngineError(f"{printable(str(path), 300)} {message}")


def os_error(path: Path, error: OSError | ValueError) -> EngineError:
    """The one-line error for a file or folder that the system would not give."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return file_error(path, "does not exist: check the path, or see `culture-workbench models list`")
    if isinstance(error, PermissionError):
        return file_error(path, "cannot be read: no permission; change the permissions of the file or its folder")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return file_error(path, f"cannot be read: {printable(reason)}")


def write_error(path: Path, error: OSError) -> EngineError:
    """The one-line error for a file or folder that could not be written."""
    shown = printable(str(path), 300)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EngineError(f"the disk with {shown} is full: free some space and try again (nothing was lost)")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return EngineError(
            f"{shown} cannot be written: change its permissions, or set CULTURE_WORKBENCH_HOME elsewhere"
        )
    return os_error(path, error)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a small file for its owner only, whole or not at all. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            sync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def hash_files(paths: Sequence[Path], progress: Callable[[int, int], None] | None = None) -> str:
    """SHA-256 over the bytes of the files, one after the other. Raises `OSError`."""
    digest, done = hashlib.sha256(), 0
    total = sum(path.stat().st_size for path in paths)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    return digest.hexdigest()


def sync(descriptor: int) -> None:
    """Have a file on the disk. Raises `OSError`."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # Some file systems cannot.
            raise


def sync_folder(folder: Path) -> None:
    """Have a folder's new names on the disk. Raises `OSError`."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def walk(
    roots: Iterable[Path], unread: list[str], stops: Callable[[set[str]], bool] = lambda names: False
) -> Iterator[tuple[Path, list[str]]]:
    """The folders below the roots and in them, each with the sorted names of its files; each is entered once.

    Links are followed. `stops` says by a folder's files that nothing below it is looked at. What cannot be read is
    added to `unread`.
    """
    entered: set[tuple[int, int]] = set()
    waiting = [(root, 0) for root in reversed(list(roots))]
    while waiting:
        folder, depth = waiting.pop()
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in entered:
                continue
            entered.add((facts.st_dev, facts.st_ino))
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            unread.append(str(folder))
            continue
        inner, names = [], []
        for entry in found:
            try:
                if entry.is_dir():
                    inner.append((Path(entry.path), depth + 1))
                elif entry.is_file():
                    names.append(entry.name)
            except OSError:
                unread.append(entry.path)
        yield folder, names
        if depth < _MAX_DEPTH and not stops(set(names)):
            waiting.extend(reversed(inner))


def gguf_files(roots: Iterable[Path], unread: list[str]) -> Iterator[Path]:
    """The .gguf files below the roots, sorted within each folder; every folder is entered once.

    What cannot be read is added to `unread`.
    """
    for folder, names in walk(roots, unread):
        yield from (folder / name for name in names if name.lower().endswith(".gguf"))


def identity_of(path: Path) -> tuple[int, int] | str | None:
    """What makes two paths the same file (links included); None for a file that is not there."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return (facts.st_dev, facts.st_ino) if facts.st_ino else os.path.realpath(path)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def stamp_of(files: Sequence[Path]) -> str:
    """Sizes and modification times of the files; "" when one of them is not there."""
    try:
        facts = [file.stat() for file in files]
    except OSError:
        return ""
    return " ".join(f"{fact.st_size}:{fact.st_mtime_ns}" for fact in facts)
