"""Head motion.

Read track (the entry), steady (which volumes are alike), reference (what motion is measured
against), trust and view (what to doubt), path (motion as parameters and at other times), record.
"""
