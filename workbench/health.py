"""Whether each engine works here: installed, with which devices, what to install for more, and a test of a second."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engines.describe import CatalogModel
    from engines.hardware import Device, Machine
    from workbench.core import Workbench

PINNED = "0.3.36"
"""The version of llama-cpp-python to build where none is installed."""
_TORCH = "https://pytorch.org/get-started/locally"


class SelfTest(msgspec.Struct, frozen=True):
    """What came of trying an engine on a tiny model, in a child process."""

    ok: bool | None
    """None where it was not tried."""
    said: str
    seconds: float = 0.0
    """From starting the child to its last answer, importing its libraries included."""
    loading: float = 0.0
    """Of these, until the model was there: nearly all of it is the libraries' import."""


class EngineHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One engine on this machine."""

    engine: str
    installed: bool
    versions: dict[str, str]
    """Of its libraries; "" for one that is missing."""
    devices: tuple[Device, ...] = ()
    note: str = ""
    install: tuple[str, ...] = ()
    """What to run to get it, or to get more out of it (a GPU)."""
    endpoints: tuple[str, ...] = ()
    self_test: SelfTest


def version(name: str) -> str:
    """The installed version of a package; "" when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def build_lines(system: str = sys.platform) -> dict[str, str]:
    """How to build llama.cpp for a GPU, by kind of GPU; the kinds that this system can have."""
    pip = f"{sys.executable} -m pip install --force-reinstall --no-cache-dir --no-deps"
    wanted = f"llama-cpp-python=={version('llama-cpp-python') or PINNED}"
    kinds = {"Metal": "-DGGML_METAL=on"} if system == "darwin" else {"CUDA": "-DGGML_CUDA=on"}
    return {kind: f'CMAKE_ARGS="{flag}" {pip} {wanted}' for kind, flag in kinds.items()}


def examine_engines(
    core: Workbench, machine: Machine, known: Sequence[CatalogModel], *, test: bool = True, connect: bool = False
) -> list[EngineHealth]:
    """Every engine; `known` are the catalogue's models. `test` tries those that load models on a tiny one; only
    `connect` contacts endpoints."""
    endpoints = [model for model in known if model.engine == "endpoint"]
    return [_gguf(machine, test), _hf(machine, test), _endpoint(core, endpoints, connect)]


def _gguf(machine: Machine, test: bool) -> EngineHealth:
    from engines.selftest import write_gguf

    versions = {"llama-cpp-python": version("llama-cpp-python")}
    installed = bool(versions["llama-cpp-python"])
    works = bool(machine.devices) and machine.gpu_offload_supported
    lines = () if works else tuple(f"{kind}: {line}" for kind, line in build_lines().items())
    return EngineHealth(
        engine="gguf",
        installed=installed,
        versions=versions,
        devices=machine.devices,
        note=machine.gpu_note,
        install=lines if installed else ("make install",),
        self_test=_try(lambda folder: write_gguf(folder / "self-test.gguf"), test and installed),
    )


def _hf(machine: Machine, test: bool) -> EngineHealth:
    from engines.selftest import write_folder

    names = ("torch", "transformers", "safetensors", "accelerate", "huggingface_hub")
    versions = {name: version(name) for name in names}
    installed = bool(versions["torch"] and versions["transformers"] and versions["safetensors"])
    lines: tuple[str, ...] = ()
    if not installed:
        lines = (f"{sys.executable} -m pip install torch transformers accelerate safetensors llguidance",)
    elif not machine.torch_devices:
        kind = "Metal" if sys.platform == "darwin" else "CUDA"
        lines = (f"{kind}: take the line for your machine from {_TORCH}",)
    return EngineHealth(
        engine="hf",
        installed=installed,
        versions=versions,
        devices=machine.torch_devices,
        note=machine.torch_note,
        install=lines,
        self_test=_try(lambda folder: write_folder(folder / "self-test"), test and installed),
    )


def _endpoint(core: Workbench, known: Sequence[CatalogModel], connect: bool) -> EngineHealth:
    versions = {"httpx2": version("httpx2")}
    installed = bool(versions["httpx2"])
    said = "no endpoint is known" if not known else "not contacted: --connect does"
    test = SelfTest(None, said)
    if connect and known:
        test = _contacted(core, [model.name for model in known])
    return EngineHealth(
        engine="endpoint",
        installed=installed,
        versions=versions,
        install=() if installed else (f"{sys.executable} -m pip install httpx2",),
        endpoints=tuple(model.path for model in known),
        self_test=test,
    )


def _contacted(core: Workbench, names: list[str]) -> SelfTest:
    from engines.base import EngineError

    started, failed = time.monotonic(), []
    for name in names:
        try:
            core.open_engine(name).close()
        except EngineError as error:
            failed.append(str(error))
    seconds = time.monotonic() - started
    answered = f"{len(names) - len(failed)} of {len(names)} answered"
    return SelfTest(not failed, "; ".join([answered, *failed]), seconds)


def _try(make: Callable[[Path], Path], wanted: bool) -> SelfTest:
    """Load a tiny model in a child, compare its scores, let it write; a failure is one line."""
    from engines.base import EngineError, LoadOptions
    from engines.process import open_engine
    from workbench.audits.tryout import try_out

    if not wanted:
        return SelfTest(None, "not tried")
    log = logging.getLogger("culture-workbench")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="culture-workbench-") as folder:
        try:
            path = make(Path(folder))
            options = LoadOptions(context=256, threads=1, gpu_layers=0)
            engine = open_engine(str(path), options, name="self-test", log=lambda line: log.info("self-test: %s", line))
        except EngineError as error:
            return SelfTest(False, str(error), time.monotonic() - started)
        loading = time.monotonic() - started
        try:
            checked = try_out(engine)
        except EngineError as error:
            return SelfTest(False, str(error), time.monotonic() - started, loading)
        finally:
            engine.close()
    return SelfTest(checked.ok, checked.said, time.monotonic() - started, loading)
