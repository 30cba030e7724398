"""What there is.

Read index (the entry), tree, rows and table; runs, events, fieldmaps and pairing say what
belongs together, checks, check_runs and findings what is wrong, left_out what goes for it.
"""
