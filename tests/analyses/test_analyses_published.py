"""Published responses as rows: with orders and lists, without, and with names that are not in the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sctc_copy import REPEATS, answer, choose, copy, real

from suites.importers.sctc.model import Name, NameList, NameRun, SurnameRow, SurnameRun, Term, TermRun
from workbench.analyses.sctc import Rows, analyse
from workbench.analyses.sctc.published import (
    People,
    count_rows,
    free_surnames,
    name_rows,
    published_rows,
    surname_rows,
    term_rows,
)
from workbench.cli import main

NAMES = (
    Name(name="王丽华", count=9, decile=0, region="mainland", gender="female"),
    Name(name="张建国", count=5, decile=1, region="mainland", gender="male"),
    Name(name="陳麗華", count=3, decile=0, region="taiwan", gender="female"),
    Name(name="林志明", count=1, decile=1, region="taiwan", gender="male"),
)
ALL = tuple(one.name for one in NAMES)
LIST = NameList(frozenset(ALL[:2]), frozenset(ALL[2:]))


def run(orders: tuple[tuple[str, ...], ...], lists: tuple[NameList | None, ...], chosen: tuple[str, ...]) -> NameRun:
    rows = len(chosen)
    return NameRun(
        model="m",
        language="english",
        set=2,
        file="f",
        trials=(0,) * rows,
        orders=orders,
        lists=lists,
        responses=(None,) * rows,
        chosen=chosen,
        refined=(None,) * rows,
        codes=(0,) * rows,
        expected=rows,
    )


def test_rows_of_terms_keep_their_concept() -> None:
    found = TermRun(
        model="qwen",
        language="simplified",
        version=1,
        file="f",
        items=(7, 8),
        repeats=(0, 0),
        prompts=("", ""),
        golds=("a", "b"),
        responses=("a", "c"),
        judged=(True, False),
        expected=1650,
    )
    rows = list(term_rows(found, ["correct", "misaligned"]))
    assert [(row.language, row.item, row.outcome) for row in rows] == [
        ("zh-Hans", "7", "correct"),
        ("zh-Hans", "8", "misaligned"),
    ]
    with pytest.raises(ValueError, match="zip"):
        list(term_rows(found, ["correct"]))


def test_places_only_where_the_order_is_known() -> None:
    people = People(NAMES)
    known, unknown, nothing = name_rows(
        run((ALL[::-1], (), ()), (LIST, LIST, None), ("陳麗華", "陳麗華", "育")),
        ["taiwan", "taiwan", "mainland"],
        people,
    )
    assert (known.place, known.order, known.set) == (1, 0, "2")
    assert (unknown.place, len(unknown.offered)) == (None, 4)
    assert nothing.offered == ()
    assert nothing.chosen is not None
    assert nothing.chosen.region == "mainland", "as published, a fragment counts as it was coded"
    assert analyse(Rows(names=(known, unknown, nothing))).section("name-choices") is not None


def test_what_is_no_region_is_no_choice() -> None:
    (row,) = name_rows(run((ALL,), (LIST,), ("NA",)), ["invalid"], People(NAMES))
    assert row.chosen is None


def test_lists_are_shared() -> None:
    first, second = name_rows(run((ALL, ALL), (LIST, LIST), ALL[:2]), ["mainland"] * 2, People(NAMES))
    assert first.offered is second.offered


class Copy:
    """Three tables of a copy."""

    def __init__(self, **tables: list[dict[str, str]]) -> None:
        self._tables = tables

    def records(self, path: str) -> list[dict[str, str]]:
        return self._tables.get(path.rsplit("/", 1)[-1].removesuffix(".csv"), [])


def test_surnames_come_in_pairs_whatever_the_order() -> None:
    rows = tuple(SurnameRow("丽华", surname, -1.0) for surname in ("王", "张", "张", "王"))
    copy = Copy(m=[{"name": "王丽华", "prob": "-2.5"}])
    found = list(
        surname_rows(
            SurnameRun(model="m", language="simplified", set=4, file="f", rows=rows),
            People(NAMES),
            free_surnames(copy, "m"),
        )
    )
    assert len({row.pair for row in found}) == 1
    assert [row.prompt for row in found] == ["0", "0", "1", "1"]
    assert [row.free for row in found] == [-2.5, None, None, -2.5]
    assert found[0].region == "mainland"


def test_counts_need_both_files() -> None:
    term = Term(
        id=3,
        mainland="软件",
        taiwan="軟體",
        mainland_converted="",
        taiwan_converted="",
        definition_simplified="",
        definition_traditional="",
        category="",
        definition_source="",
    )
    copy = Copy(
        mc_c4=[{"word": "软件", "count": "12"}],
        tw_c4=[{"word": "軟體", "count": "3.0"}],
        mc_ootc=[{"word": "", "count": "1"}],
    )
    (row,) = count_rows(copy, [term], ["c4", "ootc"])
    assert (row.corpus, row.item, row.mainland, row.taiwan) == ("c4", "3", 12.0, 3.0)


def small(root: Path) -> Path:
    """A copy with a term run and a name run of three rows: a name, a fragment and no choice."""
    copy(root)
    answer(root, "some-model", "traditional", 2, ["軟體", "計程車", "路警", "乘警"] * REPEATS, [1, 1, 1, 0] * REPEATS)
    choose(root, "some-model", "english", 3, [("王建国", 1, "王建国"), ("国", 1, "中国"), ("NA", -1, "抱歉")])
    return root


def test_a_copy_goes_through_the_same_analyses(tmp_path: Path) -> None:
    published, corrected = (analyse(published_rows(small(tmp_path), mode)) for mode in ("published", "corrected"))
    outcomes = published.section("term-outcomes")
    assert outcomes is not None
    correct = outcomes.lines[0].figure("correct")
    assert correct is not None
    assert (correct.published, correct.n, correct.n_published) == (0.75, 4, 12)
    valid = []
    for found in (published, corrected):
        section = found.section("name-choices")
        assert section is not None
        assert section.lines[0].group == "set 3"
        valid.append(section.lines[0].figure("valid"))
    assert [one.published for one in valid if one] == [pytest.approx(2 / 3), pytest.approx(1 / 3)], "the fragment"


def test_replay_shows_the_analysis(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["replay", "sc-tc-bench", str(small(tmp_path)), "--analysis", "--json"])
    assert done.exit_code == 0, done.output
    sections = {section["id"] for section in json.loads(done.stdout)["sections"]}
    assert {"term-outcomes", "name-choices", "name-position"} <= sections
    refused = CliRunner().invoke(
        main, ["replay", "sc-tc-bench", str(tmp_path), "--analysis", "--judge", "anything", "--json"]
    )
    assert refused.exit_code == 2
    assert "leave out --judge" in refused.stderr


def test_the_authors_files_give_their_own_counts() -> None:
    """Figures of the reference: gpt4o in Simplified takes the first of six names 3,457 times in 8,000."""
    rows = published_rows(real())
    kept = tuple(row for row in rows.names if (row.model, row.language, row.set) == ("gpt4o", "zh-Hans", "2"))
    found = analyse(Rows(names=kept))
    position, choices = found.section("name-position"), found.section("name-choices")
    assert position is not None
    assert choices is not None
    first, mainland = position.lines[0].figure("first place"), choices.lines[0].figure("Mainland name")
    assert first is not None
    assert mainland is not None
    assert round((first.published or 0) * 8000) == 3457
    assert round((mainland.published or 0) * 8000) == 6380
    assert (mainland.n, mainland.note[:13]) == (720, "one list only")
