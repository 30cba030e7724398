"""Motion parameters, and motion at other times than those of the acquired volumes."""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from mebold import affines


def parameters(matrices: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return translations (mm) and rotations (rad) of each matrix about a centre.

    Parameters
    ----------
    matrices : ndarray, shape (t, 4, 4)
        Rigid point maps.
    centre : ndarray, shape (3,)
        Centre of rotation, world mm.

    Returns
    -------
    ndarray, shape (t, 6), float64
        See `affines.rigid_parameters`.
    """
    return np.stack([affines.rigid_parameters(matrix, centre) for matrix in matrices])


def at_times(
    matrices: np.ndarray,
    *,
    tr: float,
    tr_out: float,
    n_out: int,
    centre: np.ndarray,
    volume_time_s: float,
) -> np.ndarray:
    """Interpolate motion to the samples of a resampled series.

    Parameters
    ----------
    matrices : ndarray, shape (t, 4, 4)
        One rigid point map per acquired volume.
    tr, tr_out : float
        Repetition time and output sampling interval, seconds.
    n_out : int
        Number of output samples; sample k lies at ``k * tr_out``.
    centre : ndarray, shape (3,)
        The point whose path is interpolated linearly (centre of the head), world mm.
    volume_time_s : float
        Time within a volume that its matrix describes, seconds: the mean of its slice times.

    Returns
    -------
    ndarray, shape (n_out, 4, 4), float64
        Linear in the position of the centre, great arcs in rotation; held at both ends.
    """
    matrices = np.asarray(matrices, dtype=np.float64)
    if len(matrices) == 1:
        return np.repeat(matrices, n_out, axis=0)
    knots = np.arange(len(matrices)) * tr + volume_time_s
    times = np.clip(np.arange(n_out) * tr_out, knots[0], knots[-1])
    centre = np.asarray(centre, dtype=np.float64)
    path = matrices[:, :3, :3] @ centre
    path = path + matrices[:, :3, 3]
    out = np.tile(np.eye(4), (n_out, 1, 1))
    out[:, :3, :3] = Slerp(knots, Rotation.from_matrix(matrices[:, :3, :3]))(times).as_matrix()
    places = np.stack([np.interp(times, knots, path[:, a]) for a in range(3)], axis=1)
    out[:, :3, 3] = places - out[:, :3, :3] @ centre
    return out
