"""`culture-workbench doctor`: what this machine has, what works, what to install."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Any

import click

from workbench.commands.output import errors_in_one_line, json_option, say, show, show_json
from workbench.text import size

_LIBRARIES = ("llama-cpp-python", "textual", "plotext", "numpy", "scipy", "statsmodels", "sqlite-utils", "msgspec",
              "torch", "transformers")  # fmt: skip
CUDA = 'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-cache-dir --no-deps llama-cpp-python'
METAL = 'CMAKE_ARGS="-DGGML_METAL=on" pip install --force-reinstall --no-cache-dir --no-deps llama-cpp-python'


@click.command("doctor")
@json_option
@errors_in_one_line
def command(as_json: bool) -> None:
    """Say what this machine has, what is installed, what works and what to install."""
    facts = examine()
    if as_json:
        show_json(facts)
        return
    machine = facts["machine"]
    show(f"machine      {machine['cpu']}, {machine['physical_cores']} physical core(s), "
         f"{size(machine['memory_free'])} of {size(machine['memory_total'])} memory free")  # fmt: skip
    show(f"python       {facts['python']}")
    for name, version in facts["libraries"].items():
        show(f"{'library' if name == _LIBRARIES[0] else '':<12} {name} {version or 'not installed'}")
    for device in machine["devices"]:
        show(
            f"device       {device['name']} ({device['kind']}), {size(device['free'])} of {size(device['total'])} free"
        )
    show(f"offload      {facts['offload']}")
    show(f"data folder  {facts['folder']}")
    show(f"history      {facts['history']}")
    show(f"models       {facts['models']} known")
    for index, (name, setting) in enumerate(facts["settings"].items()):
        show(f"{'' if index else 'settings':<12} {name} = {setting['value']} ({setting['from']})")
    for problem in facts["problems"]:
        say(f"problem: {problem}")


def examine() -> dict[str, Any]:
    """The facts as one object; what does not work stands under `problems`, each with what to do."""
    import msgspec

    from engines import hardware
    from engines.base import EngineError
    from workbench import paths, settings
    from workbench.core import Workbench
    from workbench.history import HistoryError

    problems: list[str] = []
    try:
        found, origin = settings.explain()
    except settings.SettingsError as error:
        problems.append(str(error))
        found, origin = settings.Settings(), {}
    core = Workbench(found)
    machine = hardware.machine(refresh=True)
    models = 0
    try:
        problems += core.prepare_starters()
        catalog = core.catalog
        listed = catalog.list()
        models = len(listed)
        problems += [f"{model.name}: {model.problem}" for model in listed if model.problem]
        problems += catalog.notices
    except EngineError as error:
        problems.append(str(error))
    history = "none yet"
    if paths.history_path().exists():
        try:
            with core.history() as open_history:
                history = f"{len(open_history.audits())} audit(s), in {paths.history_path()}"
        except HistoryError as error:
            problems.append(str(error))
            history = "cannot be read"
    return {
        "machine": msgspec.to_builtins(machine),
        "python": sys.version.split()[0],
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "offload": _offload(machine),
        "folder": str(paths.data_folder()),
        "history": history,
        "models": models,
        "settings": {
            name: {"value": msgspec.to_builtins(getattr(found, name)), "from": origin.get(name, "default")}
            for name in settings.Settings.__struct_fields__
        },
        "problems": problems,
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _offload(machine: Any) -> str:
    if machine.devices and machine.gpu_offload_supported:
        return "models are put on the GPU as far as they fit"
    if machine.gpu_note:
        return str(machine.gpu_note)
    line = METAL if sys.platform == "darwin" else CUDA
    return f"none: this build of llama.cpp computes on the CPU. With a GPU at hand, build it anew: {line}"
