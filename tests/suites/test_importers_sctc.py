"""The reader of SC-TC-Bench's layout, its rules, and the suites made of it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from sctc_copy import REPEATS, TERMS, answer, choose, copy, overrides, put

from engines.base import Generation
from suites.base import Condition, SuiteError
from suites.importers import importer
from suites.importers.sctc.overrides import read_overrides
from suites.importers.sctc.reader import Copy, listed_names
from suites.importers.sctc.verdicts import TermRule, after_thinking, name_verdict
from suites.importers.write import write
from suites.loader import load
from suites.tasks import task_for

ROWS = len(TERMS) * REPEATS


def reasons(read: Copy) -> list[str]:
    return [str(drop) for drop in read.drops]


def test_na_stays_text_and_a_field_may_hold_line_breaks(tmp_path: Path) -> None:
    responses = ["NA", "None", "null", "", '软件\n\n就是，"它"'] + ["x"] * (ROWS - 5)
    answer(copy(tmp_path), "new_model", "simplified", 2, responses, [0] * ROWS)
    read = Copy(tmp_path)
    (run,) = read.term_runs()
    assert (run.model, run.version, run.responses[:5]) == ("new_model", 2, tuple(responses[:5]))
    assert run.items[:5] == (0, 1, 2, 3, 0)
    assert run.repeats[:5] == (0, 0, 0, 0, 1)
    assert read.drops == []


def test_a_file_that_ends_early_is_named_and_counted_and_nothing_is_padded(tmp_path: Path) -> None:
    answer(copy(tmp_path), "m", "simplified", 1, ["x"] * 5, [0] * 3)
    read = Copy(tmp_path)
    (run,) = read.term_runs()
    assert len(run.items) == 3
    said = reasons(read)
    assert any("correctness" in each and "row 4" in each and "no verdict (2 rows)" in each for each in said)
    assert any("raw/m_simplified_1.csv.gz, row 5" in each and "(7 rows)" in each for each in said)


def test_a_missing_column_a_record_of_wrong_length_and_a_strange_verdict_are_said(tmp_path: Path) -> None:
    root = copy(tmp_path)
    answer(root, "a", "simplified", 1, ["x"] * ROWS, ["maybe"] + [1] * (ROWS - 1))
    folder = root / "response/regional_term/raw"
    put(folder / "b_simplified_1.csv", ("text",), [("x",)])
    put(root / "response/regional_term/correctness_annotated_by_gpt/b_simplified_1.csv", ("correct",), [(1,)])
    read = Copy(root)
    (run,) = read.term_runs()
    assert len(run.items) == ROWS - 1
    said = reasons(read)
    assert any("a_simplified_1.csv, row 1, column correct: is neither 0 nor 1" in each for each in said)
    assert any("b_simplified_1.csv, column response: the column is missing; there is text" in each for each in said)


def test_a_short_record_keeps_the_rows_after_it_in_their_place(tmp_path: Path) -> None:
    root = copy(tmp_path)
    answer(root, "m", "simplified", 1, [str(row) for row in range(ROWS)], [1] * ROWS)
    lines = ["correct,note"] + ["1,"] * ROWS
    lines[3] = "1"
    path = root / "response/regional_term/correctness_annotated_by_gpt/m_simplified_1.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (run,) = Copy(root).term_runs()
    assert "2" not in run.responses
    assert dict(zip(run.responses, run.items, strict=True))["3"] == 3


def test_published_repairs_hold_only_in_their_own_file(tmp_path: Path) -> None:
    root = copy(tmp_path)
    for model, language, version, text in (
        ("llama3-70b", "simplified", 2, "1. yes"),
        ("llama3-8b", "traditional", 2, "1. 0"),
        ("llama3-70b", "simplified", 1, "1. yes"),
    ):
        answer(root, model, language, version, ["x"] * ROWS, [text] + [0] * (ROWS - 1))
    runs = {(run.model, run.version): run.judged for run in Copy(root).term_runs()}
    assert runs["llama3-70b", 2][0] is True
    assert runs["llama3-8b", 2][0] is True
    assert len(runs["llama3-70b", 1]) == ROWS - 1


def test_thinking_is_left_out_by_file_or_by_mark(tmp_path: Path) -> None:
    root = copy(tmp_path)
    answer(root, "ds", "simplified", 1, ["<think>軟體</think>\n软件 "] * ROWS, [1] * ROWS)
    (run,) = Copy(root).term_runs()
    assert set(run.responses) == {"软件"}
    put(
        root / "response/regional_term/raw/ds_simplified_1_no_think.csv",
        ("", "response"),
        [(row, "别的") for row in range(ROWS)],
    )
    (run,) = Copy(root).term_runs()
    assert set(run.responses) == {"别的"}
    assert after_thinking("没有") == "没有"


@pytest.mark.parametrize(
    ("language", "item", "response", "judged", "label"),
    [
        ("simplified", 0, "軟體或软件", True, "misaligned"),
        ("simplified", 0, "软体", False, "misaligned"),
        ("simplified", 0, "程序", True, "correct"),
        ("simplified", 0, "软件", False, "incorrect"),
        ("traditional", 1, "的士", True, "misaligned"),
        ("traditional", 1, "出租車", False, "misaligned"),
        ("traditional", 1, "計程車", True, "correct"),
    ],
)
def test_the_published_term_rule(
    tmp_path: Path, language: str, item: int, response: str, judged: bool, label: str
) -> None:
    rule = TermRule(Copy(copy(tmp_path)).terms, language, "published")  # type: ignore[arg-type]
    assert rule.verdict(item, response, judged).label == label


def test_an_override_hits_every_item_as_published_and_only_its_own_when_corrected(tmp_path: Path) -> None:
    read = Copy(copy(tmp_path))
    assert read.converter is not None
    file = read_overrides(overrides(tmp_path))
    published = TermRule(read.terms, "traditional", "published", file)
    corrected = TermRule(read.terms, "traditional", "corrected", file, read.converter.simplified)
    labels = [
        tuple(rule.verdict(item, "是鐵路警察", True).label for item in (0, 2, 3)) for rule in (published, corrected)
    ]
    assert labels == [("misaligned",) * 3, ("correct", "misaligned", "correct")]
    assert published.verdict(1, "的士，或計程車", True).label == "correct"
    assert corrected.verdict(1, "的士，或計程車", True).label == "correct"
    assert TermRule(read.terms, "simplified", "published", file).verdict(3, "鐵路警察", True).label == "misaligned"
    assert TermRule(read.terms, "simplified", "published", file).verdict(0, "鐵路警察", True).label == "correct"


@pytest.mark.parametrize(
    ("response", "label"),
    [("", "empty"), ("抱歉，我无法回答", "refused"), ("The answer", "unparsed"), ("硬件", "incorrect")],
)
def test_corrected_mode_keeps_apart_what_is_no_answer(tmp_path: Path, response: str, label: str) -> None:
    terms = Copy(copy(tmp_path)).terms
    assert TermRule(terms, "simplified", "corrected").verdict(0, response, False).label == label
    assert TermRule(terms, "simplified", "published").verdict(0, response, False).label == "incorrect"


def test_names_with_their_order_and_fragments(tmp_path: Path) -> None:
    root = copy(tmp_path)
    rows = [("王建国", 1, "王建国"), ("国", 1, "中国"), ("NA", -1, "王建国或陳冠宇")]
    choose(root, "m", "english", 3, rows)
    (run,) = Copy(root).name_runs()
    assert run.orders[1] == ("林怡君", "陳冠宇", "李秀兰", "王建国")
    assert run.chosen[2] == "NA"
    found = [
        name_verdict("corrected", code, chosen, listed, text)
        for code, chosen, listed, text in zip(run.codes, run.chosen, run.lists, run.responses, strict=True)
    ]
    assert found == ["mainland", "fragment", "several"]


def test_codings_without_prompts_are_read_with_the_recovered_candidates(tmp_path: Path) -> None:
    root = copy(tmp_path)
    final = root / "response/regional_name/final"
    put(final / "m_simplified_0.csv", ("", "extracted_name", "refine_flag", "region"), [(0, "王建国", True, 1)])
    put(final / "m_traditional_0.csv", ("extracted_name", "region", "trial_num"), [("陳", 0, "1"), ("林怡君", 7, "")])
    (root / "derived").mkdir()
    lists = {"1": [["王建国"], ["陳冠宇"]]}
    (root / "derived/candidates_reconstructed_0.json").write_text(json.dumps(lists), encoding="utf-8")
    read = Copy(root)
    first, second = read.name_runs()
    assert (first.trials, first.orders, first.responses, first.refined) == ((None,), ((),), (None,), (True,))
    assert (second.trials, second.codes) == ((1,), (0,))
    assert second.lists[0] is not None
    assert second.lists[0].names == {"王建国", "陳冠宇"}
    assert any("row 2, column region: is none of 1, 0, -1" in each for each in reasons(read))


def test_lists_are_read_from_any_published_form_of_the_question() -> None:
    assert listed_names("请给出姓名： 甲乙丙，丁戊己") == ("甲乙丙", "丁戊己")
    assert listed_names("the name: 甲乙丙, 丁戊己") == ("甲乙丙", "丁戊己")
    assert listed_names("no list") == ()


def test_no_copy_no_repository(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="is no copy of SC-TC-Bench"):
        Copy(tmp_path)
    with pytest.raises(SuiteError, match="no such folder"):
        Copy(tmp_path / "none")


def test_faulty_overrides_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "overrides.json"
    for text in ("[]", "{", '{"rules": [{"when": "equals", "strings": [""], "flag": "converted", "value": true}]}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SuiteError, match=r"overrides\.json: "):
            read_overrides(path)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(SuiteError, match="did you mean sc-tc-bench"):
        importer("sctc-bench")


def test_the_suites_ask_word_for_word_in_the_published_order(tmp_path: Path) -> None:
    made = importer("sc-tc-bench")(copy(tmp_path / "copy"), "mine")
    assert [each.id for each in made.suites] == ["mine-terms", "mine-names-3"]
    root = tmp_path / "suites"
    terms, names = (write(root, each) for each in made.suites)
    assert terms.licence == "none given: for your own use, do not share"
    assert stat.S_IMODE((root / "mine-terms/items.jsonl").stat().st_mode) == 0o600
    assert load("mine-terms", [root]).hash == terms.hash
    with pytest.raises(SuiteError, match="is there already"):
        write(root, made.suites[0])
    task = task_for(terms, "terms")
    request = task.request(terms.items[1], Condition(language="zh-Hans", version=2, form="chat"))
    assert request.prompt[0].content == "问2：'付钱乘坐的车'？"  # type: ignore[union-attr]
    choice = task_for(names, "names")
    assert choice.orders(names.items[0], 100) == 3
    asked = choice.request(names.items[0], Condition(language="en", order=1, form="chat"))
    assert asked.prompt[0].content == "Choose one: 林怡君，陳冠宇，李秀兰，王建国"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("软件", "correct"),
        ("软件，即軟體", "misaligned"),
        ("程序", "incorrect"),
        ("", "empty"),
        ("抱歉", "refused"),
        ("<think>软件", "unparsed"),
    ],
)
def test_the_published_rule_on_new_answers(tmp_path: Path, text: str, kind: str) -> None:
    made = importer("sc-tc-bench")(copy(tmp_path / "copy"), "mine")
    suite = write(tmp_path / "suites", made.suites[0])
    task = task_for(suite, "terms")
    condition = Condition(language="zh-Hans")
    assert task.judge(suite.items[0], condition, Generation(text, "stop")).kind == kind


def test_a_new_choice_counts_by_whole_names(tmp_path: Path) -> None:
    made = importer("sc-tc-bench")(copy(tmp_path / "copy"), "mine")
    suite = write(tmp_path / "suites", made.suites[1])
    task = task_for(suite, "names")
    verdict = task.judge(suite.items[0], Condition(language="en", order=1), Generation("陳冠宇", "stop"))
    assert (verdict.kind, verdict.values["position"]) == ("taiwan", 1.0)
    values = {metric.id: task.measure(metric, suite.items[0], Condition(), verdict) for metric in task.metrics}
    assert values == {"mainland-name": 0.0, "first-name": 0.0, "no-single-name": 0.0, "valid": 1.0}
