"""One writer at a time: an advisory lock file beside the history, which a crash releases."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path

import msgspec

from workbench.history.rows import HistoryError

_PAUSE = 0.05
"""Seconds between two tries."""


class Holder(msgspec.Struct, frozen=True):
    """Who writes: process id, its program, and the audits that it runs."""

    pid: int = 0
    program: str = ""
    audits: tuple[str, ...] = ()


class WriterLock:
    """An exclusive `flock` on `<history>.lock`, with what the holder says of itself in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self, wait: float) -> None:
        """Take the lock, waiting at most `wait` seconds; HistoryError names the process that keeps it."""
        if self._file is not None:
            return
        try:
            self._file = self._taken(wait)
            self.announce(())
        except OSError as error:
            self.release()
            raise HistoryError(f"{self.path}: {error.strerror}; the history cannot be written here") from error

    def _taken(self, wait: float) -> int:
        """The lock file, open and locked."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + wait
            while not _try_lock(file):
                if time.monotonic() >= deadline:
                    raise HistoryError(self._refusal(_read(file)))
                time.sleep(_PAUSE)
        except BaseException:
            os.close(file)
            raise
        return file

    def announce(self, audits: tuple[str, ...]) -> None:
        """Say in the file which audits are being run."""
        if self._file is None:
            return
        program = Path(sys.argv[0] or "python").name if sys.argv else "python"
        text = msgspec.json.encode(Holder(os.getpid(), program, audits))
        os.pwrite(self._file, text + b"\n", 0)
        os.ftruncate(self._file, len(text) + 1)

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would race with another writer."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def _refusal(self, holder: Holder) -> str:
        name = self.path.name.removesuffix(".lock")
        if holder.pid == os.getpid():
            return f"{name}: this program is writing it already (pid {holder.pid}); wait for the audit, or pause it"
        who = f"{holder.program or 'another program'} (pid {holder.pid or 'unknown'})"
        return f"{name}: {who} is writing it; wait until it is done or stop it, then try again"


def running_audits(path: Path) -> frozenset[str]:
    """Ids of the audits that a living writer of the history at `path` runs now."""
    try:
        file = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return frozenset()
    try:
        # A shared lock for a moment: it never stands in another reader's way, and a writer tries again.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return frozenset(_read(file).audits)
    else:
        return frozenset()
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(file, 65536, 0).strip() or b"{}", type=Holder)
    except (msgspec.DecodeError, OSError):
        return Holder()
