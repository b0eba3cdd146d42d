"""`label`: keyboard only, blind, resumable, several labellers; agreement of people and rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import questions
from screen_lab import ScriptedCore
from scripted import Garage, Lab, Scripted, model

from workbench import paths
from workbench.audits.build import build_plan
from workbench.audits.labelling import Desk, agreements
from workbench.history import History, HistoryError

Run = Callable[..., Any]
NAMES = ("alpha", "beta")


@pytest.fixture
def audit(home: Path) -> str:
    """A finished audit of two models in the user's history: one writes letters, the other refuses."""
    suite = questions.everyday(4, tasks=("written",), orders=1, languages=("en",))
    plan = build_plan([model(name, template=True) for name in NAMES], [suite])
    lab = Lab(home)
    lab.path = paths.history_path()
    makers = {
        "alpha": lambda: Scripted("alpha", write=questions.writes_first),
        "beta": lambda: Scripted("beta", write=questions.refuses),
    }
    return lab.complete(plan, [suite], Garage(**makers))


def labels(audit: str) -> list[tuple[str, str]]:
    with History.open(paths.history_path(), readonly=True) as history:
        return [(row.labeller, row.label) for row in history.labels(audit)]


def keys(audit: str) -> list[str]:
    """For each answer, in the labellers' order, the key that a careful reader would press."""
    with History.open(paths.history_path(), readonly=True) as history:
        desk = Desk(history, audit)
        found = []
        for trial in desk.trials:
            sheet = desk.sheet(trial)
            refused = "sorry" in sheet.answer
            wanted = (
                "a refusal" if refused else next(line[3:] for line in sheet.prompt.splitlines() if line[:3] == "A. ")
            )
            found.append("123456"[[choice.text for choice in sheet.choices].index(wanted)])
    return found


def test_one_key_an_answer_and_no_word_of_the_model(run: Run, audit: str) -> None:
    pressed = keys(audit)
    done = run("label", audit, "--as", "ann", "--json", input="\n".join(pressed) + "\n")
    assert len(labels(audit)) == 8
    assert not any(name in done.stderr for name in NAMES)
    assert "correct" not in done.stderr
    (found,) = json.loads(done.stdout)["agreement"]
    assert found["rule_kappa"]["estimate"] == 1.0
    assert (found["rule_accuracy"]["estimate"], found["rule_accuracy"]["n"]) == (1.0, 8)
    assert (found["alpha"], found["labellers"]) == (None, ["ann"])


def test_it_goes_on_where_it_stopped(run: Run, audit: str) -> None:
    pressed = keys(audit)
    run("label", audit, "--as", "ann", input=f"{pressed[0]}\n{pressed[1]}\nq\n")
    assert len(labels(audit)) == 2
    again = run("label", audit, "--as", "ann", "--limit", "3", input="\n".join(pressed[2:]) + "\n")
    assert "2 of 8 written answers are labelled by ann" in again.stderr
    assert len(labels(audit)) == 5
    # The end of the input is the end of the sitting.
    run("label", audit, "--as", "ann", input="")
    assert len(labels(audit)) == 5


def test_skip_take_back_and_other_keys(run: Run, audit: str) -> None:
    said = run("label", audit, input="x\ns\n1\nz\n2\nq\n")
    assert "No such key" in said.stderr
    assert len(labels(audit)) == 1
    assert "1 labelled, 7 left" in said.stderr


def test_several_people_and_their_agreement(run: Run, audit: str) -> None:
    pressed = keys(audit)
    run("label", audit, "--as", "ann", input="\n".join(pressed) + "\n")
    # The second one takes a refusal for nothing, once.
    place = pressed.index("5")
    other = [*pressed[:place], "6", *pressed[place + 1 :]]
    run("label", audit, "--as", "bo", input="\n".join(other) + "\n")
    with History.open(paths.history_path(), readonly=True) as history:
        (found,) = agreements(history, audit)
    assert found.labellers == ("ann", "bo")
    ((one, two, kappa),) = found.people
    assert (one, two) == ("ann", "bo")
    assert kappa.estimate is not None
    assert 0.7 < kappa.estimate < 1.0
    assert found.alpha is not None
    assert 0.7 < found.alpha < 1.0
    # Where the two do not agree there is no majority, so the rule is not measured there.
    assert found.rule_accuracy.n == 7
    shown = run("label", audit, "--agreement").stdout
    assert "rule – people" in shown
    assert "ann – bo" in shown


def test_labels_stand_beside_the_findings_and_leave_the_chain_alone(core: ScriptedCore, run: Run, audit: str) -> None:
    assert "people's labels" not in run("history", "show", audit).stdout
    run("label", audit, input="1\nq\n")
    assert "How far the rules agree with people's labels" in run("history", "show", audit).stdout
    with History.open(paths.history_path()) as history:
        assert history.verify(audit) == []
        with pytest.raises(HistoryError, match="has no answer to the trial"):
            history.add_label(audit, "nothing", "ann", "a")
        history.delete_audit(audit)
        with history._reading() as connection:
            assert connection.execute("SELECT count(*) FROM labels").fetchone() == (0,)


def test_what_cannot_be_labelled_is_refused_in_one_line(refused: Run, run: Run, home: Path) -> None:
    suite = questions.everyday(4, tasks=("choice",), orders=1, languages=("en",))
    lab = Lab(home)
    lab.path = paths.history_path()
    scored = lab.complete(build_plan([model("alpha")], [suite]), [suite], Garage())
    said = run("label", scored, rc=2, input="1\n").stderr
    assert "has no written answer" in said
    assert "--as" in refused("label", scored, "--as", "\x1b[31m", input="")
