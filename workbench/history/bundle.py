"""An audit as one zip, to take it to another machine: everything that the history holds of it, byte for byte.

Members are JSON (lines); what the history keeps as text stays that text, so that its hashes hold elsewhere. Layout:

- `manifest.json`: format, version, audit, the chain's head and length, SHA-256 and size of every other member;
- `audit.json`: the audit's row: plan, times, machine, libraries, status, findings;
- `suites.jsonl`, `items.jsonl`: manifests, and the items with the place of their suite;
- `models.jsonl`: cards, noise floors, canaries;
- `answers.jsonl`: prompt, answer, hash and every verdict of each trial, in the order of the chain;
- `notes.json`: what people wrote to it; `annotators.jsonl`, `votes.jsonl`: who voted and how.

The same audit gives the same bytes. The first six hold what an audit is, the rest what people added to it.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench.history.lock import running_audits
from workbench.history.reading import Reader
from workbench.history.rows import HistoryError
from workbench.history.votes import Annotator, Vote
from workbench.history.votes import annotators as read_annotators
from workbench.history.votes import read as read_votes

FORMAT = "culture-workbench audit"
VERSION = 1
LARGEST = 2**31 - 1
"""Bytes that all members together may have when they are unpacked."""
LARGEST_HELD = 2**28
"""Bytes that all but the answers, which are read one by one, may have together."""
LONGEST_LINE = 2**26
"""Bytes of one line of a member."""
MANIFEST = "manifest.json"
ANSWERS = "answers.jsonl"
CORE = ("audit.json", "suites.jsonl", "items.jsonl", "models.jsonl", ANSWERS)
ADDED = ("notes.json", "annotators.jsonl", "votes.jsonl")
MEMBERS = (*CORE, *ADDED)


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says of a member."""

    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`manifest.json`. `head` is the hash of the last answer of the chain, `answers` their number."""

    format: str
    version: int
    audit: str
    head: str
    answers: int
    members: dict[str, Member]


class AuditPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`audit.json`: columns of the table `audits`; JSON columns as the text that is stored."""

    name: str
    created: str
    finished: str
    status: str
    message: str
    plan: str
    plan_hash: str
    seed: int
    genesis: str
    head: str
    head_count: int
    machine: str
    libraries: str
    models: str
    suites: str
    total: int
    rescored: int
    headline: str
    findings: str | None


class NotesPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`notes.json`."""

    audit: str


class SuitePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of `suites.jsonl`."""

    digest: str
    hash: str
    suite: str
    version: str
    title: str
    manifest: str


class ItemPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of `items.jsonl`; `suite` is the place of its suite, from 0."""

    suite: int
    name: str
    hash: str
    stratum: str
    data: str


class ModelPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of `models.jsonl`."""

    key: str
    name: str
    fingerprint: str
    card: str | None
    noise: float | None
    noise_items: int | None
    noise_detail: str | None
    canary: str | None


class VerdictPart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One verdict of an answer; the last one counts."""

    kind: str
    choice: str
    reason: str
    margin: float | Literal["inf", "-inf"] | None
    """What is not finite, JSON has no number for."""
    figures: str
    version: int
    at: str


class AnswerPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of `answers.jsonl`."""

    model: str
    suite: str
    task: str
    item: str
    language: str
    version: int
    order: int
    form: str
    context: str
    persona: str
    part: str
    repeat: int
    trial: str
    prompt: str
    kind: str
    answer: str
    seconds: float
    at: str
    hash: str
    verdicts: tuple[VerdictPart, ...]


_AUDIT = "SELECT {} FROM audits WHERE id = ?"
_SUITES = """
SELECT s.digest, s.hash, s.suite, s.version, s.title, s.manifest FROM audit_suites x JOIN suites s ON s.id = x.suite
WHERE x.audit = ? ORDER BY x.position
"""
_ITEMS = """
SELECT x.position, p.name, p.hash, p.stratum, i.data FROM audit_suites x JOIN suite_items p ON p.suite = x.suite
JOIN items i ON i.id = p.item WHERE x.audit = ? ORDER BY x.position, p.position
"""
_MODELS = """
SELECT key, name, fingerprint, card, noise, noise_items, noise_detail, canary FROM audit_models
WHERE audit = ? ORDER BY position
"""
_ANSWERS = """
SELECT n.id, c.model_key, c.suite, c.task, i.hash, c.language, c.version, c."order", c.form, c.context, c.persona,
  c.part, n.repeat, n.trial, p.text, n.kind, n.answer, n.seconds, n.at, n.hash
FROM answers n JOIN cells c ON c.id = n.cell JOIN suite_items i ON i.id = n.item JOIN prompts p ON p.id = n.prompt
WHERE n.audit = ? ORDER BY n.seq
"""
_VERDICTS = """
SELECT kind, choice, reason, margin, figures, version, at FROM old_verdicts WHERE answer = ?1
UNION ALL SELECT kind, choice, reason, margin, figures, version, at FROM verdicts WHERE answer = ?1 ORDER BY 6
"""


def write_bundle(history: Reader, audit: str, target: Path) -> None:
    """Write an audit to a zip (mode 600), complete or not at all. HistoryError, in one line."""
    row = history.audit(audit)
    if row.id in running_audits(history.path):
        raise HistoryError(f"audit {row.id} is running: a bundle can be made when it is complete or paused")
    problems = history.verify(row.id)
    if problems:
        raise HistoryError(f"audit {row.id} is not as it was written ({problems[0]}): it is not passed on")
    place = target.resolve()
    if place.exists() and not place.is_file():
        raise HistoryError(f"{target}: this is no file that can be replaced; give the name of one")
    beside = place.with_name(f".{secrets.token_hex(8)}.part")
    try:
        number = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(number, "w+b") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    _write(history, row.id, archive)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise HistoryError(f"{target}: {error.strerror or error}; nothing was written") from error


def members_of(connection: sqlite3.Connection, audit: str) -> dict[str, Member]:
    """What the manifest of a bundle of this audit would say of its members. HistoryError when it is gone."""
    number = _number(connection, audit)
    return {name: _measured(make(connection, number), None) for name, make in _MAKERS.items()}


def _write(history: Reader, audit: str, archive: zipfile.ZipFile) -> None:
    members: dict[str, Member] = {}
    # One moment: nothing that is added meanwhile is half in.
    with history.snapshot() as connection:
        number = _number(connection, audit)
        left = LARGEST
        for name, make in _MAKERS.items():
            with archive.open(_info(name), "w") as member:
                members[name] = _measured(make(connection, number), member.write, left)
            left -= members[name].size
        if sum(told.size for name, told in members.items() if name != ANSWERS) > LARGEST_HELD:
            raise HistoryError(f"the audit's items are too large for a bundle (at most {LARGEST_HELD >> 20:,} MiB)")
        head, count = connection.execute(
            "SELECT coalesce((SELECT hash FROM answers WHERE audit = a.id ORDER BY seq DESC LIMIT 1), a.genesis), "
            "(SELECT count(*) FROM answers WHERE audit = a.id) FROM audits a WHERE a.id = ?",
            (number,),
        ).fetchone()
    manifest = Manifest(format=FORMAT, version=VERSION, audit=audit, head=head, answers=count, members=members)
    archive.writestr(_info(MANIFEST), msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def _info(name: str) -> zipfile.ZipInfo:
    """A member's header without the time and the system that made it."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    info.create_system = 3
    return info


def _measured(lines: Iterator[bytes], write: Callable[[bytes], Any] | None, most: int = LARGEST) -> Member:
    state, size = hashlib.sha256(), 0
    for line in lines:
        size += len(line)
        if size > most or len(line) > LONGEST_LINE:
            raise HistoryError(f"the audit is too large for a bundle (at most {LARGEST >> 20:,} MiB)")
        state.update(line)
        if write is not None:
            write(line)
    return Member(state.hexdigest(), size)


def _number(connection: sqlite3.Connection, audit: str) -> int:
    found = connection.execute("SELECT id FROM audits WHERE name = ?", (audit,)).fetchone()
    if found is None:
        raise HistoryError(f"the audit {audit} has just been deleted")
    return int(found[0])


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _audit(connection: sqlite3.Connection, audit: int) -> Iterator[bytes]:
    record = connection.execute(_AUDIT.format(", ".join(AuditPart.__struct_fields__)), (audit,)).fetchone()
    yield _line(AuditPart(**dict(zip(AuditPart.__struct_fields__, record, strict=True))))


def _notes(connection: sqlite3.Connection, audit: int) -> Iterator[bytes]:
    yield _line(NotesPart(audit=connection.execute(_AUDIT.format("note"), (audit,)).fetchone()[0]))


def _rows(kind: type[msgspec.Struct], query: str) -> Callable[[sqlite3.Connection, int], Iterator[bytes]]:
    def rows(connection: sqlite3.Connection, audit: int) -> Iterator[bytes]:
        for record in connection.execute(query, (audit,)):
            yield _line(kind(**dict(zip(kind.__struct_fields__, record, strict=True))))

    return rows


def _answers(connection: sqlite3.Connection, audit: int) -> Iterator[bytes]:
    names = AnswerPart.__struct_fields__[:-1]
    for number, *record in connection.execute(_ANSWERS, (audit,)):
        verdicts = tuple(_verdict(one) for one in connection.execute(_VERDICTS, (number,)))
        yield _line(AnswerPart(**dict(zip(names, record, strict=True)), verdicts=verdicts))


def _verdict(record: tuple[Any, ...]) -> VerdictPart:
    kind, choice, reason, margin, *rest = record
    if margin is not None and not math.isfinite(margin):
        margin = str(margin)
    return VerdictPart(kind, choice, reason, margin, *rest)


def _annotators(connection: sqlite3.Connection, audit: int) -> Iterator[bytes]:
    for person in read_annotators(connection, audit):
        yield _line(person)


def _votes(connection: sqlite3.Connection, audit: int) -> Iterator[bytes]:
    for vote in read_votes(connection, audit):
        yield _line(vote)


_MAKERS: dict[str, Callable[[sqlite3.Connection, int], Iterator[bytes]]] = {
    "audit.json": _audit,
    "suites.jsonl": _rows(SuitePart, _SUITES),
    "items.jsonl": _rows(ItemPart, _ITEMS),
    "models.jsonl": _rows(ModelPart, _MODELS),
    ANSWERS: _answers,
    "notes.json": _notes,
    "annotators.jsonl": _annotators,
    "votes.jsonl": _votes,
}
PARTS: dict[str, type[msgspec.Struct]] = {
    "audit.json": AuditPart,
    "suites.jsonl": SuitePart,
    "items.jsonl": ItemPart,
    "models.jsonl": ModelPart,
    ANSWERS: AnswerPart,
    "notes.json": NotesPart,
    "annotators.jsonl": Annotator,
    "votes.jsonl": Vote,
}
"""What a line of each member is."""
