"""Voxels that ICA leaves out: tedana decomposes those whose first echo is good in this very run."""

import numpy as np


def fill(denoised: np.ndarray, optcom: np.ndarray) -> int:
    """Put the optimal combination, in place, where a denoised series holds nothing.

    Zeros there would take voxels from the variant that others have data of.

    Parameters
    ----------
    denoised, optcom : (V, T) array
        `denoised` is 0 throughout where ICA left a voxel out.

    Returns
    -------
    int
        Voxels that were filled.
    """
    empty = np.flatnonzero(~denoised.any(axis=1))
    empty = empty[np.asarray(optcom[empty]).any(axis=1)]
    denoised[empty] = optcom[empty]
    return len(empty)
