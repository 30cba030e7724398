"""Small grid operations for registration: crop, coarsen, and linear sampling on another grid.

The data of the analysis never pass through here: they are interpolated once, in `resample`.
"""

import numpy as np
from scipy import ndimage

from mebold.errors import DataError
from mebold.geometry import affines


def crop_to_mask(
    volume: np.ndarray, affine: np.ndarray, mask: np.ndarray, *, margin_mm: float
) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice, slice]]:
    """Cut the box around a mask out of a volume.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array
    margin_mm : float
        Kept around the mask on every side, as far as the volume reaches.

    Returns
    -------
    cropped : (x', y', z') array
        A view.
    affine : (4, 4) float64 array
    box : tuple of slice
        Where the cut lies in `volume`.

    Raises
    ------
    DataError
        When the mask is empty.
    """
    if not np.any(mask):
        message = "the mask holds no voxel."
        raise DataError(message)
    margin = np.ceil(margin_mm / affines.voxel_sizes(affine)).astype(int)
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(np.any(mask, axis=others))
        start = max(0, used[0] - margin[axis])
        box.append(slice(int(start), int(min(mask.shape[axis], used[-1] + margin[axis] + 1))))
    new = np.array(affine, dtype=np.float64)
    new[:3, 3] = affines.apply(affine, np.array([s.start for s in box]))
    return volume[tuple(box)], new, tuple(box)


def coarsen(
    volume: np.ndarray, affine: np.ndarray, *, voxel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Smooth and resample a volume to larger isotropic voxels over the same field of view.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array
        Voxel to world, mm.
    voxel_mm : float
        New edge length. Axes that are already as coarse are not smoothed.

    Returns
    -------
    volume : (x', y', z') float32 array
    affine : (4, 4) float64 array
    """
    shape, new_affine = affines.rescaled_grid(volume.shape, affine, voxel_mm)
    sizes = affines.voxel_sizes(affine)
    # The Gaussian whose variance turns the old voxel's width into the new one's.
    sigma = np.sqrt(np.maximum(voxel_mm**2 - sizes**2, 0.0) / 12.0) / sizes
    smooth = ndimage.gaussian_filter(np.asarray(volume, dtype=np.float32), sigma, mode="nearest")
    return onto(smooth, affine, shape, new_affine, mode="nearest"), new_affine


def hold(shape: tuple[int, ...], affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Tell which points lie inside the voxels of a grid: its field of view.

    Parameters
    ----------
    shape : tuple of int
        Of the grid; axes after the third are ignored.
    affine : (4, 4) array
        Its voxel to world, mm.
    points : (V, 3) array
        World mm.

    Returns
    -------
    (V,) bool array
        False on the outermost faces, too.
    """
    voxels = affines.apply(np.linalg.inv(affine), points)
    return np.all((voxels > -0.5) & (voxels < np.array(shape[:3]) - 0.5), axis=1)


def onto(
    volume: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
    target_affine: np.ndarray,
    *,
    matrix: np.ndarray | None = None,
    order: int = 1,
    mode: str = "constant",
) -> np.ndarray:
    """Sample a volume on another grid.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array
        Voxel to world of `volume`.
    shape : (3,) tuple of int
        Size of the target grid.
    target_affine : (4, 4) array
        Voxel to world of the target grid.
    matrix : (4, 4) array, optional
        Point map from the target's world to the world of `volume`; identity by default.
    order : int
        0 nearest (labels and masks), 1 linear, 3 cubic spline.
    mode : str
        What lies outside the volume, as in `scipy.ndimage`; zeros by default.

    Returns
    -------
    (x', y', z') float32 array
    """
    matrix = np.eye(4) if matrix is None else matrix
    index_map = np.linalg.inv(affine) @ matrix @ target_affine
    return ndimage.affine_transform(
        np.asarray(volume, dtype=np.float32),
        index_map[:3, :3],
        offset=index_map[:3, 3],
        output_shape=tuple(shape[:3]),
        order=order,
        mode=mode,
        output=np.float32,
    )
