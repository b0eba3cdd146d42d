"""The options of one item as a tree of tokens: leading tokens that several options share stand in it once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Node(msgspec.Struct):
    """One token of the tree. `parent` is the index of the node before it, -1 for the prompt's last token."""

    token: int
    parent: int
    depth: int
    """0 for the first token after the boundary."""
    options: list[int]
    """Indices of the options that run through this node."""
    inner: bool = False
    """Whether another token follows, so that the logits here are needed."""


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading tokens two sequences share."""
    shortest = min(len(a), len(b))
    for index in range(shortest):
        if a[index] != b[index]:
            return index
    return shortest


def boundary(prompt: Sequence[int], joined: Sequence[Sequence[int]]) -> int:
    """The first token position that every option is scored from.

    `joined` holds the tokens of prompt + option, one sequence an option. Where a token spans the end of the prompt and
    an option, all options are scored from before that token, so that they stay comparable. Every option keeps at least
    one token, also when its tokens are a prefix of another's or of the prompt's.
    """
    position = len(prompt)
    for tokens in joined:
        position = min(position, common_length(prompt, tokens), len(tokens) - 1)
    return max(position, 0)


def branch(tails: Sequence[Sequence[int]]) -> tuple[list[Node], list[list[int]]]:
    """The tree over the options' tokens after the boundary.

    Returns its nodes, parents before children, in the order of the options; and for each option the indices of its
    nodes from first to last. Equal options share all their nodes.
    """
    nodes: list[Node] = []
    children: dict[tuple[int, int], int] = {}
    paths: list[list[int]] = []
    for option, tokens in enumerate(tails):
        parent, path = -1, []
        for depth, token in enumerate(tokens):
            index = children.get((parent, token))
            if index is None:
                index = len(nodes)
                children[parent, token] = index
                nodes.append(Node(token, parent, depth, []))
                if parent >= 0:
                    nodes[parent].inner = True
            nodes[index].options.append(option)
            path.append(index)
            parent = index
        paths.append(path)
    return nodes, paths
