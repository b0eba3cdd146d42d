"""The log: a rotating file of plain lines, made safe to draw before they are written."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from workbench.text import safe_text

NAME = "culture-workbench"


class _SafeFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return safe_text(super().format(record), newlines=True)


class _FileHandler(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A log that cannot be written (a full disk) must not print over the screen: the line is lost, nothing else."""


def start(path: Path | None = None) -> logging.Logger:
    """Log into the file (at most 3 × 1 MB, readable by its owner only) and return the application's logger."""
    if path is None:
        from workbench.paths import log_path

        path = log_path()
    logger = logging.getLogger(NAME)
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
    handler = _FileHandler(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=False)
    path.chmod(0o600)
    handler.setFormatter(_SafeFormatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger


def tail(path: Path, lines: int = 500) -> list[str]:
    """The last lines of the log, oldest first; [] when there is none yet."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - lines * 400))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:]
