"""Which job gets what.

Read index (which file), products (which variants), parameters (what to know), then script,
sidecar and configuration; code_hash says when a job runs again. grid, echoes and session are
what several scripts read or write alike.
"""
