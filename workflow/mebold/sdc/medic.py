"""The field of every volume from the phase of its echoes, by the package warpkit (MEDIC).

warpkit is licensed for non-commercial use only, so it is neither installed nor chosen by default.
It gives a field per volume; here these become what the rest of the workflow reads, a static field
in the frame of the reference image and its change at the voxels as acquired.

References
----------
A. N. Van et al., "Framewise multi-echo distortion correction for superior functional MRI", Imaging
Neuroscience 2026, doi 10.1162/IMAG.a.1262 (method and package).
"""

from collections.abc import Sequence
from importlib import import_module

import numpy as np

from mebold.errors import ConfigError, DataError
from mebold.geometry import affines, interpolation
from mebold.geometry.phase_encoding import mm_per_hz
from mebold.sdc.change import Static

INSTALL = (
    "`sdc: medic` needs the Python package warpkit, which is free for non-commercial use by "
    "academic, government and non-profit institutions only, and therefore not installed with "
    "mebold. If your use is allowed: pip install warpkit==1.5.0, into the environment of the rule "
    "`sdc`. `sdc: dynamic` follows the field without it, given a fieldmap."
)


def fields(
    magnitudes: Sequence[np.ndarray],
    phases: Sequence[np.ndarray],
    affine: np.ndarray,
    *,
    echo_times_s: Sequence[float],
    direction: str,
    readout_s: float,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the field of every volume.

    Parameters
    ----------
    magnitudes, phases : sequence of (x, y, z, t) array
        One per echo, by ascending echo time; phases in radians.
    affine : (4, 4) array
        Voxel to world, mm.
    echo_times_s : sequence of float
        Seconds.
    direction, readout_s : str, float
        PhaseEncodingDirection and total readout time (s).
    n_threads : int

    Returns
    -------
    native : (x, y, z, t) float32 array
        Hz where the distorted volumes show their signal.
    undistorted : (x, y, z, t) float32 array
        Hz at the true places, head as in that volume.

    Raises
    ------
    ConfigError
        When warpkit is not installed.
    DataError
        When the fields are not finite, or 0 everywhere.
    """
    try:
        distortion = import_module("warpkit.distortion")
    except ImportError as error:
        raise ConfigError(INSTALL) from error
    image = import_module("nibabel").Nifti1Image

    def images(arrays):
        return [image(np.asarray(array, dtype=np.float32), affine) for array in arrays]

    times_ms = [1000.0 * time for time in echo_times_s]
    found = distortion.medic(
        images(phases), images(magnitudes), times_ms, readout_s, direction, n_cpus=n_threads
    )
    native, undistorted = (np.asarray(found[i].dataobj, dtype=np.float32) for i in (0, 2))
    if not (np.isfinite(native).all() and np.isfinite(undistorted).all() and undistorted.any()):
        message = "MEDIC found no field: its maps are 0 everywhere or not finite."
        raise DataError(message)
    return native, undistorted


def static_field(
    undistorted: np.ndarray,
    affine: np.ndarray,
    *,
    motion: np.ndarray,
    shape: tuple[int, ...],
    boldref_affine: np.ndarray,
) -> np.ndarray:
    """Return the mean field over a run, carried along with the head to the reference image.

    Parameters
    ----------
    undistorted : (x, y, z, t) array
        From `fields`.
    affine : (4, 4) array
        Its voxel to world, mm.
    motion : (t, 4, 4) array
        Point maps from the reference image to each volume.
    shape, boldref_affine
        Grid of the reference image.

    Returns
    -------
    (x, y, z) float32 array
        Hz.
    """
    points = affines.grid_points(shape, boldref_affine)
    total = np.zeros(len(points))
    for t, matrix in enumerate(motion):
        total += interpolation.resample_volume(
            undistorted[..., t], affine, points, matrix=matrix, order=1
        )
    return (total / len(motion)).reshape(shape).astype(np.float32)


def change(
    native: np.ndarray, affine: np.ndarray, *, motion: np.ndarray, static: Static
) -> np.ndarray:
    """Return by how much the field of every volume differs from the static one.

    Parameters
    ----------
    native : (x, y, z, t) array
        From `fields`.
    affine : (4, 4) array
        Its voxel to world, mm.
    motion : (t, 4, 4) array
        Point maps from the reference image to each volume.
    static : Static
        Its field is subtracted where the signal of each voxel belongs in the head.

    Returns
    -------
    (x, y, z, t) float32 array
        Hz at the voxels as acquired, as from `change.field_change`; 0 where MEDIC gives none.
    """
    points = affines.grid_points(native.shape[:3], affine)
    out = np.empty(native.shape, np.float32, order="F")
    per_hz = mm_per_hz(affine, **static.epi)
    for t, matrix in enumerate(motion):
        hertz = native[..., t].ravel()
        true = points - hertz[:, np.newaxis] * per_hz
        known = interpolation.resample_volume(
            static.field_hz, static.affine, true, matrix=np.linalg.inv(matrix), order=1
        )
        values = np.where(hertz == 0, 0, hertz - known)
        out[..., t] = values.reshape(native.shape[:3])
    return out
