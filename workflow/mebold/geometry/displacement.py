"""Displacement fields as arrays: reading them at points, and what they do to a reference image.

A displacement field gives, at points of one space, the vector in mm (RAS+) that leads to the same
tissue in another: a pull, as `antsApplyTransforms` reads it. That of gradient nonlinearity leads
from the true place of a point to where the scanner put it.
"""

import numpy as np
from scipy import ndimage

from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, interpolation


def at_points(warp_mm: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Read a displacement field at points.

    Parameters
    ----------
    warp_mm : (x, y, z, 3) array
        Displacements in mm, RAS+.
    affine : (4, 4) array
        Voxel to world of the field, mm.
    points : (V, 3) array
        World mm, in the space that the field starts from.

    Returns
    -------
    (V, 3) float64 array
        Linearly interpolated, as ITK does; beyond the centres of the outermost voxels their value.
    """
    voxels = affines.apply(np.linalg.inv(affine), points).T
    read = {"order": 1, "mode": "nearest", "output": np.float64}
    parts = [ndimage.map_coordinates(warp_mm[..., c], voxels, **read) for c in range(3)]
    return np.stack(parts, axis=1)


def outside(shape: tuple[int, ...], affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (V,) bool: points beyond the outermost voxels (their far edges) of a grid."""
    voxels = affines.apply(np.linalg.inv(affine), points)
    inside = (voxels >= -0.5) & (voxels <= np.asarray(shape[:3]) - 0.5)
    return ~inside.all(axis=1)


def require_inside(
    mask: np.ndarray, affine: np.ndarray, warp_mm: np.ndarray, warp_affine: np.ndarray, *, name: str
) -> None:
    """Raise where brain lies beyond a displacement field.

    Parameters
    ----------
    mask : (x, y, z) bool array
        Brain, in the space that the field starts from.
    affine : (4, 4) array
        Voxel to world of the mask, mm.
    warp_mm, warp_affine
        As in `at_points`.
    name : str
        Of the field, for the message.

    Raises
    ------
    DataError
        With the number of voxels outside. Points that are no brain take the value at the edge.
    """
    points = affines.grid_points(mask.shape, affine, mask)
    count = int(outside(warp_mm.shape, warp_affine, points).sum())
    if count:
        corners = affines.apply(
            warp_affine, np.array([[-0.5] * 3, np.subtract(warp_mm.shape[:3], 0.5)])
        )
        reach = "; ".join(
            f"{axis} {low:.0f} to {high:.0f}"
            for axis, (low, high) in zip("xyz", np.sort(corners.T, axis=1), strict=True)
        )
        message = (
            f"{name}: {count} of {len(points)} brain voxels lie outside the displacement field "
            f"(its corners: {reach} mm). The field must be known where the brain is: give one that "
            "covers it, in the coordinates of the scanner."
        )
        raise DataError(message)


def undistorted(
    image: np.ndarray,
    affine: np.ndarray,
    *,
    field_hz: np.ndarray | None = None,
    warp_mm: np.ndarray | None = None,
    order: int = 3,
    **epi: object,
) -> np.ndarray:
    """Undo B0 distortion and gradient nonlinearity of a reference image in one interpolation.

    Parameters
    ----------
    image : (x, y, z) array
        As acquired.
    affine : (4, 4) array
        Its voxel to world, mm.
    field_hz : (x, y, z) array, optional
        Off-resonance in Hz on the same grid. With a warp it is in the frame of the image as
        acquired, and read where the scanner put each point.
    warp_mm : (V, 3) array, optional
        Displacement of gradient nonlinearity at the voxels of the image, in C order.
    order : {3, 1, 0}
        Of the interpolation; 0 for masks.
    **epi
        ``direction`` and ``readout_s`` of the image; needed with a field.

    Returns
    -------
    (x, y, z) float32 array
        Same grid, true geometry.
    """
    if warp_mm is not None and len(warp_mm) != image.size:
        message = f"{len(warp_mm)} displacements for an image of {image.size} voxels."
        raise GridMismatchError(message)
    points = affines.grid_points(image.shape, affine)
    chain = {"order": order} if warp_mm is None else {"order": order, "warp_mm": warp_mm}
    if field_hz is not None:
        hertz = field_hz.ravel()
        if warp_mm is not None:
            hertz = interpolation.resample_volume(
                field_hz, affine, points, warp_mm=warp_mm, order=1
            )
        chain |= {"field_hz": hertz, **epi}
    return interpolation.resample_volume(image, affine, points, **chain).reshape(image.shape)
