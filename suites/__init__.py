"""What is asked and how it is scored. Knows nothing of engines' insides or of screens."""
