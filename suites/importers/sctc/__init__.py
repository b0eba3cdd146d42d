"""SC-TC-Bench (Lyu, Luo, Kang & Koenecke, FAccT 2025, doi 10.1145/3715275.3732182): a copy of the authors' repository.

`reader` reads the layout as it is, into the types of `model`; `verdicts` holds the published and the corrected rules;
`overrides` the user's file of manual corrections; `convert` the published script conversion; `suite` makes a suite of
terms and name lists. None of the authors' data is part of this project: the copy is the user's own.
"""
