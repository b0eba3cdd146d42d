"""Loading Hugging Face folders: what is refused, and how; devices, precision, offload; memory."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the hf extra is not installed (make install-hf)")
pytest.importorskip("transformers", reason="the hf extra is not installed (make install-hf)")

from tiny_hf import change_json, write_tiny_hf

from engines.base import ChoiceRequest, EngineError, GenerateRequest, LoadOptions, Message
from engines.hf_folder import check_folder
from engines.process import EngineProcess, open_engine

ONE_THREAD = LoadOptions(context=512, threads=1)
CHAT = (Message("user", "hello"),)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_hf(tmp_path_factory.mktemp("hf") / "tiny")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))


def refused(folder: Path, says: str, options: LoadOptions = ONE_THREAD) -> str:
    with pytest.raises(EngineError, match=says) as caught:
        open_engine(str(folder), options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class _Trap:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self._mark), os.O_CREAT)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickled_weights_are_refused_and_never_opened(copy: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    (copy / "model.safetensors").unlink()
    (copy / name).write_bytes(pickle.dumps(_Trap(mark)))
    assert name in refused(copy, "pickle")
    assert not mark.exists()


def test_pickled_weights_beside_safetensors_are_not_opened(copy: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(_Trap(mark)))
    open_engine(str(copy), ONE_THREAD).close()
    assert not mark.exists()


def _with_code(folder: Path, mark: Path) -> None:
    change_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.OwnForCausalLM"})
    (folder / "modeling_own.py").write_text(
        f"import os\nos.open({str(mark)!r}, os.O_CREAT)\n"
        "from transformers import LlamaForCausalLM\nclass OwnForCausalLM(LlamaForCausalLM):\n    pass\n"
    )


def test_a_models_own_code_is_refused_unless_it_is_allowed(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    _with_code(copy, mark)
    said = refused(copy, "asks to run code")
    assert "modeling_own" in said
    assert "remote_code" in said
    assert not mark.exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    engine = open_engine(str(copy), LoadOptions(context=512, threads=1, remote_code=True))
    assert next(iter(engine.score([ChoiceRequest("x", (" a", " b"))]))).options
    engine.close()
    assert mark.exists()


def test_code_of_the_tokenizer_is_refused_too(copy: Path) -> None:
    change_json(copy / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_own.Own", None]})
    assert "tokenization_own" in refused(copy, "asks to run code")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "takes longer"),
        ("{{ 'a' * 10 ** 10 }}", "memory"),
        ("{% for a in range(2000) %}{{ 'a' * 1000 }}{% endfor %}", "characters"),
        ("{{ ''.__class__.__mro__ }}", "sandbox"),
        ("{% for %}", "does not render"),
    ],
)
def test_a_hostile_template_is_refused_in_one_line(hostile: EngineProcess, template: str, says: str) -> None:
    del template
    (scores,) = hostile.score([ChoiceRequest(CHAT, ("a", "b"))])
    assert says in scores.error
    assert "\n" not in scores.error
    ((_, token),) = hostile.generate([GenerateRequest(CHAT)])
    assert token.finish == "error"
    assert says in token.error
    assert next(iter(hostile.score([ChoiceRequest("plain", (" a", " b"))]))).options


@pytest.fixture
def hostile(tmp_path: Path, template: str) -> Iterator[EngineProcess]:
    engine = open_engine(str(write_tiny_hf(tmp_path / "hostile", template=template)), ONE_THREAD)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: change_json(folder / "config.json", model_type="unheard-of"), "does not load"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "does not load"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:-3000]
            ),
            "does not load",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "../../model.safetensors"}}'
            ),
            "names a weight file that is none",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "b.safetensors"}}'
            ),
            "lacks b.safetensors",
        ),
    ],
    ids=["no config", "cut config", "no weights", "unknown", "no tokenizer", "cut weights", "outside", "missing part"],
)
def test_what_cannot_be_loaded_is_refused_in_one_line(copy: Path, change: object, says: str) -> None:
    change(copy)  # type: ignore[operator]
    refused(copy, says)


def test_weights_that_do_not_belong_to_the_config_are_refused(copy: Path) -> None:
    # transformers would fill what is missing with random numbers, and those would be audited.
    change_json(copy / "config.json", num_hidden_layers=4)
    refused(copy, "missing")


def test_a_folder_of_the_hugging_face_cache_is_its_main_snapshot(tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "models--some--tiny"
    for revision in ("aaa", "bbb"):
        shutil.copytree(tiny, model / "snapshots" / revision)
    with pytest.raises(EngineError, match="2 snapshots"):
        check_folder(model)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("bbb")
    assert check_folder(model).path == model / "snapshots" / "bbb"
    assert [file.name for file in check_folder(model).weights] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (LoadOptions(device="cuda:7"), "cuda:7 is not there"),
        (LoadOptions(device="abacus"), "no device 'abacus'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(tiny: Path, options: LoadOptions, says: str) -> None:
    refused(tiny, says, options)


def test_quantising_without_its_library_is_refused(tiny: Path) -> None:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        refused(tiny, "bitsandbytes", LoadOptions(quantise="4bit"))
    else:
        pytest.skip("bitsandbytes is installed")


@pytest.mark.parametrize(
    ("options", "quantisation"),
    [
        (LoadOptions(context=512, threads=1, dtype="bfloat16"), "BF16"),
        (LoadOptions(context=512, threads=1, dtype="float16"), "F16"),
        (LoadOptions(context=512, threads=1, device="cpu", device_map="auto"), "F32"),
    ],
    ids=["bfloat16", "float16", "device map"],
)
def test_precision_and_device_map(tiny: Path, options: LoadOptions, quantisation: str) -> None:
    engine = open_engine(str(tiny), options)
    assert engine.card.quantisation == quantisation
    request = ChoiceRequest("The pineapple cake is", (" very sweet", " not", " old"))
    (fast,), (plain,) = engine.score([request]), engine.score([request], "plain")
    gaps = [abs(a.logprob - b.logprob) for a, b in zip(fast.options, plain.options, strict=True)]
    # Random weights this wild round far worse than trained ones, whose limit is .05.
    assert max(gaps) <= (1e-3 if quantisation == "F32" else 2.0)
    engine.close()


def test_a_model_without_template_says_so_when_it_is_asked_as_a_chat(tmp_path: Path) -> None:
    engine = open_engine(str(write_tiny_hf(tmp_path / "bare", template="")), ONE_THREAD)
    assert engine.card.template == engine.card.template_hash == ""
    with pytest.raises(EngineError, match="no chat template"):
        list(engine.score([ChoiceRequest(CHAT, ("a", "b"))]))
    engine.close()
