"""`vote`: keys from a pipe and from a terminal, results, exports, and what is refused."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from scripted import Garage, Scripted, same

from workbench import paths
from workbench.history import History

Run = Callable[..., Result]
Refused = Callable[..., str]
ROOT = Path(__file__).parents[2]
TOTAL = 24
"""6 terms × 2 languages × 2 wordings."""


def test_votes_from_a_pipe_are_kept_and_gone_on_with(audited: str, run: Run) -> None:
    done = run("vote", audited, "--annotator", "ada", "--background", "from Tainan", input="a 1 b\nt q")
    assert done.stdout.count("── ") == 4, "three were voted on, the fourth was left"
    assert f"3 of {TOTAL} pairs have a vote; the same command goes on" in done.stderr
    assert "reason: wrong fact" in done.stderr
    assert "one" not in done.stdout, "no model is named while sides are hidden"
    with History.open(paths.history_path(), readonly=True) as history:
        votes = history.votes(audited)
        assert [vote.reasons for vote in votes] == [(), ("wrong fact",), ()]
        assert history.annotators(audited)[0].background == "from Tainan"
    again = run("vote", "cast", audited, input="t" * TOTAL)
    assert again.stdout.count("── ") == TOTAL - 3
    assert "A was" in again.stdout
    assert f"{TOTAL} of {TOTAL} pairs have a vote" in again.stderr
    assert "ada" in again.stderr, "who votes need not be said again while there is one annotator"


def test_rewrite_note_and_undo_from_a_pipe(audited: str, run: Run) -> None:
    keys = "w My own words, quite another\nn because\n2a u b"
    done = run("vote", audited, input=keys)
    assert "the last vote was taken back" in done.stderr
    with History.open(paths.history_path(), readonly=True) as history:
        (vote,) = history.votes(audited)
    assert (vote.rewrite, vote.note, vote.reasons) == ("My own words, quite another", "because", ("stereotype",))
    assert (vote.choice == "b") != vote.flipped, "undone and given again to the right, with all that was said of it"


def test_nothing_to_undo_and_unknown_keys_are_said(audited: str, run: Run) -> None:
    told = run("vote", audited, input="u ? 2 2 q").stderr
    assert "there is no vote to take back" in told
    assert "t tie" in told
    assert "not any more: stereotype" in told


def test_what_a_model_wrote_is_shown_as_text_only(core: object, run: Run) -> None:
    core.garage = Garage(  # type: ignore[attr-defined]
        one=lambda: Scripted("one", write=same("甲\x1b[2J[red]")), two=lambda: Scripted("two", write=same("乙\u202e丙"))
    )
    audit = json.loads(run("audit", "one", "two", "-s", "scripted-terms", "--json").stdout)["audit"]
    told = run("vote", audit, input="q").stdout
    assert not set(told) & {"\x1b", "\u202e"}
    assert "甲[red]" in told
    assert "乙丙" in told


def test_results_and_exports(audited: str, run: Run, tmp_path: Path) -> None:
    assert run("vote", "results", audited).stdout == "No votes yet.\n"
    run("vote", audited, "--annotator", "ada", input="a" * TOTAL)
    run("vote", audited, "--annotator", "bo", input="b" * TOTAL)
    told = json.loads(run("vote", "results", audited, "--json").stdout)
    assert (told["overall"]["a"] + told["overall"]["b"], told["shared"]) == (2 * TOTAL, TOTAL)
    assert (told["left"], told["right"]) == (TOTAL, TOTAL)
    assert [one["name"] for one in told["annotators"]] == ["ada", "bo"]
    shown = run("vote", "results", audited).stdout
    assert "all votes" in shown
    assert "annotator: bo" in shown
    for form in ("dpo", "llm-comparator"):
        target = tmp_path / form
        done = run("vote", "export", audited, "--format", form, "-o", str(target))
        assert done.stdout == ""
        assert target.read_text() == run("vote", "export", audited, "--format", form).stdout
        assert target.stat().st_mode & 0o777 == 0o600
    rows = [json.loads(line) for line in (tmp_path / "dpo").read_text().splitlines()]
    assert len(rows) == 2 * TOTAL
    assert {message["role"] for row in rows for message in row["prompt"]} == {"user"}


def test_what_cannot_be_voted_on_is_refused(audited: str, run: Run, refused: Refused, tmp_path: Path) -> None:
    assert "no audit 'ffffffff'" in refused("vote", "ffffffff")
    assert "has no model 'three'" in refused("vote", audited, "--models", "one,three")
    assert "two different models" in refused("vote", "results", audited, "--models", "one")
    scored = json.loads(run("audit", "one", "-s", "scripted-terms", "--json").stdout)["audit"]
    assert "one model only" in refused("vote", scored)
    (tmp_path / "there").write_text("mine")
    assert "is there already" in refused("vote", "export", audited, "--format", "dpo", "-o", str(tmp_path / "there"))
    run("vote", audited, "--annotator", "ada", input="a")
    run("vote", audited, "--annotator", "bo", input="a")
    assert "say who you are" in refused("vote", audited)
    assert "needs a name" in refused("vote", audited, "--annotator", "  ")
    assert "Commands:" in run("vote", "--help").stdout
    assert "--background" in run("vote", audited, "--help").stdout


@pytest.mark.timeout(120)
def test_single_keys_on_a_terminal(audited: str) -> None:
    """A real pseudo-terminal: no enter after a key."""
    ours, theirs = pty.openpty()
    code = "from workbench.cli import main; main(prog_name='culture-workbench')"
    child = subprocess.Popen(
        [sys.executable, "-c", code, "vote", audited], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT
    )
    os.close(theirs)
    said = b""
    for number, key in ((1, b"t"), (2, b"x"), (3, b"\x1b")):
        while f"{number} of {TOTAL} ──".encode() not in said:
            said += os.read(ours, 65536)
        # A key that comes before the terminal is in raw mode is thrown away.
        while termios.tcgetattr(ours)[3] & termios.ICANON:
            os.sched_yield()
        os.write(ours, key)
    assert child.wait() == 0
    os.close(ours)
    with History.open(paths.history_path(), readonly=True) as history:
        assert [vote.choice for vote in history.votes(audited)] == ["tie", "both bad"]
