"""Whether an audit still is what was written: the chain of its answers, its plan, its suites and its counts."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from suites.base import Condition
from workbench.audits.plan import Plan, Trial, count_by_model
from workbench.history.chain import answer_hash, digest, genesis, suite_digest
from workbench.history.files import told

_PAGE = 1000
_CHAIN = """
SELECT n.seq, n.id, n.trial, n.hash, n.kind, n.answer, p.text, c.model_key, c.suite, c.task, i.hash, c.language,
  c.version, c."order", c.form, c.context, c.persona, c.part, n.repeat, i.name
FROM answers n LEFT JOIN cells c ON c.id = n.cell LEFT JOIN suite_items i ON i.id = n.item
LEFT JOIN prompts p ON p.id = n.prompt
WHERE n.audit = ? AND n.seq > ? ORDER BY n.seq LIMIT ?
"""


def verify(connection: sqlite3.Connection, guard: threading.RLock, path: Path, audit: int) -> list[str]:
    """What of the audit with that row id is not as it was written; [] when everything holds."""
    with guard, told(path):
        record = connection.execute(
            "SELECT plan, plan_hash, genesis, head, head_count, total, seed FROM audits WHERE id = ?", (audit,)
        ).fetchone()
        if record is None:
            return ["the audit has been deleted"]
        plan_text, plan_hash, start, head, head_count, total, seed = record
        digests, problems = _suites(connection, audit)
        problems = _plan(plan_text, plan_hash, total, seed) + problems
        if genesis(plan_hash, digests) != start:
            problems.append("the chain does not start from this plan and these suites: one of them has been changed")
    chain, count = _chain(connection, guard, path, audit, start, head, head_count)
    with guard, told(path):
        return problems + chain + _counts(connection, audit, count)


def _plan(text: str, stored: str, total: int, seed: int) -> list[str]:
    # Over the text as it stands: a later version of this program may add fields to what it reads from it.
    if hashlib.sha256(text.encode()).hexdigest() != stored:
        return ["the plan has been changed: its hash is not the one that was recorded"]
    plan = msgspec.json.decode(text, type=Plan)
    if sum(count_by_model(plan).values()) != total or plan.seed != seed:
        return ["number of trials or seed beside the plan are not the plan's"]
    return []


def _suites(connection: sqlite3.Connection, audit: int) -> tuple[list[str], list[str]]:
    digests: list[str] = []
    problems: list[str] = []
    for suite, name, stored, manifest in connection.execute(
        "SELECT s.id, s.suite, s.digest, s.manifest FROM audit_suites x JOIN suites s ON s.id = x.suite "
        "WHERE x.audit = ? ORDER BY x.position",
        (audit,),
    ).fetchall():
        items = connection.execute(
            "SELECT p.name, p.hash, p.stratum, i.data, i.digest FROM suite_items p LEFT JOIN items i ON i.id = p.item "
            "WHERE p.suite = ? ORDER BY p.position",
            (suite,),
        ).fetchall()
        for item, _, _, data, mark in items:
            if data is None or digest(data.encode()) != mark:
                problems.append(f"item {item} of suite {name} has been changed")
        actual = suite_digest(manifest, [(item, mark, stratum, data or "") for item, mark, stratum, data, _ in items])
        if actual != stored:
            problems.append(f"suite {name} has been changed: its content is not the one that was recorded")
        digests.append(actual)
    return digests, problems


def _chain(
    connection: sqlite3.Connection, guard: threading.RLock, path: Path, audit: int, start: str, head: str, marked: int
) -> tuple[list[str], int]:
    """The first break of the chain, if there is one, and the number of answers."""
    previous, row, count = start, 0, 0
    for record in _answers(connection, guard, path, audit):
        seq, number, trial_id, stored, kind, answer, prompt = record[:7]
        if seq != count + 1:
            missing = f"answer {count + 1} is" if seq == count + 2 else f"answers {count + 1} to {seq - 1} are"
            return [f"{missing} missing from the chain"], seq
        count = seq
        where = f"answer {seq} ({record[7]} · {record[8]} · {record[9]} · item {record[19]})"
        if prompt is None or record[7] is None or record[10] is None:
            return [f"{where} has lost its prompt, condition or item"], count
        trial = _trial(record)
        if trial.id != trial_id or answer_hash(previous, trial, prompt, kind, answer) != stored:
            out_of_order = number < row
            return [f"{where} {'is not in its place' if out_of_order else 'has been changed'}"], count
        if count == marked and stored != head:
            return [f"{where} is not the one that the audit recorded as its last: the chain was written anew"], count
        previous, row = stored, number
    if count < marked:
        return [f"answers {count + 1} to {marked} are missing from the end of the chain"], count
    return [], count


def _answers(
    connection: sqlite3.Connection, guard: threading.RLock, path: Path, audit: int
) -> Iterator[tuple[Any, ...]]:
    last = -(2**62)
    while True:
        with guard, told(path):
            page = connection.execute(_CHAIN, (audit, last, _PAGE)).fetchall()
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1][0]


def _trial(record: tuple[Any, ...]) -> Trial:
    model, suite, task, item, *condition, repeat = record[7:19]
    return Trial(model, suite, task, item, Condition(*condition), repeat)


def _counts(connection: sqlite3.Connection, audit: int, chained: int) -> list[str]:
    problems: list[str] = []
    for key, said, found in connection.execute(
        "SELECT m.key, m.done, (SELECT count(*) FROM answers n JOIN cells c ON c.id = n.cell WHERE c.model = m.id) "
        "FROM audit_models m WHERE m.audit = ? ORDER BY m.position",
        (audit,),
    ).fetchall():
        if said != found:
            problems.append(f"model {key}: {said} answers were counted, {found} are there")
    (bare,) = connection.execute(
        "SELECT count(*) FROM answers n LEFT JOIN verdicts v ON v.answer = n.id WHERE n.audit = ? AND v.answer IS NULL",
        (audit,),
    ).fetchone()
    if bare:
        problems.append(f"{bare} answers have no verdict")
    (lost,) = connection.execute(
        "SELECT count(*) FROM verdicts v LEFT JOIN answers n ON n.id = v.answer WHERE n.id IS NULL"
    ).fetchone()
    if lost:
        problems.append(f"the history holds {lost} verdicts whose trial does not exist")
    return problems
