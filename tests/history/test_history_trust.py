"""`verify` finds what was changed behind the program's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import scripted

from workbench.history import History

TRIGGERS = (
    "answers_are_kept",
    "answers_go_with_their_audit",
    "plans_are_kept",
    "items_are_kept",
    "suites_are_kept",
)


@pytest.fixture
def tampered(path: Path, recorder: Any) -> Callable[[Sequence[str]], list[str]]:
    """Writes a complete audit, runs statements on the file as a stranger would, and verifies."""

    def tamper(statements: Sequence[str]) -> list[str]:
        with History.open(path) as history:
            audit = recorder.complete(history)
            assert history.verify(audit) == []
        plain = sqlite3.connect(path, isolation_level=None)
        for trigger in TRIGGERS:
            plain.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            plain.execute(statement)
        plain.close()
        with History.open(path, readonly=True) as history:
            found = history.verify(audit)
            assert all("\n" not in line for line in found)
            return found

    return tamper


SWAP = (
    "UPDATE answers SET seq = -1 WHERE seq = 4",
    "UPDATE answers SET seq = 4 WHERE seq = 5",
    "UPDATE answers SET seq = 5 WHERE seq = -1",
)
CLOSE_UP = ("DELETE FROM answers WHERE seq = 3", "UPDATE answers SET seq = -seq WHERE seq > 3")


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE answers SET answer = replace(answer, '-', '-1') WHERE seq = 3 AND kind = 'scores'"], "answer 3 "),
        (["UPDATE answers SET hash = 'x' WHERE seq = 9"], "answer 9 "),
        (["UPDATE answers SET prompt = (SELECT max(id) FROM prompts) WHERE seq = 2"], "answer 2 "),
        (["UPDATE prompts SET text = text || '!' WHERE id = (SELECT prompt FROM answers WHERE seq = 2)"], "answer 2 "),
        (["UPDATE answers SET repeat = 1 WHERE seq = 5"], "answer 5 "),
        (["UPDATE answers SET cell = (SELECT max(id) FROM cells) WHERE seq = 1"], "answer 1 "),
        (["UPDATE cells SET language = 'en' WHERE id = 1"], "answer 1 "),
        (["UPDATE answers SET item = (SELECT max(id) FROM suite_items) WHERE seq = 1"], "answer 1 "),
        (["DELETE FROM answers WHERE seq = 3"], "answer 3 is missing"),
        (["DELETE FROM answers WHERE seq BETWEEN 3 AND 6"], "answers 3 to 6 are missing"),
        (["DELETE FROM answers WHERE seq > 20"], "answers 21 to 24 are missing from the end"),
        (["DELETE FROM answers"], "answers 1 to 24 are missing"),
        ([*CLOSE_UP, "UPDATE answers SET seq = -seq - 1 WHERE seq < 0"], "answer 3 "),
        (SWAP, "answer 4 "),
        (["UPDATE audits SET plan = replace(plan, '2024', '2025')"], "the plan has been changed"),
        (["UPDATE audits SET seed = 7"], "not the plan's"),
        (["UPDATE audits SET genesis = 'x'"], "does not start from this plan"),
        (["UPDATE items SET data = replace(data, 'food', 'feed')"], "has been changed"),
        (["DELETE FROM suite_items WHERE position = 1"], "suite scripted-terms has been changed"),
        (["UPDATE suite_items SET name = 'x' WHERE position = 1"], "suite scripted-terms has been changed"),
        (["UPDATE suites SET manifest = replace(manifest, 'script', 'skript')"], "suite scripted-terms"),
        (["DELETE FROM verdicts WHERE answer = 2"], "1 answers have no verdict"),
        (["INSERT INTO verdicts VALUES (999, 'x', '', '', NULL, '{}', 1, '')"], "verdicts whose trial does not exist"),
        (["UPDATE audit_models SET done = 3 WHERE position = 0"], "3 answers were counted, 12 are there"),
        (["UPDATE audits SET head = 'x'"], "written anew"),
    ],
)
def test_a_change_is_found(tampered: Callable[[Sequence[str]], list[str]], statements: list[str], said: str) -> None:
    found = tampered(statements)
    assert any(said in line for line in found), found


def test_a_chain_that_was_written_anew_is_found(path: Path, recorder: Any, make_recorder: Callable[..., Any]) -> None:
    """Somebody who knows the hashes forges a whole audit: what the audit recorded when it ended gives it away."""
    with History.open(path) as history:
        audit = recorder.complete(history)
        forged = recorder.begin(history)
        for trial, prompt, answer, verdict in recorder.given(lambda place: "forged"):
            history.add_answer(forged, trial, prompt, answer, verdict, 0.1)
        history.set_status(forged, "complete")
    plain = sqlite3.connect(path, isolation_level=None)
    for trigger in TRIGGERS:
        plain.execute(f"DROP TRIGGER {trigger}")
    plain.execute("DELETE FROM answers WHERE audit = 1")
    plain.execute("UPDATE answers SET audit = 1, cell = cell - (SELECT max(cell) / 2 FROM answers)")
    plain.close()
    with History.open(path, readonly=True) as history:
        assert any("written anew" in line for line in history.verify(audit))


def test_a_paused_audit_holds_and_what_came_after_counts(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    recorder.fill(history, audit, most=5)
    history.set_status(audit, "paused")
    assert history.verify(audit) == []
    history.set_status(audit, "running")
    recorder.fill(history, audit, most=5)
    assert history.verify(audit) == []
    assert history.details(audit).head_count == 5


def test_two_audits_at_once_have_a_chain_each(history: History, make_recorder: Callable[..., Any]) -> None:
    first, second = make_recorder([scripted.terms(3)]), make_recorder([scripted.names(2)])
    one, two = first.begin(history), second.begin(history)
    left, right = list(first.given()), list(second.given())
    for place in range(max(len(left), len(right))):
        for audit, given in ((one, left), (two, right)):
            if place < len(given):
                trial, prompt, answer, verdict = given[place]
                history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
    assert history.verify(one) == []
    assert history.verify(two) == []
    history.set_status(one, "complete")
    history.set_status(two, "complete")
    assert history.verify(one) == history.verify(two) == []
