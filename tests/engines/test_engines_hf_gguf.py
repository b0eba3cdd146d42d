"""Two engines, one truth: the same weights as GGUF and, dequantised to float32, as a Hugging Face model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the hf extra is not installed (make install-hf)")
pytest.importorskip("transformers", reason="the hf extra is not installed (make install-hf)")

from scipy.stats import spearmanr
from tiny_hf import dequantise

from engines.base import ChoiceRequest, LoadOptions, Message
from engines.process import open_engine

ONE_THREAD = LoadOptions(context=512, threads=1)
MEAN, WORST, RANKS = 0.35, 1.5, 0.9
"""What quantised activations explain: llama.cpp rounds them to 8 bits before each product, transformers does not. On
options of six tokens a mean of 0.16 and a maximum of 0.6 nats were seen; twice that would be a fault of one side."""
OPTIONS = (
    " Yes, people there would approve",
    " No, people there would object",
    " It would be neither of them",
    " The story does not say enough",
)
ITEMS = [
    ChoiceRequest(
        f"{name} brings {gift} to dinner in {city} and leaves the shoes at the door.\nIs that usual?", OPTIONS
    )
    for name, gift, city in (("Mika", "tea", "Osaka"), ("Luz", "honey", "Lima"), ("志強", "凤梨酥", "臺北"))
] + [ChoiceRequest((Message("user", "Is it polite to tip in Tokyo?"),), ("Yes, it is polite.", "No, it is not."))]


@pytest.fixture(scope="module")
def dequantised(starters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("float32") / "smollm2-135m-instruct"
    return dequantise(starters["smollm2-135m-instruct"], folder)


@pytest.mark.model
@pytest.mark.timeout(600)
def test_both_engines_give_the_same_scores(
    starters: dict[str, Path], dequantised: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for path in (starters["smollm2-135m-instruct"], dequantised):
        engine = open_engine(str(path), ONE_THREAD)
        scores = list(engine.score(ITEMS))
        assert not any(one.error for one in scores)
        found.append([[(option.logprob, option.tokens) for option in one.options] for one in scores])
        engine.close()
    # The same tokens on both sides, chat template included: else nothing below means anything.
    assert [[tokens for _, tokens in item] for item in found[0]] == [
        [tokens for _, tokens in item] for item in found[1]
    ]
    gguf, hf = ([score for item in side for score, _ in item] for side in found)
    gaps = np.abs(np.array(gguf) - np.array(hf))
    ranks = float(spearmanr(gguf, hf).statistic)
    tops = sum(
        int(np.argmax([score for score, _ in a]) == np.argmax([score for score, _ in b]))
        for a, b in zip(*found, strict=True)
    )
    with capsys.disabled():
        sys.stdout.write(
            f"\nGGUF against the same weights in float32, {len(gaps)} options: mean {gaps.mean():.3f}, at most "
            f"{gaps.max():.3f} nats; rank agreement {ranks:.3f}; first option equal in {tops} of {len(ITEMS)} items\n"
        )
    assert gaps.mean() <= MEAN
    assert gaps.max() <= WORST
    assert ranks >= RANKS
