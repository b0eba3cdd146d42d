"""The history: every audit that was run, in one SQLite file that keeps what is needed to read and repeat it.

`History` is the file; the rows that it gives are frozen values. Everything that can go wrong with the file is a
`HistoryError`, whose message is one line for people.
"""

from __future__ import annotations

from workbench.history.rows import (
    AnswerRow,
    AuditDetails,
    AuditRow,
    HistoryError,
    Hit,
    JudgedRow,
    LabelRow,
    NoiseRow,
    VerdictVersion,
)
from workbench.history.store import History

__all__ = [
    "AnswerRow",
    "AuditDetails",
    "AuditRow",
    "History",
    "HistoryError",
    "Hit",
    "JudgedRow",
    "LabelRow",
    "NoiseRow",
    "VerdictVersion",
]
