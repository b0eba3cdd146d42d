"""Fixtures of the screen tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits are numbered, so that pictures of screens stay the same."""
    numbers = iter(range(1, 100))
    monkeypatch.setattr("workbench.history.store._new_name", lambda connection: f"{next(numbers):08x}")
