"""Regions.

Read given (masks on any grid), masks, expressions and table, then data_driven, visual (responsive
voxels) and compared (one region for all variants).
"""
