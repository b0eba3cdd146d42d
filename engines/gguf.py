"""GGUF models through llama.cpp's low-level batch calls: exact log-probabilities and streamed answers.

Runs in a child process (`engines.host`); nothing else imports it. Rules that the code below keeps:

- an item's prompt and the tree of its options are decoded in one batch, the part of the prompt that all items of a task
  share once, in a batch of its own (`share`), whose cells the options then refer to;
- logits exist only at the positions that are needed;
- a score depends on shared prefix and item alone: before an item, the cache holds the shared prefix and nothing else,
  in the same cells.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from engines.answers import most_likely
from engines.base import (
    Cancelled,
    ChoiceRequest,
    ChoiceScores,
    EngineError,
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
from engines.choices import OptionResult, Row, TooLong, score_request, wanted_tokens
from engines.encoding import Encoder, NoRoom
from engines.gguf_grammar import LlamaGrammar
from engines.header import GgufHeader, read_header
from engines.sampling import Sampler, log_softmax
from engines.threads import Calibration
from engines.trie import Node
from engines.writer import Writer

SEQUENCES = 64
"""Sequences in the cache: 0 holds the shared prefix, the last one what fills a batch up, the others an option each."""
FILLER = SEQUENCES - 1
UBATCH = 512
TILE = 8
"""Rows that matrix kernels of llama.cpp take together. Those left over at the end of a batch go through other kernels,
that round differently, so batches that are scored are filled up to whole tiles: what a token's logits are then does not
depend on how many others came with it. (Measured on Q4_K_M: 0.015 instead of 0.117 nats between the branched and the
plain layout, at no cost in speed.)"""
ABORTABLE = 16
"""Batches of more tokens than this can be aborted half way; for smaller ones the check between batches is enough, and
the callback's cost would show."""


_NO_CALLBACK = llama_cpp.ggml_abort_callback(0)


class GgufEngine:
    """A GGUF model in this process. See `engines.base.Engine`; one thread calls it, any thread may `cancel`."""

    def __init__(self, path: Path, options: LoadOptions, *, name: str = "", fingerprint: str = "") -> None:
        """Load. Raises EngineError when the file is not a sound GGUF or llama.cpp refuses it."""
        header = read_header(path)
        llama_cpp.llama_backend_init()
        self._cancel = threading.Event()
        self._log: list[str] = []
        self._log_callback = llama_cpp.llama_log_callback(self._collect)
        llama_cpp.llama_log_set(self._log_callback, ctypes.c_void_p(0))
        self._model = self._load(path, options)
        vocab = llama_cpp.llama_model_get_vocab(self._model)
        if vocab is None:
            raise EngineError(f"{path.name}: the file has no vocabulary, so it cannot be asked anything")
        self._vocab = vocab
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(self._vocab)
        if not llama_cpp.llama_model_has_decoder(self._model) or llama_cpp.llama_model_has_encoder(self._model):
            raise EngineError(f"{path.name}: not a causal language model (its architecture has an encoder)")
        self.branching = not (
            llama_cpp.llama_model_is_recurrent(self._model) or llama_cpp.llama_model_is_hybrid(self._model)
        )
        trained = llama_cpp.llama_model_n_ctx_train(self._model)
        self.context_length = min(options.context, trained) if trained > 0 else options.context
        self._context = self._open_context(header.quantisation == "F32", path)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._abort = llama_cpp.ggml_abort_callback(lambda _: self._cancel.is_set())
        self._batch = _Batch(self.context_length + 2 * TILE, SEQUENCES)
        self._shared: tuple[int, ...] = ()
        self._threads = Calibration(self._set_threads, self._probe, fixed=options.threads)
        self._template = self._read_template()
        self.encoder = Encoder(
            self._tokenize,
            name=name or path.stem,
            template=self._template,
            start=self._start,
            adds_start=bool(llama_cpp.llama_vocab_get_add_bos(self._vocab)),
            start_text=self._text_of(self._start),
            end_text=self._text_of(self._end),
        )
        self.card = self._describe(path, header, options, name or path.stem, fingerprint)

    # -- loading ------------------------------------------------------------------------------------------------

    def _collect(self, _level: int, text: bytes, _data: ctypes.c_void_p) -> None:
        self._log.append(text.decode("utf-8", "replace").rstrip())
        del self._log[:-400]

    def _last_error(self) -> str:
        lines = [line for line in self._log if "error" in line.lower() or "failed" in line.lower()]
        return lines[-1][-300:] if lines else (self._log[-1][-300:] if self._log else "no reason given")

    def _load(self, path: Path, options: LoadOptions) -> llama_cpp.llama_model_p:
        parameters = llama_cpp.llama_model_default_params()
        offload = llama_cpp.llama_supports_gpu_offload()
        parameters.n_gpu_layers = options.gpu_layers if offload else 0
        # Weights repacked for wide batches are multiplied by kernels that round differently from the plain ones, for a
        # gain in speed that models of this size do not show.
        parameters.use_extra_bufts = False
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if not model:
            raise EngineError(f"{path.name}: llama.cpp does not load it: {self._last_error()}")
        return model

    def _open_context(self, full_precision: bool, path: Path) -> llama_cpp.llama_context_p:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = self.context_length + 2 * TILE
        parameters.n_ubatch = UBATCH
        parameters.n_seq_max = SEQUENCES if self.branching else 1
        # One cache for all sequences, so that options can refer to the cells of their common prompt.
        parameters.kv_unified = True
        # A sliding-window cache that forgets would make a branch depend on what was decoded before it.
        parameters.swa_full = True
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.no_perf = True
        if full_precision:
            parameters.type_k = parameters.type_v = llama_cpp.GGML_TYPE_F32
        context = llama_cpp.llama_init_from_model(self._model, parameters)
        if not context:
            raise EngineError(
                f"{path.name}: no memory for a context of {self.context_length:,} tokens: {self._last_error()}; "
                "choose a smaller context"
            )
        return context

    def _read_template(self) -> str:
        raw = llama_cpp.llama_model_chat_template(self._model, None)
        return raw.decode("utf-8", "replace") if raw else ""

    def _describe(self, path: Path, header: GgufHeader, options: LoadOptions, name: str, fingerprint: str) -> ModelCard:
        import hashlib

        offloaded = [line for line in self._log if "offloaded" in line and "layers to GPU" in line]
        offload = offloaded[-1].split("offloaded")[-1].strip() if offloaded else "none"
        on_gpu = bool(offloaded) and not offload.startswith("0/")
        can = ("score", "generate", "tokenize", "schema")
        return ModelCard(
            name=name,
            engine="gguf",
            path=str(path),
            fingerprint=fingerprint,
            architecture=header.architecture,
            parameters=int(llama_cpp.llama_model_n_params(self._model)),
            quantisation=header.quantisation,
            size=path.stat().st_size,
            context=self.context_length,
            trained_context=int(llama_cpp.llama_model_n_ctx_train(self._model)),
            vocabulary=self._vocabulary,
            template=self._template,
            template_hash=hashlib.sha256(self._template.encode()).hexdigest() if self._template else "",
            can=can,
            branching=self.branching,
            device=_gpu_name() if on_gpu else "CPU",
            offload=offload if on_gpu else "none",
            threads=self._threads.count,
            libraries={"llama-cpp-python": llama_cpp.__version__, "numpy": np.__version__},
        )

    def _set_threads(self, count: int) -> None:
        llama_cpp.llama_set_n_threads(self._context, count, count)

    def _probe(self) -> int:
        """Decode a little of nothing in particular; returns the number of tokens (for calibrating the threads)."""
        self._forget()
        tokens = [(index * 7919) % max(self._vocabulary - 1, 1) for index in range(48)]
        self._batch.clear()
        for position, token in enumerate(tokens):
            self._batch.add(token, position, (0,), position == len(tokens) - 1)
        self._decode()
        self._forget()
        return len(tokens)

    # -- tokens -------------------------------------------------------------------------------------------------

    def _tokenize(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        while True:
            buffer = (llama_cpp.llama_token * size)()
            count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, size, False, special)
            if count >= 0:
                return list(buffer[:count])
            size = -count

    def _piece(self, token: int, *, special: bool = False) -> bytes:
        size = 64
        while True:
            buffer = (ctypes.c_char * size)()
            count = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _shown(self, token: int) -> bytes:
        return self._piece(token, special=True)

    def _text_of(self, token: int) -> str:
        return self._piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def _start(self) -> int:
        return int(llama_cpp.llama_vocab_bos(self._vocab))

    @property
    def _end(self) -> int:
        return int(llama_cpp.llama_vocab_eos(self._vocab))

    def layers(self, request: LayerRequest) -> LayerReadout:
        raise EngineError("llama.cpp does not give the states of a model's layers: load it as a Hugging Face model")

    def tokenize(self, text: str) -> list[TokenPiece]:
        return [
            TokenPiece(token, self._piece(token, special=True).decode("utf-8", "replace"))
            for token in self._tokenize(text, special=False)
        ]

    # -- decoding -----------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        llama_cpp.llama_memory_clear(self._memory, False)
        self._shared = ()

    def _forget_item(self) -> None:
        """Leave the shared prefix alone in the cache, as it is before every item: somebody who types at a live prompt
        cancels at every key, and should not wait for what all the prompts have in common again."""
        if not self._shared:
            self._forget()
            return
        for sequence in range(1, SEQUENCES):
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def _decode_tiled(self) -> None:
        """Decode the batch, filled up so that its tokens, and those whose logits are wanted, make whole tiles."""
        if not self.branching:
            self._decode()
            return
        outputs = -self._batch.outputs % TILE
        while self._batch.count % TILE or outputs > 0:
            self._batch.fill(outputs > 0)
            outputs -= 1
        self._decode()
        if self._batch.fillers:
            llama_cpp.llama_memory_seq_rm(self._memory, FILLER, -1, -1)

    def _decode(self) -> None:
        if self._cancel.is_set():
            self._forget_item()
            raise Cancelled("cancelled")
        abortable = self._batch.count > ABORTABLE
        if abortable:
            llama_cpp.llama_set_abort_callback(self._context, self._abort, ctypes.c_void_p(0))
        status = llama_cpp.llama_decode(self._context, self._batch.raw)
        if abortable:
            llama_cpp.llama_set_abort_callback(self._context, _NO_CALLBACK, ctypes.c_void_p(0))
        if status == 0:
            return
        if status == 2 or self._cancel.is_set():
            self._forget_item()
            raise Cancelled("cancelled")
        self._forget()
        if status == 1:
            raise TooLong
        raise EngineError(f"llama.cpp could not decode (status {status}): {self._last_error()}")

    def _logits(self, index: int) -> NDArray[np.float32]:
        pointer = llama_cpp.llama_get_logits_ith(self._context, index)
        if not pointer:
            raise EngineError(f"llama.cpp gave no logits for position {index}")
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))

    def share(self, shared: Sequence[int], reused: int) -> None:
        """Leave exactly these tokens in the cache, as sequence 0, decoded in a batch of their own.

        No more than the item goes on from: a cell between prefix and item would shift the lanes of its attention.
        """
        tokens = shared[:reused]
        if tuple(tokens) == self._shared and tokens:
            return
        self._forget()
        if not tokens:
            return
        self._batch.clear()
        for position, token in enumerate(tokens):
            self._batch.add(token, position, (0,), False)
        self._decode_tiled()
        self._shared = tuple(tokens)

    # -- scoring ------------------------------------------------------------------------------------------------

    def score(self, requests: Sequence[ChoiceRequest], shape: Shape = "branched") -> Iterator[ChoiceScores]:
        self._cancel.clear()
        for request in requests:
            yield score_request(self.encoder, self, request, shape)

    def branched(self, head: list[int], reused: int, nodes: list[Node], options: int, chunk: int) -> dict[int, Row]:
        """Decode prompt and tree; the distributions after the prompt (-1) and after each inner node, by its index.

        Leaves are not decoded: nobody asks what comes after them. The sequences are used in groups where there are
        more options than sequences: the prompt is then decoded with the first group and stays for the others. Each
        token of an option gets a cell that lies whole tiles after the one that it would have alone, so that attention
        adds up the same numbers in the same lanes. A `chunk` is a layout to be compared with: the prompt in pieces, and
        nothing filled up.
        """
        wanted = wanted_tokens(nodes)
        rows: dict[int, Row] = {}
        # Close to the end of the context there is no room for it.
        aligned = not chunk and len(head) + len(nodes) + TILE * options <= self.context_length
        room = SEQUENCES - 2
        prompt_sequences = range(1, min(options, room) + 1)
        if reused:
            for sequence in prompt_sequences:
                llama_cpp.llama_memory_seq_cp(self._memory, 0, sequence, 0, reused)
        position = reused
        while chunk and position + chunk < len(head):
            self._batch.clear()
            for offset in range(position, position + chunk):
                self._batch.add(head[offset], offset, prompt_sequences, False)
            self._decode()
            position += chunk
        for first in range(0, options, room):
            group = range(first, min(first + room, options))
            self._batch.clear()
            if first == 0:
                for offset in range(position, len(head)):
                    self._batch.add(head[offset], offset, prompt_sequences, offset == len(head) - 1)
            else:
                for sequence in prompt_sequences:
                    llama_cpp.llama_memory_seq_rm(self._memory, sequence, len(head), -1)
            tree = self._batch.count
            at: dict[int, int] = {-1: tree - 1} if first == 0 else {}
            for index, node in enumerate(nodes):
                sequences = [option - first + 1 for option in node.options if option in group]
                if node.inner and sequences:
                    while aligned and (self._batch.count - tree - node.depth) % TILE:
                        self._batch.fill(False)
                    at[index] = self._batch.count
                    self._batch.add(node.token, len(head) + node.depth, sequences, True)
            if not at:
                continue
            if chunk:
                self._decode()
            else:
                self._decode_tiled()
            for index, place in at.items():
                rows.setdefault(index, _row(self._logits(place), wanted[index]))
        for sequence in prompt_sequences:
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return rows

    def plain(self, tokens: list[int], start: int) -> OptionResult:
        """One option with its whole prompt as one sequence in one batch: the reference that needs no cleverness."""
        self._forget()
        self._batch.clear()
        for position, token in enumerate(tokens[:-1]):
            self._batch.add(token, position, (0,), position >= start - 1)
        self._decode_tiled()
        total, greedy = 0.0, True
        for position in range(start, len(tokens)):
            row = _row(self._logits(position - 1), {tokens[position]})
            total += row.logprob(tokens[position])
            greedy = greedy and row.best == tokens[position]
        self._forget()
        return total, len(tokens) - start, greedy

    # -- generating ---------------------------------------------------------------------------------------------

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Token]]:
        self._cancel.clear()
        for index, request in enumerate(requests):
            for token in self._generate(request):
                yield index, token

    def _generate(self, request: GenerateRequest) -> Iterator[Token]:
        try:
            tokens = self.encoder.begin(request, self.context_length)
        except (TemplateError, NoRoom) as error:
            yield Token("", finish="error", error=str(error))
            return
        self._forget()
        sampler = Sampler(
            request.sampling, request.seed, LlamaGrammar(self._vocab, request.schema) if request.schema else None
        )
        writer = Writer(request.sampling.stop)
        try:
            self._batch.clear()
            for position, token in enumerate(tokens):
                self._batch.add(token, position, (0,), position == len(tokens) - 1)
            self._decode()
            position, place = len(tokens), len(tokens) - 1
            for _ in range(request.sampling.max_tokens):
                logprobs = log_softmax(self._logits(place))
                chosen = sampler.choose(logprobs)
                if llama_cpp.llama_vocab_is_eog(self._vocab, chosen):
                    yield Token(writer.rest(), finish="stop")
                    return
                text = writer.add(self._piece(chosen))
                yield Token(
                    text, chosen, float(logprobs[chosen]), most_likely(logprobs, request.alternatives, self._shown)
                )
                if writer.stopped:
                    yield Token("", finish="stop")
                    return
                if position >= self.context_length:
                    break
                self._batch.clear()
                self._batch.add(chosen, position, (0,), True)
                self._decode()
                position, place = position + 1, 0
            yield Token(writer.rest(), finish="length")
        finally:
            sampler.close()
            self._forget()

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
        if self._context:
            self._batch.close()
            llama_cpp.llama_free(self._context)
            llama_cpp.llama_model_free(self._model)
            self._context = None


def _row(logits: NDArray[np.float32], tokens: set[int]) -> Row:
    best = int(logits.argmax())
    top = float(logits[best])
    total = top + float(np.log(np.exp(logits - np.float32(top)).sum(dtype=np.float64)))
    return Row(best, {token: float(logits[token]) - total for token in tokens})


class _Batch:
    """A llama_batch whose fields are filled directly."""

    def __init__(self, tokens: int, sequences: int) -> None:
        self.raw = llama_cpp.llama_batch_init(tokens, 0, sequences)
        self._room = tokens
        self.outputs = 0
        self.fillers = 0

    @property
    def count(self) -> int:
        return int(self.raw.n_tokens)

    def clear(self) -> None:
        self.raw.n_tokens = self.outputs = self.fillers = 0

    def fill(self, logits: bool) -> None:
        """Add a token that nobody asks about."""
        self.add(0, self.fillers, (FILLER,), logits)
        self.fillers += 1

    def add(self, token: int, position: int, sequences: Sequence[int], logits: bool) -> None:
        index = self.raw.n_tokens
        if index >= self._room:
            raise TooLong
        self.raw.token[index] = token
        self.raw.pos[index] = position
        self.raw.n_seq_id[index] = len(sequences)
        for place, sequence in enumerate(sequences):
            self.raw.seq_id[index][place] = sequence
        self.raw.logits[index] = logits
        self.outputs += logits
        self.raw.n_tokens = index + 1

    def close(self) -> None:
        llama_cpp.llama_batch_free(self.raw)


def _gpu_name() -> str:
    """The kind of GPU that this build of llama.cpp offloads to."""
    import sys

    return "Metal" if sys.platform == "darwin" else "GPU"
