"""A simulator of raw datasets that shares no code with what it tests.

Read spec, task, sources, anatomy, contrast and scene, then coil, noise, physics, run and fieldmap,
then dataset (the entry); check holds results against truth.
"""
