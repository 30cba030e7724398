"""Echoes of a run made one.

Read summary, decay and combine, then ica with ica_outcome and early; tedana_folder, tedana_log
and tedana_lean are how tedana itself is run.
"""
