"""Counts of words in a corpus, from a file of the user's."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from workbench.analyses.sctc.rows import CountRow
from workbench.audits.errors import AuditError
from workbench.text import safe_text

_COLUMNS = ("item", "mainland", "taiwan")
_MOST = 100_000_000
"""Bytes that such a file may have."""


def read_counts(path: Path) -> tuple[CountRow, ...]:
    """A CSV file (UTF-8) with the columns `item`, `mainland` and `taiwan` (counts of the two words) and, where it holds
    several corpora, `corpus`. Raises AuditError, one line, with file and line."""
    name = safe_text(str(path))
    try:
        if path.stat().st_size > _MOST:
            raise AuditError(f"{name}: larger than {_MOST // 1_000_000} MB, so it is no file of counts")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise AuditError(f"{name}: not UTF-8: save the file as CSV in UTF-8") from None
    except OSError as error:
        raise AuditError(f"{name}: cannot be read ({error.strerror or error})") from None
    reader = csv.DictReader(text.splitlines())
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise AuditError(f"{name}: needs the columns {', '.join(_COLUMNS)} (missing: {', '.join(missing)})")
    try:
        return tuple(_row(name, reader.line_num, row, path.stem) for row in reader)
    except csv.Error as error:
        raise AuditError(f"{name}, line {reader.line_num}: not readable as CSV ({error})") from None


def _row(name: str, line: int, row: dict[str, str | None], stem: str) -> CountRow:
    counts = []
    for column in ("mainland", "taiwan"):
        try:
            value = float(row[column] or "")
        except ValueError:
            value = -1.0
        if not (math.isfinite(value) and value >= 0):
            shown = safe_text(repr(row[column]))[:40]
            raise AuditError(f"{name}, line {line}, column {column}: {shown} is no count (0 or more)")
        counts.append(value)
    return CountRow(corpus=row.get("corpus") or stem, item=row["item"] or "", mainland=counts[0], taiwan=counts[1])
