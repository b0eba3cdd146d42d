"""Models behind one protocol. Knows nothing of suites, audits or screens."""
