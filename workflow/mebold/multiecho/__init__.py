"""Echoes of a run made one.

Read summary, decay and combine, then ica with ica_outcome and early; tedana_folder and tedana_log
are the two sides of tedana itself.
"""
