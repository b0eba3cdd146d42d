"""Textual screens and widgets: they draw findings and send commands; they never talk to an engine or to SQL."""
