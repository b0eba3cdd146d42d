"""Findings: what an audit found, computed from its verdicts as `workbench.statistics` says."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of one model under one condition. Shares and unusable are 0..1, margins and noise in nats; None where a
    figure does not apply. `n` counts clusters (items)."""

    suite: str
    task: str
    metric: str
    title: str
    unit: str
    model: str
    condition: dict[str, str]
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    unusable: float
    unusable_low: float | None = None
    unusable_high: float | None = None
    bound_low: float | None = None
    """The share with all unusable answers counted against it."""
    bound_high: float | None = None
    stability: float | None = None
    stability_low: float | None = None
    stability_high: float | None = None
    flips: float | None = None
    """Share of pairs of presentations whose canonical answers differ."""
    noise: float | None = None
    """The model's noise floor in nats."""
    undecided: int = 0
    """Items whose margin is under twice the noise floor."""
    null: float | None = None
    p: float | None = None
    """Against `null`, unadjusted."""
    baselines: dict[str, float] = {}
    warnings: tuple[str, ...] = ()
    """Plain sentences; the first is the one that matters most."""
    words: str = ""
    """What may be said of it in words."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A paired difference, a minus b: of two models under one condition (`kind` model), or of two languages, contexts
    or cultures of one model (`kind` language, context, culture; then a and b are these and `model` names whose)."""

    kind: str
    suite: str
    task: str
    metric: str
    title: str
    unit: str
    a: str
    b: str
    model: str
    condition: dict[str, str]
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    test: str
    n: int
    family: int
    """Number of tests over which p was adjusted."""
    words: str = ""


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A figure over a part of the items (or of what is asked of each)."""

    key: str
    name: str
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    """Clusters."""
    ranked: bool = False
    """Whether it has items enough to be ranked among the others."""


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """A finding by culture, region group or topic, or by what it is made of (`by` is detail: attributes, sides).

    The gap between the best and the worst that are ranked is always positive: `chance_low` and `chance_high` are what
    shuffled labels give. Small cultures are pooled by group for it. None where there is nothing to rank.
    """

    suite: str
    task: str
    metric: str
    title: str
    unit: str
    model: str
    condition: dict[str, str]
    by: str
    slices: tuple[Slice, ...]
    gap: float | None = None
    chance_low: float | None = None
    chance_high: float | None = None
    p: float | None = None
    is_gap: bool = False
    words: str = ""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All findings and comparisons of an audit, in the order of its plan."""

    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    breakdowns: tuple[Breakdown, ...] = ()
