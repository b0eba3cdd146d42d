"""Lesson cards as scenes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from suites.base import SuiteError
from suites.lessons import Lesson, lessons
from suites.manifest import nearest
from workbench.live.scene import Scene, Wording


def scene_of(lesson: Lesson) -> Scene:
    """What a lesson shows."""
    wordings = tuple(Wording(one.prompt, one.label, tuple(one.options)) for one in lesson.wordings)
    return Scene(wordings, tuple(lesson.options), lesson=lesson.id)


def find(lesson: str, roots: Iterable[Path]) -> Lesson:
    """A lesson by its id. Raises SuiteError with the nearest ones."""
    known = {one.id: one for one in lessons(roots)}
    if lesson not in known:
        raise SuiteError(f"no lesson is called {lesson!r}{nearest(lesson, known)}")
    return known[lesson]
