"""The plan of an audit: a frozen value that fixes every trial before the first one is run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from engines.base import LoadOptions, Sampling
from suites.base import Condition, Form


class PlannedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as the plan knows it. `key` is a short name, unique in the plan; the fingerprint is what counts."""

    key: str
    name: str
    path: str
    fingerprint: str
    template: bool
    """Whether it has a chat template: decides the prompt form of tasks that prefer chat."""
    options: LoadOptions = LoadOptions()


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task of a suite under its conditions (without the prompt form, which depends on the model)."""

    suite: str
    task: str
    form: Form
    conditions: tuple[Condition, ...]
    items: tuple[str, ...]
    """Hashes of the items, in the order in which they are asked."""


class PlannedSuite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite with the hash of its content."""

    id: str
    version: str
    hash: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that determines an audit's trials; the same plan gives the same trials in the same order everywhere."""

    models: tuple[PlannedModel, ...]
    suites: tuple[PlannedSuite, ...]
    tasks: tuple[PlannedTask, ...]
    repeats: int = 1
    sampling: Sampling = Sampling()
    seed: int = 2024
    quick: bool = False
    limit: int = 0
    """0: every item."""
    noise_items: int = 32

    @property
    def hash(self) -> str:
        """SHA-256 of the plan's canonical JSON."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Trial(msgspec.Struct, frozen=True):
    """One question to one model: the unit of work and of resume."""

    model: str
    """The planned model's key."""
    suite: str
    task: str
    item: str
    """Hash of the item."""
    condition: Condition
    repeat: int = 0

    @property
    def id(self) -> str:
        """A stable key, the same on every machine."""
        c = self.condition
        parts = (self.model, self.suite, self.task, self.item, c.language, c.version, c.order, c.form, c.context)
        end = (c.persona, self.repeat, c.part) if c.part else (c.persona, self.repeat)
        return hashlib.sha256(msgspec.json.encode((*parts, *end))).hexdigest()[:32]


def trials(plan: Plan) -> Iterator[Trial]:
    """Every trial of the plan, model by model; within a task the conditions are the outer loop, so that the part of
    the prompt that items share stays the same from one trial to the next."""
    for model in plan.models:
        for task in plan.tasks:
            form: Form = "chat" if task.form == "chat" and model.template else "plain"
            for condition in task.conditions:
                asked = msgspec.structs.replace(condition, form=form)
                for item in task.items:
                    for repeat in range(plan.repeats):
                        yield Trial(model.key, task.suite, task.task, item, asked, repeat)


def trial_seed(plan: Plan, trial: Trial) -> int:
    """The sampling seed of a trial (32 bits), from plan seed, item, condition and repeat, and not from the model:
    two models draw with the same numbers."""
    c = trial.condition
    parts = (plan.seed, trial.suite, trial.task, trial.item, c.language, c.version, c.order, c.context, c.persona)
    end = (trial.repeat, c.part) if c.part else (trial.repeat,)
    digest = hashlib.sha256(msgspec.json.encode((*parts, *end))).digest()
    return int.from_bytes(digest[:4], "big")


def count_by_model(plan: Plan) -> Mapping[str, int]:
    """Number of trials of each model."""
    per_model = sum(len(task.conditions) * len(task.items) for task in plan.tasks) * plan.repeats
    return {model.key: per_model for model in plan.models}
