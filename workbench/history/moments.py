"""What was shown live and kept: a scene with what the models made of it, and a note."""

from __future__ import annotations

import json
import secrets
import sqlite3
from typing import Any

import msgspec

from workbench.history.buffer import now
from workbench.history.chain import canonical, clean
from workbench.history.rows import HistoryError

TABLE = """
CREATE TABLE moments (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  at TEXT NOT NULL,
  note TEXT NOT NULL DEFAULT '',
  title TEXT NOT NULL,
  models TEXT NOT NULL,
  record TEXT NOT NULL
);
CREATE VIEW moments_readable AS
SELECT m.name AS moment, m.at, m.note, m.title,
  (SELECT group_concat(value, ', ') FROM json_each(m.models)) AS models,
  json_extract(m.record, '$.kind') AS kind
FROM moments m;
"""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was shown. `record` is as `workbench.live.record` makes it."""

    id: str
    at: str
    """UTC, as 2026-11-23T20:31:07Z."""
    note: str
    title: str
    models: tuple[str, ...]
    record: dict[str, Any]


def store(connection: sqlite3.Connection, title: str, note: str, record: dict[str, Any]) -> str:
    """Keep a record in the open transaction; its id, 8 hexadecimal digits."""
    models = list(dict.fromkeys(str(pane["model"]) for pane in record["panes"]))
    name = secrets.token_hex(4)
    connection.execute(
        "INSERT INTO moments (name, at, note, title, models, record) VALUES (?, ?, ?, ?, ?, ?)",
        (name, now(), clean(note), clean(title), canonical(models).decode(), canonical(record).decode()),
    )
    return name


def read(connection: sqlite3.Connection, name: str = "") -> list[Moment]:
    """Those whose id begins so, newest first."""
    found = connection.execute(
        "SELECT name, at, note, title, models, record FROM moments WHERE substr(name, 1, ?) = ? ORDER BY id DESC",
        (len(name), name),
    )
    return [
        Moment(
            id=row[0], at=row[1], note=row[2], title=row[3], models=tuple(json.loads(row[4])), record=json.loads(row[5])
        )
        for row in found
    ]


def one(connection: sqlite3.Connection, name: str) -> Moment:
    """The one whose id begins so. Raises HistoryError."""
    found = read(connection, name) if name else []
    if len(found) == 1:
        return found[0]
    what = "several moments begin with" if found else "no moment has the id"
    raise HistoryError(f"{what} {name!r}: see `culture-workbench live kept`")
