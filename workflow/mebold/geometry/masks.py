"""Separate an object from the air around it."""

import numpy as np
from scipy import ndimage

from mebold.errors import DataError
from mebold.geometry import affines


def foreground_mask(volume: np.ndarray, *, least_part: float = 1.0) -> np.ndarray:
    """Return the voxels clearly above the background, holes filled.

    The threshold is Otsu's on the logarithm, which a receive bias shifts but does not split.

    Parameters
    ----------
    volume : (x, y, z) array
        Magnitude, not negative.
    least_part : float
        Parts of at least this share of the largest one count, too. A scalp all around a dark skull
        touches the brain nowhere, in small voxels.

    Returns
    -------
    (x, y, z) bool array

    Raises
    ------
    DataError
        When no voxel is positive.
    """
    volume = np.asarray(volume, dtype=np.float32)
    positive = volume > 0
    if not positive.any():
        message = "the volume holds no positive voxel."
        raise DataError(message)
    top = float(np.percentile(volume[positive], 99.0))
    smooth = ndimage.gaussian_filter(np.minimum(volume, top), 0.7)
    # Values below a thousandth of the top carry no information and would stretch the histogram.
    logs = np.log(np.maximum(smooth, top * 1e-3))
    threshold = otsu(logs)
    # The logarithm lifts the blurred rim over the threshold: the unblurred edge is sharper.
    level = max(np.exp(threshold), 0.1 * float(np.median(volume[logs > threshold])))
    mask = ndimage.binary_opening(volume > level)
    mask = mask if mask.any() else positive
    mask = large_components(mask, least_part=least_part)
    return ndimage.binary_fill_holes(mask)


def otsu(values: np.ndarray, *, bins: int = 256) -> float:
    """Return the threshold that separates two classes with the least variance within them."""
    counts, edges = np.histogram(np.ravel(values), bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(np.float64)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = sums / below - (sums[-1] - sums) / above
        between = below * above * difference**2
    return float(edges[1 + int(np.nanargmax(between[:-1]))])


def dilated(mask: np.ndarray, affine: np.ndarray, radius_mm: float) -> np.ndarray:
    """Grow a mask by a distance in mm; a negative distance shrinks it."""
    if radius_mm == 0 or not np.any(mask):
        return np.array(mask, dtype=bool)
    sizes = affines.voxel_sizes(affine)
    if radius_mm > 0:
        return ndimage.distance_transform_edt(~mask, sampling=sizes) <= radius_mm * (1 + 1e-6)
    padded = np.pad(mask, 1, mode="edge")
    distance = ndimage.distance_transform_edt(padded, sampling=sizes)[1:-1, 1:-1, 1:-1]
    return distance > -radius_mm * (1 + 1e-6)


def closed(mask: np.ndarray, affine: np.ndarray, radius_mm: float) -> np.ndarray:
    """Close the gaps of a mask that are narrower than twice a distance in mm.

    What touches the edge of the image is closed as if air lay beyond it.
    """
    pad = np.ceil(radius_mm / affines.voxel_sizes(affine)).astype(int) + 1
    padded = np.pad(mask, [(n, n) for n in pad])
    filled = dilated(dilated(padded, affine, radius_mm), affine, -radius_mm)
    return filled[tuple(slice(n, -n) for n in pad)]


def large_components(mask: np.ndarray, *, least_part: float) -> np.ndarray:
    """Return the face-connected parts of a mask that have a share of the largest one's size."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return np.array(mask, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= max(least_part * sizes.max(), 1))[labels]


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Return the largest face-connected part of a mask."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return np.array(mask, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(np.argmax(sizes))
