"""What is written about the motion of a run: parameters per volume, and volumes to look at."""

import numpy as np
import pandas as pd

from mebold.geometry import affines
from mebold.hmc import path
from mebold.hmc.path import framewise_displacement
from mebold.hmc.track import Motion

_NAMES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]


def centre_of(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the mean place (3,) of the voxels of a mask (x, y, z), world mm."""
    return affines.grid_points(mask.shape, affine, mask).mean(axis=0)


def motion_record(
    motion: Motion, centre: np.ndarray, *, outlier_mm: float
) -> tuple[pd.DataFrame, dict]:
    """Tabulate motion and name the volumes that moved or cannot be trusted.

    Parameters
    ----------
    motion : Motion
        From `mebold.hmc.track`.
    centre : (3,) array
        Centre of the head in the reference, world mm; rotations are about it.
    outlier_mm : float
        Framewise displacement above which a volume is an outlier.

    Returns
    -------
    table : DataFrame
        Three translations (mm), three rotations (rad) and ``framewise_displacement`` (mm, rotations
        on a sphere of 50 mm; missing for the first volume), one row per volume.
    flags : dict
        ``OutlierVolumes`` and ``DoubtfulVolumes``, numbers from 0.
    """
    parameters = path.parameters(motion.matrices, centre)
    table = pd.DataFrame(parameters, columns=_NAMES)
    table["framewise_displacement"] = framewise_displacement(parameters)
    moved = np.nan_to_num(table["framewise_displacement"].to_numpy()) > outlier_mm
    flags = {"OutlierVolumes": moved, "DoubtfulVolumes": motion.doubtful}
    return table, {name: np.flatnonzero(flag).tolist() for name, flag in flags.items()}


def traces(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters (t, 6) and framewise displacement (t,) of a table of `motion_record`."""
    return table[_NAMES].to_numpy(), table["framewise_displacement"].to_numpy()
