"""The models that the user has: found, named, described, fingerprinted. Kept in `catalog.json` in the data folder."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engines.base import EngineError
from engines.describe import CatalogModel, Origin, described, file_name, unique_name, unknown_model
from engines.fetched import Fetched, checked_digest, delete, record_of
from engines.files import (
    file_error,
    hash_files,
    identity_of,
    os_error,
    printable,
    size_of,
    stamp_of,
    write_atomic,
    write_error,
)
from engines.folder import describe_folder, folder_error
from engines.header import read_header, split_part
from engines.places import Found, Place, cached, found_at, look, models_below, places
from engines.starter import remove_starter, verified

_VERSION = 1
_STATE = "catalog.json"

__all__ = ["Catalog", "CatalogModel", "Origin"]

_LOCK = threading.RLock()
"""Held while the state is read, changed and written: screens ask from several threads."""

Models = list[CatalogModel]
"""(`Catalog.list` hides the type's own name inside the class.)"""


class _Entry(msgspec.Struct, kw_only=True):
    """A model as the state file keeps it, with what shows that its files are still the same."""

    model: CatalogModel
    stamp: str = ""
    verdict: str = ""
    """A problem that a store knew of, whatever the file itself says."""


class _State(msgspec.Struct, kw_only=True):
    version: int = _VERSION
    models: list[_Entry] = []


class Catalog:
    """The catalogue in a data folder. Every call reads the state anew, so that several may be open.

    `notices` collects lines that the user should see (a catalogue that had to be set aside); `unread` names what the
    last scan could not look into, `left` the files that the last removal did not delete.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models_folder = folder / "models"
        self.notices: list[str] = []
        self.unread: tuple[str, ...] = ()
        self.left: tuple[str, ...] = ()

    def list(self) -> Models:
        """All known models, starter models first, then by name; what changed on disk is described anew."""
        with _LOCK:
            state = self._load()
            changed = self._add_starters(state)
            for index, entry in enumerate(state.models):
                fresh = self._refreshed(entry)
                changed = changed or fresh is not entry
                state.models[index] = fresh
            if changed:
                self._save(state)
        return sorted(
            (entry.model for entry in state.models),
            key=lambda model: (model.origin != "starter", model.name.casefold()),
        )

    def scan(self, folders: Iterable[Path] = (), stores: Iterable[Place] = ()) -> Models:
        """Look for models in the folders (and in the application's own), and in other programs' stores where these
        exist; returns those that were not known.

        Files that cannot be used are listed with their `problem`. Links to folders are followed, but none twice.
        Raises `EngineError` for a given folder that does not exist or cannot be read; folders inside it that cannot be
        read are named in `unread`.
        """
        roots = [_absolute(folder) for folder in folders]
        for root in roots:
            _check_folder(root)
        if self.models_folder.is_dir():
            roots.append(self.models_folder)
        known = {identity_of(Path(model.path)) for model in self.list()} - {None}
        unread: list[str] = []
        found = []
        # What a store says of a model is more than its file does, so that stores come first.
        seen = [one for store in stores if store.exists for one in look(store, unread)]
        seen += [found_at(path) for path in models_below(roots, unread) if ".fetching" not in path.parts]
        for one in seen:
            identity = identity_of(one.path)
            if identity is None or identity in known or split_part(one.path) > 1:
                continue
            known.add(identity)
            found.append((one, self._describe(one.path)))
        self.unread = tuple(unread)
        return self._add(found, "found")

    def adopt(self, fetched: Fetched) -> CatalogModel:
        """The model of a fetch, which becomes known by it."""
        path = fetched.path(self.models_folder)
        for model in self.list():
            if model.path == str(path):
                return model
        return self._add([(Found(path=path, name=fetched.name), self._describe(path))], "fetched")[0]

    def find(self, name_or_path: str) -> CatalogModel:
        """The model of that name, at that path, or of that repository in the Hugging Face cache; the latter two become
        known by it (origin `added`).

        Raises `EngineError` for an unknown name (with the nearest ones), or a file that is not a usable GGUF. A known
        model is given back even if it has a `problem`.
        """
        models = self.list()
        for model in models:
            if model.name.casefold() == name_or_path.casefold():
                return model
        if "://" in name_or_path:
            raise EngineError(f"{printable(name_or_path)} is an address, but only .gguf files can be asked so far")
        if not (os.sep in name_or_path or "/" in name_or_path or name_or_path.lower().endswith(".gguf")):
            raise unknown_model(name_or_path, models)
        path = _absolute(name_or_path)
        one = found_at(path)
        if name_or_path.count("/") == 1 and not os.path.exists(path):
            for model in models:
                if model.repository.casefold() == name_or_path.casefold():
                    return model
            one = _in_cache(name_or_path) or one
        about = describe_folder(one.path) if os.path.isdir(one.path) else described(read_header(one.path))
        identity = identity_of(one.path)
        for model in models:
            if model.path == str(one.path) or identity_of(Path(model.path)) == identity:
                return model
        return self._add([(one, about)], "added")[0]

    def fingerprint(self, model: CatalogModel, progress: Callable[[int, int], None] | None = None) -> str:
        """SHA-256 of the model's weights, read only when the files changed since.

        The rule: SHA-256 over the bytes of all files with weights, one file after the other, in the order of their
        names (safetensors: those that the index names), with nothing between them. For a model in one file it is that
        file's own SHA-256, as hubs and `sha256sum` show it. Config and tokenizer are no part of it.

        `progress` is called with the bytes done and the bytes in all. Raises `EngineError` when a file cannot be read,
        or changes while it is read.
        """
        self.list()
        entry = self._entry(self._load(), model.path)
        known = entry.model if entry is not None else model
        before = _stamp(known)
        if known.fingerprint and entry is not None and entry.stamp == before:
            return known.fingerprint
        try:
            digest = hash_files(_files(known), progress)
        except OSError as error:
            raise os_error(Path(model.path), error) from error
        if _stamp(known) != before:
            raise file_error(Path(model.path), "changed while it was read: try again when its download has ended")
        with _LOCK:
            state = self._load()
            entry = self._entry(state, model.path)
            if entry is not None and entry.stamp == before:
                entry.model = msgspec.structs.replace(entry.model, fingerprint=digest)
                self._save(state)
        return digest

    def remove(self, name: str) -> bool:
        """Forget a model. Only files that this application put there itself are deleted: a starter model's, and those
        that the record of fetches names and that are still as they came. True when the model's files are gone; `left`
        names files of a fetch that were changed since and stay.

        Raises `EngineError` for an unknown name (with the nearest ones).
        """
        self.left = ()
        models = self.list()
        model = next((model for model in models if model.name.casefold() == name.casefold()), None)
        if model is None:
            raise unknown_model(name, models)
        gone = self.owns(model)
        if model.origin == "starter" and gone:
            remove_starter(self.models_folder, Path(model.path).stem)
        elif gone and (fetched := record_of(self.models_folder, Path(model.path))) is not None:
            self.left = tuple(delete(self.models_folder, fetched))
            gone = not self.left
        with _LOCK:
            state = self._load()
            state.models = [entry for entry in state.models if entry.model.path != model.path]
            self._save(state)
        return gone

    def owns(self, model: CatalogModel) -> bool:
        """Whether this application put the model's files there itself, so that removing it deletes them."""
        if model.origin == "starter":
            return Path(model.path).parent == self.models_folder
        return record_of(self.models_folder, Path(model.path)) is not None

    def _add(self, found: Iterable[tuple[Found, CatalogModel]], origin: Origin) -> Models:
        with _LOCK:
            state = self._load()
            new = [self._insert(state, one, origin, about) for one, about in found]
            if new:
                self._save(state)
        return new

    @staticmethod
    def _entry(state: _State, path: str) -> _Entry | None:
        return next((entry for entry in state.models if entry.model.path == path), None)

    def _add_starters(self, state: _State) -> bool:
        known = {entry.model.path: entry for entry in state.models}
        changed = False
        for path, starter in verified(self.models_folder).items():
            entry = known.get(str(path))
            if entry is None or entry.model.origin != "starter":
                state.models = [other for other in state.models if other is not entry]
                self._insert(state, Found(path=path), "starter", self._describe(path))
                changed = True
            elif entry.model.fingerprint != starter.sha256:
                entry.stamp = ""
        return changed

    def _insert(self, state: _State, one: Found, origin: Origin, about: CatalogModel) -> CatalogModel:
        taken = {entry.model.name.casefold() for entry in state.models}
        name = file_name(Path(one.name), "") if one.name else file_name(one.path, about.name)
        model = msgspec.structs.replace(
            about,
            name=unique_name(name, taken),
            origin=origin,
            source=one.source,
            repository=one.repository,
            revision=one.revision,
            licence=about.licence or one.licence,
            note=one.note,
            problem=one.problem or about.problem,
        )
        model = self._with_known_facts(model)
        state.models.append(_Entry(model=model, stamp=_stamp(model), verdict=one.problem))
        return model

    def _refreshed(self, entry: _Entry) -> _Entry:
        """The entry itself when nothing changed, else a new one; what had a problem is looked at again."""
        model = entry.model
        stamp = _stamp(model)
        if stamp == entry.stamp and model.problem == entry.verdict:
            return entry
        about = self._describe(Path(model.path))
        if not stamp:  # Gone, or out of reach: what is known of it stays.
            fresh = msgspec.structs.replace(model, fingerprint="", problem=about.problem)
        else:
            kept = model.fingerprint if stamp == entry.stamp else ""
            fresh = msgspec.structs.replace(
                about,
                name=model.name,
                origin=model.origin,
                fingerprint=kept,
                source=model.source,
                repository=model.repository,
                revision=model.revision,
                licence=about.licence or (model.licence if model.source else ""),
                note=model.note,
                problem=entry.verdict or about.problem,
            )
            fresh = self._with_known_facts(fresh)
            stamp = _stamp(fresh)
        if (fresh, stamp) == (model, entry.stamp):
            return entry
        return _Entry(model=fresh, stamp=stamp, verdict=entry.verdict)

    def _with_known_facts(self, model: CatalogModel) -> CatalogModel:
        """What is known of a starter or fetched model beside its file; nothing is added to a file that is not the
        checked one."""
        if model.origin != "starter":
            try:
                fetched = record_of(self.models_folder, Path(model.path))
            except EngineError as error:
                self.notices = [*self.notices, *{str(error)}.difference(self.notices)]
                return model
            if fetched is None:
                return model
            return msgspec.structs.replace(
                model,
                origin="fetched",
                repository=fetched.repository,
                revision=fetched.revision,
                licence=model.licence or fetched.licence,
                languages=model.languages or fetched.languages,
                fingerprint=model.fingerprint or checked_digest(self.models_folder, fetched, model.parts),
            )
        starter = verified(self.models_folder).get(Path(model.path))
        if starter is None:
            return model
        return msgspec.structs.replace(
            model,
            fingerprint=starter.sha256,
            languages=starter.languages,
            licence=starter.licence,
            licence_note=starter.licence_note,
        )

    def _describe(self, path: Path) -> CatalogModel:
        if os.path.isdir(path):
            try:
                return describe_folder(path)
            except EngineError as error:
                return folder_error(path, error)
        try:
            return described(read_header(path))
        except EngineError as error:
            return CatalogModel(name="", path=str(path), size=size_of(path), problem=str(error))

    def _load(self) -> _State:
        path = self.folder / _STATE
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return _State(models=[])
        except OSError as error:
            raise os_error(path, error) from error
        try:
            raw: Any = json.loads(data)
            version = raw.get("version") if isinstance(raw, dict) else None
            if isinstance(version, int) and version > _VERSION:
                raise EngineError(
                    f"{printable(str(path), 300)} was written by a newer version of culture-workbench: update it"
                )
            return msgspec.convert(raw, _State)
        except (ValueError, msgspec.ValidationError, RecursionError) as error:
            self._set_aside(path, error)
            return _State(models=[])

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Keep a catalogue that cannot be read under another name, and say so."""
        aside = path.with_name(f"{path.name}.bad")
        number = 1
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.name}.bad-{number}")
        try:
            os.replace(path, aside)
        except OSError as failure:
            raise write_error(path, failure) from failure
        self.notices.append(
            f"the list of models was damaged ({printable(str(error), 80)}) and begins anew; the old one is kept as "
            f"{printable(str(aside), 300)}. No model file is lost: `culture-workbench models scan FOLDER` finds them"
        )

    def _save(self, state: _State) -> None:
        path = self.folder / _STATE
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The standard library's json keeps file names that are not valid UTF-8 (as escaped surrogates).
            write_atomic(path, json.dumps(msgspec.to_builtins(state), indent=1).encode("ascii"))
        except OSError as error:
            raise write_error(path, error) from error


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _check_folder(folder: Path) -> None:
    try:
        if not folder.is_dir():
            folder.stat()
            raise file_error(folder, "is not a folder: give the folder that holds the models")
        with os.scandir(folder):
            pass
    except (OSError, ValueError) as error:
        raise os_error(folder, error) from error


def _files(model: CatalogModel) -> Sequence[Path]:
    return [Path(part) for part in model.parts or (model.path,)]


def _stamp(model: CatalogModel) -> str:
    """Sizes and times of what the entry was made of: the weights, and a folder's config."""
    config = Path(model.path) / "config.json"
    return stamp_of([*_files(model), config] if model.engine == "hf" and os.path.isfile(config) else _files(model))


def _in_cache(repository: str) -> Found | None:
    """The main snapshot of a repository in the Hugging Face cache; None where it is not there."""
    for place in places():
        snapshot = cached(repository, place) if place.kind == "Hugging Face cache" else None
        if snapshot is not None:
            return found_at(snapshot)
    return None
