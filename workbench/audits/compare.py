"""Two audits side by side: what changed, on the items that are the same in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

import msgspec

from suites.base import Metric, Suite
from suites.tasks import task_for
from workbench.audits.contrasts import adjust, compare_values
from workbench.audits.gather import Asked, Gathered, Presentation, asked_in, gather, gives
from workbench.audits.plan import Plan
from workbench.statistics.clusters import cluster_means, paired_means
from workbench.statistics.paired import PairedComparison
from workbench.statistics.wording import describe_difference, differs

if TYPE_CHECKING:
    from workbench.history import History

Status = Literal["changed", "same", "unknown", "new", "gone"]
_Place = tuple[str, str, Asked]
"""Suite, task, language and context."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of one model in one language, before (first audit) and after (second). `difference` is after minus
    before over the questions that both audits asked and that have a usable answer in both; `n` counts items. For
    `new` and `gone` only one side has a figure, over all its own items; for `unknown` there is no such question."""

    status: Status
    suite: str
    task: str
    metric: str
    title: str
    unit: Literal["%", "nats", "steps"]
    model: str
    condition: dict[str, str]
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    """By Holm over the changes of this metric, all models and languages."""
    test: str = ""
    n: int = 0
    family: int = 0
    words: str = ""


class SuiteOverlap(msgspec.Struct, frozen=True, kw_only=True):
    """A suite of either audit. Items are equal when their hashes are; "" as version where an audit does not have it."""

    suite: str
    version_a: str
    version_b: str
    equal: int
    only_a: int
    only_b: int
    wording: bool
    """Whether the questions or rules of the tasks differ, so that a change need not be the model's."""


class AuditComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two audits, by their ids; `summary` says in plain lines what could be compared."""

    a: str
    b: str
    suites: tuple[SuiteOverlap, ...]
    models: tuple[tuple[str, str], ...]
    """Keys of the models that were paired: (in a, in b)."""
    changes: tuple[Change, ...]
    summary: tuple[str, ...]

    @property
    def items(self) -> int:
        """How many items are equal in both."""
        return sum(overlap.equal for overlap in self.suites)


class _Side(msgspec.Struct):
    plan: Plan
    suites: dict[str, Suite]
    gathered: Gathered
    noise: dict[str, float]

    def values(self, metric: Metric, place: _Place, model: str) -> dict[Presentation, float]:
        cell = self.gathered.cells.get((place[0], place[1], model, place[2]))
        return {} if cell is None else cell.values(metric)

    def metrics(self) -> dict[tuple[_Place, str], Metric]:
        """Every metric that this audit gives, by place and metric id, in the order of the plan."""
        found = {}
        for planned in self.plan.tasks:
            task = task_for(self.suites[planned.suite], planned.task)
            for metric in task.metrics:
                for asked in asked_in(self.plan, planned.suite, planned.task):
                    if gives(metric, asked):
                        found[(planned.suite, planned.task, asked), metric.id] = metric
        return found


def compare_audits(history: History, a: str, b: str) -> AuditComparison:
    """What changed from audit `a` to audit `b` (ids). Models are paired by fingerprint, else by name; items are equal
    by hash only. Raises HistoryError."""
    first, second = _side(history, a), _side(history, b)
    models = _same_models(first.plan, second.plan)
    overlaps = _overlaps(first, second)
    changes = _in_order([*_paired(first, second, models), *_unpaired(first, second, models)], first, second)
    return AuditComparison(
        a=a,
        b=b,
        suites=tuple(overlaps),
        models=tuple(models),
        changes=tuple(changes),
        summary=tuple(_summary(first, second, models, overlaps, changes)),
    )


def _side(history: History, audit: str) -> _Side:
    plan, suites = history.plan(audit), history.suites(audit)
    return _Side(
        plan,
        {suite.id: suite for suite in suites},
        gather(plan, suites, history.judged(audit)),
        {key: row.floor for key, row in history.noise(audit).items()},
    )


def _same_models(a: Plan, b: Plan) -> list[tuple[str, str]]:
    """Pairs of keys: the same weights first (of copies, the one of the same name), then the same name; each model in
    one pair at most."""
    pairs: dict[str, str] = {}
    for alike in (attrgetter("fingerprint", "name"), attrgetter("fingerprint"), attrgetter("name")):
        for left in a.models:
            if left.key in pairs:
                continue
            for right in b.models:
                if right.key not in pairs.values() and alike(left) == alike(right):
                    pairs[left.key] = right.key
                    break
    return [(model.key, pairs[model.key]) for model in a.models if model.key in pairs]


def _overlaps(a: _Side, b: _Side) -> list[SuiteOverlap]:
    found = []
    for name in dict.fromkeys([*a.suites, *b.suites]):
        left, right = a.suites.get(name), b.suites.get(name)
        asked_a, asked_b = _asked(a.plan, name), _asked(b.plan, name)
        found.append(
            SuiteOverlap(
                suite=name,
                version_a=left.version if left is not None else "",
                version_b=right.version if right is not None else "",
                equal=len(asked_a & asked_b),
                only_a=len(asked_a - asked_b),
                only_b=len(asked_b - asked_a),
                wording=left is not None and right is not None and left.tasks != right.tasks,
            )
        )
    return found


def _asked(plan: Plan, suite: str) -> set[str]:
    return {item for task in plan.tasks if task.suite == suite for item in task.items}


def _paired(a: _Side, b: _Side, models: Sequence[tuple[str, str]]) -> list[Change]:
    """The metrics that both audits have."""
    theirs = b.metrics()
    families: dict[tuple[str, str, str], list[tuple[Change, PairedComparison | None]]] = {}
    for (place, name), metric in a.metrics().items():
        if (place, name) not in theirs:
            continue
        for left, right in models:
            change, found = _change(metric, place, a, b, left, right)
            families.setdefault((place[0], place[1], name), []).append((change, found))
    return [change for members in families.values() for change in _judged(members, a, b, dict(models))]


def _change(
    metric: Metric, place: _Place, a: _Side, b: _Side, left: str, right: str
) -> tuple[Change, PairedComparison | None]:
    before, after = a.values(metric, place, left), b.values(metric, place, right)
    found = compare_values(metric, after, before, b.plan.seed)
    if found is None:
        blank = _blank(metric, place, left, "unknown")
        return msgspec.structs.replace(
            blank, words="nothing to compare: no question with a usable answer in both"
        ), None
    both = [key for key in after if key in before]
    items = [key.unit for key in both]
    alike = all(after[key] == before[key] for key in both)
    means = paired_means([after[key] for key in both], items, [before[key] for key in both], items)
    return (
        msgspec.structs.replace(
            _blank(metric, place, left, "same"),
            before=float(means.b.mean()),
            after=float(means.a.mean()),
            difference=found.difference.estimate,
            low=found.difference.low,
            high=found.difference.high,
            p=found.p,
            test=found.test,
            n=found.n,
            words=f"the same in all {found.n} items" if alike else "",
        ),
        found,
    )


def _blank(metric: Metric, place: _Place, model: str, status: Status) -> Change:
    return Change(
        status=status,
        suite=place[0],
        task=place[1],
        metric=metric.id,
        title=metric.title,
        unit=metric.unit,
        model=model,
        condition=place[2].condition(),
    )


def _judged(
    members: Sequence[tuple[Change, PairedComparison | None]], a: _Side, b: _Side, models: Mapping[str, str]
) -> list[Change]:
    """The members of a family with their adjusted p, and whether they changed beyond chance and noise."""
    adjusted = adjust([change.p for change, _ in members])
    done = []
    for (change, found), p in zip(members, adjusted, strict=True):
        if found is None:
            done.append(msgspec.structs.replace(change, family=len(members)))
            continue
        floor = max(a.noise.get(change.model, 0.0), b.noise.get(models[change.model], 0.0))
        within = change.unit == "nats" and abs(change.difference or 0.0) < 2 * floor
        words = change.words or describe_difference(
            "after", "before", found, p, unit="share" if change.unit == "%" else change.unit
        )
        if differs(p) and within:
            words = f"{words}; but it is under twice the noise floor ({floor:.2f} nats), so no change can be said"
        done.append(
            msgspec.structs.replace(
                change,
                status="changed" if differs(p) and not within else "same",
                p_adjusted=p,
                family=len(members),
                words=words,
            )
        )
    return done


def _unpaired(a: _Side, b: _Side, models: Sequence[tuple[str, str]]) -> list[Change]:
    """Metrics, languages and models that only one of the audits has."""
    ours, theirs = a.metrics(), b.metrics()
    paired_a, paired_b = {left for left, _ in models}, {right for _, right in models}
    found = []
    for side, own, other, paired in ((a, ours, theirs, paired_a), (b, theirs, ours, paired_b)):
        status: Status = "gone" if side is a else "new"
        for (place, name), metric in own.items():
            for model in side.plan.models:
                if (place, name) in other and model.key in paired:
                    continue
                change = _blank(metric, place, model.key, status)
                values = side.values(metric, place, model.key)
                if values:
                    means = cluster_means(list(values.values()), [key.unit for key in values]).means
                    figure = float(means.mean())
                    change = msgspec.structs.replace(
                        change,
                        n=len(means),
                        before=figure if status == "gone" else None,
                        after=figure if status == "new" else None,
                    )
                words = "only in the first audit" if status == "gone" else "only in the second audit"
                found.append(msgspec.structs.replace(change, words=words))
    return found


def _in_order(changes: Sequence[Change], a: _Side, b: _Side) -> list[Change]:
    """By suite, task, metric and language as the first audit has them, then what only the second has."""
    rank = {key: place for place, key in enumerate(dict.fromkeys([*a.metrics(), *b.metrics()]))}
    return sorted(changes, key=lambda one: rank[(one.suite, one.task, Asked(**one.condition)), one.metric])


def _summary(
    a: _Side,
    b: _Side,
    models: Sequence[tuple[str, str]],
    overlaps: Sequence[SuiteOverlap],
    changes: Sequence[Change],
) -> list[str]:
    """What could be compared, in plain lines; the outcome first."""
    paired = [change for change in changes if change.status in {"changed", "same"}]
    changed = sum(change.status == "changed" for change in paired)
    lines = [f"{changed} of {len(paired)} figures changed beyond chance and noise"]
    if not models:
        lines = ["No model is in both audits, so nothing could be compared in pairs"]
    elif not paired:
        lines = ["Nothing could be compared: no question has a usable answer in both audits"]
    elif unknown := sum(change.status == "unknown" for change in changes):
        lines[0] += f"; {unknown} more could not be compared"
    prints = {model.key: model.fingerprint for model in b.plan.models}
    for model in a.plan.models:
        other = dict(models).get(model.key)
        if other is not None and prints[other] != model.fingerprint:
            lines.append(f"{model.key}: same name, other weights")
        elif other is not None and other != model.key:
            lines.append(f"{model.key} is called {other} in the second audit: the same weights")
    for overlap in overlaps:
        lines.append(_overlap_line(overlap))
    for what, said in (("quick", "only one of the audits was quick"), ("seed", "the audits had different seeds")):
        if getattr(a.plan, what) != getattr(b.plan, what):
            lines.append(said[0].upper() + said[1:])
    return lines


def _overlap_line(overlap: SuiteOverlap) -> str:
    if not overlap.version_a or not overlap.version_b:
        return f"{overlap.suite}: only in the {'second' if not overlap.version_a else 'first'} audit"
    versions = overlap.version_a
    if overlap.version_a != overlap.version_b:
        versions = f"{overlap.version_a} and {overlap.version_b}"
    line = f"{overlap.suite} {versions}: {overlap.equal} items are equal in both"
    if overlap.only_a or overlap.only_b:
        line += f", {overlap.only_a} only in the first, {overlap.only_b} only in the second"
    if overlap.wording:
        line += "; its questions are worded differently, so a change need not be the model's"
    return line
