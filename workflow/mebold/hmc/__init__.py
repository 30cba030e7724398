"""Head motion.

Read track (the entry), reference (what it is measured against), path (motion as parameters and at
other times), record.
"""
