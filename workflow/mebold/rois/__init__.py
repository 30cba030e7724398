"""Regions.

Read masks and table, then visual (responsive voxels) and compared (one region for all
variants).
"""
