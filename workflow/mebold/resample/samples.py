"""Which output samples there are, and on which volumes they rest."""

import math

import numpy as np

from mebold.errors import MetadataError


def n_output_volumes(n: int, *, tr: float, tr_out: float) -> int:
    """Return the number of output samples that cover n volumes.

    Parameters
    ----------
    n : int
        Number of acquired volumes.
    tr, tr_out : float
        Repetition time and output sampling interval in seconds.

    Returns
    -------
    int
        ``ceil(n * tr / tr_out)``.

    Raises
    ------
    MetadataError
        If a time is not positive.
    """
    if not (tr > 0 and tr_out > 0):
        raise MetadataError(f"RepetitionTime {tr} s and output TR {tr_out} s must be positive")
    # 163 * 1.9 is not a whole number in binary: do not let rounding add a sample.
    return math.ceil(round(n * tr / tr_out, 6))


def non_steady_samples(non_steady: int, *, tr: float, tr_out: float) -> int:
    """Return how many output samples lie within the time of the first `non_steady` volumes.

    Parameters
    ----------
    non_steady : int
        Volumes before the steady state.
    tr, tr_out : float
        Repetition time and output sampling interval in seconds.

    Returns
    -------
    int
        All later samples rest on steady volumes only.
    """
    return n_output_volumes(non_steady, tr=tr, tr_out=tr_out)


def edge_samples(
    slice_times: np.ndarray, *, n_volumes: int, tr: float, tr_out: float, non_steady: int = 0
) -> np.ndarray:
    """Tell which output samples lie before the first or after the last acquisition of a slice.

    Parameters
    ----------
    slice_times : array, shape (z,)
        Seconds after the start of the volume.
    n_volumes : int
        Number of acquired volumes.
    tr, tr_out : float
        Seconds.
    non_steady : int
        Volumes before the steady state.

    Returns
    -------
    ndarray, shape (n_output,), bool
        True where at least one slice is held at its first, its first steady or its last value.
    """
    times = np.arange(n_output_volumes(n_volumes, tr=tr, tr_out=tr_out)) * tr_out
    slice_times = np.asarray(slice_times, dtype=np.float64)
    first = slice_times.max()
    last = (n_volumes - 1) * tr + slice_times.min()
    held = (times < first - 1e-6) | (times > last + 1e-6)
    start = non_steady * tr
    return held | ((times > start - 1e-6) & (times < start + first - 1e-6))
