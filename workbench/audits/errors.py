"""What can go wrong with an audit as such."""

from __future__ import annotations


class AuditError(Exception):
    """An audit cannot be planned, run or compared; the message is one line that says what, where and what to do."""
