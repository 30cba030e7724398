"""Distortion of a run.

Read boldref (the static field), change and medic (a field that follows the volumes), sign (is
the correction the right way round?).
"""
