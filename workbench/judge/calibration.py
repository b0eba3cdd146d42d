"""How far a judge can be trusted, and figures that cannot be shown without it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workbench.statistics.agreement import accuracy, cohens_kappa
from workbench.statistics.intervals import Estimate, wilson


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A judge's agreement with stored verdicts on the same answers."""

    judge: str
    fingerprint: str
    """SHA-256 of the judge's weights; "" for the judge-free rule."""
    way: str
    """How it was asked: scores, schema, text; "rule" for the judge-free rule."""
    against: str
    """Whose verdicts it was compared with."""
    accuracy: Estimate
    kappa: Estimate
    """Cohen's kappa with its bootstrap interval; its estimate is None where it is undefined."""
    unreadable: int
    """Answers on which the judge gave no 0 or 1; in neither figure."""


class JudgedShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share that rests on a judge's word. It cannot be made without the judge's calibration, and its `text` always
    carries the kappa."""

    share: Estimate
    calibration: Calibration

    def __post_init__(self) -> None:
        """Raises ValueError where the judge's agreement was not measured."""
        if not isinstance(self.calibration, Calibration) or self.calibration.kappa.n < 1:
            raise ValueError("a judged figure needs the judge's agreement, measured on at least one stored verdict")

    @property
    def text(self) -> str:
        """The share with its judge's kappa, as it stands on screen and in reports."""
        share = "–" if self.share.estimate is None else f"{100 * self.share.estimate:.1f} %"
        return f"{share} (judge {self.calibration.judge}, {kappa_text(self.calibration)})"


def kappa_text(calibration: Calibration) -> str:
    """A judge's kappa with its interval, in words."""
    kappa = calibration.kappa
    if kappa.estimate is None:
        return f"κ undefined: judge or stored verdicts are all the same, n {kappa.n:,}"
    if kappa.low is None or kappa.high is None:
        return f"κ {kappa.estimate:.2f}, n {kappa.n:,}"
    return f"κ {kappa.estimate:.2f} [{kappa.low:.2f}, {kappa.high:.2f}], n {kappa.n:,}"


def calibrate(
    judged: Sequence[bool | None], stored: Sequence[bool], *, judge: str, fingerprint: str, way: str, against: str
) -> Calibration:
    """A judge's agreement over the answers on which it said 0 or 1. ValueError for sequences of unlike lengths."""
    return Calibration(
        judge=judge,
        fingerprint=fingerprint,
        way=way,
        against=against,
        accuracy=accuracy(judged, stored),
        kappa=cohens_kappa(judged, stored),
        unreadable=sum(word is None for word in judged),
    )


def judged_share(judged: Sequence[bool | None], calibration: Calibration) -> JudgedShare:
    """The share that a judge calls right, of those that it could judge."""
    said = [word for word in judged if word is not None]
    return JudgedShare(share=wilson(sum(said), len(said)), calibration=calibration)
