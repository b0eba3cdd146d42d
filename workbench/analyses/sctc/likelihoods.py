"""What only the weights tell: region and script apart, the single character, the script of an answer, Hong Kong."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.analyses.sctc.common import difference, grouped
from workbench.analyses.sctc.figures import Figure, Line, Section, adjusted
from workbench.analyses.sctc.rows import MeasureRow
from workbench.statistics.clusters import cluster_means
from workbench.statistics.intervals import bootstrap_t, clustered_share
from workbench.statistics.paired import compare_means, sign_flip

EFFECTS = {
    "region": "Mainland − Taiwan word",
    "script": "Simplified − Traditional form",
    "interaction": "region × script",
}
KINDS = ("simplified", "traditional", "shared", "other")
CHARACTER = "character:"


def _mean(what: str, rows: Sequence[MeasureRow], seed: int) -> Figure:
    values, items = [row.value for row in rows], [row.item for row in rows]
    found = bootstrap_t(values, items, seed=seed)
    return Figure(
        what=what,
        unit="nats",
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=found.n,
        null=0.0,
        p=sign_flip(cluster_means(values, items).means, seed=seed),
        test="sign-flip",
    )


def two_by_two(rows: Sequence[MeasureRow], seed: int = 0) -> Section | None:
    """Region and script on the likelihood of the words, with their interaction, in each prompt language; and which of
    the two counts for more, paired by thing."""
    kept = [row for row in rows if row.what in EFFECTS]
    if not kept:
        return None
    lines, words = [], []
    for (model, language), members in grouped(kept, lambda row: (row.model, row.language)).items():
        effects = {name: [row for row in members if row.what == name] for name in EFFECTS}
        figures = [_mean(EFFECTS[name], found, seed) for name, found in effects.items() if found]
        script, region = effects["script"], effects["region"]
        if script and region:
            strength = [[abs(value) for value in _by_item(side).values()] for side in (script, region)]
            found = compare_means(strength[0], list(_by_item(script)), strength[1], list(_by_item(region)), seed=seed)
            figures.append(difference("strength, script − region", "nats", found))
        lines.append(Line(model=model, language=language, figures=tuple(figures)))
    done = adjusted(lines)
    for line in done:
        said = _form_or_word(line)
        if said:
            words.append(said)
    return Section(
        id="region-by-script",
        title="The word or the characters?",
        about="The two-by-two on log-probabilities. Region: Mainland minus Taiwan word, over both scripts. Script: the "
        "same words in Simplified minus in Traditional. Region × script: how much more the Mainland word leads in "
        "Simplified than in Traditional. Strength: how far a thing’s script effect is from 0, minus how far its region "
        "effect is.",
        counts="things",
        lines=done,
        words=tuple(words),
    )


def _by_item(rows: Sequence[MeasureRow]) -> dict[str, float]:
    found = cluster_means([row.value for row in rows], [row.item for row in rows])
    return {str(key): float(value) for key, value in zip(found.keys, found.means, strict=True)}


def _form_or_word(line: Line) -> str:
    strength = line.figure("strength, script − region")
    if strength is None or strength.estimate is None:
        return ""
    who = f"{line.model}, asked in {line.language}"
    if strength.p_adjusted is None or strength.p_adjusted >= 0.05:
        return f"{who}: no telling whether the characters or the word count for more (n = {strength.n})"
    more, less = ("characters", "word") if strength.estimate > 0 else ("word", "characters")
    verb = "count" if more == "characters" else "counts"
    return f"{who}: the {more} {verb} for more than the {less}, by {abs(strength.estimate):.2f} nats a thing"


def variants(rows: Sequence[MeasureRow], seed: int = 0, most: int = 12) -> Section | None:
    """Which form of a character is likelier in the same place of the same word, clustered by thing; and the single
    characters that several things share, the strongest leanings first."""
    whole = [row for row in rows if row.what == "variant"]
    if not whole:
        return None
    lines = []
    for (model, language), members in grouped(whole, lambda row: (row.model, row.language)).items():
        values, items = [float(row.value > 0) for row in members], [row.item for row in members]
        found = clustered_share(values, items)
        first = Figure(
            what="Simplified form likelier",
            unit="%",
            estimate=found.estimate,
            low=found.low,
            high=found.high,
            n=found.n,
            null=0.5,
            p=sign_flip(cluster_means(values, items).means - 0.5, seed=seed),
            test="sign-flip",
        )
        lines.append(
            Line(model=model, language=language, figures=(first, _mean("Simplified − Traditional form", members, seed)))
        )
    single = grouped(
        [row for row in rows if row.what.startswith(CHARACTER)], lambda row: (row.model, row.language, row.what)
    )
    by_cell: dict[tuple[str, str], list[Line]] = {}
    for (model, language, what), members in single.items():
        if len({row.item for row in members}) > 1:
            pair = what.removeprefix(CHARACTER)
            figure = _mean(f"{pair[0]} − {pair[1]}", members, seed)
            by_cell.setdefault((model, language), []).append(
                Line(model=model, language=language, group="one character", figures=(figure,))
            )
    for found_lines in by_cell.values():
        lines += sorted(found_lines, key=lambda line: -abs(line.figures[0].estimate or 0.0))[:most]
    return Section(
        id="character-variants",
        title="The form of a single character",
        about="The word as the question’s script has it against the same word with one character in the other script: "
        "above 0 (50 %) the Simplified form is likelier. Single characters are listed where at least two things hold "
        f"them, at most {most} a model and language.",
        counts="things",
        lines=adjusted(lines),
    )


def script_drift(rows: Sequence[MeasureRow], seed: int = 0) -> Section | None:
    """In which script free answers are written, and how many change it on the way."""
    kept = [row for row in rows if row.what in {*KINDS, "switched"}]
    if not kept:
        return None
    lines = []
    for (model, language), members in grouped(kept, lambda row: (row.model, row.language)).items():
        figures = []
        for what in (*KINDS, "switched"):
            found_rows = [row for row in members if row.what == what]
            if not found_rows:
                continue
            values, items = [row.value for row in found_rows], [row.item for row in found_rows]
            if what == "switched":
                found = clustered_share(values, items)
            else:
                found = bootstrap_t(values, items, seed=seed, bounds=(0.0, 1.0))
            name = "answers that switch script" if what == "switched" else f"{what} characters"
            figures.append(
                Figure(what=name, unit="%", estimate=found.estimate, low=found.low, high=found.high, n=found.n)
            )
        lines.append(Line(model=model, language=language, figures=tuple(figures)))
    return Section(
        id="script-drift",
        title="The script of the answers",
        about="Mean shares of Simplified-only, Traditional-only, shared and other (not Chinese) characters an answer, "
        "and the answers in which one script follows the other.",
        counts="things",
        lines=tuple(lines),
    )


def third_region(rows: Sequence[MeasureRow], seed: int = 0) -> Section | None:
    """Hong Kong's word against the mean of the other two, where it has one of its own."""
    kept = [row for row in rows if row.what == "hongkong"]
    if not kept:
        return None
    lines = [
        Line(model=model, language=language, figures=(_mean("Hong Kong − mean of the others", members, seed),))
        for (model, language), members in grouped(kept, lambda row: (row.model, row.language)).items()
    ]
    return Section(
        id="hong-kong",
        title="Hong Kong’s words",
        about="Things for which Hong Kong has a word of its own: how much likelier it is than the Mainland’s and "
        "Taiwan’s on average, in the script of the question.",
        counts="things",
        lines=adjusted(lines),
    )
