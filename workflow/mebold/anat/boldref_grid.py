"""A reference image, and what an anatomy knows of it, on a grid of its own field of view."""

import numpy as np
from scipy import ndimage

from mebold.geometry import affines, grids, interpolation


def from_boldref(
    boldref: np.ndarray,
    affine: np.ndarray,
    *,
    brain: tuple[np.ndarray, np.ndarray],
    dseg: tuple[np.ndarray, np.ndarray] | None = None,
    to_boldref: np.ndarray | None = None,
    voxel_mm: float | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sample a reference image, its brain and its tissue classes on the output grid.

    Parameters
    ----------
    boldref : (x, y, z) array
        Reference image without distortion.
    affine : (4, 4) array
        Its voxel to world, mm.
    brain : (volume (x', y', z'), affine (4, 4))
        Brain mask, in the world of the reference image or, with `to_boldref`, of the anatomy.
    dseg : (volume (x', y', z'), affine (4, 4)), optional
        Labels of the tissue classes, in the world of `brain`.
    to_boldref : (4, 4) array, optional
        Point map from the world of the anatomy to that of the reference image, world mm. The brain
        of an anatomy, which has smaller voxels, is averaged over the new voxel first.
    voxel_mm : float, optional
        Voxel size of the output; the voxels of the reference image when absent.

    Returns
    -------
    image : (i, j, k) float32 array
    mask : (i, j, k) bool array
    tissue : (i, j, k) float array
        Whole numbers; 0 everywhere without `dseg`.
    grid : (4, 4) array
        Voxel to world of all three, mm.
    """
    shape, grid = boldref.shape, affine
    if voxel_mm is not None:
        shape, grid = affines.rescaled_grid(boldref.shape, affine, voxel_mm)
    image = interpolation.resample_volume(boldref, affine, affines.grid_points(shape, grid))
    volume, own = brain
    pull = {}
    if to_boldref is not None:
        pull["matrix"] = np.linalg.inv(to_boldref)
        sigma = affines.voxel_sizes(grid).min() / affines.voxel_sizes(own) / 2.355
        volume = ndimage.gaussian_filter(volume, sigma)
    share = grids.onto(volume, own, shape, grid, **pull)
    tissue = np.zeros(shape) if dseg is None else grids.onto(*dseg, shape, grid, order=0, **pull)
    return image.reshape(shape), share > 0.5, tissue, grid
