"""Hugging Face models through PyTorch and transformers: exact log-probabilities, streamed answers, layers read.

Runs in a child process (`engines.host`); nothing else imports it. It has no network, loads safetensors only, renders
chat templates with `engines.chat` (never with the library's own call), keeps the scoring rules of `engines.choices`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import accelerate
import numpy as np
import torch
import transformers

from engines.answers import most_likely
from engines.base import (
    ChoiceRequest,
    ChoiceScores,
    GenerateRequest,
    LayerReadout,
    LayerRequest,
    LoadOptions,
    ModelCard,
    Shape,
    Token,
    TokenPiece,
)
from engines.chat import TemplateError
from engines.choices import score_request
from engines.encoding import Encoder, NoRoom
from engines.hf_folder import Folder
from engines.hf_generating import write
from engines.hf_layers import Layers
from engines.hf_loading import Loaded, load_folder
from engines.hf_network import Network
from engines.hf_pieces import Pieces
from engines.hf_scoring import Scoring
from engines.threads import Calibration


class HfEngine:
    """A Hugging Face model in this process. See `engines.base.Engine`; one thread calls it, any thread may `cancel`."""

    def __init__(self, folder: Folder, options: LoadOptions, *, name: str = "", fingerprint: str = "") -> None:
        """Load. Raises EngineError when transformers does not take the folder, or the device is not there."""
        name = name or folder.path.name
        torch.set_num_threads(options.threads or 1)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self._cancel = threading.Event()
        loaded = load_folder(folder, options, name)
        self._tokenizer = loaded.tokenizer
        self._network = Network(loaded.model, name, self._cancel)
        self._layers = Layers(self._network)
        self._pieces = Pieces(loaded.tokenizer)
        self._ends = _ends(loaded)
        self._grammars: Any = None
        config = loaded.model.config.get_text_config()
        trained = getattr(config, "max_position_embeddings", 0) or 0
        self._scoring = Scoring(self._network, min(options.context, trained) if trained > 0 else options.context)
        template = _template(loaded.tokenizer)
        self.encoder = Encoder(
            self._tokenize,
            name=name,
            template=template,
            start=_start(loaded.tokenizer),
            adds_start=_adds_start(loaded.tokenizer),
            start_text=loaded.tokenizer.bos_token or "",
            end_text=loaded.tokenizer.eos_token or "",
        )
        self._threads = Calibration(torch.set_num_threads, self._probe, fixed=options.threads)
        self.card = self._describe(folder, loaded, template, trained, name, fingerprint)

    def _describe(
        self, folder: Folder, loaded: Loaded, template: str, trained: int, name: str, fingerprint: str
    ) -> ModelCard:
        can = ["score", "generate", "tokenize", "schema", *(["layers"] if self._layers.usable else [])]
        if getattr(loaded.tokenizer, "backend_tokenizer", None) is None:
            can.remove("schema")
        return ModelCard(
            name=name,
            engine="hf",
            path=str(folder.path),
            fingerprint=fingerprint,
            architecture=str(getattr(loaded.model.config, "model_type", "")),
            parameters=int(loaded.model.num_parameters()),
            quantisation=loaded.quantisation,
            size=sum(file.stat().st_size for file in folder.weights),
            context=self._scoring.context_length,
            trained_context=trained,
            vocabulary=self._network.vocabulary,
            template=template,
            template_hash=hashlib.sha256(template.encode()).hexdigest() if template else "",
            can=tuple(can),
            branching=self._network.branching,
            device=loaded.device,
            offload=loaded.offload,
            threads=self._threads.count,
            libraries={
                "torch": str(torch.__version__),
                "transformers": transformers.__version__,
                "accelerate": accelerate.__version__,
                "numpy": np.__version__,
            },
        )

    def _probe(self) -> int:
        """Decode a little of nothing in particular; returns the number of tokens (for calibrating the threads)."""
        tokens = [(index * 7919) % self._network.vocabulary for index in range(48)]
        self._network.project(self._network.hidden([tokens])[0, -1:])
        return len(tokens)

    # -- tokens -------------------------------------------------------------------------------------------------

    def _tokenize(self, text: str, *, special: bool) -> list[int]:
        if not text:
            return []
        # A lone surrogate, which no tokenizer takes, becomes a question mark, as in the other engines.
        text = text.encode("utf-8", "replace").decode()
        ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=not special)["input_ids"]
        return [int(token) for token in ids]

    def _shown(self, token: int) -> bytes:
        return self._pieces.bytes_of(token, special=True)

    def tokenize(self, text: str) -> list[TokenPiece]:
        return [
            TokenPiece(token, self._shown(token).decode("utf-8", "replace"))
            for token in self._tokenize(text, special=False)
        ]

    # -- what is asked ------------------------------------------------------------------------------------------

    def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
        self._cancel.clear()
        for request in requests:
            yield score_request(self.encoder, self._scoring, request, shape)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Token]]:
        self._cancel.clear()
        for index, request in enumerate(requests):
            for token in self._generate(request):
                yield index, token

    def _generate(self, request: GenerateRequest) -> Iterator[Token]:
        room = self._scoring.context_length
        try:
            tokens = self.encoder.begin(request, room)
        except (TemplateError, NoRoom) as error:
            yield Token("", finish="error", error=str(error))
            return
        yield from write(
            self._network,
            tokens,
            request,
            room=room,
            grammar=self._grammar(request.schema),
            pieces=self._pieces,
            is_end=self._ends.__contains__,
        )

    def _grammar(self, schema: str) -> Any:
        if not schema:
            return None
        from engines.hf_grammar import Grammars

        if self._grammars is None:
            self._grammars = Grammars(self._tokenizer, self._network.vocabulary, sorted(self._ends))
        return self._grammars.of(schema)

    def layers(self, request: LayerRequest) -> LayerReadout:
        self._cancel.clear()
        tokens = self.encoder.encode(request.prompt, request.prefix)
        if not tokens and self.encoder.start >= 0:
            tokens = [self.encoder.start]
        return self._layers.read(tokens, request, lambda logprobs, count: most_likely(logprobs, count, self._shown))

    # -- life ---------------------------------------------------------------------------------------------------

    def share_cores(self, threads: int) -> None:
        """See `Engine.share_cores`."""
        self._threads.share(threads)

    def watch_speed(self, tokens: int, seconds: float) -> None:
        """Tell how long some work took, so that a collapse of speed leads to a new calibration of the threads."""
        if self._threads.collapsed(tokens, seconds):
            self._threads.calibrate()

    def cancel(self) -> None:
        self._cancel.set()

    def close(self) -> None:
        self._scoring.forget()


def _template(tokenizer: Any) -> str:
    """The chat template: the one called `default` where there are several."""
    found = getattr(tokenizer, "chat_template", None)
    if isinstance(found, dict):
        found = found.get("default")
    return found if isinstance(found, str) else ""


def _start(tokenizer: Any) -> int:
    return int(tokenizer.bos_token_id) if tokenizer.bos_token_id is not None else -1


def _adds_start(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts the start token before a text."""
    ids = tokenizer("a")["input_ids"]
    return bool(ids) and tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id


def _ends(loaded: Loaded) -> frozenset[int]:
    """The tokens that end an answer, by the tokenizer and by what the model's makers generate with."""
    found: set[int] = set()
    generation = getattr(loaded.model, "generation_config", None)
    for ends in (
        loaded.tokenizer.eos_token_id,
        getattr(generation, "eos_token_id", None),
        getattr(loaded.model.config.get_text_config(), "eos_token_id", None),
    ):
        found.update(ends if isinstance(ends, list | tuple) else [] if ends is None else [ends])
    return frozenset(int(end) for end in found)
