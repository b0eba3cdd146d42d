"""The catalogue: scanning, names, facts, fingerprints, its state file, and what it does with bad files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from raw_gguf import build, facts, string, write

from engines import catalog as module
from engines import starter
from engines.base import EngineError
from engines.catalog import Catalog, CatalogModel
from engines.files import gguf_files


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "data")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with models in it and below it."""
    folder = tmp_path / "shelf"
    write(folder / "alpha-Q8_0.gguf", facts("Alpha"))
    write(folder / "deep" / "beta.GGUF", facts("Beta", template=False, languages=()))
    (folder / "notes.txt").write_text("no model")
    return folder


@pytest.fixture
def verified_starter(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file that counts as the checked Gemma starter model."""
    data = build(facts("Gemma 3 270m", template=False, languages=()))
    digest = hashlib.sha256(data).hexdigest()
    small = msgspec.structs.replace(starter.STARTERS[1], size=len(data), sha256=digest)
    monkeypatch.setattr(starter, "STARTERS", (small,))
    catalog.models_folder.mkdir(parents=True)
    path = catalog.models_folder / "gemma-3-270m.gguf"
    path.write_bytes(data)
    assert [report.status for report in starter.ensure_starters(catalog.models_folder)] == ["present"]
    return path


def names(models: list[CatalogModel]) -> list[str]:
    return [model.name for model in models]


def test_an_empty_catalogue(catalog: Catalog) -> None:
    assert catalog.list() == []
    assert catalog.scan() == []
    with pytest.raises(EngineError, match="none are known yet"):
        catalog.find("anything")


def test_scan_finds_each_file_once(catalog: Catalog, shelf: Path) -> None:
    found = catalog.scan([shelf])
    assert names(found) == ["alpha-Q8_0", "beta"]
    assert catalog.scan([shelf]) == []
    alpha, beta = catalog.list()
    assert (alpha.format, alpha.parameters, alpha.context, alpha.vocabulary) == ("GGUF Q8_0", 352, 128, 10)
    assert (alpha.languages, alpha.licence, alpha.template, alpha.origin) == (("en", "zh"), "Apache-2.0", True, "found")
    assert (beta.languages, beta.template, beta.problem) == ((), False, "")
    assert alpha.size == (shelf / "alpha-Q8_0.gguf").stat().st_size
    assert alpha.path == str(shelf / "alpha-Q8_0.gguf")


def test_links_are_followed_but_never_in_circles(catalog: Catalog, shelf: Path, tmp_path: Path) -> None:
    (shelf / "loop").symlink_to(shelf, target_is_directory=True)
    assert len(list(gguf_files([shelf, shelf], []))) == 2  # Neither the loop nor the second mention adds any.
    (shelf / "self.gguf").symlink_to("self.gguf")
    (shelf / "dangling.gguf").symlink_to("nowhere.gguf")
    os.link(shelf / "alpha-Q8_0.gguf", shelf / "hard.gguf")
    write(tmp_path / "store" / "gamma.gguf", facts("Gamma"))
    (shelf / "linked").symlink_to(tmp_path / "store", target_is_directory=True)
    (shelf / "zlink.gguf").symlink_to(tmp_path / "store" / "gamma.gguf")
    found = catalog.scan([shelf, shelf])
    assert len(found) == 3
    assert {Path(model.path).resolve().name for model in found} == {"alpha-Q8_0.gguf", "beta.GGUF", "gamma.gguf"}


def test_folders_that_cannot_be_scanned(catalog: Catalog, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="does not exist") as caught:
        catalog.scan([shelf / "nowhere"])
    assert str(shelf / "nowhere") in str(caught.value)
    with pytest.raises(EngineError, match="not a folder"):
        catalog.scan([shelf / "notes.txt"])
    real = os.scandir

    def closed(path: str | Path) -> object:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)  # Who runs the tests as root may enter everything.
    with pytest.raises(EngineError, match="no permission") as caught:
        catalog.scan([shelf / "deep"])
    assert "deep" in str(caught.value)
    assert names(catalog.scan([shelf])) == ["alpha-Q8_0"]
    assert catalog.unread == (str(shelf / "deep"),)


def test_equal_names_get_numbers(catalog: Catalog, tmp_path: Path) -> None:
    for index, name in enumerate(("same.gguf", "SAME.gguf", "same.gguf")):
        write(tmp_path / "shelf" / str(index) / name, facts(f"model {index}"))
    assert names(catalog.scan([tmp_path / "shelf"])) == ["same", "SAME-2", "same-3"]
    assert catalog.find("same-2").name == "SAME-2"


@pytest.mark.parametrize(
    ("file", "says", "name"),
    [
        ("Qwen3-0.6B-Q8_0.gguf", "whatever", "Qwen3-0.6B-Q8_0"),
        ("model.gguf", "Real Name 1B", "Real-Name-1B"),
        ("ggml-model-q4_0.gguf", "Real Name", "Real-Name"),
        ("model.gguf", "", "model"),
        ("--force.gguf", "", "force"),
        ("a b\tc\x1b[31m.gguf", "", "a-b-c[31m"),
        ("\u202egpj.gguf", "", "gpj"),
        ("模型.gguf", "", "模型"),
        ("model.gguf", "../../etc/passwd", "..-..-etc-passwd"),
    ],
)
def test_names_are_safe(catalog: Catalog, tmp_path: Path, file: str, says: str, name: str) -> None:
    write(tmp_path / "shelf" / file, facts(says))
    assert names(catalog.scan([tmp_path / "shelf"])) == [name]


def test_file_names_that_are_no_text_survive(catalog: Catalog, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.gguf"))
    try:
        path.write_bytes(build())
    except OSError:
        pytest.skip("this file system has only valid names")
    (model,) = catalog.scan([tmp_path])
    assert model.name == "bad"
    assert Path(catalog.list()[0].path).read_bytes() == build()


def test_find_by_path_needs_no_scan(catalog: Catalog, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf)
    model = catalog.find("alpha-Q8_0.gguf")
    assert (model.origin, model.path) == ("added", str(shelf / "alpha-Q8_0.gguf"))
    assert catalog.find(str(shelf / "alpha-Q8_0.gguf")) == model
    assert catalog.find("ALPHA-q8_0") == model
    assert len(catalog.list()) == 1


def test_unknown_names_and_bad_paths(catalog: Catalog, shelf: Path) -> None:
    catalog.scan([shelf])
    with pytest.raises(EngineError, match="did you mean alpha-Q8_0"):
        catalog.find("alpah-q8")
    with pytest.raises(EngineError, match="did you mean alpha-Q8_0"):
        catalog.find("alpha")
    with pytest.raises(EngineError, match="models list"):
        catalog.find("zzz")
    with pytest.raises(EngineError, match="does not exist"):
        catalog.find(str(shelf / "no.gguf"))
    with pytest.raises(EngineError, match="is a folder"):
        catalog.find(str(shelf) + "/")
    with pytest.raises(EngineError, match="address"):
        catalog.find("http://localhost:8080/v1#x")
    (shelf / "text.gguf").write_text("just words")
    with pytest.raises(EngineError, match="not a GGUF file"):
        catalog.find(str(shelf / "text.gguf"))
    assert len(catalog.list()) == 2  # Nothing bad was added.


def test_files_that_cannot_be_used_are_listed_with_the_reason(catalog: Catalog, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    write(shelf / "a-cut.gguf", data=100)
    write(shelf / "b-lora.gguf", facts("x", string("general.type", "adapter")))
    write(shelf / "c-vision.gguf", [string("general.architecture", "clip")])
    write(shelf / "d-vocab.gguf", tensors=(), data=0)
    problems = [model.problem for model in catalog.scan([shelf])]
    for problem, says in zip(problems, ("cut off", "adapter", "image", "vocabulary"), strict=True):
        assert says in problem
    write(shelf / "a-cut.gguf")  # The download has ended.
    assert catalog.find("a-cut").problem == ""


def test_models_that_went_away_and_came_back(catalog: Catalog, shelf: Path) -> None:
    catalog.scan([shelf])
    path = shelf / "alpha-Q8_0.gguf"
    path.rename(shelf / "away")
    gone = catalog.find("alpha-Q8_0")
    assert "does not exist" in gone.problem
    assert gone.parameters == 352  # What was known stays.
    (shelf / "away").rename(path)
    assert catalog.find("alpha-Q8_0").problem == ""


def test_only_first_parts_of_split_models_are_models(catalog: Catalog, tmp_path: Path) -> None:
    import struct

    shelf = tmp_path / "shelf"
    for part in (1, 2):
        marks = [("split.no", 2, struct.pack("<H", part - 1)), ("split.count", 2, struct.pack("<H", 2))]
        entries = [*(facts() if part == 1 else []), *marks]
        write(shelf / f"big-{part:05}-of-00002.gguf", entries, [(f"p{part}", (32,), 0, 0)], data=128)
    second = shelf / "big-00002-of-00002.gguf"
    second.rename(shelf / "later")
    (model,) = catalog.scan([shelf])
    assert "is missing" in model.problem
    (shelf / "later").rename(second)
    model = catalog.find("big")
    assert (model.problem, model.parameters, len(model.parts)) == ("", 64, 2)
    both = (shelf / "big-00001-of-00002.gguf").read_bytes() + second.read_bytes()
    assert catalog.fingerprint(model) == hashlib.sha256(both).hexdigest()


def test_fingerprints_are_read_once(catalog: Catalog, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shelf / "alpha-Q8_0.gguf"
    model = catalog.find(str(path))
    told: list[tuple[int, int]] = []
    digest = catalog.fingerprint(model, lambda done, total: told.append((done, total)))
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told[-1] == (model.size, model.size)
    real = module.hash_files
    monkeypatch.setattr(module, "hash_files", pytest.fail)
    assert catalog.fingerprint(model) == digest
    assert Catalog(catalog.folder).find("alpha-Q8_0").fingerprint == digest
    monkeypatch.setattr(module, "hash_files", real)
    path.write_bytes(build(facts("Other")))
    os.utime(path, ns=(1, 1))
    assert catalog.find("alpha-Q8_0").fingerprint == ""
    assert catalog.fingerprint(model) == hashlib.sha256(path.read_bytes()).hexdigest() != digest
    path.unlink()
    with pytest.raises(EngineError, match="does not exist"):
        catalog.fingerprint(model)


def test_a_file_that_changes_while_it_is_read(catalog: Catalog, shelf: Path) -> None:
    model = catalog.find(str(shelf / "alpha-Q8_0.gguf"))
    with pytest.raises(EngineError, match="changed while it was read"):
        catalog.fingerprint(model, lambda *_: os.utime(model.path, ns=(1, 1)))


def test_starter_models_come_with_what_is_known(catalog: Catalog, verified_starter: Path) -> None:
    (model,) = catalog.list()
    assert (model.name, model.origin, model.licence) == ("gemma-3-270m", "starter", "Gemma terms")
    assert model.languages == ("140+ languages",)
    assert "base model" in model.licence_note
    assert model.fingerprint == hashlib.sha256(verified_starter.read_bytes()).hexdigest()
    assert catalog.scan() == []


def test_facts_of_a_starter_are_not_said_of_another_file(catalog: Catalog, verified_starter: Path) -> None:
    catalog.list()
    verified_starter.write_bytes(build(facts("Something else")))
    os.utime(verified_starter, ns=(1, 1))
    (model,) = catalog.list()
    assert (model.fingerprint, model.licence, model.languages) == ("", "Apache-2.0", ("en", "zh"))


def test_remove(catalog: Catalog, verified_starter: Path, shelf: Path) -> None:
    catalog.scan([shelf])
    assert catalog.remove("ALPHA-Q8_0") is False
    assert (shelf / "alpha-Q8_0.gguf").exists()
    assert catalog.remove("gemma-3-270m") is True
    assert not verified_starter.exists()
    assert names(catalog.list()) == ["beta"]
    with pytest.raises(EngineError, match="did you mean beta"):
        catalog.remove("betta")
    assert starter.ensure_starters(catalog.models_folder)[0].status == "removed"


def test_the_state_file(catalog: Catalog, shelf: Path) -> None:
    catalog.scan([shelf])
    path = catalog.folder / "catalog.json"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_mtime_ns
    catalog.list()
    assert path.stat().st_mtime_ns == before  # Nothing changed, nothing written.
    assert Catalog(catalog.folder).list() == catalog.list()
    assert sorted(item.name for item in catalog.folder.iterdir()) == ["catalog.json"]


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b'{"version": 1, "models": [{"model": 3}]}', b"\xff\x00", b"[" * 100_000],
    ids=["cut", "array", "fields", "bytes", "nested"],
)
def test_a_damaged_state_file_is_set_aside(catalog: Catalog, data: bytes) -> None:
    catalog.folder.mkdir()
    path = catalog.folder / "catalog.json"
    for number in (1, 2):
        path.write_bytes(data)
        assert catalog.list() == []
        assert len(catalog.notices) == number
    assert (catalog.folder / "catalog.json.bad").read_bytes() == data
    assert (catalog.folder / "catalog.json.bad-2").read_bytes() == data
    assert "catalog.json.bad-2" in catalog.notices[1]
    assert "\n" not in catalog.notices[0]


def test_a_state_file_from_a_newer_version_is_left_alone(catalog: Catalog, shelf: Path) -> None:
    catalog.folder.mkdir()
    path = catalog.folder / "catalog.json"
    path.write_text(json.dumps({"version": 2, "models": "?"}))
    with pytest.raises(EngineError, match="newer version"):
        catalog.scan([shelf])
    assert json.loads(path.read_text())["version"] == 2


def test_threads_do_not_lose_each_others_models(catalog: Catalog, tmp_path: Path) -> None:
    paths = [write(tmp_path / "shelf" / f"m{index}.gguf", facts(f"M{index}")) for index in range(12)]
    with ThreadPoolExecutor(6) as pool:
        models = list(pool.map(lambda path: Catalog(catalog.folder).find(str(path)), paths))
        digests = list(pool.map(catalog.fingerprint, models))
    assert [model.fingerprint for model in sorted(catalog.list(), key=lambda model: int(model.name[1:]))] == digests


def test_a_full_disk_loses_nothing(catalog: Catalog, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.find(str(shelf / "alpha-Q8_0.gguf"))
    before = (catalog.folder / "catalog.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineError, match="full"):
        catalog.scan([shelf])
    assert (catalog.folder / "catalog.json").read_bytes() == before
    assert sorted(item.name for item in catalog.folder.iterdir()) == ["catalog.json"]


def test_nothing_heavy_is_imported() -> None:
    heavy = ("numpy", "llama_cpp", "psutil", "textual")
    code = f"import sys, engines.catalog, engines.hardware; print([m for m in {heavy} if m in sys.modules])"
    root = Path(module.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert result.stdout.strip() == "[]"
