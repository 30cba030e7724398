"""Where a series lies relative to a reference image of another contrast.

A single-band reference is fully relaxed, the volumes of its series are saturated: fluid is bright
in one and not in the other. Least squares on the two then shifts every volume of the run alike, by
0.2 to 0.4 mm and, under the bias of an array coil, by more; framewise displacement cannot show it.
So volumes are fitted to the mean of their own series, and that mean once to the reference: freed of
one receive bias, with the intensities of the reference replaced by those that the mean has there.
"""

import numpy as np
from scipy import ndimage

from mebold.geometry import affines, grids
from mebold.geometry.interpolation import resample_volume
from mebold.registration.gauss_newton import Fit
from mebold.registration.rigid import register

#: Levels of intensity that are replaced one by one: enough for three tissues and their mixtures.
_LEVELS = 48

#: Replacing the intensities needs an alignment, and improves it: a third pass changes nothing.
_PASSES = 2


def to_reference(
    mean: np.ndarray,
    mean_affine: np.ndarray,
    reference: np.ndarray,
    reference_affine: np.ndarray,
    *,
    bias: np.ndarray,
    mask: np.ndarray,
    fwhm_mm: float,
    coarse_mm: float,
) -> Fit:
    """Align the mean of a series with a reference image of another contrast.

    Parameters
    ----------
    mean : (x, y, z) array
        Mean of the aligned volumes.
    mean_affine : (4, 4) array
        Its voxel to world, mm.
    reference : (x', y', z') array
    reference_affine : (4, 4) array
        Its voxel to world, mm.
    bias : (x', y', z') array
        Receive bias on the grid of the reference, positive; it is fixed to the scanner, so both
        images are divided by it.
    mask : (x', y', z') bool array
        Brain on the reference.
    fwhm_mm, coarse_mm : float
        Smoothing of the final and of the first fit, mm.

    Returns
    -------
    Fit
        With the point map from the reference to the mean, world mm.

    References
    ----------
    Intensities of one image as a function of those of the other: the correlation ratio, Roche et
    al. 1998, MICCAI, doi 10.1007/BFb0056301.
    """
    even = np.asarray(reference, dtype=np.float32) / bias
    logs = grids.onto(np.log(bias), reference_affine, mean.shape, mean_affine, mode="nearest")
    flat = np.asarray(mean, dtype=np.float32) / np.exp(logs)
    options = {"moving_affine": mean_affine, "reference_affine": reference_affine, "mask": mask}
    options |= {"fwhm_mm": fwhm_mm, "coarse_mm": coarse_mm}
    fit = register(flat, even, **options)
    points = affines.grid_points(even.shape, reference_affine)
    for _ in range(_PASSES):
        there = resample_volume(flat, mean_affine, points, matrix=fit.matrix).reshape(even.shape)
        alike = in_contrast_of(there, even, mask)
        fit = register(flat, alike, **options, start=fit.matrix)
    return fit


def in_contrast_of(other: np.ndarray, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Replace the intensities of an image by those that another image has where they occur.

    Parameters
    ----------
    other, image : (x, y, z) array
        Aligned, on one grid.
    mask : (x, y, z) bool array
        Where the intensities are compared.

    Returns
    -------
    (x, y, z) float32 array
        A function of `image`: the median of `other` at each level of intensity, linear between
        levels, constant above the highest, and to 0 below the lowest.
    """
    values = ndimage.gaussian_filter(image, 0.5)[mask]
    theirs = ndimage.gaussian_filter(other, 0.5)[mask]
    order = np.argsort(values, kind="stable")
    levels = np.array_split(order, min(_LEVELS, len(order)))
    x = [0.0, *(float(np.median(values[level])) for level in levels)]
    y = [0.0, *(float(np.median(theirs[level])) for level in levels)]
    return np.interp(image, x, y).astype(np.float32)
