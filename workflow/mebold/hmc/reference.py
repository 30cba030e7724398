"""Motion of a run, told from its reference image.

The reference image is the SBRef of its echo, else the robust mean of that echo's series; an SBRef
of another echo never takes its place, because its contrast differs. Volumes are fitted to the mean
of their own series, and that mean once to the reference image (`offset`).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mebold.geometry import grids
from mebold.hmc.track import Motion, robust_mean, track


def motion_from(
    series: np.ndarray,
    affine: np.ndarray,
    *,
    to_series: np.ndarray,
    mask: np.ndarray,
    mask_affine: np.ndarray,
    widths: Mapping[str, float],
    mean: np.ndarray | None = None,
    n_threads: int = 1,
) -> Motion:
    """Estimate the motion of a series, told from the reference image of its run.

    Parameters
    ----------
    series : (x, y, z, t) array
        Raw magnitudes of one echo.
    affine : (4, 4) array
        Its voxel to world, mm.
    to_series : (4, 4) array
        Point map from the reference image to the mean of the series, world mm; identity where the
        reference image is itself such a mean.
    mask : (x', y', z') bool array
        Brain on the reference image.
    mask_affine : (4, 4) array
        Its voxel to world, mm.
    widths : mapping
        ``fwhm_mm`` and ``coarse_mm`` of both fits, as from `mebold.registration.rigid.smoothing`.
    mean : (x, y, z) array, optional
        What the volumes are fitted to; the robust mean of the series by default.
    n_threads : int

    Returns
    -------
    Motion
        Point maps from the reference image to each volume.
    """
    if mean is None:
        mean = robust_mean(series, affine, fwhm_mm=widths["fwhm_mm"], n_threads=n_threads)
    pull = {"matrix": np.linalg.inv(to_series), "order": 0}
    own = grids.onto(mask, mask_affine, mean.shape, affine, **pull) > 0
    within = track(series, mean, affine, mask=own, **widths, n_threads=n_threads)
    return replace(within, matrices=within.matrices @ to_series)
