"""Fixtures of the audit tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A history of this test's own, and what is done with it."""
    return Lab(tmp_path)
