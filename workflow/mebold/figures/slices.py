"""Slices through images in world coordinates.

All images of a figure, on whatever grids, are sampled on planes of constant world x, y or z, so
that overlays fit, millimetres are true and left is on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mebold.errors import DataError
from mebold.geometry import affines

# view axis -> (horizontal axis, vertical axis, letters at left and right)
VIEWS = {0: (1, 2, "P", "A"), 1: (0, 2, "L", "R"), 2: (0, 1, "L", "R")}


@dataclass(frozen=True)
class Layer:
    """An image to draw.

    Attributes
    ----------
    data : (x, y, z) array
    affine : (4, 4) array
        Voxel to world, mm.
    cmap : str or Colormap
    vmin, vmax : float
        Colour range in the unit of the data.
    below, above : float, optional
        Values at or under ``below``, or over ``above``, are transparent.
    order : {0, 1}
        Nearest voxel (maps) or linear (anatomy).
    alpha : float
    edges : float, optional
        Draw the edges of the image instead, found at this scale in mm.
    """

    data: np.ndarray
    affine: np.ndarray
    cmap: object = "gray"
    vmin: float = 0.0
    vmax: float = 1.0
    below: float | None = None
    above: float | None = None
    order: int = 0
    alpha: float = 1.0
    edges: float | None = None


@dataclass(frozen=True)
class Contour:
    """The outline of a mask, drawn as a line."""

    mask: np.ndarray
    affine: np.ndarray
    colour: str
    width: float = 0.8


@dataclass(frozen=True)
class Row:
    """One row of slices: a view, its positions in mm, what is drawn, and its colour bar."""

    axis: int
    positions: np.ndarray
    layers: Sequence[Layer]
    contours: Sequence[Contour] = ()
    label: str = ""
    bar: tuple[Layer, str] | None = None
    bar_ticks: Sequence[float] | None = None


def straight(affine: np.ndarray) -> np.ndarray:
    """Return an affine without obliquity, so that planes follow the acquired slices.

    Parameters
    ----------
    affine : (4, 4) array

    Returns
    -------
    (4, 4) float64 array
        Same voxel sizes and nearest orientation, axes parallel to the world axes, first voxel kept.
    """
    import nibabel as nib

    affine = np.asarray(affine, float)
    orientation = nib.io_orientation(affine)
    result = np.eye(4)
    result[:3, :3] = 0
    for voxel_axis, (world_axis, sign) in enumerate(orientation):
        result[int(world_axis), voxel_axis] = sign * affines.voxel_sizes(affine)[voxel_axis]
    result[:3, 3] = affine[:3, 3]
    return result


def bounding_box(mask: np.ndarray, affine: np.ndarray, *, margin_mm: float = 5.0) -> np.ndarray:
    """Return the world box around a mask.

    Parameters
    ----------
    mask : (x, y, z) array
        Voxels that are not 0 count.
    affine : (4, 4) array
    margin_mm : float
        Added on all sides.

    Returns
    -------
    (3, 2) float64 array
        Lower and upper limit of x, y, z in mm.

    Raises
    ------
    DataError
        For an empty mask.
    """
    index = np.argwhere(mask)
    if len(index) == 0:
        raise DataError("nothing to draw: the mask of the figure is empty")
    low, high = index.min(0) - 0.5, index.max(0) + 0.5
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    world = affines.apply(affine, corners)
    return np.stack([world.min(0) - margin_mm, world.max(0) + margin_mm], axis=1)


def spread(mask: np.ndarray, affine: np.ndarray, *, axis: int, n: int) -> np.ndarray:
    """Return n positions along a world axis, evenly through the bulk of a mask.

    Parameters
    ----------
    mask : (x, y, z) array
    affine : (4, 4) array
    axis : {0, 1, 2}
        World axis.
    n : int

    Returns
    -------
    (n,) float64 array
        Whole millimetres, between the 5th and 95th percentile of the mask's voxels.
    """
    index = np.argwhere(mask)
    if len(index) == 0:
        raise DataError("nothing to draw: the mask of the figure is empty")
    low, high = np.percentile(affines.apply(affine, index)[:, axis], [5, 95])
    positions = np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2])
    return np.round(positions) + 0.0  # no negative zero in the labels


def plane_image(
    data: np.ndarray,
    affine: np.ndarray,
    *,
    axis: int,
    position: float,
    box: np.ndarray,
    step: float,
    order: int,
) -> np.ndarray:
    """Sample an image on a plane of constant world coordinate.

    Parameters
    ----------
    data : (x, y, z) array
    affine : (4, 4) array
    axis : {0, 1, 2}
        World axis perpendicular to the plane.
    position : float
        Coordinate along it, mm.
    box : (3, 2) array
        World limits, mm.
    step : float
        Distance of samples, mm.
    order : {0, 1}

    Returns
    -------
    (rows, columns) float array
        First row at the lower limit of the vertical axis; NaN outside the image.
    """
    from scipy.ndimage import map_coordinates

    horizontal, vertical = VIEWS[axis][:2]
    columns = np.arange(box[horizontal, 0] + step / 2, box[horizontal, 1], step)
    rows = np.arange(box[vertical, 0] + step / 2, box[vertical, 1], step)
    points = np.empty((rows.size, columns.size, 3))
    points[..., axis] = position
    points[..., horizontal] = columns[None, :]
    points[..., vertical] = rows[:, None]
    index = affines.apply(np.linalg.inv(affine), points)
    values = map_coordinates(
        np.asarray(data, np.float32),
        np.moveaxis(index, -1, 0),
        order=order,
        mode="nearest",
        prefilter=False,
    )
    limit = np.array(data.shape) - 0.5
    outside = ((index < -0.5) | (index > limit)).any(-1)
    return np.where(outside, np.nan, values)
