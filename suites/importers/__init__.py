"""Published benchmarks, read from the files that the user has: one importer each, found by its kind."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from suites.base import SuiteError
from suites.manifest import nearest

IMPORTERS: dict[str, str] = {"sc-tc-bench": "suites.importers.sctc.suite"}
"""Kind to the module whose `make` reads the files."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A suite as an importer makes it: what `write` puts into a folder."""

    id: str
    manifest: dict[str, Any]
    items: list[dict[str, Any]]
    sources: str
    """`SOURCES.md`."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an importer made of the files, and what it left out and why (one line each)."""

    suites: list[Made]
    dropped: list[dict[str, Any]]
    """Each with file, row, column, reason and count."""
    notes: list[str]


def importer(kind: str) -> Callable[[Path, str], Imported]:
    """The importer of a kind: (the user's files, id for the suites) → suites. Raises SuiteError for an unknown kind,
    with the nearest name."""
    if kind not in IMPORTERS:
        raise SuiteError(f"nothing reads files of the kind {kind[:64]!r}{nearest(kind, IMPORTERS)}")
    make: Callable[[Path, str], Imported] = import_module(IMPORTERS[kind]).make
    return make
