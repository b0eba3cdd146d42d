"""`suites check`: what a reader of a pack should be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suites.check import Problem, check
from suites.check_items import PAIRWISE_LIMIT


def said(problems: list[Problem], level: str = "error") -> str:
    return "\n".join(str(problem) for problem in problems if problem.level == level)


def test_sound_packs_have_no_errors(term_pack: Any, name_pack: Any) -> None:
    for folder in (term_pack(), name_pack()):
        assert said(check(folder)) == ""


def test_all_faulty_lines_are_said_at_once(term_pack: Any, term_line: dict[str, Any]) -> None:
    folder = term_pack(items=[{**term_line, "id": "A"}, term_line, {**term_line, "id": "b", "colour": 1}])
    problems = check(folder)
    assert [(p.line, p.field) for p in problems if p.level == "error"] == [(1, "id"), (3, "colour")]
    assert str(problems[0]).startswith("error: items.jsonl, line 1, field id: ")


def test_a_folder_without_a_suite(tmp_path: Path) -> None:
    assert "suite.toml: is missing" in said(check(tmp_path))
    assert "no such folder" in said(check(tmp_path / "nowhere"))


def test_all_faults_of_a_manifest_are_said_at_once(term_pack: Any) -> None:
    folder = term_pack()
    path = folder / "suite.toml"
    text = path.read_text(encoding="utf-8").replace("max_tokens = 24", "max_tokens = 0")
    path.write_text(text.replace("“{definition}”叫作", "叫作", 1), encoding="utf-8")
    assert "tasks[1].max_tokens" in said(check(folder))
    assert "tasks[0].prompts[0].text" in said(check(folder))


@pytest.mark.parametrize(
    ("language", "text", "word"),
    [
        ("zh-Hans", "一种黄色的凤梨样水果", "凤梨"),
        ("zh-Hant", "像旺來的水果", "旺來"),
        ("en", "Called 菠萝 somewhere", "菠萝"),
    ],
)
def test_a_definition_that_gives_the_word_away(
    term_pack: Any, term_line: dict[str, Any], language: str, text: str, word: str
) -> None:
    term_line["definition"][language] = text
    problems = said(check(term_pack(items=[term_line])))
    assert f"line 1, field definition.{language}: contains '{word}'" in problems


def test_words_within_one_another_and_words_of_one_character(term_pack: Any, term_line: dict[str, Any]) -> None:
    term_line["terms"] = {
        "mainland": {"zh-Hans": "车", "zh-Hant": "車"},
        "taiwan": {"zh-Hans": "汽车", "zh-Hant": "汽車"},
    }
    warnings = said(check(term_pack(items=[term_line])), "warning")
    assert "'车' is a part of '汽车'" in warnings
    assert "'车' has one character" in warnings


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        (("terms", "mainland", "zh-Hans"), "菠蘿包", "terms.mainland.zh-Hans: holds 蘿, not written so in Simplified"),
        (("terms", "taiwan", "zh-Hant"), "凤梨酥", "terms.taiwan.zh-Hant: holds 凤, not written so in Traditional"),
        (("accepted", "taiwan", 0), "旺来", "accepted.taiwan: holds 来"),
        (("definition", "zh-Hant"), "一种水果", "definition.zh-Hant: holds 种"),
        (("definition", "zh-Hans"), "一種水果", "definition.zh-Hans: holds 種"),
    ],
)
def test_texts_in_the_wrong_script(
    term_pack: Any, term_line: dict[str, Any], path: tuple[Any, ...], text: str, says: str
) -> None:
    node: Any = term_line
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = text
    problems = check(term_pack(items=[term_line]))
    assert says in said(problems) + said(problems, "warning")


def test_characters_of_both_scripts_are_left_in_peace(term_pack: Any, term_line: dict[str, Any]) -> None:
    term_line["definition"]["zh-Hant"] = "皇后在公里外的干谷喝台灣米酒，只吃麵"
    problems = check(term_pack(items=[term_line]))
    assert "definition.zh-Hant" not in said(problems) + said(problems, "warning")


def test_twins(term_pack: Any, term_line: dict[str, Any]) -> None:
    twin = {**term_line, "id": "twin"}
    problems = check(term_pack(items=[term_line, twin]))
    assert "line 2, field terms: asks for the same two words as item fruit-pineapple" in said(problems)
    assert "line 2, field definition: says nearly the same" in said(problems, "warning")


def test_the_same_word_in_two_items(term_pack: Any, term_line: dict[str, Any]) -> None:
    other = {
        **term_line,
        "id": "other",
        "terms": {**term_line["terms"], "mainland": {"zh-Hans": "露兜", "zh-Hant": "露兜"}},
    }
    assert "the same taiwan word" in said(check(term_pack(items=[term_line, other])), "warning")


def test_very_large_suites_are_not_compared_pair_by_pair(term_pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suites.check_items.PAIRWISE_LIMIT", 2)
    assert PAIRWISE_LIMIT == 2000
    assert "near-duplicates were not looked for" in said(check(term_pack()), "warning")


def test_sources(term_pack: Any, term_line: dict[str, Any]) -> None:
    folder = term_pack(
        items=[{**term_line, "source": ["book", "film"]}], head='\n[[sources]]\nid = "old"\ntitle = "O"\n'
    )
    (folder / "SOURCES.md").unlink()
    problems = check(folder)
    assert "'film' is named by items but not defined" in said(problems)
    assert "'old' is defined but no item names it" in said(problems, "warning")
    assert "sources[1]: does not say where it can be looked up" in said(problems, "warning")
    assert "SOURCES.md: is missing" in said(problems, "warning")


def test_prompts_that_are_not_parallel(term_pack: Any) -> None:
    folder = term_pack()
    path = folder / "suite.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("用一個詞回答：", "請用一個詞回答："), encoding="utf-8")
    assert "tasks[1].prompts[1]: is not parallel" in said(check(folder), "warning")


def test_two_versions_with_the_same_words(term_pack: Any) -> None:
    folder = term_pack()
    path = folder / "suite.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    again = [
        line.replace("version = 1", "version = 2") for line in lines if "叫作" in line or "Chinese word for" in line
    ]
    place = next(number for number, line in enumerate(lines) if "Chinese word for" in line)
    path.write_text("\n".join([*lines[: place + 1], *again, *lines[place + 1 :]]), encoding="utf-8")
    assert "is the same as version 1" in said(check(folder))


def test_lists_that_lean(name_pack: Any) -> None:
    folder = name_pack(
        lists=[
            {"id": "a", "candidates": ["李建国", "王秀英", "林淑芬"]},
            {"id": "b", "candidates": ["李建国", "陳俊傑"]},
            {"id": "c", "candidates": ["陳俊傑", "李建国"]},
        ]
    )
    problems = check(folder)
    assert "line 1, field candidates: 2 Mainland and 1 Taiwan names" in said(problems)
    assert "line 2, field candidates: the regions’ names differ in gender" in said(problems)
    assert "line 3, field candidates: holds the same names as item b" in said(problems)
    assert "mainland names stand on 1 to 3 lists" in said(problems, "warning")
    assert "6 names stand on no list" in said(problems, "warning")


def test_names_in_the_wrong_script_and_marks_that_are_not_true(name_pack: Any) -> None:

    def person(name: str, region: str, marked: bool) -> dict[str, Any]:
        return {
            "name": name,
            "surname": name[0],
            "given": name[1:],
            "region": region,
            "gender": "female",
            "band": "top",
            "marked": marked,
            "source": ["book"],
        }

    pool = [person("陳秀英", "mainland", True), person("林淑芬", "taiwan", True)]
    problems = check(name_pack(pool=pool, lists=[{"id": "a", "candidates": ["陳秀英", "林淑芬"]}]))
    assert "candidates[0]: holds 陳" in said(problems)
    assert "'林淑芬' is not written otherwise in the other script, but `marked` says True" in said(problems, "warning")
