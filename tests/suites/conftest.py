"""Small packs in folders of the tests' own."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Pack = Callable[..., Path]

HEAD = """
kind = "suite"
id = "{id}"
version = "1.0"
title = "A small suite"
languages = ["zh-Hans", "zh-Hant", "en"]
measures = "something"
method = "somehow"
citation = ""
licence = "CC0-1.0"
limits = "many"
item_kind = "{kind}"

[[sources]]
id = "book"
title = "A book"
publisher = "A publisher"
address = "https://example.org"
"""

TERM_TASKS = """
[[tasks]]
id = "likelihood"
title = "Likelihood"
kind = "choice"
rule = "regional-term-likelihood"
prompts = [
  { language = "zh-Hans", version = 1, text = "“{definition}”叫作" },
  { language = "zh-Hant", version = 1, text = "“{definition}”叫作" },
  { language = "en", version = 1, text = "The Chinese word for “{definition}” is", lead = " " },
]

[[tasks]]
id = "answer"
title = "Answer"
kind = "short-answer"
rule = "regional-term-answer"
form = "chat"
max_tokens = 24
prompts = [
  { language = "zh-Hans", version = 1, text = "用一个词回答：“{definition}”是什么？", cue = "\\n答：" },
  { language = "zh-Hant", version = 1, text = "用一個詞回答：“{definition}”是什麼？", cue = "\\n答：" },
  { language = "en", version = 1, text = "In one Chinese word: what is “{definition}”?", cue = "\\nAnswer:" },
]
"""

NAME_PROMPTS = """
prompts = [
  { language = "zh-Hans", version = 1, text = "从{n}人中选：{candidates}。", cue = "\\n答：", separator = "、" },
  { language = "zh-Hant", version = 1, text = "從{n}人中選：{candidates}。", cue = "\\n答：", separator = "、" },
  { language = "en", version = 1, text = "Of {n} choose one: {candidates}.", cue = "\\nA:", separator = ", " },
]
"""

NAME_TASKS = f"""
[[tasks]]
id = "choice"
title = "Choice"
kind = "choice-generated"
rule = "name-choice"
form = "chat"
orders = 4
{NAME_PROMPTS}
[[tasks]]
id = "likelihood"
title = "Likelihood"
kind = "choice"
rule = "name-likelihood"
orders = 4
{NAME_PROMPTS}
"""

TERM = {
    "id": "fruit-pineapple",
    "category": "food",
    "terms": {
        "mainland": {"zh-Hans": "菠萝", "zh-Hant": "菠蘿"},
        "taiwan": {"zh-Hans": "凤梨", "zh-Hant": "鳳梨"},
    },
    "accepted": {"mainland": ["黄梨"], "taiwan": ["旺來"]},
    "definition": {
        "zh-Hans": "一种热带水果，果肉黄色，顶上有一丛硬叶",
        "zh-Hant": "一種熱帶水果，果肉黃色，頂上有一叢硬葉",
        "en": "A tropical fruit with yellow flesh and a crown of stiff leaves",
    },
    "source": ["book"],
}

TERM_SHARED = {
    "id": "vegetable-potato",
    "category": "food",
    "terms": {
        "mainland": {"zh-Hans": "土豆", "zh-Hant": "土豆"},
        "taiwan": {"zh-Hans": "马铃薯", "zh-Hant": "馬鈴薯"},
    },
    "definition": {
        "zh-Hans": "长在地下的块茎，可以切丝炒，也可以炸成条",
        "zh-Hant": "長在地下的塊莖，可以切絲炒，也可以炸成條",
        "en": "A tuber that is fried in sticks or mashed",
    },
    "source": ["book"],
}

TERM_VEHICLE = {
    "id": "transport-motorcycle",
    "category": "transport",
    "terms": {
        "mainland": {"zh-Hans": "摩托", "zh-Hant": "摩托"},
        "taiwan": {"zh-Hans": "机车", "zh-Hant": "機車"},
    },
    "accepted": {"mainland": [], "taiwan": ["摩托車"]},
    "definition": {
        "zh-Hans": "两轮、有发动机、骑着开的交通工具",
        "zh-Hant": "兩輪、有引擎、騎著開的交通工具",
        "en": "A vehicle with two wheels and an engine",
    },
    "source": ["book"],
}

NAMES = {
    "mainland": ["李建国", "王秀英", "张丽华", "刘志强", "陈桂兰"],
    "taiwan": ["林淑芬", "陳俊傑", "黃雅婷", "張家豪", "吳美玲"],
}


def person(name: str, region: str) -> dict[str, Any]:
    """A line of a pool; women have an even place in NAMES."""
    place = NAMES[region].index(name)
    return {
        "name": name,
        "surname": name[0],
        "given": name[1:],
        "region": region,
        "gender": "female" if place % 2 else "male",
        "band": "top",
        "marked": name not in {"王秀英", "林淑芬"},
        "source": ["book"],
    }


def dump(path: Path, rows: list[Any]) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def term_pack(tmp_path: Path) -> Pack:
    """Writes a pack of terms; keyword arguments: id, items, head (text put before the tasks), tasks, root."""

    def write(
        id: str = "small-terms", items: Any = None, head: str = "", tasks: str = TERM_TASKS, root: Path | None = None
    ) -> Path:
        folder = (root or tmp_path / "packs") / id
        folder.mkdir(parents=True)
        text = HEAD.format(id=id, kind="regional-term") + head + tasks
        (folder / "suite.toml").write_text(text, encoding="utf-8")
        dump(folder / "items.jsonl", [TERM, TERM_SHARED, TERM_VEHICLE] if items is None else items)
        (folder / "SOURCES.md").write_text("A book.\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def name_pack(tmp_path: Path) -> Pack:
    """Writes a pack of names; keyword arguments: id, lists, pool, tasks."""

    def write(id: str = "small-names", lists: Any = None, pool: Any = None, tasks: str = NAME_TASKS) -> Path:
        folder = tmp_path / "packs" / id
        folder.mkdir(parents=True)
        text = HEAD.format(id=id, kind="candidate-list") + tasks
        (folder / "suite.toml").write_text(text, encoding="utf-8")
        everybody = [person(name, region) for region, names in NAMES.items() for name in names]
        mixed = [name for pair in zip(NAMES["mainland"], NAMES["taiwan"], strict=True) for name in pair]
        dump(folder / "pool.jsonl", everybody if pool is None else pool)
        dump(folder / "items.jsonl", [{"id": "list-1", "candidates": mixed}] if lists is None else lists)
        (folder / "SOURCES.md").write_text("A book.\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def term_line() -> dict[str, Any]:
    """A regional term to change and write."""
    return copy.deepcopy(TERM)
