"""Analyses that belong to one published work or one family of suites; general methods are in `workbench.statistics`."""
