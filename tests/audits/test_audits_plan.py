"""Plans: the same choices give the same plan, and what makes no audit is refused in one line."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import model, names, terms

from engines.base import LoadOptions, Sampling
from suites.base import Item
from workbench.audits.build import MAX_MODELS, QUICK_TOKENS, build_plan, draw, sampling_for
from workbench.audits.errors import AuditError
from workbench.audits.plan import Plan, count_by_model, trial_seed, trials
from workbench.audits.work import Work


def items(strata: dict[str, int]) -> tuple[Item, ...]:
    return tuple(
        Item(f"{name}-{place}", f"hash-{name}-{place}", name, {})
        for name, size in strata.items()
        for place in range(size)
    )


def ids(drawn: tuple[Item, ...]) -> set[str]:
    return {item.id for item in drawn}


STRATA = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 9), min_size=1)


def test_the_same_choices_give_the_same_plan_and_trials() -> None:
    def make() -> Plan:
        return build_plan([model("alpha"), model("beta")], [terms(9), names(3)], limit=4, repeats=2, seed=7)

    one, other = make(), make()
    assert one == other
    assert one.hash == other.hash
    assert [trial.id for trial in trials(one)] == [trial.id for trial in trials(other)]


def test_a_plan_survives_its_json() -> None:
    plan = build_plan([model("alpha", template=True)], [terms(4)], options={"alpha": LoadOptions(context=512)}, seed=3)
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert again == plan
    assert again.hash == plan.hash
    assert list(trials(again)) == list(trials(plan))


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"limit": 3}, {"repeats": 2}, {"quick": True}, {"languages": ["zh-Hans"]}]
)
def test_every_choice_is_part_of_the_plans_hash(change: dict[str, Any]) -> None:
    assert build_plan([model("alpha")], [terms(6)], **change).hash != build_plan([model("alpha")], [terms(6)]).hash


def test_trial_ids_are_unique_and_counted() -> None:
    plan = build_plan([model("alpha"), model("beta")], [terms(5), names(3)], repeats=3)
    asked = list(trials(plan))
    assert len({trial.id for trial in asked}) == len(asked)
    assert Counter(trial.model for trial in asked) == count_by_model(plan)


def test_the_seed_of_a_trial_does_not_depend_on_the_model() -> None:
    plan = build_plan([model("alpha"), model("beta")], [terms(4)], repeats=2)
    by_model = {key: [trial_seed(plan, one) for one in trials(plan) if one.model == key] for key in ("alpha", "beta")}
    assert by_model["alpha"] == by_model["beta"]
    assert len(set(by_model["alpha"])) == len(by_model["alpha"])
    assert by_model["alpha"] != [trial_seed(build_plan([model("alpha")], [terms(4)], seed=1), t) for t in trials(plan)]


def test_the_prompt_form_follows_the_template_of_the_model() -> None:
    plan = build_plan([model("alpha", template=True), model("beta")], [terms(2)])
    forms = {(trial.model, trial.task): trial.condition.form for trial in trials(plan)}
    assert forms == {
        ("alpha", "answer"): "chat",
        ("alpha", "likelihood"): "plain",
        ("beta", "answer"): "plain",
        ("beta", "likelihood"): "plain",
    }


# -- the draw ---------------------------------------------------------------------------------------------------------


@given(STRATA, st.integers(0, 2**32 - 1), st.integers(1, 45), st.integers(1, 45))
def test_a_smaller_draw_is_part_of_a_larger_one(strata: dict[str, int], seed: int, one: int, other: int) -> None:
    small, large = sorted((one, other))
    pool = items(strata)
    assert ids(draw(pool, small, seed)) <= ids(draw(pool, large, seed))


@given(STRATA, st.integers(0, 2**32 - 1), st.integers(1, 45))
def test_a_draw_has_its_size_keeps_the_stored_order_and_is_even(strata: dict[str, int], seed: int, limit: int) -> None:
    pool = items(strata)
    drawn = draw(pool, limit, seed)
    assert len(drawn) == min(limit, len(pool))
    assert [one for one in pool if one in drawn] == list(drawn)
    counts = Counter(one.stratum for one in drawn)
    # A stratum may have two items fewer than another only when it has no more to give.
    fullest = max(counts.values())
    assert all(counts[name] >= min(size, fullest - 1) for name, size in strata.items())


@given(STRATA, st.integers(0, 2**32 - 1), st.integers(1, 45), st.randoms(use_true_random=False))
def test_a_draw_does_not_depend_on_how_items_are_stored(
    strata: dict[str, int], seed: int, limit: int, shuffler: Any
) -> None:
    pool = list(items(strata))
    mixed = list(pool)
    shuffler.shuffle(mixed)
    assert ids(draw(mixed, limit, seed)) == ids(draw(pool, limit, seed))


def test_no_limit_draws_everything_and_seeds_draw_differently() -> None:
    pool = items({"a": 20, "b": 20})
    assert draw(pool, 0, 1) == pool
    assert draw(pool, 100, 1) == pool
    assert len({frozenset(ids(draw(pool, 10, seed))) for seed in range(20)}) == 20


def test_all_models_and_tasks_of_a_plan_are_asked_the_drawn_items() -> None:
    suite = terms(30)
    plan = build_plan([model("alpha"), model("beta")], [suite], limit=6, seed=5)
    hashes = {item.hash for item in draw(suite.items, 6, 5)}
    assert len(hashes) == 6
    for key in ("alpha", "beta"):
        for task in ("likelihood", "answer"):
            assert {one.item for one in trials(plan) if (one.model, one.task) == (key, task)} == hashes
    assert Counter(item.stratum for item in suite.items if item.hash in hashes) == {
        "food": 2,
        "home": 2,
        "transport": 2,
    }


# -- conditions -------------------------------------------------------------------------------------------------------


def test_quick_keeps_one_order_one_wording_and_few_tokens() -> None:
    plan = build_plan([model("alpha")], [terms(3), names(3, orders=4)], quick=True)
    assert {(c.version, c.order) for task in plan.tasks for c in task.conditions} == {(1, 0)}
    assert plan.quick
    assert plan.sampling.max_tokens == QUICK_TOKENS
    assert sampling_for(plan, Sampling(max_tokens=48)).max_tokens == QUICK_TOKENS
    assert sampling_for(plan, Sampling(max_tokens=8, stop=("\n",))) == Sampling(max_tokens=8, stop=("\n",))


def test_without_quick_a_task_has_its_own_number_of_tokens() -> None:
    plan = build_plan([model("alpha")], [terms(3)])
    assert sampling_for(plan, Sampling(max_tokens=300)).max_tokens == 300


@pytest.mark.parametrize(("asked", "given_orders"), [(0, 3), (1, 1), (2, 2), (4, 4), (9, 4)])
def test_orders_are_those_of_the_suite_unless_said_and_never_more_than_there_are(asked: int, given_orders: int) -> None:
    plan = build_plan([model("alpha")], [names(2, size=4, orders=3)], orders=asked)
    assert [condition.order for condition in plan.tasks[0].conditions] == list(range(given_orders))


def test_no_item_is_asked_twice_in_the_same_order_when_lists_differ_in_length() -> None:
    short, long = names(2, size=3, orders=6), names(2, size=6, orders=6)
    mixed = msgspec.structs.replace(long, items=(*long.items, *short.items))
    plan = build_plan([model("alpha")], [mixed])
    work = Work(plan, [mixed])
    prompts = [work.request(trial).prompt for trial in trials(plan)]
    assert len(set(prompts)) == len(prompts)


def test_languages_keep_only_those() -> None:
    plan = build_plan([model("alpha")], [terms(3)], languages=["zh-Hant"])
    assert {condition.language for task in plan.tasks for condition in task.conditions} == {"zh-Hant"}


def test_a_suite_without_the_language_is_asked_nothing() -> None:
    plan = build_plan([model("alpha")], [terms(3), names(2)], languages=["zh-Hant"])
    assert {task.suite for task in plan.tasks} == {"scripted-terms"}


# -- what makes no audit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"), [("zh-Hanss", "zh-Hans"), ("zh_Hant", "zh-Hant"), ("zhhans", "zh-Hans"), ("ZH-HANS", "zh-Hans")]
)
def test_an_unknown_language_is_refused_with_the_nearest_name(typed: str, meant: str) -> None:
    with pytest.raises(AuditError, match=f"did you mean {meant}\\?") as caught:
        build_plan([model("alpha")], [terms(3)], languages=[typed])
    assert "\n" not in str(caught.value)
    assert repr(typed) in str(caught.value)


def test_a_language_that_resembles_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(AuditError, match=r"they know zh-Hans, zh-Hant") as caught:
        build_plan([model("alpha")], [terms(3)], languages=["qqqq"])
    assert "did you mean" not in str(caught.value)


def test_what_makes_no_audit_is_refused() -> None:
    suite, alpha = terms(2), model("alpha")
    broken = msgspec.structs.replace(alpha, problem="holds no weights, only a vocabulary")
    unread = msgspec.structs.replace(alpha, fingerprint="")
    for models, suites, rest, said in (
        ([], [suite], {}, "no model chosen"),
        ([alpha], [], {}, "no suite chosen"),
        ([alpha, alpha], [suite], {}, "was chosen twice"),
        ([alpha], [suite, suite], {}, "was chosen twice"),
        ([alpha], [suite], {"repeats": 0}, "repeats must be 1 or more"),
        ([alpha], [suite], {"limit": -1}, "limit and orders 0 or more"),
        ([broken], [suite], {}, "cannot be used: holds no weights"),
        ([unread], [suite], {}, "no fingerprint"),
        ([model(f"m{n}") for n in range(MAX_MODELS + 1)], [suite], {}, "too many"),
    ):
        with pytest.raises(AuditError, match=said):
            build_plan(models, suites, **rest)  # type: ignore[arg-type]
