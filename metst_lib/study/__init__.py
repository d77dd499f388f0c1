"""The study: rows held against each other on replicates of the synthetic study set, kept as counts.

Nothing here knows a run folder: a replicate is made, folds are run on it in memory (`fold.fold`), and what
each found is kept as counts per video and class, from which every table and interval follows.
"""
