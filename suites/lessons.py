"""Lesson cards: prepared demonstrations for the live screen, as data in packs of kind `lessons`.

A pack is a folder with `suite.toml` (kind, id, title, licence) and `lessons.jsonl`, a lesson a line. The built-in one
is `packs/lessons`; a team's own lie in its folder of suites.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from suites.base import SuiteError
from suites.files import PACKS, PackError, fault, lines, record, table
from suites.schema import Key, Note, Slug, Word, text_faults

MANIFEST = "suite.toml"
LESSONS = "lessons.jsonl"
Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Option = Annotated[str, Meta(min_length=1, max_length=200)]
Options = Annotated[tuple[Option, ...], Meta(max_length=12)]


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["lessons"]
    id: Key
    title: Word
    licence: Text
    version: str = "1.0"


class LessonWording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wording of a lesson's question; `options` where they are written otherwise than the lesson's."""

    label: Word
    prompt: Text
    options: Options = ()


class Lesson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A demonstration: what is asked, and on what to look."""

    id: Slug
    title: Word
    look: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=3)]
    wordings: Annotated[tuple[LessonWording, ...], Meta(min_length=1, max_length=4)]
    options: Options = ()
    """() where the answers are free."""
    note: Note = ""


def lessons(roots: Iterable[Path] = ()) -> list[Lesson]:
    """The built-in lessons and those of the packs in `roots`, of which the first of an id counts.

    Raises SuiteError, one line with file, line and field, for a pack that is at fault.
    """
    found: dict[str, Lesson] = {}
    for root in (PACKS, *roots):
        for folder in _packs(root):
            for lesson in read(folder):
                found.setdefault(lesson.id, lesson)
    return list(found.values())


def read(folder: Path) -> Iterator[Lesson]:
    """The lessons of one pack. Raises PackError."""
    try:
        msgspec.convert(table(folder, MANIFEST), _Head)
    except msgspec.ValidationError as error:
        raise fault(folder / MANIFEST, 0, error) from None
    seen: set[str] = set()
    for number, raw in lines(folder, LESSONS):
        lesson = record(folder / LESSONS, number, raw, Lesson)
        faults = list(text_faults(msgspec.to_builtins(lesson), newlines=True))
        if lesson.id in seen:
            faults.append(("id", f"{lesson.id!r} stands twice"))
        if len(lesson.options) == 1:
            faults.append(("options", "one option is no choice: give two or more, or none"))
        for place, wording in enumerate(lesson.wordings):
            if wording.options and len(wording.options) != len(lesson.options):
                faults.append((f"wordings[{place}].options", "must be as many as the lesson's, in the same order"))
        for field, message in faults:
            raise PackError(folder / LESSONS, number, field, message)
        seen.add(lesson.id)
        yield lesson


def _packs(root: Path) -> list[Path]:
    try:
        folders = sorted(path for path in root.iterdir() if (path / MANIFEST).is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SuiteError(f"{root}: the folder cannot be read ({error.strerror or error})") from None
    # Anything else, broken or not, is the business of those who look for suites.
    return [folder for folder in folders if (folder / LESSONS).is_file()]
