"""How much of the brain motion takes out of the field of view."""

from collections.abc import Mapping

import numpy as np

from mebold.geometry import affines, grids


def outside(
    mask: np.ndarray,
    mask_affine: np.ndarray,
    matrices: np.ndarray,
    *,
    shape: tuple[int, ...],
    affine: np.ndarray,
) -> tuple[float, int]:
    """Return the share of the brain that some volume lacks.

    Parameters
    ----------
    mask : (x, y, z) bool array
        Brain on the reference image.
    mask_affine : (4, 4) array
        Its voxel to world, mm.
    matrices : (t, 4, 4) array
        Point maps from the reference image to each volume.
    shape : tuple of int
        Of a volume; further axes are ignored.
    affine : (4, 4) array
        Its voxel to world, mm.

    Returns
    -------
    share : float
        Of the voxels of the brain whose centre lies outside the voxels of any volume; 0 to 1.
    worst : int
        The volume that lacks most, from 0.
    """
    points = affines.grid_points(mask.shape, mask_affine, mask)
    lost, most = np.zeros(len(points), bool), []
    for matrix in matrices:
        here = ~grids.hold(shape, affine, affines.apply(matrix, points))
        lost |= here
        most.append(np.count_nonzero(here))
    return float(lost.mean()), int(np.argmax(most))


def doubts(
    mask: np.ndarray,
    mask_affine: np.ndarray,
    matrices: np.ndarray,
    shape: tuple[int, ...],
    affine: np.ndarray,
    settings: Mapping,
) -> list[str]:
    """Return what to tell of the share of `outside`; empty up to ``most_outside`` of settings."""
    share, worst = outside(mask, mask_affine, matrices, shape=shape, affine=affine)
    most = settings["most_outside"]
    if share <= most:
        return []
    return [
        f"motion takes {100 * share:.0f} % of the brain out of the field of view in some volume "
        f"(most in volume {worst}), more than {100 * most:g} % (hmc.most_outside); "
        "output.least_coverage decides what becomes of these voxels."
    ]
