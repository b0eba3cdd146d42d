"""The log never gets in the way."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from workbench import logs


def test_a_log_that_cannot_be_written_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger = logs.start(tmp_path / "log")
    handler = logger.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    file, handler.stream = handler.stream, open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 (closed below)
    logger.info("a line")
    assert capsys.readouterr().err == ""
    full, handler.stream = handler.stream, file
    with contextlib.suppress(OSError):
        full.close()
