"""`culture-workbench models`: what is there, and whether it works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.commands.output import (
    ProgressLine,
    RunFailed,
    errors_in_one_line,
    json_option,
    reading,
    say,
    show,
    show_json,
    show_table,
)
from workbench.text import identity, parameters, size


@click.group("models")
def command() -> None:
    """Models on this machine: list, scan folders, show, check, remove, restore."""


def _core() -> Any:
    from workbench.core import Workbench

    return Workbench()


def _object(model: Any) -> dict[str, Any]:
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(model)
    return value


@command.command("list")
@json_option
@errors_in_one_line
def list_models(as_json: bool) -> None:
    """Known models."""
    core = _core()
    line = ProgressLine()
    with reading(line) as progress:
        told = core.prepare_starters(progress)
    for text in told:
        say(text)
    catalog = core.catalog
    models = core.models()
    for text in catalog.notices:
        say(text)
    if as_json:
        show_json({"models": [_object(model) for model in models]})
        return
    if not models:
        show("No models yet. `culture-workbench models scan FOLDER` looks for .gguf files; `make install` brings two.")
        return
    _table(models)


def _table(models: Any) -> None:
    rows = [
        (
            model.name,
            model.format,
            parameters(model.parameters) if model.parameters or model.engine != "endpoint" else "",
            size(model.size) if model.size or model.engine != "endpoint" else "",
            " ".join(model.languages[:4]),
            model.licence,
            f"cannot be used: {model.problem}" if model.problem else model.path,
        )
        for model in models
    ]
    head = ("name", "format", "parameters", "size", "languages", "licence", "path")
    show_table(head, rows, ("<", "<", ">", ">", "<", "<", "<"))


@command.command("scan")
@click.argument("folders", nargs=-1, type=click.Path())
@json_option
@errors_in_one_line
def scan(folders: tuple[str, ...], as_json: bool) -> None:
    """Look for .gguf files in FOLDERS (and in the application's own folder) and remember them."""
    core = _core()
    catalog = core.catalog
    known = len(catalog.list())
    new = catalog.scan(Path(folder).expanduser() for folder in (*core.settings.model_folders, *folders))
    for text in (*catalog.notices, *(f"{folder} cannot be read: check its permissions" for folder in catalog.unread)):
        say(text)
    if as_json:
        show_json({"models": [_object(model) for model in new]})
    elif new:
        _table(new)
    say(f"{len(new)} new, {known} known before")


@command.command("show")
@click.argument("model")
@json_option
@errors_in_one_line
def show_model(model: str, as_json: bool) -> None:
    """A MODEL's card: what its file says, its fingerprint, and whether it fits; of a server, what it can do."""
    from engines.hardware import fits, machine
    from workbench import endpoints

    core = _core()
    address = endpoints.address_of(model, core.settings)
    if address is not None:
        _show_endpoint(core, model, as_json)
        return
    line = ProgressLine()
    with reading(line) as progress:
        core.prepare_starters(progress)
        found = core.catalog.find(model)
        fingerprint = found.fingerprint if found.problem else core.usable(found.name, progress).fingerprint
    fit = fits(found, core.settings.context, machine())
    if as_json:
        import msgspec

        fit_object = msgspec.to_builtins(fit)
        show_json(_object(found) | {"fingerprint": fingerprint, "fit": fit_object})
        return
    context = f"{found.context:,}" if found.context else "not said"
    for label, value in (
        ("name", found.name),
        ("file", found.path),
        ("format", found.format),
        ("parameters", parameters(found.parameters)),
        ("size", size(found.size)),
        ("fingerprint", identity(fingerprint)),
        ("architecture", found.architecture),
        ("context", f"trained for {context} tokens, loaded with {core.settings.context:,}"),
        ("vocabulary", f"{found.vocabulary:,}"),
        ("chat template", "yes" if found.template else "no (asked in plain form)"),
        ("languages", " ".join(found.languages)),
        ("licence", " · ".join(filter(None, (found.licence, found.licence_note)))),
        (
            "memory",
            f"{fit.verdict} on {fit.device}: weights {size(fit.weights)} + cache {size(fit.cache)} + buffers "
            f"{size(fit.buffers)} of {size(fit.free)} free",
        ),
        ("problem", found.problem),
    ):
        if value:
            show(f"{label:<14} {value}")


def _show_endpoint(core: Any, name: str, as_json: bool) -> None:
    """What a server says of a model, and what it was found to do."""
    engine = core.open_engine(name)
    try:
        card = engine.card
    finally:
        engine.close()
    if as_json:
        show_json(_object(card))
        return
    for label, value in (
        ("name", card.name),
        ("servers", card.path),
        ("engine", card.engine),
        ("identity", identity(card.fingerprint)),
        ("parameters", parameters(card.parameters) if card.parameters else "the server does not say"),
        ("context", f"{card.context:,}" if card.context else "the server does not say"),
        ("can", ", ".join(card.can)),
        *((f"no {what}", why) for what, why in card.cannot.items()),
    ):
        show(f"{label:<14} {value}")


@command.command("check")
@click.argument("model")
@json_option
@errors_in_one_line
def check(model: str, as_json: bool) -> None:
    """Load a MODEL, compare its fast with its plain scores, let it write a sentence, and say how fast it is."""
    from workbench.audits.tryout import SENTENCE, try_out

    core = _core()
    line = ProgressLine()
    with reading(line) as progress:
        core.prepare_starters(progress)
        line.update(f"loading {model}", final=True)
        engine = core.open_engine(model, progress=progress)
    try:
        checked = try_out(engine)
        memory = getattr(engine, "memory", lambda: 0)()
    finally:
        engine.close()
    card = checked.card
    if as_json:
        show_json(
            {
                "name": card.name,
                "ok": checked.ok,
                "canary": checked.said,
                "sentence": checked.sentence,
                "prompt_tokens_per_second": checked.prompt_pace,
                "answer_tokens_per_second": checked.answer_pace,
                "memory": memory,
                "card": _object(card),
            }
        )
    else:
        kind = [card.path] if card.engine == "endpoint" else [card.architecture, card.quantisation]
        threads = "" if card.engine == "endpoint" else f", {card.threads} thread(s)"
        show(f"{card.name}: {', '.join(kind)}, on {card.device}{threads}")
        show(f"scores         {checked.said}")
        show(f"sentence       {SENTENCE}{checked.sentence}")
        show(f"speed          prompt {checked.prompt_pace:.0f} tok/s · answer {checked.answer_pace:.0f} tok/s")
        if memory:
            show(f"memory         {size(memory)}")
    if not checked.ok:
        raise RunFailed(f"{card.name} does not pass the check: {checked.said}")


@command.command("restore")
@errors_in_one_line
def restore() -> None:
    """Put the starter models back that were removed."""
    line = ProgressLine()
    with reading(line) as progress:
        told = _core().prepare_starters(progress, restore=True)
    for text in told or ["Both starter models are there."]:
        say(text)


@command.command("remove")
@click.argument("model")
@click.option("--yes", is_flag=True, help="Do not ask.")
@errors_in_one_line
def remove(model: str, yes: bool) -> None:
    """Forget a MODEL. Only a starter model's file is deleted; other files stay where they are."""
    core = _core()
    found = core.catalog.find(model)
    deletes = found.origin == "starter"
    if not yes:
        click.confirm(f"Forget {found.name}{' and delete its file' if deletes else ''}?", abort=True, err=True)
    deleted = core.catalog.remove(found.name)
    say(f"{found.name}: {'its file is deleted' if deleted else 'forgotten; its file was left alone'}")
