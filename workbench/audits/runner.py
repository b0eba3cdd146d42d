"""Running an audit: model by model, question by question, every answer on disk within a second."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engines.base import (
    Cancelled,
    ChoiceRequest,
    Engine,
    EngineError,
    GenerateRequest,
    ModelCard,
    Token,
    canonical_text,
    of_weights,
)
from suites.base import Answer, Suite
from workbench.audits import checks, events
from workbench.audits.errors import AuditError
from workbench.audits.plan import Plan, PlannedModel, Trial, count_by_model, trials
from workbench.audits.scheduler import Lease, LeaseCancelled, Scheduler
from workbench.audits.work import Work, collect, conclude
from workbench.audits.work import rescore as rescore

if TYPE_CHECKING:
    from workbench.history import History
    from workbench.history.rows import Status

CHUNK = 64
"""Questions that are prepared at a time."""

_log = logging.getLogger("culture-workbench")
_Answered = tuple[Trial, ChoiceRequest | GenerateRequest, Answer, float]
"""A trial, what the engine was asked, what it gave, and the seconds that it took."""
T = TypeVar("T")


class _Stopped(Exception):
    """The run was cancelled."""


class Runner:
    """One run of one audit. `start` or `resume`, then `run` (which blocks); `cancel` from any thread.

    `open_engine` loads a planned model, `device` says where it will compute: models on different devices run side by
    side, those on the same one after another. `machine` and `libraries` are kept with the audit.
    """

    def __init__(
        self,
        history_path: Path,
        open_engine: Callable[[PlannedModel], Engine],
        listeners: Sequence[events.Listener] = (),
        scheduler: Scheduler | None = None,
        *,
        device: Callable[[PlannedModel], str] = lambda _: "cpu",
        machine: Mapping[str, Any] | None = None,
        libraries: Mapping[str, str] | None = None,
    ) -> None:
        self._path = history_path
        self._open_engine = open_engine
        self._listeners = tuple(listeners)
        self._scheduler = scheduler or Scheduler()
        self._device = device
        self._machine = dict(machine or {})
        self._libraries = dict(libraries or {})
        self._stop = threading.Event()
        self._engines: dict[str, Engine] = {}
        self._lock = threading.Lock()
        self._history: History | None = None
        self.audit = ""

    def start(self, plan: Plan, suites: Sequence[Suite], note: str = "") -> str:
        """Put a new audit into the history and return its id. Raises HistoryError, AuditError."""
        hashes = {suite.id: suite.hash for suite in suites}
        for planned in plan.suites:
            if hashes.get(planned.id) != planned.hash:
                raise AuditError(f"suite {planned.id} is not the one of the plan: its content has changed since")
        self._history = self._open()
        try:
            self.audit = self._history.create_audit(
                plan, suites, machine=self._machine, libraries=self._libraries, note=note
            )
        except BaseException:
            self._history.close()
            raise
        return self.audit

    def resume(self, audit: str) -> str:
        """Take up an audit that was interrupted, and return its full id. Raises HistoryError, AuditError."""
        self._history = self._open()
        try:
            row = self._history.audit(audit)
            if row.status == "complete":
                raise AuditError(f"audit {row.id} is complete: `history rerun {row.id}` asks everything anew")
            self._history.set_status(row.id, "running")
        except BaseException:
            self._history.close()
            raise
        self.audit = row.id
        return self.audit

    def _open(self) -> History:
        from workbench.history import History

        return History.open(self._path)

    def cancel(self) -> None:
        """Stop after the current question at the latest; what was answered stays and the audit can be resumed."""
        self._stop.set()
        with self._lock:
            engines = list(self._engines.values())
        for engine in engines:
            engine.cancel()
        self._scheduler.wake()

    def run(self) -> str:
        """Ask what has not been answered and compute the findings. Returns the audit's status: `complete`, `paused` (a
        cancel, or an engine that died; `resume` goes on) or `failed` (a check did not hold). Raises HistoryError when
        the history cannot be written; what was on disk stays."""
        if self._history is None:
            raise ValueError("start or resume comes before run")
        try:
            with self._history as history:
                status, message = self._ask_everyone(history)
                if status == "complete":
                    history.flush()
                    conclude(history, self.audit)
                history.set_status(self.audit, status, message)
        except BaseException as error:
            # What is on disk stays, and an audit whose writer is gone reads as paused.
            self._tell(events.AuditEnded(audit=self.audit, status="paused", message=str(error)))
            raise
        self._tell(events.AuditEnded(audit=self.audit, status=status, message=message))
        return status

    # -- all models ---------------------------------------------------------------------------------------------

    def _ask_everyone(self, history: History) -> tuple[Status, str]:
        plan, suites = history.plan(self.audit), history.suites(self.audit)
        if [planned.hash for planned in plan.suites] != [suite.hash for suite in suites]:
            return "failed", "the stored suites are not those of the plan: see `culture-workbench history verify`"
        answered = history.answered(self.audit)
        counts = count_by_model(plan)
        self._tell(
            events.AuditStarted(audit=self.audit, total=sum(counts.values()), done=len(answered), models=dict(counts))
        )
        work = Work(plan, suites)
        devices: dict[str, list[PlannedModel]] = {}
        for model in plan.models:
            devices.setdefault(self._device(model), []).append(model)
        failures: list[BaseException] = []

        def on_device(device: str) -> None:
            try:
                for model in devices[device]:
                    self._ask_model(history, work, model, device, answered)
            except BaseException as error:  # noqa: BLE001 (told apart below, or raised again)
                failures.append(error)
                self.cancel()

        if len(devices) == 1:
            on_device(next(iter(devices)))
        else:
            threads = [
                threading.Thread(target=on_device, args=(device,), name=f"audit on {device}") for device in devices
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return self._outcome(failures)

    @staticmethod
    def _outcome(failures: Sequence[BaseException]) -> tuple[Status, str]:
        """What the run came to. The first failure counts; that the others were stopped is its consequence."""
        told = [error for error in failures if not isinstance(error, _Stopped | LeaseCancelled | Cancelled)]
        if told:
            error = told[0]
            if isinstance(error, AuditError):
                return "failed", str(error)
            if isinstance(error, EngineError):
                return "paused", f"{error}. Everything so far is kept; resume to go on"
            raise error
        return ("paused", "cancelled") if failures else ("complete", "")

    # -- one model ----------------------------------------------------------------------------------------------

    def _ask_model(
        self, history: History, work: Work, model: PlannedModel, device: str, answered: Collection[str]
    ) -> None:
        left = [trial for trial in trials(work.plan) if trial.model == model.key and trial.id not in answered]
        if not left:
            self._stage(model, "done")
            return
        self._stage(model, "waiting")
        with self._scheduler.lease(device, self._stop.is_set) as lease:
            self._check_stop()
            self._stage(model, "loading")
            engine = self._open_engine(model)
            with self._lock:
                self._engines[model.key] = engine
            try:
                _must_be(model, engine.card)
                if any(map(work.scored, left)):
                    _must_score(engine.card)
                if hasattr(engine, "listen"):
                    engine.listen(partial(self._notice, model))
                history.add_card(self.audit, model.key, engine.card)
                self._check(history, work, model, engine, lease)
                self._stage(model, "asking")
                self._ask(history, work, model, engine, lease, left)
            finally:
                with self._lock:
                    del self._engines[model.key]
                engine.close()
        self._stage(model, "done")

    def _check(self, history: History, work: Work, model: PlannedModel, engine: Engine, lease: Lease) -> None:
        """Canary and noise floor, on questions of this run."""
        probes = work.probes(model.key)
        if not probes:
            self._stage(model, "checking", "no likelihoods are asked for, so there is nothing to check")
            return
        self._stage(model, "checking")

        def between() -> None:
            lease.step_aside(self._stop.is_set)
            self._check_stop()

        seen = checks.canary(engine, work.choice_requests(probes[: checks.TRIES]), between)
        history.set_canary(self.audit, model.key, seen)
        if model.key in history.noise(self.audit):
            return
        unmeasured = checks.no_noise_floor(engine.card)
        if unmeasured:
            self._stage(model, "noise", unmeasured)
            return
        chosen = probes[: work.plan.noise_items]
        self._stage(model, "noise", f"{len(chosen)} items")
        noise = checks.measure_noise(engine, work.choice_requests(chosen), between)
        if noise is not None:
            history.set_noise(self.audit, model.key, noise.floor, noise.items, {"margins": noise.margins})

    def _ask(
        self, history: History, work: Work, model: PlannedModel, engine: Engine, lease: Lease, left: Sequence[Trial]
    ) -> None:
        total = count_by_model(work.plan)[model.key]
        done = total - len(left)
        for trial, request, answer, seconds in self._answers(work, engine, lease, left):
            task, item = work.find(trial)
            verdict = task.judge(item, trial.condition, answer)
            history.add_answer(self.audit, trial, canonical_text(request.prompt), answer, verdict, seconds)
            done += 1
            self._tell(
                events.TrialAnswered(
                    audit=self.audit,
                    model=model.key,
                    suite=trial.suite,
                    task=trial.task,
                    done=done,
                    total=total,
                    verdict=verdict.kind,
                )
            )
            self._check_stop()

    def _answers(self, work: Work, engine: Engine, lease: Lease, left: Sequence[Trial]) -> Iterator[_Answered]:
        """The answers in the order of the trials; between two of them the device is given to whoever waits for it."""
        position = 0
        several = getattr(engine, "parallel", 1) > 1
        while position < len(left):
            lease.step_aside(self._stop.is_set)
            self._check_stop()
            if not work.scored(left[position]):
                run = [left[position]]
                if several:
                    run = list(takewhile(lambda trial: not work.scored(trial), left[position : position + CHUNK]))
                for answered in self._written(work, engine, run):
                    position += 1
                    yield answered
                    if lease.wanted:
                        break
                continue
            run = list(takewhile(work.scored, left[position : position + CHUNK]))
            requests = list(work.choice_requests(run))
            started = time.perf_counter()
            # Closing the iterator early takes back what the engine was given ahead.
            with _closing(engine.score(requests)) as scores:
                for trial, request, answer in zip(run, requests, scores, strict=True):
                    position += 1
                    yield trial, request, answer, time.perf_counter() - started
                    if lease.wanted:
                        break
                    started = time.perf_counter()

    def _written(self, work: Work, engine: Engine, run: Sequence[Trial]) -> Iterator[_Answered]:
        requests = [request for request in map(work.request, run) if isinstance(request, GenerateRequest)]
        started = time.perf_counter()
        tokens: list[Token] = []
        with _closing(engine.generate(requests)) as written:
            for index, token in written:
                if token.finish == "cancelled":
                    raise _Stopped  # a half answer is none: it is asked again on a resume
                tokens.append(token)
                if not token.finish:
                    self._check_stop()
                    continue
                yield run[index], requests[index], collect(tokens), time.perf_counter() - started
                tokens, started = [], time.perf_counter()

    # -- small things -------------------------------------------------------------------------------------------

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _notice(self, model: PlannedModel, text: str) -> None:
        self._tell(events.ModelNotice(audit=self.audit, model=model.key, text=text))

    def _stage(self, model: PlannedModel, stage: str, detail: str = "") -> None:
        _log.info("audit %s, %s: %s %s", self.audit, model.key, stage, detail)
        self._tell(events.ModelStage(audit=self.audit, model=model.key, stage=stage, detail=detail))

    def _tell(self, event: events.Event) -> None:
        for listener in self._listeners:
            listener(event)


def _must_score(card: ModelCard) -> None:
    """Raises AuditError for an engine that is known not to give likelihoods, with the reason."""
    if "score" not in card.can and "score" in card.cannot:
        raise AuditError(
            f"{card.name} gives no likelihoods, and this audit asks for them: {card.cannot['score']}. "
            "Use a server that does (vLLM), the weights themselves, or suites that only let it write"
        )


def _must_be(model: PlannedModel, card: ModelCard) -> None:
    """The engine that was opened must hold the weights of the plan. Raises EngineError."""
    if card.fingerprint and card.fingerprint != model.fingerprint:
        if not of_weights(model.fingerprint):
            raise EngineError(
                f"{model.name}: the server says something else of this model than when the plan was made: "
                "start a new audit"
            )
        raise EngineError(
            f"{model.name}: these are other weights than the plan's (SHA-256 {card.fingerprint[:12]}… instead of "
            f"{model.fingerprint[:12]}…): put the file of the plan back, or start a new audit"
        )


@contextlib.contextmanager
def _closing(iterator: Iterator[T]) -> Iterator[Iterator[T]]:
    """Close a generator when the block is left; other iterators have nothing to close."""
    try:
        yield iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
