"""Answers on their way to the disk: collected for a moment, then committed together, in the order of their chain."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from engines.base import Generation
from suites.base import Answer, Condition, Verdict
from workbench.audits.plan import Trial
from workbench.history.chain import answer_hash, answer_kind, canonical, clean, digest, encode_answer
from workbench.history.files import transaction
from workbench.history.rows import HistoryError
from workbench.history.search import add_to_index

DELAY = 0.25
"""Seconds that an answer may wait for others; with the commit itself it is on the disk well within half a second."""
_MOST = 200
"""Answers that are committed at once without waiting longer."""


def now() -> str:
    """The time as the history writes it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Pending(msgspec.Struct, frozen=True):
    """An answer that is not committed yet."""

    audit: int
    trial: Trial
    trial_id: str
    prompt: str
    kind: str
    answer: str
    text: str
    """What the search finds it by; "" for scores."""
    verdict: Verdict
    seconds: float
    at: str


class Place(msgspec.Struct):
    """Where an audit's chain stands, and the row ids of what its answers refer to."""

    seq: int
    head: str
    items: dict[tuple[str, str], int]
    models: dict[str, int]
    cells: dict[tuple[str, str, str, Condition], int] = {}


class AnswerBuffer:
    """Collects answers and commits them; `guard` protects the connection and everything here.

    `report` turns what goes wrong in the background into the error that the next call raises.
    """

    def __init__(
        self, connection: sqlite3.Connection, guard: threading.RLock, failed: Callable[[sqlite3.Error], HistoryError]
    ) -> None:
        self._connection = connection
        self._wake = threading.Condition(guard)
        self._failed = failed
        self._pending: list[Pending] = []
        self._ids: set[tuple[int, str]] = set()
        self._places: dict[int, Place] = {}
        self._oldest = 0.0
        self._failure: HistoryError | None = None
        self._thread: threading.Thread | None = None
        self._ended = False

    def add(self, audit: int, trial: Trial, prompt: str, answer: Answer, verdict: Verdict, seconds: float) -> None:
        """Take an answer. HistoryError when an earlier one could not be written; ValueError for a trial that is
        answered already or not of the audit."""
        trial_id = trial.id
        kind, text = answer_kind(answer), answer.text if isinstance(answer, Generation) else ""
        entry = Pending(
            audit, trial, trial_id, clean(prompt), kind, encode_answer(answer), clean(text), verdict, seconds, now()
        )
        with self._wake:
            if self._failure is not None:
                raise self._failure
            place = self.place(audit)
            if (trial.suite, trial.item) not in place.items or trial.model not in place.models:
                raise ValueError(f"the trial {trial} is not of this audit")
            known = self._connection.execute("SELECT 1 FROM answers WHERE audit = ? AND trial = ?", (audit, trial_id))
            if (audit, trial_id) in self._ids or known.fetchone():
                raise ValueError(f"the trial {trial_id} has an answer already; answers are never overwritten")
            if not self._pending:
                self._oldest = time.monotonic()
                self._start()
                self._wake.notify_all()
            self._pending.append(entry)
            self._ids.add((audit, trial_id))
            if len(self._pending) >= _MOST:
                self.flush()

    def place(self, audit: int) -> Place:
        """Where the chain of an audit stands, committed answers only."""
        if audit not in self._places:
            self._places[audit] = self._read_place(audit)
        return self._places[audit]

    def forget(self, audit: int) -> None:
        """Drop what is remembered of an audit, and its answers that are not committed."""
        self._places.pop(audit, None)
        self._pending = [entry for entry in self._pending if entry.audit != audit]
        self._ids = {(number, trial) for number, trial in self._ids if number != audit}

    def flush(self) -> None:
        """Commit everything that waits. On failure nothing is lost: it stays here and is tried again."""
        with self._wake:
            if not self._pending or self._connection.in_transaction:
                return
            batch = list(self._pending)
            try:
                self._write(batch)
            except BaseException as error:
                # Row ids found in a transaction that is undone are void.
                self._places.clear()
                if not isinstance(error, sqlite3.Error):
                    raise
                self._failure = self._failed(error)
                raise self._failure from error
            self._failure = None
            del self._pending[: len(batch)]
            self._ids.clear()

    def end(self) -> None:
        """Stop the background thread. What waits still can be flushed."""
        with self._wake:
            self._ended = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="history-writer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        with self._wake:
            while not self._ended:
                left = self._oldest + DELAY - time.monotonic()
                if not self._pending or self._failure is not None:
                    self._wake.wait()
                elif left > 0:
                    self._wake.wait(left)
                else:
                    try:
                        self.flush()
                    except HistoryError:
                        # Kept in `_failure`: the next call from outside raises it.
                        continue

    def _write(self, batch: list[Pending]) -> None:
        places = {audit: self.place(audit) for audit in {entry.audit for entry in batch}}
        chain = {audit: (place.seq, place.head) for audit, place in places.items()}
        counts: dict[int, int] = {}
        with transaction(self._connection):
            for entry in batch:
                seq, head = chain[entry.audit]
                head = answer_hash(head, entry.trial, entry.prompt, entry.kind, entry.answer)
                self._insert(entry, places[entry.audit], seq + 1, head)
                chain[entry.audit] = (seq + 1, head)
                model = places[entry.audit].models[entry.trial.model]
                counts[model] = counts.get(model, 0) + 1
            self._connection.executemany(
                "UPDATE audit_models SET done = done + ? WHERE id = ?",
                [(count, model) for model, count in counts.items()],
            )
        for audit, (seq, head) in chain.items():
            places[audit].seq, places[audit].head = seq, head

    def _insert(self, entry: Pending, place: Place, seq: int, head: str) -> None:
        trial = entry.trial
        row = self._connection.execute(
            "INSERT INTO answers (audit, seq, trial, cell, item, repeat, prompt, kind, answer, seconds, at, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.audit,
                seq,
                entry.trial_id,
                self._cell(entry.audit, trial, place),
                place.items[trial.suite, trial.item],
                trial.repeat,
                self._prompt(entry.prompt),
                entry.kind,
                entry.answer,
                entry.seconds,
                entry.at,
                head,
            ),
        ).lastrowid
        assert row is not None
        verdict = entry.verdict
        self._connection.execute(
            "INSERT INTO verdicts (answer, kind, choice, reason, margin, figures, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row, *verdict_fields(verdict), entry.at),
        )
        if entry.text:
            add_to_index(self._connection, "answer_search", row, entry.text)

    def _cell(self, audit: int, trial: Trial, place: Place) -> int:
        key = (trial.model, trial.suite, trial.task, trial.condition)
        if key not in place.cells:
            place.cells[key] = _inserted(
                self._connection,
                "INSERT INTO cells (audit, model, model_key, suite, task, language, version, "
                '"order", form, context, persona, part) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
                (
                    audit,
                    place.models[trial.model],
                    trial.model,
                    trial.suite,
                    trial.task,
                    *msgspec.structs.astuple(trial.condition),
                ),
            )
        return place.cells[key]

    def _prompt(self, text: str) -> int:
        mark = digest(text.encode())
        known = self._connection.execute("SELECT id FROM prompts WHERE digest = ?", (mark,)).fetchone()
        if known is not None:
            return int(known[0])
        row = _inserted(self._connection, "INSERT INTO prompts (digest, text) VALUES (?, ?)", (mark, text))
        add_to_index(self._connection, "prompt_search", row, text)
        return row

    def _read_place(self, audit: int) -> Place:
        last = self._connection.execute(
            "SELECT seq, hash FROM answers WHERE audit = ? ORDER BY seq DESC LIMIT 1", (audit,)
        ).fetchone()
        if last is None:
            last = (0, self._connection.execute("SELECT genesis FROM audits WHERE id = ?", (audit,)).fetchone()[0])
        items = self._connection.execute(
            "SELECT s.suite, p.hash, p.id FROM audit_suites x JOIN suites s ON s.id = x.suite "
            "JOIN suite_items p ON p.suite = s.id WHERE x.audit = ?",
            (audit,),
        )
        models = self._connection.execute("SELECT key, id FROM audit_models WHERE audit = ?", (audit,))
        cells = self._connection.execute(
            'SELECT id, model_key, suite, task, language, version, "order", form, context, persona, part '
            "FROM cells WHERE audit = ?",
            (audit,),
        )
        return Place(
            seq=last[0],
            head=last[1],
            items={(suite, mark): row for suite, mark, row in items},
            models=dict(models.fetchall()),
            cells={(model, suite, task, Condition(*rest)): row for row, model, suite, task, *rest in cells},
        )


def verdict_fields(verdict: Verdict) -> tuple[str, str, str, float | None, str]:
    """A verdict as its columns."""
    figures = canonical(verdict.values).decode()
    return clean(verdict.kind), clean(verdict.choice), clean(verdict.reason), verdict.margin, figures


def _inserted(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> int:
    row = connection.execute(statement, values).lastrowid
    assert row is not None
    return row
