"""The file under the history: opened with care, private to its owner, every failure said in one line."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.history.rows import HistoryError

BUSY_MILLISECONDS = 5000
CHECK_SECONDS = 0.15
"""How long the check on opening may take: files of up to some hundred megabytes are checked whole, of larger ones the
first part. `History.check` reads everything. Damage further back is still reported when it is met."""

_SQLITE_HEADER = b"SQLite format 3\x00"


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system report about `path` into a HistoryError of one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise HistoryError(f"{path}: {explain(error)}") from error
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror or error}; the history cannot be used here") from error


def explain(error: sqlite3.Error) -> str:
    """What a SQLite error means and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    text = " ".join(str(error).split())
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; what was committed is kept: free some space, then resume"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"the history is damaged ({text}); put a backup in its place, or move it away to begin a new one"
    if code == sqlite3.SQLITE_NOTADB:
        return "this is not a SQLite file; choose another file, or move it away to begin a new history"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another program is writing it; wait until it is done, then try again"
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return "no permission to write it; check who owns the file and its folder"
    if code == sqlite3.SQLITE_CANTOPEN:
        return "it cannot be opened; check that its folder exists and may be used"
    if code == sqlite3.SQLITE_IOERR:
        return f"the disk reports an error ({text}); check the disk and its free space"
    return text or type(error).__name__


def create_private(path: Path) -> None:
    """Create an empty file of mode 600; the folder, if it is missing, with mode 700."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def open_connection(path: Path, *, readonly: bool) -> sqlite3.Connection:
    """A connection to the history at `path`, pragmas set; HistoryError for everything that is not a usable file."""
    with told(path):
        if path.is_dir():
            raise HistoryError(f"{path}: this is a folder, not a history; give the path of a file")
        if not path.exists():
            if readonly:
                raise HistoryError(f"{path}: there is no history yet; run an audit first")
            # Another program may be quicker; then it is its file that is opened.
            with suppress(FileExistsError):
                create_private(path)
        if not path.is_file():
            raise HistoryError(f"{path}: this is not a file that can hold a history; give the path of one")
        _check_header(path)
        if not readonly:
            _make_private(path)
        return _connect(path, readonly=readonly)


def _check_header(path: Path) -> None:
    """Refuse what is clearly not SQLite before SQLite sees it; an empty file is a new history."""
    with path.open("rb") as file:
        head = file.read(16)
    if head and head != _SQLITE_HEADER:
        raise HistoryError(
            f"{path}: this is not a SQLite file; choose another file, or move it away to begin a new history"
        )


def _make_private(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        # The ones beside it come and go with the programs that have the history open.
        with suppress(FileNotFoundError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _connect(path: Path, *, readonly: bool) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    if not readonly:
        connection = sqlite3.connect(f"{address}?mode=rw", uri=True, check_same_thread=False, isolation_level=None)
        return _prepare(connection, readonly=False)
    try:
        connection = sqlite3.connect(f"{address}?mode=ro", uri=True, check_same_thread=False, isolation_level=None)
        return _prepare(connection, readonly=True)
    except sqlite3.OperationalError as error:
        wal = path.with_name(path.name + "-wal")
        unwritable = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
        if not unwritable or (wal.exists() and wal.stat().st_size):
            raise
        # A finished history on a read-only medium: WAL would want to create files beside it.
        connection = sqlite3.connect(f"{address}?immutable=1", uri=True, check_same_thread=False, isolation_level=None)
        return _prepare(connection, readonly=True)


def _prepare(connection: sqlite3.Connection, *, readonly: bool) -> sqlite3.Connection:
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA foreign_keys = ON")
        # What a file says must not be able to call functions or write through views.
        connection.execute("PRAGMA trusted_schema = OFF")
        if readonly:
            connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes SQLite's write lock at once, so that nothing fails half way for another writer."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def quick_check(connection: sqlite3.Connection, *, seconds: float | None = CHECK_SECONDS) -> list[str]:
    """What SQLite's `quick_check` complains of within that many seconds (None: to the end); [] when nothing."""
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        connection.interrupt()

    # A progress handler would not do: SQLite calls it between tables only, and one of them may be most of the file.
    timer = None if seconds is None else threading.Timer(seconds, stop)
    if timer is not None:
        timer.start()
    try:
        found = [" ".join(str(row[0]).split()) for row in connection.execute("PRAGMA quick_check(20)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        found = []
    finally:
        if timer is not None:
            timer.cancel()
            timer.join()
    # What a check says that was broken off means nothing: pages that it had no time for look lost to it.
    return [] if stopped.is_set() or found == ["ok"] else found
