"""Anatomy of a subject on the grid of the output."""

import numpy as np
from scipy import ndimage

from mebold.geometry import affines, interpolation


def from_t1w(
    t1w: np.ndarray,
    brain: np.ndarray,
    dseg: np.ndarray,
    affine: np.ndarray,
    *,
    points: np.ndarray,
    shape: tuple[int, int, int],
    voxel_mm: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample the T1w, its brain and its tissue classes at the voxels of a coarser grid.

    Parameters
    ----------
    t1w, brain, dseg : (x, y, z) array
        Image, brain mask and labels on one grid.
    affine : (4, 4) array
        Their voxel to world, mm.
    points : (V, 3) array
        Where the voxels of the new grid lie in the world of the T1w, mm, in C order.
    shape : tuple of int
        Of the new grid, with V voxels.
    voxel_mm : float
        Its voxel size.

    Returns
    -------
    image, mask, tissue : array of that shape
        float32, bool and float32 (whole numbers).
    """
    # Averaging over the new voxel first keeps fine structure from folding into the coarse grid.
    sigma = np.maximum(voxel_mm / affines.voxel_sizes(affine) - 1, 0) / 2.355
    image, share, tissue = (
        interpolation.resample_volume(volume, affine, points, order=order).reshape(shape)
        for volume, order in (
            (ndimage.gaussian_filter(t1w, sigma), 3),
            (ndimage.gaussian_filter(brain, sigma), 1),
            (dseg, 0),
        )
    )
    return image, share > 0.5, tissue


def masked_at(
    values: np.ndarray, mask: np.ndarray, affine: np.ndarray, *, points: np.ndarray
) -> np.ndarray:
    """Read a map at points, linear between the voxels of its mask alone.

    Parameters
    ----------
    values : (x, y, z) array
        Meaningless outside the mask.
    mask : (x, y, z) bool array
    affine : (4, 4) array
        Voxel to world of both, mm.
    points : (V, 3) array
        World mm.

    Returns
    -------
    (V,) float32 array
        0 where most of what is read lies outside the mask.
    """
    inside = mask.astype(np.float32)
    share = interpolation.resample_volume(inside, affine, points, order=1)
    total = interpolation.resample_volume(values * inside, affine, points, order=1)
    return np.where(share > 0.5, total / np.maximum(share, 0.5), 0.0).astype(np.float32)


def dilated(mask: np.ndarray, steps: int) -> np.ndarray:
    """Grow a mask (x, y, z) by voxels over their faces; 0 steps leave it as it is."""
    return ndimage.binary_dilation(mask, iterations=steps) if steps else mask
