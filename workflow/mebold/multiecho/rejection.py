"""A series without the components that were rejected."""

import numpy as np

# Voxels at a time: the float64 copies of a block stay below 100 MB with 160 time points.
_BLOCK = 20_000


def orthogonal(mixing: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Take out of rejected time courses what the other ones explain.

    Parameters
    ----------
    mixing : (T, C) array
        Time courses of components.
    rejected : (C,) bool array

    Returns
    -------
    (T, C) array
    """
    mixing = np.array(mixing, dtype=np.float64)
    kept = mixing[:, ~rejected]
    mixing[:, rejected] -= kept @ np.linalg.lstsq(kept, mixing[:, rejected], rcond=None)[0]
    return mixing


def without(series: np.ndarray, mixing: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Remove what rejected components explain beside the other ones.

    All components are fitted to each voxel (its mean taken out) by least squares, and the fitted
    rejected ones are subtracted, as tedana does to the voxels that it is given.

    Parameters
    ----------
    series : (V, T) array
        May be a memory map.
    mixing : (T, C) array
    rejected : (C,) bool array

    Returns
    -------
    (V, T) float32 array
        Voxels without data (0 throughout) stay so.

    References
    ----------
    ``denoise_ts`` of tedana 26.0.1 (DuPre et al. 2021, J Open Source Softw 6(66):3669).
    """
    mixing = np.asarray(mixing, dtype=np.float64)
    removed = np.linalg.pinv(mixing)[rejected].T @ mixing[:, rejected].T
    out = np.empty(series.shape, dtype=np.float32)
    for first in range(0, len(series), _BLOCK):
        block = np.asarray(series[first : first + _BLOCK], dtype=np.float64)
        out[first : first + _BLOCK] = block - (block - block.mean(axis=1, keepdims=True)) @ removed
    return out
