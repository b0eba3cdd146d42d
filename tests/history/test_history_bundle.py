"""An audit goes to another history and is the same there; what is not what it says is refused."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted

from engines.base import Generation
from suites.base import Verdict
from workbench.history import History, HistoryError, importing
from workbench.history.bundle import MANIFEST, MEMBERS, write_bundle
from workbench.history.importing import Change, look, opened
from workbench.history.votes import Vote

Members = dict[str, bytes]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[History]:
    """A second home."""
    with History.open(tmp_path / "other" / "history.db", wait=0.05) as history:
        yield history


def written(history: History, audit: str) -> tuple[str, str]:
    """The trials of the first written answer of each model."""
    found: dict[str, str] = {}
    for row in history.rows(audit):
        if isinstance(row.answer, Generation):
            found.setdefault(row.trial.model, row.trial.id)
    return found["ada"], found["bo"]


@pytest.fixture
def full(history: History, recorder: Any) -> str:
    """An audit with everything: a note, verdicts that were changed, votes."""
    audit: str = recorder.complete(history, "with a note ‮", lambda place: "甲\x00\x1b[2J\ud800" + str(place))
    first = next(history.rows(audit))
    history.replace_verdicts(audit, [(first.trial.id, Verdict("error", margin=float("inf"), values={"x": 0.1}))])
    a, b = written(history, audit)
    history.add_annotator(audit, "lin", "grew up in 台南")
    history.add_vote(audit, Vote(annotator="lin", a=a, b=b, choice="b", flipped=True, reasons=("tone",), rewrite="好"))
    history.add_vote(audit, Vote(annotator="mo", a=a, b=b, choice="tie", flipped=False))
    return audit


@pytest.fixture
def bundle(history: History, full: str, tmp_path: Path) -> Path:
    """Its bundle."""
    target = tmp_path / "audit.zip"
    write_bundle(history, full, target)
    return target


def take(history: History, path: Path) -> Change:
    """Import, as the command does."""
    with opened(path) as bundle:
        with history.snapshot() as connection:
            change = look(connection, bundle)
        if not change.nothing:
            history.take_in(bundle, change)
    return change


def contents(history: History, audit: str) -> dict[str, Any]:
    """All that can be read of an audit."""
    rows = list(history.rows(audit))
    return {
        "row": history.audit(audit),
        "plan": history.plan(audit),
        "suites": history.suites(audit),
        "details": history.details(audit),
        "rows": rows,
        "versions": [history.verdict_versions(audit, row.trial.id) for row in rows],
        "findings": history.findings(audit),
        "cards": history.cards(audit),
        "noise": history.noise(audit),
        "canary": history.canary(audit),
        "done": history.done_by_model(audit),
        "annotators": history.annotators(audit),
        "votes": history.votes(audit),
        "found": history.search("甲", audit=audit),
        "asked": history.search("zh", audit=audit),
        "verify": history.verify(audit),
    }


def unpacked(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: Members, *, sealed: bool = True) -> Path:
    """Write members; `sealed`: with a manifest that says what they are, as a forger would."""
    if sealed:
        manifest = json.loads(members[MANIFEST])
        for name, data in members.items():
            if name in MEMBERS:
                manifest["members"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        members = {**members, MANIFEST: json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_an_audit_is_the_same_in_another_home(
    history: History, other: History, full: str, bundle: Path, tmp_path: Path
) -> None:
    assert bundle.stat().st_mode & 0o777 == 0o600
    change = take(other, bundle)
    assert change.new
    assert "24 answers" in change.lines[0]
    assert change.lines[-1] == "votes are added: 1 by lin, 1 by mo"
    assert contents(other, full) == contents(history, full)
    assert other.verify(full) == []
    again = tmp_path / "again.zip"
    write_bundle(other, full, again)
    assert again.read_bytes() == bundle.read_bytes()


def test_a_second_import_has_nothing_to_do(other: History, bundle: Path) -> None:
    take(other, bundle)
    change = take(other, bundle)
    assert change.nothing
    assert change.lines[-1] == "nothing to do"


def test_a_bundle_of_one_s_own_audit_has_nothing_to_do(history: History, bundle: Path) -> None:
    assert take(history, bundle).nothing


def test_a_colleague_s_votes_are_added(
    history: History, other: History, full: str, bundle: Path, tmp_path: Path
) -> None:
    take(other, bundle)
    a, b = written(other, full)
    other.add_annotator(full, "wu", "from Chengdu")
    other.add_vote(full, Vote(annotator="wu", a=a, b=b, choice="a", flipped=False))
    back = tmp_path / "back.zip"
    write_bundle(other, full, back)
    change = take(history, back)
    assert not change.new
    assert change.lines == (f"audit {full} is here already, and is the same", "votes are added: 1 by wu")
    assert [vote.annotator for vote in history.votes(full)] == ["lin", "mo", "wu"]
    assert history.annotators(full)[-1].background == "from Chengdu"


def test_another_note_or_background_stays_as_it_is_here(history: History, full: str, bundle: Path) -> None:
    history.set_note(full, "mine")
    history.add_annotator(full, "lin", "from here")
    change = take(history, bundle)
    assert change.nothing
    assert "its note differs; the one here stays" in change.lines
    assert "what lin says of themselves differs; what is here stays" in change.lines
    assert history.audit(full).note == "mine"


def test_the_same_audit_with_other_content_is_refused(history: History, full: str, bundle: Path) -> None:
    first = next(history.rows(full))
    history.replace_verdicts(full, [(first.trial.id, Verdict("correct"))])
    with pytest.raises(HistoryError, match=r"is here already and is not the same \(audit.json, answers.jsonl differ\)"):
        take(history, bundle)


def test_a_vote_that_differs_is_refused(history: History, full: str, bundle: Path) -> None:
    vote = history.votes(full, "mo")[0]
    history.drop_vote(full, vote)
    history.add_vote(full, Vote(annotator="mo", a=vote.a, b=vote.b, choice="a", flipped=False))
    with pytest.raises(HistoryError, match="mo has voted otherwise here"):
        take(history, bundle)


def test_what_changed_after_it_was_looked_at_is_not_overwritten(other: History, bundle: Path) -> None:
    with opened(bundle) as first:
        with other.snapshot() as connection:
            change = look(connection, first)
        take(other, bundle)
        with pytest.raises(HistoryError, match="has changed meanwhile"):
            other.take_in(first, change)


def test_a_paused_audit_can_be_taken_along_and_gone_on_with(
    history: History, other: History, recorder: Any, tmp_path: Path
) -> None:
    audit = recorder.begin(history)
    recorder.fill(history, audit, most=5)
    with pytest.raises(HistoryError, match="is running"):
        write_bundle(history, audit, tmp_path / "part.zip")
    history.set_status(audit, "paused", "stopped")
    write_bundle(history, audit, tmp_path / "part.zip")
    take(other, tmp_path / "part.zip")
    other.set_status(audit, "running")
    assert recorder.fill(other, audit) == 19
    other.set_status(audit, "complete")
    assert other.verify(audit) == []


def test_audits_that_share_suites_and_prompts_share_them_there(
    history: History, other: History, recorder: Any, tmp_path: Path
) -> None:
    recorder.complete(other)
    audit = recorder.complete(history)
    write_bundle(history, audit, tmp_path / "a.zip")
    take(other, tmp_path / "a.zip")
    with other.snapshot() as connection:
        assert connection.execute("SELECT count(*) FROM suites").fetchone() == (1,)
    assert all(other.verify(row.id) == [] for row in other.audits())
    other.delete_audit(audit)
    assert all(other.verify(row.id) == [] for row in other.audits())


def test_a_damaged_audit_is_not_passed_on(history: History, full: str, tmp_path: Path) -> None:
    with history._reading() as connection:
        connection.execute("UPDATE audit_models SET done = 3 WHERE position = 0")
    with pytest.raises(HistoryError, match="not as it was written"):
        write_bundle(history, full, tmp_path / "x.zip")
    assert not list(tmp_path.glob("*.zip"))
    assert not list(tmp_path.glob(".*.part"))


# -- strangers' files ------------------------------------------------------------------------------------------------


def edited(member: str, line: int, /, **values: Any) -> Callable[[Members], None]:
    """A change of one line of a member."""

    def edit(members: Members) -> None:
        lines = members[member].splitlines()
        lines[line] = json.dumps({**json.loads(lines[line]), **values}).encode()
        members[member] = b"\n".join(lines) + b"\n"

    return edit


def replaced(name: str, old: bytes, new: bytes) -> Callable[[Members], None]:
    def edit(members: Members) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)

    return edit


def shortened(members: Members) -> None:
    members["answers.jsonl"] = b"".join(members["answers.jsonl"].splitlines(True)[:-1])


def doubled(members: Members) -> None:
    lines = members["answers.jsonl"].splitlines(True)
    members["answers.jsonl"] = b"".join([lines[0], *lines])


def relisted(members: Members) -> None:
    members["votes.jsonl"] *= 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edited("answers.jsonl", 2, prompt="another"), "answer 3 has been changed: the chain breaks there"),
        (edited("answers.jsonl", 2, repeat=1), "answer 3 is to no question of the plan"),
        (edited("answers.jsonl", 2, form="shout"), "answer 3 is to no question of the plan"),
        (edited("answers.jsonl", 2, verdicts=[]), "answer 3 has no verdict"),
        (edited("answers.jsonl", 2, answer="{"), "answer 3 cannot be read"),
        (edited("answers.jsonl", 2, answer="[" * 100_000), "answer 3 cannot be read"),
        (edited("answers.jsonl", 2, extra=1), "answers.jsonl, line 3: Object contains unknown field"),
        (edited("answers.jsonl", 2, seconds="x"), "answers.jsonl, line 3: Expected `float`"),
        (edited("answers.jsonl", 2, at="\x1b[2J"), "answer 3 has no time"),
        (shortened, "answers are missing from the end"),
        (doubled, "answer 2 is a second one"),
        (edited("audit.json", 0, seed=1), "number of trials or seed"),
        (edited("audit.json", 0, total=10**30), "number of trials or seed"),
        (edited("audit.json", 0, plan="{}"), "the plan cannot be read"),
        (edited("audit.json", 0, name="../../x"), "does not say clearly which audit"),
        (edited("audit.json", 0, status="great"), "there is no status 'great'"),
        (edited("audit.json", 0, head="0" * 64), "is not the one that the audit recorded as its last"),
        (edited("audit.json", 0, rescored=2**70), "cannot be kept"),
        (edited("audit.json", 0, findings="{}"), "the findings cannot be read"),
        (replaced("audit.json", b"2024", b"2025"), "is not what its hash says"),
        (edited("items.jsonl", 1, data="{}"), "is not what its digest says"),
        (edited("items.jsonl", 1, suite=7), "is of no suite"),
        (edited("suites.jsonl", 0, title="another"), "is of another suite"),
        (edited("models.jsonl", 0, fingerprint="x"), "its models are not those of the plan"),
        (edited("models.jsonl", 0, card="[]"), "the card of model 'ada' cannot be read"),
        (edited("models.jsonl", 0, noise=None), "the noise of model 'ada' is incomplete"),
        (edited("votes.jsonl", 0, a="nowhere"), "votes on answers that are not there"),
        (edited("votes.jsonl", 0, choice="c"), "votes.jsonl, line 1: Invalid enum value"),
        (edited("votes.jsonl", 0, annotator="nobody"), "votes and annotators do not belong together"),
        (relisted, "two votes of one annotator"),
        (lambda members: members.update({"notes.json": b"{}\n{}\n"}), "notes.json, line 1"),
        (lambda members: members.update({"votes.jsonl": b"{}"}), "ends in the middle of a line"),
        (lambda members: members.update({"votes.jsonl": b"\xff\xfe\n"}), "votes.jsonl, line 1"),
        (lambda members: members.pop("notes.json"), "it is not complete: notes.json"),
        (lambda members: members.update({"../evil.py": b"x"}), "a bundle has no member '../evil.py'"),
        (lambda members: members.update({"/etc/passwd": b"x"}), "a bundle has no member"),
        (lambda members: _manifest(members, version=2), "it is of version 2"),
        (lambda members: _manifest(members, format="other"), "this is not an audit"),
        (lambda members: _manifest(members, answers=3), "answers are missing from the end"),
        (lambda members: _manifest(members, more=3), "its manifest cannot be read"),
        (lambda members: members.pop(MANIFEST), "no manifest.json"),
    ],
)
def test_a_bundle_that_does_not_hold_is_refused_in_one_line(
    other: History, bundle: Path, tmp_path: Path, change: Callable[[Members], object], said: str
) -> None:
    members = unpacked(bundle)
    change(members)
    forged = packed(tmp_path / "forged.zip", members, sealed=MANIFEST in members)
    with pytest.raises(HistoryError) as caught:
        take(other, forged)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert other.audits() == []


def _manifest(members: Members, **values: Any) -> None:
    members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), **values}).encode()


def test_a_member_that_is_not_what_the_manifest_says_is_refused(other: History, bundle: Path, tmp_path: Path) -> None:
    for name in MEMBERS:
        members = unpacked(bundle)
        members[name] = members[name].replace(b"a", b"b", 1)
        with pytest.raises(HistoryError, match=f"{name} is not what the manifest says: its SHA-256"):
            take(other, packed(tmp_path / "changed.zip", members, sealed=False))
        members[name] += b"\n"
        with pytest.raises(HistoryError, match=f"{name} is not what the manifest says: its size"):
            take(other, packed(tmp_path / "longer.zip", members, sealed=False))
    assert other.audits() == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(other: History, bundle: Path, tmp_path: Path) -> None:
    members = unpacked(bundle)
    members.pop("votes.jsonl")
    path = packed(tmp_path / "twice.zip", members, sealed=False)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.json", b"{}\n")
    with pytest.raises(HistoryError, match=r"notes\.json is in it 2 times"):
        take(other, path)


def test_sizes_are_looked_at_before_anything_is_unpacked(
    other: History, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("something was unpacked")

    members = unpacked(bundle)
    members["answers.jsonl"] = bytes(3_000_000)
    path = packed(tmp_path / "bomb.zip", members)
    monkeypatch.setattr(zipfile.ZipFile, "open", never)
    monkeypatch.setattr(importing, "LARGEST", 2_000_000)
    with pytest.raises(HistoryError, match="unpacked it would have more than"):
        take(other, path)
    members["answers.jsonl"], members["items.jsonl"] = b"", bytes(1_000_000)
    monkeypatch.undo()
    path = packed(tmp_path / "items.zip", members)
    monkeypatch.setattr(zipfile.ZipFile, "open", never)
    monkeypatch.setattr(importing, "LARGEST_HELD", 500_000)
    with pytest.raises(HistoryError, match="without the answers"):
        take(other, path)


def test_a_line_without_end_is_not_collected(
    other: History, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = unpacked(bundle)
    members["answers.jsonl"] = b" " * 5_000_000
    monkeypatch.setattr(importing, "LONGEST_LINE", 2_000_000)
    with pytest.raises(HistoryError, match="has a line of more than"):
        take(other, packed(tmp_path / "line.zip", members))


def test_a_list_of_members_that_is_a_bomb_is_not_read(other: History, tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2000):
            archive.writestr(str(number), b"")
    with pytest.raises(HistoryError, match="more members than a bundle may have"):
        take(other, path)


def test_files_that_are_no_bundles_are_refused(other: History, bundle: Path, tmp_path: Path) -> None:
    whole = bundle.read_bytes()
    for data, said in (
        (b"", "this is not a bundle"),
        (b"PK", "this is not a bundle"),
        (b"x" * 1000, "this is not a bundle"),
        (whole[: len(whole) // 2], "this is not a bundle"),
        (whole + b"x", "this is not a bundle"),
        (whole[:60] + bytes(200) + whole[260:], "cannot be unpacked|not a whole zip|not what the manifest says"),
    ):
        path = tmp_path / "no.zip"
        path.write_bytes(data)
        with pytest.raises(HistoryError, match=said):
            take(other, path)
    with pytest.raises(HistoryError, match="No such file"):
        take(other, tmp_path / "missing.zip")
    with pytest.raises(HistoryError, match="directory"):
        take(other, tmp_path)
    assert other.audits() == []


def test_an_audit_of_two_suites_and_several_wordings_goes_along(
    history: History, other: History, make_recorder: Callable[..., Any], tmp_path: Path
) -> None:
    recorder = make_recorder([scripted.terms(3), scripted.names(2)])
    audit = recorder.complete(history)
    write_bundle(history, audit, tmp_path / "two.zip")
    take(other, tmp_path / "two.zip")
    assert contents(other, audit) == contents(history, audit)
