"""What runs, and why not.

Read table (the entry), then stages, anatomy and distortion; text writes it down.
"""
