"""`suites check`: all that the loader refuses, and what makes a suite measure something else than it says.

An error makes figures wrong or facts untraceable; a warning is for a person to look at. Which characters belong to
which script is asked of OpenCC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from suites.base import PromptText, Suite, SuiteError
from suites.check_items import Problem, check_lists, check_terms
from suites.check_questions import check_questions
from suites.files import PackError, lines
from suites.loader import ITEMS, MANIFEST, pool_names, read
from suites.manifest import placeholders
from suites.schema import candidates, term
from suites.scripts import converter

SCORED = frozenset({"choice", "judgements", "rating", "paired-text"})
"""Kinds of task whose prompts are continued by options."""
_OPENING = tuple("“‘(«\"'")
"""After these an option begins without a blank."""
_QUOTES = str.maketrans("「」『』", "“”‘’")
"""Quotation marks as they are usual in Taiwan, and on the Mainland."""


def check(folder: Path) -> list[Problem]:
    """Everything wrong with the suite in a folder, errors first. An empty list is a clean bill."""
    problems: list[Problem] = []

    def report(error: PackError) -> None:
        problems.append(Problem("error", Path(error.file).name, error.line, error.field, error.message))

    try:
        suite = read(folder, report)
    except PackError as error:
        report(error)
        return problems
    except SuiteError as error:
        return [Problem("error", "", 0, "", str(error))]
    # Where a line is at fault, lines no longer follow from the items' order: then problems name items instead.
    known = (
        {item.id: number for item, number in zip(suite.items, _numbers(folder), strict=False)} if not problems else {}
    )
    if len(known) != sum(1 for _ in _numbers(folder)):
        known = {}  # a line stands for several items
    problems.extend(_sources(suite, folder))
    problems.extend(_prompts(suite))
    if suite.item_kind == "regional-term":
        problems.extend(check_terms([term(item.data) for item in suite.items], known))
    if suite.item_kind == "candidate-list":
        problems.extend(check_lists([candidates(item.data) for item in suite.items], known, pool_names(folder)))
    if suite.item_kind not in {"regional-term", "candidate-list"}:
        problems.extend(check_questions(suite, known))
    return sorted(problems, key=lambda problem: (problem.level, problem.file, problem.line, problem.field))


def _numbers(folder: Path) -> Iterator[int]:
    return (number for number, _ in lines(folder, ITEMS))


def _sources(suite: Suite, folder: Path) -> Iterator[Problem]:
    defined = {source.id for source in suite.sources}
    used: set[str] = set()
    for item in suite.items:
        data = item.data
        for part in [data, data.get("hongkong", {}), *data.get("candidates", [])]:
            used.update(part.get("source", []))
    for name in sorted(used - defined):
        yield Problem("error", MANIFEST, 0, "sources", f"{name!r} is named by items but not defined")
    for name in sorted(defined - used):
        yield Problem("warning", MANIFEST, 0, "sources", f"{name!r} is defined but no item names it")
    for index, source in enumerate(suite.sources):
        if not source.publisher or not (source.address or source.note):
            yield Problem("warning", MANIFEST, 0, f"sources[{index}]", "does not say where it can be looked up")
    if not (folder / "SOURCES.md").is_file():
        yield Problem("warning", "SOURCES.md", 0, "", "is missing: it says where the facts can be checked")


def _prompts(suite: Suite) -> Iterator[Problem]:
    """The loader sees to it that every language has every version; here it is whether they say the same."""
    convert = converter("t2s")
    for number, task in enumerate(suite.tasks):
        by_key = {(p.language, p.version, p.context): (index, p) for index, p in enumerate(task.prompts)}
        for (language, version, context), (index, prompt) in by_key.items():
            place = f"tasks[{number}].prompts[{index}]"
            if prompt.text != prompt.text.rstrip() and task.kind in SCORED:
                yield Problem("warning", MANIFEST, 0, f"{place}.text", "ends in a blank, which tokenisers treat badly")
            if not prompt.lead and _spaced(language) and task.kind in SCORED and prompt.text[-1:] not in _OPENING:
                message = "is missing: options in this language begin with a blank"
                yield Problem("warning", MANIFEST, 0, f"{place}.lead", message)
            if task.kind in {"choice-generated", "short-answer"} and not prompt.cue:
                yield Problem(
                    "warning", MANIFEST, 0, f"{place}.cue", "is missing: plain models need to see an answer begin"
                )
            other = by_key.get(("zh-Hans", version, context))
            if language == "zh-Hant" and other and (difference := _unparallel(other[1], prompt, convert)):
                yield Problem("warning", MANIFEST, 0, place, f"is not parallel to the Simplified one: {difference}")
            twins = [
                p
                for p in task.prompts
                if p.language == language
                and (p.text, p.answers, p.context) == (prompt.text, prompt.answers, context)
                and p.version < version
            ]
            if twins:
                yield Problem("error", MANIFEST, 0, f"{place}.text", f"is the same as version {twins[0].version}")


def _spaced(language: str) -> bool:
    """Whether words are set apart by blanks."""
    return language.split("-")[0] not in {"zh", "ja", "th"}


def _unparallel(hans: PromptText, hant: PromptText, convert: Callable[[str], str]) -> str:
    for name in ("text", "lead", "cue", "separator", "examples"):
        first, second = getattr(hans, name), getattr(hant, name).translate(_QUOTES)
        if placeholders(first) != placeholders(second):
            return f"{name} has its placeholders in another order"
        if convert(second) != first:
            return f"{name} says {convert(second)!r} there and {first!r} here"
        if len(first) != len(second):
            return f"{name} has another length"
    return ""
