"""Published benchmarks, read from the files that the user has."""
