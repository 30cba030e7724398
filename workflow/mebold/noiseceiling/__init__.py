"""Noise ceilings.

Read ceilings (the entry) and sums (streams sessions), then cells and bootstrap (resample one
session).
"""
