"""Motion parameters, and motion at other times than those of the acquired volumes."""

import itertools

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from mebold.errors import DataError
from mebold.geometry import affines


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
    non_steady: int = 0,
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
    non_steady : int
        Volumes at the start that are not steady: no sample after their time rests on them, and
        its motion neither.

    Returns
    -------
    ndarray, shape (n_out, 4, 4), float64
        Linear in the position of the centre, great arcs in rotation; held at both ends.
    """
    matrices = np.asarray(matrices, dtype=np.float64)
    if len(matrices) == 1:
        return np.repeat(matrices, n_out, axis=0)
    knots = np.arange(len(matrices)) * tr + volume_time_s
    times = np.arange(n_out) * tr_out
    # As the series is sampled: `mebold.resample.slice_timing`.
    steady = times > non_steady * tr - 1e-6
    times = np.clip(times, np.where(steady, knots[non_steady], knots[0]), knots[-1])
    centre = np.asarray(centre, dtype=np.float64)
    path = matrices[:, :3, :3] @ centre
    path = path + matrices[:, :3, 3]
    out = np.tile(np.eye(4), (n_out, 1, 1))
    out[:, :3, :3] = Slerp(knots, Rotation.from_matrix(matrices[:, :3, :3]))(times).as_matrix()
    places = np.stack([np.interp(times, knots, path[:, a]) for a in range(3)], axis=1)
    out[:, :3, 3] = places - out[:, :3, :3] @ centre
    return out


def _check_motion(motion: np.ndarray) -> np.ndarray:
    """Return motion parameters as (T, 6) float64, checked."""
    motion = np.asarray(motion, dtype=np.float64)
    if motion.ndim != 2 or motion.shape[1] != 6 or not np.isfinite(motion).all():
        message = f"Motion parameters must be finite (T, 6), got shape {motion.shape}."
        raise DataError(message)
    return motion


def framewise_displacement(motion: np.ndarray, *, radius_mm: float = 50.0) -> np.ndarray:
    """Compute the framewise displacement of Power et al.

    Parameters
    ----------
    motion : (T, 6) array
        Translations x, y, z in mm and rotations about x, y, z in radians, one row per acquired
        volume.
    radius_mm : float
        Radius of the sphere on which a rotation is turned into an arc length.

    Returns
    -------
    (T,) float64 array
        Sum of absolute parameter changes since the volume before, mm. NaN for the first volume.

    Raises
    ------
    DataError
        When the parameters are not finite or not (T, 6).

    References
    ----------
    Power et al. 2012, NeuroImage 59(3):2142.
    """
    change = np.abs(np.diff(_check_motion(motion), axis=0))
    change[:, 3:] *= radius_mm
    return np.concatenate([[np.nan], change.sum(axis=1)])


def relative_rms(motion: np.ndarray, *, radius_mm: float = 80.0) -> np.ndarray:
    """Compute the root mean squared displacement inside a sphere between consecutive volumes.

    Parameters
    ----------
    motion : (T, 6) array
        As for `framewise_displacement`. The sphere is centred where the rotations are.
    radius_mm : float
        Radius of the sphere.

    Returns
    -------
    (T,) float64 array
        Millimetres, NaN for the first volume.

    References
    ----------
    Jenkinson 1999, FMRIB technical report TR99MJ1 (the column ``rmsd`` of fMRIPrep).
    """
    matrices = [affines.rigid_matrix(row, np.zeros(3)) for row in _check_motion(motion)]
    values = [np.nan]
    for before, after in itertools.pairwise(matrices):
        change = after @ np.linalg.inv(before) - np.eye(4)
        rotation = change[:3, :3]
        shift = change[:3, 3]
        square = radius_mm**2 / 5 * np.trace(rotation.T @ rotation) + shift @ shift
        values.append(float(np.sqrt(square)))
    return np.asarray(values)
