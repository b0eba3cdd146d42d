"""Fixtures for all tests: no test touches the user's own folders."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The application's home, in a folder of this test's own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CULTURE_WORKBENCH_HOME", str(folder))
    for name in ("NO_COLOR", "TEXTUAL_ANIMATIONS", "TEXTUAL_THEME", "CULTURE_WORKBENCH_TEST_DATA"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """No test's log file stays open, and the next test hears the logger again."""
    yield
    logger = logging.getLogger("culture-workbench")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


@pytest.fixture(scope="session")
def starters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two real starter models, by name, put together once a test session. Skips where their wheels are absent."""
    from engines.starter import ensure_starters

    folder = tmp_path_factory.mktemp("starters")
    found = {report.name: report.path for report in ensure_starters(folder) if report.path is not None}
    if len(found) < 2:
        pytest.skip("the starter models' wheels are not installed (make install)")
    return found
