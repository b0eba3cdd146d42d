"""Live: a prompt whose options' probabilities are shown while it is typed, and answers as they are written."""
