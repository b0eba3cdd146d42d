"""Loading a model folder with transformers: device, precision, offload; nothing from the network, nothing pickled."""

from __future__ import annotations

from typing import Any

import msgspec
import torch

from engines.base import EngineError, LoadOptions
from engines.files import printable
from engines.hf_folder import Folder

_LOAD = (
    AttributeError, AssertionError, ImportError, KeyError, IndexError, NotImplementedError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What loading raises for a folder that is damaged, incomplete or of an unknown kind."""


class Loaded(msgspec.Struct, frozen=True):
    """A model with its tokenizer, and how it came to lie where it does."""

    model: Any
    tokenizer: Any
    device: str
    """For people: `CPU`, `Metal`, `CUDA:0 (NVIDIA …)`."""
    offload: str
    quantisation: str
    """`F32`, `BF16`, `F16`, `INT8`, `INT4`."""


def load_folder(folder: Folder, options: LoadOptions, name: str) -> Loaded:
    """Raises EngineError (one line) when the model cannot be loaded, or not in this way."""
    from safetensors import SafetensorError

    device = choose_device(options)
    dtype = choose_dtype(options, device, folder.config)
    asked: dict[str, Any] = {
        "dtype": dtype,
        "local_files_only": True,
        "trust_remote_code": options.remote_code,
    }
    placed: dict[str, Any] = {}
    if options.quantise:
        placed["quantization_config"] = _quantised(options, name, dtype)
    if options.device_map:
        placed["device_map"] = options.device_map
    elif device.type != "cpu" or options.quantise:
        placed["device_map"] = {"": str(device)}
    try:
        tokenizer = _tokenizer(folder, options)
        model, found = _model(folder, {**asked, **placed, "output_loading_info": True})
    except (*_LOAD, SafetensorError) as error:
        raise EngineError(f"{name}: transformers does not load it: {_line(error)}") from error
    except MemoryError as error:
        raise EngineError(f"{name}: not enough memory to load it as {_short(dtype)}: choose another dtype") from error
    if absent := sorted(map(str, (*found["missing_keys"], *found["mismatched_keys"]))):
        # transformers fills them with random numbers, and those would then be audited.
        raise EngineError(
            f"{name}: {len(absent):,} of its weights are missing or of another shape than its config says (the first: "
            f"{printable(absent[0], 80)}): download the model again"
        )
    model.eval()
    model.requires_grad_(False)
    return Loaded(
        model,
        tokenizer,
        _said_device(model, device),
        _said_offload(model, options),
        {"8bit": "INT8", "4bit": "INT4"}.get(options.quantise) or _stored(folder.config) or _short(dtype),
    )


def choose_device(options: LoadOptions) -> torch.device:
    """The device that is asked for, or the best there is. Raises EngineError for one that is not there."""
    cuda, metal = torch.cuda.is_available(), torch.backends.mps.is_available()
    wanted = options.device.strip().lower() or "auto"
    if wanted == "auto":
        if options.gpu_layers == 0:
            return torch.device("cpu")
        return torch.device("cuda:0" if cuda else "mps" if metal else "cpu")
    kind, _, number = wanted.partition(":")
    if kind not in {"cpu", "cuda", "mps"} or (number and not number.isdigit()):
        raise EngineError(f"there is no device {options.device!r}: choose auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and (not cuda or int(number or 0) >= torch.cuda.device_count()):
        there = f"there are {torch.cuda.device_count()}" if cuda else "PyTorch sees no CUDA device"
        raise EngineError(f"device {options.device} is not there: {there}; choose auto or cpu")
    if kind == "mps" and not metal:
        raise EngineError("device mps is not there: PyTorch sees no Metal; choose auto or cpu")
    return torch.device(f"cuda:{number or 0}" if kind == "cuda" else kind)


def choose_dtype(options: LoadOptions, device: torch.device, config: dict[str, Any]) -> torch.dtype:
    """The precision that is asked for; by itself float32 on a CPU, else what the weights are stored in."""
    if options.dtype != "auto":
        found: torch.dtype = getattr(torch, options.dtype)
        return found
    if device.type == "cpu":
        return torch.float32
    text = config.get("text_config")
    said = config.get("dtype") or config.get("torch_dtype")
    if not said and isinstance(text, dict):
        said = text.get("dtype") or text.get("torch_dtype")
    return {"float16": torch.float16, "float32": torch.float32}.get(str(said), torch.bfloat16)


def _quantised(options: LoadOptions, name: str, dtype: torch.dtype) -> Any:
    import importlib.util

    if importlib.util.find_spec("bitsandbytes") is None:
        raise EngineError(
            f"{name}: loading in {options.quantise} needs bitsandbytes: `pip install bitsandbytes`, or load it as it is"
        )
    from transformers import BitsAndBytesConfig

    if options.quantise == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _tokenizer(folder: Folder, options: LoadOptions) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        str(folder.path), local_files_only=True, trust_remote_code=options.remote_code, use_fast=True
    )


def _model(folder: Folder, asked: dict[str, Any]) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    path = str(folder.path)
    try:
        return AutoModelForCausalLM.from_pretrained(path, use_safetensors=True, **asked)
    except ValueError as error:
        # A checkpoint that also sees pictures: it is asked with text only.
        if "Unrecognized configuration class" not in str(error):
            raise
    return AutoModelForImageTextToText.from_pretrained(path, use_safetensors=True, **asked)


def _stored(config: dict[str, Any]) -> str:
    """The quantisation that the weights themselves have (GPTQ, AWQ, FP8…); "" for plain ones."""
    found = config.get("quantization_config")
    return str(found.get("quant_method", "quantised"))[:20].upper() if isinstance(found, dict) else ""


def _short(dtype: torch.dtype) -> str:
    return {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}.get(dtype, str(dtype))


def _said_device(model: Any, device: torch.device) -> str:
    map_ = getattr(model, "hf_device_map", None)
    used = {str(place) for place in map_.values()} if map_ else {str(device)}
    gpus = sorted(place for place in used if place not in {"cpu", "disk", "mps"})
    if gpus:
        first = int(gpus[0].removeprefix("cuda:")) if gpus[0].removeprefix("cuda:").isdigit() else 0
        return (
            " + ".join([f"CUDA:{place.removeprefix('cuda:')}" for place in gpus])
            + f" ({torch.cuda.get_device_name(first)})"
        )
    return "Metal" if "mps" in used else "CPU"


def _said_offload(model: Any, options: LoadOptions) -> str:
    """Where the parts lie, in words."""
    map_ = getattr(model, "hf_device_map", None)
    if not map_:
        return "none"
    places = [str(place) for place in map_.values()]
    away = [place for place in places if place in {"cpu", "disk"}]
    if len(away) == len(places):
        return "none"
    if not away:
        return "all on GPU"
    return f"{len(places) - len(away)}/{len(places)} parts on GPU, {len(away)} on {' and '.join(sorted(set(away)))}"


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
