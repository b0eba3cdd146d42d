"""The history as an object: opening the file, and everything that writes it."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from engines.base import ModelCard
from suites.base import Answer, Suite, Verdict
from workbench.audits.findings import Findings
from workbench.audits.plan import Plan, Trial, count_by_model
from workbench.history import importing, moments, schema, votes
from workbench.history.buffer import AnswerBuffer, now, verdict_fields
from workbench.history.chain import canonical, clean, genesis, written_text
from workbench.history.files import explain, open_connection, quick_check, told, transaction
from workbench.history.headline import headline
from workbench.history.importing import Bundle, Change
from workbench.history.lock import WriterLock
from workbench.history.reading import Reader
from workbench.history.rows import HistoryError, Status
from workbench.history.search import drop_from_index
from workbench.history.suites import store_suite
from workbench.history.votes import Vote


class History(Reader):
    """The SQLite file of all audits. Open it with `History.open`; it is a context manager and safe between threads.

    Any number of readers work at any time. One writer at a time: the lock is held from `create_audit` (or
    `set_status(…, "running")`, or the first answer) until the audit is no longer running, and else during a call.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriterLock | None, wait: float) -> None:
        super().__init__(path, connection)
        self._lock = lock
        self._wait = wait
        self._turn = threading.RLock()
        self._active: dict[int, str] = {}
        self._buffer = AnswerBuffer(connection, self._guard, self._failure)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        readonly: bool = False,
        wait: float = 5.0,
        migrations: Sequence[schema.Migration] = schema.MIGRATIONS,
    ) -> History:
        """Open the history at `path`, creating it unless `readonly`, and bring an older one up to date (a copy is
        kept beside it). `wait` is how many seconds a second writer waits for the first.

        HistoryError: not a history, damaged, of a newer version, no permission, written by another program.
        """
        path = Path(path)
        connection = open_connection(path, readonly=readonly)
        try:
            with told(path):
                version = schema.check_origin(connection, path, len(migrations))
                damage = quick_check(connection)
                if damage:
                    raise HistoryError(
                        f"{path}: the history is damaged ({damage[0]}); "
                        "put a backup in its place, or move it away to begin a new one"
                    )
                if readonly and version < len(migrations):
                    connection.close()
                    return cls._upgraded(path, wait, migrations)
                if not readonly:
                    cls._prepare(path, connection, version, wait, migrations)
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, None if readonly else WriterLock(path), wait)

    @classmethod
    def _upgraded(cls, path: Path, wait: float, migrations: Sequence[schema.Migration]) -> History:
        """An older history, opened for reading: it is brought up to date first."""
        if not path.stat().st_size:
            raise HistoryError(f"{path}: there is no history yet; run an audit first")
        cls.open(path, wait=wait, migrations=migrations).close()
        return cls.open(path, readonly=True, wait=wait, migrations=migrations)

    @staticmethod
    def _prepare(
        path: Path, connection: sqlite3.Connection, version: int, wait: float, migrations: Sequence[schema.Migration]
    ) -> None:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if version < len(migrations) or mode != "wal":
            lock = WriterLock(path)
            lock.acquire(wait)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                schema.migrate(connection, path, migrations)
            finally:
                lock.release()
        connection.execute("PRAGMA synchronous = FULL")

    def __enter__(self) -> History:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.close()
        except HistoryError as failure:
            if error is None:
                raise
            error.add_note(str(failure))

    def close(self) -> None:
        """Commit what waits, close the file, give the lock back. Safe to call twice."""
        self._buffer.end()
        with self._turn, self._guard:
            if self._closed:
                return
            try:
                self._buffer.flush()
            finally:
                self._closed = True
                self._connection.close()
                self._active.clear()
                if self._lock is not None:
                    self._lock.release()

    # -- an audit, from beginning to end

    def create_audit(
        self,
        plan: Plan,
        suites: Sequence[Suite],
        *,
        cards: Mapping[str, ModelCard] | None = None,
        machine: Mapping[str, Any] | None = None,
        libraries: Mapping[str, str] | None = None,
        note: str = "",
    ) -> str:
        """Store a plan with its suites as they are now, and begin: the audit is `running`, this object its writer.

        Returns the id, 8 hexadecimal digits. ValueError when a suite of the plan is not among `suites`.
        """
        given = {suite.hash: suite for suite in suites}
        for planned in plan.suites:
            if planned.hash not in given:
                raise ValueError(f"the plan's suite {planned.id} {planned.version} was not given")
        ordered = [given[planned.hash] for planned in plan.suites]
        with self._exclusive() as connection, transaction(connection):
            stored = [store_suite(connection, suite) for suite in ordered]
            start = genesis(plan.hash, [mark for _, mark in stored])
            name = _new_name(connection)
            values = {
                "name": name,
                "created": now(),
                "status": "running",
                "note": clean(note),
                "plan": canonical(plan).decode(),
                "plan_hash": plan.hash,
                "seed": plan.seed,
                "genesis": start,
                "head": start,
                "machine": canonical(machine or {}).decode(),
                "libraries": canonical(libraries or {}).decode(),
                "models": canonical([model.name for model in plan.models]).decode(),
                "suites": canonical([planned.id for planned in plan.suites]).decode(),
                "total": sum(count_by_model(plan).values()),
            }
            marks = ", ".join(f":{key}" for key in values)
            audit = connection.execute(f"INSERT INTO audits ({', '.join(values)}) VALUES ({marks})", values).lastrowid
            assert audit is not None
            connection.executemany(
                "INSERT INTO audit_suites (audit, position, suite) VALUES (?, ?, ?)",
                [(audit, position, suite) for position, (suite, _) in enumerate(stored)],
            )
            cards = cards or {}
            connection.executemany(
                "INSERT INTO audit_models (audit, position, key, name, fingerprint, card) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (audit, position, model.key, model.name, model.fingerprint, _card(cards.get(model.key)))
                    for position, model in enumerate(plan.models)
                ],
            )
            # Inside the transaction: whoever sees the audit sees its writer.
            self._activate(audit, name)
        return name

    def add_card(self, audit: str, model_key: str, card: ModelCard) -> None:
        """Keep what a loaded model is and how it runs."""
        self._set_model(audit, model_key, card=_card(card))

    def set_noise(self, audit: str, model_key: str, floor: float, items: int, detail: Mapping[str, Any]) -> None:
        """Keep a model's noise floor (nats) and how it was measured."""
        self._set_model(audit, model_key, noise=floor, noise_items=items, noise_detail=canonical(dict(detail)).decode())

    def set_canary(self, audit: str, model_key: str, detail: Mapping[str, Any]) -> None:
        """Keep what a model's canary showed."""
        self._set_model(audit, model_key, canary=canonical(dict(detail)).decode())

    def add_answer(
        self, audit: str, trial: Trial, prompt: str, answer: Answer, verdict: Verdict, seconds: float
    ) -> None:
        """Keep an answer and its verdict; on the disk within half a second, or with the next `flush`.

        HistoryError when an earlier answer could not be written (a full disk): then this one is not taken, and those
        that wait are tried again by `flush` and `close`. ValueError for a trial that is not of the audit, or answered.
        """
        number = self._running(audit)
        self._buffer.add(number, trial, prompt, answer, verdict, seconds)

    def flush(self) -> None:
        """Commit every answer that waits."""
        with self._guard:
            if not self._closed:
                self._buffer.flush()

    def set_status(self, audit: str, status: Status, message: str = "") -> None:
        """`running` takes the writer's lock (to resume); every other status commits what waits, records the head of
        the chain and gives the lock back."""
        with self._exclusive() as connection:
            number = self._number(audit)
            self._buffer.flush()
            place = self._buffer.place(number)
            finished = now() if status in {"complete", "failed"} else ""
            with transaction(connection):
                connection.execute(
                    "UPDATE audits SET status = ?, message = ?, finished = ?, head = ?, head_count = ? WHERE id = ?",
                    (status, clean(message), finished, place.head, place.seq, number),
                )
                if status == "running":
                    name = connection.execute("SELECT name FROM audits WHERE id = ?", (number,)).fetchone()[0]
                    self._activate(number, name)
            if status != "running":
                self._deactivate(number)

    def save_findings(self, audit: str, findings: Findings, headline_metrics: Collection[str] = ()) -> None:
        """Keep the findings; the first of the headline metrics that has a figure makes the audit's line in lists."""
        self._set_audit(
            audit, findings=canonical(findings).decode(), headline=clean(headline(findings, headline_metrics))
        )

    def set_note(self, audit: str, text: str) -> None:
        """Change the note."""
        self._set_audit(audit, note=clean(text))

    def replace_verdicts(self, audit: str, verdicts: Iterable[tuple[str, Verdict]]) -> int:
        """Give trials (by id) new verdicts and keep the old ones with their version and time; how many differ.

        HistoryError when a trial has no answer; then nothing is changed.
        """
        replaced = 0
        pairs = list(verdicts)
        with self._exclusive() as connection:
            number = self._number(audit)
            at = now()
            with transaction(connection):
                for trial_id, verdict in pairs:
                    replaced += self._replace(connection, number, trial_id, verdict, at)
                connection.execute("UPDATE audits SET rescored = rescored + 1 WHERE id = ?", (number,))
        return replaced

    def _replace(self, connection: sqlite3.Connection, audit: int, trial_id: str, verdict: Verdict, at: str) -> bool:
        found = connection.execute(
            "SELECT n.id, v.version, v.kind, v.choice, v.reason, v.margin, v.figures FROM answers n "
            "LEFT JOIN verdicts v ON v.answer = n.id WHERE n.audit = ? AND n.trial = ?",
            (audit, trial_id),
        ).fetchone()
        if found is None:
            raise HistoryError(f"{self.path.name}: the audit has no answer to the trial {trial_id}")
        fields = verdict_fields(verdict)
        if found[2:] == fields:
            return False
        connection.execute("INSERT INTO old_verdicts SELECT * FROM verdicts WHERE answer = ?", (found[0],))
        connection.execute(
            "INSERT OR REPLACE INTO verdicts (answer, kind, choice, reason, margin, figures, version, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (found[0], *fields, (found[1] or 0) + 1, at),
        )
        return True

    def add_label(self, audit: str, trial_id: str, labeller: str, label: str, note: str = "") -> None:
        """Keep what a person says that an answer is, in place of what the same person said before. HistoryError when
        the trial has no answer."""
        with self._exclusive() as connection:
            number = self._number(audit)
            found = connection.execute(
                "SELECT id FROM answers WHERE audit = ? AND trial = ?", (number, trial_id)
            ).fetchone()
            if found is None:
                raise HistoryError(f"{self.path.name}: the audit has no answer to the trial {trial_id}")
            with transaction(connection):
                connection.execute(
                    "INSERT OR REPLACE INTO labels (answer, labeller, label, note, at) VALUES (?, ?, ?, ?, ?)",
                    (found[0], clean(labeller), clean(label), clean(note), now()),
                )

    def remove_label(self, audit: str, trial_id: str, labeller: str) -> bool:
        """Take a person's label back; whether there was one."""
        with self._exclusive() as connection:
            number = self._number(audit)
            with transaction(connection):
                gone = connection.execute(
                    "DELETE FROM labels WHERE labeller = ? AND answer = "
                    "(SELECT id FROM answers WHERE audit = ? AND trial = ?)",
                    (clean(labeller), number, trial_id),
                )
        return bool(gone.rowcount)

    def delete_audit(self, audit: str) -> None:
        """Delete an audit with its answers, verdicts and findings, what only it used, and its search entries."""
        with self._exclusive() as connection:
            number = self._number(audit)
            self._buffer.forget(number)
            with transaction(connection):
                _delete(connection, number)
            self._deactivate(number)

    # -- moments

    def keep_moment(self, title: str, record: Mapping[str, Any], note: str = "") -> str:
        """Keep what was shown live (see `workbench.live.record`); its id."""
        with self._exclusive() as connection, transaction(connection):
            return moments.store(connection, title, note, dict(record))

    def delete_moment(self, moment: str) -> None:
        """Delete what was shown live. Raises HistoryError."""
        with self._exclusive() as connection, transaction(connection):
            connection.execute("DELETE FROM moments WHERE name = ?", (moments.one(connection, moment).id,))

    # -- from another history

    def take_in(self, bundle: Bundle, change: Change) -> None:
        """Do what `importing.look` said an import would do, all of it or nothing. HistoryError when the history has
        changed meanwhile, or when what was taken in would not hold."""
        with self._exclusive() as connection, transaction(connection):
            importing.take_in(connection, self._guard, self.path, bundle, change)

    # -- votes

    def add_annotator(self, audit: str, name: str, background: str | None = None) -> None:
        """Keep who votes; a background that is given replaces the one before."""
        with self._exclusive() as connection:
            number = self._number(audit)
            with transaction(connection):
                votes.keep_annotator(connection, number, name, background)

    def add_vote(self, audit: str, vote: Vote) -> None:
        """Keep a vote. HistoryError when the audit lacks the answers, or the annotator has voted on them already."""
        with self._exclusive() as connection:
            number = self._number(audit)
            with transaction(connection):
                votes.store(connection, number, vote)

    def drop_vote(self, audit: str, vote: Vote) -> None:
        """Take a vote back."""
        with self._exclusive() as connection:
            number = self._number(audit)
            with transaction(connection):
                votes.forget(connection, number, vote.annotator, vote.a, vote.b)

    # -- inside

    def _settle(self) -> None:
        self._buffer.flush()

    def _failure(self, error: sqlite3.Error) -> HistoryError:
        return HistoryError(f"{self.path}: {explain(error)}")

    @contextmanager
    def _exclusive(self) -> Iterator[sqlite3.Connection]:
        """The connection, with the writer's lock; the lock stays only while an audit runs."""
        if self._lock is None:
            raise HistoryError(f"{self.path.name}: the history was opened for reading only")
        with self._turn:
            # Waiting for another program happens before the guard is taken: readers of this object go on.
            self._lock.acquire(self._wait)
            try:
                with self._reading() as connection:
                    yield connection
            finally:
                if not self._active:
                    self._lock.release()

    def _activate(self, number: int, name: str) -> None:
        self._active[number] = name
        assert self._lock is not None
        self._lock.announce(tuple(self._active.values()))

    def _deactivate(self, number: int) -> None:
        self._active.pop(number, None)
        assert self._lock is not None
        self._lock.announce(tuple(self._active.values()))

    def _running(self, audit: str) -> int:
        """The row id of an audit that this object writes; makes it so when it is not."""
        for number, name in list(self._active.items()):
            if name == audit:
                return number
        with self._exclusive() as connection:
            number = self._number(audit)
            name = connection.execute("SELECT name FROM audits WHERE id = ?", (number,)).fetchone()[0]
            self._activate(number, name)
        return number

    def _set_audit(self, audit: str, **values: object) -> None:
        with self._exclusive() as connection:
            number = self._number(audit)
            names = ", ".join(f"{name} = ?" for name in values)
            with transaction(connection):
                connection.execute(f"UPDATE audits SET {names} WHERE id = ?", (*values.values(), number))

    def _set_model(self, audit: str, key: str, **values: object) -> None:
        with self._exclusive() as connection:
            number = self._number(audit)
            names = ", ".join(f"{name} = ?" for name in values)
            with transaction(connection):
                changed = connection.execute(
                    f"UPDATE audit_models SET {names} WHERE audit = ? AND key = ?", (*values.values(), number, key)
                )
            if not changed.rowcount:
                raise ValueError(f"the audit {audit} has no model {key!r}")


def _card(card: ModelCard | None) -> str | None:
    return None if card is None else canonical(card).decode()


def _new_name(connection: sqlite3.Connection) -> str:
    while True:
        name = secrets.token_hex(4)
        if connection.execute("SELECT 1 FROM audits WHERE name = ?", (name,)).fetchone() is None:
            return name


def _delete(connection: sqlite3.Connection, audit: int) -> None:
    """Take an audit out, inside a transaction. Items, suites and prompts go when nothing else uses them."""
    # Row by row: the texts of a large audit need not be in memory together.
    for row, answer in connection.execute(
        "SELECT id, answer FROM answers WHERE audit = ? AND kind = 'generation'", (audit,)
    ):
        text = written_text(answer)
        if text:
            drop_from_index(connection, "answer_search", row, text)
    prompts = connection.execute("SELECT DISTINCT prompt FROM answers WHERE audit = ?", (audit,)).fetchall()
    connection.execute("DELETE FROM audits WHERE id = ?", (audit,))
    for (prompt,) in prompts:
        if connection.execute("SELECT 1 FROM answers WHERE prompt = ? LIMIT 1", (prompt,)).fetchone() is None:
            (text,) = connection.execute("SELECT text FROM prompts WHERE id = ?", (prompt,)).fetchone()
            drop_from_index(connection, "prompt_search", prompt, text)
            connection.execute("DELETE FROM prompts WHERE id = ?", (prompt,))
    connection.execute("DELETE FROM suites WHERE id NOT IN (SELECT suite FROM audit_suites)")
    connection.execute("DELETE FROM items WHERE id NOT IN (SELECT item FROM suite_items)")
