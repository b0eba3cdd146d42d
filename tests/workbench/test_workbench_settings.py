"""Settings: where they come from, and clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import settings
from workbench.core import Workbench
from workbench.settings import Settings, SettingsError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def test_environment_goes_before_file_goes_before_default(file: Path) -> None:
    file.write_text('threads = 2\nseed = 7\nmodel_folders = ["~/models"]\n')
    found, origin = settings.explain(
        file, {"CULTURE_WORKBENCH_THREADS": "1", "CULTURE_WORKBENCH_THEME": "textual-light"}
    )
    assert (found.threads, found.seed, found.theme, found.context) == (1, 7, "textual-light", Settings().context)
    assert found.model_folders == ("~/models",)
    assert origin["threads"] == "CULTURE_WORKBENCH_THREADS"
    assert origin["seed"] == str(file)
    assert origin["context"] == "default"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("thread = 2", "did you mean threads"),
        ('threads = "two"', "threads"),
        ("threads = -3", "out of range"),
        ("threads = = 2", "not valid TOML"),
        ("zzz = 1", "known are"),
        ("[loading.a]\ncontext = 3", "loading.a: context = 3 is out of range"),
        ("[loading.a]\ndevice = 'gpu'", "loading.a: device = 'gpu' is none"),
        ("[loading.a]\ndtype = 'bf16'", "dtype"),
        ("[loading.a]\nkontext = 3", "kontext"),
    ],
)
def test_errors_name_file_and_key_in_one_line(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        settings.load(file, {})
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="CULTURE_WORKBENCH_THREADS"):
        settings.load(Path("/nonexistent/settings.toml"), {"CULTURE_WORKBENCH_THREADS": "many"})


def test_saving_keeps_the_rest_and_refuses_nonsense(file: Path) -> None:
    file.write_text("seed = 7\n")
    settings.save({"theme": "textual-light", "offload": {"gemma-3-270m": 0}}, file)
    found = settings.load(file, {})
    assert (found.seed, found.theme, found.offload) == (7, "textual-light", {"gemma-3-270m": 0})
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    with pytest.raises(SettingsError):
        settings.save({"seed": "seven"}, file)
    assert file.read_bytes() == before


def test_single_models_are_loaded_in_their_own_way(file: Path) -> None:
    file.write_text('context = 512\n[offload]\na = 3\n[loading.a]\ncontext = 2048\n[loading.b]\ndevice = "cuda:1"\n')
    core = Workbench(settings.load(file, {}))
    assert (core.options("a").context, core.options("a").gpu_layers) == (2048, 3)
    assert (core.options("b").context, core.options("b").gpu_layers) == (512, -1)
    assert core.settings.loading["b"] == settings.Loading(device="cuda:1")


def test_a_misspelt_variable_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"THREDS: there is no such setting: did you mean .*THREADS"):
        settings.load(tmp_path / "settings.toml", {"CULTURE_WORKBENCH_THREDS": "1"})
