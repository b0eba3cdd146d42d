"""Reading the history. Every method takes an audit's id or a beginning of it that is unique."""

from __future__ import annotations

import difflib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engines.base import ModelCard
from suites.base import Condition, Suite, Verdict
from suites.kinds import item_of
from workbench.audits.findings import Findings
from workbench.audits.plan import Plan, Trial
from workbench.history import moments, search, verify, votes
from workbench.history.chain import decode_answer
from workbench.history.files import quick_check, told
from workbench.history.lock import running_audits
from workbench.history.moments import Moment
from workbench.history.rows import (
    AnswerRow,
    AuditDetails,
    AuditRow,
    HistoryError,
    Hit,
    JudgedRow,
    LabelRow,
    NoiseRow,
    VerdictVersion,
)
from workbench.history.votes import Annotator, Vote

_PAGE = 500
"""Answers read at a time: no read keeps the file's state fixed for long, so the write-ahead log can be folded in."""

_AUDIT = """
SELECT a.id, a.name, a.created, a.finished, a.status, a.message, a.note, a.models, a.suites,
  (SELECT coalesce(sum(m.done), 0) FROM audit_models m WHERE m.audit = a.id), a.total, a.headline
FROM audits a
"""
_TRIAL = """
SELECT n.seq, n.cell, i.hash, n.repeat, v.kind, v.choice, v.reason, v.margin, v.figures{more}
FROM answers n LEFT JOIN suite_items i ON i.id = n.item
LEFT JOIN verdicts v ON v.answer = n.id{join} WHERE n.audit = ?
"""
_JUDGED = _TRIAL.format(more="", join="")
_ANSWER = _TRIAL.format(more=", p.text, n.kind, n.answer, n.seconds, n.at", join=" JOIN prompts p ON p.id = n.prompt")

_CELLS = """
SELECT id, model_key, suite, task, language, version, "order", form, context, persona, part FROM cells WHERE audit = ?
"""

_FIGURES = msgspec.json.Decoder(dict[str, float])
_Cells = dict[int, tuple[str, str, str, Condition]]
"""Model, suite, task and condition by the cell's row id: thousands of answers share one."""
_T = TypeVar("_T")


class Reader:
    """What can be read. Safe to use from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._guard = threading.RLock()
        self._closed = False

    # -- moments

    def moments(self) -> list[Moment]:
        """What was shown live and kept, newest first."""
        with self._reading() as connection:
            return moments.read(connection)

    def moment(self, moment: str) -> Moment:
        """One of them, by its id or a beginning of it. Raises HistoryError."""
        with self._reading() as connection:
            return moments.one(connection, moment)

    # -- votes

    def votes(self, audit: str, annotator: str | None = None) -> list[Vote]:
        """The votes on an audit's answers, of one annotator if asked, in the order in which they were given."""
        number = self._number(audit)
        with self._reading() as connection:
            return votes.read(connection, number, annotator)

    def annotators(self, audit: str) -> list[Annotator]:
        """Who has voted on an audit, in the order in which they came."""
        number = self._number(audit)
        with self._reading() as connection:
            return votes.annotators(connection, number)

    def written_tasks(self, audit: str) -> list[tuple[str, str]]:
        """Suite and task of what the models answered in writing."""
        number = self._number(audit)
        with self._reading() as connection:
            return votes.written_tasks(connection, number)

    # -- audits

    def audits(self, query: str = "", limit: int = 0) -> list[AuditRow]:
        """All audits, newest first, of which every word of `query` occurs in id, note, models, suites, status or
        headline; at most `limit` when it is not 0."""
        words = query.casefold().split()
        with self._reading() as connection:
            found = connection.execute(_AUDIT + "ORDER BY a.id DESC").fetchall()
        running = running_audits(self.path) if any(row[4] == "running" for row in found) else frozenset()
        kept: list[AuditRow] = []
        for record in found:
            row = _audit_row(record, running)
            if words:
                text = " ".join((row.id, row.note, *row.models, *row.suites, row.status, row.message, row.headline))
                text = text.casefold()
                if not all(word in text for word in words):
                    continue
            kept.append(row)
            if len(kept) == limit:
                break
        return kept

    def audit(self, id_prefix: str) -> AuditRow:
        """The audit of that id, or of the only id that begins so; HistoryError with the nearest ids otherwise."""
        number = self._number(id_prefix)
        with self._reading() as connection:
            record = connection.execute(_AUDIT + "WHERE a.id = ?", (number,)).fetchone()
        if record is None:
            raise HistoryError(f"{self.path.name}: the audit {id_prefix} has just been deleted")
        return _audit_row(record, running_audits(self.path) if record[4] == "running" else frozenset())

    def plan(self, audit: str) -> Plan:
        """The audit's plan, as it was made."""
        return self._decoded(Plan, "plan", audit)

    def suites(self, audit: str) -> list[Suite]:
        """The audit's suites with all their items, as they were when it was made."""
        number = self._number(audit)
        with self._reading() as connection:
            stored = connection.execute(
                "SELECT s.id, s.manifest FROM audit_suites x JOIN suites s ON s.id = x.suite WHERE x.audit = ? "
                "ORDER BY x.position",
                (number,),
            ).fetchall()
            items = {
                suite: connection.execute(
                    "SELECT p.name, p.hash, p.stratum, i.data FROM suite_items p JOIN items i ON i.id = p.item "
                    "WHERE p.suite = ? ORDER BY p.position",
                    (suite,),
                ).fetchall()
                for suite, _ in stored
            }
        found: list[Suite] = []
        for suite, text in stored:
            head = self._json(text, Suite)
            rows = tuple(
                item_of(head.item_kind, name, mark, self._json(data, dict), stratum)
                for name, mark, stratum, data in items[suite]
            )
            found.append(msgspec.structs.replace(head, items=rows))
        return found

    def cards(self, audit: str) -> dict[str, ModelCard]:
        """The models' cards by key, of those that were loaded."""
        return {key: self._json(card, ModelCard) for key, card in self._models(audit, "card")}

    def noise(self, audit: str) -> dict[str, NoiseRow]:
        """The noise floors by model key, of those that were measured."""
        found = self._models(audit, "noise, noise_items, noise_detail")
        return {key: NoiseRow(floor, items, self._json(detail, dict)) for key, floor, items, detail in found}

    def canary(self, audit: str) -> dict[str, dict[str, Any]]:
        """What each model's canary showed, by model key."""
        return {key: self._json(detail, dict) for key, detail in self._models(audit, "canary")}

    def details(self, audit: str) -> AuditDetails:
        """Seed, machine, libraries and the state of the chain."""
        names = ("seed", "plan_hash", "machine", "libraries", "head", "head_count", "rescored")
        values = dict(zip(names, self._column(", ".join(names), audit), strict=True))
        values["machine"] = self._json(values["machine"], dict)
        values["libraries"] = self._json(values["libraries"], dict)
        return AuditDetails(**values)

    def findings(self, audit: str) -> Findings | None:
        """The findings, if they were computed."""
        (text,) = self._column("findings", audit)
        return None if text is None else self._json(text, Findings)

    # -- answers

    def answered(self, audit: str) -> set[str]:
        """Ids of the trials that have an answer."""
        number = self._number(audit)
        with self._reading() as connection:
            return {row[0] for row in connection.execute("SELECT trial FROM answers WHERE audit = ?", (number,))}

    def done_by_model(self, audit: str) -> dict[str, int]:
        """How many answers each model key has."""
        return dict(self._models(audit, "done"))

    def rows(
        self, audit: str, *, model: str | None = None, task: str | None = None, suite: str | None = None
    ) -> Iterator[AnswerRow]:
        """The answers in the order in which they were given, of one model, task or suite if asked."""
        for record in self._pages(_ANSWER, audit, model=model, task=task, suite=suite):
            yield self._answer_row(*record)

    def judged(
        self, audit: str, *, model: str | None = None, task: str | None = None, suite: str | None = None
    ) -> Iterator[JudgedRow]:
        """Trials and verdicts only, in the same order: for whoever does not need prompts and answers."""
        for trial, record in self._pages(_JUDGED, audit, model=model, task=task, suite=suite):
            yield JudgedRow(trial, _verdict(record[4:]))

    def row(self, audit: str, trial_id: str) -> AnswerRow:
        """One answer by its trial's id; HistoryError when there is none."""
        number = self._number(audit)
        with self._reading() as connection:
            record = connection.execute(_ANSWER + "AND n.trial = ?", (number, trial_id)).fetchone()
            cells = _cells(connection, number)
        if record is None:
            raise HistoryError(f"{self.path.name}: audit {audit} has no answer to the trial {trial_id}")
        return self._answer_row(self._trial(cells, record), record)

    def verdict_versions(self, audit: str, trial_id: str) -> list[VerdictVersion]:
        """All verdicts that a trial has been given, oldest first; the last one counts."""
        number = self._number(audit)
        fields = "v.version, v.at, v.kind, v.choice, v.reason, v.margin, v.figures"
        sources = " UNION ALL ".join(
            f"SELECT {fields} FROM answers n JOIN {table} v ON v.answer = n.id WHERE n.audit = ?1 AND n.trial = ?2"
            for table in ("old_verdicts", "verdicts")
        )
        with self._reading() as connection:
            found = connection.execute(f"{sources} ORDER BY 1", (number, trial_id)).fetchall()
        return [VerdictVersion(record[0], record[1], _verdict(record[2:])) for record in found]

    def labels(self, audit: str) -> list[LabelRow]:
        """What people said of the answers, in the order of the answers and then of the labellers' names."""
        number = self._number(audit)
        with self._reading() as connection:
            found = connection.execute(
                "SELECT n.trial, l.labeller, l.label, l.note, l.at FROM answers n JOIN labels l ON l.answer = n.id "
                "WHERE n.audit = ? ORDER BY n.seq, l.labeller",
                (number,),
            ).fetchall()
        return [LabelRow(*record) for record in found]

    def search(self, text: str, limit: int = 50, *, audit: str | None = None) -> list[Hit]:
        """Answers and prompts that hold all words of `text`, newest first (see `workbench.history.search`)."""
        number = None if audit is None else self._number(audit)
        with self._reading() as connection:
            return search.search(connection, text, limit, number)

    # -- checks

    def verify(self, audit: str) -> list[str]:
        """What of an audit is not as it was written, one sentence each; [] when everything holds."""
        number = self._number(audit)
        with self._reading():
            pass
        return verify.verify(self._connection, self._guard, self.path, number)

    def check(self) -> list[str]:
        """What SQLite's own check of the whole file complains of; [] when nothing. Slow on large files."""
        with self._reading() as connection:
            return quick_check(connection, seconds=None)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The connection, for reads that all see the same moment."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    # -- inside

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one short read that sees everything that was added before."""
        with self._guard, told(self.path):
            if self._closed:
                raise HistoryError(f"{self.path.name}: the history has been closed")
            self._settle()
            yield self._connection

    def _settle(self) -> None:
        """Write what is still buffered (a writer's concern)."""

    def _number(self, audit: str) -> int:
        """The row id of an audit by its id or a unique beginning."""
        wanted = audit.strip().casefold()
        with self._reading() as connection:
            exact = connection.execute("SELECT id FROM audits WHERE name = ?", (wanted,)).fetchone()
            if exact is not None:
                return int(exact[0])
            names = dict(connection.execute("SELECT name, id FROM audits ORDER BY id DESC").fetchall())
        found = [name for name in names if wanted and name.startswith(wanted)]
        if len(found) == 1:
            return int(names[found[0]])
        if found:
            raise HistoryError(f"several audits begin with {wanted}: {', '.join(found[:5])}; give more of the id")
        near = difflib.get_close_matches(wanted, list(names), n=3, cutoff=0.5) or list(names)[:3]
        hint = f"nearest: {', '.join(near)}" if near else "the history holds none yet"
        raise HistoryError(f"no audit {audit.strip()[:40]!r}; {hint}")

    def _column(self, names: str, audit: str) -> tuple[Any, ...]:
        number = self._number(audit)
        with self._reading() as connection:
            record = connection.execute(f"SELECT {names} FROM audits WHERE id = ?", (number,)).fetchone()
        return tuple(record or ())

    def _decoded(self, kind: type[_T], name: str, audit: str) -> _T:
        return self._json(self._column(name, audit)[0], kind)

    def _models(self, audit: str, names: str) -> list[tuple[Any, ...]]:
        number = self._number(audit)
        first = names.split(",")[0]
        with self._reading() as connection:
            return connection.execute(
                f"SELECT key, {names} FROM audit_models WHERE audit = ? AND {first} IS NOT NULL ORDER BY position",
                (number,),
            ).fetchall()

    def _json(self, text: str, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, TypeError) as error:
            raise HistoryError(f"{self.path}: a stored {kind.__name__.lower()} is damaged ({error})") from error

    def _answer_row(self, trial: Trial, record: tuple[Any, ...]) -> AnswerRow:
        prompt, kind, text, seconds, at = record[9:]
        try:
            answer = decode_answer(kind, text)
        except msgspec.DecodeError as error:
            raise HistoryError(f"{self.path}: answer {record[0]} of the audit is damaged ({error})") from error
        return AnswerRow(
            trial=trial, prompt=prompt, answer=answer, verdict=_verdict(record[4:]), seconds=seconds, at=at
        )

    def _trial(self, cells: _Cells, record: tuple[Any, ...]) -> Trial:
        try:
            model, suite, task, condition = cells[record[1]]
        except KeyError as error:
            raise HistoryError(f"{self.path}: answer {record[0]} of the audit has lost its condition") from error
        return Trial(model, suite, task, record[2] or "", condition, record[3])

    def _pages(self, query: str, audit: str, **wanted: str | None) -> Iterator[tuple[Trial, tuple[Any, ...]]]:
        """The trials of a query with their records, of some model, task or suite if asked."""
        number = self._number(audit)
        chosen = {key: value for key, value in wanted.items() if value is not None}
        with self._reading() as connection:
            cells = _cells(connection, number, **chosen)
        only = f"AND n.cell IN ({','.join(map(str, cells))}) " if chosen else ""
        last = 0
        while True:
            with self._reading() as connection:
                page = connection.execute(
                    f"{query} AND n.seq > ? {only}ORDER BY n.seq LIMIT {_PAGE}", (number, last)
                ).fetchall()
                # An audit that runs meets new conditions while it is read.
                if any(record[1] not in cells for record in page):
                    cells = _cells(connection, number, **chosen)
            for record in page:
                yield self._trial(cells, record), record
            if len(page) < _PAGE:
                return
            last = page[-1][0]


def _cells(connection: sqlite3.Connection, audit: int, **wanted: str) -> _Cells:
    names = {"model": "model_key", "task": "task", "suite": "suite"}
    where = "".join(f" AND {names[key]} = ?" for key in wanted)
    found = connection.execute(_CELLS + where, (audit, *wanted.values()))
    return {row: (model, suite, task, Condition(*rest)) for row, model, suite, task, *rest in found}


def _audit_row(record: tuple[Any, ...], running: frozenset[str]) -> AuditRow:
    _, name, created, finished, status, message, note, models, suites, done, total, line = record
    if status == "running" and name not in running:
        status, message = "paused", message or "interrupted; it can be resumed"
    return AuditRow(
        id=name,
        created=created,
        finished=finished,
        status=status,
        message=message,
        note=note,
        models=tuple(msgspec.json.decode(models)),
        suites=tuple(msgspec.json.decode(suites)),
        done=done,
        total=total,
        headline=line,
    )


def _verdict(fields: tuple[Any, ...]) -> Verdict:
    kind, choice, reason, margin, figures = fields[:5]
    if kind is None:
        return Verdict("error", reason="the history holds no verdict for this answer")
    values = {} if figures == "{}" else _FIGURES.decode(figures)
    return Verdict(kind, choice, reason, margin, values)
