"""Boundary-based refinement of a rigid alignment between an EPI volume and the anatomy."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize

from mebold.errors import DataError
from mebold.geometry import affines

# Contrast that counts half: 100 * (outside - inside) / mean, in percent, times the slope.
_SLOPE = 0.05
_COARSE_SHARE = 8
_BLOCK_MM = 25.0


@dataclass(frozen=True)
class Boundary:
    """Points on the white-matter surface.

    Attributes
    ----------
    points : (N, 3) float64 array
        World mm of the anatomy, where the white-matter probability is one half.
    normals : (N, 3) float64 array
        Unit vectors out of the white matter.
    """

    points: np.ndarray
    normals: np.ndarray


def white_matter_boundary(
    wm_probability: np.ndarray,
    affine: np.ndarray,
    *,
    n_points: int,
    seed: int,
    mask: np.ndarray | None = None,
) -> Boundary:
    """Sample points on the surface of the white matter.

    Parameters
    ----------
    wm_probability : (x, y, z) array
        0 to 1.
    affine : (4, 4) array
        Voxel to world, mm.
    n_points : int
        Drawn without repetition; all boundary voxels when there are fewer.
    seed : int
    mask : (x, y, z) bool array, optional
        Voxels that may hold boundary points.

    Returns
    -------
    Boundary

    Raises
    ------
    DataError
        When fewer than 100 voxels lie on a boundary.
    """
    wm = np.clip(np.nan_to_num(np.asarray(wm_probability, dtype=np.float32)), 0.0, 1.0)
    smooth = ndimage.gaussian_filter(wm, 0.7)
    gradient = np.stack(np.gradient(smooth), axis=-1)
    # Gradients in voxels to gradients per mm: the transposed inverse of the affine.
    gradient = gradient @ np.linalg.inv(affine)[:3, :3]
    strength = np.linalg.norm(gradient, axis=-1)
    reach = 0.75 * float(affines.voxel_sizes(affine).max()) * strength
    near = (np.abs(smooth - 0.5) <= reach) & (strength > 0.02)
    if mask is not None:
        near &= np.asarray(mask, dtype=bool)
    voxels = np.argwhere(near)
    if len(voxels) < 100:
        message = (
            f"{len(voxels)} voxels lie on a white-matter boundary: the probability map "
            f"(range {wm.min():.2f}..{wm.max():.2f}) shows no white matter."
        )
        raise DataError(message)
    if len(voxels) > n_points:
        chosen = np.random.default_rng(seed).choice(len(voxels), n_points, replace=False)
        voxels = voxels[np.sort(chosen)]
    at = tuple(voxels.T)
    slope = strength[at][:, None]
    normals = -gradient[at] / slope
    # Along the outward normal the probability falls by `slope` per mm.
    points = affines.apply(affine, voxels) + normals * (smooth[at][:, None] - 0.5) / slope
    return Boundary(points, normals)


def cost(
    matrix: np.ndarray,
    boundary: Boundary,
    volume: np.ndarray,
    to_voxel: np.ndarray,
    *,
    distance_mm: float,
    bright_outside: bool = True,
) -> float:
    """Return how badly a volume's contrast matches the boundary: 0 (perfect) to 2.

    Parameters
    ----------
    matrix : (4, 4) array
        Point map anatomy -> volume, mm.
    boundary : Boundary
    volume : (x, y, z) float array
        Bias-corrected EPI.
    to_voxel : (4, 4) array
        World to voxel of `volume`.
    distance_mm : float
        How far inside and outside of the surface the volume is read.
    bright_outside : bool
        Grey matter brighter than white matter, as in T2*-weighted EPI; false for T1 contrast.

    Returns
    -------
    float
        Mean of ``1 - tanh(slope * contrast)``; points outside the volume count 1 (no evidence).
    """
    options = {"distance_mm": distance_mm, "bright_outside": bright_outside}
    return float(np.mean(_of_points(matrix, boundary, volume, to_voxel, **options)))


def gain(
    before: np.ndarray,
    after: np.ndarray,
    boundary: Boundary,
    volume: np.ndarray,
    to_voxel: np.ndarray,
    *,
    distance_mm: float,
    bright_outside: bool = True,
) -> tuple[float, float]:
    """Return by how much one alignment lowers the cost of another, and the standard error of it.

    Parameters
    ----------
    before, after : (4, 4) array
        Point maps anatomy -> volume, mm.
    boundary, volume, to_voxel, distance_mm, bright_outside
        See `cost`.

    Returns
    -------
    difference, error : float
        The error is that of a jackknife over cubes of 25 mm: points near each other see the same
        voxels and the same mistakes of the white-matter map.
    """
    options = {"distance_mm": distance_mm, "bright_outside": bright_outside}
    each = [_of_points(m, boundary, volume, to_voxel, **options) for m in (before, after)]
    difference = each[0] - each[1]
    cubes = np.floor(boundary.points / _BLOCK_MM).astype(int)
    cube = np.unique(cubes, axis=0, return_inverse=True)[1].ravel()
    count, total = np.bincount(cube), np.bincount(cube, difference)
    without = (total.sum() - total) / np.maximum(count.sum() - count, 1)
    spread = np.sum((without - without.mean()) ** 2)
    return float(difference.mean()), float(np.sqrt(spread * (len(count) - 1) / len(count)))


def _of_points(
    matrix: np.ndarray,
    boundary: Boundary,
    volume: np.ndarray,
    to_voxel: np.ndarray,
    *,
    distance_mm: float,
    bright_outside: bool,
) -> np.ndarray:
    """Return the cost of every point, see `cost`."""
    moved = affines.apply(to_voxel @ matrix, boundary.points)
    offset = distance_mm * boundary.normals @ (to_voxel @ matrix)[:3, :3].T
    inside = _read(volume, moved - offset)
    outside = _read(volume, moved + offset)
    mean = (inside + outside) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        contrast = 100.0 * (outside - inside) / mean
    contrast = np.where(mean > 0, contrast, 0.0)
    sign = 1.0 if bright_outside else -1.0
    return 1.0 - np.tanh(_SLOPE * sign * np.nan_to_num(contrast))


def _read(volume: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Sample linearly; not-a-number outside the volume."""
    return ndimage.map_coordinates(
        volume, voxels.T, order=1, mode="constant", cval=np.nan, output=np.float64
    )


def refine(
    initial: np.ndarray,
    boundary: Boundary,
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    distance_mm: float,
    bright_outside: bool = True,
) -> tuple[np.ndarray, float, float]:
    """Refine a rigid alignment by the contrast across the white-matter surface.

    Powell's method, on an eighth of the points first and then on all.

    Parameters
    ----------
    initial : (4, 4) array
        Rigid point map anatomy -> volume, mm; within about 3 mm of the truth.
    boundary : Boundary
    volume : (x, y, z) array
        Bias-corrected EPI, distortion corrected.
    affine : (4, 4) array
        Voxel to world of `volume`.
    distance_mm, bright_outside
        See `cost`.

    Returns
    -------
    matrix : (4, 4) float64 array
        Refined point map anatomy -> volume.
    before, after : float
        Cost on all points.

    References
    ----------
    Greve & Fischl 2009, NeuroImage 48:63.
    """
    volume = np.asarray(volume, dtype=np.float32)
    to_voxel = np.linalg.inv(affine)
    centre = boundary.points.mean(axis=0)
    # One unit of every parameter moves a point of the cortex by about one mm.
    scale = np.r_[np.ones(3), np.full(3, 1.0 / 60.0)]
    few = Boundary(boundary.points[::_COARSE_SHARE], boundary.normals[::_COARSE_SHARE])
    matrix = np.array(initial, dtype=np.float64)
    options = {"distance_mm": distance_mm, "bright_outside": bright_outside}
    for points, tolerance in ((few, 1e-2), (boundary, 2e-3)):
        start = matrix

        def objective(
            parameters: np.ndarray, start: np.ndarray = start, points: Boundary = points
        ) -> float:
            moved = start @ affines.rigid_matrix(parameters * scale, centre)
            return cost(moved, points, volume, to_voxel, **options)

        found = optimize.minimize(
            objective,
            np.zeros(6),
            method="Powell",
            options={"xtol": tolerance, "ftol": 1e-5, "maxiter": 6},
            bounds=[(-4.0, 4.0)] * 6,
        )
        matrix = start @ affines.rigid_matrix(found.x * scale, centre)
    before = cost(initial, boundary, volume, to_voxel, **options)
    return matrix, before, cost(matrix, boundary, volume, to_voxel, **options)
