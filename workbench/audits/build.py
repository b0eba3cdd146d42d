"""From what a user chose to a plan: conditions, items, seeds, all fixed before the first question."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from engines.base import LoadOptions, Sampling
from engines.describe import CatalogModel
from suites.base import Condition, Item, Suite, Task
from suites.tasks import task_for
from workbench.audits.errors import AuditError
from workbench.audits.plan import Plan, PlannedModel, PlannedSuite, PlannedTask

QUICK_TOKENS = 32
MAX_MODELS = 8


def build_plan(
    models: Sequence[CatalogModel],
    suites: Sequence[Suite],
    *,
    languages: Sequence[str] = (),
    limit: int = 0,
    quick: bool = False,
    repeats: int = 1,
    orders: int = 0,
    seed: int = 2024,
    options: Mapping[str, LoadOptions] | None = None,
) -> Plan:
    """The plan of an audit of `models` (with their fingerprints) on `suites`.

    `languages` keeps only those (of a task that has none of them, nothing is asked); `limit` draws that many items of
    each suite, the same for every model; `orders` caps the option orders (0: as the suite says); `quick` keeps one
    order and one wording; `options` says by name how models are loaded. Raises AuditError for what makes no audit.
    """
    if not models:
        raise AuditError("no model chosen: choose at least one")
    if len(models) > MAX_MODELS:
        raise AuditError(f"{len(models)} models are too many to compare: choose at most {MAX_MODELS}")
    if not suites:
        raise AuditError("no suite chosen: choose at least one")
    if repeats < 1 or limit < 0 or orders < 0:
        raise AuditError("repeats must be 1 or more, limit and orders 0 or more")
    for chosen, what in ((models, "model"), (suites, "suite")):
        names = [getattr(one, "path", None) or getattr(one, "id", "") for one in chosen]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise AuditError(f"the {what} {twice} was chosen twice")
    _check_languages(languages, suites)
    tasks = [task for suite in suites for task in _tasks(suite, languages, limit, quick, orders, seed)]
    if not tasks:
        raise AuditError(f"none of the suites asks anything in {', '.join(languages)}")
    return Plan(
        models=_models(models, options or {}),
        suites=tuple(PlannedSuite(id=suite.id, version=suite.version, hash=suite.hash) for suite in suites),
        tasks=tuple(tasks),
        repeats=repeats,
        sampling=Sampling(max_tokens=QUICK_TOKENS if quick else 0),
        seed=seed,
        quick=quick,
        limit=limit,
    )


def _check_languages(languages: Sequence[str], suites: Sequence[Suite]) -> None:
    known = sorted({language for suite in suites for language in suite.languages})
    folded = {language.casefold(): language for language in known}
    for language in languages:
        if language not in known:
            near = difflib.get_close_matches(language.casefold(), list(folded), 1, 0.4)
            hint = f": did you mean {folded[near[0]]}?" if near else ""
            raise AuditError(f"these suites ask nothing in {language!r}{hint} (they know {', '.join(known)})")


def _models(models: Sequence[CatalogModel], options: Mapping[str, LoadOptions]) -> tuple[PlannedModel, ...]:
    planned = []
    for model in models:
        if model.problem:
            raise AuditError(f"{model.name} cannot be used: {model.problem}")
        if not model.fingerprint:
            raise AuditError(f"{model.name} has no fingerprint yet")
        planned.append(
            PlannedModel(
                key=model.name,
                name=model.name,
                path=model.path,
                fingerprint=model.fingerprint,
                template=model.template,
                options=options.get(model.name, LoadOptions()),
            )
        )
    return tuple(planned)


def _tasks(
    suite: Suite, languages: Sequence[str], limit: int, quick: bool, orders: int, seed: int
) -> list[PlannedTask]:
    items = draw(suite.items, limit, seed)
    planned = []
    for spec in suite.tasks:
        task = task_for(suite, spec.id)
        # Not every item has a text in every language: conditions under which the same items are asked go together.
        asked: dict[tuple[str, ...], list[Condition]] = {}
        for condition in _conditions(task, items, languages, quick, orders):
            which = tuple(item.hash for item in items if task.asks(item, condition.language, condition.context))
            if which:
                asked.setdefault(which, []).append(condition)
        planned += [
            PlannedTask(suite=suite.id, task=spec.id, form=spec.form, conditions=tuple(conditions), items=which)
            for which, conditions in asked.items()
        ]
    return planned


def _conditions(
    task: Task, items: Sequence[Item], languages: Sequence[str], quick: bool, orders: int
) -> tuple[Condition, ...]:
    wanted = 1 if quick else orders or task.spec.orders
    # As many as every item has: an order that comes twice would pass for an answer that keeps.
    count = min((task.orders(item, wanted) for item in items), default=1)
    found = []
    for prompt in task.spec.prompts:
        if (languages and prompt.language not in languages) or (quick and prompt.version != 1):
            continue
        found += [
            Condition(language=prompt.language, version=prompt.version, order=order, context=prompt.context, part=part)
            for order in range(count)
            for part in task.parts or ("",)
        ]
    places = {language: index for index, language in enumerate(task.suite.languages)}
    steps = {context: index for index, context in enumerate(dict.fromkeys(p.context for p in task.spec.prompts))}

    def rank(one: Condition) -> tuple[int, ...]:
        place = places.get(one.language, len(places))
        return place, steps[one.context], one.version, one.order, [*task.parts, one.part].index(one.part)

    return tuple(sorted(found, key=rank))


def draw(items: Sequence[Item], limit: int, seed: int) -> tuple[Item, ...]:
    """`limit` items, evenly from the strata, in their stored order; all when `limit` is 0.

    Within a stratum the order is by a hash of seed and item, and strata take turns in an order drawn the same way: so
    the draw does not depend on how the items are stored, and a smaller limit draws a part of a larger one's items.
    """
    if limit == 0 or limit >= len(items):
        return tuple(items)

    def lot(text: str) -> bytes:
        return hashlib.sha256(f"{seed}\n{text}".encode()).digest()

    strata: dict[str, list[Item]] = {}
    for item in items:
        strata.setdefault(item.stratum, []).append(item)
    # By cluster: of a template that comes in every stratum the same ones are drawn in each, so that they can be paired.
    queues = [sorted(strata[name], key=lambda item: lot(item.unit)) for name in sorted(strata, key=lot)]
    drawn: set[str] = set()
    turn = 0
    while len(drawn) < limit:
        for queue in queues:
            if turn < len(queue) and len(drawn) < limit:
                drawn.add(queue[turn].hash)
        turn += 1
    return tuple(item for item in items if item.hash in drawn)


def sampling_for(plan: Plan, asked: Sampling) -> Sampling:
    """The plan's way of drawing, with a task's own stop strings and number of new tokens, which the plan caps (0: not
    at all)."""
    cap = plan.sampling.max_tokens
    most = min(asked.max_tokens, cap) if cap else asked.max_tokens
    return msgspec.structs.replace(plan.sampling, max_tokens=most, stop=asked.stop)
