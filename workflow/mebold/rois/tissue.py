"""The region of tables where nobody chose one: grey matter."""

import numpy as np

from mebold.anat import labels


def grey_or_all(dseg: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return grey matter as a region, or all voxels where tissue is not known.

    Parameters
    ----------
    dseg : (V,) array
        Tissue classes, see `mebold.anat.labels`; 0 throughout without a segmentation.

    Returns
    -------
    regions : dict of str to (V,) bool array
        ``greyMatter``, or ``all``.
    categories : dict of str to str
        ``derived``.
    """
    grey = np.round(dseg) == labels.GM
    regions = {"greyMatter": grey} if grey.any() else {"all": np.ones(grey.shape, bool)}
    return regions, dict.fromkeys(regions, "derived")
