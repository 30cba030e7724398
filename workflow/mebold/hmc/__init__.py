"""Head motion.

Read track (the entry), path (motion as parameters and at other times), record.
"""
