"""A grid of runs: read, checked, prepared once, planned, carried out here or on a Ray cluster, and made into boards.

grid.py -> checks.py -> readiness.py -> plan.py (with estimates.py) -> local.py or cluster.py, both through attempt.py -> boards.py.
What a sweep keeps of its cells beside their runs is in records.py.
"""
