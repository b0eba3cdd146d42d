"""What is written comes back, and stays private, whole and readable."""

from __future__ import annotations

import math
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import scripted
from hypothesis import given
from hypothesis import strategies as st

from engines.base import ChoiceScores, Generation, OptionScore
from suites.base import Verdict
from workbench.history import History, HistoryError
from workbench.history.chain import decode_answer, encode_answer


def test_an_audit_comes_back_as_it_was_written(path: Path, recorder: Any) -> None:
    with History.open(path) as history:
        audit = recorder.complete(history, note="a first one 测试")
        findings = history.findings(audit)
    asked = list(recorder.given())
    with History.open(path, readonly=True) as history:
        row = history.audit(audit[:5])
        assert (row.id, row.status, row.note) == (audit, "complete", "a first one 测试")
        assert (row.done, row.total) == (len(asked), len(asked))
        assert row.models == ("ada", "bo")
        assert row.suites == ("scripted-terms",)
        assert row.headline
        assert row.finished >= row.created
        assert history.plan(audit) == recorder.plan
        assert history.suites(audit) == recorder.suites
        kept = list(history.rows(audit))
        assert [(one.trial, one.prompt, one.answer, one.verdict) for one in kept] == asked
        assert [(one.trial, one.verdict) for one in history.judged(audit)] == [(one[0], one[3]) for one in asked]
        assert history.answered(audit) == {one[0].id for one in asked}
        assert history.done_by_model(audit) == {"ada": len(asked) // 2, "bo": len(asked) // 2}
        assert history.findings(audit) == findings
        assert findings is not None
        assert findings.findings
        assert history.cards(audit)["bo"] == scripted.Scripted("bo").card
        assert history.noise(audit)["ada"].floor == 0.05
        assert history.canary(audit)["ada"] == {"largest": 0.01}
        assert history.details(audit).machine == {"cpu": "abacus"}
        assert history.details(audit).seed == 2024
        assert history.details(audit).head_count == len(asked)
        assert history.verify(audit) == []
        assert history.check() == []


def test_answers_can_be_read_by_model_task_and_suite(history: History, recorder: Any) -> None:
    audit = recorder.complete(history)
    for wanted in (
        {"model": "bo"},
        {"task": "answer"},
        {"suite": "scripted-terms"},
        {"model": "ada", "task": "answer"},
    ):
        found = [row.trial for row in history.rows(audit, **wanted)]
        assert found == [
            one[0] for one in recorder.given() if all(getattr(one[0], key) == value for key, value in wanted.items())
        ]
    assert list(history.rows(audit, task="no such task")) == []
    one = next(history.rows(audit, task="answer"))
    assert history.row(audit, one.trial.id) == one
    with pytest.raises(HistoryError, match="no answer"):
        history.row(audit, "0" * 32)


def test_a_page_more_or_less_loses_nothing(
    history: History, make_recorder: Callable[..., Any], monkeypatch: Any
) -> None:
    import workbench.history.reading as reading
    import workbench.history.verify as verify

    monkeypatch.setattr(reading, "_PAGE", 7)
    monkeypatch.setattr(verify, "_PAGE", 7)
    recorder = make_recorder([scripted.terms(7, versions=1)])
    audit = recorder.complete(history)
    assert [row.trial for row in history.rows(audit)] == [one[0] for one in recorder.given()]
    assert history.verify(audit) == []


def test_the_list_is_newest_first_and_can_be_filtered(history: History, recorder: Any) -> None:
    first = recorder.complete(history, note="Spring")
    second = recorder.begin(history, note="Autumn 秋")
    assert [row.id for row in history.audits()] == [second, first]
    assert [row.id for row in history.audits(limit=1)] == [second]
    assert [row.id for row in history.audits("spring ADA")] == [first]
    assert [row.id for row in history.audits("秋")] == [second]
    assert history.audits("spring autumn") == []


def test_an_unknown_or_ambiguous_id_is_one_clear_line(history: History, recorder: Any) -> None:
    with pytest.raises(HistoryError, match="holds none yet"):
        history.audit("abc")
    names = [recorder.begin(history) for _ in range(17)]
    shared = next(letter for letter in "0123456789abcdef" if sum(name.startswith(letter) for name in names) > 1)
    with pytest.raises(HistoryError, match="several audits begin with"):
        history.audit(shared)
    for wrong in ("zzzz", "", "%", "' OR 1=1 --", names[0] + "0"):
        with pytest.raises(HistoryError) as caught:
            history.audit(wrong)
        assert "\n" not in str(caught.value)


def test_an_answer_is_never_overwritten_and_belongs_to_its_audit(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    trial, prompt, answer, verdict = next(recorder.given())
    history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
    with pytest.raises(ValueError, match="never overwritten"):
        history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
    history.flush()
    with pytest.raises(ValueError, match="never overwritten"):
        history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
    with pytest.raises(ValueError, match="not of this audit"):
        history.add_answer(audit, msgspec.structs.replace(trial, item="0" * 64), prompt, answer, verdict, 0.1)
    with pytest.raises(ValueError, match="not of this audit"):
        history.add_answer(audit, msgspec.structs.replace(trial, model="eve"), prompt, answer, verdict, 0.1)
    assert len(list(history.rows(audit))) == 1


def test_a_resumed_audit_has_the_chain_of_one_that_ran_through(history: History, recorder: Any) -> None:
    whole = recorder.complete(history)
    audit = recorder.begin(history)
    recorder.fill(history, audit, most=7)
    history.set_status(audit, "paused", "cancelled")
    assert history.audit(audit).status == "paused"
    history.set_status(audit, "running")
    recorder.fill(history, audit)
    history.set_status(audit, "complete")
    assert history.details(audit).head == history.details(whole).head
    assert history.verify(audit) == []


def test_verdicts_can_be_replaced_and_the_old_ones_stay(history: History, recorder: Any) -> None:
    audit = recorder.complete(history)
    one, other = list(history.rows(audit))[:2]
    changed = msgspec.structs.replace(one.verdict, kind="refused", reason="another rule", margin=None)
    assert history.replace_verdicts(audit, [(one.trial.id, changed), (other.trial.id, other.verdict)]) == 1
    assert history.row(audit, one.trial.id).verdict == changed
    versions = history.verdict_versions(audit, one.trial.id)
    assert [(version.version, version.verdict) for version in versions] == [(1, one.verdict), (2, changed)]
    assert len(history.verdict_versions(audit, other.trial.id)) == 1
    assert history.details(audit).rescored == 1
    with pytest.raises(HistoryError, match="no answer to the trial"):
        history.replace_verdicts(audit, [(other.trial.id, changed), ("f" * 32, changed)])
    assert history.row(audit, other.trial.id).verdict == other.verdict
    assert history.verify(audit) == []


@given(
    st.lists(st.tuples(st.floats(), st.integers(0, 2**31), st.booleans(), st.none() | st.floats()), max_size=4),
    st.text(),
)
def test_scores_of_any_kind_survive(options: list[tuple[float, int, bool, float | None]], error: str) -> None:
    answer = ChoiceScores(
        tuple(OptionScore(logprob, n, n, n, greedy, base) for logprob, n, greedy, base in options), 5, 3, error
    )
    back = decode_answer("scores", encode_answer(answer))
    assert isinstance(back, ChoiceScores)
    assert str(back) == str(answer)


@given(st.text(st.characters(codec=None)), st.lists(st.floats(), max_size=4))
def test_answers_of_any_kind_survive(text: str, logprobs: list[float]) -> None:
    answer = Generation(text, "stop", tuple(range(len(logprobs))), tuple(logprobs))
    back = decode_answer("generation", encode_answer(answer))
    assert isinstance(back, Generation)
    assert back.text == "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(back.logprobs, logprobs, strict=True))


ODD = (
    "",
    "\x00before and after\x00",
    "\ud800 lone",
    "a" * 100_000,
    "‮override",
    "\x1b[31mred",
    "𠮷野家",
    "'; DROP TABLE--",
)


def test_odd_texts_are_kept_found_and_deleted(history: History, recorder: Any) -> None:
    audit = recorder.complete(history, write=lambda place: ODD[place % len(ODD)], note="odd \ud800")
    written = [row.answer.text for row in history.rows(audit, task="answer") if isinstance(row.answer, Generation)]
    assert set(written) <= {text.replace("\ud800", "\ufffd") for text in ODD}
    assert history.verify(audit) == []
    (start, end) = history.search("after")[0].spans[0]
    assert history.search("after")[0].snippet[start:end] == "after"
    assert history.search("野家")
    history.delete_audit(audit)
    assert history.search("after") == []
    assert history.search("野家") == []
    assert history.check() == []
    with history._reading() as connection:
        for table in ("answer_search", "prompt_search"):
            connection.execute(f"CREATE VIRTUAL TABLE temp.words_of_{table} USING fts5vocab('main', {table!r}, 'row')")
            assert connection.execute(f"SELECT term FROM temp.words_of_{table}").fetchall() == []


def test_files_and_folder_are_the_owner_s_alone(path: Path, recorder: Any) -> None:
    with History.open(path) as history:
        recorder.begin(history)
        kept = sorted(path.parent.iterdir())
        assert {file.name for file in kept} == {f"history.db{end}" for end in ("", "-wal", "-shm", ".lock")}
        assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    History.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_views_can_be_read_with_any_sqlite_tool(path: Path, recorder: Any) -> None:
    with History.open(path) as history:
        audit = recorder.complete(history, write=lambda place: "番茄")
    plain = sqlite3.connect(path)
    try:
        (line,) = plain.execute("SELECT audit, status, models, suites, answered, total FROM audits_readable").fetchall()
        count = len(list(recorder.given()))
        assert line == (audit, "complete", "ada, bo", "scripted-terms", count, count)
        answers = plain.execute(
            "SELECT model, item, language, prompt, answer, verdict FROM answers_readable WHERE task = 'answer'"
        ).fetchall()
        assert len(answers) == count // 2
        assert answers[0][:3] == ("ada", "term-0000", "zh-Hans")
        assert "第0號" in answers[0][3]
        assert {answer[4] for answer in answers} == {"番茄"}
        figures = plain.execute("SELECT figure, model, language, estimate, n FROM findings_readable").fetchall()
        assert figures
        assert all(figure[0] and figure[1] in ("ada", "bo") for figure in figures)
    finally:
        plain.close()


def test_answers_and_plans_cannot_be_changed_by_mistake(path: Path, recorder: Any) -> None:
    with History.open(path) as history:
        recorder.complete(history)
    plain = sqlite3.connect(path)
    try:
        for statement in (
            "UPDATE answers SET answer = '{}'",
            "DELETE FROM answers WHERE seq = 1",
            "UPDATE audits SET plan = '{}'",
            "UPDATE items SET data = '{}'",
            "UPDATE suites SET manifest = '{}'",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                plain.execute(statement)
    finally:
        plain.close()


def test_deleting_an_audit_takes_what_only_it_used(history: History, make_recorder: Callable[..., Any]) -> None:
    recorder, other = make_recorder([scripted.terms(3, versions=1)]), make_recorder([scripted.names(2)])
    first = recorder.complete(history, write=lambda place: "共同的词")
    second = recorder.complete(history, write=lambda place: "共同的词")
    third = other.complete(history)
    assert {hit.audit for hit in history.search("共同的词")} == {first, second}
    history.delete_audit(first)
    assert {hit.audit for hit in history.search("共同的词")} == {second}
    assert {hit.audit for hit in history.search("第1號")} == {second}
    assert history.verify(second) == []
    assert history.suites(second) == recorder.suites
    history.delete_audit(second)
    assert history.search("共同的词") == []
    assert history.search("第1號") == []
    assert [row.id for row in history.audits()] == [third]
    assert history.verify(third) == []
    with history._reading() as connection:
        left = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("suites", "audits", "audit_models", "cells", "answers", "verdicts", "prompts")
        }
    count = len(list(other.given()))
    assert left == {
        "suites": 1, "audits": 1, "audit_models": 2, "cells": left["cells"], "answers": count, "verdicts": count,
        "prompts": len({one[1] for one in other.given()}),
    }  # fmt: skip


def test_a_running_audit_can_be_deleted_with_what_waits(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    trial, prompt, answer, verdict = next(recorder.given())
    history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
    history.delete_audit(audit)
    assert history.audits() == []
    with pytest.raises(HistoryError, match="no audit"):
        history.add_answer(audit, trial, prompt, answer, verdict, 0.1)


def test_a_closed_history_says_so(path: Path, recorder: Any) -> None:
    history = History.open(path)
    audit = recorder.begin(history)
    history.close()
    history.close()
    for call in (history.audits, lambda: history.audit(audit), lambda: recorder.fill(history, audit)):
        with pytest.raises(HistoryError, match="closed"):
            call()


def test_a_suite_that_the_plan_names_must_be_given(history: History, recorder: Any) -> None:
    with pytest.raises(ValueError, match="was not given"):
        history.create_audit(recorder.plan, [])
    assert history.audits() == []


def test_a_verdict_is_kept_with_all_its_figures(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    trial, prompt, answer, _ = next(recorder.given())
    verdict = Verdict("chosen", "a\nb", "because “…”", -0.125, {"x": 1.5, "y": -2.0})
    history.add_answer(audit, trial, prompt, answer, verdict, 0.1)
    assert history.row(audit, trial.id).verdict == verdict
