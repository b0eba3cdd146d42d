"""A plan together with its suites: what each trial asks, and what is made of its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from engines.base import ChoiceRequest, GenerateRequest, Generation, Token
from suites.base import Item, Suite, Task
from suites.tasks import task_for
from workbench.audits.build import sampling_for
from workbench.audits.compute import compute_findings
from workbench.audits.plan import Plan, Trial, trial_seed, trials

if TYPE_CHECKING:
    from workbench.history import History


class Work:
    """A plan with the tasks and items that its trials name."""

    def __init__(self, plan: Plan, suites: Sequence[Suite]) -> None:
        self.plan = plan
        by_id = {suite.id: suite for suite in suites}
        self._tasks = {
            (planned.suite, planned.task): task_for(by_id[planned.suite], planned.task) for planned in plan.tasks
        }
        self._items: Mapping[str, dict[str, Item]] = {
            suite.id: {item.hash: item for item in suite.items} for suite in suites
        }

    def find(self, trial: Trial) -> tuple[Task, Item]:
        """The task and the item of a trial."""
        return self._tasks[trial.suite, trial.task], self._items[trial.suite][trial.item]

    def scored(self, trial: Trial) -> bool:
        """Whether the trial asks for likelihoods."""
        return self._tasks[trial.suite, trial.task].scored(trial.condition)

    def request(self, trial: Trial) -> ChoiceRequest | GenerateRequest:
        """What the engine is asked in a trial."""
        task, item = self.find(trial)
        request = task.request(item, trial.condition)
        if isinstance(request, GenerateRequest):
            return msgspec.structs.replace(
                request, sampling=sampling_for(self.plan, request.sampling), seed=trial_seed(self.plan, trial)
            )
        return request

    def probes(self, model: str) -> list[Trial]:
        """One likelihood question of this model for each item that has any, in an order drawn by the plan's seed: the
        same for every model, and the same on a resume."""
        asked = [
            trial for trial in trials(self.plan) if trial.model == model and trial.repeat == 0 and self.scored(trial)
        ]
        drawn: dict[tuple[str, str], Trial] = {}
        for trial in sorted(asked, key=self._lot):
            drawn.setdefault((trial.suite, trial.item), trial)
        return list(drawn.values())

    def _lot(self, trial: Trial) -> bytes:
        return hashlib.sha256(f"probe {trial_seed(self.plan, trial)}".encode()).digest()

    def choice_requests(self, probes: Iterable[Trial]) -> Iterator[ChoiceRequest]:
        """The requests of trials that ask for likelihoods."""
        for trial in probes:
            request = self.request(trial)
            if isinstance(request, ChoiceRequest):
                yield request


def collect(tokens: Iterable[Token]) -> Generation:
    """A stream of tokens as one answer."""
    texts: list[str] = []
    ids: list[int] = []
    logprobs: list[float] = []
    finish = error = ""
    for token in tokens:
        texts.append(token.text)
        if token.id >= 0:
            ids.append(token.id)
            logprobs.append(token.logprob)
        if token.finish:
            finish, error = token.finish, token.error
    return Generation("".join(texts), finish, tuple(ids), tuple(logprobs), error)


def conclude(history: History, audit: str) -> None:
    """Compute the findings of an audit from its verdicts, and keep them."""
    plan, suites = history.plan(audit), history.suites(audit)
    noise = {key: row.floor for key, row in history.noise(audit).items()}
    findings = compute_findings(plan, suites, history.judged(audit), noise)
    by_id = {suite.id: suite for suite in suites}
    headline = [
        metric.id
        for planned in plan.tasks
        for metric in task_for(by_id[planned.suite], planned.task).metrics
        if metric.headline
    ]
    history.save_findings(audit, findings, headline)


def rescore(history: History, audit: str) -> int:
    """Judge the stored answers again with the rules of this version, compute the findings of a complete audit anew, and
    return how many verdicts changed. The answers, and the verdicts that were given before, stay in the history."""
    work = Work(history.plan(audit), history.suites(audit))
    changed = []
    for row in history.rows(audit):
        task, item = work.find(row.trial)
        verdict = task.judge(item, row.trial.condition, row.answer)
        if verdict != row.verdict:
            changed.append((row.trial.id, verdict))
    if changed:
        history.replace_verdicts(audit, changed)
    if history.audit(audit).status == "complete":
        conclude(history, audit)
    return len(changed)
