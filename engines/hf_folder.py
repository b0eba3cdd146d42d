"""Folders in the Hugging Face layout: what is in them, read without any library that could run what it finds.

Everything is refused here that must never reach such a library: pickled weights, code of the model's own that was not
allowed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec

from engines.files import file_error, os_error, printable

_LIMIT = 64 * 1024 * 1024
"""Bytes of a JSON file that is read; the index of the largest models has a few."""
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_AUTHORS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
"""Files that can name code to run (`auto_map`)."""


class Folder(msgspec.Struct, frozen=True):
    """A model folder that can be loaded. `weights` are the safetensors files, in the order of their names."""

    path: Path
    config: dict[str, Any]
    weights: tuple[Path, ...]


def offline() -> None:
    """Tell the libraries, before they are imported, to ask nobody. (An engine's process has no sockets anyway; this
    makes their errors clear.)"""
    os.environ.update(
        HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false"
    )


def check_folder(path: Path, *, remote_code: bool = False) -> Folder:
    """The model in a folder, a snapshot of the Hugging Face cache, or a model's folder in that cache.

    Raises EngineError (one line) for what is none, has only pickled weights, or asks for code of its own while
    `remote_code` is off.
    """
    path = resolve_folder(path)
    if not (path / "config.json").is_file():
        raise file_error(path, "is a folder without config.json: give the folder of a Hugging Face model, or a .gguf")
    config = read_json(path / "config.json")
    if not remote_code:
        _refuse_remote_code(path)
    return Folder(path, config, weights(path))


def resolve_folder(path: Path) -> Path:
    """The snapshot that a model's folder in the Hugging Face cache (`models--…`) stands for; else the path itself."""
    snapshots = path / "snapshots"
    if (path / "config.json").exists() or not snapshots.is_dir():
        return path
    try:
        revision = (path / "refs" / "main").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        revision = ""
    if revision and Path(revision).name == revision and (snapshots / revision).is_dir():
        return snapshots / revision
    found = sorted(entry for entry in snapshots.iterdir() if entry.is_dir())
    if len(found) != 1:
        raise file_error(path, f"holds {len(found)} snapshots and no main one: give the folder of one of them")
    return found[0]


def weights(path: Path) -> tuple[Path, ...]:
    """The safetensors files of a model, in the order of their names. Raises EngineError when there are none, or when
    one that the index names is missing."""
    try:
        names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    except OSError as error:
        raise os_error(path, error) from error
    index = path / "model.safetensors.index.json"
    if index.name in names:
        mapped = read_json(index).get("weight_map")
        if not isinstance(mapped, dict) or not all(isinstance(name, str) for name in mapped.values()):
            raise file_error(index, "has no weight_map: download the model again")
        wanted = sorted(set(mapped.values()))
        for name in wanted:
            if Path(name).name != name or not name.endswith(".safetensors"):
                raise file_error(index, f"names a weight file that is none: {printable(name, 80)}")
            if name not in names:
                raise file_error(path, f"lacks {printable(name, 80)}, which its index names: download the model again")
        return tuple(path / name for name in wanted)
    if "model.safetensors" in names:
        return (path / "model.safetensors",)
    if other := [name for name in names if name.endswith(".safetensors") and not name.startswith("adapter")]:
        raise file_error(path, f"has {printable(other[0], 60)} but no model.safetensors and no index of its weights")
    if pickled := [name for name in names if name.lower().endswith(_PICKLED)]:
        raise file_error(
            path,
            f"has its weights in {printable(pickled[0], 60)}, a pickle file, which can run any code when it is loaded; "
            "only safetensors are: get the model in that format, or convert it",
        )
    raise file_error(path, "has no weights (model.safetensors)")


def _refuse_remote_code(path: Path) -> None:
    for name in _AUTHORS:
        file = path / name
        if not file.is_file():
            continue
        asked = read_json(file).get("auto_map")
        if asked:
            what = next(iter(asked.values()), "") if isinstance(asked, dict) else asked
            what = what[0] if isinstance(what, list) and what else what
            raise file_error(
                file,
                f"asks to run code that lies beside the weights ({printable(str(what), 80)}), which is off; if you "
                "trust who made it, say remote_code = true under [loading.NAME] in the settings file",
            )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the model. Raises EngineError."""
    try:
        if path.stat().st_size > _LIMIT:
            raise file_error(path, f"is larger than {_LIMIT // 1024**2} MB, which no such file is")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise os_error(path, error) from error
    except (ValueError, RecursionError) as error:
        raise file_error(path, f"is not valid JSON: {printable(str(error), 100)}") from error
    if not isinstance(found, dict):
        raise file_error(path, "holds no JSON object")
    return found
