"""What this application downloaded itself: the record that alone decides whether a file may be deleted.

`fetched.json` in the models folder says for every fetch which files came, with size, modification time and SHA-256.
Nothing is concluded from where a file lies: what is not in the record, or is no longer as it was recorded, stays.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engines.base import EngineError
from engines.files import os_error, printable, write_atomic, write_error

_RECORD = "fetched.json"
_LOCK = threading.Lock()


class FetchedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it was when it had been checked; `name` is relative to the fetch's folder, with `/`."""

    name: str
    size: int
    modified: int
    """Nanoseconds, as the file system says."""
    sha256: str


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """One fetch. `folder` is relative to the models folder."""

    folder: str
    name: str
    """What the model is called in the catalogue."""
    repository: str
    revision: str
    """The commit."""
    endpoint: str
    licence: str
    languages: tuple[str, ...] = ()
    agreed: str = ""
    """When the user agreed to the licence (UTC, ISO 8601)."""
    files: tuple[FetchedFile, ...] = ()
    model: str = ""
    """The .gguf file to load, relative to the folder; "" where the folder itself is the model."""

    def path(self, models_folder: Path) -> Path:
        """What the catalogue lists."""
        folder = models_folder / self.folder
        return folder / self.model if self.model else folder


class _Record(msgspec.Struct):
    version: int = 1
    models: list[Fetched] = []


def read_record(models_folder: Path) -> list[Fetched]:
    """All fetches; [] where there were none. Raises `EngineError` for a record that cannot be read."""
    path = models_folder / _RECORD
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Record).models
    except FileNotFoundError:
        return []
    except OSError as error:
        raise os_error(path, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EngineError(
            f"{printable(str(path), 300)} is damaged ({printable(str(error), 60)}): move it away, then scan the models "
            "folder anew; no model file is lost, but none is deleted by `models remove` either"
        ) from error


def record_of(models_folder: Path, path: Path) -> Fetched | None:
    """The fetch that brought the model at `path`."""
    return next((one for one in read_record(models_folder) if one.path(models_folder) == path), None)


def add_record(models_folder: Path, fetched: Fetched) -> None:
    """Remember a fetch, in place of an older one into the same folder. Raises `EngineError`."""
    with _LOCK:
        others = [one for one in read_record(models_folder) if one.folder != fetched.folder]
        _write(models_folder, [*others, fetched])


def state_of(folder: Path, name: str, sha256: str) -> FetchedFile:
    """A checked file as it is recorded. Raises `OSError`."""
    facts = (folder / name).stat()
    return FetchedFile(name=name, size=facts.st_size, modified=facts.st_mtime_ns, sha256=sha256)


def checked_digest(models_folder: Path, fetched: Fetched, parts: Sequence[str]) -> str:
    """The SHA-256 that was checked when the one file with the model's weights came; "" where there are several, or it
    has changed since."""
    folder = models_folder / fetched.folder
    weights = [file for file in fetched.files if str(folder / file.name) in parts]
    if len(weights) != 1 or len(parts) != 1:
        return ""
    try:
        same = state_of(folder, weights[0].name, weights[0].sha256) == weights[0]
    except OSError:
        return ""
    return weights[0].sha256 if same else ""


def delete(models_folder: Path, fetched: Fetched) -> list[str]:
    """Delete the files of a fetch that are still as they came, and forget it; returns the paths of those that are not.

    Raises `EngineError` when the system refuses.
    """
    folder = models_folder / fetched.folder
    left = []
    try:
        for file in fetched.files:
            path = folder / file.name
            try:
                facts = path.lstat()
            except FileNotFoundError:
                continue
            inside = path.parent.resolve().is_relative_to(models_folder.resolve())
            same = stat.S_ISREG(facts.st_mode) and (facts.st_size, facts.st_mtime_ns) == (file.size, file.modified)
            if inside and same:
                path.unlink()
            else:
                left.append(str(path))
        _prune(models_folder, folder)
        with _LOCK:
            _write(models_folder, [one for one in read_record(models_folder) if one.folder != fetched.folder])
    except OSError as error:
        raise write_error(folder, error) from error
    return left


def _prune(models_folder: Path, folder: Path) -> None:
    """Remove the folders that a fetch left empty, never the models folder itself."""
    while folder != models_folder and folder.is_relative_to(models_folder) and folder.is_dir():
        for inner in sorted(
            (path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()), reverse=True
        ):
            if not any(inner.iterdir()):
                inner.rmdir()
        if any(folder.iterdir()):
            return
        os.rmdir(folder)
        folder = folder.parent


def _write(models_folder: Path, models: Sequence[Fetched]) -> None:
    try:
        models_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = msgspec.to_builtins(_Record(models=list(models)))
        write_atomic(models_folder / _RECORD, json.dumps(data, indent=1).encode())
    except OSError as error:
        raise write_error(models_folder / _RECORD, error) from error
