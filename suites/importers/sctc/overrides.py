"""The user's file of manual corrections: strings that the published term scoring forces to be misaligned or not.

Not shipped. JSON, one object:

- `rules`: a list, applied in order. Each has `when` ("equals": the whole response; "contains": a substring), `strings`,
  `flag` ("as_written": the other region's term matched in its own script; "converted": after conversion to the
  prompt's), `value` (true or false: what the flag then is), and optionally `only_other_term` (only items whose
  other-region term is that string), `and_contains` (that string must stand in the response too) and `items`
  (`conceptId`s to which the rule is bound in corrected mode).
- `language`: the prompts that they apply to ("traditional").
- `verdict_repairs`: how stored judge verdicts that are no 0 or 1 are read: `model`, `language`, `version`, `when`
  ("equals", "contains", "longer_than"), `value`, `verdict`. Without it, the published repairs of three files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from suites.base import SuiteError
from suites.files import printable
from suites.importers.sctc.model import Language

_LIMIT = 1 << 20


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Strings that set a flag of the response."""

    when: Literal["equals", "contains"]
    strings: tuple[str, ...]
    flag: Literal["as_written", "converted"]
    value: bool
    only_other_term: str = ""
    and_contains: str = ""
    items: tuple[int, ...] | None = None


class Repair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an unreadable verdict of one file is read."""

    model: str
    language: Language
    version: int
    when: Literal["equals", "contains", "longer_than"]
    value: str | int
    verdict: Literal[0, 1]

    def fits(self, text: str) -> bool:
        """Whether a verdict as stored is one that this repairs."""
        if self.when == "longer_than":
            return len(text) > int(self.value)
        return text == self.value if self.when == "equals" else str(self.value) in text


PUBLISHED_REPAIRS = (
    Repair("llama3-70b", "simplified", 2, "longer_than", 1, 1),
    Repair("llama3-8b", "traditional", 2, "equals", "1. 0", 1),
    Repair("llama3-8b", "simplified", 3, "contains", "python", 1),
)


class Overrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    rules: tuple[Rule, ...] = ()
    language: Language = "traditional"
    about: str = ""
    verdict_repairs: tuple[Repair, ...] = PUBLISHED_REPAIRS


def read_overrides(path: Path) -> Overrides:
    """The file's content. Raises SuiteError, one line, that names file and field."""
    name = printable(str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(_LIMIT + 1)
    except OSError as error:
        raise SuiteError(f"{name}: the overrides cannot be read ({error.strerror or error})") from None
    if len(raw) > _LIMIT:
        raise SuiteError(f"{name}: has more than {_LIMIT:,} bytes, too many for a file of overrides")
    try:
        found = msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"), type=Overrides)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SuiteError(f"{name}: is no file of overrides: {printable(str(error))}") from None
    for number, rule in enumerate(found.rules):
        if not all(rule.strings):
            raise SuiteError(f"{name}: rules[{number}].strings holds an empty string, which would match everything")
    for number, repair in enumerate(found.verdict_repairs):
        if (repair.when == "longer_than") != isinstance(repair.value, int):
            raise SuiteError(f"{name}: verdict_repairs[{number}].value does not go with {repair.when}")
    return found
