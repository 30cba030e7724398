"""Noise ceilings.

Read ceilings (the entry), sums (streams sessions), null (what chance gives) and maps (what is
written), then cells and bootstrap (resample one session).
"""
