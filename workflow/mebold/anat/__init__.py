"""Anatomy.

Read bias, brain_mask and tissue, then epi_mask; mni, template and output_grid lead to the grid
of the output.
"""
