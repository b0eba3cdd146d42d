"""Loading: what is accepted comes back whole, what is not is refused with file, line and field."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from suites import loader
from suites.base import Suite, SuiteError
from suites.files import PackError


def stored(suite: Suite) -> Suite:
    """The suite after a way through JSON, as the history keeps it."""
    head = json.loads(json.dumps(loader.manifest(suite)))
    items = [(item.hash, json.loads(json.dumps(item.data))) for item in suite.items]
    return loader.from_stored(head, items)


def test_a_pack_loads_with_items_strata_and_tasks(term_pack: Any) -> None:
    suite = loader.load(term_pack())
    assert (suite.id, suite.version, suite.item_kind) == ("small-terms", "1.0", "regional-term")
    assert [item.stratum for item in suite.items] == ["food", "food", "transport"]
    assert [task.id for task in suite.tasks] == ["likelihood", "answer"]
    assert suite.sources[0].title == "A book"


def test_a_name_list_stands_alone(name_pack: Any) -> None:
    (item,) = loader.load(name_pack()).items
    assert item.stratum == "mixed"
    first = item.data["candidates"][0]
    assert first == {
        "name": "李建国",
        "surname": "李",
        "given": "建国",
        "region": "mainland",
        "gender": "male",
        "band": "top",
        "marked": True,
        "source": ["book"],
    }


def test_suites_survive_the_history(term_pack: Any, name_pack: Any) -> None:
    for folder in (term_pack(), name_pack()):
        suite = loader.load(folder)
        assert stored(suite) == suite
        assert stored(suite).hash == suite.hash


def test_a_stored_item_that_was_changed_is_noticed(term_pack: Any) -> None:
    suite = loader.load(term_pack())
    data = {**suite.items[0].data, "category": "drink"}
    with pytest.raises(SuiteError, match="does not match its hash"):
        loader.from_stored(loader.manifest(suite), [(suite.items[0].hash, data)])


@pytest.mark.parametrize("change", [{"item_kind": "x"}, {"title": 3}, {"surprise": 1}, {"tasks": []}])
def test_a_stored_manifest_that_does_not_fit_is_refused(term_pack: Any, change: dict[str, Any]) -> None:
    suite = loader.load(term_pack())
    with pytest.raises(SuiteError) as error:
        loader.from_stored({**loader.manifest(suite), **change}, [])
    assert "\n" not in str(error.value)


def test_hashes_follow_the_content_and_nothing_else(term_pack: Any, term_line: dict[str, Any]) -> None:
    first = loader.load(term_pack("small-terms", [term_line]))
    turned = {key: term_line[key] for key in reversed(term_line)}
    assert loader.load(term_pack("small-terms", [{**turned, "note": ""}], root=Path(term_pack("x")) / "b")) == first
    other = loader.load(term_pack("small-terms", [{**term_line, "note": "new"}], root=Path(term_pack("y")) / "c"))
    assert other.items[0].hash != first.items[0].hash
    assert other.hash != first.hash


def test_order_of_items_and_manifest_count_for_the_suite_hash(term_pack: Any, term_line: dict[str, Any]) -> None:
    second = {**term_line, "id": "second"}
    one = loader.load(term_pack("small-terms", [term_line, second]))
    two = loader.load(term_pack("small-terms", [second, term_line], root=term_pack("x") / "b"))
    three = loader.load(
        term_pack(
            "small-terms", [term_line, second], head='\n[[sources]]\nid = "b"\ntitle = "B"\n', root=term_pack("y") / "c"
        )
    )
    assert {item.hash for item in one.items} == {item.hash for item in two.items} == {item.hash for item in three.items}
    assert len({one.hash, two.hash, three.hash}) == 3


def change(line: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The line with a value set at a dotted path."""
    node = line
    *parents, last = path.split("/")
    for name in parents:
        node = node[name]
    node[last] = value
    return line


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("colour", "red", "field colour: is not a field of this schema"),
        ("terms/mainland/en", "x", "field terms.mainland.en: is not a field"),
        ("id", "Upper Case", "field id: expected str of the form"),
        ("id", "a\n", "field id: expected str of the form"),
        ("id", 3, "field id: expected str, got int"),
        ("category", "", "field category"),
        ("source", [], "field source: expected array of length >= 1"),
        ("source", [["a"]], "field source[0]"),
        ("terms/taiwan/zh-Hant", "鳳梨\u202e", "field terms.taiwan.zh-Hant: holds the character U+202E"),
        ("terms/taiwan/zh-Hant", "鳳\x1b[31m梨", "field terms.taiwan.zh-Hant: holds the character U+001B"),
        ("terms/taiwan/zh-Hant", " 鳳梨", "field terms.taiwan.zh-Hant: begins or ends with a blank"),
        ("note", "one\ntwo", "field note: holds the character U+000A"),
        ("note", "e\u0301", "field note: is not in Unicode normal form NFC"),
        ("terms/mainland/zh-Hans", "长" * 65, "field terms.mainland.zh-Hans: expected str of length <= 64"),
        ("accepted/taiwan", ["菠萝"], "stands for both regions"),
        ("accepted/mainland", ["菠萝"], "repeats the region's main word"),
    ],
)
def test_a_fault_in_an_item_is_named(
    term_pack: Any, term_line: dict[str, Any], path: str, value: Any, says: str
) -> None:
    good = {**json.loads(json.dumps(term_line)), "id": "good"}
    folder = term_pack(items=[good, change(term_line, path, value)])
    with pytest.raises(PackError) as error:
        loader.load(folder)
    message = str(error.value)
    assert "items.jsonl, line 2, " in message
    assert says in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"id": "a"', "JSON"),
        (b"[" * 100_000, "expected object, got array"),
        (b'{"id": ' + b"[" * 100_000, "line 1"),
        (b'{"note": ' + b'{"a":' * 50_000, "line 1"),
        (b'{"id": "\xff"}', "is not UTF-8"),
        (b'{"id": "\\ud800"}', "line 1"),
        ("\ufeff{}".encode(), "byte order mark"),
        ('{"id": "a"}'.encode("utf-16"), "line 1"),
        (b'{"id": "' + b"a" * (1 << 20) + b'"}', "is longer than 1,048,576 bytes"),
    ],
)
def test_a_hostile_line_is_refused_in_one_line(term_pack: Any, raw: bytes, says: str) -> None:
    folder = term_pack()
    (folder / "items.jsonl").write_bytes(raw + b"\n")
    with pytest.raises(SuiteError) as error:
        loader.load(folder)
    assert says in str(error.value)
    assert len(str(error.value)) < 1200
    assert str(error.value).isprintable()


def test_a_key_that_stands_twice_is_refused(term_pack: Any, term_line: dict[str, Any]) -> None:
    folder = term_pack()
    text = json.dumps(term_line, ensure_ascii=False)
    (folder / "items.jsonl").write_text('{"note": "shown", ' + text[1:-1] + ', "note": "taken"}\n', encoding="utf-8")
    with pytest.raises(PackError, match="'note' stands twice"):
        loader.load(folder)


def test_an_id_that_stands_twice_is_refused(term_pack: Any, term_line: dict[str, Any]) -> None:
    with pytest.raises(PackError, match=r"line 2, field id: 'fruit-pineapple' is taken by line 1"):
        loader.load(term_pack(items=[term_line, term_line]))


def test_blank_lines_are_passed_over_but_counted(term_pack: Any, term_line: dict[str, Any]) -> None:
    folder = term_pack()
    text = json.dumps(term_line, ensure_ascii=False)
    (folder / "items.jsonl").write_text(f"\n{text}\r\n\n{{}}\n", encoding="utf-8")
    with pytest.raises(PackError, match="line 4, field id: is missing"):
        loader.load(folder)


def test_an_empty_suite_is_refused(term_pack: Any) -> None:
    with pytest.raises(PackError, match=r"items\.jsonl: holds no item"):
        loader.load(term_pack(items=[]))


def test_too_large_a_file_is_not_read(term_pack: Any) -> None:
    folder = term_pack()
    with (folder / "items.jsonl").open("r+b") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(PackError, match="at most 67,108,864 are read"):
        loader.load(folder)


def test_too_many_items_are_refused(term_pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suites.files.ITEM_LIMIT", 2)
    with pytest.raises(PackError, match="line 3: holds more than 2 entries"):
        loader.load(term_pack())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('version = "1.0"', 'version = "new"', "field version"),
        ('version = "1.0"', 'version = "1.0"\ncolour = "red"', "field colour: is not a field"),
        ('version = "1.0"', "version = 1.0", "field version: expected str, got float"),
        ('version = "1.0"', "", "field version: is missing"),
        ('version = "1.0"', "version = ", "line 4: is not TOML"),
        ('version = "1.0"', 'version = "1.0"\nx = ' + "[" * 100_000, "nested too deeply"),
        ('id = "small-terms"', 'id = "../../etc"', "field id"),
        ('title = "A small suite"', 'title = "A \\u202esmall suite"', "field title: holds the character U+202E"),
        ('kind = "suite"', 'kind = "norms"', "does not hold a suite"),
        ('item_kind = "regional-term"', 'item_kind = "regional-trem"', "did you mean regional-term?"),
        ('rule = "regional-term-answer"', 'rule = "regional-term-anser"', "did you mean regional-term-answer"),
        ('rule = "regional-term-answer"', 'rule = "name-choice"', "field tasks[1].kind"),
        ('kind = "short-answer"', 'kind = "choice"', "field tasks[1].kind: must be short-answer"),
        ('id = "answer"', 'id = "likelihood"', "field tasks: holds 'likelihood' twice"),
        ("“{definition}”叫作", "“{definition}{item.__class__}”叫作", "is not a placeholder"),
        ("“{definition}”叫作", "“{definition}” { 叫作", "holds a brace"),
        ("“{definition}”叫作", "什么叫作", "must hold {definition} once, but does so 0 times"),
        (
            'language = "en", version = 1, text = "In',
            'language = "en", version = 2, text = "In',
            "has no text for en, version 1",
        ),
        ('language = "en", version = 1, text = "In', 'language = "fr", version = 1, text = "In', "has no text for en"),
        ('languages = ["zh-Hans", "zh-Hant", "en"]', 'languages = ["zh-Hans", "fr"]', "have no texts in fr"),
        ("max_tokens = 24", "max_tokens = 0", "field tasks[1].max_tokens"),
        ("max_tokens = 24", "max_tokens = 24\norders = 1000", "field tasks[1].orders"),
        ('id = "book"', 'id = "Book"', "field sources[0].id"),
    ],
)
def test_a_fault_in_the_manifest_is_named(term_pack: Any, old: str, new: str, says: str) -> None:
    folder = term_pack()
    text = (folder / "suite.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "suite.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PackError) as error:
        loader.load(folder)
    message = str(error.value)
    assert says in message
    assert "suite.toml" in message
    assert message.isprintable()


@pytest.mark.parametrize("name", ["suite.toml", "items.jsonl"])
def test_links_out_of_the_folder_are_not_followed(term_pack: Any, tmp_path: Path, name: str) -> None:
    folder = term_pack()
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(PackError, match="leaves the suite's folder"):
        loader.load(folder)


def test_links_within_the_folder_are_fine(term_pack: Any) -> None:
    folder = term_pack()
    (folder / "items.jsonl").rename(folder / "data.jsonl")
    (folder / "items.jsonl").symlink_to("data.jsonl")
    assert len(loader.load(folder).items) == 3


def test_a_link_to_itself_is_an_error(term_pack: Any) -> None:
    folder = term_pack()
    (folder / "items.jsonl").unlink()
    (folder / "items.jsonl").symlink_to("items.jsonl")
    with pytest.raises(PackError):
        loader.load(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_does_not_hold_the_reader_up(term_pack: Any) -> None:
    folder = term_pack()
    (folder / "items.jsonl").unlink()
    os.mkfifo(folder / "items.jsonl")
    with pytest.raises(PackError, match="is not a regular file"):
        loader.load(folder)


def test_missing_files_and_folders(term_pack: Any, tmp_path: Path) -> None:
    folder = term_pack()
    (folder / "items.jsonl").unlink()
    with pytest.raises(PackError, match=r"items\.jsonl: is missing"):
        loader.load(folder)
    with pytest.raises(SuiteError, match="no such folder"):
        loader.load(tmp_path / "nowhere")


def test_a_file_without_permission(term_pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    folder = term_pack()
    monkeypatch.setattr("suites.files.os.open", refuse)
    with pytest.raises(PackError, match=r"cannot be read \(Permission denied\)"):
        loader.load(folder)


def test_a_name_outside_the_pool_is_refused(name_pack: Any) -> None:
    with pytest.raises(PackError, match=r"line 1, field candidates\[1\]: '王小明' is not in pool.jsonl"):
        loader.load(name_pack(lists=[{"id": "a", "candidates": ["李建国", "王小明"]}]))


def test_a_list_of_one_region_is_refused(name_pack: Any) -> None:
    with pytest.raises(PackError, match="of one region only"):
        loader.load(name_pack(lists=[{"id": "a", "candidates": ["李建国", "王秀英"]}]))


def test_a_pool_with_a_fault_is_refused(name_pack: Any) -> None:
    pool = [
        {"name": "李建国", "surname": "王", "given": "建国", "region": "mainland", "gender": "male", "band": "top",
         "marked": True, "source": ["book"]}
    ]  # fmt: skip
    with pytest.raises(PackError, match=r"pool.jsonl, line 1, field name: is not the surname followed"):
        loader.load(name_pack(pool=pool))


def test_own_suites_are_found_beside_the_built_in_ones(term_pack: Any, name_pack: Any) -> None:
    root = term_pack().parent
    name_pack()
    (root / "broken").mkdir()
    (root / "broken" / "suite.toml").write_text("nonsense", encoding="utf-8")
    (root / "norms").mkdir()
    (root / "norms" / "suite.toml").write_text('kind = "norms"', encoding="utf-8")
    (root / "a file").write_text("", encoding="utf-8")
    found = loader.available([root, root / "nowhere"])
    own = {summary.id: summary for summary in found if not summary.builtin}
    assert set(own) == {"broken", "small-names", "small-terms"}
    assert own["small-terms"].items == 3
    assert own["small-terms"].tasks == ("likelihood", "answer")
    assert not own["small-terms"].problem
    assert "is not TOML" in own["broken"].problem
    assert loader.load("small-terms", [root]) == loader.load(root / "small-terms")
    assert loader.load(str(root / "small-terms")) == loader.load("small-terms", [root])
    with pytest.raises(SuiteError, match=r"suite broken cannot be used: .*is not TOML"):
        loader.load("broken", [root])


def test_an_id_that_is_taken_twice_is_said(term_pack: Any) -> None:
    folder = term_pack()
    twin = term_pack(root=folder.parent / "more")
    first, second = (s for s in loader.available([folder.parent, twin.parent]) if s.id == "small-terms")
    assert not first.problem
    assert "the id small-terms is taken" in second.problem


def test_an_unknown_suite_suggests_the_nearest(term_pack: Any) -> None:
    root = term_pack().parent
    with pytest.raises(SuiteError) as error:
        loader.load("smal-terms", [root])
    assert str(error.value).startswith("no suite is called 'smal-terms'; did you mean small-terms")
    with pytest.raises(SuiteError, match="no suite is called"):
        loader.load("\x1b[31mred" * 1000, [root])


def test_summaries_are_json_able(term_pack: Any) -> None:
    (summary,) = (s for s in loader.available([term_pack().parent]) if s.id == "small-terms")
    assert msgspec.to_builtins(summary, enc_hook=str)["id"] == "small-terms"


def test_loading_needs_no_heavy_library() -> None:
    code = "import suites.check, suites.loader, sys; print([m for m in ('numpy', 'opencc') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
