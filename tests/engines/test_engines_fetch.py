"""Fetching a model from a hub: what is chosen, resumed, checked, recorded, deleted. The hub is the tests' own."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import hub as hub_server
import pytest
import raw_gguf
from folders import folder
from hub import COMMIT, Hub

from engines import fetch as module
from engines.base import Cancelled, EngineError
from engines.catalog import Catalog
from engines.fetch import Looked, fetch, look_up
from engines.fetched import read_record
from engines.offers import Offer

pytest.importorskip("huggingface_hub")

GGUF = raw_gguf.build(data=3_500_000)
NAME = "tiny-Q8_0.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server.running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        server.repositories["org/tiny-GGUF"] = {NAME: GGUF, "README.md": b"---\nlicense: mit\n---\n"}
        yield server


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "data")


def files_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def hf_repository(hub: Hub, tmp_path: Path, **others: bytes) -> dict[str, bytes]:
    """A repository with safetensors and with what must not come along."""
    made = files_of(folder(tmp_path / "made"))
    made |= {"pytorch_model.bin": b"pickle", "modeling_x.py": b"import os", "tokenizer.json": b"{}", **others}
    hub.repositories["org/Tiny-1B"] = made
    return made


def test_a_gguf_file_is_looked_up_fetched_and_known(hub: Hub, catalog: Catalog) -> None:
    looked = look_up("org/tiny-GGUF")
    assert (looked.name, looked.revision, looked.size) == ("tiny-Q8_0", COMMIT, len(GGUF))
    assert (looked.licence, looked.languages, looked.gated) == ("Apache-2.0", ("zh", "en"), False)
    assert not hub.served(NAME)  # Nothing comes before somebody agreed.
    told: list[tuple[str, int, int]] = []
    done = fetch(looked, catalog.models_folder, lambda *now: told.append(now), agreed="2026-01-01T00:00:00+00:00")
    assert told[0] == ("tiny-Q8_0", 0, len(GGUF))
    assert max(done for _, done, _ in told) == len(GGUF)
    assert all(total == len(GGUF) for _, _, total in told)
    model = catalog.adopt(done)
    assert Path(model.path).read_bytes() == GGUF
    assert (model.name, model.origin, model.repository, model.revision) == (
        "tiny-Q8_0", "fetched", "org/tiny-GGUF", COMMIT,
    )  # fmt: skip
    assert catalog.fingerprint(model) == hashlib.sha256(GGUF).hexdigest()
    assert model.fingerprint == hashlib.sha256(GGUF).hexdigest()  # It was checked while it came.
    os.utime(model.path, ns=(1, 1))
    assert catalog.find(model.name).fingerprint == ""
    assert read_record(catalog.models_folder)[0].agreed == "2026-01-01T00:00:00+00:00"
    assert not list((catalog.models_folder / ".fetching").rglob("*.part"))
    before = len(hub.requests)
    assert fetch(looked, catalog.models_folder) == done  # It is there already.
    assert len(hub.requests) == before


def test_safetensors_come_with_config_and_tokenizer_and_nothing_that_could_run(
    hub: Hub, catalog: Catalog, tmp_path: Path
) -> None:
    made = hf_repository(hub, tmp_path)
    model = catalog.adopt(fetch(look_up("org/Tiny-1B"), catalog.models_folder))
    came = files_of(Path(model.path))
    assert set(came) == {"config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors", "README.md"}
    assert all(came[name] == made[name] for name in came)
    assert (model.name, model.engine, model.problem, model.parameters) == ("Tiny-1B", "hf", "", 2368)
    assert catalog.list() == [model]
    assert catalog.scan() == []


def test_a_cut_download_goes_on_where_it_ended(hub: Hub, catalog: Catalog) -> None:
    hub.cut = [2_500_000]
    done = fetch(look_up("org/tiny-GGUF"), catalog.models_folder)
    assert done.path(catalog.models_folder).read_bytes() == GGUF
    first, second = hub.served(NAME)
    assert (first, second) == ("", "bytes=2097152-")  # Whole chunks of a megabyte were kept.


def test_what_was_interrupted_goes_on_in_another_session(hub: Hub, catalog: Catalog) -> None:
    looked = look_up("org/tiny-GGUF")

    def stop(name: str, done: int, total: int) -> None:
        if done > 2_000_000:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fetch(looked, catalog.models_folder, stop)
    assert catalog.scan() == []  # Nothing half-done is a model.
    told: list[int] = []
    done = fetch(looked, catalog.models_folder, lambda name, done, total: told.append(done))
    assert done.path(catalog.models_folder).read_bytes() == GGUF
    assert told[0] == 1 << 20
    assert hub.served(NAME)[-1] == f"bytes={1 << 20}-"


def test_other_bytes_than_announced_are_deleted(hub: Hub, catalog: Catalog) -> None:
    hub.announced[NAME] = "0" * 64
    with pytest.raises(EngineError, match=r"holds other bytes than the hub announced .* it was deleted"):
        fetch(look_up("org/tiny-GGUF"), catalog.models_folder)
    assert not list(catalog.models_folder.rglob("*.gguf*"))
    assert read_record(catalog.models_folder) == []


def test_small_files_are_checked_too(
    hub: Hub, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hf_repository(hub, tmp_path)
    looked = look_up("org/Tiny-1B")
    made["config.json"] = made["config.json"].replace(b"llama", b"xlama")
    with pytest.raises(EngineError, match=r"config\.json holds other bytes"):
        fetch(looked, catalog.models_folder)


def test_a_file_that_is_no_gguf_is_not_kept(hub: Hub, catalog: Catalog) -> None:
    hub.repositories["org/tiny-GGUF"][NAME] = bytes(5000)
    with pytest.raises(EngineError, match="is not a GGUF file"):
        fetch(look_up("org/tiny-GGUF"), catalog.models_folder)
    assert not list(catalog.models_folder.rglob("*.gguf"))


def test_gated_private_and_missing_repositories(hub: Hub, catalog: Catalog) -> None:
    hub.gated.add("org/tiny-GGUF")
    looked = look_up("org/tiny-GGUF")
    assert looked.gated
    with pytest.raises(EngineError, match=f"is gated: accept its licence at {hub.address}/org/tiny-GGUF"):
        fetch(looked, catalog.models_folder)
    with pytest.raises(EngineError, match="or is private or gated"):
        look_up("org/nothing")
    with pytest.raises(EngineError, match="no such revision"):
        look_up("org/tiny-GGUF", revision="v9")
    with pytest.raises(EngineError, match="neither on the list"):
        look_up("not-a-repository")


def test_files_are_chosen(hub: Hub, tmp_path: Path) -> None:
    files = hub.repositories["org/tiny-GGUF"]
    files |= {"tiny-Q4_0.gguf": GGUF, "mmproj-tiny.gguf": GGUF}
    with pytest.raises(EngineError, match=r"2 \.gguf files: choose one with --file: tiny-Q4_0.gguf, tiny-Q8_0.gguf"):
        look_up("org/tiny-GGUF")
    assert look_up("org/tiny-GGUF", file="tiny-Q4_0.gguf").model == "tiny-Q4_0.gguf"
    with pytest.raises(EngineError, match=r"has no file tiny-Q5_0.gguf; it has tiny-Q4_0.gguf, tiny-Q8_0.gguf"):
        look_up("org/tiny-GGUF", file="tiny-Q5_0.gguf")
    with pytest.raises(EngineError, match=r"is no \.gguf file"):
        look_up("org/tiny-GGUF", file="README.md")
    hub.repositories["org/split"] = {f"big-{part:05}-of-00003.gguf": GGUF for part in (1, 2, 3)}
    split = look_up("org/split")
    assert [file.name[4:9] for file in split.files] == ["00001", "00002", "00003"]
    assert (split.name, split.model) == ("big", "big-00001-of-00003.gguf")
    hub.repositories["org/pickle"] = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    with pytest.raises(EngineError, match="can run code and are not fetched"):
        look_up("org/pickle")


def test_names_that_lead_elsewhere_are_not_fetched(hub: Hub) -> None:
    hub.repositories["org/evil"] = {
        "../../evil.gguf": GGUF,
        "sub/evil.gguf": GGUF,
        ".hidden.gguf": GGUF,
        "a.gguf": GGUF,
    }
    assert [file.name for file in look_up("org/evil").files] == ["a.gguf"]


def test_an_offer_gives_name_file_and_revision(hub: Hub) -> None:
    hub.repositories["org/tiny-GGUF"]["tiny-Q4_0.gguf"] = GGUF
    offer = Offer(
        name="tiny", repository="org/tiny-GGUF", file="tiny-Q4_0.gguf", group="english", size=0.1, parameters=0.1,
        licence="MIT", languages=("en",), why="small", verified=False, revision=COMMIT,
    )  # fmt: skip
    looked = look_up("tiny", offer)
    assert (looked.name, looked.model) == ("tiny", "tiny-Q4_0.gguf")
    assert any(path.endswith(f"/revision/{COMMIT}") for _, path, _ in hub.requests)
    hub.card = {}
    assert (look_up("tiny", offer).licence, look_up("tiny", offer).languages) == ("MIT", ("en",))


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_by_wish_asks_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(EngineError, match=f"{variable} is set"):
        look_up("org/tiny-GGUF")
    assert not hub.requests


def test_without_network_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        look_up("org/tiny-GGUF")
    assert "\n" not in str(caught.value)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(EngineError, match=r"pip install 'huggingface_hub"):
        look_up("org/tiny-GGUF")


def test_a_disk_without_room_is_said_before(hub: Hub, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = look_up("org/tiny-GGUF")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(EngineError, match="4 MB to fetch, but the disk"):
        fetch(looked, catalog.models_folder)
    assert not hub.served(NAME)


def test_a_token_goes_over_https_and_loopback_only(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._token("https://huggingface.co") is None
    assert module._token("http://hub.example") is False
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    look_up("org/tiny-GGUF")
    assert any("authorization" in headers for _, _, headers in hub.requests)


def test_the_client_prints_nothing(hub: Hub, catalog: Catalog, capfd: pytest.CaptureFixture[str]) -> None:
    hub.cut = [1_200_000]
    fetch(look_up("org/tiny-GGUF"), catalog.models_folder)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("huggingface_hub").handlers


# -- removing ---------------------------------------------------------------------------------------------------------


def test_only_what_was_fetched_is_deleted(hub: Hub, catalog: Catalog, tmp_path: Path) -> None:
    hf_repository(hub, tmp_path)
    one = catalog.adopt(fetch(look_up("org/tiny-GGUF"), catalog.models_folder))
    two = catalog.adopt(fetch(look_up("org/Tiny-1B"), catalog.models_folder))
    own = raw_gguf.write(catalog.models_folder / "own.gguf")  # Put there by hand.
    (Path(two.path) / "notes.txt").write_text("mine")
    catalog.scan()
    assert catalog.owns(one)
    assert catalog.owns(two)
    assert not catalog.owns(catalog.find("own"))
    assert catalog.remove("own") is False
    assert own.exists()
    assert catalog.remove(one.name) is True
    assert not Path(one.path).parent.exists()
    assert catalog.remove(two.name) is True
    assert [file.name for file in Path(two.path).iterdir()] == ["notes.txt"]
    assert read_record(catalog.models_folder) == []


def test_what_the_user_changed_since_stays(hub: Hub, catalog: Catalog) -> None:
    model = catalog.adopt(fetch(look_up("org/tiny-GGUF"), catalog.models_folder))
    Path(model.path).write_bytes(raw_gguf.build(raw_gguf.facts("Mine")))
    assert catalog.remove(model.name) is False
    assert catalog.left == (model.path,)
    assert Path(model.path).exists()


def test_links_lead_to_no_deletion_elsewhere(hub: Hub, catalog: Catalog, tmp_path: Path) -> None:
    model = catalog.adopt(fetch(look_up("org/tiny-GGUF"), catalog.models_folder))
    inner = Path(model.path).parent
    shutil.move(inner, tmp_path / "elsewhere")
    inner.symlink_to(tmp_path / "elsewhere")
    assert catalog.remove(model.name) is False
    assert (tmp_path / "elsewhere" / NAME).exists()


def test_a_fetched_model_is_known_as_such_after_its_catalogue_is_lost(hub: Hub, catalog: Catalog) -> None:
    model = catalog.adopt(fetch(look_up("org/tiny-GGUF"), catalog.models_folder))
    (catalog.folder / "catalog.json").unlink()
    (again,) = catalog.scan()
    assert (again.origin, again.repository) == ("fetched", "org/tiny-GGUF")
    assert again.path == model.path


def test_a_record_that_is_damaged_deletes_nothing(hub: Hub, catalog: Catalog) -> None:
    model = catalog.adopt(fetch(look_up("org/tiny-GGUF"), catalog.models_folder))
    (catalog.models_folder / "fetched.json").write_text("{")
    with pytest.raises(EngineError, match="is damaged"):
        catalog.remove(model.name)
    assert Path(model.path).exists()
    os.utime(model.path, ns=(1, 1))
    assert catalog.list()
    assert any("fetched.json is damaged" in line for line in catalog.notices)


def test_the_record_is_for_its_owner_only(hub: Hub, catalog: Catalog) -> None:
    fetch(look_up("org/tiny-GGUF"), catalog.models_folder)
    path = catalog.models_folder / "fetched.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "hf_" not in json.dumps(json.loads(path.read_text()))


def test_nothing_is_imported_before_it_is_needed() -> None:
    assert isinstance(Looked, type)
    import subprocess

    code = "import sys, engines.fetch, engines.offers; print('huggingface_hub' in sys.modules, 'yaml' in sys.modules)"
    root = Path(module.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert result.stdout.strip() == "False False"
