"""Voxels whose signals become confounds."""

import numpy as np
from scipy import ndimage

from mebold.anat import labels


def masks_of(
    data: np.ndarray, *, mask: np.ndarray, brain: np.ndarray, dseg: np.ndarray
) -> dict[str, np.ndarray]:
    """Choose the voxels of brain, CSF and white matter that a series covers.

    Tissue is eroded by one voxel, so that partial volume with cortex does not make task signal a
    confound.

    Parameters
    ----------
    data : (V, T) array
        Series in the voxels of `mask`, in C order; constant where the field of view ends.
    mask : (x, y, z) bool array
        Voxels of the series.
    brain : (x, y, z) bool array
    dseg : (x, y, z) array
        Tissue classes, see `mebold.anat.labels`.

    Returns
    -------
    dict of str to (V,) bool array
        ``brain``, ``csf`` and ``wm``.
    """
    covered = data.std(axis=1) > 0
    tissue = np.round(dseg)
    found = {"brain": brain[mask] & covered}
    for name, label in (("csf", labels.CSF), ("wm", labels.WM)):
        found[name] = ndimage.binary_erosion(tissue == label)[mask] & covered
    return found
