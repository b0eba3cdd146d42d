"""The CSV files of a copy: plain or gzip-compressed, strict UTF-8, bounded, every value as the text that it is.

"NA", "None", "null" and "" stay text, and a field may hold line breaks. What cannot be read is a `Drop`, never a guess.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from suites.base import SuiteError
from suites.files import printable
from suites.importers.sctc.model import Drop

FILE_LIMIT = 512 << 20
"""Bytes of a file, unpacked: the largest of the authors' has about 60 MB."""
_FIELD_LIMIT = 16 << 20

Report = Callable[[Drop], None]


class Table:
    """A file's records by column. `name` is its path within the copy, as messages name it."""

    def __init__(self, name: str, head: list[str], rows: list[list[str]], numbers: list[int]) -> None:
        self.name, self.head, self.rows = name, head, rows
        self.numbers = numbers
        """Of each kept record, which one of the file it is, from 0."""

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, column: str) -> bool:
        """Whether the file has the column."""
        return column in self.head

    def column(self, name: str) -> list[str]:
        """All values of a column."""
        place = self.head.index(name)
        return [row[place] for row in self.rows]

    def by_number(self, name: str) -> dict[int, str]:
        """Values of a column by their record's place in the file, from 0."""
        place = self.head.index(name)
        return {number: row[place] for number, row in zip(self.numbers, self.rows, strict=True)}


def located(root: Path, name: str) -> Path | None:
    """The file of that name, plain before compressed; None where neither is there. Raises SuiteError on a link out of
    the copy."""
    for path in (root / name, root / f"{name}.gz"):
        if path.is_file():
            if not path.resolve().is_relative_to(root.resolve()):
                raise SuiteError(f"{printable(str(path))}: is a link that leaves the copy's folder")
            return path
    return None


def read_table(root: Path, name: str, columns: Sequence[str], report: Report) -> Table | None:
    """The file with at least those columns. None, reported, where it is absent, unreadable or lacks a column; a record
    of another number of fields than the header is left out and reported."""
    path = located(root, name)
    if path is None:
        report(Drop(name, 0, "", "the file is missing"))
        return None
    shown = printable(str(path.relative_to(root)))
    try:
        text = _text(path)
    except (OSError, EOFError, zlib.error) as error:
        report(Drop(shown, 0, "", f"cannot be read ({getattr(error, 'strerror', None) or error})"))
        return None
    except UnicodeDecodeError as error:
        report(Drop(shown, 0, "", f"is not UTF-8 (byte {error.start:,})"))
        return None
    if text is None:
        report(Drop(shown, 0, "", f"has more than {FILE_LIMIT:,} bytes unpacked"))
        return None
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        report(Drop(shown, 0, "", f"is not readable as CSV ({error})"))
        return None
    if not records:
        report(Drop(shown, 0, "", "is empty: there is not even a header"))
        return None
    head = records[0]
    for column in columns:
        if column not in head:
            there = ", ".join(name or "(unnamed)" for name in head)
            report(Drop(shown, 0, column, printable(f"the column is missing; there is {there}")[:300]))
            return None
    rows, numbers = [], []
    width = len(head)
    for number, row in enumerate(records[1:]):
        if not row and width == 1:
            row = [""]  # a record with one empty field is written as an empty line
        if len(row) != width:
            report(Drop(shown, number + 1, "", f"has {len(row)} fields where the header has {width}"))
            continue
        rows.append(row)
        numbers.append(number)
    return Table(shown, head, rows, numbers)


def _text(path: Path) -> str | None:
    """The whole file; None where it is larger than the limit, packed or not."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        raw = file.read(FILE_LIMIT + 1)
    return None if len(raw) > FILE_LIMIT else raw.decode("utf-8-sig")
