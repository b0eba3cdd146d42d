"""Suites from folders and from the history: read, checked against their schema, and hashed.

A suite is a folder with `suite.toml` (`suites.schema.Manifest`), `items.jsonl` (one item a line, of the kind that the
manifest names), for lists of candidates `pool.jsonl`, for other kinds further files (`cultures.jsonl`,
`attributes.jsonl`), and `SOURCES.md` for people. What items take from further files becomes a part of their data. An
item's hash is the SHA-256 of the canonical JSON of its data (keys sorted, no blanks, UTF-8, defaults left out); a
suite's is the SHA-256 of the canonical JSON of its manifest and its items' hashes, in order.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from suites.base import Item, Suite, SuiteError
from suites.files import EXPANDED_LIMIT, ITEM_LIMIT, PACKS, PackError, fault, lines, printable, record, table
from suites.kinds import ITEM_KINDS, item_of
from suites.kinds.shared import Extra, ItemKind, Misfit
from suites.manifest import manifest_faults, nearest
from suites.schema import (
    Candidate,
    CandidateList,
    ListLine,
    Manifest,
    candidate_faults,
    plain_data,
    text_faults,
)

MANIFEST = "suite.toml"
ITEMS = "items.jsonl"
POOL = "pool.jsonl"

Report = Callable[[PackError], None]
"""Hears of each fault; raises it to stop at the first, or keeps it to go on."""


class SuiteSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A suite as a list shows it. `problem` says in one line why it cannot be used ("" when it can, as far as its
    manifest tells)."""

    id: str
    version: str = ""
    title: str = ""
    items: int = 0
    languages: tuple[str, ...] = ()
    measures: str = ""
    licence: str = ""
    warning: str = ""
    tasks: tuple[str, ...] = ()
    folder: Path
    builtin: bool = False
    problem: str = ""


def builtin() -> list[SuiteSummary]:
    """The suites that come with the application, in alphabetical order. Reads manifests and counts lines, no more."""
    return available((), include_builtin=True)


def available(roots: Iterable[Path] = (), *, include_builtin: bool = True) -> list[SuiteSummary]:
    """Every suite in the built-in packs and in the folders of `roots` (missing ones are passed over).

    Of two suites with one id the first counts (built-in ones come first) and the other one carries a `problem`.
    """
    found: list[SuiteSummary] = []
    for root in [*([PACKS] if include_builtin else []), *roots]:
        for folder in _folders(root):
            summary = _summary(folder)
            if summary is None:
                continue
            first = next((other for other in found if other.id == summary.id and not other.problem), None)
            if first and not summary.problem:
                problem = f"the id {summary.id} is taken by {printable(str(first.folder))}"
                summary = msgspec.structs.replace(summary, problem=problem)
            found.append(summary)
    return found


def load(id_or_folder: str | Path, roots: Iterable[Path] = ()) -> Suite:
    """A suite by its id (built-in, or in one of `roots`) or by its folder.

    A string with a path separator in it, or a Path, is a folder. Raises SuiteError, one line: an unknown id with the
    nearest ones, a fault with file, line and field.
    """
    if isinstance(id_or_folder, str) and not _is_path(id_or_folder):
        return read(_find(id_or_folder, roots), _stop)
    return read(Path(id_or_folder).expanduser(), _stop)


def read(folder: Path, report: Report) -> Suite:
    """The suite in a folder. Each fault goes to `report`; where it returns, what is faulty is left out.

    Raises PackError where there is no manifest to go on with.
    """
    if not folder.is_dir():
        raise SuiteError(f"{printable(str(folder))}: no such folder, so there is no suite in it")
    manifest = _manifest(folder)
    for place, message in [*text_faults(plain_data(manifest), newlines=True), *manifest_faults(manifest)]:
        report(PackError(folder / MANIFEST, 0, place, message))
    items = tuple(_items(folder, manifest.item_kind, report)) if manifest.item_kind in ITEM_KINDS else ()
    if not items:
        report(PackError(folder / ITEMS, 0, "", "holds no item"))
    return _suite(manifest, items)


def manifest(suite: Suite) -> dict[str, Any]:
    """All of a suite but its items, as JSON-able data: what `from_stored` takes."""
    data: dict[str, Any] = plain_data(_manifest_of(suite))
    return data


def from_stored(manifest: dict[str, Any], items: Sequence[tuple[str, dict[str, Any]]]) -> Suite:
    """A suite from its stored manifest and items (hash, data), equal to the one that was stored.

    Raises SuiteError where the data does not fit the schema or an item is not what its hash says.
    """
    try:
        head = msgspec.convert(manifest, Manifest)
    except msgspec.ValidationError as error:
        raise SuiteError(f"stored suite: {printable(str(error))}") from None
    for place, message in manifest_faults(head):
        raise SuiteError(f"stored suite {head.id}, field {printable(place)}: {printable(message)}")
    rebuilt = []
    for stored_hash, data in items:
        try:
            item = _item(head.item_kind, msgspec.convert(data, ITEM_KINDS[head.item_kind].type))
        except msgspec.ValidationError as error:
            raise SuiteError(f"stored suite {head.id}, item {stored_hash[:12]}: {printable(str(error))}") from None
        if item.hash != stored_hash:
            raise SuiteError(f"stored suite {head.id}, item {printable(item.id)}: its content does not match its hash")
        rebuilt.append(item)
    return _suite(head, tuple(rebuilt))


def content_hash(data: Any) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON of plain data."""
    canonical = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def pool_names(folder: Path) -> list[str]:
    """The names in a pack's pool, but for faulty lines; [] for a pack without one."""
    faulty: list[PackError] = []
    return list(_pool(folder, faulty.append)) if (folder / POOL).is_file() else []


def _items(folder: Path, kind_name: str, report: Report) -> Iterator[Item]:
    kind = ITEM_KINDS[kind_name]
    pool = _pool(folder, report) if kind.pool else {}
    extras = {extra.name: _entries(folder, extra, report) for extra in kind.extras}
    if not all(extras.values()):
        return
    seen: dict[str, int] = {}
    size = 0
    for number, raw in lines(folder, ITEMS):
        try:
            if kind.pool:
                values: list[Any] = [_list(folder, number, record(folder / ITEMS, number, raw, ListLine), pool)]
            else:
                values = _expanded(folder, number, raw, kind, extras)
        except PackError as error:
            report(error)
            continue
        for value in values:
            encoded = msgspec.json.encode(value)
            size += len(encoded)
            if size > EXPANDED_LIMIT or len(seen) >= ITEM_LIMIT:
                message = f"makes the items too many, or larger than {EXPANDED_LIMIT:,} bytes together"
                raise PackError(folder / ITEMS, number, "", message)
            faults = [*text_faults(msgspec.json.decode(encoded), newlines=False), *kind.faults(value)]
            if first := seen.get(value.id):
                faults.append(("id", f"{value.id!r} is taken by line {first}"))
            for place, message in faults:
                report(PackError(folder / ITEMS, number, place, message))
            seen.setdefault(value.id, number)
            if not faults:
                yield _item(kind_name, value)


def _expanded(
    folder: Path, number: int, raw: bytes, kind: ItemKind, extras: Mapping[str, Mapping[str, Any]]
) -> list[Any]:
    """The items that a line stands for. Raises PackError."""
    line = record(folder / ITEMS, number, raw, kind.line or kind.type)
    for place, message in kind.line_faults(line):
        raise PackError(folder / ITEMS, number, place, message)
    try:
        return kind.expand(line, extras)
    except Misfit as error:
        raise PackError(folder / ITEMS, number, error.field, error.message) from None


def _entries(folder: Path, extra: Extra, report: Report) -> dict[str, Any]:
    """The entries of a further file by their ids."""
    found: dict[str, Any] = {}
    path = folder / extra.name
    faulty = False
    for number, raw in lines(folder, extra.name):
        try:
            entry = record(path, number, raw, extra.type)
        except PackError as error:
            faulty = True
            report(error)
            continue
        faults = [*text_faults(plain_data(entry), newlines=False), *extra.faults(entry)]
        if entry.id in found:
            faults.append(("id", f"{entry.id!r} stands twice"))
        for place, message in faults:
            report(PackError(path, number, place, message))
        found.setdefault(entry.id, entry)
    if not found and not faulty:
        report(PackError(path, 0, "", "holds no entry"))
    return found


def _pool(folder: Path, report: Report) -> dict[str, Candidate]:
    pool: dict[str, Candidate] = {}
    for number, raw in lines(folder, POOL):
        try:
            candidate = record(folder / POOL, number, raw, Candidate)
        except PackError as error:
            report(error)
            continue
        faults = [*text_faults(plain_data(candidate), newlines=False), *candidate_faults(candidate)]
        if candidate.name in pool:
            faults.append(("name", f"{candidate.name!r} stands twice in the pool"))
        for place, message in faults:
            report(PackError(folder / POOL, number, place, message))
        if not faults:
            pool[candidate.name] = candidate
    return pool


def _list(folder: Path, number: int, line: ListLine, pool: dict[str, Candidate]) -> CandidateList:
    for index, name in enumerate(line.candidates):
        if name not in pool:
            raise PackError(folder / ITEMS, number, f"candidates[{index}]", f"{name!r} is not in {POOL}")
    return CandidateList(id=line.id, candidates=tuple(pool[name] for name in line.candidates), note=line.note)


def _item(kind_name: str, value: Any) -> Item:
    data = plain_data(value)
    return item_of(kind_name, value.id, content_hash(data), data)


def _manifest(folder: Path) -> Manifest:
    raw = table(folder, MANIFEST)
    if raw.get("kind", "suite") != "suite":
        raise PackError(folder / MANIFEST, 0, "kind", f"is {raw['kind']!r}: this folder does not hold a suite")
    try:
        return msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        raise fault(folder / MANIFEST, 0, error) from None
    except RecursionError:
        raise PackError(folder / MANIFEST, 0, "", "is nested too deeply") from None


def _manifest_of(suite: Suite) -> Manifest:
    fields = {name: getattr(suite, name) for name in Manifest.__struct_fields__ if name != "kind"}
    return Manifest(kind="suite", **fields)


def _suite(head: Manifest, items: tuple[Item, ...]) -> Suite:
    fields = {name: getattr(head, name) for name in head.__struct_fields__ if name != "kind"}
    digest = content_hash({"manifest": plain_data(head), "items": [item.hash for item in items]})
    return Suite(hash=digest, items=items, **fields)


def _summary(folder: Path) -> SuiteSummary | None:
    """What the manifest says; None for a pack of another kind."""
    try:
        if table(folder, MANIFEST).get("kind") in {"norms", "lessons", "gazetteer"}:
            return None
        head = _manifest(folder)
        count = sum(1 for _ in lines(folder, ITEMS))
        problem = next((f"field {place}: {message}" for place, message in manifest_faults(head)), "")
    except SuiteError as error:
        return SuiteSummary(
            id=printable(folder.name), folder=folder, builtin=folder.parent == PACKS, problem=str(error)
        )
    return SuiteSummary(
        id=head.id,
        version=head.version,
        title=head.title,
        items=count,
        languages=head.languages,
        measures=head.measures,
        licence=head.licence,
        warning=head.warning,
        tasks=tuple(task.id for task in head.tasks),
        folder=folder,
        builtin=folder.parent == PACKS,
        problem=printable(problem),
    )


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if (path / MANIFEST).is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SuiteError(f"{printable(str(root))}: the folder cannot be read ({error.strerror or error})") from None


def _find(name: str, roots: Iterable[Path]) -> Path:
    known = available(roots)
    for summary in known:
        if summary.id == name and not summary.problem:
            return summary.folder
    for summary in known:
        if summary.id == name:
            raise SuiteError(f"suite {printable(name)} cannot be used: {summary.problem}")
    ids = [summary.id for summary in known if not summary.problem]
    raise SuiteError(f"no suite is called {printable(name)!r}{nearest(name, ids)}")


def _is_path(text: str) -> bool:
    return os.sep in text or "/" in text or text in {"", ".", ".."} or text.startswith("~")


def _stop(error: PackError) -> None:
    raise error
