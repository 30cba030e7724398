"""Optimal combination of echoes: a weighted average with the weights TE exp(-TE / T2*)."""

from collections.abc import Sequence

import numpy as np

from mebold.errors import GridMismatchError
from mebold.multiecho import tedana_log
from mebold.multiecho.decay import check_echo_times


def optcom(
    data: np.ndarray,
    t2star: np.ndarray,
    te_s: Sequence[float],
    adaptive_mask: np.ndarray,
    *,
    out: np.ndarray | None = None,
    chunk: int = 10_000,
) -> np.ndarray:
    """Combine echoes with T2*-dependent weights, by tedana's function, in slabs of voxels.

    Parameters
    ----------
    data : (E, V, T) array
        Signal; may be a memory map, read once. Not modified.
    t2star : (V,) array
        Seconds, as returned by `mebold.multiecho.decay.fit`.
    te_s : (E,) sequence of float
        Echo times in seconds, ascending; at least three.
    adaptive_mask : (V,) integer array
        Number of leading good echoes. Voxels with one good echo use the first two; voxels with
        none become 0.
    out : (V, T) float32 array, optional
        Where to put the result, for instance a memory map.
    chunk : int
        Voxels in memory at once; does not change the result.

    Returns
    -------
    (V, T) float32 array
        In the units of the data, since the weights sum to 1.

    Raises
    ------
    ConfigError
        With fewer than three echoes.
    MetadataError
        When echo times do not fit the data or are not in seconds.
    GridMismatchError
        When the arrays disagree in voxels or time points.

    References
    ----------
    Posse et al. 1999, Magn Reson Med 42; tedana 26.0.1, ``tedana.combine.make_optcom``.
    """
    from tedana.combine import make_optcom

    n_echoes, n_voxels, n_times = data.shape
    # The T2* of the fit and the echo times must share a unit; tedana works in milliseconds.
    times_ms = check_echo_times(te_s, n_echoes, minimum=3) * 1000
    for name, values in (("t2star", t2star), ("adaptive_mask", adaptive_mask)):
        if np.shape(values) != (n_voxels,):
            message = f"{name} has shape {np.shape(values)}, the data have {n_voxels} voxels."
            raise GridMismatchError(message)
    if out is None:
        out = np.empty((n_voxels, n_times), dtype=np.float32)
    elif out.shape != (n_voxels, n_times):
        message = f"out has shape {out.shape}, the result has {(n_voxels, n_times)}."
        raise GridMismatchError(message)
    t2star_ms = np.asarray(t2star, dtype=np.float64) * 1000
    good = np.asarray(adaptive_mask)
    with tedana_log.quiet():
        for start in range(0, n_voxels, chunk):
            here = slice(start, start + chunk)
            slab = np.moveaxis(np.asarray(data[:, here]), 0, 1)
            out[here] = make_optcom(slab, times_ms, good[here], t2s=t2star_ms[here])
    return out
