"""Agreement of two images of unlike contrast, and of two masks."""

import numpy as np
from scipy import ndimage


def mutual_information(a: np.ndarray, b: np.ndarray, *, bins: int = 32) -> float:
    """Return the mutual information of paired intensities, in nats.

    Parameters
    ----------
    a, b : (N,) array
        Clipped to their 1st and 99th percentile before they are binned.
    bins : int
        Per image.

    Returns
    -------
    float
        0 for independent or constant intensities.
    """
    a, b = (np.asarray(v, dtype=np.float64).ravel() for v in (a, b))
    if a.size < bins or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    index = []
    for values in (a, b):
        low, high = np.percentile(values, [1, 99])
        width = max(high - low, 1e-12)
        index.append(np.clip(((values - low) / width * bins).astype(int), 0, bins - 1))
    joint = np.bincount(index[0] * bins + index[1], minlength=bins * bins).reshape(bins, bins)
    p = joint / joint.sum()
    outer = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / outer[used])))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return twice the overlap of two masks over the sum of their sizes; 0 when both are empty."""
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    total = int(a.sum()) + int(b.sum())
    return 2.0 * float(np.sum(a & b)) / total if total else 0.0


def local_correlation(
    a: np.ndarray, b: np.ndarray, mask: np.ndarray, *, size: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared correlation of two volumes in a box around every voxel.

    The square makes the measure blind to the sign and size of the contrast, which may differ from
    place to place.

    Parameters
    ----------
    a, b : (x, y, z) array
    mask : (x, y, z) bool array
        Voxels that take part.
    size : (3,) tuple of int
        Edge lengths of the box in voxels.

    Returns
    -------
    squared : (x, y, z) float64 array
        0 to 1; 0 where fewer than half of the box's voxels take part or an image is constant.
    variance : (x, y, z) float64 array
        Of `b` in the box: a weight that stresses places with structure.
    """
    m = np.asarray(mask, dtype=np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, size, mode="constant")

    share = mean(m)
    safe = np.maximum(share, 0.5)
    a0 = np.where(mask, a - np.mean(a[mask]), 0.0).astype(np.float64)
    b0 = np.where(mask, b - np.mean(b[mask]), 0.0).astype(np.float64)
    ma, mb = mean(a0) / safe, mean(b0) / safe
    va = np.maximum(mean(a0 * a0) / safe - ma**2, 0.0)
    vb = np.maximum(mean(b0 * b0) / safe - mb**2, 0.0)
    cab = mean(a0 * b0) / safe - ma * mb
    floor = 1e-6 * max(float(a0.var() * b0.var()), 1e-30)
    squared = np.clip(cab**2 / (va * vb + floor), 0.0, 1.0)
    enough = mask & (share >= 0.5)
    return np.where(enough, squared, 0.0), np.where(enough, vb, 0.0)
