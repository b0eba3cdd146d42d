"""The card of one model: what its file says, what it takes, and how it runs. Pure text, made for a width."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.style import Style
from rich.text import Text

from engines.base import LoadOptions, ModelCard
from workbench.audits.tryout import SENTENCE, Checked
from workbench.text import cells, safe_text, size

if TYPE_CHECKING:
    from engines.describe import CatalogModel
    from engines.hardware import Fit, Machine
    from workbench.core import Taken
    from workbench.settings import Loading

_LABEL = 13
_GAP = "    "
_FINGERPRINT = 12

Row = tuple[str, list[str]]
"""A label and its facts."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the screen knows of the model that it shows."""

    model: CatalogModel
    options: LoadOptions
    """How it would be loaded now."""
    machine: Machine | None = None
    fit: Fit | None = None
    card: ModelCard | None = None
    """None while it is not loaded."""
    loaded: LoadOptions | None = None
    """How it was loaded."""
    memory: int = 0
    """Bytes that it has in use."""
    taken: Taken | None = None
    """What it really took when it was loaded."""
    checked: Checked | None = None


def rows(seen: Seen) -> list[Row]:
    """All that is to be said, in the order of its importance."""
    model = seen.model
    found: list[Row] = [
        ("problem", [f"cannot be used: {model.problem}"] if model.problem else []),
        ("fingerprint", _identity(seen)),
        ("memory", _memory(seen)),
        ("offload", _offload(seen)),
        ("speed", _speed(seen)),
        ("check", _check(seen)),
        ("languages", [" ".join(model.languages)] if model.languages else ["the file does not say"]),
        ("licence", [part for part in (model.licence, model.licence_note) if part] or ["the file does not say"]),
        ("from", _source(model)),
        ("note", [model.note] if model.note else []),
        ("own code", ["its folder asks for it; refused unless you allow it (o)"] if model.remote_code else []),
        ("path", [_short(model.path)]),
    ]
    return [(label, facts) for label, facts in found if facts]


def _identity(seen: Seen) -> list[str]:
    model = seen.model
    if model.problem and not model.parameters:
        return []
    digest = seen.card.fingerprint if seen.card else model.fingerprint
    if model.engine == "endpoint":
        said = "what the server says of itself, not its weights"
        facts = [f"{digest[: len('endpoint:') + _FINGERPRINT]}… ({said})" if digest else "asked when it is used"]
        return [*facts, *([f"can {' · '.join(seen.card.can)}"] if seen.card else [])]
    facts = [f"{digest[:_FINGERPRINT]}…" if digest else "read when it is loaded for the first time"]
    if model.context:
        facts.append(f"context {model.context:,}")
    if model.vocabulary:
        facts.append(f"vocabulary {model.vocabulary:,}")
    facts.append(f"chat template {'yes' if model.template else 'no'}")
    card = seen.card or (seen.checked.card if seen.checked else None)
    if card is not None and card.can:
        facts.append(f"can {' · '.join(card.can)}")
    return facts


def _memory(seen: Seen) -> list[str]:
    fit = seen.fit
    if fit is None:
        return []
    facts = [
        f"weights {size(fit.weights)} + cache {size(fit.cache)} (context {seen.model.window(seen.options.context):,})"
        f" + buffers {size(fit.buffers)}",
        f"{size(fit.total)} of {size(fit.free)} free",
    ]
    if seen.card is not None:
        return [*facts, _in_use(seen)] if seen.memory else facts
    return [*facts, f"{fit.verdict}: {fit.note}" if fit.note else fit.verdict]


def _in_use(seen: Seen) -> str:
    """What it has now, and what of that are libraries and not the model."""
    said = f"in use {size(seen.memory)}"
    if seen.taken is not None and seen.taken.libraries:
        said += f", {size(seen.taken.libraries)} of it libraries"
    if seen.taken is not None and seen.taken.device:
        said += f", and {size(seen.taken.device)} on the GPU"
    return said


def _source(model: CatalogModel) -> list[str]:
    """Whose store it lies in, and which revision of which repository it is."""
    revision = f" at {model.revision[:8]}" if model.revision else ""
    fetched = "fetched here" if model.origin == "fetched" else ""
    return [part for part in (model.source or fetched, f"{model.repository}{revision}") if part]


def _offload(seen: Seen) -> list[str]:
    if seen.model.problem and seen.card is None:
        return []
    if seen.model.engine == "hf":
        return _torch(seen)
    plan = planned(seen.options.gpu_layers, seen.machine)
    if seen.card is None:
        fit = seen.fit
        return [plan, f"{fit.layers} of {fit.of_layers} layers fit"] if fit and fit.where != fit.device else [plan]
    here = "none" if seen.card.offload == "none" else f"{seen.card.offload} layers"
    facts = [f"{here}, on {seen.card.device}"]
    if seen.loaded is not None and seen.loaded.gpu_layers != seen.options.gpu_layers:
        facts.append(f"when it is loaded again: {plan}")
    calibrated = "as set" if seen.loaded is not None and seen.loaded.threads else "calibrated"
    return [*facts, f"threads {seen.card.threads} ({calibrated})"]


def _torch(seen: Seen) -> list[str]:
    """Where a safetensors model runs, or will."""
    if seen.card is not None:
        return [f"on {seen.card.device}", f"threads {seen.card.threads}"]
    facts = [f"on {seen.fit.where}"] if seen.fit else ["automatic"]
    if seen.machine is not None and not seen.machine.torch:
        return ["torch is not installed: culture-workbench doctor says how"]
    return [*facts, seen.machine.torch_note] if seen.machine is not None and seen.machine.torch_note else facts


def planned_device(own: Loading) -> str:
    """What was chosen for a safetensors model, in words."""
    return f"device {own.device or 'auto'} · numbers {own.dtype or 'auto'}"


def planned(layers: int, machine: Machine | None) -> str:
    """Where the layers of a model will go, in words."""
    wanted = {-1: "automatic", 0: "none"}.get(layers, f"{layers} layers")
    if machine is None or layers == 0:
        return wanted
    if not machine.devices or not machine.gpu_offload_supported:
        note = machine.gpu_note or "no GPU was found"
        return f"none ({note})" if layers == -1 else f"{wanted} asked for, none possible ({note})"
    return f"{wanted}: as many layers as fit" if layers == -1 else wanted


def _speed(seen: Seen) -> list[str]:
    checked = seen.checked
    if checked is None:
        return []
    facts = [f"prompt {checked.prompt_pace:.0f} tok/s · answer {checked.answer_pace:.0f} tok/s"]
    return facts if seen.card else [*facts, f"threads {checked.card.threads}"]


def _check(seen: Seen) -> list[str]:
    checked = seen.checked
    if checked is None:
        return []
    return [f"{'passed' if checked.ok else 'NOT PASSED'}: {checked.said}", f"“{SENTENCE}{checked.sentence}”"]


def drawn(lines: Iterable[Row], width: int, marked: Style) -> Text:
    """The rows within `width` cells: facts stay whole where they can, and no character is lost. `marked` is the style
    of what speaks against the model."""
    text = Text(end="")
    room = max(8, width - _LABEL)
    for label, facts in lines:
        style: Style | str = marked if label == "problem" or any(fact.startswith("NOT ") for fact in facts) else ""
        for number, line in enumerate(_flow([safe_text(fact) for fact in facts], room)):
            text.append((label if number == 0 else "").ljust(_LABEL), style="dim")
            text.append(f"{line}\n", style=style)
    text.right_crop(1)
    return text


def _flow(facts: Iterable[str], width: int) -> list[str]:
    """Facts side by side as long as they fit, else on lines of their own."""
    lines: list[str] = []
    for fact in facts:
        if lines and cells(lines[-1]) + len(_GAP) + cells(fact) <= width:
            lines[-1] += _GAP + fact
        else:
            lines += wrapped(fact, width)
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken between words, and within those that are too long."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cells(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if cells(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _short(path: str) -> str:
    """A path with the user's own folder as `~`."""
    home = str(Path.home())
    return f"~{path.removeprefix(home)}" if path.startswith(home + os.sep) else path
