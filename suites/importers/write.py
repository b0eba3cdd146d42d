"""An imported suite as a folder: written beside its place, read back through the loader, and only then moved there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import tomli_w

from suites.base import Suite, SuiteError
from suites.files import printable
from suites.importers import Made
from suites.loader import load


def write(root: Path, made: Made, *, replace: bool = False) -> Suite:
    """Put a suite into `root`/ID, readable by its owner only. Raises SuiteError where one of that id is there already
    (unless `replace`), or where the loader refuses what was made."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = root / made.id
    if place.exists() and not replace:
        raise SuiteError(f"{printable(str(place))}: is there already; choose another id with --name, or --replace it")
    with tempfile.TemporaryDirectory(prefix=".import-", dir=root) as scratch:
        folder = Path(scratch) / made.id
        folder.mkdir(mode=0o700)
        _put(folder / "suite.toml", tomli_w.dumps(made.manifest))
        _put(folder / "items.jsonl", "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in made.items))
        _put(folder / "SOURCES.md", made.sources)
        suite = load(folder)
        if place.exists():
            shutil.rmtree(place)
        os.replace(folder, place)
    return suite


def _put(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
