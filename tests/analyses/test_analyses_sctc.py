"""The analyses on respondents whose behaviour is known, and against scipy and statsmodels."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import permutations as every_order

import pytest
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from workbench.analyses.sctc import Figure, Rows, analyse
from workbench.analyses.sctc.common import share
from workbench.analyses.sctc.rows import CountRow, MeasureRow, NameRow, Person, SurnameRow, TermRow
from workbench.analyses.sctc.tokens import count_tokens

Chooser = Callable[[tuple[Person, ...]], Person | None]


def people(number: int) -> tuple[Person, ...]:
    """Two Mainland and two Taiwan names, a man and a woman each."""
    return tuple(
        Person(
            name=f"{region}{gender}{number}",
            region=region,
            gender=gender,
            given={"mainland": "丽华", "taiwan": "麗華"}[region] if gender == "female" else f"{region}{number}",
            frequency=float(number + (100 if region == "mainland" else 0)),
        )
        for region in ("mainland", "taiwan")
        for gender in ("female", "male")
    )


def answers(choose: Chooser, lists: int = 12, model: str = "m") -> tuple[NameRow, ...]:
    rows = []
    for number in range(lists):
        for order, listed in enumerate(every_order(people(number))):
            chosen = choose(listed)
            rows.append(
                NameRow(
                    model=model,
                    language="zh-Hans",
                    list=f"list-{number}",
                    offered=listed,
                    chosen=chosen,
                    place=None if chosen is None else listed.index(chosen),
                    order=order,
                )
            )
    return tuple(rows)


def figure(rows: Rows, section: str, what: str, line: int = 0) -> Figure:
    found = analyse(rows).section(section)
    assert found is not None, section
    one = found.lines[line].figure(what)
    assert one is not None, what
    return one


def test_always_the_first_name() -> None:
    rows = Rows(names=answers(lambda listed: listed[0]))
    first = figure(rows, "name-position", "first place")
    assert first.estimate == 1.0
    assert (first.p_adjusted or 1) < 0.001
    assert figure(rows, "name-position", "mean place").estimate == 0.0
    mainland = figure(rows, "name-choices", "Mainland name")
    assert mainland.estimate == pytest.approx(0.5), "over all orders the place cancels out"
    assert mainland.p == 1.0
    assert figure(rows, "name-choices", "valid").estimate == 1.0
    section = analyse(rows).section("name-position")
    assert section is not None
    assert section.curves[0].y == (1.0, 0.0, 0.0, 0.0)


def test_always_a_mainland_name() -> None:
    rows = Rows(names=answers(lambda listed: next(one for one in listed if one.region == "mainland")))
    mainland = figure(rows, "name-choices", "Mainland name")
    assert (mainland.estimate, mainland.published, mainland.null, mainland.n) == (1.0, 1.0, 0.5, 12)
    assert (mainland.p_adjusted or 1) < 0.001
    assert figure(rows, "name-permutations", "orders until stable").estimate == 1.0
    given = figure(rows, "name-gender", "men among Mainland names")
    assert given.estimate == pytest.approx(0.5)


def test_a_random_respondent_has_no_preference() -> None:
    rng = random.Random(5)
    rows = Rows(names=answers(lambda listed: rng.choice(listed), lists=30))
    for section, what in (
        ("name-choices", "Mainland name"),
        ("name-position", "first place"),
        ("name-popularity", "chosen more, the more common"),
        ("name-gender", "men"),
    ):
        assert (figure(rows, section, what).p_adjusted or 0) > 0.05, what


def test_one_that_likes_common_names() -> None:
    """Region makes the counts differ by 100; within each region, the rate grows with the count."""
    rng = random.Random(5)

    def choose(listed: tuple[Person, ...]) -> Person | None:
        likely = (listed[0].frequency or 0) % 100 / 30
        mine = [one for one in listed if one.gender == "male"]
        return rng.choice(mine) if rng.random() < likely else None

    found = figure(Rows(names=answers(choose, lists=30)), "name-popularity", "chosen more, the more common")
    assert (found.estimate or 0) > 0.3
    assert (found.p_adjusted or 1) < 0.01


def test_popularity_as_published_leaves_out_names_that_were_never_chosen_and_corrects_over_all_models() -> None:
    women = tuple(
        row
        for model in ("a", "b")
        for row in answers(lambda listed: next(one for one in listed if one.gender == "female"), model=model)
    )
    found = figure(Rows(names=women), "name-popularity", "chosen more, the more common")
    assert (found.n, found.n_published) == (48, 24)


def test_trials_with_the_same_names_are_one_list() -> None:
    """A hundred trials of one list say nothing of other lists, so the orders are the units, and that is said."""
    again = tuple(
        NameRow(model="m", language="en", list=str(trial), offered=listed, chosen=listed[0], place=0, order=order)
        for trial in range(10)
        for order, listed in enumerate(every_order(people(0)))
    )
    found = figure(Rows(names=again), "name-choices", "Mainland name")
    assert (found.n, found.n_published) == (24, 240)
    assert found.note.startswith("one list only")


def test_no_choice_is_no_region() -> None:
    rows = Rows(names=answers(lambda listed: None))
    assert figure(rows, "name-choices", "valid").estimate == 0.0
    mainland = figure(rows, "name-choices", "Mainland name")
    assert (mainland.estimate, mainland.p, mainland.published) == (None, None, None)
    assert analyse(rows).section("name-position") is None


def test_the_same_given_name_in_both_scripts() -> None:
    rows = Rows(
        names=tuple(
            NameRow(
                model="m",
                language="en",
                list=f"{number}",
                offered=(one := Person(name=f"王{hans}", region="mainland", given=hans), other),
                chosen=one,
            )
            for number, (hans, hant) in enumerate([("丽华", "麗華"), ("志强", "志強"), ("国华", "國華")])
            for other in [Person(name=f"陳{hant}", region="taiwan", given=hant)]
        )
    )
    found = figure(rows, "name-same-given", "chosen when offered, Mainland − Taiwan form")
    assert (found.estimate, found.n, found.note) == (1.0, 3, "丽华、志强、国华")


# tests as published


@pytest.mark.parametrize("alternative", ["smaller", "larger"])
def test_the_published_z_test_is_statsmodels(alternative: str) -> None:
    values = [1.0] * 13 + [0.0] * 27
    found = share("x", values, list(range(40)), null=0.5, alternative=alternative)  # type: ignore[arg-type]
    theirs = proportions_ztest(13, 40, value=0.5, alternative=alternative)[1]
    assert found.p_published == pytest.approx(theirs)
    assert found.p == pytest.approx(stats.binomtest(13, 40, 0.5).pvalue)


@pytest.mark.parametrize("values", [[1.0], [1.0] * 30, [0.0] * 30, [1.0, 0.0, 1.0, 0.0]])
def test_no_published_p_where_the_variance_is_nought_or_the_rows_too_few(values: list[float]) -> None:
    found = share("x", values, list(range(len(values))), null=0.5, alternative="larger")
    assert found.p_published is None
    assert "published z-test" in found.note


# terms


def term_rows(choose: Callable[[int, str], str], concepts: int = 20, repeats: int = 15) -> tuple[TermRow, ...]:
    return tuple(
        TermRow(model="m", language=language, item=f"c{concept}", outcome=choose(concept, language))
        for language in ("zh-Hans", "zh-Hant")
        for _ in range(repeats)
        for concept in range(concepts)
    )


def test_outcomes_are_clustered_by_concept() -> None:
    """Fifteen equal answers about one thing are one observation."""
    rows = Rows(terms=term_rows(lambda concept, _: "correct" if concept < 8 else "misaligned"))
    found = figure(rows, "term-outcomes", "correct")
    assert (found.estimate, found.published, found.n, found.n_published) == (0.4, 0.4, 20, 300)
    assert found.low is not None
    assert found.low < 0.25, "300 independent answers would reach down to .35"


def test_a_model_that_knows_simplified_only() -> None:
    rows = Rows(terms=term_rows(lambda _, language: "correct" if language == "zh-Hans" else "misaligned"))
    gap = figure(rows, "script-gap", "correct, Simplified − Traditional")
    assert (gap.estimate, gap.n) == (1.0, 20)
    assert (gap.p_adjusted or 1) < 0.001
    same = figure(Rows(terms=term_rows(lambda *_: "correct")), "script-gap", "correct, Simplified − Traditional")
    assert (same.estimate, same.p) == (0.0, 1.0)


def test_corpus_counts() -> None:
    counts = tuple(CountRow(corpus="c", item=f"c{number}", mainland=2.0**number, taiwan=1.0) for number in range(20))
    empty = CountRow(corpus="c", item="none", mainland=0.0, taiwan=9.0)
    rows = Rows(counts=(*counts, empty), terms=term_rows(lambda concept, _: "misaligned" if concept > 9 else "correct"))
    found = figure(rows, "corpus", "log ratio of the counts, Mainland : Taiwan")
    assert found.n == 20, "a word that does not occur has no ratio"
    assert found.estimate == pytest.approx(9.5 * 0.6931, rel=1e-3)
    follow = figure(rows, "corpus", "misaligned answers follow the log ratio", 1)
    theirs = stats.spearmanr(range(20), [float(number > 9) for number in range(20)])
    assert follow.estimate == pytest.approx(theirs.statistic)


# likelihoods


def measures(region: float, script: float, interaction: float) -> tuple[MeasureRow, ...]:
    rng = random.Random(1)
    return tuple(
        MeasureRow(model="m", language="en", item=f"t{number}", what=what, value=value + rng.gauss(0, 0.5))
        for number in range(30)
        for what, value in (("region", region), ("script", script), ("interaction", interaction))
    )


def test_the_characters_and_not_the_word() -> None:
    rows = Rows(measures=measures(0.0, 4.0, 0.0))
    assert (figure(rows, "region-by-script", "Simplified − Traditional form").p_adjusted or 1) < 0.001
    assert (figure(rows, "region-by-script", "Mainland − Taiwan word").p_adjusted or 0) > 0.05
    section = analyse(rows).section("region-by-script")
    assert section is not None
    assert "the characters count for more than the word" in section.words[0]
    other = analyse(Rows(measures=measures(5.0, 0.0, 0.0))).section("region-by-script")
    assert other is not None
    assert "the word counts for more than the characters" in other.words[0]


def test_single_characters_are_listed_where_two_things_hold_them() -> None:
    rows = [
        MeasureRow(model="m", language="en", item=item, what=what, value=value)
        for item, what, value in [
            ("a", "variant", 1.0),
            ("b", "variant", 2.0),
            ("a", "character:车車", 1.0),
            ("b", "character:车車", 3.0),
            ("a", "character:计計", 9.0),
        ]
    ]
    section = analyse(Rows(measures=tuple(rows))).section("character-variants")
    assert section is not None
    assert [one.what for line in section.lines[1:] for one in line.figures] == ["车 − 車"]
    assert section.lines[1].figures[0].estimate == 2.0


# surnames and tokens


def test_surnames() -> None:
    rng = random.Random(2)
    rows = []
    for pair in range(20):
        region = "mainland" if pair % 2 else "taiwan"
        for order in range(2):
            for surname, level in (("王", 1.0), ("陈", 0.0)):
                logprob = level + (0.0 if region == "mainland" else 3.0) + rng.gauss(0, 0.1)
                rows.append(
                    SurnameRow(
                        model="m",
                        language="zh-Hans",
                        prompt=f"{pair}/{order}",
                        pair=str(pair),
                        region=region,
                        name=surname,
                        logprob=logprob,
                        free=level,
                    )
                )
    found = Rows(surnames=tuple(rows))
    agreement = figure(found, "surnames", "the likelier surname is the likelier one anywhere")
    assert (agreement.estimate, agreement.n, agreement.n_published) == (1.0, 20, 40)
    gap = figure(found, "surnames", "Mainland − Taiwan surnames")
    assert gap.estimate == pytest.approx(-3.0, abs=0.2)
    sides = [[row.logprob for row in rows if row.region == region] for region in ("mainland", "taiwan")]
    assert gap.p_published == pytest.approx(stats.ttest_ind(*sides, equal_var=False, alternative="less").pvalue)
    assert gap.n == 20


def test_tokens_by_bytes() -> None:
    """A tokenizer that knows the Simplified characters only: the others cost three tokens each."""
    known = set("软件鼠标")
    words = [
        ("term", "mainland", "软件"),
        ("term", "mainland", "鼠标"),
        ("term", "taiwan", "軟體"),
        ("term", "taiwan", "滑鼠"),
    ]
    rows = count_tokens("bytes", lambda text: sum(1 if one in known else 3 for one in text), words)
    assert [(row.converted, row.tokens, row.tokens_converted) for row in rows[:2]] == [("軟件", 2, 4), ("鼠標", 2, 4)]
    found = figure(Rows(tokens=tuple(rows)), "tokens", "tokens, own − other script")
    assert (found.estimate, found.published, found.n) == (-2.0, -2.0, 2)
