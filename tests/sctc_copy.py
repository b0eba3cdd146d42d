"""Small made-up files of the layout of SC-TC-Bench, and where the real ones are. No line of them is the authors'."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

_GIVEN = os.environ.get("CULTURE_WORKBENCH_TEST_DATA")
"""Read before a test begins: within one it is gone, since the application takes it for a setting of its own."""

TERMS = (
    ("0", "软件", "軟體", "让电脑做事的东西", "讓電腦做事的東西"),
    ("1", "出租车/的士", "計程車", "付钱乘坐的车", "付錢乘坐的車"),
    ("2", "铁警", "路警", "车上的人", "車上的人"),
    ("3", "乘警", "鐵路警察", "另一位车上的人", "另一位車上的人"),
)
NAMES = (("王建国", "mc"), ("李秀兰", "mc"), ("陳冠宇", "tw"), ("林怡君", "tw"))
ORDERS = ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1))
REPEATS = 3
OVERRIDES = {
    "language": "traditional",
    "rules": [
        {"when": "contains", "strings": ["鐵路警察"], "flag": "as_written", "value": True},
        {"when": "equals", "strings": ["的士，或計程車"], "flag": "as_written", "value": False},
        {"when": "equals", "strings": ["的士，或計程車"], "flag": "converted", "value": False},
    ],
}


def put(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]], *, packed: bool = False) -> None:
    """A CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.getvalue().encode()
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
    else:
        path.write_bytes(data)


def answer(
    root: Path, model: str, language: str, version: int, responses: Sequence[str], verdicts: Sequence[object]
) -> None:
    """A term run: responses and stored verdicts."""
    stem = f"{model}_{language}_{version}.csv"
    put(root / "response/regional_term/raw" / stem, ("response",), [(each,) for each in responses], packed=True)
    folder = root / "response/regional_term/correctness_annotated_by_gpt"
    put(folder / stem, ("correct",), [(each,) for each in verdicts])


def choose(root: Path, model: str, language: str, number: int, rows: Sequence[tuple[str, int, str]]) -> None:
    """A name run: (stored name, code, raw response) of each row."""
    stem = f"{model}_{language}_{number}.csv"
    final = [(name, False, code, 0) for name, code, _ in rows]
    head = ("extracted_name", "refine_flag", "region", "trial_num")
    put(root / "response/regional_name/final" / stem, head, final)
    put(root / "response/regional_name/raw" / stem, ("response",), [(text,) for _, _, text in rows])


def copy(root: Path) -> Path:
    """Sources and prompts, without any responses."""
    head = ("conceptId", "Mainland China", "Taiwan", "definition_simplified", "definition_traditional")
    rows = [(*term, "travel", "wiki") for term in TERMS]
    put(root / "source_data/regional_term_and_definition.csv", (*head, "category", "definition_source"), rows)
    for language, own, text in (("simplified", 1, 3), ("traditional", 2, 4)):
        for version in (1, 2):
            asked = [(term[own], f"问{version}：'{term[text]}'？") for term in TERMS] * REPEATS
            put(root / f"prompt/regional_term/{language}_{version}.csv", ("gt", "prompt"), asked)
    facts = [(name, 10, 0, {"mc": "Mainland China", "tw": "Taiwan"}[region], "male") for name, region in NAMES]
    head = ("name", "count", "decile", "region", "gender")
    put(root / "source_data/regional_name_and_characteristics.csv", head, facts)
    for language, question in (("simplified", "选一位： "), ("traditional", "選一位： "), ("english", "Choose one: ")):
        lists = [(0, question + "，".join(NAMES[place][0] for place in order)) for order in ORDERS]
        put(root / f"prompt/regional_name/{language}_3.csv", ("trial_num", "prompt"), lists)
    return root


def overrides(root: Path) -> Path:
    """A file of overrides."""
    path = root / "overrides.json"
    path.write_text(json.dumps(OVERRIDES, ensure_ascii=False), encoding="utf-8")
    return path


def real() -> Path:
    """The authors' own files; skips where they are absent."""
    place = (Path(_GIVEN) if _GIVEN else Path(__file__).parents[2] / "shared" / "data") / "sctc"
    if not place.is_dir():
        pytest.skip("the authors' files are not on this machine")
    return place
