"""Published responses scored again: no model is loaded, nothing is written."""
