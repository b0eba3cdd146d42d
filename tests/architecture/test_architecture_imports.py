"""The application starts without the heavy libraries, and the rooms keep to their arrows."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "textual",
    "torch",
    "transformers",
    "llama_cpp",
    "numpy",
    "scipy",
    "statsmodels",
    "sqlite_utils",
    "plotext",
    "httpx2",
)


def loaded_after(code: str) -> set[str]:
    """Which heavy modules a fresh interpreter has loaded after running some code."""
    report = f"{code}\nimport sys\nprint('loaded:', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_help_loads_none_of_the_heavy_libraries() -> None:
    code = (
        "from click.testing import CliRunner\nfrom workbench.cli import main\n"
        "result = CliRunner().invoke(main, ['--help'])\nassert result.exit_code == 0, result.output"
    )
    assert loaded_after(code) == set()


@pytest.mark.parametrize(
    "module",
    [
        "workbench.settings",
        "workbench.paths",
        "engines.base",
        "engines.process",
        "engines.catalog",
        "suites.base",
        "workbench.endpoints",
    ],
)
def test_light_modules_stay_light(module: str) -> None:
    assert loaded_after(f"import {module}") == set()


def test_the_app_loads_no_model_library_and_no_statistics_before_it_draws() -> None:
    loaded = loaded_after("import workbench.app")
    assert loaded <= {"textual"}


def test_the_core_runs_without_textual() -> None:
    code = "import workbench.audits.runner, workbench.audits.compute, workbench.history, workbench.history.export"
    assert not loaded_after(code) & {"textual", "torch", "transformers", "llama_cpp"}
