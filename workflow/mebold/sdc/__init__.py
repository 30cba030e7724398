"""Distortion of a run.

Read boldref (the static field) and magnitude (where its map lies), change and medic (a field that
follows the volumes), follow (the motion without that change), sign and verdict (is the correction
the right way round?).
"""
