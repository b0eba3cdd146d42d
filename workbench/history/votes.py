"""People's votes on two models' answers: who voted, for which side, why, and what they would have written instead."""

from __future__ import annotations

import sqlite3
from typing import Literal, get_args

import msgspec

from workbench.history.buffer import now
from workbench.history.chain import canonical, clean
from workbench.history.rows import HistoryError

Choice = Literal["a", "b", "tie", "both bad"]
Reason = Literal["wrong fact", "stereotype", "outsider's gaze", "language", "tone"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""What may be wrong with an answer."""

TABLE = """
CREATE TABLE annotators (
  id INTEGER PRIMARY KEY,
  audit INTEGER NOT NULL REFERENCES audits(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  background TEXT NOT NULL DEFAULT '',
  UNIQUE (audit, name)
);
-- `a` and `b` are trials (answers.trial) of the audit, the one of the model that stands first in the plan in `a`.
-- `flipped`: whether the answer to `a` stood on the right (or below) while it was voted on.
CREATE TABLE votes (
  id INTEGER PRIMARY KEY,
  annotator INTEGER NOT NULL REFERENCES annotators(id) ON DELETE CASCADE,
  a TEXT NOT NULL,
  b TEXT NOT NULL,
  choice TEXT NOT NULL CHECK (choice IN ('a', 'b', 'tie', 'both bad')),
  flipped INTEGER NOT NULL CHECK (flipped IN (0, 1)),
  reasons TEXT NOT NULL DEFAULT '[]',
  rewrite TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  at TEXT NOT NULL,
  UNIQUE (annotator, a, b)
);
CREATE VIEW votes_readable AS
SELECT u.name AS audit, p.name AS annotator, p.background, m.name AS model_a, o.name AS model_b, i.name AS item,
  c.language, v.choice, CASE v.choice WHEN 'a' THEN m.name WHEN 'b' THEN o.name ELSE '' END AS preferred,
  (SELECT group_concat(value, ', ') FROM json_each(v.reasons)) AS reasons, v.rewrite, v.note, v.at
FROM votes v
JOIN annotators p ON p.id = v.annotator
JOIN audits u ON u.id = p.audit
JOIN answers x ON x.audit = p.audit AND x.trial = v.a
JOIN answers y ON y.audit = p.audit AND y.trial = v.b
JOIN cells c ON c.id = x.cell
JOIN cells d ON d.id = y.cell
JOIN audit_models m ON m.id = c.model
JOIN audit_models o ON o.id = d.model
LEFT JOIN suite_items i ON i.id = x.item;
"""

_FIELDS = "p.name, v.a, v.b, v.choice, v.flipped, v.reasons, v.rewrite, v.note, v.at"
_FROM = "FROM votes v JOIN annotators p ON p.id = v.annotator WHERE p.audit = ?"


class Annotator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who votes on an audit. `background` is what this person says of it, in free text; may be empty."""

    name: str
    background: str = ""


class Vote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vote on the answers to two trials. `a` is the trial of the model that stands first in the plan."""

    annotator: str
    a: str
    b: str
    choice: Choice
    flipped: bool
    """Whether the answer to `a` stood on the right (or below)."""
    reasons: tuple[Reason, ...] = ()
    rewrite: str = ""
    """What the annotator would have wanted to read; "" for nothing."""
    note: str = ""
    at: str = ""
    """When, UTC; filled in when it is kept."""


def keep_annotator(connection: sqlite3.Connection, audit: int, name: str, background: str | None) -> int:
    """The row id of an annotator, added if it is new. A background that is not None replaces the one before."""
    connection.execute("INSERT OR IGNORE INTO annotators (audit, name) VALUES (?, ?)", (audit, clean(name)))
    if background is not None:
        connection.execute(
            "UPDATE annotators SET background = ? WHERE audit = ? AND name = ?", (clean(background), audit, clean(name))
        )
    found = connection.execute("SELECT id FROM annotators WHERE audit = ? AND name = ?", (audit, clean(name)))
    return int(found.fetchone()[0])


def store(connection: sqlite3.Connection, audit: int, vote: Vote) -> None:
    """Keep a vote in the open transaction. HistoryError when its trials have no answers in the audit, or when this
    annotator has voted on them already."""
    for trial in (vote.a, vote.b):
        known = connection.execute("SELECT 1 FROM answers WHERE audit = ? AND trial = ?", (audit, trial))
        if known.fetchone() is None:
            raise HistoryError(f"the audit has no answer to the trial {trial}: nothing to vote on")
    annotator = keep_annotator(connection, audit, vote.annotator, None)
    known = connection.execute(
        "SELECT 1 FROM votes WHERE annotator = ? AND a = ? AND b = ?", (annotator, vote.a, vote.b)
    )
    if known.fetchone() is not None:
        raise HistoryError(f"{vote.annotator} has voted on these two answers already: undo that vote first")
    connection.execute(
        "INSERT INTO votes (annotator, a, b, choice, flipped, reasons, rewrite, note, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            annotator,
            vote.a,
            vote.b,
            vote.choice,
            int(vote.flipped),
            canonical(vote.reasons).decode(),
            clean(vote.rewrite),
            clean(vote.note),
            vote.at or now(),
        ),
    )


def forget(connection: sqlite3.Connection, audit: int, annotator: str, a: str, b: str) -> None:
    """Take a vote back, in the open transaction."""
    connection.execute(
        "DELETE FROM votes WHERE a = ? AND b = ? "
        "AND annotator = (SELECT id FROM annotators WHERE audit = ? AND name = ?)",
        (a, b, audit, clean(annotator)),
    )


def read(connection: sqlite3.Connection, audit: int, annotator: str | None = None) -> list[Vote]:
    """The votes of an audit, or of one annotator, in the order in which they were given."""
    only, values = ("", (audit,)) if annotator is None else (" AND p.name = ?", (audit, clean(annotator)))
    found = connection.execute(f"SELECT {_FIELDS} {_FROM}{only} ORDER BY v.id", values)
    return [_vote(record) for record in found]


def annotators(connection: sqlite3.Connection, audit: int) -> list[Annotator]:
    """Who has voted on an audit, in the order in which they came."""
    found = connection.execute("SELECT name, background FROM annotators WHERE audit = ? ORDER BY id", (audit,))
    return [Annotator(name=name, background=background) for name, background in found]


def written_tasks(connection: sqlite3.Connection, audit: int) -> list[tuple[str, str]]:
    """Suite and task of what was answered in writing. One answer a cell is looked at: a task writes or scores."""
    found = connection.execute(
        "SELECT DISTINCT c.suite, c.task FROM cells c WHERE c.audit = ? "
        "AND (SELECT n.kind FROM answers n WHERE n.cell = c.id LIMIT 1) = 'generation'",
        (audit,),
    )
    return sorted(found.fetchall())


def _vote(record: tuple[str, str, str, Choice, int, str, str, str, str]) -> Vote:
    name, a, b, choice, flipped, reasons, rewrite, note, at = record
    try:
        tags = msgspec.json.decode(reasons, type=tuple[Reason, ...])
    except msgspec.DecodeError as error:
        raise HistoryError(f"the reasons of a vote by {name} are damaged ({error})") from error
    return Vote(
        annotator=name,
        a=a,
        b=b,
        choice=choice,
        flipped=bool(flipped),
        reasons=tags,
        rewrite=rewrite,
        note=note,
        at=at,
    )
