"""What was shown live, as plain data: what `live show --json` prints, what is kept in the history, what is exported."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engines.base import ModelCard, Token
from workbench.live.bars import Bars, difference
from workbench.live.scene import Pane, Scene, reference


def options_record(
    scene: Scene,
    panes: Sequence[Pane],
    cards: Mapping[str, ModelCard],
    shown: Mapping[int, Bars],
    floors: Mapping[str, float],
) -> dict[str, Any]:
    """Bars by pane. Probabilities and differences 0..1, log-probabilities and noise in nats; a difference is None where
    there is nothing to compare with, or no more than noise."""
    drawn = []
    for place, pane in enumerate(panes):
        found = shown.get(place)
        if found is None:
            continue
        against = reference(panes, place)
        apart: Sequence[float | None] = [None] * len(found.probabilities)
        if against is not None and against in shown:
            apart = difference(found, shown[against], (floors.get(pane.model), floors.get(panes[against].model)))
        drawn.append(
            {
                **_pane(scene, pane, cards[pane.model], free=False),
                "compared_with": against,
                "noise": floors.get(pane.model),
                "options": [
                    {"text": text, "probability": p, "logprob": nats, "difference": gap}
                    for text, p, nats, gap in zip(
                        scene.options_of(pane.wording), found.probabilities, found.logprobs, apart, strict=True
                    )
                ],
            }
        )
    return {"kind": "options", "scene": msgspec.to_builtins(scene), "panes": drawn}


def stream_record(
    scene: Scene,
    panes: Sequence[Pane],
    cards: Mapping[str, ModelCard],
    answers: Mapping[int, tuple[str, str, Sequence[Token]]],
) -> dict[str, Any]:
    """Answers by pane: (text, how it ended, tokens)."""
    drawn = [
        {
            **_pane(scene, pane, cards[pane.model], free=True),
            "text": answers[place][0],
            "finish": answers[place][1],
            "tokens": [
                {"text": token.text, "probability": math.exp(token.logprob)}
                for token in answers[place][2]
                if token.id >= 0
            ],
        }
        for place, pane in enumerate(panes)
        if place in answers
    ]
    return {"kind": "answers", "scene": msgspec.to_builtins(scene), "panes": drawn}


def _pane(scene: Scene, pane: Pane, card: ModelCard, *, free: bool) -> dict[str, Any]:
    wording = scene.wordings[pane.wording]
    return {
        "model": pane.model,
        "fingerprint": card.fingerprint,
        "wording": pane.wording,
        "label": wording.label,
        "form": "chat" if scene.chat(bool(card.template), free=free) else "plain",
    }
