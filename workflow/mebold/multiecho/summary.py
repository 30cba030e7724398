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

    Runs count in the voxels that they saw: one that lost the top of the brain must not take it from
    the others.

    Returns
    -------
    Summary
        Means over the runs that have data in a voxel; ``nonpositive`` is their share of time points
        times all time points. 0 where no run has data.

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
    # A voxel that a run never saw is 0 in all of its time points.
    seen = np.stack([s.n * (s.nonpositive[0] < s.n) for s in summaries])
    held = seen.sum(axis=0)
    weights = np.where(held > 0, seen / np.maximum(held, 1), [[s.n / n] for s in summaries])
    nonpositive = sum(s.nonpositive * (w > 0) for s, w in zip(summaries, weights, strict=True))
    return Summary(
        mean=sum(s.mean * w for s, w in zip(summaries, weights, strict=True)),
        mean_log=sum(s.mean_log * w for s, w in zip(summaries, weights, strict=True)),
        nonpositive=np.ceil(nonpositive * (n / np.where(held > 0, held, n))).astype(np.int64),
        n=n,
    )
