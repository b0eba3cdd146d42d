"""The tables of the history, and how an older file becomes a newer one.

Migrations have names. Those that a file lacks run in one transaction, together with the record that they ran (table
`_sqlite_migrations`) and the new `user_version`: a file is of one version or another, never in between, also for who
looks at that moment. Before an existing file is changed, it is copied beside itself through SQLite's backup API.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench.history.files import create_private, transaction
from workbench.history.rows import HistoryError

APPLICATION_ID = 0x43574231
"""`CWB1`: tells a history from any other SQLite file."""

Migration = tuple[str, Callable[[sqlite3.Connection], None]]

_TABLES = """
CREATE TABLE suites (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  hash TEXT NOT NULL,
  suite TEXT NOT NULL,
  version TEXT NOT NULL,
  title TEXT NOT NULL,
  manifest TEXT NOT NULL
);
CREATE TABLE items (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  data TEXT NOT NULL
);
-- An item as it stands in a suite. Answers point here.
CREATE TABLE suite_items (
  id INTEGER PRIMARY KEY,
  suite INTEGER NOT NULL REFERENCES suites(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  item INTEGER NOT NULL REFERENCES items(id),
  hash TEXT NOT NULL,
  name TEXT NOT NULL,
  stratum TEXT NOT NULL,
  UNIQUE (suite, position)
);
CREATE INDEX suite_items_item ON suite_items(item);

CREATE TABLE audits (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created TEXT NOT NULL,
  finished TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL CHECK (status IN ('running', 'paused', 'complete', 'failed')),
  message TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  plan TEXT NOT NULL,
  plan_hash TEXT NOT NULL,
  seed INTEGER NOT NULL,
  genesis TEXT NOT NULL,
  head TEXT NOT NULL,
  head_count INTEGER NOT NULL DEFAULT 0,
  machine TEXT NOT NULL,
  libraries TEXT NOT NULL,
  models TEXT NOT NULL,
  suites TEXT NOT NULL,
  total INTEGER NOT NULL,
  rescored INTEGER NOT NULL DEFAULT 0,
  headline TEXT NOT NULL DEFAULT '',
  findings TEXT
);
CREATE TABLE audit_suites (
  audit INTEGER NOT NULL REFERENCES audits(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  suite INTEGER NOT NULL REFERENCES suites(id),
  PRIMARY KEY (audit, position)
);
CREATE INDEX audit_suites_suite ON audit_suites(suite);
CREATE TABLE audit_models (
  id INTEGER PRIMARY KEY,
  audit INTEGER NOT NULL REFERENCES audits(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  done INTEGER NOT NULL DEFAULT 0,
  card TEXT,
  noise REAL,
  noise_items INTEGER,
  noise_detail TEXT,
  canary TEXT,
  UNIQUE (audit, key)
);

-- What the trials of one model, task and condition have in common.
CREATE TABLE cells (
  id INTEGER PRIMARY KEY,
  audit INTEGER NOT NULL REFERENCES audits(id) ON DELETE CASCADE,
  model INTEGER NOT NULL REFERENCES audit_models(id) ON DELETE CASCADE,
  model_key TEXT NOT NULL,
  suite TEXT NOT NULL,
  task TEXT NOT NULL,
  language TEXT NOT NULL,
  version INTEGER NOT NULL,
  "order" INTEGER NOT NULL,
  form TEXT NOT NULL,
  context TEXT NOT NULL,
  persona TEXT NOT NULL
);
CREATE INDEX cells_audit ON cells(audit);
CREATE INDEX cells_model ON cells(model);
CREATE TABLE prompts (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  text TEXT NOT NULL
);
-- Append-only and hash-chained: `seq` counts an audit's answers from 1. `item` is a suite_items.id; it is no declared
-- foreign key, because that would cost an index of its own only to delete suites (verify looks for lost items).
CREATE TABLE answers (
  id INTEGER PRIMARY KEY,
  audit INTEGER NOT NULL REFERENCES audits(id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  trial TEXT NOT NULL,
  cell INTEGER NOT NULL REFERENCES cells(id) ON DELETE CASCADE,
  item INTEGER NOT NULL,
  repeat INTEGER NOT NULL,
  prompt INTEGER NOT NULL REFERENCES prompts(id),
  kind TEXT NOT NULL CHECK (kind IN ('scores', 'generation')),
  answer TEXT NOT NULL,
  seconds REAL NOT NULL,
  at TEXT NOT NULL,
  hash TEXT NOT NULL,
  UNIQUE (audit, seq),
  UNIQUE (audit, trial)
);
CREATE INDEX answers_cell ON answers(cell);
-- With the audit, so that a search never reads the answers of other audits to a prompt.
CREATE INDEX answers_prompt ON answers(prompt, audit);
CREATE TABLE verdicts (
  answer INTEGER PRIMARY KEY REFERENCES answers(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  choice TEXT NOT NULL,
  reason TEXT NOT NULL,
  margin REAL,
  figures TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 1,
  at TEXT NOT NULL
);
CREATE TABLE old_verdicts (
  answer INTEGER NOT NULL REFERENCES answers(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  choice TEXT NOT NULL,
  reason TEXT NOT NULL,
  margin REAL,
  figures TEXT NOT NULL,
  version INTEGER NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (answer, version)
);

CREATE TRIGGER answers_are_kept BEFORE UPDATE ON answers
BEGIN SELECT RAISE(ABORT, 'answers are append-only'); END;
-- When a whole audit is deleted its row is gone before the cascade reaches the answers.
CREATE TRIGGER answers_go_with_their_audit BEFORE DELETE ON answers
WHEN EXISTS (SELECT 1 FROM audits WHERE id = OLD.audit)
BEGIN SELECT RAISE(ABORT, 'answers are append-only'); END;
CREATE TRIGGER plans_are_kept BEFORE UPDATE OF name, created, plan, plan_hash, seed, genesis, total ON audits
BEGIN SELECT RAISE(ABORT, 'the plan of an audit never changes'); END;
CREATE TRIGGER items_are_kept BEFORE UPDATE ON items
BEGIN SELECT RAISE(ABORT, 'items never change'); END;
CREATE TRIGGER suites_are_kept BEFORE UPDATE ON suites
BEGIN SELECT RAISE(ABORT, 'suites never change'); END;

-- The index holds tokens only (see search.py); the texts stand in prompts and answers under the same row ids.
CREATE VIRTUAL TABLE prompt_search USING fts5(text, content='', tokenize='ascii');
CREATE VIRTUAL TABLE answer_search USING fts5(text, content='', tokenize='ascii');
"""

_VIEWS = """
CREATE VIEW audits_readable AS
SELECT a.name AS audit, a.created, a.finished, a.status, a.note, a.headline,
  (SELECT group_concat(m.name, ', ') FROM audit_models m WHERE m.audit = a.id) AS models,
  (SELECT group_concat(value, ', ') FROM json_each(a.suites)) AS suites,
  (SELECT sum(m.done) FROM audit_models m WHERE m.audit = a.id) AS answered, a.total, a.seed, a.message
FROM audits a;

CREATE VIEW answers_readable AS
SELECT a.name AS audit, n.seq AS number, m.name AS model, c.suite, c.task, i.name AS item, c.language,
  c.version AS prompt_version, c."order" AS option_order, c.form, n.repeat, p.text AS prompt,
  CASE n.kind WHEN 'generation' THEN json_extract(n.answer, '$.text') ELSE v.choice END AS answer,
  v.kind AS verdict, v.choice, v.reason, v.margin, n.seconds, n.at, n.trial
FROM answers n
JOIN audits a ON a.id = n.audit
JOIN cells c ON c.id = n.cell
JOIN audit_models m ON m.id = c.model
JOIN prompts p ON p.id = n.prompt
LEFT JOIN suite_items i ON i.id = n.item
LEFT JOIN verdicts v ON v.answer = n.id;

CREATE VIEW findings_readable AS
SELECT a.name AS audit, json_extract(f.value, '$.suite') AS suite, json_extract(f.value, '$.task') AS task,
  json_extract(f.value, '$.title') AS figure, json_extract(f.value, '$.model') AS model,
  json_extract(f.value, '$.condition.language') AS language, json_extract(f.value, '$.estimate') AS estimate,
  json_extract(f.value, '$.low') AS low, json_extract(f.value, '$.high') AS high, json_extract(f.value, '$.n') AS n,
  json_extract(f.value, '$.unusable') AS unusable, json_extract(f.value, '$.words') AS words
FROM audits a, json_each(a.findings, '$.findings') f;
"""


def _tables(connection: sqlite3.Connection) -> None:
    _run(connection, _TABLES)
    _run(connection, _VIEWS)


def _moments(connection: sqlite3.Connection) -> None:
    from workbench.history.moments import TABLE

    _run(connection, TABLE)


def _votes(connection: sqlite3.Connection) -> None:
    from workbench.history.votes import TABLE

    _run(connection, TABLE)


_PARTS = """
ALTER TABLE cells ADD COLUMN part TEXT NOT NULL DEFAULT '';
DROP VIEW answers_readable;
CREATE VIEW answers_readable AS
SELECT a.name AS audit, n.seq AS number, m.name AS model, c.suite, c.task, i.name AS item, c.language,
  c.version AS prompt_version, c."order" AS option_order, c.form, c.context, c.part, n.repeat, p.text AS prompt,
  CASE n.kind WHEN 'generation' THEN json_extract(n.answer, '$.text') ELSE v.choice END AS answer,
  v.kind AS verdict, v.choice, v.reason, v.margin, n.seconds, n.at, n.trial
FROM answers n
JOIN audits a ON a.id = n.audit
JOIN cells c ON c.id = n.cell
JOIN audit_models m ON m.id = c.model
JOIN prompts p ON p.id = n.prompt
LEFT JOIN suite_items i ON i.id = n.item
LEFT JOIN verdicts v ON v.answer = n.id;
"""
"""Questions of several parts, each asked in a trial of its own."""

_LABELS = """
-- What a person says that an answer is. A person's later label for the same answer takes the earlier one's place.
CREATE TABLE labels (
  answer INTEGER NOT NULL REFERENCES answers(id) ON DELETE CASCADE,
  labeller TEXT NOT NULL,
  label TEXT NOT NULL,
  note TEXT NOT NULL DEFAULT '',
  at TEXT NOT NULL,
  PRIMARY KEY (answer, labeller)
);
"""


def _script(text: str) -> Callable[[sqlite3.Connection], None]:
    return lambda connection: _run(connection, text)


MIGRATIONS: Sequence[Migration] = (
    ("audits", _tables),
    ("parts", _script(_PARTS)),
    ("labels", _script(_LABELS)),
    ("moments", _moments),
    ("votes", _votes),
)
"""All of them, oldest first. Never change one that was released: add another."""


def version_of(connection: sqlite3.Connection) -> int:
    """How many migrations the file has had (`user_version`)."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_origin(connection: sqlite3.Connection, path: Path, known: int) -> int:
    """The file's version, after making sure that it is a history, and not one from a newer program (HistoryError)."""
    # One transaction, so that all three are of the same moment: another program may be creating the history just now.
    connection.execute("BEGIN")
    try:
        tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        version = version_of(connection)
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    finally:
        connection.execute("ROLLBACK")
    if application != APPLICATION_ID and (tables or version or application):
        raise HistoryError(f"{path}: this SQLite file is not a history of culture-workbench; choose another file")
    if version > known:
        raise HistoryError(
            f"{path}: the history is of version {version}, this program knows up to {known}; "
            "update culture-workbench, or use another history"
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> Path | None:
    """Bring the file up to date, or leave it as it is when a migration fails; the path of the backup if one was made.

    The caller holds the writer's lock.
    """
    version = check_origin(connection, path, len(migrations))
    if version == len(migrations):
        return None
    kept = backup(connection, path, version) if version else None
    # Imported here: only a file that is new or old needs it, and it is slow to import.
    from sqlite_utils import Database, Migrations

    database = Database(connection, execute_plugins=False)
    named = Migrations("history")
    for number, (name, change) in enumerate(migrations, start=1):
        named(name=name)(_numbered(number, change))
    with transaction(connection):
        named.apply(database)
        # Names say which ran, the number only how many there are: also where one was known under another number.
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
    return kept


def _numbered(number: int, change: Callable[[sqlite3.Connection], None]) -> Callable[..., None]:
    def run(database: object) -> None:
        connection: sqlite3.Connection = database.conn  # type: ignore[attr-defined]
        change(connection)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    return run


def backup(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy the open history beside itself, readable by its owner only."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.name}.v{version}-{stamp}.backup")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.v{version}-{stamp}-{count}.backup")
    create_private(target)
    copy = sqlite3.connect(target)
    try:
        connection.backup(copy)
    except sqlite3.Error:
        copy.close()
        target.unlink(missing_ok=True)
        raise
    copy.close()
    return target


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run the statements of a script inside the open transaction (`executescript` would commit it)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
