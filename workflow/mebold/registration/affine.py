"""Fit an affine transform between two images of one contrast by robust least squares."""

import numpy as np
from scipy import ndimage

from mebold.geometry import affines


def fit_affine(
    fixed: np.ndarray,
    moving: np.ndarray,
    moving_affine: np.ndarray,
    points: np.ndarray,
    *,
    initial: np.ndarray,
    fwhm_mm: float,
    rigid: bool,
    iterations: int,
    cut: float,
) -> tuple[np.ndarray, float]:
    """Align sampled intensities with a volume, up to gain and offset.

    Gauss-Newton steps on ``gain * moving(T x) + offset - fixed(x)``; points that do not fit (scalp
    where the other image has none) lose weight by Tukey's function.

    Parameters
    ----------
    fixed : (N,) array
        Intensities of the reference at `points`.
    moving : (x, y, z) array
        Volume to be found.
    moving_affine : (4, 4) array
        Voxel to world of `moving`, mm.
    points : (N, 3) array
        Reference world, mm.
    initial : (4, 4) array
        Point map reference -> moving to start from.
    fwhm_mm : float
        Smoothing of `moving`; widens the range of capture.
    rigid : bool
        Six parameters on top of `initial`, else twelve.
    cut : float
        Residuals beyond this many robust standard deviations count nothing; 4.685 is usual, more
        keeps the pull of edges that are still far apart.
    iterations : int
        Largest number of steps; stops when no point moves 0.01 mm.

    Returns
    -------
    matrix : (4, 4) float64 array
        Point map reference -> moving.
    correlation : float
        Weighted correlation of the intensities at the result.
    """
    sigma = fwhm_mm / np.sqrt(8 * np.log(2)) / affines.voxel_sizes(moving_affine)
    smooth = ndimage.gaussian_filter(np.asarray(moving, dtype=np.float32), sigma)
    gradient = [np.gradient(smooth, axis=axis) for axis in range(3)]
    to_voxel = np.linalg.inv(moving_affine)
    fixed = np.asarray(fixed, dtype=np.float64)
    centre = points.mean(axis=0)
    matrix, correlation = np.array(initial, dtype=np.float64), 0.0
    for _ in range(iterations):
        moved = affines.apply(matrix, points)
        index = affines.apply(to_voxel, moved).T
        values = ndimage.map_coordinates(smooth, index, order=1, mode="constant").astype(float)
        slope = np.stack(
            [ndimage.map_coordinates(g, index, order=1, mode="constant") for g in gradient], axis=1
        )
        slope = slope @ to_voxel[:3, :3]
        pivot = affines.apply(matrix, centre)
        step, correlation = _step(fixed, values, slope, moved - pivot, rigid=rigid, cut=cut)
        delta = np.eye(4)
        delta[:3, :3] += step[3:].reshape(3, 3)
        delta[:3, 3] = step[:3] + pivot - delta[:3, :3] @ pivot
        if rigid:
            delta = affines.rigid_matrix(np.r_[step[:3], _rotation_vector(step[3:])], pivot)
        matrix = delta @ matrix
        if affines.displacements(delta, np.eye(4), moved).max() < 0.01:
            break
    return matrix, correlation


def _rotation_vector(flat: np.ndarray) -> np.ndarray:
    """Return the small rotation angles of an antisymmetric 3 x 3 matrix."""
    w = flat.reshape(3, 3)
    return np.array([w[2, 1], w[0, 2], w[1, 0]])


def _step(
    fixed: np.ndarray,
    values: np.ndarray,
    slope: np.ndarray,
    arm: np.ndarray,
    *,
    rigid: bool,
    cut: float,
) -> tuple[np.ndarray, float]:
    """Solve one weighted linear step: translation (3) and matrix increment (9)."""
    design = np.column_stack([values, np.ones_like(values)])
    weight = np.ones_like(values)
    for _ in range(3):
        root = np.sqrt(weight)[:, None]
        gain = np.linalg.lstsq(design * root, fixed * root[:, 0], rcond=None)[0]
        residual = fixed - design @ gain
        spread = 1.4826 * np.median(np.abs(residual)) + 1e-12
        weight = np.maximum(0.0, 1 - (residual / (cut * spread)) ** 2) ** 2
    scaled = slope * gain[0]
    if rigid:
        jacobian = np.column_stack([scaled, np.cross(arm, scaled)])
    else:
        products = (scaled[:, :, None] * arm[:, None, :]).reshape(len(arm), 9)
        jacobian = np.column_stack([scaled, products])
    full = np.column_stack([jacobian, design])
    normal = full.T @ (full * weight[:, None])
    normal += np.diag(1e-6 * np.diag(normal) + 1e-12)
    solution = np.linalg.solve(normal, full.T @ (weight * residual))
    if rigid:
        x, y, z = solution[3:6]
        step = np.r_[solution[:3], [0, -z, y, z, 0, -x, -y, x, 0]]
    else:
        step = solution[:12]
    return step, _correlation(fixed, values, weight)


def _correlation(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> float:
    """Return the weighted correlation of two vectors."""
    total = weight.sum()
    a = a - (weight @ a) / total
    b = b - (weight @ b) / total
    return float((weight @ (a * b)) / np.sqrt((weight @ a**2) * (weight @ b**2) + 1e-12))
