"""Questions of several parts in the history: stored, read back, and no older chain broken by them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import questions
from scripted import Garage, Lab, Scripted, model

from suites.base import Condition
from workbench.audits.build import build_plan
from workbench.audits.plan import Trial
from workbench.history import History
from workbench.history.bundle import write_bundle
from workbench.history.chain import answer_hash
from workbench.history.importing import look, opened
from workbench.history.schema import MIGRATIONS


def test_a_question_without_parts_has_the_hash_that_it_had_before_there_were_any() -> None:
    """As computed by the version before: an older history still verifies."""
    trial = Trial("m", "s", "t", "i", Condition("en", 2, 1, "chat", "rule", ""), 3)
    assert trial.id == "e96b68f441fce8a871b8b64076b8956f"
    before = "286cfebaa3c2887e13f3155487b718fbe60368ab56631bd8c6fd1990b85f02fd"
    assert answer_hash("0" * 8, trial, "p", "scores", "{}") == before
    other = Trial("m", "s", "t", "i", Condition("en", 2, 1, "chat", "rule", "", "a"), 3)
    assert other.id != trial.id
    assert answer_hash("0" * 8, other, "p", "scores", "{}") != before


def test_a_history_from_before_parts_and_labels_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    History.open(path, migrations=MIGRATIONS[:1]).close()
    with History.open(path) as history, history._reading() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("SELECT part FROM cells").fetchall() == []
        assert connection.execute("SELECT label FROM labels").fetchall() == []
    # As a person reads it, with any SQLite tool.
    with closing(sqlite3.connect(path)) as tool:
        assert tool.execute("SELECT context, part FROM answers_readable").fetchall() == []


def test_parts_come_back_as_they_went_in(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    suite = questions.everyday(4, tasks=("each",), languages=("en",))
    plan = build_plan([model("alpha")], [suite])
    audit = lab.complete(plan, [suite], Garage(alpha=lambda: Scripted("alpha", score=questions.by_lot)))
    with lab.open() as history:
        assert history.verify(audit) == []
        parts = [row.trial.condition.part for row in history.judged(audit)]
        assert sorted(set(parts)) == ["a", "b", "c", "d"]
        assert history.suites(audit) == [suite]
        assert {item.culture for item in history.suites(audit)[0].items} == {"norland", "soland"}


def test_parts_go_to_another_history_and_back(tmp_path: Path) -> None:
    """A bundle of an audit whose questions have several parts is the same audit elsewhere."""
    lab = Lab(tmp_path)
    suite = questions.everyday(4, tasks=("each",), languages=("en",))
    plan = build_plan([model("alpha")], [suite])
    audit = lab.complete(plan, [suite], Garage(alpha=lambda: Scripted("alpha", score=questions.by_lot)))
    with lab.open() as history, History.open(tmp_path / "other.db") as other:
        write_bundle(history, audit, tmp_path / "audit.zip")
        with opened(tmp_path / "audit.zip") as bundle:
            with other.snapshot() as connection:
                change = look(connection, bundle)
            other.take_in(bundle, change)
        assert other.verify(audit) == []
        assert [row.trial for row in other.rows(audit)] == [row.trial for row in history.rows(audit)]
        assert other.findings(audit) == history.findings(audit)
