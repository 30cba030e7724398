"""The levels of the rigid fit by mutual information, for both images of the anatomy."""

from mebold.registration.ants import Stage

STAGES = (
    Stage("Rigid", (4, 2), (6.0, 3.0), (200, 100), 1.0),
    Stage("Rigid", (1,), (0.0,), (100,), 0.5),
)
