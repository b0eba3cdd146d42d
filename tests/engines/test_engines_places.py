"""Other programs' stores: the Hugging Face cache, LM Studio, Ollama."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import raw_gguf
from folders import COMMIT, folder, hub_cache, ollama

from engines.catalog import Catalog
from engines.places import Place, places

OTHER = "f" * 40


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "data")


def test_the_places_follow_the_environment(tmp_path: Path) -> None:
    found = {str(place.path): place.kind for place in places({}, tmp_path)}
    assert found[str(tmp_path / ".cache/huggingface/hub")] == "Hugging Face cache"
    assert found[str(tmp_path / ".lmstudio/models")] == found[str(tmp_path / ".cache/lm-studio/models")] == "LM Studio"
    assert found[str(tmp_path / ".ollama/models")] == "Ollama"
    assert str(places({"HF_HOME": "/hf"}, tmp_path)[0].path) == "/hf/hub"
    assert str(places({"HF_HOME": "/hf", "HF_HUB_CACHE": "/hub"}, tmp_path)[0].path) == "/hub"
    assert str(places({"XDG_CACHE_HOME": "/x"}, tmp_path)[0].path) == "/x/huggingface/hub"
    assert [str(place.path) for place in places({"OLLAMA_MODELS": "/o"}, tmp_path) if place.kind == "Ollama"] == ["/o"]


def test_the_hub_cache_has_an_entry_for_each_snapshot(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    main = hub_cache(root, "Org/Tiny-1B")
    hub_cache(root, "Org/Tiny-1B", OTHER, refs=("v2/rc",))
    hub_cache(root, "Org/Tiny-1B", "a" * 40, refs=())
    (root / "models--broken").mkdir()
    (root / "datasets--x").mkdir()
    found = {model.name: model for model in catalog.scan(stores=[Place("Hugging Face cache", root)])}
    assert set(found) == {"Tiny-1B", "Tiny-1B@v2-rc", "Tiny-1B@aaaaaaaa"}
    model = found["Tiny-1B"]
    assert (model.repository, model.revision, model.source) == ("Org/Tiny-1B", COMMIT, "Hugging Face cache")
    assert (model.path, model.licence, model.format) == (str(main), "Apache-2.0", "HF bf16")
    assert catalog.fingerprint(model) == hashlib.sha256((main / "model.safetensors").read_bytes()).hexdigest()
    assert catalog.scan(stores=[Place("Hugging Face cache", root)]) == []
    assert catalog.find("org/tiny-1b").path == str(main)


def test_a_cache_that_is_scanned_as_a_folder_says_the_same(catalog: Catalog, tmp_path: Path) -> None:
    main = hub_cache(tmp_path / "hub", "Org/Tiny-1B")
    raw_gguf.write(tmp_path / "hub" / "models--Org--GG" / "snapshots" / OTHER / "gg-Q8_0.gguf")
    found = {model.name: model for model in catalog.scan([tmp_path / "hub"])}
    assert set(found) == {"Tiny-1B", "gg-Q8_0@ffffffff"}
    assert found["Tiny-1B"].revision == COMMIT
    assert Catalog(tmp_path / "other").find(str(main)).name == "Tiny-1B"


def test_a_repository_is_found_in_the_cache_without_a_scan(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = hub_cache(tmp_path / "hub", "Org/Tiny-1B")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    model = catalog.find("Org/Tiny-1B")
    assert (model.name, model.path, model.revision) == ("Tiny-1B", str(main), COMMIT)


def test_lm_studio(catalog: Catalog, tmp_path: Path) -> None:
    raw_gguf.write(tmp_path / "store" / "maker" / "Tiny-GGUF" / "tiny-Q8_0.gguf")
    folder(tmp_path / "store" / "maker" / "Tiny-MLX")
    found = {model.name: model for model in catalog.scan(stores=[Place("LM Studio", tmp_path / "store")])}
    assert found["tiny-Q8_0"].repository == "maker/Tiny-GGUF"
    assert found["tiny-Q8_0"].source == found["Tiny-MLX"].source == "LM Studio"


def test_ollama_gives_its_names_and_licences(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "store"
    layers = {"license": b"\n   LLAMA 9 COMMUNITY LICENSE\nmore", "template": b"{{ .Prompt }}", "system": b"You are"}
    blob = ollama(root, extra=layers)
    (model,) = catalog.scan(stores=[Place("Ollama", root)])
    assert (model.name, model.path, model.source, model.problem) == ("tiny:1b", str(blob), "Ollama", "")
    assert model.licence == "Apache-2.0"  # The file's own word goes first.
    assert "Ollama's own chat template is not used" in model.note
    assert "system prompt is not used" in model.note
    assert catalog.fingerprint(model) == blob.name.removeprefix("sha256-")
    assert catalog.find("tiny:1b").fingerprint
    assert Catalog(catalog.folder).list()[0].note == model.note


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (b"Apache License\nVersion 2.0", "Apache-2.0"),
        (b"MIT License", "MIT"),
        (b"LLAMA 9 LICENSE", "LLAMA 9 LICENSE"),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_licences_of_ollama(catalog: Catalog, tmp_path: Path, text: bytes, licence: str) -> None:
    from engines.places import _licence

    (tmp_path / "blob").write_bytes(text)
    assert _licence([tmp_path / "missing", tmp_path / "blob"]) == licence


def test_what_ollama_would_answer_otherwise_is_not_asked(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "store"
    ollama(root, "someone/tiny/x", extra={"adapter": b"x"})
    (model,) = catalog.scan(stores=[Place("Ollama", root)])
    assert model.name == "someone-tiny:x"
    assert "adapter" in model.problem
    assert "adapter" in catalog.list()[0].problem  # Nor later, though the file itself is sound.


def test_broken_stores_are_told_of(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "store"
    ollama(root).unlink()
    library = root / "manifests" / "registry.ollama.ai" / "library"
    (library / "bad").mkdir()
    (library / "bad" / "latest").write_text("{")
    (library / "bad" / "types").write_text('{"layers": [{"mediaType": 3, "digest": "sha256:../../x"}, 5]}')
    assert catalog.scan(stores=[Place("Ollama", root)]) == []
    assert any(line.endswith("bad/latest") for line in catalog.unread)
    assert catalog.scan(stores=[Place("Ollama", tmp_path / "nowhere")]) == []
