"""The bias of a T1w from the intensities of its tissues."""

import numpy as np
from numpy.polynomial import legendre
from scipy import ndimage

from mebold.anat.bias import cleaned, receive_bias
from mebold.geometry import affines

_DEGREE = 6
_WORKING_MM = 4.0
_EDGE_MM = 1.0  # smoothing of the gradient that tells edges
_REACH_MM = 8.0  # the polynomial holds up to here outside the mask
_BLEND_MM = 6.0  # and gives way to N4 with this SD
_STEPS = 60
_STEADY = 1e-3  # largest change of the log bias that ends the iterations
_RIDGE = 1e-4
_DARKEST = -1.2  # log, below the median: air, and fluid without signal
_OUTLIERS = 0.01
# Start: quantile, standard deviation and share of fluid, grey and white matter (log intensity);
# then the bounds of the deviations. Wider, grey matter would take in what is shared with fluid.
_QUANTILES = (0.1, 0.45, 0.8)
_SPREADS = (0.3, 0.12, 0.08)
_SHARES = (0.1, 0.5, 0.4)
_LEAST, _MOST = 0.03, (0.4, 0.2, 0.2)


def even_t1w(volume: np.ndarray, affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Divide the slow bias out of a T1w by which three tissues have one intensity each.

    The log bias is a polynomial, found in turns with mean, deviation and share of three Gaussian
    classes. Voxels at edges hardly count: a rim that is half fluid looks like one with less signal.
    N4 gives the start only. It sharpens the histogram, and stops early where a strong bias has
    mixed the tissues: near surface coils it leaves a fifth between the middle and the rim.

    Parameters
    ----------
    volume : (x, y, z) array
        T1w; negative and non-finite voxels count as 0.
    affine : (4, 4) array
        Voxel to world, mm.
    mask : (x, y, z) bool array
        Brain, or its inside: the polynomial holds to 8 mm beyond, then gives way to N4.

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
    Wells et al. 1996, IEEE TMI 15:429; polynomials after Van Leemput et al. 1999, IEEE TMI 18:885;
    the weights by gradient are ours. N4: Tustison et al. 2010, IEEE TMI 29:1310.
    """
    clean = cleaned(volume)
    even = clean / tissue_bias(clean, affine, mask)
    used = mask & (clean > 0)
    return (even * (np.median(clean[used]) / np.median(even[used]))).astype(np.float32)


def tissue_bias(volume: np.ndarray, affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the bias that `even_t1w` divides out, (x, y, z) float32, positive."""
    sizes = affines.voxel_sizes(affine)
    start = np.log(receive_bias(volume, affine, mask, working_mm=6.0, iterations=(50, 30)))
    logs = np.log(np.maximum(volume, 1e-3 * float(np.median(volume[mask]))))
    even = logs - start
    steep = ndimage.gaussian_gradient_magnitude(even, _EDGE_MM / sizes)
    where = np.argwhere(mask)
    middle = (where.max(axis=0) + where.min(axis=0)) / 2
    half = np.maximum((where.max(axis=0) - where.min(axis=0)) / 2, 1)
    stride = np.maximum(1, np.round(_WORKING_MM / sizes)).astype(int)
    picked = where[(where % stride == stride // 2).all(axis=1)]
    rest = even[tuple(picked.T)]
    picked = picked[rest > np.median(rest) + _DARKEST]
    at = tuple(picked.T)
    flat = np.exp(-0.5 * (steep[at] / np.median(steep[at])) ** 2)
    basis = _basis((picked - middle) / half)
    coefficients = _fit(logs[at], start[at], flat, basis)
    axes = [(np.arange(n) - m) / h for n, m, h in zip(volume.shape, middle, half, strict=True)]
    whole = np.zeros((_DEGREE + 1,) * 3)
    whole[_kept()] = coefficients
    found = legendre.leggrid3d(*axes, whole).astype(np.float32)
    found = np.clip(found, *np.percentile(found[mask], [0.1, 99.9]))
    # Far from the brain, in scalp and corners, a polynomial means nothing: there N4 holds.
    beyond = np.maximum(ndimage.distance_transform_edt(~mask, sampling=sizes) - _REACH_MM, 0)
    near = np.exp(-0.5 * (beyond / _BLEND_MM) ** 2).astype(np.float32)
    start = (start - start[at].mean()).astype(np.float32)
    return np.exp(start + near * (found - start))


def _kept() -> np.ndarray:
    """Return which products of Legendre polynomials have a total degree that is allowed."""
    return np.indices((_DEGREE + 1,) * 3).sum(axis=0) <= _DEGREE


def _basis(points: np.ndarray) -> np.ndarray:
    return legendre.legvander3d(*points.T, [_DEGREE] * 3)[:, _kept().ravel()]


def _fit(logs, start, flat, basis) -> np.ndarray:
    """Return the coefficients of the log bias (without its mean) by expectation maximisation."""
    bias = start - start.mean()
    means = np.quantile(logs - bias, _QUANTILES)
    spreads, shares = np.array(_SPREADS), np.array(_SHARES)
    coefficients = np.zeros(basis.shape[1])
    for _ in range(_STEPS):
        rest = logs - bias
        each = np.exp(-0.5 * ((rest - means[:, None]) / spreads[:, None]) ** 2)
        each *= (shares / spreads)[:, None]
        each *= flat / (each.sum(axis=0) + _OUTLIERS)
        total = each.sum(axis=1)
        shares = total / total.sum()
        means = (each @ rest) / total
        squares = (each * (rest - means[:, None]) ** 2).sum(axis=1) / total
        spreads = np.clip(np.sqrt(squares), _LEAST, _MOST)
        sure = each / spreads[:, None] ** 2
        weight = sure.sum(axis=0)
        wanted = (sure * (logs - means[:, None])).sum(axis=0)
        normal = (basis * weight[:, None]).T @ basis
        normal[np.diag_indices_from(normal)] += _RIDGE * np.trace(normal) / len(normal)
        coefficients = np.linalg.solve(normal, basis.T @ wanted)
        before, bias = bias, basis @ coefficients
        coefficients[0] -= bias.mean()
        bias = bias - bias.mean()
        if np.abs(bias - before).max() < _STEADY:
            break
    return coefficients
