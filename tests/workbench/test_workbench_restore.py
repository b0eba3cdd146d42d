"""A starter model that was removed comes back on request, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.cli import main


@pytest.mark.model
def test_a_removed_starter_is_restored_on_request(home: Path, starters: dict[str, Path]) -> None:
    """`starters` skips where the wheels are not installed."""
    run = CliRunner().invoke
    file = home / "models" / "smollm2-135m-instruct.gguf"
    assert run(main, ["models", "list"]).exit_code == 0
    assert file.exists()
    assert run(main, ["models", "remove", "smollm2-135m-instruct", "--yes"]).exit_code == 0
    run(main, ["models", "list"])
    assert not file.exists()
    assert run(main, ["models", "restore"]).exit_code == 0
    assert file.exists()
