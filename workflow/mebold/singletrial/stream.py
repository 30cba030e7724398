"""Stream voxels of a session through the single-trial fit in bounded memory.

A pass visits all voxels in blocks. Each worker thread reads its block from the caller's arrays
(which may be memory maps larger than memory), works with one BLAS thread, and gives the pages of
a memory map back afterwards.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

#: Samples (voxels x volumes of all runs) in one block when the caller does not choose.
BLOCK_SAMPLES = 12_000_000
#: Residual amplitude, relative to the mean, below which a series counts as constant.
CONSTANT = 1e-6


def block_size(n_volumes: int, chunk_voxels: int | None) -> int:
    """Return the number of voxels in one block for `n_volumes` volumes in all runs."""
    return max(1, int(chunk_voxels)) if chunk_voxels else max(256, BLOCK_SAMPLES // n_volumes)


def one_blas_thread() -> threadpool_limits:
    """Return a context in which BLAS does not start threads of its own.

    The products here are small, and waiting BLAS threads cost ten times the work.
    """
    return threadpool_limits(limits=1, user_api="blas")


def for_blocks(
    work: Callable[[slice], object],
    n_voxels: int,
    size: int,
    n_threads: int,
    progress: Callable[[float], None] | None = None,
) -> list[object]:
    """Call `work` on consecutive slices of voxels and return what it returned, in order.

    `progress` hears the share of blocks that are done.
    """
    blocks = [slice(start, min(start + size, n_voxels)) for start in range(0, n_voxels, size)]
    with one_blas_thread():
        if n_threads <= 1 or len(blocks) == 1:
            return _followed(map(work, blocks), len(blocks), progress)
        with ThreadPoolExecutor(max_workers=n_threads) as pool:
            return _followed(pool.map(work, blocks), len(blocks), progress)


def _followed(
    results: Iterable[object], count: int, progress: Callable[[float], None] | None
) -> list[object]:
    """Collect results as they come, and say how many there are."""
    found = []
    for result in results:
        found.append(result)
        if progress is not None:
            progress(len(found) / count)
    return found


def read_run(
    run: np.ndarray, voxels: slice, *, only: np.ndarray | None = None, bad: np.ndarray | None = None
) -> np.ndarray:
    """Copy voxels of one run as a float32 (m, T) array.

    Parameters
    ----------
    run : ndarray, shape (V, T)
        Data or memory map.
    voxels : slice
        Voxels to read.
    only : ndarray of bool, optional
        Which of these voxels to return; all unless given.
    bad : ndarray of bool, optional
        Which of the returned voxels to replace by 0.
    """
    part = run[voxels]
    series = np.array(part if only is None else part[only], dtype=np.float32)
    if bad is not None and bad.any():
        series[bad] = 0
    _release(run, part)
    return series


def finite_voxels(block: Sequence[np.ndarray]) -> np.ndarray:
    """Mark, for every run of a block, the voxels whose samples are finite, (m, R)."""
    with np.errstate(invalid="ignore", over="ignore"):
        # A sum is finite unless a sample is not; float64 cannot overflow on float32 samples.
        sums = [run.sum(axis=1, dtype=np.float64) for run in block]
    return np.column_stack([np.isfinite(values) for values in sums])


def detrend(series: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove polynomials from series in place.

    Parameters
    ----------
    series : ndarray, shape (m, T), float32
        Changed in place.
    basis : ndarray, shape (T, d + 1), float32
        Orthonormal polynomials, the first constant.

    Returns
    -------
    mean : ndarray, shape (m,), float64
        Mean of each series before.
    energy : ndarray, shape (m,), float64
        Sum of squares after; exactly 0, like the series, where nothing but rounding is left.
    """
    mean = series.mean(axis=1)
    # The mean goes first: it is many times larger than the signal and would cost its digits.
    series -= mean[:, None]
    weights = series @ basis
    series -= weights @ basis.T
    exact = mean + weights[:, 0].astype(np.float64) * float(basis[:, 0].sum()) / len(basis)
    energy = np.einsum("vt,vt->v", series, series).astype(np.float64)
    constant = energy <= (CONSTANT * exact) ** 2 * series.shape[1]
    series[constant] = 0
    energy[constant] = 0
    return exact, energy


def _release(array: np.ndarray, part: np.ndarray) -> None:
    """Give the pages of a shared file mapping back to the system; they stay in its file cache."""
    mapping = getattr(array, "_mmap", None)
    if not isinstance(mapping, mmap.mmap) or not hasattr(mapping, "madvise"):
        return
    # A copy-on-write map keeps its changes only in memory: it must not be touched.
    if getattr(array, "mode", None) not in ("r", "r+", "w+"):
        return
    # Rows one after the other in the file, also those whose first volumes are left out.
    if part.size == 0 or part.strides[-1] != part.itemsize or part.strides[0] < part[0].nbytes:
        return
    start = np.frombuffer(mapping, dtype=np.uint8).ctypes.data
    low, high = np.lib.array_utils.byte_bounds(part)
    first = (low - start) // mmap.PAGESIZE * mmap.PAGESIZE
    mapping.madvise(mmap.MADV_DONTNEED, first, high - low + mmap.PAGESIZE)
