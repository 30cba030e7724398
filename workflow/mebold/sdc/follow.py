"""Motion of a run whose field changes."""

from collections.abc import Mapping

import numpy as np

from mebold.hmc import reference, track
from mebold.registration import rigid
from mebold.sdc.change import Static, without_change


def motion_without(
    series: np.ndarray,
    change_hz: np.ndarray,
    affine: np.ndarray,
    *,
    static: Static,
    to_series: np.ndarray,
    smoothing: Mapping[str, float],
    n_threads: int = 1,
) -> track.Motion:
    """Estimate the motion of a run without the change of its field.

    Parameters
    ----------
    series : (x, y, z, t) array
        Raw magnitudes of one echo.
    change_hz : (x, y, z, t) array
        Hz at the voxels as acquired, from `mebold.sdc.change.field_change`.
    affine : (4, 4) array
        Voxel to world of the series, mm.
    static : Static
        Its mask, on the grid of the reference, holds the voxels to compare.
    to_series : (4, 4) array
        Point map from the reference image to the mean of the series (as acquired), world mm.
    smoothing : mapping
        See `mebold.registration.rigid.smoothing`.
    n_threads : int

    Returns
    -------
    Motion
        Point maps from the reference to each volume, world mm.

    Raises
    ------
    GridMismatchError, DataError
        As `mebold.hmc.track.track`.
    """
    widths = rigid.smoothing(affine, smoothing)
    return reference.motion_from(
        without_change(series, change_hz, affine, **static.epi),
        affine,
        mean=track.robust_mean(series, affine, fwhm_mm=widths["fwhm_mm"]),
        to_series=to_series,
        mask=static.mask,
        mask_affine=static.affine,
        widths=widths,
        n_threads=n_threads,
    )
