"""What each layer of a model would say next: its state through the model's own final norm and unembedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from engines.base import EngineError, LayerReadout, LayerRequest, LayerRow
from engines.hf_network import Network

Alternatives = Callable[[Any, int], tuple[Any, ...]]
"""The most likely tokens of log-probabilities, shape (vocabulary,)."""


class Layers:
    """Reads the layers of one model. `usable` says whether its parts are of a kind that can be read."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._after: list[Any] = []
        """The modules that stand between the last layer and the output head (the final norm), in order."""
        self.usable = self._examine()

    def _examine(self) -> bool:
        """Find the final norm: whatever is called after the last layer and turns its state into the model's."""
        called: list[Any] = []
        last = self._network.blocks[-1]
        parts = [part for part in self._network.blocks_owner.children() if part is not last]
        hooks = [part.register_forward_hook(lambda module, *_: called.append(module)) for part in parts]
        hooks.append(last.register_forward_hook(lambda *_: called.clear()))
        try:
            states, out = self._states([0, 1, 2])
            self._after = list(called)
            with torch.inference_mode():
                return bool(torch.equal(self._finished(states[-1:])[0], out))
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError):
            return False
        finally:
            for hook in hooks:
                hook.remove()

    def _states(self, tokens: Sequence[int]) -> tuple[Any, Any]:
        """The states at the last token: after the embeddings and each layer, shape (layers + 1, width); and the one
        that the model gives to its output head, shape (width,)."""
        states: list[Any] = []

        def before(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            state = arguments[0] if arguments else named["hidden_states"]
            states.append(state[0, -1])

        def after(_: Any, __: Any, out: Any) -> None:
            states.append((out[0] if isinstance(out, tuple) else out)[0, -1])

        blocks = self._network.blocks
        hooks = [blocks[0].register_forward_pre_hook(before, with_kwargs=True)]
        hooks += [block.register_forward_hook(after) for block in blocks]
        try:
            out = self._network.hidden([tokens])[0, -1]
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack([state.to(out.device) for state in states]), out

    def _finished(self, states: Any) -> Any:
        out = states[None]
        for module in self._after:
            out = module(out)
        return out[0]

    def read(self, tokens: Sequence[int], request: LayerRequest, alternatives: Alternatives) -> LayerReadout:
        """The distributions after the last of `tokens`. Raises EngineError for a token that is none."""
        if not self.usable:
            raise EngineError(f"{self._network.name}: the layers of this kind of model cannot be read")
        unknown = [token for token in request.tokens if not 0 <= token < self._network.vocabulary]
        if unknown:
            raise EngineError(f"{self._network.name} has no token {unknown[0]}")
        states, _ = self._states(tokens)
        with torch.inference_mode():
            states = self._finished(states)
        rows = []
        for part in self._network.slices(len(states)):
            logprobs = torch.log_softmax(self._network.project(states[part]), -1)
            for row in logprobs:
                asked = tuple(row[list(request.tokens)].tolist()) if request.tokens else ()
                rows.append(LayerRow(asked, alternatives(row.cpu().numpy(), request.top) if request.top else ()))
        return LayerReadout(tuple(rows), len(tokens))
