"""Samples in which a voxel lies outside the field of view.

A head that turns takes tissue out of the field of view for some volumes. There the image holds
nothing; zeros would stand in the series as the largest signal change of all.
"""

import numpy as np


def bridge(data: np.ndarray, inside: np.ndarray, *, early: int = 0) -> np.ndarray:
    """Replace the samples outside by what lies between the nearest ones inside.

    Parameters
    ----------
    data : (E, V, T) array
        Series of all echoes.
    inside : (V, T) bool array
        True where the sample was acquired; somewhere in every voxel.
    early : int
        Samples at the start that are not steady; a later one is bridged from steady samples, in
        any voxel that has one.

    Returns
    -------
    (E, V, T) array
        Linear in time between samples inside, constant before the first and after the last.
    """
    samples = np.arange(inside.shape[1], dtype=np.float64)
    out = np.array(data)
    for voxel, known in enumerate(inside):
        steady = known & (samples >= early)
        steady = steady if steady.any() else known
        gap, late = samples[~known], samples[~known] >= early
        for series in out[:, voxel]:
            whole = np.interp(gap, samples[known], series[known])
            alone = np.interp(gap, samples[steady], series[steady])
            series[~known] = np.where(late, alone, whole)
    return out
