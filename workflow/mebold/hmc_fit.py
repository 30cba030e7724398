"""Rigid registration of two EPI volumes of the same contrast by Gauss-Newton.

The reference is sampled once, at the voxels of a mask, with its spline gradient in world
coordinates. Every iteration reads the smoothed moving volume at the transformed points, compares it
with the reference up to one intensity scale, and updates the transform on the side of the reference
(inverse composition), so that the normal matrix is computed only once.

References
----------
S. Baker and I. Matthews, "Lucas-Kanade 20 years on: a unifying framework", International Journal of
Computer Vision 56(3), 2004 (inverse compositional update).
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from mebold import affines, bspline, gather
from mebold.bspline import RIM
from mebold.errors import DataError

#: A fit is over when the update moves no point at this distance from the centre by more than
#: `TOLERANCE_MM`.
RADIUS_MM = 80.0
TOLERANCE_MM = 0.002
MAX_ITERATIONS = 40

#: Longest update of one iteration: it keeps a poor start from leaving the field of view.
MAX_STEP_MM = 8.0

#: Share of the reference points that must stay in the field of view.
MIN_OVERLAP = 0.4

#: Voxels at the edge of the reference that are not used, and of the moving volume.
REFERENCE_EDGE = 2
_MOVING_EDGE = 1.0

#: Fewest reference points for a fit.
MIN_POINTS = 200

#: Rotations about each axis from which a lost volume is searched, degrees.
SEARCH_DEGREES = (-30.0, 0.0, 30.0)
SEARCH_FWHM_MM = 12.0


@dataclass(frozen=True)
class Level:
    """One resolution: smoothing in mm and every how many-th voxel of each axis is used."""

    fwhm_mm: float
    step: int


@dataclass(frozen=True)
class Fit:
    """Result of one registration.

    Attributes
    ----------
    matrix : ndarray, shape (4, 4)
        Rigid point map from the reference to the moving volume, world mm.
    correlation : float
        Pearson correlation of moving and reference values at the points, after the fit.
    overlap : float
        Share of the reference points inside the moving volume.
    scale : float
        Factor that brings the moving volume to the intensity of the reference.
    converged : bool
        False when the iterations ended before the update became small, or overlap was lost.
    """

    matrix: np.ndarray
    correlation: float
    overlap: float
    scale: float
    converged: bool


@dataclass(frozen=True)
class Reference:
    """The reference at one resolution: points, values and derivatives."""

    points: np.ndarray  # (3, N) float32, mm from the centre
    values: np.ndarray  # (N,) float32
    jacobian: np.ndarray  # (7, N) float32: six rigid parameters and the intensity scale
    normal: np.ndarray  # (7, 7) float64
    centre: np.ndarray  # (3,) float64, world mm
    level: Level


def fwhm_voxels(fwhm_mm: float, affine: np.ndarray) -> tuple[float, float, float]:
    """Express a width in voxels of each axis."""
    return tuple(fwhm_mm / affines.voxel_sizes(affine))


def _spline_gradient(coefficients: np.ndarray, where: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the gradient (N, 3) per voxel of a cubic spline at integer positions."""
    smooth, slope = (1 / 6, 4 / 6, 1 / 6), (-0.5, 0.0, 0.5)
    gradient = np.zeros((len(where[0]), 3))
    for offsets in itertools.product(range(3), repeat=3):
        index = tuple(w + RIM - 1 + o for w, o in zip(where, offsets, strict=True))
        values = coefficients[index]
        for axis in range(3):
            taps = [slope if a == axis else smooth for a in range(3)]
            weight = math.prod(taps[a][o] for a, o in enumerate(offsets))
            if weight:
                gradient[:, axis] += weight * values
    return gradient


def prepare(volume: np.ndarray, affine: np.ndarray, mask: np.ndarray, level: Level) -> Reference:
    """Smooth a reference and sample its values and derivatives.

    Parameters
    ----------
    volume : ndarray, shape (x, y, z)
        The reference.
    affine : ndarray, shape (4, 4)
        Voxel to world.
    mask : ndarray, shape (x, y, z), bool
        Voxels to use; those near the edge of the grid are left out.
    level : Level
        Smoothing and spacing of the points.

    Returns
    -------
    Reference

    Raises
    ------
    DataError
        If too few voxels remain.
    """
    inner = np.zeros(mask.shape, bool)
    margin = tuple(slice(min(REFERENCE_EDGE, (n - 1) // 2), None) for n in mask.shape)
    inner[margin] = True
    inner &= inner[::-1, ::-1, ::-1]
    everywhere = np.nonzero(mask & inner)
    keep = np.ones(len(everywhere[0]), bool)
    for indices in everywhere:
        keep &= indices % level.step == 0
    where = tuple(indices[keep] for indices in everywhere)
    if len(where[0]) < MIN_POINTS:
        if level.step > 1:
            return prepare(volume, affine, mask, Level(level.fwhm_mm, level.step - 1))
        raise DataError(
            f"the mask leaves {len(where[0])} voxels for registration; "
            f"expected {MIN_POINTS} or more"
        )
    width = fwhm_voxels(level.fwhm_mm, affine)
    smoothed = bspline.coefficients(volume, fwhm_voxels=width, order=1)
    values = smoothed[tuple(w + RIM for w in where)]
    spline = bspline.coefficients(volume, fwhm_voxels=width)
    world = affines.apply(affine, np.stack(where, axis=1))
    centre = affines.apply(affine, np.stack(everywhere, axis=1).mean(axis=0))
    points = world - centre
    gradient = _spline_gradient(spline, where) @ np.linalg.inv(affine)[:3, :3]
    jacobian = np.concatenate([gradient, np.cross(points, gradient), values[:, np.newaxis]], axis=1)
    return Reference(
        points=np.ascontiguousarray(points.T, dtype=np.float32),
        values=values,
        jacobian=np.ascontiguousarray(jacobian.T, dtype=np.float32),
        normal=jacobian.T @ jacobian,
        centre=centre,
        level=level,
    )


def _update(step: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the rigid matrix of a small step: translation in mm, rotation vector about centre."""
    size = np.linalg.norm(step[:3]) + RADIUS_MM * np.linalg.norm(step[3:6])
    if size > MAX_STEP_MM:
        step = step * (MAX_STEP_MM / size)
    delta = np.eye(4)
    delta[:3, :3] = Rotation.from_rotvec(step[3:6]).as_matrix()
    delta[:3, 3] = centre + step[:3] - delta[:3, :3] @ centre
    return delta


def _correlation(sums: np.ndarray) -> float:
    """Return Pearson's correlation from count and sums of v, r, vv, rr, vr."""
    n, v, r, vv, rr, vr = sums
    if n < 2:
        return 0.0
    variance = (vv - v * v / n) * (rr - r * r / n)
    return float((vr - v * r / n) / math.sqrt(variance)) if variance > 0 else 0.0


def gauss_newton(
    coefficients: np.ndarray,
    moving_affine: np.ndarray,
    reference: Reference,
    start: np.ndarray,
    *,
    max_iterations: int = MAX_ITERATIONS,
    tolerance_mm: float = TOLERANCE_MM,
) -> Fit:
    """Refine a rigid transform from a start.

    Parameters
    ----------
    coefficients : ndarray
        Rimmed spline coefficients of the moving volume, smoothed like the reference.
    moving_affine : ndarray, shape (4, 4)
        Voxel to world of the moving volume.
    reference : Reference
        From `prepare`.
    start : ndarray, shape (4, 4)
        Point map from reference to moving.
    max_iterations : int
        Most updates.
    tolerance_mm : float
        Largest update, at `RADIUS_MM` from the centre, that ends the fit.

    Returns
    -------
    Fit
    """
    inverse = np.linalg.inv(moving_affine)
    to_centre = np.eye(4)
    to_centre[:3, 3] = reference.centre
    matrix, scale, converged = np.array(start, dtype=np.float64), 0.0, False
    gradient, missing, sums = np.empty(7), np.empty((7, 7)), np.empty(6)

    def compare():
        voxel = np.ascontiguousarray((inverse @ matrix @ to_centre)[:3], dtype=np.float32)
        gather.compare(
            coefficients, reference.points, reference.jacobian, reference.values, voxel,
            np.float32(scale), _MOVING_EDGE, gradient, missing, sums,
        )  # fmt: skip
        return sums[0] >= MIN_OVERLAP * len(reference.values) and sums[3] > 0

    for _ in range(max_iterations):
        if not compare():
            break
        if scale == 0.0:
            scale = sums[5] / sums[3]
            continue
        step = np.linalg.lstsq(reference.normal - missing, gradient, rcond=1e-12)[0]
        matrix = matrix @ np.linalg.inv(_update(step[:6], reference.centre))
        scale /= max(0.5, 1.0 + step[6])
        size = np.linalg.norm(step[:3]) + RADIUS_MM * np.linalg.norm(step[3:6])
        if size < tolerance_mm:
            converged = True
            break
    overlap = sums[0] / len(reference.values)
    return Fit(matrix, _correlation(sums), float(overlap), float(scale), converged)


def search_starts(reference: Reference, coefficients, moving_affine, fallback) -> list[np.ndarray]:
    """Return starts for a lost volume: turns about every axis, intensity centres matched."""
    shape = tuple(n - 2 * RIM for n in coefficients.shape)
    inner = np.clip(coefficients[RIM:-RIM, RIM:-RIM, RIM:-RIM], 0, None)
    total = max(float(inner.sum()), np.finfo(np.float32).tiny)
    indices = [
        float((inner.sum(axis=tuple(b for b in range(3) if b != a)) * np.arange(n)).sum()) / total
        for a, n in enumerate(shape)
    ]
    target = affines.apply(moving_affine, np.asarray(indices))
    starts = [np.asarray(fallback, dtype=np.float64)]
    for angles in itertools.product(SEARCH_DEGREES, repeat=3):
        rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        for place in (reference.centre, target):
            start = np.eye(4)
            start[:3, :3] = rotation
            start[:3, 3] = place - rotation @ reference.centre
            starts.append(start)
    return starts
