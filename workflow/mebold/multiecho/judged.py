"""The part of a run by which tedana judges components: voxels of the brain, samples as acquired.

What lies outside the brain says nothing about a component, and a series that was resampled in time
says the same thing twice: tedana's statistics compare echoes and rank voxels, and do not grow with
the number of samples. Its time and memory do.
"""

import numpy as np

from mebold.errors import GridMismatchError


def voxels(mask: np.ndarray, brain: np.ndarray | None, t2star: np.ndarray | None) -> np.ndarray:
    """Return which voxels of the mask lie in the brain and have the T2* that there is.

    Parameters
    ----------
    mask : (x, y, z) bool array
        V voxels.
    brain : (x, y, z) bool array or None
        None for all.
    t2star : (V,) array or None
        Seconds, 0 where there is none.

    Returns
    -------
    (V,) bool array

    Raises
    ------
    GridMismatchError
        When brain and mask have different shapes or no voxel in common.
    """
    known = np.ones(np.count_nonzero(mask), dtype=bool) if t2star is None else t2star != 0
    if brain is None:
        return known
    if brain.shape != mask.shape:
        message = f"The brain has the shape {brain.shape}, the mask {mask.shape}."
        raise GridMismatchError(message)
    chosen = np.asarray(brain, dtype=bool)[mask] & known
    if not chosen.any():
        raise GridMismatchError("The mask holds no voxel of the brain.")
    return chosen


def step(n_samples: float, n_acquired: float, share: float | None) -> int:
    """Return every which sample of a series is judged.

    Parameters
    ----------
    n_samples, n_acquired : float
        Of the series, and as volumes that the scanner acquired; their ratio counts.
    share : float or None
        Of `n_acquired`, which as many samples as are judged do not fall below; None for all
        samples.
    """
    return 1 if share is None else max(1, int(n_samples / (share * n_acquired)))


def with_signs(mixing: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Return time courses of all samples with the signs that tedana gave those it judged.

    Parameters
    ----------
    mixing : (T, C) array
    judged : (t, C) array
        Every so many samples of it, up to signs.
    """
    every = -(-len(mixing) // len(judged))
    return mixing * np.sign((mixing[::every] * judged).sum(axis=0))
