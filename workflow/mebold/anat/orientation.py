"""Voxel axes in one order for all images, and back: results must not hang on how one is stored."""

import numpy as np
from nibabel import orientations


def canonical(volume: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with its axes nearest to right, anterior, superior.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array
        Voxel to world, RAS+ mm.

    Returns
    -------
    volume, affine : array
        The same voxels at the same places; nothing is interpolated.
    """
    now = orientations.io_orientation(affine)
    turned = orientations.apply_orientation(volume, now)
    return np.ascontiguousarray(turned), affine @ orientations.inv_ornt_aff(now, volume.shape)


def stored(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return what `canonical` gave, on the grid of the image as it was stored.

    Parameters
    ----------
    volume : (x, y, z) array
        On the canonical grid.
    affine : (4, 4) array
        Of the image as it was stored.
    """
    there = orientations.axcodes2ornt("RAS")
    change = orientations.ornt_transform(there, orientations.io_orientation(affine))
    return np.ascontiguousarray(orientations.apply_orientation(volume, change))
