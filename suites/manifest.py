"""What the schema's types cannot say of a manifest: names that must be known, prompts that must be there and fit."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from suites.base import PromptText, TaskSpec
from suites.kinds import ITEM_KINDS
from suites.kinds.twin_text import AttributeSet
from suites.schema import Fault, Manifest
from suites.tasks import RULES

PROMPT_LIMIT = 4_000
"""Wordings of one task."""


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
    if not 1 <= task.orders <= 40:
        yield "orders", "must be from 1 to 40"
    if not 1 <= task.max_tokens <= 4096:
        yield "max_tokens", "must be from 1 to 4096"
    rule = RULES.get(task.rule)
    if rule is None:
        yield "rule", f"{task.rule!r} is not known{nearest(task.rule, RULES)}"
        return
    if task.kind != rule.kind:
        yield "kind", f"must be {rule.kind} for the rule {task.rule}"
    kinds = rule.item_kinds or (rule.item_kind,)
    if manifest.item_kind in ITEM_KINDS and manifest.item_kind not in kinds:
        yield "rule", f"judges items of kind {' or '.join(kinds)}, not {manifest.item_kind}"
        return
    yield from _prompts_faults(manifest, task)
    kind = ITEM_KINDS.get(manifest.item_kind)
    required, optional = rule.placeholders, rule.optional
    words = rule.answers
    if kind is not None:
        required, optional = (*kind.required, *required), (*kind.optional, *optional)
        words = (len(kind.answers), len(kind.answers)) if kind.answers else words
    for index, prompt in enumerate(task.prompts):
        for place, message in _prompt_faults(prompt, required, optional, words):
            yield f"prompts[{index}].{place}", message
    if len({"{options}" in prompt.text for prompt in task.prompts}) > 1:
        yield "prompts", "list the options in some wordings and not in others"
    if task.labels and not all("{options}" in prompt.text for prompt in task.prompts):
        yield "labels", "call options by a label, but not every prompt lists them"
    if task.rule == "twin-association" and task.attributes not in get_args(AttributeSet):
        yield "attributes", f"must be one of {', '.join(get_args(AttributeSet))}"
    if task.rule != "twin-association" and task.attributes:
        yield "attributes", f"is not a field of the rule {task.rule}"


def _prompts_faults(manifest: Manifest, task: TaskSpec) -> Iterator[Fault]:
    """Every language must have every version in every context."""
    if len(task.prompts) > PROMPT_LIMIT:
        yield "prompts", f"holds {len(task.prompts):,} texts; at most {PROMPT_LIMIT:,} are read"
        return
    versions = sorted({prompt.version for prompt in task.prompts})
    contexts = list(dict.fromkeys(prompt.context for prompt in task.prompts))
    if (many := len(manifest.languages) * len(versions) * len(contexts)) > PROMPT_LIMIT:
        yield "prompts", f"would need {many:,} texts: one for every language, version and context"
        return
    wanted = {
        (language, version, context) for language in manifest.languages for version in versions for context in contexts
    }
    asked = [(prompt.language, prompt.version, prompt.context) for prompt in task.prompts]
    yield from _repeated("prompts", [_place(*place) for place in asked])
    if versions != list(range(1, len(versions) + 1)) or not versions:
        yield "prompts", "must have versions 1, 2, … without a gap"
    for place in sorted(wanted - set(asked)):
        yield "prompts", f"has no text for {_place(*place)}"
    for place in sorted(set(asked) - wanted):
        yield "prompts", f"has a text for {_place(*place)}, which is not a language of the suite"
    for index, context in enumerate(contexts):
        if context and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", context):
            yield f"prompts[{index}].context", "holds other characters than lower-case letters, digits and '-'"


def _place(language: str, version: int, context: str) -> str:
    return f"{language}, version {version}" + (f", context {context}" if context else "")


def _prompt_faults(
    prompt: PromptText, wanted: tuple[str, ...], allowed: tuple[str, ...], words: tuple[int, int]
) -> Iterator[Fault]:
    found = placeholders(prompt.text)
    for name in wanted:
        if found.count(name) != 1:
            yield "text", f"must hold {{{name}}} once, but does so {found.count(name)} times"
    for name in allowed:
        if found.count(name) > 1:
            yield "text", f"must hold {{{name}}} once at most, but does so {found.count(name)} times"
    if extra := sorted(set(found) - set(wanted) - set(allowed)):
        yield "text", f"{{{extra[0]}}} is not a placeholder of this task"
    if prompt.text.count("{") != len(found) or prompt.text.count("}") != len(found):
        yield "text", "holds a brace that belongs to no placeholder"
    if "candidates" in wanted and not prompt.separator:
        yield "separator", "is missing: it stands between the candidates"
    if not words[0] <= len(prompt.answers) <= words[1]:
        many = str(words[0]) if words[0] == words[1] else f"{words[0]} to {words[1]}"
        yield "answers", f"must hold {many} words, but holds {len(prompt.answers)}"
    if len({answer.casefold() for answer in prompt.answers}) < len(prompt.answers) or "" in prompt.answers:
        yield "answers", "holds a word twice, or an empty one"
    texts = (prompt.text, prompt.lead, prompt.tail, prompt.cue, prompt.separator, prompt.examples, *prompt.answers)
    if max(map(len, texts)) > 20_000:
        yield "text", "is longer than 20,000 characters"


def _repeated(place: str, names: Sequence[str]) -> Iterator[Fault]:
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        yield place, f"holds {name!r} twice"


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: what may have been meant, or what there is."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name[:64], names, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there is {', '.join(names[:8])}" if names else ""
