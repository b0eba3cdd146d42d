"""What a user sets, in one typed schema: flag, then environment, then settings file, then default.

The file is TOML (see `workbench.paths.settings_path`); every setting can also be given as an environment variable
`CULTURE_WORKBENCH_<NAME>`, for instance `CULTURE_WORKBENCH_THREADS=1`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

PREFIX = "CULTURE_WORKBENCH_"


class SettingsError(Exception):
    """The settings cannot be used; the message names file (or variable) and key and says what is wrong, in one line."""


class Loading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one model is loaded, where that differs from the settings for all. "" and 0 mean that it does not."""

    context: int = 0
    """Tokens."""
    dtype: Literal["", "auto", "float32", "bfloat16", "float16", "8bit", "4bit"] = ""
    """What a safetensors model computes with; `8bit` and `4bit` quantise it while it is loaded."""
    device: str = ""
    """Where a safetensors model runs: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, or `spread` over all of these."""
    remote_code: bool = False
    """Whether Python code that comes with the model may run."""


class EndpointSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model on one or several servers, under a name of one's own. Never the key itself: only where it is."""

    urls: tuple[str, ...]
    model: str = ""
    """Its name on the servers; "": their only one."""
    key_env: str = ""
    """The environment variable that holds the key."""
    key_keyring: str = ""
    """The entry of the system keyring that holds it (of the service `culture-workbench`)."""
    concurrency: int = 4
    """Questions at a time for each server."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings with their defaults."""

    theme: str = "workbench-dark"
    """Name of the colour theme."""
    context: int = 4096
    """Tokens of context that models are loaded with."""
    gpu_layers: int = -1
    """Layers to put on a GPU: -1 all that fit, 0 none."""
    threads: int = 0
    """Threads to compute with: 0 is measured at load."""
    seed: int = 2024
    """Default seed of an audit's plan."""
    model_folders: tuple[str, ...] = ()
    """Folders that a scan looks through, besides the application's own."""
    offload: dict[str, int] = {}
    """Layers on a GPU for single models, by name."""
    loading: dict[str, Loading] = {}
    """How single models are loaded, by name."""
    reduced_motion: bool = False
    """No animations."""
    keys: dict[str, str] = {}
    """Other keys for commands, by the command's id."""
    endpoints: dict[str, EndpointSetting] = {}
    """Models on servers, by name."""


_DEVICE = re.compile(r"(auto|cpu|mps|spread|cuda(:\d{1,2})?)?")
_RANGES = {"context": (64, 1_048_576), "gpu_layers": (-1, 10_000), "threads": (0, 1024), "seed": (0, 2**32 - 1)}


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. Raises SettingsError for a file or variable that cannot be used."""
    return explain(path, environment)[0]


def explain(path: Path | None = None, environment: Mapping[str, str] | None = None) -> tuple[Settings, dict[str, str]]:
    """The settings in force, and for each where it comes from: `default`, the file's name or the variable's."""
    if path is None:
        from workbench.paths import settings_path

        path = settings_path()
    environment = os.environ if environment is None else environment
    values = _read(path)
    origin = {name: "default" for name in Settings.__struct_fields__} | {name: str(path) for name in values}
    _check_variables(environment)
    for name in Settings.__struct_fields__:
        raw = environment.get(PREFIX + name.upper())
        if raw is not None:
            values[name] = _parse(name, raw)
            origin[name] = PREFIX + name.upper()
    try:
        settings = msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{_where(error, origin, path)}: {error}") from error
    for name, (low, high) in _RANGES.items():
        if not low <= getattr(settings, name) <= high:
            raise SettingsError(
                f"{origin[name]}: {name} = {getattr(settings, name)} is out of range: choose {low} to {high}"
            )
    for name, loading in settings.loading.items():
        wrong = loading_problem(loading)
        if wrong:
            raise SettingsError(f"{origin['loading']}: loading.{name}: {wrong}")
    for name, endpoint in settings.endpoints.items():
        _check_endpoint(name, endpoint, origin["endpoints"])
    return settings, origin


def loading_problem(loading: Loading) -> str:
    """What is wrong with how a model is to be loaded, in words; "" when nothing is."""
    low, high = _RANGES["context"]
    if loading.context and not low <= loading.context <= high:
        return f"context = {loading.context} is out of range: choose {low} to {high}"
    if not _DEVICE.fullmatch(loading.device):
        return f"device = {loading.device!r} is none: choose auto, cpu, cuda, cuda:1, mps or spread"
    return ""


def _check_endpoint(name: str, endpoint: EndpointSetting, origin: str) -> None:
    from engines.base import EngineError
    from engines.endpoint.address import make_address

    where = f"{origin}: endpoints.{name}"
    if not name.strip() or name != name.strip() or "://" in name:
        raise SettingsError(f"{origin}: {name!r} is no name for an endpoint")
    if not 1 <= endpoint.concurrency <= 256:
        raise SettingsError(f"{where}: concurrency = {endpoint.concurrency} is out of range: choose 1 to 256")
    if endpoint.key_env and endpoint.key_keyring:
        raise SettingsError(f"{where}: give key_env or key_keyring, not both")
    if endpoint.key_env and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", endpoint.key_env):
        # Not repeated: somebody may have written the key itself there.
        raise SettingsError(f"{where}: key_env is no name of an environment variable: never write a key there")
    try:
        make_address(endpoint.urls, endpoint.model)
    except EngineError as error:
        raise SettingsError(f"{where}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    for name in values:
        if name not in Settings.__struct_fields__:
            near = difflib.get_close_matches(name, Settings.__struct_fields__, 1)
            hint = f": did you mean {near[0]}?" if near else f"; known are {', '.join(Settings.__struct_fields__)}"
            raise SettingsError(f"{path}: there is no setting {name!r}{hint}")
    return values


def _check_variables(environment: Mapping[str, str]) -> None:
    known = [PREFIX + name.upper() for name in (*Settings.__struct_fields__, "home")]
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, 1)
            hint = f": did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise SettingsError(f"{variable}: there is no such setting{hint}")


def _parse(name: str, raw: str) -> Any:
    """A variable's text as a TOML value, or as plain text where it is none."""
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def _where(error: msgspec.ValidationError, origin: Mapping[str, str], path: Path) -> str:
    _, _, place = str(error).partition("`$.")
    name = place.split("`")[0].split(".")[0].split("[")[0]
    return origin.get(name, str(path))


def save(changes: Mapping[str, Any], path: Path | None = None) -> None:
    """Write some settings into the file; the others stay as they are. Raises SettingsError, and then nothing is
    changed."""
    if path is None:
        from workbench.paths import settings_path

        path = settings_path()
    values = _read(path) | dict(changes)
    try:
        msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}") from error
    temporary = path.with_suffix(".new")
    try:
        temporary.write_bytes(msgspec.toml.encode(values))
        temporary.chmod(0o600)
        os.replace(temporary, path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error}") from error
