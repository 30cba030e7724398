"""One image in the contrast of another, so that least squares may compare them.

What tissue weighs in an image cannot be told from one intensity of another: partial volumes,
dropout and fluid mix differently. So the other image is regressed on the intensities of the image
and of its surroundings. All of these are the same seen from either side of a voxel, and an image
that is shifted differs from itself by its derivative, which is not: the regression takes over the
contrast and can hardly take over the shift that is sought.
"""

import numpy as np
from scipy import ndimage

from mebold.geometry import affines, masks

#: Levels of intensity that are replaced one by one: enough for three tissues and their mixtures.
_LEVELS = 48
#: Surroundings of a voxel, FWHM in mm: of the edges, and of the intensities near and farther.
_EDGE_MM, _NEAR_MM, _FAR_MM = 3.0, 5.0, 9.0
#: The regression is fitted this far around the mask, mm, and used as far as a smoothing reaches.
_FITTED_MM, _USED_MM = 6.0, 15.0
#: Ridge, per voxel, of regressors of mean magnitude 1: coarse voxels make some of them equal.
_RIDGE = 1e-6


def in_contrast_of(
    other: np.ndarray, image: np.ndarray, mask: np.ndarray, affine: np.ndarray
) -> np.ndarray:
    """Replace the intensities of an image by those that another image has where they occur.

    Parameters
    ----------
    other, image : (x, y, z) array
        Aligned but for a few mm, on one grid, free of receive bias.
    mask : (x, y, z) bool array
        Where the images are compared.
    affine : (4, 4) array
        Voxel to world, mm.

    Returns
    -------
    (x, y, z) float32 array
        Around the mask the regression of `other` on isotropic features of `image`; farther away
        `by_intensity`.

    References
    ----------
    The intensities of one image as a function of those of the other: correlation ratio, Roche et
    al. 1998, MICCAI, doi 10.1007/BFb0056301.
    """
    levels = by_intensity(other, image, mask)
    fitted = masks.dilated(mask, affine, _FITTED_MM)
    scale = float(np.median(image[mask]))
    known = _features(image / scale, levels / max(float(np.median(levels[mask])), 1e-9), affine)
    columns = np.stack([feature[fitted] for feature in known], axis=1).astype(np.float64)
    size = np.abs(columns).mean(axis=0) + 1e-9
    columns /= size
    ridge = _RIDGE * len(columns) * np.eye(columns.shape[1])
    weights = np.linalg.solve(columns.T @ columns + ridge, columns.T @ other[fitted]) / size
    found = np.tensordot(weights, known, axes=(0, 0))
    used = masks.dilated(mask, affine, _USED_MM)
    return np.where(used, found, levels).astype(np.float32)


def _features(image: np.ndarray, levels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return isotropic features (features, x, y, z) of an image and of its replaced intensities."""
    sizes = affines.voxel_sizes(affine)

    def around(volume: np.ndarray, fwhm_mm: float) -> np.ndarray:
        return ndimage.gaussian_filter(volume, fwhm_mm / 2.355 / sizes)

    edges = np.gradient(around(image, _EDGE_MM), *sizes)
    edge = np.sqrt(np.sum(np.square(edges), axis=0))
    found = [np.ones_like(image), levels, image]
    found += [around(volume, mm) for volume in (levels, image) for mm in (_NEAR_MM, _FAR_MM)]
    for volume in (image**2, levels**2, edge):
        found += [volume, around(volume, _NEAR_MM)]
    return np.stack(found)


def by_intensity(other: np.ndarray, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Replace the intensities of an image by a function of them alone.

    Parameters
    ----------
    other, image : (x, y, z) array
        Aligned, on one grid.
    mask : (x, y, z) bool array
        Where the intensities are compared.

    Returns
    -------
    (x, y, z) float32 array
        The median of `other` at each level of intensity of `image`, linear between levels, constant
        above the highest, and to 0 below the lowest.
    """
    values = ndimage.gaussian_filter(image, 0.5)[mask]
    theirs = ndimage.gaussian_filter(other, 0.5)[mask]
    order = np.argsort(values, kind="stable")
    levels = np.array_split(order, min(_LEVELS, len(order)))
    x = [0.0, *(float(np.median(values[level])) for level in levels)]
    y = [0.0, *(float(np.median(theirs[level])) for level in levels)]
    return np.interp(image, x, y).astype(np.float32)
