"""Anatomy.

Read bias, brain_mask and tissue (with labels), then epi_mask; mni, template, output_grid and
boldref_grid lead to the grid of the output.
"""
