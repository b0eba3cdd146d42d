"""`culture-workbench models`: what is there, what can be had, and whether it works."""

from __future__ import annotations

import sys
from typing import Any

import click

from workbench.commands.output import (
    ProgressLine,
    Refused,
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
    """Models on this machine: list, scan, get, show, check, remove, restore."""


def _core() -> Any:
    from workbench.core import Workbench

    return Workbench()


def _object(model: Any) -> dict[str, Any]:
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(model)
    return value


@command.command("list")
@click.option(
    "--available", is_flag=True, help="The models that `models get` can fetch, instead of those that are here."
)
@json_option
@errors_in_one_line
def list_models(available: bool, as_json: bool) -> None:
    """Known models."""
    core = _core()
    if available:
        _available(core, as_json)
        return
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
        show(
            "No models yet. `culture-workbench models scan` looks where other programs keep theirs, `models scan "
            "FOLDER` in a folder; `models get` fetches one; `make install` brings two."
        )
        return
    _table(models)


def _available(core: Any, as_json: bool) -> None:
    """What can be fetched. Nothing is asked of the network."""
    from engines.hardware import machine
    from workbench.core import fit_offer

    offers = core.offers()
    if as_json:
        show_json({"models": [_object(offer) for offer in offers]})
        return
    facts = machine()
    rows = [
        (
            offer.name,
            f"{offer.parameters:g} B",
            size(offer.weight.size),
            fit_offer(offer, core.settings.context, facts).verdict,
            offer.group,
            " ".join(offer.languages[:4]) + (" …" if len(offer.languages) > 4 else ""),
            offer.licence + (" (gated)" if offer.gated else ""),
            "yes" if offer.verified else "no",
            offer.repository,
        )
        for offer in offers
    ]
    head = ("name", "parameters", "size", "memory", "for", "languages", "licence", "verified", "repository")
    show_table(head, rows, ("<", ">", ">", "<", "<", "<", "<", "<", "<"))
    say(
        "verified: repository and licence were read in the model's card when the list was made. "
        "`models get NAME` fetches one"
    )


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
    """Look for models in FOLDERS and remember them: .gguf files, and folders of safetensors.

    The application's own folder and those of the settings are always looked through. Without FOLDERS, the places where
    other programs keep models are as well: the Hugging Face cache, LM Studio, Ollama.
    """
    core = _core()
    catalog = core.catalog
    known = len(catalog.list())
    new = core.scan(folders)
    if not folders:
        for place in core.stores():
            say(f"{place.kind}: {place.path}{'' if place.exists else ' does not exist'}")
    for text in (*catalog.notices, *(f"{folder} cannot be read: check its permissions" for folder in catalog.unread)):
        say(text)
    if as_json:
        show_json({"models": [_object(model) for model in new]})
    elif new:
        _table(new)
    say(f"{len(new)} new, {known} known before")


@command.command("get")
@click.argument("model")
@click.option("--file", default="", help="Which .gguf file, where the repository has several.")
@click.option("--revision", default="", help="A branch, tag or commit; else the newest commit, which is recorded.")
@click.option("--yes", is_flag=True, help="Agree to the licence without being asked.")
@json_option
@errors_in_one_line
def get(model: str, file: str, revision: str, yes: bool, as_json: bool) -> None:
    """Download a MODEL: a name of `models list --available`, or a repository as organisation/name.

    This is the one command that uses the network. It says first what would come and under which licence. An interrupted
    download goes on where it ended; what came is checked against the hub's own checksums.
    """
    core = _core()
    looked = core.look_up(model, file=file, revision=revision)
    say(f"{looked.repository} at {looked.revision[:12]} from {looked.endpoint}")
    say(f"{len(looked.files)} file(s), {size(looked.size)}: {', '.join(wanted.name for wanted in looked.files)}")
    licence = " · ".join(filter(None, (looked.licence, looked.licence_note))) or "not said: read the model's card"
    say(f"licence: {licence}{' (gated: it was agreed to on the hub)' if looked.gated else ''}")
    if not yes:
        if not sys.stdin.isatty():
            raise Refused(f"{looked.name}: agree to the licence with --yes; nobody can be asked here")
        click.confirm(f"Fetch {looked.name} and agree to its licence?", abort=True, err=True)
    line = ProgressLine()
    with reading(line) as progress:
        found = core.fetch(looked, progress)
    if as_json:
        show_json(_object(found))
    else:
        show(found.path)
    say(f"{found.name} is there" + (f", but cannot be used: {found.problem}" if found.problem else ""))


@command.command("show")
@click.argument("model")
@json_option
@errors_in_one_line
def show_model(model: str, as_json: bool) -> None:
    """A MODEL's card: what its file says, its fingerprint, and whether it fits; of a server, what it can do."""
    from engines.hardware import machine
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
    fit = core.fit(found, machine(torch=found.engine == "hf"))
    if as_json:
        import msgspec

        show_json(_object(found) | {"fingerprint": fingerprint, "fit": msgspec.to_builtins(fit)})
        return
    context = f"{found.context:,}" if found.context else "not said"
    options = core.options(found.name)
    revision = f" at {found.revision[:12]}" if found.revision else ""
    for label, value in (
        ("name", found.name),
        ("file" if found.engine == "gguf" else "folder", found.path),
        ("from", " · ".join(filter(None, (found.source, f"{found.repository}{revision}")))),
        ("format", found.format),
        ("parameters", parameters(found.parameters)),
        ("size", size(found.size)),
        ("fingerprint", identity(fingerprint)),
        ("architecture", found.architecture),
        ("context", f"trained for {context} tokens, loaded with {found.window(options.context):,}"),
        ("vocabulary", f"{found.vocabulary:,}"),
        ("chat template", "yes" if found.template else "no (asked in plain form)"),
        ("own code", "asks for it; refused unless you allow it for this model" if found.remote_code else ""),
        ("languages", " ".join(found.languages)),
        ("licence", " · ".join(filter(None, (found.licence, found.licence_note)))),
        (
            "memory",
            f"{fit.verdict} on {fit.where}: weights {size(fit.weights)} + cache {size(fit.cache)} + buffers "
            f"{size(fit.buffers)} = {size(fit.total)} of {size(fit.free)} free"
            + (f" ({fit.note})" if fit.note else ""),
        ),
        ("note", found.note),
        ("problem", found.problem),
    ):
        if value:
            show(f"{label:<14} {value}")


def _place(card: Any) -> str:
    """Where a loaded model computes."""
    if card.engine == "endpoint":
        return f"{card.path}"
    return f"{card.device}, offload {card.offload}, {card.threads} thread(s)"


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
    from engines.hardware import machine
    from workbench.audits.tryout import SENTENCE, try_out

    core = _core()
    line = ProgressLine()
    with reading(line) as progress:
        core.prepare_starters(progress)
        found = core.usable(model, progress)
        before = machine(torch=found.engine == "hf")
        fit = None if found.engine == "endpoint" else core.fit(found, before)  # A server's memory is its own.
        line.update(f"loading {found.name}", final=True)
        engine = core.open_engine(model, progress=progress)
    try:
        checked = try_out(engine)
        taken = core.taken(engine, before)
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
                "memory": taken.memory,
                "taken": _object(taken),
                "fit": None if fit is None else _object(fit),
                "card": _object(card),
            }
        )
    else:
        kind = (card.architecture, card.quantisation, parameters(card.parameters))
        show(f"{card.name}: {', '.join(filter(None, kind)) or card.path}")
        trained = f" of {card.trained_context:,}" if card.trained_context else ""
        template = f"yes ({card.template_hash[:12]}…)" if card.template else "no (asked in plain form)"
        device = f" · {size(taken.device)} on the GPU" if taken.device else ""
        libraries = f", {size(taken.libraries)} of it libraries" if taken.libraries else ""
        estimated = f"; {size(fit.total)} were estimated" if fit is not None else ""
        for label, value in (
            ("fingerprint", identity(card.fingerprint)),
            ("runs on", _place(card)),
            ("context", f"{card.context:,}{trained} tokens, vocabulary {card.vocabulary:,}"),
            ("chat template", template),
            ("can", " · ".join(card.can)),
            ("licence", card.licence or found.licence),
            ("libraries", ", ".join(f"{name} {version}" for name, version in card.libraries.items())),
            ("scores", checked.said),
            ("sentence", f"{SENTENCE}{checked.sentence}"),
            ("speed", f"prompt {checked.prompt_pace:.0f} tok/s · answer {checked.answer_pace:.0f} tok/s"),
            ("memory", f"{size(taken.memory)}{libraries}{device}{estimated}" if taken.memory else ""),
        ):
            if value:
                show(f"{label:<14} {value}")
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
    """Forget a MODEL. Only files that this application put there itself are deleted: the starter models, and what
    `models get` fetched. Other files stay where they are."""
    core = _core()
    found = core.catalog.find(model)
    deletes = core.catalog.owns(found)
    if not yes:
        what = f" and delete its files ({size(found.size)})" if deletes else "; its files stay where they are"
        click.confirm(f"Forget {found.name}{what}?", abort=True, err=True)
    deleted = core.catalog.remove(found.name)
    for path in core.catalog.left:
        say(f"{path} is no longer as it was fetched, so it was left alone")
    say(f"{found.name}: {'its files are deleted' if deleted else 'forgotten; its files were left alone'}")
