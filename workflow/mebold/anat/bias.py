"""Slow intensity bias of an image (N4), divided out."""

import numpy as np

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, grids
from mebold.geometry.masks import foreground_mask
from mebold.registration.ants import from_ants, load_ants, to_ants


def bias_correct(
    volume: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    working_mm: float = 5.0,
    iterations: tuple[int, ...] = (50, 50),
) -> np.ndarray:
    """Divide a slow intensity bias out of a volume.

    Parameters
    ----------
    volume : (x, y, z) array
        Magnitude; negative and non-finite voxels count as 0.
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array, optional
        Voxels that the bias is estimated from; everything above the noise by default.
    working_mm : float
        The bias is estimated on voxels at least this far apart.
    iterations : tuple of int
        Largest number of steps per level. The first level has a mesh of 4 elements along each
        axis of the mask's box, every further level doubles it.

    Returns
    -------
    (x, y, z) float32 array
        Corrected volume, scaled so that the median in the mask stays.

    Raises
    ------
    DataError
        When the volume has no positive voxel in the mask.

    References
    ----------
    Tustison et al. 2010, IEEE TMI 29:1310 (N4), as in antspyx 0.6.3.
    """
    clean, used = _used(volume, mask)
    corrected = clean / receive_bias(
        clean, affine, used, working_mm=working_mm, iterations=iterations
    )
    median = float(np.median(clean[used]))
    return (corrected * (median / float(np.median(corrected[used])))).astype(np.float32)


def receive_bias(
    volume: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    working_mm: float = 5.0,
    iterations: tuple[int, ...] = (50, 50),
) -> np.ndarray:
    """Return the slow intensity bias that `bias_correct` divides out, (x, y, z), positive."""
    clean, used = _used(volume, mask)
    median = float(np.median(clean[used]))
    field = _bias_field(clean / median, affine, used, working_mm, iterations)
    # Far outside the mask the splines extrapolate; a bias beyond this range is not one.
    return np.clip(field, 0.02, 50.0)


def _used(volume: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the volume without what is no number, and the voxels that the bias rests on."""
    clean = cleaned(volume)
    if mask is None:
        mask = foreground_mask(clean)
    check_shape(clean, mask)
    used = np.asarray(mask, dtype=bool) & (clean > 0)
    if np.count_nonzero(used) < 100:
        message = f"bias correction needs a mask with signal, got {used.sum()} positive voxels."
        raise DataError(message)
    return clean, used


def _bias_field(
    volume: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray,
    working_mm: float,
    iterations: tuple[int, ...],
) -> np.ndarray:
    """Run N4 on every few voxels and return its field on the full grid.

    Voxels are left out, not averaged: averages mix tissues, and N4 works by sharpening the
    histogram.
    """
    sizes = affines.voxel_sizes(affine)
    stride = np.maximum(1, np.ceil(working_mm / sizes - 1e-3).astype(int))
    start = stride // 2
    every = tuple(slice(int(a), None, int(b)) for a, b in zip(start, stride, strict=True))
    grid = np.array(affine, dtype=np.float64)
    grid[:3, :3] *= stride
    grid[:3, 3] = affines.apply(affine, start)
    inside = mask[every]
    coarse, grid, box = grids.crop_to_mask(volume[every], grid, inside, margin_mm=0.0)
    field, _ = from_ants(
        load_ants().n4_bias_field_correction(
            to_ants(coarse, grid),
            mask=to_ants(inside[box], grid),
            shrink_factor=1,
            spline_param=[4, 4, 4],
            convergence={"iters": list(iterations), "tol": 1e-6},
            return_bias_field=True,
        )
    )
    logs = np.log(np.clip(field, 1e-3, 1e3))
    return np.exp(grids.onto(logs, grid, volume.shape, affine, mode="nearest"))


def cleaned(volume: np.ndarray) -> np.ndarray:
    """Return a non-negative finite float32 copy; raise when nothing positive is left."""
    clean = np.nan_to_num(np.array(volume, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    np.maximum(clean, 0.0, out=clean)
    if clean.ndim != 3:
        message = f"expected one 3D volume, got shape {clean.shape}."
        raise DataError(message)
    if not clean.any():
        message = "the volume holds no positive finite voxel."
        raise DataError(message)
    return clean


def check_shape(volume: np.ndarray, mask: np.ndarray) -> None:
    """Raise when a mask does not belong to a volume."""
    if np.shape(mask) != volume.shape:
        message = f"the mask has shape {np.shape(mask)}, the volume {volume.shape}."
        raise GridMismatchError(message)
