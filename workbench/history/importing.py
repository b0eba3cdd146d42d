"""Taking in an audit that came as a bundle: checked as a whole before anything is changed, and again while it is read.

A bundle is a stranger's file. Its size is known before it is unpacked, its members are the known ones, and all that it
says of itself is computed again: the hash of each member, of plan, suites and items, the chain of the answers, and that
every answer is to a trial of the plan.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar, get_args

import msgspec

from engines.base import ModelCard
from suites.base import Condition, Form, Suite
from workbench.audits.findings import Findings
from workbench.audits.plan import Plan, Trial, count_by_model
from workbench.history import verify, votes
from workbench.history.bundle import (
    ADDED,
    ANSWERS,
    CORE,
    FORMAT,
    LARGEST,
    LARGEST_HELD,
    LONGEST_LINE,
    MANIFEST,
    MEMBERS,
    PARTS,
    VERSION,
    AnswerPart,
    AuditPart,
    ItemPart,
    Manifest,
    ModelPart,
    NotesPart,
    SuitePart,
    VerdictPart,
    members_of,
)
from workbench.history.chain import answer_hash, decode_answer, digest, genesis, suite_digest, written_text
from workbench.history.rows import HistoryError
from workbench.history.search import add_to_index
from workbench.history.suites import Stored, store
from workbench.history.votes import Annotator, Vote
from workbench.text import safe_text

_CHUNK = 1 << 20
_LARGEST_MANIFEST = 1 << 16
_MOST_MEMBERS, _LONGEST_LIST = 64, 1 << 14
"""What may be read of the zip's own list, in members and bytes; what is too many is said by name then."""
_END = 22
"""Bytes of the record with which a zip ends, where it has no comment."""
_ID = re.compile(r"[0-9a-f]{8}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_T = TypeVar("_T")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an import would do."""

    audit: str
    new: bool
    """Whether the history does not hold the audit yet."""
    annotators: tuple[Annotator, ...]
    """Those whose votes are added."""
    votes: tuple[Vote, ...]
    """Those that are added."""
    lines: tuple[str, ...]
    """The same for people."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not self.new and not self.votes


class Bundle:
    """An open bundle that has been checked. Use `opened`."""

    def __init__(self, name: str, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self.name = name
        self.manifest = manifest
        self._archive = archive
        # Every hash before anything is made of the contents.
        for member in MEMBERS:
            for _ in self.lines(member):
                pass
        self.audit = self._only("audit.json", AuditPart)
        self.notes = self._only("notes.json", NotesPart)
        self.plan = self._text(self.audit.plan, Plan, "the plan")
        self.models = list(self.parts("models.jsonl", ModelPart))
        self.suites = list(self._suites())
        self.annotators = list(self.parts("annotators.jsonl", Annotator))
        self.votes = list(self.parts("votes.jsonl", Vote))

    def fail(self, what: str) -> NoReturn:
        """Refuse the bundle."""
        raise HistoryError(f"{self.name}: {safe_text(what)}; nothing was imported")

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member; refused at its end when it is not what the manifest says."""
        state, rest = hashlib.sha256(), b""
        try:
            with self._archive.open(name) as member:
                while chunk := member.read(_CHUNK):
                    state.update(chunk)
                    *whole, rest = (rest + chunk).split(b"\n")
                    if len(rest) > LONGEST_LINE:
                        self.fail(f"{name} has a line of more than {LONGEST_LINE >> 20} MiB")
                    yield from whole
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            raise HistoryError(f"{self.name}: {name} cannot be unpacked ({error}); nothing was imported") from error
        if rest:
            self.fail(f"{name} ends in the middle of a line")
        if state.hexdigest() != self.manifest.members[name].sha256:
            self.fail(f"{name} is not what the manifest says: its SHA-256 is another")

    def parts(self, name: str, kind: type[_T]) -> Iterator[_T]:
        """The lines of a member, decoded."""
        assert PARTS[name] is kind
        decoder = msgspec.json.Decoder(kind)
        for number, line in enumerate(self.lines(name), 1):
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise HistoryError(f"{self.name}: {name}, line {number}: {error}; nothing was imported") from error

    def _only(self, name: str, kind: type[_T]) -> _T:
        found = list(self.parts(name, kind))
        if len(found) != 1:
            self.fail(f"{name} has {len(found)} lines, not one")
        return found[0]

    def _suites(self) -> Iterator[Stored]:
        given = list(self.parts("suites.jsonl", SuitePart))
        items: list[list[tuple[str, str, str, str]]] = [[] for _ in given]
        for item in self.parts("items.jsonl", ItemPart):
            if not 0 <= item.suite < len(given):
                self.fail(f"item {item.name[:40]!r} is of no suite")
            items[item.suite].append((item.name, item.hash, item.stratum, item.data))
        for suite, own in zip(given, items, strict=True):
            if suite_digest(suite.manifest, own) != suite.digest:
                self.fail(f"suite {suite.suite[:40]!r} is not what its digest says")
            yield Stored(
                hash=suite.hash,
                suite=suite.suite,
                version=suite.version,
                title=suite.title,
                manifest=suite.manifest,
                items=own,
            )

    # -- the checks

    def check(self) -> None:
        """Compute again all that the bundle says of itself. HistoryError."""
        self._check_audit()
        self._check_suites()
        self._check_models()
        self._check_votes()
        self._check_answers()

    def _text(self, text: str | None, kind: type[_T], what: str) -> _T:
        """Stored JSON, decoded."""
        try:
            return msgspec.json.decode(text or "", type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            self.fail(f"{what} cannot be read ({error})")

    def _check_audit(self) -> None:
        given, plan = self.audit, self.plan
        if given.name != self.manifest.audit or not _ID.fullmatch(given.name):
            self.fail("it does not say clearly which audit it is")
        if hashlib.sha256(given.plan.encode()).hexdigest() != given.plan_hash:
            self.fail("the plan is not what its hash says")
        if plan.seed != given.seed or plan.repeats < 1 or sum(count_by_model(plan).values()) != given.total:
            self.fail("number of trials or seed beside the plan are not the plan's")
        if given.status not in {"running", "paused", "complete", "failed"}:
            self.fail(f"there is no status {given.status[:20]!r}")
        if not _TIME.fullmatch(given.created) or (given.finished and not _TIME.fullmatch(given.finished)):
            self.fail("the audit's times are no times")
        names = self._text(given.models, tuple[str, ...], "the list of models")
        suites = self._text(given.suites, tuple[str, ...], "the list of suites")
        if names != tuple(model.name for model in plan.models) or suites != tuple(one.id for one in plan.suites):
            self.fail("the models or suites beside the plan are not the plan's")
        self._text(given.machine, dict[str, Any], "the machine")
        self._text(given.libraries, dict[str, str], "the list of libraries")
        if given.findings is not None:
            self._text(given.findings, Findings, "the findings")

    def _check_suites(self) -> None:
        planned = [(one.id, one.version, one.hash) for one in self.plan.suites]
        if planned != [(one.suite, one.version, one.hash) for one in self.suites]:
            self.fail("its suites are not those of the plan")
        for suite in self.suites:
            told = self._text(suite.manifest, Suite, f"the manifest of suite {suite.suite[:40]!r}")
            if (told.id, told.version, told.hash, told.title) != (suite.suite, suite.version, suite.hash, suite.title):
                self.fail(f"the manifest of suite {suite.suite[:40]!r} is of another suite")
            for name, _, _, data in suite.items:
                self._text(data, dict[str, Any], f"item {name[:40]!r}")
        marks = [suite_digest(suite.manifest, suite.items) for suite in self.suites]
        if genesis(self.audit.plan_hash, marks) != self.audit.genesis:
            self.fail("the chain does not start from this plan and these suites")

    def _check_models(self) -> None:
        planned = [(one.key, one.name, one.fingerprint) for one in self.plan.models]
        if planned != [(one.key, one.name, one.fingerprint) for one in self.models]:
            self.fail("its models are not those of the plan")
        for model in self.models:
            whose = f"model {model.key[:40]!r}"
            if model.card is not None:
                self._text(model.card, ModelCard, f"the card of {whose}")
            if model.canary is not None:
                self._text(model.canary, dict[str, Any], f"the canary of {whose}")
            measured = (model.noise, model.noise_items, model.noise_detail)
            if measured != (None, None, None):
                if None in measured:
                    self.fail(f"the noise of {whose} is incomplete")
                self._text(model.noise_detail, dict[str, Any], f"the noise of {whose}")

    def _check_votes(self) -> None:
        names = [person.name for person in self.annotators]
        if len(set(names)) != len(names) or not {vote.annotator for vote in self.votes} <= set(names):
            self.fail("votes and annotators do not belong together")
        if len({(vote.annotator, vote.a, vote.b) for vote in self.votes}) != len(self.votes):
            self.fail("it holds two votes of one annotator on the same answers")
        if not all(_TIME.fullmatch(vote.at) for vote in self.votes):
            self.fail("a vote has no time")

    def _check_answers(self) -> None:
        asked = {(one.suite, one.task): one for one in self.plan.tasks}
        allowed = {key: (frozenset(map(_formless, one.conditions)), frozenset(one.items)) for key, one in asked.items()}
        known = {(suite.suite, mark) for suite in self.suites for _, mark, _, _ in suite.items}
        models = {model.key for model in self.plan.models}
        voted = {trial for vote in self.votes for trial in (vote.a, vote.b)}
        seen: set[bytes] = set()
        previous, count = self.audit.genesis, 0
        for count, given in enumerate(self.parts(ANSWERS, AnswerPart), 1):
            where = f"answer {count}"
            trial = _trial(given)
            conditions, items = allowed.get((given.suite, given.task), (frozenset(), frozenset()))
            if (
                trial.id != given.trial
                or given.model not in models
                or given.item not in items
                or (given.suite, given.item) not in known
                or _formless(trial.condition) not in conditions
                or given.form not in get_args(Form)
                or not 0 <= given.repeat < self.plan.repeats
            ):
                self.fail(f"{where} is to no question of the plan")
            mark = bytes.fromhex(given.trial)
            if mark in seen:
                self.fail(f"{where} is a second one to the same question")
            seen.add(mark)
            voted.discard(given.trial)
            self._check_answer(where, given)
            previous = answer_hash(previous, trial, given.prompt, given.kind, given.answer)
            if previous != given.hash:
                self.fail(f"{where} has been changed: the chain breaks there")
            if count == self.audit.head_count and previous != self.audit.head:
                self.fail(f"{where} is not the one that the audit recorded as its last")
        if count < self.audit.head_count or (count, previous) != (self.manifest.answers, self.manifest.head):
            self.fail("answers are missing from the end of the chain, or were added to it")
        if voted:
            self.fail("it holds votes on answers that are not there")

    def _check_answer(self, where: str, given: AnswerPart) -> None:
        if given.kind not in {"scores", "generation"}:
            self.fail(f"{where} is of an unknown kind")
        if not all(map(_TIME.fullmatch, (given.at, *(one.at for one in given.verdicts)))):
            self.fail(f"{where} has no time")
        try:
            decode_answer(given.kind, given.answer)
        except (msgspec.DecodeError, RecursionError) as error:
            self.fail(f"{where} cannot be read ({error})")
        if [one.version for one in given.verdicts] != list(range(1, len(given.verdicts) + 1)) or not given.verdicts:
            self.fail(f"{where} has no verdict, or not all of them")
        for verdict in given.verdicts:
            self._text(verdict.figures, dict[str, float], f"a verdict of {where}")


def _trial(given: AnswerPart) -> Trial:
    asked = Condition(
        given.language,
        given.version,
        given.order,
        given.form,  # type: ignore[arg-type]
        given.context,
        given.persona,
        given.part,
    )
    return Trial(given.model, given.suite, given.task, given.item, asked, given.repeat)


def _formless(condition: Condition) -> Condition:
    """Without the prompt form, which the plan leaves to the model's template."""
    return msgspec.structs.replace(condition, form="plain")


# -- opening ----------------------------------------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """A bundle, checked as a whole. HistoryError, in one line, for everything that keeps it from being imported."""
    name = safe_text(path.name)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            _check_end(name, file)
            archive = stack.enter_context(zipfile.ZipFile(file))
            bundle = Bundle(name, archive, _manifest(name, archive))
            bundle.check()
        except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise HistoryError(f"{name}: this is not a whole zip file ({error}); nothing was imported") from error
        except OSError as error:
            raise HistoryError(f"{safe_text(str(path))}: {error.strerror or error}; nothing was imported") from error
        yield bundle


def _check_end(name: str, file: IO[bytes]) -> None:
    """Look at the record at the end before the zip's list of members is read: that list may be a bomb, too."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END - 20))
    tail = file.read()
    end = tail[-_END:]
    if size < _END or end[:4] != b"PK\5\6" or end[20:] != b"\0\0":
        raise HistoryError(f"{name}: this is not a bundle (a zip without a comment); nothing was imported")
    entries, listed = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if tail[:-_END][-20:-16] == b"PK\6\7" or entries > _MOST_MEMBERS or listed > _LONGEST_LIST:
        raise HistoryError(f"{name}: it has more members than a bundle may have; nothing was imported")


def _manifest(name: str, archive: zipfile.ZipFile) -> Manifest:
    def refuse(what: str) -> NoReturn:
        raise HistoryError(f"{name}: {safe_text(what)}; nothing was imported")

    found = archive.infolist()
    names = Counter(info.filename for info in found)
    for member, count in names.items():
        if member not in {*MEMBERS, MANIFEST}:
            refuse(f"a bundle has no member {member[:60]!r}")
        if count > 1:
            refuse(f"{member} is in it {count} times")
    if MANIFEST not in names:
        refuse("this is not a bundle: it has no manifest.json")
    for info in found:
        if info.flag_bits & 1 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            refuse(f"{info.filename} is encrypted or packed in a way that bundles do not use")
    if sum(info.file_size for info in found) > LARGEST:
        refuse(f"unpacked it would have more than {LARGEST >> 20:,} MiB")
    if sum(info.file_size for info in found if info.filename != ANSWERS) > LARGEST_HELD:
        refuse(f"without the answers it would still have more than {LARGEST_HELD >> 20:,} MiB")
    if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        refuse("its manifest is too large")
    text = archive.read(MANIFEST)
    try:
        head = msgspec.json.decode(text, type=dict[str, Any])
        if head.get("format") != FORMAT:
            refuse("this is not an audit of culture-workbench")
        if head.get("version") != VERSION:
            refuse(
                f"it is of version {str(head.get('version'))[:20]}, this program reads version {VERSION}: use the "
                "program that made it, or update"
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryError(f"{name}: its manifest cannot be read ({error}); nothing was imported") from error
    if set(manifest.members) != set(MEMBERS) or set(names) != {*MEMBERS, MANIFEST}:
        missing = sorted(set(MEMBERS) - (set(names) & set(manifest.members)))
        refuse(f"it is not complete: {', '.join(missing) or 'its manifest'}")
    for member, told in manifest.members.items():
        if archive.getinfo(member).file_size != told.size:
            refuse(f"{member} is not what the manifest says: its size is another")
    return manifest


# -- what would change ------------------------------------------------------------------------------------------------


def look(connection: sqlite3.Connection, bundle: Bundle) -> Change:
    """What taking the bundle in would do to this history. HistoryError when it is not possible."""
    audit = bundle.audit
    known = connection.execute("SELECT id, note FROM audits WHERE name = ?", (audit.name,)).fetchone()
    if known is None:
        said = [
            f"audit {audit.name} of {audit.created} is added: {', '.join(one.name for one in bundle.models)} on "
            f"{', '.join(one.suite for one in bundle.suites)}, {bundle.manifest.answers:,} answers, {audit.status}"
        ]
        if bundle.notes.audit:
            said.append(f"with the note {bundle.notes.audit[:200]!r}")
        return _change(bundle, True, tuple(bundle.votes), said)
    number, note = known
    here = members_of(connection, audit.name)
    other = [name for name in CORE if here[name] != bundle.manifest.members[name]]
    if other:
        bundle.fail(f"audit {audit.name} is here already and is not the same ({', '.join(other)} differ)")
    given = {(vote.annotator, vote.a, vote.b): vote for vote in votes.read(connection, number)}
    added = []
    for vote in bundle.votes:
        mine = given.get((vote.annotator, vote.a, vote.b))
        if mine is None:
            added.append(vote)
        elif mine != vote:
            bundle.fail(f"{vote.annotator} has voted otherwise here than in the bundle on the same answers")
    said = [f"audit {audit.name} is here already, and is the same"]
    if bundle.notes.audit not in ("", note):
        said.append("its note differs; the one here stays")
    backgrounds = {one.name: one.background for one in votes.annotators(connection, number)}
    for person in bundle.annotators:
        if backgrounds.get(person.name, "") not in ("", person.background):
            said.append(f"what {person.name} says of themselves differs; what is here stays")
    return _change(bundle, False, tuple(added), said)


def _change(bundle: Bundle, new: bool, added: tuple[Vote, ...], said: list[str]) -> Change:
    count = Counter(vote.annotator for vote in added)
    people = tuple(one for one in bundle.annotators if new or one.name in count)
    if added:
        said.append("votes are added: " + ", ".join(f"{number:,} by {name}" for name, number in count.items()))
    elif not new:
        said.append("nothing to do")
    return Change(audit=bundle.audit.name, new=new, annotators=people, votes=added, lines=tuple(said))


# -- taking it in -----------------------------------------------------------------------------------------------------


def take_in(connection: sqlite3.Connection, guard: threading.RLock, path: Path, bundle: Bundle, change: Change) -> None:
    """Do it, in the open transaction. HistoryError when the history is not any more as it was looked at, or when what
    was written would not verify."""
    if look(connection, bundle) != change:
        bundle.fail("the history has changed meanwhile: try again")
    try:
        number = _insert(connection, bundle) if change.new else _known(connection, bundle)
    except (OverflowError, sqlite3.IntegrityError) as error:
        raise HistoryError(f"{bundle.name}: it cannot be kept ({error}); nothing was imported") from error
    for person in change.annotators:
        kept = connection.execute(
            "SELECT background FROM annotators WHERE audit = ? AND name = ?", (number, person.name)
        ).fetchone()
        votes.keep_annotator(connection, number, person.name, None if kept and kept[0] else person.background)
    for vote in change.votes:
        votes.store(connection, number, vote)
    problems = verify.verify(connection, guard, path, number)
    if problems:
        bundle.fail(problems[0])
    if change.new:
        here = members_of(connection, bundle.audit.name)
        other = [name for name in (*CORE, *ADDED) if here[name] != bundle.manifest.members[name]]
        if other:
            bundle.fail(f"{', '.join(other)} would not be kept as they are")


def _known(connection: sqlite3.Connection, bundle: Bundle) -> int:
    return int(connection.execute("SELECT id FROM audits WHERE name = ?", (bundle.audit.name,)).fetchone()[0])


def _row(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> int:
    """The row id of a new row."""
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" for _ in values)
    row = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values())).lastrowid
    assert row is not None
    return row


def _insert(connection: sqlite3.Connection, bundle: Bundle) -> int:
    audit = _row(connection, "audits", {**msgspec.structs.asdict(bundle.audit), "note": bundle.notes.audit})
    items: dict[tuple[str, str], int] = {}
    for position, suite in enumerate(bundle.suites):
        row, _ = store(connection, suite)
        _row(connection, "audit_suites", {"audit": audit, "position": position, "suite": row})
        found = connection.execute("SELECT hash, id FROM suite_items WHERE suite = ?", (row,))
        items.update({(suite.suite, mark): item for mark, item in found})
    models = {
        model.key: _row(
            connection, "audit_models", {"audit": audit, "position": position, **msgspec.structs.asdict(model)}
        )
        for position, model in enumerate(bundle.models)
    }
    done: Counter[str] = Counter()
    cells: dict[tuple[str, str, str, Condition], int] = {}
    for seq, given in enumerate(bundle.parts(ANSWERS, AnswerPart), 1):
        trial = _trial(given)
        key = (trial.model, trial.suite, trial.task, trial.condition)
        if key not in cells:
            cells[key] = _row(
                connection,
                "cells",
                {
                    "audit": audit,
                    "model": models[trial.model],
                    "model_key": trial.model,
                    "suite": trial.suite,
                    "task": trial.task,
                    **msgspec.structs.asdict(trial.condition),
                },
            )
        _insert_answer(connection, audit, seq, given, cells[key], items[trial.suite, trial.item])
        done[trial.model] += 1
    for key_of_model, count in done.items():
        connection.execute("UPDATE audit_models SET done = ? WHERE id = ?", (count, models[key_of_model]))
    return audit


def _insert_answer(
    connection: sqlite3.Connection, audit: int, seq: int, given: AnswerPart, cell: int, item: int
) -> None:
    row = _row(
        connection,
        "answers",
        {
            "audit": audit,
            "seq": seq,
            "trial": given.trial,
            "cell": cell,
            "item": item,
            "repeat": given.repeat,
            "prompt": _prompt(connection, given.prompt),
            "kind": given.kind,
            "answer": given.answer,
            "seconds": given.seconds,
            "at": given.at,
            "hash": given.hash,
        },
    )
    text = written_text(given.answer) if given.kind == "generation" else ""
    if text:
        add_to_index(connection, "answer_search", row, text)
    *old, last = given.verdicts
    for verdict in old:
        _row(connection, "old_verdicts", {"answer": row, **_verdict(verdict)})
    _row(connection, "verdicts", {"answer": row, **_verdict(last)})


def _verdict(given: VerdictPart) -> dict[str, Any]:
    margin = None if given.margin is None else float(given.margin)
    return {**msgspec.structs.asdict(given), "margin": margin}


def _prompt(connection: sqlite3.Connection, text: str) -> int:
    mark = digest(text.encode())
    known = connection.execute("SELECT id FROM prompts WHERE digest = ?", (mark,)).fetchone()
    if known is not None:
        return int(known[0])
    row = _row(connection, "prompts", {"digest": mark, "text": text})
    add_to_index(connection, "prompt_search", row, text)
    return row
