"""Opening: versions, migrations, files that are no history, one writer at a time."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from workbench.history import History, HistoryError
from workbench.history.lock import WriterLock
from workbench.history.schema import MIGRATIONS

TESTS = Path(__file__).parent.parent


def another(connection: sqlite3.Connection) -> None:
    """A migration that a later version might have."""
    connection.execute("ALTER TABLE audits ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")
    connection.execute("CREATE TABLE moods (id INTEGER PRIMARY KEY)")


def broken(connection: sqlite3.Connection) -> None:
    """A migration that fails half way."""
    another(connection)
    connection.execute("CREATE TABLE moods (id INTEGER PRIMARY KEY)")


LATER = (*MIGRATIONS, ("mood", another))
NEWER = rf"is of version {len(LATER)}, this program knows up to {len(MIGRATIONS)}; update"


def contents(path: Path) -> dict[str, bytes]:
    """The files of a history that hold something, but for the lock and SQLite's shared memory."""
    files = [file for file in path.parent.iterdir() if not file.name.endswith((".lock", "-shm"))]
    return {file.name: file.read_bytes() for file in files if file.stat().st_size}


def test_a_newer_history_is_refused_and_left_alone(path: Path, recorder: Any) -> None:
    with History.open(path, migrations=LATER) as history:
        recorder.complete(history)
    before = contents(path)
    for readonly in (False, True):
        with pytest.raises(HistoryError, match=NEWER) as caught:
            History.open(path, readonly=readonly)
        assert "\n" not in str(caught.value)
        assert contents(path) == before
    with History.open(path, migrations=LATER) as history:
        assert len(history.audits()) == 1


@pytest.mark.parametrize("readonly", [False, True])
def test_an_older_history_is_copied_and_brought_up_to_date(path: Path, recorder: Any, readonly: bool) -> None:
    with History.open(path) as history:
        audit = recorder.complete(history)
    with History.open(path, readonly=readonly, migrations=LATER) as history:
        assert history.verify(audit) == []
        with history._reading() as connection:
            assert connection.execute("SELECT mood FROM audits").fetchall() == [("calm",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (len(LATER),)
    (copy,) = path.parent.glob("*.backup")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with History.open(copy, readonly=True) as old:
        assert old.verify(audit) == []
        with old._reading() as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    History.open(path, migrations=LATER).close()
    assert len(list(path.parent.glob("*.backup"))) == 1


def test_migrations_go_by_name_also_where_they_came_in_another_order(path: Path, recorder: Any) -> None:
    with History.open(path, migrations=LATER) as history:
        audit = recorder.complete(history)
    other = (*MIGRATIONS, ("calendar", lambda connection: None), ("mood", another))
    for _ in range(2):
        with History.open(path, readonly=True, migrations=other) as history:
            assert history.verify(audit) == []
    assert len(list(path.parent.glob("*.backup"))) == 1


def test_a_migration_that_fails_changes_nothing(path: Path, recorder: Any) -> None:
    with History.open(path) as history:
        audit = recorder.complete(history)
    with pytest.raises(HistoryError, match="moods"):
        History.open(path, migrations=(*MIGRATIONS, ("mood", broken)))
    with History.open(path) as history:
        assert history.verify(audit) == []
        assert history.check() == []
        with history._reading() as connection:
            names = {row[0] for row in connection.execute("SELECT name FROM pragma_table_info('audits')")}
            assert "mood" not in names
            assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'moods'").fetchone() == (0,)
    with History.open(path, migrations=LATER) as history:
        assert history.verify(audit) == []


def test_files_that_are_no_history_are_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.write_text("Dear diary,\n" * 100)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE recipes (id)")
    connection.commit()
    connection.close()
    for file, said in ((path, "not a SQLite file"), (other, "not a history of"), (tmp_path, "this is a folder")):
        before = file.read_bytes() if file.is_file() else b""
        for readonly in (False, True):
            with pytest.raises(HistoryError, match=said) as caught:
                History.open(file, readonly=readonly)
            assert "\n" not in str(caught.value)
        assert not file.is_file() or file.read_bytes() == before
    with pytest.raises(HistoryError, match="no history yet"):
        History.open(tmp_path / "nowhere.db", readonly=True)
    assert not (tmp_path / "nowhere.db").exists()


def test_an_empty_file_becomes_a_history(path: Path, recorder: Any) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    with pytest.raises(HistoryError, match="no history yet"):
        History.open(path, readonly=True)
    with History.open(path) as history:
        recorder.complete(history)
        assert len(history.audits()) == 1


def test_damage_is_reported_and_not_made_worse(path: Path, recorder: Any) -> None:
    with History.open(path) as history:
        recorder.complete(history)
    sound = path.read_bytes()
    for start in (100, 4096, len(sound) // 2):
        path.write_bytes(sound[:start] + b"\xa5" * 4096 + sound[start + 4096 :])
        damaged = path.read_bytes()
        with pytest.raises(HistoryError, match="damaged") as caught:
            History.open(path)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == damaged
    path.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(HistoryError, match="damaged"):
        History.open(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_without_permission_the_message_says_so(path: Path, recorder: Any) -> None:
    with History.open(path) as history:
        audit = recorder.complete(history)
    path.parent.chmod(0o500)
    path.chmod(0o400)
    try:
        with History.open(path, readonly=True) as history:
            assert history.verify(audit) == []
        with pytest.raises(HistoryError, match="ermission") as caught, History.open(path) as history:
            history.set_note(audit, "x")
        assert "\n" not in str(caught.value)
    finally:
        path.parent.chmod(0o700)


# -- one writer -------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
import scripted
from workbench.audits.build import build_plan
from workbench.history import History
suites = [scripted.terms(3, versions=1)]
history = History.open(Path(sys.argv[1]))
print(history.create_audit(build_plan([scripted.model("ada")], suites), suites), flush=True)
sys.stdin.read()
history.close()
"""


@pytest.fixture
def holder(path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another program that runs an audit: (the process, the audit). It ends well when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    with process:
        yield process, _stream(process.stdout).readline().strip()
        process.kill()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_a_second_writer_is_told_who_the_first_is_and_readers_go_on(
    path: Path, recorder: Any, holder: tuple[subprocess.Popen[str], str]
) -> None:
    process, audit = holder
    with History.open(path, wait=0.05) as second:
        for write in (
            lambda: recorder.begin(second),
            lambda: second.set_note(audit, "x"),
            lambda: second.set_status(audit, "paused"),
            lambda: second.delete_audit(audit),
            lambda: second.replace_verdicts(audit, []),
        ):
            with pytest.raises(HistoryError, match=rf"\(pid {process.pid}\) is writing it") as caught:
                write()
            assert "\n" not in str(caught.value)
        assert second.audit(audit).status == "running"
        assert second.search("第") == []
    with History.open(path, readonly=True) as reader:
        assert [row.status for row in reader.audits()] == ["running"]
        assert reader.verify(audit) == []
        with pytest.raises(HistoryError, match="for reading only"):
            reader.set_note(audit, "x")


def test_a_killed_writer_s_audit_reads_paused_and_goes_on(
    path: Path, recorder: Any, holder: tuple[subprocess.Popen[str], str]
) -> None:
    process, audit = holder
    with History.open(path, readonly=True) as reader:
        assert reader.audit(audit).status == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert reader.audit(audit).status == "paused"
        assert "can be resumed" in reader.audits()[0].message
    with History.open(path, wait=0.05) as history:
        history.set_status(audit, "running")
        assert history.audit(audit).status == "running"


def test_a_writer_that_ends_lets_the_waiting_one_in(
    path: Path, recorder: Any, holder: tuple[subprocess.Popen[str], str]
) -> None:
    process, _ = holder
    found: list[str] = []
    with History.open(path, wait=60) as second:
        thread = threading.Thread(target=lambda: found.append(recorder.complete(second)))
        thread.start()
        _stream(process.stdin).close()
        thread.join(60)
        assert second.verify(found[0]) == []
        assert len(second.audits()) == 2


def test_two_histories_of_one_program_keep_out_of_each_other_s_way(path: Path, recorder: Any) -> None:
    with History.open(path, wait=0.05) as first, History.open(path, wait=0.05) as second:
        audit = recorder.begin(first)
        with pytest.raises(HistoryError, match="this program is writing it already"):
            recorder.begin(second)
        recorder.fill(first, audit)
        first.set_status(audit, "complete")
        assert second.audit(audit).status == "complete"
        second.set_note(audit, "now it may")
        assert first.audit(audit).note == "now it may"


def test_readers_and_the_writer_of_one_object_do_not_wait_for_each_other(path: Path, recorder: Any) -> None:
    failures: list[BaseException] = []
    with History.open(path) as history:
        audit = recorder.begin(history)
        given = list(recorder.given())
        over = threading.Event()

        def read() -> None:
            try:
                while not over.is_set():
                    assert len(list(history.rows(audit))) <= len(given)
                    history.audits()
                    history.search("第1號")
            except BaseException as error:  # noqa: BLE001 (shown by the test)
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for trial, prompt, answer, verdict in given:
            history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
        over.set()
        for reader in readers:
            reader.join()
        assert failures == []
        assert len(history.answered(audit)) == len(given)


def test_a_stale_lock_file_is_no_lock(path: Path, recorder: Any) -> None:
    path.parent.mkdir()
    path.with_name("history.db.lock").write_text("not even JSON")
    with History.open(path, wait=0.05) as history:
        recorder.complete(history)
    lock = WriterLock(path)
    lock.acquire(0)
    assert lock.held
    lock.release()
    lock.release()


def test_many_programs_may_create_the_history_at_once(path: Path) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(4)

    def create() -> None:
        try:
            start.wait()
            History.open(path).close()
        except BaseException as error:  # noqa: BLE001 (shown by the test)
            failures.append(error)

    threads: list[threading.Thread] = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check: Callable[[], list[str]] = History.open(path, readonly=True).check
    assert check() == []
