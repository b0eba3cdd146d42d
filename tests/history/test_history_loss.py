"""Crashes and full disks: what was written stays, what could not be written is said."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scripted

from engines.base import Generation
from workbench.history import History, HistoryError
from workbench.history.buffer import DELAY

TESTS = Path(__file__).parent.parent

# Answers until it is killed, and says after each one which trial it was and when.
TALKER = """
import sys, threading, time
from pathlib import Path
import scripted
from engines.base import Generation
from suites.base import Verdict
from workbench.audits.build import build_plan
from workbench.audits.plan import trials
from workbench.history import History
pause = float(sys.argv[2])
suites = [scripted.terms(1000)]
plan = build_plan([scripted.model("ada"), scripted.model("bo")], suites)
history = History.open(Path(sys.argv[1]))
audit = history.create_audit(plan, suites)
print(audit, flush=True)
for number, trial in enumerate(trials(plan)):
    answer = Generation(f"答案 {number}", "stop", (1,), (-0.5,))
    history.add_answer(audit, trial, f"问题 {number % 50}", answer, Verdict("chosen", "a"), 0.1)
    print(trial.id, time.monotonic(), flush=True)
    threading.Event().wait(pause)
"""


@pytest.mark.parametrize(("pause", "lines"), [(0.02, 90), (0.0, 1234)])
def test_a_killed_program_loses_nothing_older_than_a_second(path: Path, pause: float, lines: int) -> None:
    """The moment is fixed by what it has said; which part of a commit that meets differs from run to run."""
    process = subprocess.Popen(
        [sys.executable, "-c", TALKER, str(path), str(pause)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    with process:
        assert process.stdout is not None
        audit = process.stdout.readline().strip()
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
    old = {line.split()[0] for line in said if float(line.split()[1]) < killed - 1}
    with History.open(path, readonly=True) as reader:
        assert reader.audit(audit).status == "paused"
        assert old <= reader.answered(audit)
        assert reader.audit(audit).done == len(reader.answered(audit))
        assert reader.verify(audit) == []
        assert reader.check() == []
        assert len(reader.search("答案", limit=10_000)) == len(reader.answered(audit))
    with History.open(path) as history:
        history.set_status(audit, "running")
        history.set_status(audit, "paused")
        assert history.verify(audit) == []


def test_answers_reach_the_disk_by_themselves(path: Path, recorder: Any) -> None:
    """Nobody flushes, nobody reads through the writer: the background thread commits."""
    with History.open(path) as history, History.open(path, readonly=True) as reader:
        audit = recorder.begin(history)
        trial, prompt, answer, verdict = next(recorder.given())
        began = time.monotonic()
        history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
        while not reader.answered(audit):
            assert time.monotonic() - began < 60
        assert reader.verify(audit) == []
    assert DELAY < 0.5


# -- a full disk ------------------------------------------------------------------------------------------------------


class Disk:
    """SQLite's own limit on the size of the file: beyond it, it reports a full disk."""

    def __init__(self, history: History) -> None:
        self._connection = history._connection

    def fill(self, spare: int = 0) -> None:
        """No more than so many pages may be added."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        assert free == 0
        self._connection.execute(f"PRAGMA max_page_count = {pages + spare}")

    def free(self) -> None:
        """There is space again."""
        self._connection.execute("PRAGMA max_page_count = 1000000")


@pytest.fixture
def disk(history: History) -> Disk:
    """The disk under `history`."""
    return Disk(history)


def long(place: int) -> str:
    """An answer that needs a page of its own."""
    return f"{place} " + "长" * 3000


@pytest.mark.parametrize("spare", [0, 1, 3, 10, 20])
def test_a_full_disk_is_said_and_loses_nothing(
    path: Path, history: History, disk: Disk, recorder: Any, spare: int
) -> None:
    audit = recorder.begin(history)
    given = list(recorder.given(long))
    for trial, prompt, answer, verdict in given[:4]:
        history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
    history.flush()
    disk.fill(spare)
    taken = 4
    with pytest.raises(HistoryError, match="the disk is full") as caught:  # noqa: PT012 (which one fails is SQLite's)
        for trial, prompt, answer, verdict in given[4:]:
            history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
            taken += 1
            history.flush()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(HistoryError, match="the disk is full"):
        history.add_answer(audit, *given[taken], 0.1)
    with History.open(path, readonly=True) as reader:
        assert reader.answered(audit) == {one[0].id for one in given[: taken - 1]}
        assert reader.verify(audit) == []
        assert reader.check() == []
    disk.free()
    history.flush()
    assert history.answered(audit) == {one[0].id for one in given[:taken]}
    recorder.fill(history, audit, write=long)
    history.set_status(audit, "complete")
    assert [(row.trial, row.answer) for row in history.rows(audit)] == [(one[0], one[2]) for one in given]
    assert history.verify(audit) == []
    assert history.check() == []


def test_a_disk_that_fills_in_the_background_is_said_at_the_next_call(
    history: History, disk: Disk, recorder: Any
) -> None:
    audit = recorder.begin(history)
    given = [one for one in recorder.given(long) if isinstance(one[2], Generation)]
    disk.fill()
    failed = threading.Event()
    explain = history._buffer._failed

    def noticed(error: sqlite3.Error) -> HistoryError:
        failed.set()
        return explain(error)

    history._buffer._failed = noticed
    history.add_answer(audit, *given[0], 0.1)
    assert failed.wait(60)
    with pytest.raises(HistoryError, match="the disk is full"):
        history.add_answer(audit, *given[1], 0.1)
    with pytest.raises(HistoryError, match="the disk is full"):
        history.set_status(audit, "paused")
    disk.free()
    history.set_status(audit, "paused")
    assert history.answered(audit) == {given[0][0].id}
    assert history.verify(audit) == []


def test_a_full_disk_on_closing_is_said_and_the_file_stays_sound(path: Path, recorder: Any) -> None:
    history = History.open(path)
    audit = recorder.begin(history)
    given = list(recorder.given(long))
    for one in given[:3]:
        history.add_answer(audit, *one, 0.1)
    history.flush()
    Disk(history).fill()
    with history._guard:
        # The background has to wait, so that the failure comes with `close`.
        for one in given[3:]:
            history.add_answer(audit, *one, 0.1)
    with pytest.raises(HistoryError, match="the disk is full"):
        history.close()
    history.close()
    with History.open(path, wait=0.05) as again:
        assert again.audit(audit).status == "paused"
        assert again.answered(audit) == {one[0].id for one in given[:3]}
        again.set_status(audit, "running")
        recorder.fill(again, audit, write=long)
        again.set_status(audit, "complete")
        assert again.verify(audit) == []


def test_an_audit_that_has_no_room_is_not_begun(
    history: History, disk: Disk, make_recorder: Callable[..., Any]
) -> None:
    recorder = make_recorder([scripted.terms(300)])
    disk.fill(1)
    with pytest.raises(HistoryError, match="the disk is full"):
        recorder.begin(history)
    disk.free()
    assert history.audits() == []
    audit = recorder.begin(history)
    assert history.suites(audit) == recorder.suites
    assert history.verify(audit) == []


def test_a_full_disk_keeps_verdicts_notes_and_findings_as_they_were(
    history: History, disk: Disk, recorder: Any
) -> None:
    audit = recorder.complete(history)
    before = [row.verdict for row in history.rows(audit)]
    disk.fill()
    with pytest.raises(HistoryError, match="the disk is full"):
        history.set_note(audit, "x" * 100_000)
    changed = ((row.trial.id, row.verdict.__class__("refused", reason="y" * 5000)) for row in history.rows(audit))
    with pytest.raises(HistoryError, match="the disk is full"):
        history.replace_verdicts(audit, changed)
    assert history.audit(audit).note == ""
    assert [row.verdict for row in history.rows(audit)] == before
    assert history.details(audit).rescored == 0
    disk.free()
    history.set_note(audit, "x")
    assert history.verify(audit) == []


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "/dev/zero"])
def test_a_device_is_no_history(device: str) -> None:
    if not Path(device).exists():
        pytest.skip(f"this system has no {device}")
    mode = Path(device).stat().st_mode
    for readonly in (False, True):
        with pytest.raises(HistoryError, match="not a file"):
            History.open(Path(device), readonly=readonly)
    assert Path(device).stat().st_mode == mode


def test_generations_are_what_the_search_holds(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    for one in recorder.given(lambda place: "唯一的词"):
        history.add_answer(audit, *one, 0.1)
    asked = [one for one in recorder.given() if isinstance(one[2], Generation)]
    assert len(history.search("唯一")) == len(asked)
