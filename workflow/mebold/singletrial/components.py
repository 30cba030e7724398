"""GLMdenoise: noise pool, its principal components, and how many of them to use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mebold.singletrial import stream
from mebold.singletrial.inputs import Inputs

BRIGHT_FRACTION = 0.1
BRIGHT_PERCENTILE = 99
#: When no voxel passes the threshold, this many with the largest on-off R2 stand in.
FALLBACK_VOXELS = 100


def noise_pool(
    mean: np.ndarray, on_off_r2: np.ndarray, threshold: float, exclude: np.ndarray | None = None
) -> np.ndarray:
    """Return the voxels that hold signal but no response.

    Parameters
    ----------
    mean : ndarray, shape (V,)
        Mean of every voxel. Bright means above a tenth of the 99th percentile of all voxels handed
        in, so with a tight brain mask nearly every voxel is bright.
    on_off_r2 : ndarray, shape (V,)
        Percent.
    threshold : float
        Voxels below it belong to the pool.
    exclude : ndarray of bool, optional
        Voxels that must not enter.

    Returns
    -------
    ndarray of bool, shape (V,)
    """
    finite = np.isfinite(mean)
    if not finite.any():
        return np.zeros(mean.shape, dtype=bool)
    limit = BRIGHT_FRACTION * np.percentile(mean[finite], BRIGHT_PERCENTILE)
    with np.errstate(invalid="ignore"):
        pool = finite & (mean > limit) & (on_off_r2 < threshold)
    return pool if exclude is None else pool & ~np.asarray(exclude, dtype=bool)


def response_voxels(
    on_off_r2: np.ndarray, threshold: float, allowed: np.ndarray | None = None
) -> np.ndarray:
    """Return the voxels that decide on the number of components, never none if any is finite.

    Parameters
    ----------
    on_off_r2 : ndarray, shape (V,)
        Percent.
    threshold : float
        Voxels above it are used.
    allowed : ndarray of bool, optional
        Voxels that may be used.

    Returns
    -------
    ndarray of bool, shape (V,)
    """
    candidates = np.isfinite(on_off_r2)
    if allowed is not None:
        candidates &= np.asarray(allowed, dtype=bool)
    with np.errstate(invalid="ignore"):
        chosen = candidates & (on_off_r2 > threshold)
    if not chosen.any():
        ranked = np.where(candidates, on_off_r2, -np.inf)
        best = np.argsort(-ranked, kind="stable")[:FALLBACK_VOXELS]
        chosen[best] = candidates[best]
    return chosen


def components(
    inputs: Inputs,
    pool: np.ndarray,
    n_components: int,
    *,
    chunk: int,
    n_threads: int,
    progress: Callable[[float], None] | None = None,
) -> list[np.ndarray]:
    """Return the strongest common time courses of the noise pool, run by run.

    Parameters
    ----------
    inputs : Inputs
    pool : ndarray of bool, shape (V,)
    n_components : int
        At most T_r of them are returned.
    chunk, n_threads, progress
        Voxels in a block; threads, each of which takes one run after the other; who hears of the
        share of runs that is done.

    Returns
    -------
    list of ndarray, shape (T_r, K), float32
        Left singular vectors of the unit-length series by decreasing singular value, divided by
        their standard deviation (ddof 1). Signs are arbitrary.
    """

    def work(runs: slice) -> np.ndarray:
        run = runs.start
        basis = inputs.basis[run].astype(np.float32)
        gram = np.zeros((len(basis), len(basis)))
        for start in range(0, inputs.n_voxels, chunk):
            block = slice(start, min(start + chunk, inputs.n_voxels))
            if pool[block].any():
                series = stream.read_run(inputs.data[run], block, only=pool[block])
                _, energy = stream.detrend(series, basis)
                length = np.sqrt(energy, where=energy > 0, out=np.ones_like(energy))
                series /= length[:, None].astype(np.float32)
                gram += series.T @ series
        _, vectors = np.linalg.eigh(gram)
        strongest = vectors[:, ::-1][:, :n_components]
        return (strongest / strongest.std(axis=0, ddof=1)).astype(np.float32)

    return stream.for_blocks(work, len(inputs.data), 1, n_threads, progress)


def choose_count(trend: np.ndarray, pcstop: float) -> int:
    """Return the number of components at which cross-validation stops improving.

    Parameters
    ----------
    trend : ndarray, shape (K,)
        Larger is better; entry k belongs to k components.
    pcstop : float
        At least 1: the first k whose gain, times `pcstop`, reaches the largest gain is taken.

    Returns
    -------
    int
    """
    gain = trend - trend[0]
    chosen, best = 0, -np.inf
    for count, value in enumerate(gain):
        if value > best:
            chosen, best = count, value
            if best * pcstop >= gain.max():
                break
    return chosen
