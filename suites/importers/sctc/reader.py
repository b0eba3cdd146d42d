"""A copy of the authors' repository, read as it is: whatever models, prompt versions and name sets are there.

Files pair by row: record i of a response file answers record i of its prompt file. Nothing is padded or guessed: a row
without a readable partner is left out, counted and named in `Copy.drops`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

from suites.base import SuiteError
from suites.files import printable
from suites.importers.sctc.convert import Converter
from suites.importers.sctc.files import Table, located, read_table
from suites.importers.sctc.model import (
    OWN,
    Drop,
    Language,
    Name,
    NameList,
    NameRun,
    Region,
    SurnameRow,
    SurnameRun,
    Term,
    TermCell,
    TermRun,
)
from suites.importers.sctc.overrides import PUBLISHED_REPAIRS, Overrides, Repair
from suites.importers.sctc.verdicts import after_thinking

REPEATS = 15
TERMS = "source_data/regional_term_and_definition.csv"
NAMES = "source_data/regional_name_and_characteristics.csv"
_TERM_RAW, _TERM_JUDGED = "response/regional_term/raw", "response/regional_term/correctness_annotated_by_gpt"
_NAME_RAW, _NAME_FINAL = "response/regional_name/raw", "response/regional_name/final"
_RUN = re.compile(r"(.+)_(simplified|traditional|english)_([0-9]{1,3})\.csv(?:\.gz)?", re.DOTALL)
_CODES = {"1": 1, "0": 0, "-1": -1, "1.0": 1, "0.0": 0, "-1.0": -1}
_VERDICTS = {"1": True, "0": False, "1.0": True, "0.0": False}
_REFINED = {"True": True, "False": False}
_EVEN, _EVEN_ROWS = {0: 180, 1: 180}, 18_000
"""Name sets whose complete files hold every list so many times in a row, whether or not they number it."""
_LIST_START = re.compile(r"[：:]\s*(?=[^：:]*\Z)")
_SEPARATOR = re.compile(r"\s*[,，、]\s*")


class Copy:
    """A copy of the repository. Terms and names are read at once, runs as they are asked for.

    `convert`: with the published script conversion, which the term rule needs. Raises SuiteError where the folder is
    no copy, or the conversion is asked for and not installed.
    """

    def __init__(self, root: Path, *, convert: bool = True) -> None:
        self.root = root
        self.drops: list[Drop] = []
        """What was left out so far, and why."""
        if not root.is_dir():
            raise SuiteError(f"{printable(str(root))}: no such folder; name a copy of the SC-TC-Bench repository")
        if not any((root / folder).is_dir() for folder in ("source_data", "response", "prompt")):
            raise SuiteError(
                f"{printable(str(root))}: is no copy of SC-TC-Bench (it has none of the folders source_data, "
                "prompt, response)"
            )
        self.converter = Converter() if convert and self.there(TERMS) else None
        self._lists: dict[str, NameList | None] = {}
        self._orders: dict[str, tuple[str, ...]] = {}

    # -- sources ----------------------------------------------------------------------------------------------------

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The concepts in the authors' order; empty where the file is absent."""
        columns = (
            "conceptId",
            "Mainland China",
            "Taiwan",
            "definition_simplified",
            "definition_traditional",
            "category",
            "definition_source",
        )
        table = read_table(self.root, TERMS, columns, self.drops.append)
        found: dict[int, Term] = {}
        for number, cells in self._cells(table, columns):
            key = cells["conceptId"].strip()
            if not (key.isascii() and key.isdigit() and len(key) < 7) or int(key) in found:
                self._drop(table, number, "conceptId", f"{key[:20]!r} is no number of its own")
                continue
            mainland, taiwan = cells["Mainland China"], cells["Taiwan"]
            if not mainland.strip() or not taiwan.strip():
                self._drop(table, number, "Mainland China" if not mainland.strip() else "Taiwan", "holds no term")
                continue
            found[int(key)] = Term(
                id=int(key),
                mainland=mainland,
                taiwan=taiwan,
                mainland_converted=self.converter.traditional(mainland) if self.converter else "",
                taiwan_converted=self.converter.simplified(taiwan) if self.converter else "",
                definition_simplified=cells["definition_simplified"],
                definition_traditional=cells["definition_traditional"],
                category=cells["category"],
                definition_source=cells["definition_source"],
            )
        return tuple(found.values())

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """The names with their characteristics; empty where the file is absent."""
        columns = ("name", "count", "decile", "region", "gender")
        table = read_table(self.root, NAMES, columns, self.drops.append)
        found = []
        for number, cells in self._cells(table, columns):
            region, gender = _region(cells["region"]), _gender(cells["gender"])
            if region is None or gender is None or not cells["name"]:
                column = "region" if region is None else "gender" if gender is None else "name"
                self._drop(table, number, column, f"{cells[column][:20]!r} is none that is known")
                continue
            try:
                count, decile = int(float(cells["count"])), int(float(cells["decile"]))
            except (ValueError, OverflowError):
                self._drop(table, number, "count", f"{cells['count'][:20]!r}, {cells['decile'][:20]!r}: no numbers")
                continue
            found.append(Name(name=cells["name"], count=count, decile=decile, region=region, gender=gender))
        return tuple(found)

    @cached_property
    def _all_names(self) -> NameList | None:
        if not self.there(NAMES) or not self.names:
            return None
        by = {region: frozenset(n.name for n in self.names if n.region == region) for region in ("mainland", "taiwan")}
        return NameList(by["mainland"], by["taiwan"])

    def records(self, name: str) -> list[dict[str, str]]:
        """Any other table of the copy (`name` without .gz) as records of text; [] and a drop where it is absent."""
        table = read_table(self.root, name, (), self.drops.append)
        return [] if table is None else [dict(zip(table.head, row, strict=True)) for row in table.rows]

    # -- terms ------------------------------------------------------------------------------------------------------

    def term_runs(self, overrides: Overrides | None = None) -> Iterator[TermRun]:
        """Every file of term responses, in alphabetical order, with the stored verdicts. A row without a readable
        verdict, or that belongs to no known term, is dropped."""
        repairs = overrides.verdict_repairs if overrides else PUBLISHED_REPAIRS
        for model, language, version, stem in self._files(_TERM_RAW):
            if language == "english":
                self.drops.append(Drop(f"{_TERM_RAW}/{stem}.csv", 0, "", "there is no term task in English"))
                continue
            run = self._term_run(model, language, version, stem, repairs)
            if run is not None:
                yield run

    def term_prompts(self, language: Language, version: int) -> list[tuple[int, str, str]] | None:
        """The prompt file's records as (term id, -1 for none; right answer; question); None where it is absent."""
        name = f"prompt/regional_term/{language}_{version}.csv"
        if not self.there(name):
            return None
        table = read_table(self.root, name, ("gt", "prompt"), self.drops.append)
        if table is None:
            return None
        own = OWN[language]
        terms = [(term.id, _squeezed(term.written(own))) for term in self.terms]
        lookup: dict[str, list[int]] = {}
        for key, word in terms:
            lookup.setdefault(word, []).append(key)
        golds, questions = table.by_number("gt"), table.by_number("prompt")
        found = []
        for number in range(max(golds, default=-1) + 1):
            gold = golds.get(number, "")
            # The file repeats the terms in their own order: that place tells two concepts with one word apart.
            expected = terms[number % len(terms)] if terms else (-1, "")
            word = _squeezed(gold)
            keys = lookup.get(word, [])
            item = expected[0] if expected[1] == word else keys[0] if len(keys) == 1 else -1
            found.append((item, gold, questions.get(number, "")))
        return found

    def _term_run(
        self, model: str, language: Language, version: int, stem: str, repairs: tuple[Repair, ...]
    ) -> TermRun | None:
        thought = f"{_TERM_RAW}/{stem}_no_think.csv"
        name = thought if self.there(thought) else f"{_TERM_RAW}/{stem}.csv"
        raw = read_table(self.root, name, ("response",), self.drops.append)
        judged = read_table(self.root, f"{_TERM_JUDGED}/{stem}.csv", ("correct",), self.drops.append)
        if raw is None or judged is None:
            left = raw or judged
            if left is not None:
                self.drops.append(Drop(left.name, 0, "", "has no partner to be scored with", len(left)))
            return None
        prompts = self._prompts(language, version)
        if prompts is None:
            terms = self.terms
            own = OWN[language]
            prompts = [(term.id, term.written(own), "") for term in terms] * REPEATS
        fixes = [r for r in repairs if (r.model, r.language, r.version) == (model, language, version)]
        verdicts = judged.by_number("correct")
        count: dict[int, int] = {}
        rows: list[tuple[int, int, str, str, str, bool]] = []
        missing = _Tally(raw.name, "response"), _Tally(judged.name, "correct")
        for number, text in raw.by_number("response").items():
            item, gold, question = prompts[number] if number < len(prompts) else (-1, "", "")
            if item < 0:
                why = "belongs to no known term" if number < len(prompts) else "has no prompt"
                missing[0].add(number, why)
                continue
            repeat = count[item] = count.get(item, -1) + 1
            stored = verdicts.get(number)
            verdict = None if stored is None else _verdict(stored, fixes)
            if verdict is None:
                missing[1].add(number, "there is no verdict" if stored is None else "is neither 0 nor 1")
                continue
            rows.append((item, repeat, question, gold, after_thinking(text), verdict))
        for tally in missing:
            self.drops.extend(tally.drops())
        last = max(raw.numbers, default=-1) + 1
        if last < len(prompts):
            self.drops.append(
                Drop(raw.name, last, "", f"the file ends here, {len(prompts):,} rows were to come", len(prompts) - last)
            )
        extra = sum(number >= last for number in verdicts)
        if extra:
            self.drops.append(Drop(judged.name, last + 1, "correct", "verdicts without a response", extra))
        columns = tuple(zip(*rows, strict=True)) or ((),) * 6
        items, repeats, questions, golds, responses, marks = columns
        return TermRun(
            model=model,
            language=language,
            version=version,
            file=raw.name,
            items=items,
            repeats=repeats,
            prompts=questions,
            golds=golds,
            responses=responses,
            judged=marks,
            expected=len(prompts),
        )

    def _prompts(self, language: Language, version: int) -> list[tuple[int, str, str]] | None:
        key = (language, version)
        if key not in self._term_prompts:
            self._term_prompts[key] = self.term_prompts(language, version)
        return self._term_prompts[key]

    @cached_property
    def _term_prompts(self) -> dict[tuple[Language, int], list[tuple[int, str, str]] | None]:
        return {}

    def item_table(self, language: Language, version: int) -> dict[str, list[TermCell]] | None:
        """The authors' own counts, by model, one cell an item in the order of the terms; None where it is absent."""
        name = f"supplementary_data/regional_term/response_details_{language}_{version}.csv"
        if not self.there(name):
            return None
        table = read_table(self.root, name, ("gt",), self.drops.append)
        if table is None:
            return None
        found: dict[str, list[TermCell]] = {}
        for model in table.head:
            if model in {"gt", ""}:
                continue
            cells = [re.findall(r"\d+", cell) for cell in table.column(model)]
            if any(len(cell) != 3 for cell in cells):
                self.drops.append(Drop(table.name, 0, model, "a cell does not hold three counts", len(cells)))
                continue
            found[model] = [TermCell(int(a), int(b), int(c)) for a, b, c in cells]
        return found

    # -- names ------------------------------------------------------------------------------------------------------

    def name_runs(self) -> Iterator[NameRun]:
        """Every file of stored name codings, in alphabetical order, with lists, orders and raw responses where they can
        be matched with its rows."""
        for model, language, number, stem in self._files(_NAME_FINAL):
            run = self._name_run(model, language, number, stem)
            if run is not None:
                yield run
        coded = {stem for _, _, _, stem in self._files(_NAME_FINAL)}
        for _, _, number, stem in self._files(_NAME_RAW):
            if stem not in coded and number != 4:
                self.drops.append(Drop(f"{_NAME_RAW}/{stem}.csv", 0, "", "has no stored coding to go with it"))

    def surname_runs(self) -> Iterator[SurnameRun]:
        """Every file of surname probabilities (raw files with firstname, lastname, prob: set 4)."""
        columns = ("firstname", "lastname", "prob")
        for model, language, number, stem in self._files(_NAME_RAW):
            if number != 4:
                continue
            table = read_table(self.root, f"{_NAME_RAW}/{stem}.csv", columns, self.drops.append)
            if table is None:
                continue
            rows = []
            for row, cells in self._cells(table, columns):
                try:
                    rows.append(SurnameRow(cells["firstname"], cells["lastname"], float(cells["prob"])))
                except ValueError:
                    self._drop(table, row, "prob", f"{cells['prob'][:20]!r} is no number")
            yield SurnameRun(model=model, language=language, set=number, file=table.name, rows=tuple(rows))

    def name_prompts(self, language: Language, number: int) -> list[tuple[int | None, tuple[str, ...], str]] | None:
        """The prompt file's records as (trial, candidates in order, question); None where it is absent."""
        name = f"prompt/regional_name/{language}_{number}.csv"
        if not self.there(name):
            return None
        table = read_table(self.root, name, ("trial_num", "prompt"), self.drops.append)
        if table is None:
            return None
        trials, questions = table.by_number("trial_num"), table.by_number("prompt")
        found: list[tuple[int | None, tuple[str, ...], str]] = []
        for row in range(max(questions, default=-1) + 1):
            text = questions.get(row, "")
            if text not in self._orders:
                self._orders[text] = listed_names(text)
            found.append((_whole(trials.get(row, "")), self._orders[text], text))
        return found

    def candidates(self, number: int) -> dict[int, NameList]:
        """The candidates of each trial of a name set, from `candidate_name_list`, or from the sets recovered from the
        codings (`derived/candidates_reconstructed_N.json`); {} where neither is there."""
        if number not in self._candidates:
            self._candidates[number] = self._read_candidates(number)
        return self._candidates[number]

    @cached_property
    def _candidates(self) -> dict[int, dict[int, NameList]]:
        return {}

    @cached_property
    def _name_prompts(self) -> dict[tuple[Language, int], list[tuple[int | None, tuple[str, ...], str]] | None]:
        return {}

    def _read_candidates(self, number: int) -> dict[int, NameList]:
        name = f"source_data/candidate_name_list/prompt_id_{number}.csv"
        found: dict[int, NameList] = {}
        if self.there(name):
            columns = ("trial_num", "mainland_name", "taiwan_name")
            table = read_table(self.root, name, columns, self.drops.append)
            for row, cells in self._cells(table, columns):
                trial = _whole(cells["trial_num"])
                if trial is None or trial in found:
                    continue
                mainland, taiwan = _literal(cells["mainland_name"]), _literal(cells["taiwan_name"])
                if not mainland or not taiwan:
                    self._drop(table, row, "taiwan_name" if mainland else "mainland_name", "is no list of names")
                    continue
                found[trial] = NameList(frozenset(mainland), frozenset(taiwan))
            return found
        recovered = self.root / f"derived/candidates_reconstructed_{number}.json"
        if recovered.is_file() and recovered.resolve().is_relative_to(self.root.resolve()):
            shown = f"derived/{recovered.name}"
            try:
                data = json.loads(recovered.read_bytes())
                for trial, (mainland, taiwan) in data.items():
                    found[int(trial)] = NameList(frozenset(map(str, mainland)), frozenset(map(str, taiwan)))
            except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
                self.drops.append(Drop(shown, 0, "", printable(f"cannot be read ({error})")[:200]))
        return found

    def _name_run(self, model: str, language: Language, number: int, stem: str) -> NameRun | None:
        table = read_table(self.root, f"{_NAME_FINAL}/{stem}.csv", ("extracted_name", "region"), self.drops.append)
        if table is None:
            return None
        key = (language, number)
        if key not in self._name_prompts:
            self._name_prompts[key] = self.name_prompts(language, number)
        prompts = self._name_prompts[key]
        responses = self._raw_names(stem, max(table.numbers, default=-1) + 1)
        aligned = prompts is not None and max(table.numbers, default=-1) + 1 == len(prompts)
        if prompts is not None and not aligned:
            short = len(prompts) - max(table.numbers, default=-1) - 1
            self.drops.append(
                Drop(
                    table.name,
                    len(table),
                    "",
                    f"the file holds {len(table):,} rows for {len(prompts):,} prompts, so rows cannot be matched with "
                    "orders and raw responses",
                    abs(short),
                )
            )
        chosen = table.column("extracted_name")
        trials = table.column("trial_num") if table.has("trial_num") else [""] * len(table)
        refined = table.column("refine_flag") if table.has("refine_flag") else [""] * len(table)
        bad = _Tally(table.name, "region")
        rows: list[tuple[int | None, tuple[str, ...], NameList | None, str | None, str, bool | None, int]] = []
        known = self.candidates(number)
        for place, code in enumerate(table.column("region")):
            row = table.numbers[place]
            if (value := _CODES.get(code.strip())) is None:
                bad.add(row, "is none of 1, 0, -1")
                continue
            trial, order = _whole(trials[place]), cast("tuple[str, ...]", ())
            if aligned and prompts is not None:
                order = prompts[row][1]
                trial = prompts[row][0] if trial is None else trial
            elif trial is None and number in _EVEN and max(table.numbers) + 1 == _EVEN_ROWS:
                trial = row // _EVEN[number]
            rows.append(
                (
                    trial,
                    order,
                    self._list(known, trial, order),
                    responses.get(row) if responses is not None else None,
                    chosen[place],
                    _REFINED.get(refined[place].strip()),
                    value,
                )
            )
        self.drops.extend(bad.drops())
        columns = tuple(zip(*rows, strict=True)) or ((),) * 7
        return NameRun(
            model=model,
            language=language,
            set=number,
            file=table.name,
            trials=columns[0],
            orders=columns[1],
            lists=columns[2],
            responses=columns[3],
            chosen=columns[4],
            refined=columns[5],
            codes=columns[6],
            expected=None if prompts is None else len(prompts),
        )

    def _raw_names(self, stem: str, rows: int) -> dict[int, str] | None:
        name = f"{_NAME_RAW}/{stem}.csv"
        if not self.there(name):
            return None
        raw = read_table(self.root, name, ("response",), self.drops.append)
        if raw is None or max(raw.numbers, default=-1) + 1 != rows:
            return None
        return raw.by_number("response")

    def _list(self, known: dict[int, NameList], trial: int | None, order: tuple[str, ...]) -> NameList | None:
        """The candidates of a row: of its trial; else those that its prompt lists; else all names there are."""
        if trial is not None and trial in known:
            return known[trial]
        everyone = self._all_names
        if everyone is None or not order:
            return everyone
        key = "\n".join(order)
        if key not in self._lists:
            self._lists[key] = NameList(everyone.mainland & set(order), everyone.taiwan & set(order))
        return self._lists[key]

    # -- files ------------------------------------------------------------------------------------------------------

    def there(self, name: str) -> bool:
        """Whether the copy has that file, plain or compressed."""
        return located(self.root, name) is not None

    def _files(self, folder: str) -> list[tuple[str, Language, int, str]]:
        """Model, language, number and stem of the files in a folder that are named so, each once, in order."""
        found: dict[str, tuple[str, Language, int, str]] = {}
        place = self.root / folder
        if not place.is_dir():
            return []
        for path in sorted(place.iterdir()):
            name = path.name.replace("_no_think.csv", ".csv")
            match = _RUN.fullmatch(name)
            if match is None:
                if path.suffix in {".csv", ".gz"}:
                    self._unnamed(f"{folder}/{printable(path.name)}")
                continue
            stem = name.removesuffix(".gz").removesuffix(".csv")
            found[stem] = (match[1], cast(Language, match[2]), int(match[3]), stem)
        return sorted(found.values())

    def _unnamed(self, file: str) -> None:
        drop = Drop(file, 0, "", "is not named MODEL_LANGUAGE_NUMBER.csv")
        if drop not in self.drops:
            self.drops.append(drop)

    def _cells(self, table: Table | None, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
        if table is None:
            return
        places = [table.head.index(column) for column in columns]
        for number, row in zip(table.numbers, table.rows, strict=True):
            yield number, {column: row[place] for column, place in zip(columns, places, strict=True)}

    def _drop(self, table: Table | None, row: int, column: str, reason: str) -> None:
        self.drops.append(Drop(table.name if table else "", row + 1, column, printable(reason)))


class _Tally:
    """Rows dropped from a file, one line for each reason with the first row named."""

    def __init__(self, file: str, column: str) -> None:
        self._file, self._column = file, column
        self._found: dict[str, tuple[int, int]] = {}

    def add(self, row: int, reason: str) -> None:
        first, count = self._found.get(reason, (row, 0))
        self._found[reason] = (first, count + 1)

    def drops(self) -> list[Drop]:
        return [Drop(self._file, row + 1, self._column, why, n) for why, (row, n) in self._found.items()]


def listed_names(prompt: str) -> tuple[str, ...]:
    """The candidates of a name prompt in their order: what follows its last colon, split at commas."""
    start = _LIST_START.search(prompt)
    if start is None:
        return ()
    return tuple(part for part in _SEPARATOR.split(prompt[start.end() :].strip()) if part)


def _verdict(stored: str, repairs: list[Repair]) -> bool | None:
    for repair in repairs:
        if repair.fits(stored):
            return bool(repair.verdict)
    return _VERDICTS.get(stored.strip())


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _whole(text: str) -> int | None:
    found = re.fullmatch(r"\s*(\d{1,9})(?:\.0*)?\s*", text, re.ASCII)
    return int(found[1]) if found else None


def _literal(text: str) -> list[str]:
    """A Python list of strings, as the authors' files hold them; [] for anything else."""
    if len(text) > 100_000:
        return []
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _region(text: str) -> Region | None:
    low = text.strip().lower()
    if low in {"1", "mc", "mainland", "mainland china", "china", "cn"}:
        return "mainland"
    return "taiwan" if low in {"0", "tw", "taiwan"} else None


def _gender(text: str) -> Literal["female", "male"] | None:
    low = text.strip().lower()
    return "female" if low in {"f", "female"} else "male" if low in {"m", "male"} else None
