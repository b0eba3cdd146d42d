"""Presentations of a list: a Latin square whose first rows are balanced, too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suites.tasks.orders import presentations

GROUPS = st.lists(st.sampled_from(["mainland", "taiwan"]), min_size=1, max_size=14).map(tuple)


@given(GROUPS)
def test_every_candidate_stands_in_every_place_once(groups: tuple[str, ...]) -> None:
    rows = presentations(groups)
    everybody = set(range(len(groups)))
    assert len(rows) == len(groups)
    assert rows[0] == tuple(range(len(groups)))
    assert all(set(row) == everybody for row in rows)
    assert all({row[place] for row in rows} == everybody for place in range(len(groups)))


@given(st.integers(min_value=1, max_value=7).flatmap(lambda half: st.permutations(["m", "t"] * half)).map(tuple))
def test_over_any_first_orders_the_regions_share_the_first_place(groups: tuple[str, ...]) -> None:
    firsts = [groups[row[0]] for row in presentations(groups)]
    for count in range(1, len(firsts) + 1):
        seen = firsts[:count]
        assert abs(seen.count("m") - seen.count("t")) <= 1


@given(GROUPS)
def test_of_an_uneven_list_the_smaller_group_comes_first_as_often_while_it_can(groups: tuple[str, ...]) -> None:
    firsts = [groups[row[0]] for row in presentations(groups)]
    fewer = min(groups.count("mainland"), groups.count("taiwan"))
    for count in range(1, 2 * fewer + 1):
        seen = firsts[:count]
        assert abs(seen.count("mainland") - seen.count("taiwan")) <= 1


@pytest.mark.parametrize("size", [2, 4, 6, 10])
def test_an_even_list_puts_every_name_after_every_other_once(size: int) -> None:
    rows = presentations(("m", "t") * (size // 2))
    follows = [(row[place], row[place + 1]) for row in rows for place in range(size - 1)]
    assert len(set(follows)) == len(follows) == size * (size - 1)


@pytest.mark.parametrize("count", [2, 4, 6])
def test_with_few_orders_no_place_belongs_to_one_region(count: int) -> None:
    """Ten names, blocked by region as stored: over an even number of orders no place leans by more than half."""
    groups = ("m",) * 5 + ("t",) * 5
    rows = presentations(groups)[:count]
    leans = [abs(sum(1 if groups[row[place]] == "m" else -1 for row in rows)) for place in range(10)]
    assert leans[0] == 0
    assert sum(leans) <= 10 * count / 4
