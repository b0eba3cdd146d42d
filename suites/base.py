"""Suites, items, conditions, tasks and verdicts: the words in which something is asked and judged.

A suite is data (see `suites.loader`); a task is the code that turns an item under a condition into an engine request
and an answer into a verdict. Tasks are pure: no state, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from engines.base import ChoiceRequest, ChoiceScores, GenerateRequest, Generation

Form = Literal["plain", "chat"]
"""Plain text to be continued, or a user's message in the model's chat template."""

TaskKind = Literal["choice", "choice-generated", "short-answer", "judgements", "rating", "paired-text"]

UNUSABLE = frozenset({"refused", "unparsed", "empty", "error"})
"""Kinds of verdict that say that there is no answer to judge. They never count as another class."""

Answer = ChoiceScores | Generation


class SuiteError(Exception):
    """A suite cannot be used as it is; the message names file, line and field and what is wrong, in one line."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a fact can be checked."""

    id: str
    title: str
    publisher: str = ""
    year: str = ""
    address: str = ""
    note: str = ""


class PromptText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One wording of a task's question in one language."""

    language: str
    version: int
    text: str
    lead: str = ""
    """Put before each option that is scored (for instance a space)."""
    tail: str = ""
    """Put after each option that is scored, so that none is the beginning of another (a full stop after a number)."""
    cue: str = ""
    """Appended where the question is put as plain text, to show that an answer begins."""
    separator: str = ""
    """Between the candidates of a list."""
    examples: str = ""
    """Solved questions, put before the question where it is plain text: a model that only continues text learns from
    them what an answer is. Their answers must favour nobody."""
    context: str = ""
    """How much the question tells (the steps of a ladder), where the task asks in several contexts."""
    answers: tuple[str, ...] = ()
    """Words for the fixed answers of the item kind or the rule (yes and no, the steps of a scale), in its order."""


class TaskSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A task as its suite declares it. `kind` is the engine call and form of answer, `rule` the code that judges."""

    id: str
    title: str
    kind: TaskKind
    rule: str
    prompts: tuple[PromptText, ...]
    form: Literal["plain", "chat"] = "plain"
    """The default prompt form; `chat` falls back to plain for models without a template."""
    orders: int = 1
    """Default number of option orders in which each item is asked."""
    max_tokens: int = 48
    about: str = ""
    labels: Literal["", "letters", "numbers"] = ""
    """What listed options are called by; "" for their own texts."""
    attributes: str = ""
    """Which set of attributes a task on twin texts scores."""
    compare: tuple[Literal["language", "context", "culture"], ...] = ("language",)
    """What the answers of one model are compared across, beside models with each other: part of the family of tests."""


class Item(msgspec.Struct, frozen=True):
    """One thing that a suite asks about. `data` is the item as it stands in the pack, checked against its schema."""

    id: str
    hash: str
    """SHA-256 of the canonical JSON of `data`."""
    stratum: str
    """What `--limit` stratifies by: culture, category or another even split."""
    data: dict[str, Any]
    cluster: str = ""
    """What statistics count as one thing where several items are made of it (a template); "" for the item itself."""
    culture: str = ""
    """The culture, country or variety that it speaks of, as a key; "" where there is none, or several."""
    group: str = ""
    """The region that its culture is pooled with where that has few items."""
    topic: str = ""

    @property
    def unit(self) -> str:
        """The cluster that its answers belong to."""
        return self.cluster or self.hash


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite, loaded and checked."""

    id: str
    version: str
    hash: str
    """SHA-256 over the manifest and all item hashes: equal if and only if the content is equal."""
    title: str
    languages: tuple[str, ...]
    measures: str
    method: str
    citation: str
    licence: str
    limits: str
    """What the suite cannot show, in plain words."""
    warning: str = ""
    item_kind: str
    tasks: tuple[TaskSpec, ...]
    sources: tuple[Source, ...] = ()
    items: tuple[Item, ...] = ()

    def task(self, task_id: str) -> TaskSpec:
        """The task of that id; raises KeyError."""
        for spec in self.tasks:
            if spec.id == task_id:
                return spec
        raise KeyError(task_id)


class Condition(msgspec.Struct, frozen=True, order=True):
    """The way in which an item is asked. `order` numbers the presentation of the options, 0 the stored one; `part` says
    which of the questions that together make one answer (a statement of a group, one of two twins)."""

    language: str = ""
    version: int = 1
    order: int = 0
    form: Form = "plain"
    context: str = ""
    persona: str = ""
    part: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What the task's rule makes of an answer.

    `choice` is the canonical answer (an option's key: the same whatever the order it was offered in), "" where there is
    none. `margin` is best minus second option in nats, for likelihood tasks. `values` holds further figures that the
    task's metrics read. `reason` says in one sentence which rule gave the verdict and on what.
    """

    kind: str
    choice: str = ""
    reason: str = ""
    margin: float | None = None
    values: dict[str, float] = {}

    @property
    def usable(self) -> bool:
        """Whether there is an answer at all."""
        return self.kind not in UNUSABLE


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that a task reports. Values of a `share` are 0 or 1, those of a `mean` are in `unit` (a mean in per cent
    is of shares within 0 and 1; `steps` are those of a rating scale)."""

    id: str
    title: str
    """As a row of the findings table, without the language."""
    kind: Literal["share", "mean"]
    unit: Literal["%", "nats", "steps"]
    null: float | None = None
    """The value that a model without the preference would have; None where there is none."""
    languages: tuple[str, ...] = ()
    """Languages in which the metric means something; () for all of the task's."""
    contexts: tuple[str, ...] = ()
    """Contexts in which it does; () for all of the task's."""
    grouped: bool = False
    """Whether it is a figure of all parts of a question together (`Task.group`), not of each."""
    breakdown: bool = False
    """Whether it is also given by culture, region and topic."""
    about: str = ""
    """What a high and a low value mean, in one or two sentences for the screen."""
    stability: bool = True
    """Whether stability over presentations is given for it."""
    headline: bool = False
    baselines: dict[str, float] = {}
    """What answers without knowledge reach, by name, where that does not follow from the options."""
    above: str = ""
    """What a value above `null` favours, as it stands in a sentence ("the Mainland word")."""
    below: str = ""


class Task(Protocol):
    """The code behind a `TaskSpec`; see `suites.tasks.task_for`."""

    suite: Suite
    spec: TaskSpec

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures that it reports, in the order in which they are shown."""

    def orders(self, item: Item, count: int) -> int:
        """How many different presentations the item has, at most `count`."""

    def options(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """Keys of the options in the order in which they are offered (or scored); () for a free answer."""

    def option_text(self, item: Item, condition: Condition, key: str) -> str:
        """An option as a person reads it."""

    def choices(self, item: Item) -> int:
        """K: among how many canonical answers a random respondent would choose, for the stability's correction."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The questions that together make one answer, each a trial of its own (`Condition.part`); () for one alone."""

    def asks(self, item: Item, language: str, context: str) -> bool:
        """Whether the item can be asked in a language and a context."""

    def scored(self, condition: Condition) -> bool:
        """Whether the engine is asked for likelihoods under this condition, and not for a text."""

    def group(self, item: Item, condition: Condition, verdicts: Mapping[str, Verdict]) -> Verdict:
        """One verdict from those of all parts, by part. `condition` is theirs, without the part."""

    def request(self, item: Item, condition: Condition) -> ChoiceRequest | GenerateRequest:
        """What the engine is asked. Sampling and seed of a GenerateRequest are the runner's to fill in, but
        `max_tokens` and `stop` are the task's."""

    def judge(self, item: Item, condition: Condition, answer: Answer) -> Verdict:
        """What the answer is. Never raises on anything that a model wrote."""

    def measure(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> float | None:
        """The metric's value for one answer (of a `grouped` metric, for the verdict of `group`); None where it has none
        (unusable, or not of the metric's concern)."""

    def culture(self, item: Item, condition: Condition) -> tuple[str, str]:
        """The culture that is asked about, and the region that it is pooled with; "" where there is none."""

    def details(self, metric: Metric, item: Item, condition: Condition, verdict: Verdict) -> Mapping[str, float]:
        """What a metric's value for one answer is made of, by what it is about (an attribute's words); {} where it is
        one figure."""

    def gold(self, item: Item, condition: Condition) -> tuple[str, ...]:
        """Keys of the right answers; () where there is no right one."""
