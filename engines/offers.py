"""The models that are offered for fetching: `assets/catalog.toml`, a list with a strict schema."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from engines.base import EngineError
from engines.header import MemoryFacts

PATH = Path(__file__).parents[1] / "assets" / "catalog.toml"
GROUPS = ("multilingual", "mainland-chinese", "taiwanese", "japanese", "korean", "south-east-asian", "indic", "african",
          "arabic", "english")  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
SAFETENSORS = "safetensors"


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model that can be fetched. `size` and `parameters` are what its makers say, rounded: about right."""

    name: str
    repository: str
    file: str
    """The .gguf file, or `safetensors`."""
    group: str
    size: float
    """Gigabytes (10⁹ bytes) to download, about."""
    parameters: float
    """Billions (10⁹), about."""
    licence: str
    languages: tuple[str, ...]
    why: str
    verified: bool
    """Whether repository and licence were checked against the model card or its makers' documentation."""
    source: str = ""
    """Where that can be read; needed where `verified` is true."""
    revision: str = ""
    """A commit to fetch; "": the newest, which is resolved to a commit and recorded."""
    gated: bool = False
    """Whether the licence must be accepted on the hub first."""

    @property
    def weight(self) -> _Weight:
        """For `engines.hardware.fits`: its size only, nothing is known of its cache yet."""
        return _Weight(round(self.size * 1e9))


class _Weight(msgspec.Struct, frozen=True):
    size: int
    memory: MemoryFacts = MemoryFacts()


def offers(path: Path = PATH) -> list[Offer]:
    """All offers, in the order of the file. Raises `EngineError` that names file, entry and key."""
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EngineError(f"{path}: cannot be read as TOML: {error}") from error
    _known(path, "the file", values, ("model",))
    entries = values.get("model", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise EngineError(f"{path}: model: must be a list of tables, [[model]]")
    found: list[Offer] = []
    for number, entry in enumerate(entries, 1):
        said = entry.get("name")
        offer = _offer(path, f"model {number} ({said})" if isinstance(said, str) else f"model {number}", entry)
        if any(offer.name == other.name for other in found):
            raise EngineError(f"{path}: model {number}: name: {offer.name!r} is there twice")
        found.append(offer)
    return found


def offered(name: str, path: Path = PATH) -> Offer | None:
    """The offer of that name or repository; None where there is none."""
    wanted = name.casefold()
    return next((one for one in offers(path) if wanted in (one.name, one.repository.casefold())), None)


def _offer(path: Path, where: str, entry: dict[str, Any]) -> Offer:
    _known(path, where, entry, Offer.__struct_fields__)
    try:
        offer = msgspec.convert(entry, Offer)
    except msgspec.ValidationError as error:
        raise EngineError(f"{path}: {where}: {error}") from error
    for key, holds, must in (
        ("name", _NAME.fullmatch(offer.name), "be lower-case letters, digits, dots and dashes"),
        ("repository", _REPOSITORY.fullmatch(offer.repository), "be organisation/name"),
        ("file", offer.file == SAFETENSORS or offer.file.endswith(".gguf"), "be a .gguf file or 'safetensors'"),
        ("group", offer.group in GROUPS, f"be one of {', '.join(GROUPS)}"),
        ("size", 0 < offer.size < 1000, "be gigabytes above 0"),
        ("parameters", 0 < offer.parameters < 1000, "be billions above 0"),
        ("licence", offer.licence, "be there"),
        ("languages", offer.languages, "name at least one"),
        ("why", offer.why, "say what the model is good for here"),
        ("source", offer.source.startswith("https://") or not offer.verified, "be an address where verified is true"),
        ("revision", not offer.revision or _COMMIT.fullmatch(offer.revision), "be a commit of 40 hexadecimal digits"),
    ):
        if not holds:
            raise EngineError(f"{path}: {where}: {key}: must {must}, not {getattr(offer, key)!r}")
    return offer


def _known(path: Path, where: str, values: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in values:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            hint = f": did you mean {near[0]}?" if near else f"; known are {', '.join(keys)}"
            raise EngineError(f"{path}: {where}: there is no key {key!r}{hint}")
