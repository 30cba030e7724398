"""Coordinates: voxel grids, rigid transforms, and distances between transforms.

World coordinates are RAS+ millimetres; an affine takes voxel indices to world coordinates. A
transform is a 4 x 4 matrix that takes a *point* of the reference frame to the point of the moving
frame where the same tissue lies, so that resampling reads ``moving(T @ x)`` for each point ``x``.
"""

import numpy as np
from scipy.spatial.transform import Rotation

# RAS+ and LPS+ world coordinates differ by the sign of the first two axes.
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def apply(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 4 x 4 matrix to points.

    Parameters
    ----------
    affine : (4, 4) array
        Acts on column vectors from the left.
    points : (..., 3) array
        Coordinates in the frame that `affine` starts from.

    Returns
    -------
    (..., 3) float64 array
        Coordinates in the frame that `affine` leads to.
    """
    affine = np.asarray(affine, dtype=np.float64)
    return np.asarray(points) @ affine[:3, :3].T + affine[:3, 3]


def rigid_matrix(parameters: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Build a rigid transform from three translations and three rotations.

    Parameters
    ----------
    parameters : (6,) array
        Translations along x, y, z in mm, then rotations about x, y, z in radians, applied in
        the order x, y, z about fixed axes through `centre`.
    centre : (3,) array
        Centre of rotation, world mm.

    Returns
    -------
    (4, 4) float64 array
        Point map in world coordinates.
    """
    parameters = np.asarray(parameters, dtype=np.float64)
    centre = np.asarray(centre, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", parameters[3:]).as_matrix()
    matrix[:3, 3] = centre + parameters[:3] - matrix[:3, :3] @ centre
    return matrix


def rigid_parameters(matrix: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the six parameters of `rigid_matrix` for a rigid transform.

    Parameters
    ----------
    matrix : (4, 4) array
        Rigid point map in world coordinates.
    centre : (3,) array
        Centre of rotation, world mm: the translation depends on it.

    Returns
    -------
    (6,) float64 array
        Millimetres and radians.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    centre = np.asarray(centre, dtype=np.float64)
    rotation = Rotation.from_matrix(matrix[:3, :3]).as_euler("xyz")
    translation = matrix[:3, 3] - centre + matrix[:3, :3] @ centre
    return np.concatenate([translation, rotation])


def voxel_sizes(affine: np.ndarray) -> np.ndarray:
    """Return the (3,) edge lengths of a voxel in mm."""
    return np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)


def rescaled_grid(
    shape: tuple[int, ...], affine: np.ndarray, voxel_mm: float
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return the isotropic grid with the axes and the field of view of another grid.

    The corner of the first voxel stays where it is; the far edge is covered, so the new field of
    view is longer than the old one by less than one voxel.

    Parameters
    ----------
    shape : (3,) or longer tuple of int
        Size of the given grid; further axes are ignored.
    affine : (4, 4) array
        Voxel to world of the given grid.
    voxel_mm : float
        Edge length of the new voxels in mm.

    Returns
    -------
    shape : (3,) tuple of int
    affine : (4, 4) float64 array
    """
    affine = np.asarray(affine, dtype=np.float64)
    sizes = voxel_sizes(affine)
    extent = np.asarray(shape[:3]) * sizes
    # The small tolerance keeps an exact multiple from gaining a voxel by rounding.
    new_shape = np.ceil(extent / voxel_mm - 1e-3).astype(int)
    directions = affine[:3, :3] / sizes
    corner = apply(affine, np.full(3, -0.5))
    new = np.eye(4)
    new[:3, :3] = directions * voxel_mm
    new[:3, 3] = corner + new[:3, :3] @ np.full(3, 0.5)
    return tuple(int(n) for n in new_shape), new


def grid_points(
    shape: tuple[int, ...], affine: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Return the world coordinates of the voxels of a grid.

    Parameters
    ----------
    shape : (3,) or longer tuple of int
        Size of the grid; further axes are ignored.
    affine : (4, 4) array
        Voxel to world.
    mask : (x, y, z) bool array, optional
        Voxels to return; all by default.

    Returns
    -------
    (V, 3) float64 array
        World mm, voxels in C order.
    """
    indices = np.indices(shape[:3]).reshape(3, -1).T if mask is None else np.argwhere(mask)
    return apply(affine, indices)


def displacements(a: np.ndarray, b: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how far two transforms carry the same points from each other.

    Parameters
    ----------
    a, b : (4, 4) array
        Transforms from the same frame.
    points : (V, 3) array
        World mm, usually the voxels of a brain mask.

    Returns
    -------
    (V,) float64 array
        Distance in mm.
    """
    return np.linalg.norm(apply(a, points) - apply(b, points), axis=-1)


def ras_to_lps(matrix: np.ndarray) -> np.ndarray:
    """Express a RAS+ point map in LPS+ coordinates (or the reverse, the step is its own inverse).

    ITK and ANTs store transforms in LPS+ millimetres.
    """
    return _FLIP @ np.asarray(matrix, dtype=np.float64) @ _FLIP


def same_grid(
    shape_a: tuple[int, ...],
    affine_a: np.ndarray,
    shape_b: tuple[int, ...],
    affine_b: np.ndarray,
    *,
    tolerance_mm: float = 1e-2,
) -> bool:
    """Tell whether two grids have the same size and place every corner at the same point."""
    if tuple(shape_a[:3]) != tuple(shape_b[:3]):
        return False
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * (np.asarray(shape_a[:3]) - 1)
    difference = apply(affine_a, corners) - apply(affine_b, corners)
    return bool(np.abs(difference).max() <= tolerance_mm)
