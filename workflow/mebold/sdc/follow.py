"""Motion of a run whose field changes."""

from collections.abc import Mapping

import numpy as np

from mebold.hmc import track
from mebold.registration import rigid
from mebold.sdc.change import Static, without_change


def motion_without(
    series: np.ndarray,
    change_hz: np.ndarray,
    affine: np.ndarray,
    *,
    static: Static,
    sbref: tuple[np.ndarray, np.ndarray] | None,
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
    sbref : (volume (x, y, z), affine (4, 4)) or None
        Single-band reference of the echo; a mean of the series (as acquired) where there is none.
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
    reference, grid = track.reference(series, affine, widths["fwhm_mm"], sbref=sbref)
    return track.track(
        without_change(series, change_hz, affine, **static.epi),
        reference,
        affine,
        reference_affine=grid,
        mask=static.mask,
        **widths,
        n_threads=n_threads,
    )
