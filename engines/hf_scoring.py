"""Scoring with a Hugging Face model: the options of an item branch off its prompt (`engines.choices.Decoder`).

One item is one computation: nothing of what is asked before, after or beside it enters, so that its scores are the same
bits whatever the order. What all items of a task share is decoded once, and its keys and values are used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.choices import OptionResult, Row, TooLong, wanted_tokens
from engines.hf_network import Network, States
from engines.trie import Node

PIECE = 512
"""Tokens that go through the model in one pass: bounds what its activations need, and how long a cancel waits."""
ROWS = 8
"""Options that are decoded side by side where the tree cannot be used: each has a copy of the prompt's keys and values
for as long."""


class Scoring:
    """Decodes prompts and options for one loaded model."""

    def __init__(self, network: Network, context_length: int) -> None:
        self._network = network
        self._context_length = context_length
        self._shared: tuple[int, ...] = ()
        self._states: States = []

    @property
    def context_length(self) -> int:
        """Tokens that fit."""
        return self._context_length

    @property
    def branching(self) -> bool:
        """See `Network.branching`."""
        return self._network.branching

    def forget(self) -> None:
        """Give the shared prefix's memory back."""
        self._shared, self._states = (), []

    def share(self, shared: Sequence[int], reused: int) -> None:
        """Decode the whole prefix, once, whatever part of it the item goes on from: what is kept of a token does not
        depend on those after it, and so every item of a task finds the same keys and values."""
        if not reused or tuple(shared) == self._shared:
            return
        if len(shared) > self._context_length:
            raise TooLong
        self.forget()
        cache = self._network.cache()
        for first in range(0, len(shared), PIECE):
            piece = shared[first : first + PIECE]
            self._network.hidden([piece], cache, range(first, first + len(piece)))
        self._states, self._shared = self._network.states(cache), tuple(shared)

    def branched(self, head: list[int], reused: int, nodes: list[Node], options: int, chunk: int) -> dict[int, Row]:
        """See `Decoder.branched`."""
        network = self._network
        cache = network.cache(self._states, reused)
        position, step = reused, chunk or PIECE
        while len(head) - position > step:
            piece = head[position : position + step]
            network.hidden([piece], cache, range(position, position + step))
            position += step
        inner = [index for index, node in enumerate(nodes) if node.inner]
        deepest = max((nodes[index].depth + 1 for index in inner), default=0)
        if network.tree and len(head) + deepest <= network.window:
            keys, states = self._tree(head, position, nodes, inner, cache)
        else:
            keys, states = self._side_by_side(head, position, nodes, cache)
        return self._rows(keys, states, wanted_tokens(nodes))

    def _tree(
        self, head: list[int], position: int, nodes: list[Node], inner: list[int], cache: Any
    ) -> tuple[list[int], Any]:
        """Decode the rest of the prompt and the inner nodes in one pass (or few), each node seeing the prompt and the
        nodes above it. Returns which states are there (-1, indices of nodes) and the states."""
        tokens = head[position:] + [nodes[index].token for index in inner]
        places = [*range(position, len(head)), *(len(head) + nodes[index].depth for index in inner)]
        seen = _visible(len(head), position, nodes, inner) if inner else None
        states = []
        for first in range(0, len(tokens), PIECE):
            last = min(first + PIECE, len(tokens))
            mask = None if seen is None else seen[first:last, : position + last]
            out = self._network.hidden([tokens[first:last]], cache, places[first:last], mask)[0]
            states.append(out[max(0, len(head) - 1 - position - first) :])
        return [-1, *inner], torch.cat(states)

    def _side_by_side(self, head: list[int], position: int, nodes: list[Node], cache: Any) -> tuple[list[int], Any]:
        """The rest of the prompt first, then every path to a last inner node as a row of its own, filled up at its end:
        for models that take no mask of ours, and prompts that reach beyond a sliding window."""
        out = self._network.hidden([head[position:]], cache, range(position, len(head)))[0]
        kept, keys, states = self._network.states(cache), [-1], [out[-1:]]
        parents = {node.parent for node in nodes if node.inner}
        tips = [index for index, node in enumerate(nodes) if node.inner and index not in parents]
        paths = [_path(nodes, tip) for tip in tips]
        known = {-1}
        for first in range(0, len(paths), ROWS):
            group = paths[first : first + ROWS]
            longest = max(map(len, group))
            rows = [[nodes[index].token for index in path] + [0] * (longest - len(path)) for path in group]
            copies = self._network.cache(kept, len(head), len(rows))
            out = self._network.hidden(rows, copies, range(len(head), len(head) + longest))
            for row, path in enumerate(group):
                fresh = [place for place, index in enumerate(path) if index not in known]
                known.update(path)
                keys += [path[place] for place in fresh]
                states.append(out[row, fresh])
        return keys, torch.cat(states)

    def plain(self, tokens: list[int], start: int) -> OptionResult:
        """See `Decoder.plain`: no cache, no mask, no cleverness."""
        states = self._network.hidden([tokens[:-1]])[0, start - 1 :]
        scored = tokens[start:]
        rows = self._rows(list(range(len(scored))), states, {place: {token} for place, token in enumerate(scored)})
        total = sum(rows[place].logprob(token) for place, token in enumerate(scored))
        return total, len(scored), all(rows[place].best == token for place, token in enumerate(scored))

    def _rows(self, keys: list[int], states: Any, wanted: dict[int, set[int]]) -> dict[int, Row]:
        rows: dict[int, Row] = {}
        for part in self._network.slices(len(keys)):
            logits = self._network.project(states[part])
            best = logits.argmax(-1).tolist()
            totals = torch.logsumexp(logits, -1)
            for place, key in enumerate(keys[part]):
                asked = sorted(wanted[key])
                values = (logits[place, asked] - totals[place]).tolist()
                rows[key] = Row(best[place], dict(zip(asked, values, strict=True)))
        return rows


def _path(nodes: Sequence[Node], index: int) -> list[int]:
    path = []
    while index >= 0:
        path.append(index)
        index = nodes[index].parent
    return path[::-1]


def _visible(prompt: int, position: int, nodes: Sequence[Node], inner: list[int]) -> NDArray[np.bool_]:
    """Which cells each token sees, shape (prompt from `position` on + inner nodes, prompt + inner nodes)."""
    seen = np.zeros((prompt - position + len(inner), prompt + len(inner)), dtype=bool)
    seen[: prompt - position, :prompt] = np.tril(np.ones((prompt - position, prompt), dtype=bool), position)
    seen[prompt - position :, :prompt] = True
    place = {index: number for number, index in enumerate(inner)}
    for number, index in enumerate(inner):
        row = prompt - position + number
        parent = nodes[index].parent
        if parent >= 0:
            seen[row, prompt:] = seen[prompt - position + place[parent], prompt:]
        seen[row, prompt + number] = True
    return seen
