"""Samples in which a voxel lies outside the field of view.

A head that turns takes tissue out of the field of view for some volumes. There the image holds
nothing; zeros would stand in the series as the largest signal change of all.
"""

import numpy as np


def bridge(data: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Replace the samples outside by what lies between the nearest ones inside.

    Parameters
    ----------
    data : (E, V, T) array
        Series of all echoes.
    inside : (V, T) bool array
        True where the sample was acquired; somewhere in every voxel.

    Returns
    -------
    (E, V, T) array
        Linear in time between samples inside, constant before the first and after the last.
    """
    samples = np.arange(inside.shape[1], dtype=np.float64)
    out = np.array(data)
    for voxel, known in enumerate(inside):
        gap = samples[~known]
        for series in out[:, voxel]:
            series[~known] = np.interp(gap, samples[known], series[known])
    return out
