"""Brain mask of a functional reference image."""

import numpy as np
from scipy import ndimage

from mebold.anat.bias import bias_correct
from mebold.geometry import masks
from mebold.registration.ants import from_ants, load_ants, to_ants


def epi_mask(boldref: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the brain in an EPI reference (or gradient-echo magnitude).

    Parameters
    ----------
    boldref : (x, y, z) array
        One volume, not bias corrected.
    affine : (4, 4) array
        Voxel to world, mm.

    Returns
    -------
    (x, y, z) bool array
        One connected part without holes.

    Raises
    ------
    DataError
        When the volume has no positive voxel.

    References
    ----------
    N4 and getMask of ANTs (antspyx 0.6.3).
    """
    return mask_of_even(bias_correct(boldref, affine), affine)


def mask_of_even(even: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the brain as `epi_mask` does, in a volume (x, y, z) that has no bias any more."""
    top = float(np.percentile(even[even > 0], 99.5))
    image = to_ants(np.clip(even, 0.0, top), affine)
    mask = from_ants(load_ants().get_mask(image))[0] > 0
    mask = masks.largest_component(mask)
    return ndimage.binary_fill_holes(mask)
