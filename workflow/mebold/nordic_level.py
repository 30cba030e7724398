"""Noise variance of a patch from the lower half of its spectrum.

The removed components alone tell too little: where the noise is a little above the noise map, its
largest components pass the threshold and stay, and what is removed is the smaller rest. The lower
half of the spectrum holds hardly any signal and is always removed.
"""

import functools

import numpy as np

_ANGLES = 2001
_ROUNDS = 3


@functools.lru_cache(maxsize=1024)
def lower_half_mean(rows: int, columns: int) -> float:
    """Mean of the smaller half (rounded down) of the eigenvalues of ``A^H A`` for white noise.

    Parameters
    ----------
    rows, columns : int
        Of the matrix A; only its ``min(rows, columns)`` eigenvalues that are not 0 by shape count.

    Returns
    -------
    mean : float
        For unit variance, from the law of Marchenko and Pastur, Math USSR-Sb 1:457 (1967).
    """
    long, short = max(rows, columns), min(rows, columns)
    beta = short / long
    # With x = 1 + beta - 2 sqrt(beta) cos(angle) the density has no singular ends.
    angle = np.linspace(0, np.pi, _ANGLES)
    x = 1 + beta - 2 * np.sqrt(beta) * np.cos(angle)
    density = np.sin(angle) ** 2 / np.maximum(x, np.finfo(float).tiny)
    below = np.cumsum(density) / density.sum()
    lower = np.where(below <= (short // 2) / short, density, 0)
    return float(long * (x * lower).sum() / lower.sum())


def bulk_variance(eigenvalues: np.ndarray, rows: int, columns: int) -> float:
    """Noise variance per matrix element.

    Parameters
    ----------
    eigenvalues : (n,) float64
        Of the Gram matrix (squared singular values), descending.
    rows : int
        Voxels that are not empty.
    columns : int
        Volumes.

    Returns
    -------
    variance : float
        Of real and imaginary part together for complex data; NaN for fewer than four
        eigenvalues.

    Notes
    -----
    Components above the edge of the noise are taken as signal, each of which takes a row and a
    column from the noise.
    """
    n = min(rows, columns)
    signal, variance = 0, np.nan
    for _ in range(_ROUNDS):
        if n - signal < 4:
            break
        bulk = eigenvalues[signal:n]
        left = rows - signal, columns - signal
        variance = bulk[-(len(bulk) // 2) :].mean() / lower_half_mean(*left)
        edge = variance * (np.sqrt(left[0]) + np.sqrt(left[1])) ** 2
        signal = int((eigenvalues[:n] > edge).sum())
    return float(variance)
