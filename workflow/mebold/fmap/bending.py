"""A field as smooth as its noise asks for: least squares with a price on bending."""

import numpy as np

from mebold.geometry import affines

#: The cube in which the curvature of a field is stated, mm^3.
_CUBE_MM3 = 3.0**3
#: Steps of conjugate gradients. Residuals are not weighed down: the largest are those of the peaks.
_STEPS = 40
#: Where the price changes the finest structure by a smaller share, a voxel stays as measured.
_NEGLIGIBLE = 1e-3


def fit(
    field: np.ndarray,
    sigma: np.ndarray,
    measured: np.ndarray,
    start: np.ndarray,
    *,
    affine: np.ndarray,
    curvature: float,
) -> np.ndarray:
    """Smooth a field by what its noise asks for, and continue it without a bend.

    Minimises the sum of ((f - field) / sigma)^2 over the measured voxels plus the sum of
    (laplacian f)^2 V / q over all, V the volume of a voxel: the most probable field when its
    curvature is random, independent from place to place, with an SD of `curvature` in a cube of
    3 mm (q = 27 mm^3 curvature^2). The width of the smoothing is (sigma^2 V / q)^(1/4), so that it
    does not depend on the grid; field that was not measured bends least.

    Parameters
    ----------
    field : (x, y, z) array
        Hz; read where measured.
    sigma : (x, y, z) array
        Its noise, one standard deviation, Hz, positive.
    measured : (x, y, z) bool array
    start : (x, y, z) array
        First guess, Hz; it decides far from all that was measured.
    affine : (4, 4) array
        Voxel to world, mm.
    curvature : float
        Hz/mm^2; infinite leaves what was measured.

    Returns
    -------
    (x, y, z) float32 array
        Hz, within the range of what was measured.

    References
    ----------
    Wahba 1990, Spline Models for Observational Data (smoothing by thin plates).
    """
    sizes = affines.voxel_sizes(affine)
    data = np.where(measured, field, start).astype(np.float32)
    low, high = data[measured].min(), data[measured].max()
    price = np.float32(np.prod(sizes) / (_CUBE_MM3 * curvature**2))
    variance = np.where(measured, sigma, 1.0).astype(np.float32) ** 2
    # Laplacian of the finest checkerboard: 4 / h^2 along every axis.
    changed = ~measured | (variance * price * np.sum(4.0 / sizes**2) ** 2 > _NEGLIGIBLE)
    weight = np.where(measured, 1.0 / variance, 0.0).astype(np.float32)
    if np.isinf(curvature):  # only what was not measured has a price to pay
        weight, price = np.where(measured, np.float32(1e6), np.float32(0.0)), np.float32(1.0)
        changed = ~measured
    found = _solve(weight, data, price, sizes)
    return np.where(changed, np.clip(found, low, high), data).astype(np.float32)


def _solve(weight, data, price, sizes) -> np.ndarray:
    """Run conjugate gradients with a diagonal preconditioner on (W + price L L) f = W data."""
    inverse = 1.0 / np.asarray(sizes, dtype=np.float64) ** 2
    diagonal = weight + price * np.float32((2 * inverse.sum()) ** 2 + 2 * (inverse**2).sum())
    scale = inverse.astype(np.float32)

    def times(f):
        return weight * f + price * _laplacian(_laplacian(f, scale), scale)

    found = data
    rest = weight * data - times(found)
    ready = rest / diagonal
    along = ready.copy()
    energy = float(np.vdot(rest, ready))
    first = energy
    for _ in range(_STEPS):
        if energy <= 1e-10 * first or energy == 0:
            break
        image = times(along)
        step = np.float32(energy / float(np.vdot(along, image)))
        found = found + step * along
        rest -= step * image
        np.divide(rest, diagonal, out=ready)
        energy, before = float(np.vdot(rest, ready)), energy
        along *= np.float32(energy / before)
        along += ready
    return found


def _laplacian(f: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the Laplacian with closed edges (a symmetric operator); `scale` is 1 / size^2."""
    out = np.zeros_like(f)
    for axis in range(f.ndim):
        step = np.diff(f, axis=axis)
        step *= scale[axis]
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(f.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(f.ndim))
        out[low] += step
        out[high] -= step
    return out
