"""Several T1w images of one head: registered to the first, and averaged."""

from collections.abc import Sequence

import numpy as np

from mebold.geometry import affines, interpolation
from mebold.geometry.masks import foreground_mask
from mebold.registration.ants import Stage, nearest_rigid, register_linear

_RIGID = Stage(
    "Rigid", shrink=(4, 2, 1), smoothing_mm=(4.0, 2.0, 1.0), iterations=(200, 100, 50), sampling=0.1
)


def average(
    volume: np.ndarray,
    affine: np.ndarray,
    repeats: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    seed: int,
) -> tuple[np.ndarray, list[float]]:
    """Average a T1w image with its repeats, on its own grid.

    Parameters
    ----------
    volume : (x, y, z) array
    affine : (4, 4) array
        Voxel to world, mm.
    repeats : sequence of (volume, affine)
        Images of the same head and contrast; grids, positions and scales may differ. With none,
        the volume comes back as it is.
    seed : int
        Of the sampling of the metric.

    Returns
    -------
    mean : (x, y, z) array
        Where a repeat does not cover the grid, the mean is that of the others.
    moved_mm : list of float
        How far each repeat moved, median over the head.
    """
    if not repeats:
        return volume, []
    own = np.nan_to_num(np.asarray(volume, dtype=np.float32))
    head = foreground_mask(own)
    points = affines.grid_points(own.shape, affine)
    level = float(np.median(own[head]))
    total, count = own.astype(np.float64), np.ones(own.shape)
    moved = []
    for other, other_affine in repeats:
        image = np.nan_to_num(np.asarray(other, dtype=np.float32))
        found = register_linear(
            (own, affine), (image, other_affine), stages=[_RIGID], seed=seed, fixed_mask=head
        )
        there = affines.apply(nearest_rigid(found), points)
        placed = interpolation.resample_volume(image, other_affine, there, order=3)
        placed = np.maximum(placed.reshape(own.shape), 0)
        inside = np.all(
            np.abs(
                affines.apply(np.linalg.inv(other_affine), there) - (np.array(image.shape) - 1) / 2
            )
            <= (np.array(image.shape) - 1) / 2,
            axis=1,
        ).reshape(own.shape)
        scale = level / max(float(np.median(placed[head & inside])), 1e-6)
        total += np.where(inside, placed * scale, 0)
        count += inside
        distance = np.linalg.norm(there - points, axis=1)[head.ravel()]
        moved.append(round(float(np.median(distance)), 3))
    return (total / count).astype(np.float32), moved
