"""A causal language model of transformers as the engine uses it: tokens to hidden states, hidden states to logits.

Runs in a child process only. What a model can do is measured once, at load, against a plain evaluation of the same
tokens (`Network.examine`), rather than looked up in a list of architectures that is out of date a month later.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from engines.base import Cancelled, EngineError

States = list[tuple[Any, Any]]
"""Keys and values of each layer, shape (1, heads, tokens, width)."""

LOGITS = 32 * 1024 * 1024
"""Bytes of logits (float32) that exist at a time."""
_CANNOT = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What models raise that do not take a cache or a mask of this kind."""


class Network:
    """The model's decoder and its output head, apart. `cancelled` is looked at before every layer."""

    def __init__(self, model: Any, name: str, cancelled: threading.Event) -> None:
        """Raises EngineError for a model whose parts cannot be told apart."""
        self.model = model
        self.name = name
        self.device = model.get_input_embeddings().weight.device
        self.dtype = model.get_input_embeddings().weight.dtype
        if self.device.type == "meta":  # offloaded: accelerate brings what it is given to where it is needed
            self.device = torch.device("cpu")
        if not self.dtype.is_floating_point:
            self.dtype = torch.float32
        self._use(model.base_model)
        self._output: type[Any] | None = None
        self.vocabulary = 0
        """Width of the logits, which is often more than the tokens of the tokenizer."""
        self._cancelled = cancelled
        self.blocks_owner, self.blocks = self._find_blocks()
        for block in self.blocks:
            block.register_forward_pre_hook(self._check)
        self.tree = False
        """Whether several continuations can be decoded in one pass, under a mask that keeps them apart."""
        self.branching = False
        """Whether the state after a prompt can be used again (a key-value cache, and nothing else)."""
        self.window = self._window()
        """Tokens that every layer sees; more than this and some see only the last ones."""
        self.examine()

    def _use(self, base: Any) -> None:
        """Take this part of the model as the one that turns tokens into hidden states."""
        self.base = base
        parameters = inspect.signature(base.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"
        self._takes_positions = "position_ids" in parameters

    # -- parts --------------------------------------------------------------------------------------------------

    def _find_blocks(self) -> tuple[Any, list[Any]]:
        """The module that runs the decoder's layers, and the layers in order."""
        count = getattr(self.model.config.get_text_config(), "num_hidden_layers", 0)
        decoder = self.model.get_decoder() if hasattr(self.model, "get_decoder") else self.base
        for owner in (decoder, self.base):
            for _, module in owner.named_modules():
                if isinstance(module, torch.nn.ModuleList) and len(module) == count:
                    parents = (part for part in owner.modules() if any(child is module for child in part.children()))
                    return next(parents), list(module)
        raise EngineError(f"{self.name}: its layers are not found; this kind of model cannot be scored")

    def _window(self) -> int:
        config = self.model.config.get_text_config()
        if getattr(config, "use_sliding_window", True) is False:
            return 1 << 60
        sizes = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
        return min((size for size in sizes if isinstance(size, int) and size > 0), default=1 << 60)

    def _check(self, *_: Any) -> None:
        if self._cancelled.is_set():
            raise Cancelled("cancelled")

    # -- running ------------------------------------------------------------------------------------------------

    def hidden(
        self,
        ids: Sequence[Sequence[int]],
        cache: Any = None,
        positions: Sequence[int] | None = None,
        mask: NDArray[np.bool_] | None = None,
    ) -> Any:
        """The last hidden states of these tokens, shape (rows, tokens, width); `cache` grows by them.

        `positions` are those of the tokens, the same for every row; `mask`, shape (tokens, cells), says which cells of
        the cache (these tokens included) each token sees.
        """
        asked: dict[str, Any] = {"input_ids": torch.tensor(ids, device=self.device), "use_cache": cache is not None}
        if cache is not None:
            asked[self._cache_name] = cache
        if positions is not None and self._takes_positions:
            asked["position_ids"] = torch.tensor([positions], device=self.device).expand(len(ids), -1)
        if mask is not None:
            asked["attention_mask"] = self._additive(mask)
        with torch.inference_mode():
            out = self.base(**asked)
        self._output = type(out)
        return out.last_hidden_state

    def go_on(self, ids: Sequence[int], state: Any) -> tuple[Any, Any]:
        """The last hidden state, shape (1, width), of tokens that follow on what `state` holds (None: the beginning),
        with a state of the model's own kind; None instead of one where the model gives none."""
        asked: dict[str, Any] = {"input_ids": torch.tensor([ids], device=self.device), "use_cache": True}
        if state is not None:
            asked[state[0]] = state[1]
        with torch.inference_mode():
            out = self.base(**asked)
        self._output = type(out)
        for name in ("cache", "past_key_values", "cache_params"):
            if (held := getattr(out, name, None)) is not None:
                return out.last_hidden_state[0, -1:], (name, held)
        return out.last_hidden_state[0, -1:], None

    def _additive(self, mask: NDArray[np.bool_]) -> Any:
        seen = torch.from_numpy(mask).to(self.device)
        added = torch.zeros(mask.shape, dtype=self.dtype, device=self.device)
        return added.masked_fill_(~seen, torch.finfo(self.dtype).min)[None, None]

    def project(self, rows: Any) -> Any:
        """Logits in float32, shape (rows, vocabulary), of last hidden states, shape (rows, width).

        The model's own code does it, so that soft-caps and scales of whatever kind are in force: its decoder is told
        to answer with these states.
        """
        if self._output is None:
            raise RuntimeError("nothing was decoded yet")
        answer = self._output(last_hidden_state=rows[None])
        with self._answering(answer), torch.inference_mode():
            ids = torch.zeros((1, len(rows)), dtype=torch.long, device=self.device)
            return self.model(input_ids=ids, use_cache=False).logits[0].float()

    @contextmanager
    def _answering(self, answer: Any) -> Iterator[None]:
        own = self.base.__dict__.get("forward")
        self.base.forward = lambda *_, **__: answer
        try:
            yield
        finally:
            if own is None:
                del self.base.forward
            else:
                self.base.forward = own

    def slices(self, rows: int) -> Iterator[slice]:
        """The rows in portions whose logits are small: never a context × vocabulary matrix."""
        size = max(1, LOGITS // (4 * max(self.vocabulary, 1)))
        return (slice(first, min(first + size, rows)) for first in range(0, rows, size))

    # -- states -------------------------------------------------------------------------------------------------

    @staticmethod
    def cache(states: States | None = None, tokens: int = 0, rows: int = 1) -> Any:
        """A cache that holds the first `tokens` of these states, once for each row. It keeps everything: layers with a
        sliding window are given the right mask by the model, and forget nothing that another branch may need."""
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(states or []):
            if tokens:
                cache.update(
                    keys[:, :, :tokens].expand(rows, -1, -1, -1), values[:, :, :tokens].expand(rows, -1, -1, -1), layer
                )
        return cache

    @staticmethod
    def states(cache: Any) -> States:
        """What a cache holds."""
        return [(layer.keys, layer.values) for layer in cache.layers]

    # -- what it can do -----------------------------------------------------------------------------------------

    def examine(self) -> None:
        """Find out `vocabulary`, `branching` and `tree`. Raises EngineError when not even a plain sequence works."""
        size = self.model.get_input_embeddings().weight.shape[0]
        trunk, left, right = ([(start * 7919 + 13 * k) % size for k in range(length)] for start, length in
                              ((1, 5), (2, 3), (3, 2)))  # fmt: skip
        try:
            with torch.inference_mode():
                ids = torch.tensor([trunk], device=self.device)
                whole = self.model(input_ids=ids, use_cache=False).logits[0].float()
            self.vocabulary = int(whole.shape[-1])
        except _CANNOT as error:
            raise EngineError(f"{self.name}: the model does not run: {_line(error)}") from error
        # Most models call their base model; some (OPT) the decoder inside it.
        parts = [self.base, self.model.get_decoder() if hasattr(self.model, "get_decoder") else self.base]
        for part in parts:
            self._use(part)
            if part is not self.model and self._examined(lambda: self._splits(trunk, whole)):
                break
        else:
            raise EngineError(f"{self.name}: its output head cannot be told from the rest; it cannot be scored")
        plain = [self.hidden([trunk + tail])[0, len(trunk) - 1 :] for tail in (left, right)]
        self.branching = self._examined(lambda: self._branches(trunk, left, right, plain))
        self.tree = self.branching and self._examined(lambda: self._tree(trunk, left, right, plain))

    @staticmethod
    def _examined(check: Any) -> bool:
        try:
            return bool(check())
        except _CANNOT:
            return False

    def _splits(self, trunk: list[int], whole: Any) -> bool:
        split = self.project(self.hidden([trunk])[0])
        return split.shape == whole.shape and self._close(split, whole)

    def _branches(self, trunk: list[int], left: list[int], right: list[int], plain: list[Any]) -> bool:
        cache = self.cache()
        after = self.hidden([trunk], cache, range(len(trunk)))[0, -1:]
        if any(type(layer).__name__ != "DynamicLayer" for layer in cache.layers):
            return False
        states = self.states(cache)
        if not states or any(keys.shape[-2] != len(trunk) for keys, _ in states):
            return False
        padded = [left, right + [0] * (len(left) - len(right))]
        places = range(len(trunk), len(trunk) + len(left))
        tails = self.hidden(padded, self.cache(states, len(trunk), 2), places)
        return all(
            self._close(torch.cat([after, tails[row, : len(tail)]]), plain[row])
            for row, tail in enumerate((left, right))
        )

    def _tree(self, trunk: list[int], left: list[int], right: list[int], plain: list[Any]) -> bool:
        cells = len(trunk) + len(left) + len(right)
        mask = np.tril(np.ones((cells, cells), dtype=bool))
        mask[len(trunk) + len(left) :, len(trunk) : len(trunk) + len(left)] = False
        places = [*range(len(trunk) + len(left)), *range(len(trunk), len(trunk) + len(right))]
        out = self.hidden([trunk + left + right], self.cache(), places, mask)[0]
        last, middle = out[len(trunk) - 1 : len(trunk)], len(trunk) + len(left)
        return self._close(torch.cat([last, out[len(trunk) : middle]]), plain[0]) and self._close(
            torch.cat([last, out[middle:]]), plain[1]
        )

    def _close(self, a: Any, b: Any) -> bool:
        limit = {torch.float32: 1e-4, torch.float64: 1e-4, torch.float16: 1e-2}.get(self.dtype, 6e-2)
        scale = b.float().abs().max().clamp_min(1e-6)
        return bool(((a.float() - b.float()).abs().max() / scale) < limit)


def _line(error: object) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
