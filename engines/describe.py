"""What the catalogue says of a model: its header in words that are safe to draw."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from engines.base import EngineError
from engines.files import printable
from engines.header import ArrayInfo, GgufHeader, MemoryFacts

_VAGUE = re.compile(r"(ggml[-_.]?)?(model|weights|consolidated)?([-_.]?(i?q\d\w*|b?f(p)?\d\d))?", re.IGNORECASE)
"""File names that say nothing about the model; it is then named after its metadata."""
_LICENCES = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "gemma": "Gemma terms",
    "llama3": "Llama 3 licence",
    "llama3.1": "Llama 3.1 licence",
    "llama3.2": "Llama 3.2 licence",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "bigscience-openrail-m": "OpenRAIL-M",
}
_NOT_TEXT = {
    "clip": "is the image or sound part of a model, not a language model",
    "bert": "is an embedding model, which writes no text",
    "modern-bert": "is an embedding model, which writes no text",
    "nomic-bert": "is an embedding model, which writes no text",
    "nomic-bert-moe": "is an embedding model, which writes no text",
    "jina-bert-v2": "is an embedding model, which writes no text",
    "t5encoder": "is an encoder, which writes no text",
    "wavtokenizer-dec": "is a sound decoder, not a language model",
}

Origin = Literal["starter", "found", "added", "fetched", "settings"]
"""`fetched`: this application downloaded it (see `engines.fetched`); `settings`: a server that the settings name."""


class CatalogModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the catalogue. Every text but `path` is safe to draw."""

    name: str
    """Unique in the catalogue, without spaces."""
    path: str
    engine: str = "gguf"
    format: str = ""
    """For instance `GGUF Q4_1` or `HF bf16`."""
    parameters: int = 0
    size: int = 0
    """Bytes of the weights, all parts of a split model together."""
    context: int = 0
    """Tokens that the model was trained for; 0 where it does not say."""
    vocabulary: int = 0
    architecture: str = ""
    languages: tuple[str, ...] = ()
    """Language codes, or words where the makers give only those (`140+ languages`); () where nothing is said."""
    licence: str = ""
    licence_note: str = ""
    fingerprint: str = ""
    """SHA-256 of the weights in hexadecimal (see `Catalog.fingerprint`); "" until they have been read, or when they
    changed."""
    template: bool = False
    """Whether it has a chat template."""
    memory: MemoryFacts = MemoryFacts()
    """For `engines.hardware.fits`."""
    parts: tuple[str, ...] = ()
    """Paths of all its files with weights, in order."""
    origin: Origin = "found"
    source: str = ""
    """Whose store it lies in, in words (`Ollama`, `Hugging Face cache`…); "" for an ordinary folder."""
    repository: str = ""
    """`organisation/name` on the hub, where its place says so."""
    revision: str = ""
    """The commit of the repository, where its place says so."""
    remote_code: bool = False
    """Whether its folder asks for code of its own to be run, which is refused unless the user allows it."""
    note: str = ""
    """What else should be known of it, in one line."""
    problem: str = ""
    """Why the model cannot be used, in one line; "" when nothing speaks against it."""

    def window(self, wanted: int) -> int:
        """Tokens of context that it is loaded with: never more than it was trained for."""
        return min(wanted, self.context) if self.context else wanted


def described(header: GgufHeader) -> CatalogModel:
    """The header as a model of the catalogue, with the name that the file gives itself."""
    metadata = header.metadata
    said = metadata.get("general.license")
    licence = said if isinstance(said, str) else ""
    notes = [metadata.get("general.license.name"), metadata.get("general.license.link")]
    languages = metadata.get("general.languages")
    return CatalogModel(
        name=header.name,
        path=header.path,
        format=header.format,
        parameters=header.parameters,
        size=header.size,
        context=header.context_length,
        vocabulary=header.vocabulary,
        architecture=header.architecture,
        languages=_texts(languages),
        licence=known_licence(licence),
        licence_note=printable(" · ".join(note for note in notes if isinstance(note, str) and note), 200),
        template=bool(header.chat_template),
        memory=header.memory,
        parts=header.parts,
        problem=_unusable(header),
    )


def known_licence(said: str) -> str:
    """A licence as people write it, from its identifier."""
    return printable(_LICENCES.get(said.casefold(), said), 40)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (printable(value, 40),) if printable(value, 40) else ()
    if not isinstance(value, ArrayInfo):
        return ()
    texts = (printable(text, 40) for text in value.values if isinstance(text, str))
    return tuple(dict.fromkeys(text for text in texts if text))


def _unusable(header: GgufHeader) -> str:
    """Why a well-formed file is no model that can be asked; "" if it is one."""
    kind = header.metadata.get("general.type")
    if kind == "adapter":
        return "is an adapter (LoRA): it needs its base model, and is not loaded alone"
    if kind == "mmproj":
        return _NOT_TEXT["clip"]
    if header.architecture in _NOT_TEXT:
        return _NOT_TEXT[header.architecture]
    if header.tensor_count == 0:
        return "holds no weights, only a vocabulary"
    return ""


def file_name(path: Path, general_name: str) -> str:
    """A name from the file's name, or from the metadata where that says nothing: one word, safe to draw and to type."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", path.stem if path.suffix.lower() == ".gguf" else path.name)
    if _VAGUE.fullmatch(stem) and general_name:
        stem = general_name
    return re.sub(r"[\s/\\]+", "-", printable(stem, 80)).strip("-") or "model"


def unique_name(name: str, taken: set[str]) -> str:
    """`name`, numbered where one of the (casefolded) names has it already."""
    number, candidate = 1, name
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def unknown_model(name: str, models: Sequence[CatalogModel]) -> EngineError:
    """The error for a name that no model has, with the nearest ones."""
    shown = printable(name)
    names = {model.name.casefold(): model.name for model in models}
    typed = name.casefold()
    nearest = [known for known in names if typed and typed in known][:3]
    nearest = nearest or difflib.get_close_matches(typed, list(names), n=3, cutoff=0.5)
    if nearest:
        return EngineError(f"no model is called {shown}: did you mean {' or '.join(names[near] for near in nearest)}?")
    if not models:
        return EngineError(
            f"no model is called {shown}, and none are known yet: `culture-workbench models scan FOLDER`"
        )
    return EngineError(f"no model is called {shown}: `culture-workbench models list` shows those that are known")
