"""The application's two colour themes. Textual's own can be chosen as well."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="workbench-dark",
    primary="#7aa2c8",
    secondary="#8fa3ad",
    accent="#e0b060",
    foreground="#d8dee4",
    background="#14181c",
    surface="#1a2026",
    panel="#222a31",
    success="#7fb685",
    warning="#e0b060",
    error="#d9777f",
    dark=True,
    variables={
        "footer-key-foreground": "#e0b060",
        "block-cursor-background": "#2f4a63",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-blurred-background": "#26333f",
    },
)
LIGHT = Theme(
    name="workbench-light",
    primary="#2b5f8c",
    secondary="#5a6b75",
    accent="#8a5a00",
    foreground="#1d2429",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e8e5de",
    success="#2f6b3a",
    warning="#8a5a00",
    error="#a3323d",
    dark=False,
    variables={
        "footer-key-foreground": "#8a5a00",
        "block-cursor-background": "#bcd3e8",
        "block-cursor-foreground": "#101418",
        "block-cursor-blurred-background": "#dde5ec",
    },
)
THEMES = (DARK, LIGHT)
