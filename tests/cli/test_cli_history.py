"""`history`: every command with and without --json."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from screen_lab import ScriptedCore
from scripted import Garage, Scripted, same

from suites.base import Verdict
from workbench import paths

Run = Callable[..., Result]
Refused = Callable[..., str]


def test_the_list_shows_every_audit_and_filters(audited: str, run: Run) -> None:
    (row,) = json.loads(run("history", "list", "--json").stdout)["audits"]
    assert (row["id"], row["status"], row["models"], row["note"]) == (audited, "complete", ["one", "two"], "first")
    table = run("history", "list").stdout
    assert audited in table
    assert "96/96" in table
    assert json.loads(run("history", "list", "first two", "--json").stdout)["audits"]
    assert json.loads(run("history", "list", "three", "--json").stdout) == {"audits": []}
    assert run("history", "list", "three").stdout == "No audits.\n"


def test_an_empty_history_is_no_error(run: Run) -> None:
    assert json.loads(run("history", "list", "--json").stdout) == {"audits": []}
    assert "No audits yet" in run("history", "list").stdout
    assert json.loads(run("history", "verify", "--json").stdout) == {"ok": True, "problems": {}}
    assert json.loads(run("history", "search", "nothing", "--json").stdout) == {"hits": []}


def test_show_prints_the_findings_as_the_audit_did(audited: str, run: Run) -> None:
    told = json.loads(run("history", "show", audited[:6], "--json").stdout)
    assert told["audit"] == audited
    assert len(told["findings"]) > 4
    shown = run("history", "show", audited).stdout
    assert shown.startswith(f"Audit {audited} ")
    assert "95 % interval" in shown


def test_show_items_prints_every_answer_with_its_verdict(audited: str, run: Run) -> None:
    told = json.loads(run("history", "show", audited, "--items", "--json").stdout)
    assert told["audit"] == audited
    assert len(told["answers"]) == 96
    assert {"prompt", "answer", "verdict", "item"} <= set(told["answers"][0])
    shown = run("history", "show", audited, "--items").stdout
    assert shown.count("  asked: ") == 96
    assert shown.count("  wrote: ") == 48


def test_search_finds_prompts_and_answers(audited: str, run: Run) -> None:
    hits = json.loads(run("history", "search", "繁", "--audit", audited, "--json").stdout)["hits"]
    assert {hit["audit"] for hit in hits} == {audited}
    assert {hit["model"] for hit in hits} == {"two"}
    done = run("history", "search", "繁")
    assert "繁" in done.stdout
    assert done.stderr == f"{len(hits)} found\n"


def test_what_a_model_wrote_reaches_a_terminal_as_escapes_only(core: ScriptedCore, run: Run) -> None:
    core.garage = Garage(one=lambda: Scripted("one", write=same("甲\x9b2J\u202e乙\x1b[2J")))
    audit = json.loads(run("audit", "one", "-s", "scripted-terms", "--json").stdout)["audit"]
    for command in (["search", "甲"], ["show", audit, "--items"], ["export", audit, "--format", "jsonl"]):
        for extra in ([], ["--json"]) if command[0] != "export" else ([],):
            told = run("history", *command, *extra).stdout
            assert not set(told) & {"\x9b", "\u202e", "\x1b"}
            assert "甲" in told
    (hit, *_) = json.loads(run("history", "search", "甲", "--json").stdout)["hits"]
    assert "乙" in hit["snippet"]


def test_compare_says_what_changed_between_two_audits(audited: str, run: Run) -> None:
    second = json.loads(run("history", "rerun", audited, "--json").stdout)["audit"]
    told = json.loads(run("history", "compare", audited, second, "--json").stdout)
    assert (told["a"], told["b"]) == (audited, second)
    assert told["changes"]
    assert {change["difference"] for change in told["changes"]} == {0}
    shown = run("history", "compare", audited, second).stdout
    assert "before" in shown
    assert told["summary"][0] in shown


@pytest.mark.parametrize("form", ["csv", "jsonl", "json", "md"])
def test_an_export_is_the_same_on_standard_output_and_in_a_file(
    form: str, audited: str, run: Run, tmp_path: Path
) -> None:
    target = tmp_path / f"audit.{form}"
    # As bytes: the lines of a CSV end as the format has it.
    shown = run("history", "export", audited, "--format", form).stdout_bytes.decode()
    done = run("history", "export", audited, "--format", form, "-o", str(target))
    assert done.stdout == ""
    assert target.read_bytes().decode() == shown
    assert target.stat().st_mode & 0o777 == 0o600
    if form == "csv":
        assert len(list(csv.DictReader(io.StringIO(shown.removeprefix("\ufeff"))))) == 96
    if form == "jsonl":
        assert len([json.loads(line) for line in shown.splitlines()]) == 96
    if form == "json":
        assert json.loads(shown)["audit"] == audited


def test_an_export_overwrites_only_by_force(audited: str, run: Run, refused: Refused, tmp_path: Path) -> None:
    target = tmp_path / "audit.md"
    target.write_text("mine")
    assert "--force" in refused("history", "export", audited, "-o", str(target))
    assert target.read_text() == "mine"
    run("history", "export", audited, "-o", str(target), "--force")
    assert audited in target.read_text()


def test_an_export_to_a_folder_that_is_not_there_is_refused(audited: str, refused: Refused, tmp_path: Path) -> None:
    assert "nowhere" in refused("history", "export", audited, "-o", str(tmp_path / "nowhere" / "audit.md"))


def test_rerun_asks_the_same_plan_anew(audited: str, run: Run, core: ScriptedCore) -> None:
    done = run("history", "rerun", audited, "--json")
    told, before = json.loads(done.stdout), json.loads(run("history", "show", audited, "--json").stdout)
    assert told["audit"] != audited
    assert told["findings"] == before["findings"]
    assert told["note"] == f"rerun of {audited}"
    with core.history() as history:
        assert history.plan(told["audit"]) == history.plan(audited)
    assert "95 % interval" in run("history", "rerun", audited, "--note", "again").stdout


def test_rescore_judges_again_and_says_how_much_changed(audited: str, run: Run, core: ScriptedCore) -> None:
    assert json.loads(run("history", "rescore", audited, "--json").stdout) == {"audit": audited, "changed": 0}
    with core.history(readonly=False) as history:
        row = next(row for row in history.rows(audited) if row.trial.task == "answer")
        history.replace_verdicts(audited, [(row.trial.id, Verdict("refused", reason="by an older rule"))])
    assert json.loads(run("history", "rescore", audited, "--json").stdout) == {"audit": audited, "changed": 1}
    assert run("history", "rescore", audited).stderr == f"Audit {audited}: 0 verdict(s) changed\n"


def test_verify_finds_a_changed_answer(audited: str, run: Run) -> None:
    assert json.loads(run("history", "verify", audited, "--json").stdout) == {"ok": True, "problems": {audited: []}}
    assert "1 audit(s) verified, 0 problem(s)" in run("history", "verify").stderr
    connection = sqlite3.connect(paths.history_path())
    connection.execute("DROP TRIGGER answers_are_kept")
    connection.execute("UPDATE answers SET answer = replace(answer, '简', '繁') WHERE seq = 40")
    connection.commit()
    connection.close()
    done = run("history", "verify", "--json", rc=1)
    told = json.loads(done.stdout)
    assert not told["ok"]
    assert told["problems"][audited]
    assert run("history", "verify", audited, rc=1).stdout.startswith(f"{audited}: ")


def test_a_note_stays_with_the_audit(audited: str, run: Run) -> None:
    assert run("history", "note", audited[:5], "備註 ‎\x1b[31mred").stdout == ""
    (row,) = json.loads(run("history", "list", "--json").stdout)["audits"]
    assert row["note"].startswith("備註")
    assert "\x1b" not in run("history", "list").stdout


def test_delete_asks_before_it_deletes(audited: str, run: Run) -> None:
    assert "96 answers" in run("history", "delete", audited, input="n\n", rc=1).stderr
    assert json.loads(run("history", "list", "--json").stdout)["audits"]
    run("history", "delete", audited, rc=1)  # nobody answers
    assert f"{audited} is deleted" in run("history", "delete", audited, input="y\n").stderr
    assert json.loads(run("history", "list", "--json").stdout) == {"audits": []}


def test_delete_with_yes_does_not_ask(audited: str, run: Run) -> None:
    assert run("history", "delete", audited, "--yes").stderr == f"Audit {audited} is deleted\n"


@pytest.mark.parametrize(
    "command", ["show", "export", "rerun", "rescore", "verify", "delete", "compare", "note", "resume"]
)
def test_an_unknown_audit_is_refused_with_the_nearest(command: str, audited: str, refused: Refused) -> None:
    wrong = audited[:-1] + ("0" if audited[-1] != "0" else "1")
    extra = {"compare": [audited], "note": ["text"]}.get(command, [])
    line = ["audit", "--resume", wrong] if command == "resume" else ["history", command, wrong, *extra]
    told = refused(*line)
    assert wrong in told
    assert audited in told


def test_an_audit_goes_to_another_home_and_back(
    audited: str, run: Run, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "audit.zip"
    run("vote", audited, "--annotator", "ada", input="a t b")
    assert "a bundle is a file" in refused("history", "export", audited, "--format", "bundle")
    done = run("history", "export", audited, "--format", "bundle", "-o", str(target))
    assert done.stderr == f"Audit {audited} is in {target}\n"
    assert "is there already" in refused("history", "export", audited, "--format", "bundle", "-o", str(target))
    before = json.loads(run("history", "export", audited, "--format", "json").stdout)
    again = run("history", "import", str(target))
    assert again.stderr == f"audit {audited} is here already, and is the same\nnothing to do\n"
    monkeypatch.setenv("CULTURE_WORKBENCH_HOME", str(tmp_path / "elsewhere"))
    asked = run("history", "import", str(target), input="n\n", rc=1)
    assert "96 answers" in asked.stderr
    assert "votes are added: 3 by ada" in asked.stderr
    assert json.loads(run("history", "list", "--json").stdout) == {"audits": []}
    assert f"Audit {audited} is in the history" in run("history", "import", str(target), input="y\n").stderr
    assert json.loads(run("history", "export", audited, "--format", "json").stdout) == before
    assert json.loads(run("history", "verify", "--json").stdout)["ok"]
    back = tmp_path / "back.zip"
    run("vote", audited, "--annotator", "bo", input="b")
    run("history", "export", audited, "--format", "bundle", "-o", str(back))
    monkeypatch.setenv("CULTURE_WORKBENCH_HOME", str(tmp_path / "home"))
    assert "votes are added: 1 by bo" in run("history", "import", str(back), "--yes").stderr
    told = json.loads(run("vote", "results", audited, "--json").stdout)
    assert [one["name"] for one in told["annotators"]] == ["ada", "bo"]
    (tmp_path / "bad.zip").write_bytes(back.read_bytes()[:-1])
    assert refused("history", "import", str(tmp_path / "bad.zip"), "--yes").startswith("bad.zip: this is not a bundle")
