"""What the schema's types cannot say of a manifest: names that must be known, prompts that must be there and fit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

from suites.base import PromptText, TaskSpec
from suites.schema import ITEM_KINDS, Fault, Manifest
from suites.tasks import RULES


def placeholders(text: str) -> tuple[str, ...]:
    """Everything in braces in a prompt, in order."""
    return tuple(re.findall(r"\{([^{}]*)\}", text))


def manifest_faults(manifest: Manifest) -> Iterator[Fault]:
    """What the schema's types cannot say of a manifest."""
    kind = ITEM_KINDS.get(manifest.item_kind)
    if kind is None:
        yield "item_kind", f"{manifest.item_kind!r} is not known{nearest(manifest.item_kind, ITEM_KINDS)}"
    elif kind.languages and (extra := sorted(set(manifest.languages) - set(kind.languages))):
        yield "languages", f"items of kind {manifest.item_kind} have no texts in {', '.join(extra)}"
    yield from _repeated("languages", manifest.languages)
    yield from _repeated("tasks", [task.id for task in manifest.tasks])
    yield from _repeated("sources", [source.id for source in manifest.sources])
    for index, source in enumerate(manifest.sources):
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", source.id):
            yield f"sources[{index}].id", "holds other characters than lower-case letters, digits, '.', '_' and '-'"
    for index, task in enumerate(manifest.tasks):
        for place, message in _task_faults(manifest, task):
            yield f"tasks[{index}].{place}", message


def _task_faults(manifest: Manifest, task: TaskSpec) -> Iterator[Fault]:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", task.id):
        yield "id", "holds other characters than lower-case letters, digits and '-'"
    if not 1 <= task.orders <= 720:
        yield "orders", "must be from 1 to 720"
    if not 1 <= task.max_tokens <= 4096:
        yield "max_tokens", "must be from 1 to 4096"
    rule = RULES.get(task.rule)
    if rule is None:
        yield "rule", f"{task.rule!r} is not known{nearest(task.rule, RULES)}"
        return
    if task.kind != rule.kind:
        yield "kind", f"must be {rule.kind} for the rule {task.rule}"
    if manifest.item_kind in ITEM_KINDS and manifest.item_kind != rule.item_kind:
        yield "rule", f"judges items of kind {rule.item_kind}, not {manifest.item_kind}"
    versions = sorted({prompt.version for prompt in task.prompts})
    wanted = {(language, version) for language in manifest.languages for version in versions}
    asked = [(prompt.language, prompt.version) for prompt in task.prompts]
    yield from _repeated("prompts", [f"{language} version {version}" for language, version in asked])
    if versions != list(range(1, len(versions) + 1)) or not versions:
        yield "prompts", "must have versions 1, 2, … without a gap"
    for language, version in sorted(wanted - set(asked)):
        yield "prompts", f"has no text for {language}, version {version}"
    for language, version in sorted(set(asked) - wanted):
        yield "prompts", f"has a text for {language}, version {version}, which is not a language of the suite"
    for index, prompt in enumerate(task.prompts):
        for place, message in _prompt_faults(prompt, rule.placeholders):
            yield f"prompts[{index}].{place}", message


def _prompt_faults(prompt: PromptText, wanted: tuple[str, ...]) -> Iterator[Fault]:
    found = placeholders(prompt.text)
    for name in wanted:
        if found.count(name) != 1:
            yield "text", f"must hold {{{name}}} once, but does so {found.count(name)} times"
    if extra := sorted(set(found) - set(wanted)):
        yield "text", f"{{{extra[0]}}} is not a placeholder of this task"
    if prompt.text.count("{") != len(found) or prompt.text.count("}") != len(found):
        yield "text", "holds a brace that belongs to no placeholder"
    if "candidates" in wanted and not prompt.separator:
        yield "separator", "is missing: it stands between the candidates"
    if max(map(len, (prompt.text, prompt.lead, prompt.cue, prompt.separator, prompt.examples))) > 20_000:
        yield "text", "is longer than 20,000 characters"


def _repeated(place: str, names: Sequence[str]) -> Iterator[Fault]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield place, f"holds {name!r} twice"


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: what may have been meant, or what there is."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name[:64], names, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there is {', '.join(names[:8])}" if names else ""
