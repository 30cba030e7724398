"""Volume-to-volume change of intensity (DVARS); values of volumes at samples of an image."""

import numpy as np

from mebold.errors import DataError

_CHUNK = 20_000
# Interquartile range of a normal distribution in units of its standard deviation.
_IQR_TO_SD = 1.349


def map_to_samples(values: np.ndarray, *, tr: float, tr_out: float, n_out: int) -> np.ndarray:
    """Give each sample of another time grid the value of the nearest acquired volumes.

    Parameters
    ----------
    values : (T,) array
        One value per acquired volume, volume k at ``k * tr``; the first may be NaN.
    tr, tr_out : float
        Seconds between acquired volumes and between samples; both grids start at 0.
    n_out : int
        Number of samples.

    Returns
    -------
    (n_out,) float64 array
        The largest value among the acquired volumes whose nearest sample this is (the later one
        of two equally near); where there is none, the value of the nearest acquired volume. Equal
        grids give the input. Only the first sample can be NaN: others nearest to the first
        volume, which has no predecessor, are 0.
    """
    values = np.asarray(values, dtype=np.float64)
    times = np.arange(len(values)) * tr
    samples = np.arange(n_out) * tr_out
    nearest_volume = np.abs(samples[:, None] - times[None, :]).argmin(axis=1)
    nearest_sample = np.floor(times / tr_out + 0.5).astype(int)
    mapped = values[nearest_volume]
    for volume, sample in enumerate(nearest_sample):
        if sample < n_out:
            mapped[sample] = np.fmax(mapped[sample], values[volume])
    mapped[1:] = np.nan_to_num(mapped[1:], nan=0.0)
    return mapped


def dvars(series: np.ndarray, *, skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Compute DVARS and standardised DVARS.

    Parameters
    ----------
    series : (V, T) array
        Brain voxels in time; may be a memory map. Voxels with no spread are left out.
    skip : int
        Leading samples that are not steady: they say nothing of the usual level and change.

    Returns
    -------
    dvars : (T,) float64 array
        Root mean squared intensity change since the sample before, after scaling the median of
        the series to 1000. NaN for the first sample.
    std_dvars : (T,) float64 array
        The same divided by its expectation for a stationary AR(1) series with each voxel's robust
        standard deviation and lag-1 autocorrelation; about 1 where nothing happens.

    Raises
    ------
    DataError
        When no voxel varies or there are fewer than three samples.

    References
    ----------
    Power et al. 2012, NeuroImage 59(3):2142; Nichols 2013, notes on standardised DVARS. Formula
    of nipype 1.10 ``algorithms.confounds.compute_dvars``, which takes files and needs a further
    package for the autocorrelation.
    """
    n_voxels, n_times = series.shape
    if n_times - skip < 3:
        message = f"DVARS needs at least three samples, got {n_times - skip}."
        raise DataError(message)
    median = float(np.median(np.asarray(series[:, skip:], dtype=np.float32)))
    if not median > 0:
        message = f"The median of the brain series is {median}; DVARS needs positive magnitudes."
        raise DataError(message)
    squares = np.zeros(n_times - 1)
    expected = 0.0
    count = 0
    for start in range(0, n_voxels, _CHUNK):
        values = np.asarray(series[start : start + _CHUNK], dtype=np.float64) / median * 1000
        low, high = np.percentile(values[:, skip:], [25, 75], axis=1, method="lower")
        deviation = (high - low) / _IQR_TO_SD
        values, deviation = values[deviation > 0], deviation[deviation > 0]
        centred = values[:, skip:] - values[:, skip:].mean(axis=1, keepdims=True)
        power = np.square(centred).sum(axis=1)
        ar1 = (centred[:, 1:] * centred[:, :-1]).sum(axis=1) / power
        expected += float((np.sqrt(2 * (1 - ar1)) * deviation).sum())
        squares += np.square(np.diff(values, axis=1)).sum(axis=0)
        count += len(values)
    if count == 0:
        message = "No brain voxel varies in time: DVARS is undefined."
        raise DataError(message)
    plain = np.sqrt(squares / count)
    first = [np.nan]
    return np.concatenate([first, plain]), np.concatenate([first, plain / (expected / count)])
