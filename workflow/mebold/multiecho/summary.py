"""What a decay fit needs to know of a multi-echo run, so that no series has to be kept for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mebold.errors import DataError, GridMismatchError

_CHUNK = 20_000


@dataclass(frozen=True)
class Summary:
    """What a decay fit needs to know of one or more runs.

    Attributes
    ----------
    mean : (E, V) float64 array
        Mean signal over time.
    mean_log : (E, V) float64 array
        Mean over time of ``log(|signal| + 1)``, the quantity that tedana fits.
    nonpositive : (E, V) int64 array
        Number of time points whose value is not finite, zero or negative.
    n : int
        Number of time points.
    """

    mean: np.ndarray
    mean_log: np.ndarray
    nonpositive: np.ndarray
    n: int


def summarise(data: np.ndarray) -> Summary:
    """Reduce a multi-echo run to the averages that a decay fit uses.

    Parameters
    ----------
    data : (E, V, T) array
        Signal, may be a memory map; read in slabs of voxels. Values that are not finite are
        counted in `Summary.nonpositive` and enter the averages as 0.

    Returns
    -------
    Summary

    Raises
    ------
    DataError
        When the array is not three-dimensional or empty.
    """
    if data.ndim != 3 or 0 in data.shape:
        message = f"Expected echoes x voxels x time with no empty axis, got shape {data.shape}."
        raise DataError(message)
    n_echoes, n_voxels, n = data.shape
    mean = np.empty((n_echoes, n_voxels))
    mean_log = np.empty((n_echoes, n_voxels))
    nonpositive = np.empty((n_echoes, n_voxels), dtype=np.int64)
    for echo in range(n_echoes):
        for start in range(0, n_voxels, _CHUNK):
            here = slice(start, start + _CHUNK)
            values = np.asarray(data[echo, here], dtype=np.float64)
            values = np.where(np.isfinite(values), values, 0.0)
            mean[echo, here] = values.mean(axis=-1)
            mean_log[echo, here] = np.log1p(np.abs(values)).mean(axis=-1)
            nonpositive[echo, here] = np.count_nonzero(values <= 0, axis=-1)
    return Summary(mean=mean, mean_log=mean_log, nonpositive=nonpositive, n=n)


def pool(summaries: Sequence[Summary]) -> Summary:
    """Combine the summaries of several runs as if the runs were one long series.

    Raises
    ------
    DataError
        When the list is empty.
    GridMismatchError
        When the runs differ in echoes or voxels.
    """
    summaries = list(summaries)
    if not summaries:
        message = "No run to pool: the list of summaries is empty."
        raise DataError(message)
    shapes = {summary.mean.shape for summary in summaries}
    if len(shapes) > 1:
        message = f"Runs differ in (echoes, voxels): {sorted(shapes)}; all must share one mask."
        raise GridMismatchError(message)
    n = sum(summary.n for summary in summaries)
    return Summary(
        mean=sum(s.mean * (s.n / n) for s in summaries),
        mean_log=sum(s.mean_log * (s.n / n) for s in summaries),
        nonpositive=sum(s.nonpositive for s in summaries),
        n=n,
    )
