"""Findings sorted into the rows of a table: one a metric, language and context, the models side by side."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workbench.audits.findings import Breakdown, Comparison, Finding, Findings
from workbench.audits.plan import Plan


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A metric in a language (and a context, where there are several).

    `findings` are in the order of `models`; None where a model has none.
    """

    suite: str
    task: str
    metric: str
    language: str
    context: str
    title: str
    unit: str
    findings: tuple[Finding | None, ...]
    comparison: Comparison | None
    """The first two models against each other, where there are two."""
    others: tuple[Comparison, ...]
    """Every other comparison that this row is part of: further models; languages, contexts, cultures of one model."""
    breakdowns: tuple[Breakdown, ...] = ()
    """By culture, region and topic, model after model."""

    @property
    def differs(self) -> bool:
        """Whether the models differ here (p adjusted under .05)."""
        pairs = [one for one in (self.comparison, *self.others) if one is not None and one.kind == "model"]
        return any(one.p_adjusted is not None and one.p_adjusted < 0.05 for one in pairs)

    @property
    def warned(self) -> bool:
        """Whether there is something to be warned of, beyond that the audit was quick."""
        return bool(self.warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to be warned of, each once."""
        said = [line for one in self.findings if one is not None for line in one.warnings]
        return tuple(dict.fromkeys(line for line in said if not line.startswith("quick:")))


def table_rows(plan: Plan, found: Findings) -> list[Row]:
    """All rows, in the order in which the findings stand."""
    models = [model.key for model in plan.models]
    places: dict[tuple[str, str, str, str, str], dict[str, Finding]] = {}
    for finding in found.findings:
        asked = (finding.condition.get("language", ""), finding.condition.get("context", ""))
        key = (finding.suite, finding.task, finding.metric, *asked)
        places.setdefault(key, {})[finding.model] = finding
    rows = []
    for key, by_model in places.items():
        first = next(iter(by_model.values()))
        about = [one for one in found.comparisons if (one.suite, one.task, one.metric) == key[:3]]
        between = [one for one in about if one.kind == "model" and one.condition == first.condition]
        within = [one for one in about if one.kind != "model" and _touches(one, first.condition)]
        parts = [one for one in found.breakdowns if (one.suite, one.task, one.metric) == key[:3]]
        rows.append(
            Row(
                suite=key[0],
                task=key[1],
                metric=key[2],
                language=key[3],
                context=key[4],
                title=first.title,
                unit=first.unit,
                findings=tuple(by_model.get(model) for model in models),
                comparison=between[0] if between else None,
                others=(*between[1:], *within),
                breakdowns=tuple(one for one in parts if one.condition == first.condition),
            )
        )
    return rows


def _touches(one: Comparison, condition: dict[str, str]) -> bool:
    """Whether a comparison within one model has this row on one of its sides."""
    if any(condition.get(name) != value for name, value in one.condition.items()):
        return False
    return one.kind == "culture" or condition.get(one.kind, "") in (one.a, one.b)


def neighbours(rows: Sequence[Row], row: Row) -> list[Row]:
    """The same metric in all languages and contexts: what a plot shows together."""
    return [one for one in rows if (one.suite, one.task, one.metric) == (row.suite, row.task, row.metric)]
