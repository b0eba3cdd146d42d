"""`culture-workbench doctor`: what this machine has, what works, what to install."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.output import errors_in_one_line, json_option, say, show, show_json
from workbench.health import version
from workbench.text import size

if TYPE_CHECKING:
    from engines.describe import CatalogModel

_LIBRARIES = ("llama-cpp-python", "textual", "plotext", "numpy", "scipy", "statsmodels", "sqlite-utils", "msgspec",
              "torch", "transformers", "huggingface_hub")  # fmt: skip


@click.command("doctor")
@click.option("--no-self-test", is_flag=True, help="Do not try the engines on a tiny model.")
@click.option("--connect", is_flag=True, help="Contact the known endpoints, too.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write all of it into FILE, a zip.")
@json_option
@errors_in_one_line
def command(no_self_test: bool, connect: bool, report: Path | None, as_json: bool) -> None:
    """Say what this machine has, what is installed, what works and what to install.

    Each engine is tried on a tiny model of its own. `--report` writes a bundle for whoever helps you: versions,
    machine, settings and the last log lines, without secrets, prompts or answers.
    """
    facts = examine(test=not no_self_test, connect=connect)
    if report is not None:
        from workbench import paths
        from workbench.bundle import write_bundle
        from workbench.logs import tail

        names = write_bundle(report, facts, tail(paths.log_path(), 2000))
        say(f"{report}: {', '.join(names)}; secrets, prompts and answers are left out")
    if as_json:
        show_json(facts)
        return
    machine = facts["machine"]
    show(f"machine      {machine['cpu']}, {machine['physical_cores']} physical core(s), "
         f"{size(machine['memory_free'])} of {size(machine['memory_total'])} memory free")  # fmt: skip
    show(f"python       {facts['python']}")
    for name, installed in facts["libraries"].items():
        show(f"{'library' if name == _LIBRARIES[0] else '':<12} {name} {installed or 'not installed'}")
    for engine in facts["engines"]:
        _engine(engine)
    show(f"offload      {facts['offload']}")
    show(f"data folder  {facts['folder']}")
    show(f"history      {facts['history']}")
    show(f"models       {facts['models']} known")
    for index, (name, setting) in enumerate(facts["settings"].items()):
        show(f"{'' if index else 'settings':<12} {name} = {setting['value']} ({setting['from']})")
    for problem in facts["problems"]:
        say(f"problem: {problem}")


def _engine(engine: dict[str, Any]) -> None:
    """What one engine has and what came of its test."""
    versions = ", ".join(f"{name} {value or 'missing'}" for name, value in engine["versions"].items())
    show(f"engine       {engine['engine']}: {'installed' if engine['installed'] else 'not installed'} ({versions})")
    for device in engine["devices"]:
        show(f"{'':<12}   {device['name']} ({device['kind']}), {size(device['free'])} of {size(device['total'])} free")
    test = engine["self_test"]
    mark = {True: "works", False: "DOES NOT WORK", None: "self-test"}[test["ok"]]
    time = f" ({test['seconds']:.1f} s, {test['loading']:.1f} s of it to load)" if test["loading"] else ""
    show(f"{'':<12}   {mark}: {test['said']}{time}")
    for note in filter(None, (engine["note"], *engine["endpoints"])):
        show(f"{'':<12}   {note}")
    for line in engine["install"]:
        show(f"{'':<12}   to install: {line}")


def examine(*, test: bool = True, connect: bool = False) -> dict[str, Any]:
    """The facts as one object; what does not work stands under `problems`, each with what to do."""
    import msgspec

    from engines import hardware
    from engines.base import EngineError
    from workbench import paths, settings
    from workbench.core import Workbench
    from workbench.health import examine_engines
    from workbench.history import HistoryError

    problems: list[str] = []
    try:
        found, origin = settings.explain()
    except settings.SettingsError as error:
        problems.append(str(error))
        found, origin = settings.Settings(), {}
    core = Workbench(found)
    machine = hardware.machine(refresh=True, torch=True)
    listed: list[CatalogModel] = []
    try:
        problems += core.prepare_starters()
        listed = core.models()
        problems += [f"{model.name}: {model.problem}" for model in listed if model.problem]
        problems += core.catalog.notices
    except EngineError as error:
        problems.append(str(error))
    engines = examine_engines(core, machine, listed, test=test, connect=connect)
    problems += [
        f"the engine {one.engine} does not work: {one.self_test.said}" for one in engines if one.self_test.ok is False
    ]
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
        "libraries": {name: version(name) for name in _LIBRARIES},
        "engines": msgspec.to_builtins(engines),
        "offload": _offload(machine),
        "folder": str(paths.data_folder()),
        "history": history,
        "models": len(listed),
        "settings": {
            name: {"value": msgspec.to_builtins(getattr(found, name)), "from": origin.get(name, "default")}
            for name in settings.Settings.__struct_fields__
        },
        "problems": problems,
    }


def _offload(machine: Any) -> str:
    if machine.devices and machine.gpu_offload_supported:
        return "models are put on the GPU as far as they fit"
    if machine.gpu_note:
        return str(machine.gpu_note)
    return "none: this build of llama.cpp computes on the CPU"
