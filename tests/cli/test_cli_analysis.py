"""`history show --analysis`: tables, JSON, tokens and counts; and the report that carries the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]
Refused = Callable[..., str]


def test_the_analysis_as_tables_and_as_json(audited: str, run: Run) -> None:
    shown = run("history", "show", audited, "--analysis").stdout
    assert "Correct, misaligned and incorrect words (n counts concepts)" in shown
    assert "The word or the characters?" in shown
    told = json.loads(run("history", "show", audited, "--analysis", "--json").stdout)
    sections = {section["id"]: section for section in told["sections"]}
    assert {"term-outcomes", "script-gap", "region-by-script", "script-drift"} <= set(sections)
    line = sections["term-outcomes"]["lines"][0]
    assert (line["model"], line["language"]) == ("one", "zh-Hans")
    correct = next(figure for figure in line["figures"] if figure["what"] == "correct")
    assert (correct["estimate"], correct["published"], correct["n"], correct["n_published"]) == (1.0, 1.0, 6, 6)


def test_tokens_are_counted_by_the_audits_own_models(audited: str, run: Run) -> None:
    done = run("history", "show", audited, "--analysis", "--tokens", "--json")
    sections = {section["id"]: section for section in json.loads(done.stdout)["sections"]}
    assert {line["model"] for line in sections["tokens"]["lines"]} == {"one", "two"}
    assert "one: counting tokens" in done.stderr


def test_counts_come_from_a_file(audited: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "news.csv"
    lines = [f"term-{place:04d},{10 * (place + 1)},{place + 2}" for place in range(6)]
    file.write_text("\n".join(["item,mainland,taiwan", *lines]), encoding="utf-8")
    told = json.loads(run("history", "show", audited, "--analysis", "--counts", str(file), "--json").stdout)
    corpus = next(section for section in told["sections"] if section["id"] == "corpus")
    assert corpus["lines"][0]["group"] == "news"
    assert corpus["lines"][0]["figures"][0]["n"] == 6


def test_what_is_wrong_with_counts_is_said_in_one_line(audited: str, refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "news.csv"
    for text, said in (
        ("item,mainland\na,1", "missing: taiwan"),
        ("item,mainland,taiwan\na,1,many", "line 2, column taiwan: 'many' is no count"),
        ("item,mainland,taiwan\na,1", "column taiwan: None is no count"),
        ("item,mainland,taiwan\na,-1,1", "column mainland: '-1' is no count"),
    ):
        file.write_text(text, encoding="utf-8")
        assert said in refused("history", "show", audited, "--analysis", "--counts", str(file))
    file.write_bytes(b"item,mainland,taiwan\n\xff,1,2")
    assert "not UTF-8" in refused("history", "show", audited, "--analysis", "--counts", str(file))


def test_options_that_do_not_go_together(audited: str, refused: Refused) -> None:
    assert "belong to --analysis" in refused("history", "show", audited, "--tokens")
    assert "leave out --items" in refused("history", "show", audited, "--analysis", "--items")


def test_the_report_carries_the_analysis(audited: str, run: Run) -> None:
    report = run("history", "export", audited, "--format", "md").stdout
    assert "## Simplified and Traditional" in report
    assert "### The word or the characters?" in report
