"""Published responses scored again: made-up files always, the authors' own where they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sctc_copy import REPEATS, TERMS, answer, choose, copy, overrides, real

from suites.importers.sctc import convert
from workbench.cli import main
from workbench.replay.sctc import NameResult, TermResult, replay

ROWS = len(TERMS) * REPEATS
FIGURES = {
    ("qwen", "simplified"): (899, 12, 739),
    ("qwen", "traditional"): (219, 608, 823),
    ("breeze", "traditional"): (346, 240, 1064),
    ("ds", "simplified"): (1117, 75, 458),
    ("gpt4o", "traditional"): (359, 749, 542),
    ("llama3-8b", "traditional"): (184, 172, 1294),
}
NAMES = {
    ("qwen", "english", 2): (1261, 2587, 4152),
    ("taiwan-llm", "traditional", 3): (0, 1, 179),
    ("llama3-70b", "simplified", 2): (12, 194, 5),
    ("ds", "english", 3): (30, 127, 23),
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def small(root: Path) -> Path:
    """A copy with a term run and a name run."""
    copy(root)
    responses = ["軟體", "計程車", "鐵路警察", "鐵路警察"] * (REPEATS - 1) + ["", "抱歉", "出租車", "路警"]
    answer(root, "some-model", "traditional", 2, responses, [1, 1, 1, 1] * (REPEATS - 1) + [0, 0, 0, 1])
    choose(root, "some-model", "english", 3, [("王建国", 1, "王建国"), ("国", 1, "中国"), ("NA", -1, "抱歉")])
    return root


def test_published_and_corrected_counts_of_small_files(tmp_path: Path) -> None:
    from suites.importers.sctc.overrides import read_overrides

    found = replay(small(tmp_path), overrides=read_overrides(overrides(tmp_path)))
    term, names = found.rows["published"]
    assert isinstance(term, TermResult)
    assert (term.version, term.n, term.correct, term.misaligned, term.incorrect) == (2, 12, 5, 4, 3)
    assert isinstance(names, NameResult)
    assert (names.set, names.n, names.mainland, names.taiwan, names.invalid) == (3, 3, 2, 0, 1)
    term, names = found.rows["corrected"]
    assert isinstance(term, TermResult)
    assert (term.correct, term.misaligned, term.incorrect) == (7, 2, 1)
    assert term.unusable == {"refused": 1, "empty": 1}
    assert isinstance(names, NameResult)
    assert (names.mainland, names.taiwan, names.invalid) == (1, 0, 2)
    assert names.unusable == {"fragment": 1, "refused": 1}
    assert names.small


def test_the_json_has_the_rows_that_it_promises(tmp_path: Path) -> None:
    root = small(tmp_path)
    found = run("replay", "sc-tc-bench", root, "--mode", "published", "--overrides", overrides(tmp_path), "--json")
    assert found.exit_code == 0, found.output
    data = json.loads(found.stdout)
    assert data["mode"] == "published"
    term, names = data["rows"]
    wanted = {"task": "term", "model": "some-model", "language": "traditional", "version": 2, "n": 12}
    assert wanted.items() <= term.items()
    assert {"correct": 5, "misaligned": 4, "incorrect": 3}.items() <= term.items()
    assert {"task": "name", "set": 3, "n": 3, "mainland": 2, "taiwan": 0, "invalid": 1}.items() <= names.items()
    both = json.loads(run("replay", "sc-tc-bench", root, "--json").stdout)
    assert both["mode"] == "both"
    assert len(both["published"]) == len(both["corrected"]) == 2
    assert "fragment" in both["changes"][1]["why"]


def test_without_overrides_the_counts_are_called_so(tmp_path: Path) -> None:
    found = run("replay", "sc-tc-bench", small(tmp_path))
    assert found.exit_code == 0, found.output
    assert "WITHOUT the authors’ manual overrides" in found.stdout
    assert "→ correct" in found.stdout


def test_a_missing_converter_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(convert, "import_module", gone)
    found = run("replay", "sc-tc-bench", small(tmp_path))
    assert found.exit_code == 2
    assert "pip install" in found.stderr
    assert "chinese-converter" in found.stderr


def test_wrong_use_is_one_line(tmp_path: Path) -> None:
    for arguments in (("nowhere",), (str(tmp_path),), (str(copy(tmp_path / "copy")),), (str(tmp_path), "--limit", "3")):
        found = run("replay", "sc-tc-bench", *arguments)
        assert found.exit_code == 2
        assert len(found.stderr.strip().splitlines()) == 1


def test_import_says_what_it_made_and_left_out(tmp_path: Path) -> None:
    root = copy(tmp_path / "copy")
    (root / "prompt/regional_term/traditional_2.csv").unlink()
    found = run("suites", "import", "sc-tc-bench", root, "--json")
    assert found.exit_code == 0, found.output
    data = json.loads(found.stdout)
    assert [suite["id"] for suite in data["suites"]] == ["sc-tc-bench-terms", "sc-tc-bench-names-3"]
    assert any("not there in both languages" in drop["reason"] for drop in data["dropped"])
    listed = json.loads(run("suites", "list", "--json").stdout)["suites"]
    assert {"sc-tc-bench-terms", "sc-tc-bench-names-3"} <= {suite["id"] for suite in listed}
    assert run("suites", "import", "sc-tc-bench", root).exit_code == 2
    assert run("suites", "import", "sc-tc-bench", root, "--replace").exit_code == 0
    assert "did you mean sc-tc-bench" in run("suites", "import", "sctc-bench", root).stderr


@pytest.mark.timeout(600)
def test_every_cell_of_the_authors_own_table_and_their_codings() -> None:
    from suites.importers.sctc.overrides import read_overrides

    root = real()
    found = replay(root, ("published",), read_overrides(root / "derived/overrides.json"))
    assert found.check is not None
    assert (found.check.cells, found.check.equal) == (2420, 2420), found.check.first
    terms = {(r.model, r.language): r for r in found.rows["published"] if isinstance(r, TermResult)}
    for key, counts in FIGURES.items():
        row = terms[key]
        assert (row.correct, row.misaligned, row.incorrect) == counts, key
    names = {(r.model, r.language, r.set): r for r in found.rows["published"] if isinstance(r, NameResult)}
    for name, counts in NAMES.items():
        assert (names[name].mainland, names[name].taiwan, names[name].invalid) == counts, name
