"""Where other programs keep models: the Hugging Face cache, LM Studio's and Ollama's stores.

Only looked at when the user asks for a scan. What the stores say of a model beside its weights (its name, where it
comes from, its licence) is kept with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from engines.base import EngineError
from engines.files import printable
from engines.folder import is_folder_model, is_whole, read_json

MAX_MANIFEST = 1 << 20
MAX_LICENCE = 256 << 10
MAX_REFS = 1000
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_OLLAMA = "application/vnd.ollama.image."

Kind = Literal["Hugging Face cache", "LM Studio", "Ollama"]


class Place(msgspec.Struct, frozen=True):
    """A folder in which a program keeps models, there or not."""

    kind: Kind
    path: Path

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return os.path.isdir(self.path)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder with a model in a store, and what the store says of it."""

    path: Path
    source: str = ""
    name: str = ""
    """"" where the file's own name is as good."""
    repository: str = ""
    revision: str = ""
    licence: str = ""
    note: str = ""
    problem: str = ""


def places(environment: Mapping[str, str] | None = None, home: Path | None = None) -> tuple[Place, ...]:
    """The well-known places of this user, whether they exist or not."""
    environment = os.environ if environment is None else environment
    home = Path.home() if home is None else home

    def said(*names: str) -> str:
        return next((value for name in names if (value := environment.get(name, ""))), "")

    cache = said("XDG_CACHE_HOME") or str(home / ".cache")
    hub = said("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") or os.path.join(
        said("HF_HOME") or os.path.join(cache, "huggingface"), "hub"
    )
    ollama = said("OLLAMA_MODELS")
    found = [
        Place("Hugging Face cache", Path(hub).expanduser()),
        Place("LM Studio", home / ".lmstudio" / "models"),
        Place("LM Studio", home / ".cache" / "lm-studio" / "models"),
        Place("Ollama", Path(ollama).expanduser() if ollama else home / ".ollama" / "models"),
    ]
    if not ollama and os.name == "posix":
        found.append(Place("Ollama", Path("/usr/share/ollama/.ollama/models")))  # Its service on Linux keeps them here.
    return tuple(found)


def look(place: Place, unread: list[str]) -> Iterator[Found]:
    """The models in a place. What cannot be read is added to `unread`."""
    if place.kind == "Hugging Face cache":
        yield from _hub_cache(place.path, unread)
    elif place.kind == "Ollama":
        yield from _ollama(place.path, unread)
    else:
        for path in models_below([place.path], unread):
            yield Found(path=path, source=place.kind, repository=_repository(path, place.path))


def models_below(roots: list[Path], unread: list[str]) -> Iterator[Path]:
    """.gguf files and folders with HF models below the roots, each folder entered once."""
    from engines.files import walk

    for folder, names in walk(roots, unread, is_whole):
        if is_folder_model(folder, set(names)):
            yield folder
        yield from (folder / name for name in names if name.lower().endswith(".gguf"))


def _repository(path: Path, root: Path) -> str:
    """LM Studio's folders are called as on the hub: organisation/name/file."""
    parts = path.relative_to(root).parts
    return printable("/".join(parts[:2])) if len(parts) >= 3 else ""


def cached(repository: str, place: Place) -> Path | None:
    """The snapshot of a repository's main branch in the Hugging Face cache; None where it is not there."""
    folder = place.path / f"models--{repository.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    snapshot = folder / "snapshots" / commit
    return snapshot if _COMMIT.fullmatch(commit) and os.path.isdir(snapshot) else None


def _hub_cache(root: Path, unread: list[str]) -> Iterator[Found]:
    for folder in _inner(root, unread):
        if not folder.name.startswith("models--"):
            continue
        refs = _refs(folder / "refs")
        for snapshot in _inner(folder / "snapshots", unread):
            for path in models_below([snapshot], unread):
                yield _in_snapshot(path, snapshot, refs)


def found_at(path: Path) -> Found:
    """A model at a path, with what its place says of it where that is a snapshot of a Hugging Face cache."""
    snapshot = path if os.path.isdir(path) else path.parent
    home = snapshot.parent.parent
    if snapshot.parent.name == "snapshots" and home.name.startswith("models--"):
        return _in_snapshot(path, snapshot, _refs(home / "refs"))
    return Found(path=path)


def _in_snapshot(path: Path, snapshot: Path, refs: dict[str, str]) -> Found:
    repository = snapshot.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
    ref = refs.get(snapshot.name, "")
    # Several revisions of one model need names of their own; main is the one that people mean.
    mark = "" if ref == "main" else f"@{ref or snapshot.name[:8]}"
    return Found(
        path=path,
        source="Hugging Face cache",
        name=f"{repository.split('/')[-1] if path == snapshot else path.stem}{mark}",
        repository=printable(repository),
        revision=printable(snapshot.name, 64),
    )


def _refs(folder: Path) -> dict[str, str]:
    """What branches and tags point to: their names by commit, `main` first."""
    found: dict[str, str] = {}
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())[:MAX_REFS]
    except OSError:
        return found
    for path in sorted(files, key=lambda path: path.name != "main"):
        try:
            commit = path.read_text(encoding="ascii")[:64].strip()
        except (OSError, ValueError):
            continue
        found.setdefault(commit, printable(str(path.relative_to(folder)), 60).replace("/", "-"))
    return found


def _inner(folder: Path, unread: list[str]) -> list[Path]:
    """The folders in a folder, by name; [] where it is not there."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError:
        unread.append(str(folder))
        return []


def _ollama(root: Path, unread: list[str]) -> Iterator[Found]:
    manifests = root / "manifests"
    try:
        files = sorted(path for path in manifests.rglob("*") if path.is_file())
    except OSError:
        unread.append(str(manifests))
        return
    for path in files:
        # manifests/registry/namespace/model/tag
        parts = path.relative_to(manifests).parts
        if len(parts) < 3 or any(part.startswith(".") for part in parts):
            continue
        try:
            found = _manifest(root, path, parts)
        except (EngineError, OSError):
            unread.append(str(path))
            continue
        if found is not None:
            yield found


def _manifest(root: Path, path: Path, parts: tuple[str, ...]) -> Found | None:
    """The model of one manifest; None for what is none on this machine (it runs elsewhere, or its weights are gone)."""
    layers: dict[str, list[Path]] = {}
    listed: Any = read_json(path, MAX_MANIFEST).get("layers")
    for layer in listed if isinstance(listed, list) else ():
        kind, digest = (layer.get("mediaType"), layer.get("digest")) if isinstance(layer, dict) else ("", "")
        match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
        if isinstance(kind, str) and kind.startswith(_OLLAMA) and match:
            layers.setdefault(kind.removeprefix(_OLLAMA), []).append(root / "blobs" / f"sha256-{match[1]}")
    weights = layers.get("model", [])
    if not weights or not weights[0].is_file():
        return None
    *_, space, model, tag = parts
    problem = ""
    if layers.get("adapter"):
        problem = "Ollama adds an adapter to it, which is not read here: its answers would be other ones"
    elif len(weights) > 1:
        problem = "Ollama keeps it in several files, which are not read here: get the model as one .gguf file"
    notes = []
    if layers.get("template"):
        notes.append("Ollama's own chat template is not used, but the one in the file")
    if layers.get("system"):
        notes.append("Ollama's system prompt is not used")
    name = f"{model}:{tag}" if space in ("library", "") else f"{space}-{model}:{tag}"
    return Found(
        path=weights[0],
        source="Ollama",
        name=printable(name),
        licence=_licence(layers.get("license", [])),
        note="; ".join(notes),
        problem=problem,
    )


_LICENCE_TITLES = (
    (re.compile(r"apache license", re.IGNORECASE), "Apache-2.0"),
    (re.compile(r"\bMIT license\b", re.IGNORECASE), "MIT"),
    (re.compile(r"gemma terms of use", re.IGNORECASE), "Gemma terms"),
)


def _licence(files: list[Path]) -> str:
    """The name of a licence from its text: one of the best known, else its first line."""
    for path in files:
        try:
            with path.open("rb") as file:
                text = file.read(MAX_LICENCE).decode("utf-8", "replace")
        except OSError:
            continue
        start = text[:400]
        for title, name in _LICENCE_TITLES:
            if title.search(start):
                return name
        first = next((line.strip() for line in text.splitlines() if line.strip()), "")
        if first:
            return printable(first, 40)
    return ""
