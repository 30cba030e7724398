"""What is written about the motion of a run: parameters per volume, and volumes to look at."""

import numpy as np
import pandas as pd

from mebold.geometry import affines
from mebold.hmc import path
from mebold.hmc.path import framewise_displacement
from mebold.hmc.track import Motion

_NAMES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]

#: Columns of the table of motion, for its sidecar.
COLUMNS = {
    **{
        name: {
            "Description": "Rigid motion of the head from the reference image to the volume.",
            "Units": "mm" if name.startswith("trans") else "rad",
        }
        for name in _NAMES
    },
    "framewise_displacement": {
        "Description": "Power et al. 2012, rotations on a sphere of 50 mm.",
        "Units": "mm",
    },
    "correlation": {
        "Description": "Of the smoothed volume with the image it was fitted to, within the brain; "
        "0 for a volume that is no image.",
        "Units": "1",
    },
    "overlap": {
        "Description": "Share of the brain of that image inside the field of view of the volume.",
        "Units": "1",
    },
}


def centre_of(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the mean place (3,) of the voxels of a mask (x, y, z), world mm."""
    return affines.grid_points(mask.shape, affine, mask).mean(axis=0)


def motion_record(
    motion: Motion, centre: np.ndarray, *, outlier_mm: float, non_steady: int = 0
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
    non_steady : int
        Volumes at the start that are not steady: the displacement up to the first steady one is one
        of contrast as much as of the head, and makes no outlier.

    Returns
    -------
    table : DataFrame
        Columns of `COLUMNS`, one row per volume; the first has no displacement.
    flags : dict
        ``OutlierVolumes`` (which moved or are doubtful) and ``DoubtfulVolumes``, numbers from 0.
    """
    parameters = path.parameters(motion.matrices, centre)
    table = pd.DataFrame(parameters, columns=_NAMES)
    table["framewise_displacement"] = framewise_displacement(parameters)
    table["correlation"], table["overlap"] = motion.correlation, motion.overlap
    moved = np.nan_to_num(table["framewise_displacement"].to_numpy()) > outlier_mm
    if non_steady:
        moved[: non_steady + 1] = False
    flags = {"OutlierVolumes": moved | motion.doubtful, "DoubtfulVolumes": motion.doubtful}
    return table, {name: np.flatnonzero(flag).tolist() for name, flag in flags.items()}


def traces(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters (t, 6) and framewise displacement (t,) of a table of `motion_record`."""
    return table[_NAMES].to_numpy(), table["framewise_displacement"].to_numpy()


def match(table: pd.DataFrame) -> np.ndarray:
    """Return correlation and overlap (t, 2) of a table of `motion_record`."""
    return table[["correlation", "overlap"]].to_numpy()
