"""Where things are kept. `CULTURE_WORKBENCH_HOME` moves everything; otherwise the platform's own folders are used."""

from __future__ import annotations

import os
from pathlib import Path


def _folder(kind: str) -> Path:
    home = os.environ.get("CULTURE_WORKBENCH_HOME")
    if home:
        path = Path(home).expanduser()
    else:
        import platformdirs

        path = Path(getattr(platformdirs, f"user_{kind}_dir")("culture-workbench", appauthor=False))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def data_folder() -> Path:
    """History, catalogue and joined starter models."""
    return _folder("data")


def models_folder() -> Path:
    """Weights that this application put there itself."""
    folder = data_folder() / "models"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def history_path() -> Path:
    """The SQLite history."""
    return data_folder() / "history.db"


def settings_path() -> Path:
    """The settings file (TOML)."""
    return _folder("config") / "settings.toml"


def log_path() -> Path:
    """The rotating log file."""
    folder = _folder("log") if not os.environ.get("CULTURE_WORKBENCH_HOME") else data_folder() / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / "culture-workbench.log"
