"""Figures as people read them: per cent with one decimal, nats with two, a true minus sign."""

from __future__ import annotations


def number(value: float | None, unit: str, *, sign: bool = False) -> str:
    """A figure in its unit: shares in per cent with one decimal, nats with two."""
    if value is None:
        return "–"
    text = f"{100 * value:+.1f}" if unit == "%" else f"{value:+.2f}"
    return (text if sign or unit != "%" else text.lstrip("+")).replace("-", "−")


def interval(low: float | None, high: float | None, unit: str) -> str:
    """An interval, or nothing where there is none."""
    return "" if low is None or high is None else f"[{number(low, unit)} – {number(high, unit)}]"


def p_value(p: float | None) -> str:
    """A p-value as people write it."""
    if p is None:
        return ""
    return "<.0001" if p < 0.0001 else f"{p:.4f}".lstrip("0") if p < 0.01 else f"{p:.2f}".lstrip("0")
