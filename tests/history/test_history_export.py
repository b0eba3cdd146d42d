"""Exports: complete, private, and harmless to whatever opens them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import stat
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from html import unescape
from pathlib import Path
from typing import Any, get_args

import pytest
import scripted
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engines.base import ChoiceScores, Generation, OptionScore
from suites.base import Verdict
from workbench.history import History, HistoryError
from workbench.history.export import COLUMNS, Format, audit_object, defused, export_audit
from workbench.history.markdown import escape, figure

HOSTILE = (
    '=HYPERLINK("http://evil.example","x")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "  =cmd|' /C calc'!A0",
    "＝1+1",
    'a "quoted", comma\nand a line',
    "\x1b]0;title\x07\x1b[31mred\x9b0m\x00",
    "‮gnp.exe",
    "<script>alert(1)</script>",
    "番茄",
)
FORMATS: tuple[Format, ...] = get_args(Format)


def exported(history: History, audit: str, format: Format) -> str:
    """An export as text."""
    target = io.StringIO()
    export_audit(history, audit, format, target)
    return target.getvalue()


@pytest.fixture
def audit(history: History, recorder: Any) -> str:
    """A complete audit whose written answers are hostile."""
    texts = itertools.cycle(HOSTILE)
    found: str = recorder.complete(history, note="a | note <b>", write=lambda place: next(texts))
    return found


# -- the object of `--json` -------------------------------------------------------------------------------------------


def test_the_object_has_every_key_that_is_promised(history: History, audit: str) -> None:
    found = audit_object(history, audit[:6])
    assert (found["audit"], found["status"]) == (audit, "complete")
    assert found["models"][0] == {"name": "ada", "fingerprint": scripted.fingerprint_of("ada")}
    keys = {"suite", "task", "metric", "model", "condition", "estimate", "low", "high", "n", "unusable", "stability"}
    assert found["findings"]
    for finding in found["findings"]:
        assert keys | {"noise"} <= finding.keys()
        assert isinstance(finding["condition"], dict)
    keys = {
        "suite",
        "task",
        "metric",
        "a",
        "b",
        "condition",
        "difference",
        "low",
        "high",
        "p",
        "p_adjusted",
        "test",
        "n",
    }
    assert found["comparisons"]
    for comparison in found["comparisons"]:
        assert keys <= comparison.keys()
    # Figures that do not apply are null, never NaN, which is no JSON.
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_an_audit_without_findings_has_empty_lists(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    found = audit_object(history, audit)
    assert (found["status"], found["findings"], found["comparisons"]) == ("running", [], [])
    for format in FORMATS:
        assert exported(history, audit, format) or format == "jsonl"


# -- csv --------------------------------------------------------------------------------------------------------------


def table_of(text: str) -> list[dict[str, str]]:
    """What a spreadsheet would show."""
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_csv_has_a_row_an_answer(history: History, recorder: Any, audit: str) -> None:
    rows = table_of(exported(history, audit, "csv"))
    kept = list(history.rows(audit))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(kept)
    for row, one in zip(rows, kept, strict=True):
        trial, asked = one.trial, one.trial.condition
        assert (row["audit"], row["model"], row["task"], row["trial"]) == (audit, trial.model, trial.task, trial.id)
        assert row["fingerprint"] == scripted.fingerprint_of(trial.model)
        assert (row["item_hash"], row["language"], row["form"]) == (trial.item, asked.language, asked.form)
        assert row["item"].startswith("term-")
        assert row["stratum"] in {"food", "home", "transport"}
        assert (row["verdict"], row["choice"]) == (one.verdict.kind, one.verdict.choice)
        assert row["prompt"] == one.prompt
        assert float(row["seconds"]) == 0.25
        if isinstance(one.answer, ChoiceScores):
            assert float(row["margin"]) == one.verdict.margin
            assert row["answer"] == ""
            parts = dict(part.split(": ") for part in row["option_scores"].split("; "))
            assert [float(score) for score in parts.values()] == pytest.approx(
                [option.logprob for option in one.answer.options], rel=1e-5
            )
            assert next(iter(parts)).startswith("mainland")
        else:
            assert row["option_scores"] == row["margin"] == ""
            assert row["answer"] == defused(one.answer.text)


def test_csv_cells_are_no_formulas_and_no_control_characters(history: History, audit: str) -> None:
    text = exported(history, audit, "csv")
    answers = {row["answer"] for row in table_of(text)}
    assert '\'=HYPERLINK("http://evil.example","x")' in answers
    assert "'+1+1" in answers
    assert "'  =cmd|' /C calc'!A0" in answers
    assert 'a "quoted", comma\nand a line' in answers
    assert "red" in answers
    assert "gnp.exe" in answers
    assert "番茄" in answers
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text)


@given(st.text(st.characters(codec=None)) | st.sampled_from(HOSTILE))
def test_no_text_begins_a_formula(text: str) -> None:
    cell = defused(text)
    assert not cell.lstrip().startswith(tuple("=+-@＝＋－＠"))
    assert not cell.startswith(("\t", "\r", "\n"))
    assert len(cell) <= 32_767
    cell.encode()
    file = io.StringIO(newline="")
    csv.writer(file).writerow([cell, "end"])
    file.seek(0)
    assert list(csv.reader(file)) == [[cell, "end"]]


@given(st.text(st.characters(categories=("L", "N"))))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert defused(text) == text


def test_figures_that_are_no_numbers_are_no_formulas_either(history: History, recorder: Any) -> None:
    audit = recorder.begin(history)
    trial, prompt, answer, _ = next(recorder.given())
    scores = ChoiceScores(tuple(OptionScore(float("-inf"), 1, 1, 1, False) for _ in answer.options))
    history.add_answer(audit, trial, prompt, scores, Verdict("chosen", margin=float("-inf")), 0.5)
    (row,) = table_of(exported(history, audit, "csv"))
    assert row["margin"] == "'-inf"
    assert "-inf" in row["option_scores"]
    (line,) = exported(history, audit, "jsonl").splitlines()
    found = json.loads(line, parse_constant=pytest.fail)
    assert {option["logprob"] for option in found["answer"]["options"]} == {"-inf"}


# -- jsonl and json ---------------------------------------------------------------------------------------------------


def test_jsonl_is_complete_and_safe_to_show(history: History, audit: str) -> None:
    text = exported(history, audit, "jsonl")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.split("\n")[:-1]]
    kept = list(history.rows(audit))
    assert len(lines) == len(kept)
    for number, (line, row) in enumerate(zip(lines, kept, strict=True), 1):
        assert (line["number"], line["audit"], line["trial"]) == (number, audit, row.trial.id)
        assert line["prompt"] == row.prompt
        assert line["condition"]["language"] == row.trial.condition.language
        assert line["verdict"]["kind"] == row.verdict.kind
        assert line["usable"] == row.verdict.usable
        assert line["item"].startswith("term-")
        if isinstance(row.answer, Generation):
            assert (line["kind"], line["options"]) == ("generation", [])
            # Nothing is left out: control characters stand there as escapes.
            assert line["answer"]["text"] == row.answer.text
            assert tuple(line["answer"]["logprobs"]) == row.answer.logprobs
        else:
            assert line["kind"] == "scores"
            assert len(line["options"]) == len(line["answer"]["options"])
            assert line["answer"]["options"][0]["logprob"] == row.answer.options[0].logprob


def test_json_holds_what_a_repetition_needs(history: History, recorder: Any, audit: str) -> None:
    found = json.loads(exported(history, audit, "json"), parse_constant=pytest.fail)
    assert audit_object(history, audit).items() <= found.items()
    assert found["plan_hash"] == recorder.plan.hash
    assert found["plan"]["tasks"][0]["items"] == list(recorder.plan.tasks[0].items)
    assert found["cards"]["ada"]["fingerprint"] == scripted.fingerprint_of("ada")
    assert found["noise"]["bo"]["floor"] == 0.05
    assert found["machine"] == {"cpu": "abacus"}
    assert found["chain"] == {"head": history.details(audit).head, "answers": len(list(recorder.given()))}


# -- Markdown ---------------------------------------------------------------------------------------------------------


def rendered(text: str) -> str:
    """As a viewer with tables, HTML and bare links would show it."""
    return MarkdownIt("gfm-like", {"html": True, "linkify": True}).render(text)


def test_the_report_says_what_was_found(history: History, audit: str) -> None:
    text = exported(history, audit, "md")
    html = rendered(text)
    assert f"<h1>Audit {audit}</h1>" in html
    for part in ("Models", "Suites", "Findings", "Comparisons", "Warnings", "How to repeat"):
        assert f"<h2>{part}</h2>" in html
    assert scripted.fingerprint_of("ada") in html
    assert f"culture-workbench history rerun {audit}" in text
    assert "culture-workbench audit ada bo -s scripted-terms --languages zh-Hans,zh-Hant --seed 2024" in text
    found = history.findings(audit)
    assert found is not None
    assert all(escape(one.title) in text for one in found.findings)
    assert all(figure(one.difference, one.unit, sign=True) in text for one in found.comparisons)
    assert "Note: a | note &lt;b&gt;</li>" in html
    assert "<a " not in html


def test_every_table_keeps_its_columns(history: History, audit: str) -> None:
    tables = re.findall(r"<table>.*?</table>", rendered(exported(history, audit, "md")), re.DOTALL)
    assert len(tables) == 5
    for table in tables:
        rows = table.split("<tr>")[1:]
        assert len({len(re.findall("<t[hd]", row)) for row in rows}) == 1
    found = history.findings(audit)
    assert found is not None
    assert tables[2].count("<tr>") == 1 + len(found.findings)
    assert tables[3].count("<tr>") == 1 + len(found.comparisons)


TRICKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "https://evil.example/a",
    "www.evil.example",
    "someone@evil.example",
    "<https://evil.example>",
    "[x]: https://evil.example",
    "a | b | c",
    "a \\| b",
    "\\",
    "`code` ``` fence",
    "# heading\n# another",
    "*bold* _em_ ~~gone~~",
    "&lt;b&gt; &#60;i&#62;",
    "1. one",
    "- item",
    "---",
    "> quote",
    "\n\n<h1>x",
    "‮evil",
    "\x1b[31mred",
)


@pytest.mark.parametrize("text", TRICKS, ids=range(len(TRICKS)))
def test_a_note_is_only_text(history: History, recorder: Any, audit: str, text: str) -> None:
    plain = rendered(exported(history, audit, "md"))
    history.set_note(audit, text)
    tricky = rendered(exported(history, audit, "md"))
    assert re.findall("<[^>]*>", tricky) == re.findall("<[^>]*>", plain)
    assert "\x1b" not in tricky
    assert "\u202e" not in tricky


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))).map(str.split).map(" ".join))
def test_escaped_text_reads_as_it_was(text: str) -> None:
    (shown,) = re.findall("<td>(.*)</td>", rendered(f"| a |\n|---|\n| {escape(text)} |\n"))
    assert unescape(shown).replace("\u2060", "") == text.replace("\u2060", "")


@given(st.text(st.sampled_from("<>|`*_[]()!#\\&;~$^@:/.-+=\n\r\t abhtpsw中‮\u2060")) | st.text())
def test_escaped_text_in_a_table_is_only_text(text: str) -> None:
    html = rendered(f"| a | b |\n|---|---|\n| {escape(text)} | end |\n")
    tags = re.findall("<[^>]*>", html)
    assert tags == re.findall("<[^>]*>", rendered("| a | b |\n|---|---|\n| x | end |\n"))
    assert "<td>end</td>" in html


def test_names_that_are_tricks_break_nothing(history: History, make_recorder: Callable[..., Any]) -> None:
    plain = make_recorder([scripted.terms(3, versions=1)], models=("ada", "bo")).complete(history)
    tricky = make_recorder([scripted.terms(3, versions=1)], models=("a|b <b>`", "```\nx [y](z)")).complete(history)
    tags = [re.findall("</?(?:h[1-6]|t[rdh]|table|a|b|img|script|pre)\\b", rendered(exported(history, audit, "md")))
            for audit in (plain, tricky)]  # fmt: skip
    assert tags[0] == tags[1]


# -- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_whole_private_and_the_same_as_a_stream(
    history: History, audit: str, tmp_path: Path, format: Format
) -> None:
    target = tmp_path / "out" / f"audit.{format}"
    target.parent.mkdir()
    target.write_text("something else")
    target.chmod(0o644)
    export_audit(history, audit, format, target)
    assert target.read_bytes().decode() == exported(history, audit, format)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(
    history: History, audit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    targets = [folder, folder / "no such" / "file.csv", Path("/proc/none/file.csv"), folder / ("x" * 300)]
    for target in targets:
        with pytest.raises(HistoryError) as caught:
            export_audit(history, audit, "csv", target)
        assert "\n" not in str(caught.value)
        assert str(target) in str(caught.value)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_is_one_line(history: History, audit: str, format: Format) -> None:
    with pytest.raises(HistoryError, match="No space left on device"):
        export_audit(history, audit, format, Path("/dev/full"))
    assert Path("/dev/full").is_char_device()
    # Closing may fail once more, for what the stream still holds.
    full = pytest.raises(HistoryError, match="No space left on device")
    with suppress(OSError), Path("/dev/full").open("w", encoding="utf-8") as stream, full:
        export_audit(history, audit, format, stream)


def test_a_failure_in_the_middle_keeps_the_old_file(
    history: History, audit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "audit.csv"
    target.write_text("last month's")
    rows = history.rows

    def interrupted(audit: str) -> Any:
        yield next(rows(audit))
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_audit(history, audit, "csv", target)
    assert target.read_text() == "last month's"
    assert [file for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def test_a_stream_that_knows_no_chinese_is_one_line(history: History, audit: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.raises(HistoryError, match=r"cannot carry .* write to a file"):
        export_audit(history, audit, "csv", stream)


def test_an_unknown_format_or_audit_is_one_line(history: History, audit: str, tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="csv, jsonl, json, md"):
        export_audit(history, audit, "xlsx", tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(HistoryError, match="no audit"):
        export_audit(history, "zzz", "csv", tmp_path / "x")
    assert not (tmp_path / "x").exists()


class Bin:
    """Takes text and forgets it."""

    written = 0

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.written += len(line)

    def flush(self) -> None:
        pass


def test_an_export_holds_a_page_at_a_time(
    history: History, make_recorder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import workbench.history.reading as reading

    monkeypatch.setattr(reading, "_PAGE", 20)
    recorder = make_recorder([scripted.terms(100, versions=1, tasks=["answer"])])
    audit = recorder.begin(history)
    recorder.fill(history, audit, write=lambda place: f"{place} " + "长" * 3000)
    target = Bin()
    tracemalloc.start()
    export_audit(history, audit, "jsonl", target)  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert target.written > 400 * 3000
    # All of it at once would take twice that: two bytes a character.
    assert most < 400 * 3000
