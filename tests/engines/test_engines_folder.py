"""Folders with Hugging Face models and their safetensors: what is read from them, and what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from folders import CARD, config, folder, safetensors, sharded, tensors
from hypothesis import given
from hypothesis import strategies as st

from engines.base import EngineError
from engines.catalog import Catalog
from engines.folder import describe_folder, front_matter
from engines.safetensors_format import read_safetensors, short_type

# -- safetensors ------------------------------------------------------------------------------------------------------


def test_a_header_is_read(tmp_path: Path) -> None:
    header = read_safetensors(safetensors(tmp_path / "a.safetensors", {"__metadata__": {"format": "pt"}} | tensors()))
    assert header.elements == {"BF16": 320 + 2 * 1024}
    assert header.sizes["model.layers.1.mlp.up_proj.weight"] == 2048
    assert header.size == (tmp_path / "a.safetensors").stat().st_size
    assert short_type({"F32": 1, "BF16": 5}) == "bf16"
    assert short_type({}) == ""


def changed(**changes: Any) -> dict[str, Any]:
    """The header with one tensor changed."""
    entries = tensors()
    entries["model.embed_tokens.weight"] |= changes
    return entries


@pytest.mark.parametrize(
    ("header", "options", "says"),
    [
        (b"", {"data": 0}, "would take 0 bytes"),
        (None, {"length": 1 << 62}, "would take 4,611,686,018,427,387,904 bytes"),
        (None, {"length": 30_000_000}, "is cut off"),
        (None, {"data": 100}, "is cut off: its tensors end at byte"),
        (None, {"data": 9999}, "belong to no tensor"),
        (b"[1]", {"data": 0}, "not what it should be"),
        (b"{" * 5000 + b"}" * 5000, {"data": 0}, "not what it should be"),
        (b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", {"data": 0}, "not what it should be"),
        (b'{"\xff": 1}', {"data": 0}, "not what it should be"),
        (changed(dtype="BF17"), {}, "unknown type BF17"),
        (changed(shape=[10, 33]), {}, "has 640 bytes for 330 numbers"),
        (changed(shape=[1 << 40, 1 << 40]), {}, "make no sense"),
        (changed(shape=[-1, 32]), {}, "make no sense"),
        (changed(shape=[1] * 20), {}, "20 dimensions"),
        (changed(data_offsets=[64, 704]), {}, "begins at byte"),
        (changed(data_offsets=[640, 0]), {}, "bytes for"),
        (changed(shape=["x"]), {}, "not what it should be"),
    ],
)
def test_a_header_that_cannot_be_true_is_one_line(tmp_path: Path, header: Any, options: Any, says: str) -> None:
    path = safetensors(tmp_path / "a.safetensors", header, **options)
    with pytest.raises(EngineError, match=says) as caught:
        read_safetensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"abc")
    with pytest.raises(EngineError, match="only 3 bytes"):
        read_safetensors(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(EngineError, match="git lfs pull"):
        read_safetensors(path)
    with pytest.raises(EngineError, match="does not exist"):
        read_safetensors(tmp_path / "no.safetensors")
    with pytest.raises(EngineError, match="not a regular file"):
        read_safetensors(tmp_path)


@given(st.binary(max_size=200), st.integers(0, 300))
def test_whatever_the_bytes_are_only_engine_errors_come_out(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(struct.pack("<Q", length) + data)
    with contextlib.suppress(EngineError):
        read_safetensors(path)


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_says_what_it_is(tmp_path: Path) -> None:
    model = describe_folder(folder(tmp_path / "Tiny-1B"))
    assert (model.engine, model.format, model.parameters, model.problem) == ("hf", "HF bf16", 2368, "")
    assert (model.architecture, model.context, model.vocabulary, model.template) == ("llama", 128, 10, True)
    assert (model.licence, model.languages, model.remote_code) == ("Apache-2.0", ("zh", "en"), False)
    assert model.parts == (str(tmp_path / "Tiny-1B" / "model.safetensors"),)
    assert model.memory.cache_per_token == 2 * 2 * 8 * 2 * 2  # Two heads of eight, keys and values, two layers.
    assert model.memory.layers == (2048, 2048)
    assert model.size == (tmp_path / "Tiny-1B" / "model.safetensors").stat().st_size


def test_a_model_in_several_files(tmp_path: Path) -> None:
    path = sharded(tmp_path / "two")
    model = describe_folder(path)
    assert (model.parameters, len(model.parts), model.problem) == (2368, 2, "")
    catalog = Catalog(tmp_path / "data")
    (known,) = catalog.scan([tmp_path / "two"])
    told: list[int] = []
    both = b"".join(Path(part).read_bytes() for part in sorted(model.parts))
    assert catalog.fingerprint(known, lambda done, total: told.append(total)) == hashlib.sha256(both).hexdigest()
    assert told[-1] == model.size
    (path / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors is missing" in catalog.list()[0].problem


def test_one_file_has_its_own_fingerprint(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "data")
    model = catalog.find(str(folder(tmp_path / "one")))
    whole = (tmp_path / "one" / "model.safetensors").read_bytes()
    assert catalog.fingerprint(model) == hashlib.sha256(whole).hexdigest()
    assert catalog.find("one").fingerprint
    (tmp_path / "one" / "config.json").write_text(json.dumps(config(max_position_embeddings=4096)))
    assert catalog.find("one").context == 4096  # Its config counts as a part of what is described.


def test_what_asks_for_code_is_marked(tmp_path: Path) -> None:
    model = describe_folder(folder(tmp_path / "a", auto_map={"AutoModelForCausalLM": "modeling_x.X"}))
    assert model.remote_code
    assert model.problem == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"architectures": ["BertModel"]}, "an embedding model or classifier"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "an embedding model or classifier"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"vocab_size": None}, "no language model"),
    ],
)
def test_models_that_write_no_text_say_so(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    assert says in describe_folder(folder(tmp_path / "a", **changes)).problem


@pytest.mark.parametrize(
    ("mark", "says"),
    [("adapter_config.json", "adapter"), ("model_index.json", "diffusion"), ("modules.json", "embedding")],
)
def test_folders_that_are_something_else_say_so(tmp_path: Path, mark: str, says: str) -> None:
    path = folder(tmp_path / "shelf" / "a")
    (path / mark).write_text("{}")
    folder(path / "unet")
    (model, *others) = Catalog(tmp_path / "data").scan([tmp_path / "shelf"])
    assert says in model.problem
    assert len(others) == (0 if mark != "adapter_config.json" else 1)  # Parts of a pipeline are no models.


def test_pickles_alone_are_listed_with_what_is_needed(tmp_path: Path) -> None:
    path = folder(tmp_path / "shelf" / "a", weights=False)
    (path / "pytorch_model-00001-of-00002.bin").write_bytes(b"\x80\x04")
    (model,) = Catalog(tmp_path / "data").scan([tmp_path / "shelf"])
    assert "safetensors are needed" in model.problem
    safetensors(path / "weights.safetensors")
    assert "not called model.safetensors" in describe_folder(path).problem


def test_a_folder_without_weights_is_none_of_a_model(tmp_path: Path) -> None:
    folder(tmp_path / "shelf" / "a", weights=False)
    assert Catalog(tmp_path / "data").scan([tmp_path / "shelf"]) == []


@pytest.mark.parametrize("name", ["../secret.safetensors", "a/b.safetensors", "x.bin", "..\\x.safetensors"])
def test_an_index_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    path = sharded(tmp_path / "a")
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(EngineError, match="no safetensors file beside it"):
        describe_folder(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "no reasonable JSON object"),
        ("{", "no JSON that can be read"),
        ("[" * 100_000, "no JSON that can be read"),
        ('{"a": ' * 80 + "1" + "}" * 80, "no reasonable JSON object"),
        (" " * ((4 << 20) + 2), "bytes that make sense"),
        (json.dumps(config(num_hidden_layers=10**9)), "1,000,000,000 layers"),
        (json.dumps(config(vocab_size=-4)), "which makes no sense"),
        (json.dumps(config(hidden_size=10**60)), "which makes no sense"),
    ],
    ids=["list", "cut", "deep", "nested", "large", "layers", "negative", "huge"],
)
def test_a_config_that_cannot_be_true_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = folder(tmp_path / "a")
    (path / "config.json").write_text(text)
    with pytest.raises(EngineError, match=says) as caught:
        describe_folder(path)
    assert len(str(caught.value).splitlines()) == 1
    (model,) = Catalog(tmp_path / "data").scan([path])
    assert says in model.problem


def test_configs_with_wrong_types_do_no_harm(tmp_path: Path) -> None:
    model = describe_folder(
        folder(tmp_path / "a", architectures="x", model_type=3, auto_map=[], quantization_config=7, head_dim="big")
    )
    assert (model.architecture, model.remote_code, model.format) == ("", False, "HF bf16")


def test_numbers_of_a_model_for_pictures_and_text_are_those_of_its_text(tmp_path: Path) -> None:
    inner = config(vocab_size=99)
    path = folder(tmp_path / "a", **dict.fromkeys(inner), text_config=inner)
    model = describe_folder(path)
    assert (model.vocabulary, model.context) == (99, 128)


def test_quantised_weights_are_named_and_not_counted(tmp_path: Path) -> None:
    model = describe_folder(folder(tmp_path / "a", quantization_config={"quant_method": "gptq", "bits": 4}))
    assert (model.format, model.parameters) == ("HF gptq 4-bit", 0)


@pytest.mark.parametrize(
    ("card", "found"),
    [
        (CARD, {"license": "apache-2.0", "language": ["zh", "en"]}),
        ("---\nlicense: other\nlicense_name: gemma\nextra: [\n---\n", {"license": "other", "license_name": "gemma"}),
        ("no front matter", {}),
        ("---\nlicense: [\n---\n", {}),
        ("---\nlicense: !!python/object/apply:os.system ['true']\n---\n", {}),
        ("---\nlanguage: " + "[" * 5000 + "\n---\n", {}),
        ("---\nlanguage:\n" + "- zh\n" * 100_000 + "---\n", {}),
    ],
    ids=["usual", "rest", "none", "broken", "code", "nested", "long"],
)
def test_model_cards(card: str, found: dict[str, object]) -> None:
    assert front_matter(card) == found


def test_norwegian_is_a_language(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", card="---\nlanguage:\n- no\n- sv\n- 3\n---\n")
    assert describe_folder(path).languages == ("no", "sv")


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "data")
    path = folder(tmp_path / "Some Model")
    model = catalog.find(str(path))
    assert (model.name, model.origin, model.engine) == ("Some-Model", "added", "hf")
    assert catalog.find(f"{path}/") == model
    with pytest.raises(EngineError, match="is a folder"):
        catalog.find(str(tmp_path) + "/")
