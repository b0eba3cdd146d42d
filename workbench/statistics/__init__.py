"""What a finding means: shares, means, paired tests, stability, agreement, baselines and the words for them.

Pure functions over numbers: no files, no clock, no global random state (whatever draws takes a seed). `n` always counts
clusters: the units that were sampled independently (items, stories, name lists, sentence twins, question ids).
Intervals are 95 % throughout. A figure that does not exist is None, never 0 or NaN; an input that makes no sense is a
ValueError of one line.
"""
