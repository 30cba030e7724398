"""Where a series lies relative to a reference image of another contrast.

A single-band reference is fully relaxed, the volumes of its series are saturated: fluid is bright
in one and not in the other. Least squares on the two then shifts every volume of the run alike, by
0.2 to 0.4 mm and, under the bias of an array coil, by more; framewise displacement cannot show it.
So volumes are fitted to the mean of their own series, and that mean once to the reference: freed of
one receive bias, with the reference brought to the contrast of the mean (`registration.contrast`).
"""

import numpy as np

from mebold.geometry import affines, grids, masks
from mebold.geometry.interpolation import resample_volume
from mebold.registration import contrast
from mebold.registration.gauss_newton import Fit
from mebold.registration.rigid import register

#: Replacing the intensities needs an alignment, and improves it: a third pass changes nothing.
_PASSES = 2
#: A mean of many volumes holds little noise, and what the regression leaves of contrast is wide:
#: the final fit smooths by this share of what a volume needs, and sees the dark rim of the brain.
#: Offset left in eight runs of simulated heads that these were not chosen on, median and worst:
#: 0.098 and 0.210 mm with a share of 1 and the brain alone, 0.068 and 0.143 mm with these.
_SHARE, _RIM_MM = 0.6, 4.0


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
        Smoothing of the final and of the first fit of a single volume, mm.

    Returns
    -------
    Fit
        With the point map from the reference to the mean, world mm.
    """
    even = np.asarray(reference, dtype=np.float32) / bias
    logs = grids.onto(np.log(bias), reference_affine, mean.shape, mean_affine, mode="nearest")
    flat = np.asarray(mean, dtype=np.float32) / np.exp(logs)
    options = {"moving_affine": mean_affine, "reference_affine": reference_affine}
    options |= {"mask": masks.dilated(mask, reference_affine, _RIM_MM)}
    options |= {"fwhm_mm": _SHARE * fwhm_mm, "coarse_mm": coarse_mm}
    fit = register(flat, even, **options)
    points = affines.grid_points(even.shape, reference_affine)
    for _ in range(_PASSES):
        there = resample_volume(flat, mean_affine, points, matrix=fit.matrix).reshape(even.shape)
        alike = contrast.in_contrast_of(there, even, mask, reference_affine)
        fit = register(flat, alike, **options, start=fit.matrix)
    return fit
