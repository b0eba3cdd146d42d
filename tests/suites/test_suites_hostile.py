"""Packs that nobody has vouched for: refused or made harmless, each with one clear line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from suites import files
from suites.base import SuiteError
from suites.check import check
from suites.loader import available, load
from workbench.cli import main

HEAD = """kind = "suite"
id = "{id}"
version = "1.0"
title = "{title}"
languages = ["en"]
measures = "something"
method = "somehow"
citation = ""
licence = "CC0-1.0"
limits = "many"
item_kind = "everyday-question"

[[sources]]
id = "book"
title = "A book"
publisher = "A publisher"
address = "https://example.org"

[[tasks]]
id = "choice"
title = "Choice"
kind = "choice"
rule = "option-choice"
prompts = [{{ language = "en", version = 1, text = "{{question}}\\n{{options}}\\nAnswer:", lead = " " }}]
{more}
"""
CULTURE = {"id": "norland", "name": {"en": "Norland"}, "group": "north", "languages": [], "code": "NL"}
QUESTION: dict[str, Any] = {
    "id": "bread",
    "culture": "norland",
    "topic": "food",
    "question": {"en": "What is eaten in Norland at dawn?"},
    "options": [{"key": key, "text": {"en": f"dish number {key}"}} for key in "abcd"],
    "gold": ["b"],
    "source": ["book"],
    "note": "",
}
Write = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Write:
    """Write a small pack of questions, some of its files changed."""

    def write(
        items: Any = (QUESTION,), cultures: Any = (CULTURE,), name: str = "own", title: str = "Own", more: str = ""
    ) -> Path:
        folder = tmp_path / "packs" / name
        folder.mkdir(parents=True)
        (folder / "suite.toml").write_text(HEAD.format(id=name, title=title, more=more), encoding="utf-8")
        for file, rows in (("items.jsonl", items), ("cultures.jsonl", cultures)):
            raw = rows if isinstance(rows, bytes) else "".join(f"{json.dumps(row)}\n" for row in rows).encode()
            (folder / file).write_bytes(raw)
        (folder / "SOURCES.md").write_text("A book.\n", encoding="utf-8")
        return folder

    return write


def refused(folder: Path) -> str:
    """The one line with which a pack is refused."""
    with pytest.raises(SuiteError) as caught:
        load(folder)
    said = str(caught.value)
    assert said.isprintable(), said
    assert len(said) < 900
    # `suites check` says the same, and does not fall over either.
    assert any(problem.level == "error" for problem in check(folder))
    assert all(str(problem).isprintable() for problem in check(folder))
    return said


def changed(**fields: Any) -> list[dict[str, Any]]:
    return [{**QUESTION, **fields}]


def test_the_pack_itself_is_sound(pack: Write) -> None:
    suite = load(pack())
    assert suite.items[0].culture == "norland"
    assert suite.items[0].data["culture"]["name"] == {"en": "Norland"}


@pytest.mark.parametrize("name", ["items.jsonl", "cultures.jsonl", "suite.toml"])
def test_a_file_that_leads_out_of_the_folder(pack: Write, tmp_path: Path, name: str) -> None:
    folder = pack()
    secret = tmp_path / "secret"
    secret.write_text("a secret\n", encoding="utf-8")
    (folder / name).unlink()
    (folder / name).symlink_to(secret)
    said = refused(folder)
    assert said.endswith("is a link that leaves the suite's folder")
    assert "a secret" not in said


@pytest.mark.parametrize("name", ["../own", "/etc", "own/../../x", "..", "a\u202eb", "A"])
def test_an_id_that_is_a_path_or_no_name(pack: Write, name: str) -> None:
    folder = pack()
    text = (folder / "suite.toml").read_text(encoding="utf-8").replace('id = "own"', f'id = "{name}"', 1)
    (folder / "suite.toml").write_text(text, encoding="utf-8")
    assert ", field id: " in refused(folder)


@pytest.mark.parametrize("culture", ["../norland", "nor/land", "nowhere", "\x1b[31m"])
def test_a_culture_that_is_not_in_the_pack(pack: Write, culture: str) -> None:
    assert ", line 1, field culture: " in refused(pack(items=changed(culture=culture)))


def test_a_line_of_a_gigabyte_is_never_read(pack: Write) -> None:
    folder = pack()
    with (folder / "items.jsonl").open("r+b") as file:
        file.truncate(1 << 30)
    assert refused(folder).endswith(f"has {1 << 30:,} bytes; at most {files.FILE_LIMIT:,} are read")


def test_a_line_of_megabytes(pack: Write) -> None:
    said = refused(pack(items=b'{"id": "' + b"a" * (2 << 20) + b'"}\n'))
    assert said.endswith(f", line 1: is longer than {files.LINE_LIMIT:,} bytes")


@pytest.mark.parametrize("depth", [300, 100_000])
def test_deep_nesting(pack: Write, depth: int) -> None:
    nested = b'{"id": "a", "gold": ' + b"[" * depth + b"]" * depth + b"}\n"
    assert ", line 1" in refused(pack(items=nested))
    assert "suite.toml" in refused(pack(name="deep", more="deep = " + "[" * depth + "]" * depth))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "shift-jis", "utf-8-sig"])
def test_another_encoding(pack: Write, encoding: str) -> None:
    text = json.dumps({**QUESTION, "note": "ça" if encoding != "shift-jis" else "日本"}, ensure_ascii=False)
    said = refused(pack(items=text.encode(encoding) + b"\n"))
    assert "line 1" in said
    assert "UTF-8" in said or "is not JSON" in said


@pytest.mark.parametrize(
    "evil", ["\x1b[2J", "\x1b]0;owned\x07", "a\u202eb", "\x9b31m", "a\nb", "\ufeffa", "a\u2028b", "\U000e0041"]
)
def test_what_a_terminal_must_not_see_in_an_option(pack: Write, evil: str) -> None:
    options = [{"key": key, "text": {"en": f"dish {evil if key == 'c' else ''} {key}"}} for key in "abcd"]
    said = refused(pack(items=changed(options=options)))
    assert "field options[2].text.en: holds the character U+" in said
    assert evil not in said


def test_escapes_in_the_name_of_a_culture_and_in_a_title(pack: Write) -> None:
    said = refused(pack(cultures=[{**CULTURE, "name": {"en": "\x1b[31mNorland"}}]))
    assert "cultures.jsonl, line 1, field name.en: holds the character U+001B" in said
    assert "field title: holds the character U+001B" in refused(pack(name="red", title="\\u001b[31m red"))


@pytest.mark.parametrize("field", ["colour", "__class__", "\x1b[31m", "a" * 5000])
def test_an_unknown_field(pack: Write, field: str) -> None:
    said = refused(pack(items=[{**QUESTION, field: 1}]))
    assert said.endswith("is not a field of this schema")
    assert "\x1b" not in said


def test_a_field_that_stands_twice(pack: Write) -> None:
    text = json.dumps(QUESTION)[:-1] + ', "gold": ["a"]}\n'
    assert refused(pack(items=text.encode())).endswith("the field 'gold' stands twice")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"gold": ["e"]}, "'e' is the key of no option"),
        ({"gold": []}, "expected array of length >= 1"),
        ({"topic": "war"}, "Invalid enum value 'war'"),
        ({"question": {}}, "expected object of length >= 1"),
        ({"question": {"de": "Frage?"}}, "has no English text"),
        ({"question": {"en": "?", "x/y": "?"}}, "expected str of the form"),
        ({"source": "book"}, "expected array, got str"),
    ],
)
def test_items_out_of_form(pack: Write, fields: dict[str, Any], says: str) -> None:
    assert says in refused(pack(items=changed(**fields)))


def test_options_that_cannot_be_told_apart(pack: Write) -> None:
    options = [{"key": key, "text": {"en": "the same"}} for key in "abcd"]
    assert "holds 'the same' twice in en" in refused(pack(items=changed(options=options)))


def test_a_pipe_instead_of_a_file_holds_nobody_up(pack: Write) -> None:
    folder = pack()
    (folder / "cultures.jsonl").unlink()
    os.mkfifo(folder / "cultures.jsonl")
    assert refused(folder).endswith("is not a regular file")


def test_further_files_cannot_blow_the_items_up(tmp_path: Path, pack: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand cultures make of each template a thousand items: there is an end to that."""
    monkeypatch.setattr("suites.loader.EXPANDED_LIMIT", 1 << 16)
    folder = pack(name="sums")
    text = (folder / "suite.toml").read_text(encoding="utf-8").replace("everyday-question", "math-template")
    (folder / "suite.toml").write_text(text.replace("{question}", "{problem}"), encoding="utf-8")
    culture = {**CULTURE, "names": ["Ada"], "foods": [["pea", "peas"]], "money": ["coin", "coins"], "places": ["fair"]}
    rows = [json.dumps({**culture, "id": f"land-{number}"}) for number in range(1000)]
    (folder / "cultures.jsonl").write_text("\n".join(rows), encoding="utf-8")
    template = {
        "template": "{name1} has {n1} {food1:p}.",
        "numbers": {"n1": 3},
        "answer": "3",
        "wrong": ["4"],
        "topic": "sums",
    }
    items = [json.dumps({**template, "id": f"sum-{number}"}) for number in range(100)]
    (folder / "items.jsonl").write_text("\n".join(items), encoding="utf-8")
    assert "makes the items too many" in refused(folder)


def test_prompts_without_end(pack: Write) -> None:
    rows = "\n".join(
        f'[[tasks.prompts]]\nlanguage = "en"\nversion = {n}\ncontext = "c{n}"\ntext = "{{question}} {n}"'
        for n in range(1, 3000)
    )
    folder = pack()
    text = (folder / "suite.toml").read_text(encoding="utf-8")
    (folder / "suite.toml").write_text(text[: text.index("prompts = ")] + "\n" + rows, encoding="utf-8")
    assert "one for every language, version and context" in refused(folder)


@pytest.mark.parametrize("number", ["1e400", "10" * 40, "NaN", "Infinity", "true", '"7"'])
def test_numbers_that_are_none(tmp_path: Path, pack: Write, number: str) -> None:
    folder = pack(name="sums")
    text = (folder / "suite.toml").read_text(encoding="utf-8").replace("everyday-question", "math-template")
    (folder / "suite.toml").write_text(text.replace("{question}", "{problem}"), encoding="utf-8")
    culture = {**CULTURE, "names": ["Ada"], "foods": [["pea", "peas"]], "money": ["coin", "coins"], "places": ["fair"]}
    (folder / "cultures.jsonl").write_text(
        f"{json.dumps(culture)}\n{json.dumps({**culture, 'id': 'b'})}\n", encoding="utf-8"
    )
    line = '{"id": "s", "template": "{name1} has {n1}.", "numbers": {"n1": %s}, "answer": "3", "wrong": ["4"], '
    (folder / "items.jsonl").write_text(line % number + '"topic": "t"}', encoding="utf-8")
    assert "items.jsonl, line 1" in refused(folder)


# -- a team's own suites ----------------------------------------------------------------------------------------------


def test_a_folder_in_the_users_data_is_a_suite_like_any_other(pack: Write, home: Path) -> None:
    folder = pack(name="own-suite")
    target = home / "suites"
    target.mkdir()
    folder.rename(target / "own-suite")
    listed = CliRunner().invoke(main, ["suites", "list", "--json"])
    assert listed.exit_code == 0
    assert "own-suite" in {suite["id"] for suite in json.loads(listed.stdout)["suites"]}
    checked = CliRunner().invoke(main, ["suites", "check", "own-suite"])
    assert checked.exit_code == 0, checked.output


def test_a_broken_suite_of_the_users_hides_no_other(pack: Write, tmp_path: Path) -> None:
    pack(name="good")
    bad = pack(name="bad")
    (bad / "suite.toml").write_bytes(b"\xff\xfe\x00")
    found = {summary.id: summary.problem for summary in available([tmp_path / "packs"], include_builtin=False)}
    assert found["good"] == ""
    assert "is not UTF-8" in found["bad"]
