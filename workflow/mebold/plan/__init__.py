"""What runs, and why not.

Read study (the entry) and table, then stages, anatomy, distortion and trials; text writes it down.
"""
