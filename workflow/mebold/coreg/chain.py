"""One link of the chain from a run to the anatomy: a reference image to the next one."""

from collections.abc import Mapping

import numpy as np

from mebold.geometry import affines
from mebold.registration import rigid
from mebold.registration.unlike import movement


def to_reference(
    moving: np.ndarray,
    moving_affine: np.ndarray,
    reference: np.ndarray,
    reference_affine: np.ndarray,
    *,
    mask: np.ndarray,
    smoothing: Mapping[str, float],
) -> tuple[np.ndarray, dict]:
    """Align the reference image of a run with that of its session, or of a session with a subject.

    Parameters
    ----------
    moving, reference : (x, y, z) array
        Reference images of the same contrast without distortion, on grids of their own.
    moving_affine, reference_affine : (4, 4) array
        Voxel to world, mm.
    mask : bool array
        Brain on the grid of `reference`.
    smoothing : mapping
        See `mebold.registration.rigid.smoothing`.

    Returns
    -------
    matrix : (4, 4) float64 array
        Rigid point map from the world of `reference` to that of `moving`, mm.
    quality : dict
        ``correlation``, ``overlap`` (share of the mask inside `moving`), ``converged``,
        ``shift_mm`` (largest displacement of a brain voxel) and ``rotation_deg``.

    Raises
    ------
    DataError
        When an image has no contrast, or too few voxels are left.
    """
    fit = rigid.register(
        moving,
        reference,
        moving_affine=moving_affine,
        reference_affine=reference_affine,
        mask=mask,
        **rigid.smoothing(reference_affine, smoothing),
    )
    brain = affines.grid_points(mask.shape, reference_affine, mask)
    return fit.matrix, fit.quality | movement(fit.matrix, brain)
