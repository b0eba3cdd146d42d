"""The tree of options and the boundary from which they are scored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engines.trie import boundary, branch, common_length

tokens = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@given(st.lists(tokens, min_size=1, max_size=8))
def test_paths_spell_the_options(tails: list[list[int]]) -> None:
    nodes, paths = branch(tails)
    for option, (tail, path) in enumerate(zip(tails, paths, strict=True)):
        assert [nodes[index].token for index in path] == tail
        assert [nodes[index].depth for index in path] == list(range(len(tail)))
        assert all(option in nodes[index].options for index in path)


@given(st.lists(tokens, min_size=1, max_size=8))
def test_no_token_stands_twice(tails: list[list[int]]) -> None:
    nodes, _ = branch(tails)
    prefixes = {tuple(tail[: size + 1]) for tail in tails for size in range(len(tail))}
    assert len(nodes) == len(prefixes)
    assert all(node.parent < index for index, node in enumerate(nodes))
    inner = {node.parent for node in nodes} - {-1}
    assert {index for index, node in enumerate(nodes) if node.inner} == inner


@given(tokens, st.lists(tokens, min_size=1, max_size=5))
def test_boundary_leaves_every_option_a_token(prompt: list[int], tails: list[list[int]]) -> None:
    joined = [prompt + tail for tail in tails]
    start = boundary(prompt, joined)
    assert 0 <= start <= len(prompt)
    for option in joined:
        assert option[:start] == prompt[:start]
        assert len(option) > start


def test_boundary_moves_before_a_token_that_spans_the_end() -> None:
    # "he" + "llo" became one token in the first option only: both are scored from before it.
    assert boundary([1, 2], [[1, 9], [1, 2, 5]]) == 1


def test_boundary_when_an_option_is_a_prefix_of_the_prompt() -> None:
    assert boundary([1, 2, 3], [[1, 2], [1, 2, 3, 4]]) == 1


def test_common_length() -> None:
    assert common_length([], [1]) == 0
    assert common_length([1, 2, 3], [1, 2, 4]) == 2
    assert common_length([1, 2], [1, 2]) == 2
