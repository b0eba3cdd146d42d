"""Blind votes: people judge two models' written answers side by side, without knowing whose is whose."""
