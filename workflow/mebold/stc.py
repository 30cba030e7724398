"""Read every voxel of a series at common times, although its slices were acquired in turn.

Output sample k lies at ``k * tr_out`` after the start of volume 0. A slice acquired s seconds into
each volume is therefore read at ``k * tr_out - s`` in its own clock. The first and last sample of
each slice are repeated three times on its time grid, so that nothing is extrapolated by a
polynomial; `edge_samples` tells which output samples rest on these copies.

The conventions (number of samples, replication, clock) are those of ``tseriesinterp`` in
cvnlab/knkutils; slice times are the acquired ones, never ranks.
"""

import math

import numpy as np
from scipy.interpolate import CubicSpline

from mebold.errors import ConfigError, DataError, MetadataError
from mebold.jit import kernel

#: Copies of the first and of the last sample.
REPLICATED = 3

METHODS = ("cubic", "pchip")


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


def operator(
    slice_time: float, *, n_volumes: int, tr: float, tr_out: float, method: str = "cubic"
) -> np.ndarray:
    """Return the matrix that resamples the time series of one slice.

    Parameters
    ----------
    slice_time : float
        Time of the slice after the start of its volume, seconds.
    n_volumes : int
        Number of acquired volumes.
    tr, tr_out : float
        Repetition time and output sampling interval in seconds.
    method : {"cubic"}
        Cubic spline. "pchip" is not linear in the data and has no matrix.

    Returns
    -------
    ndarray, shape (n_output, n_volumes), float64
        Rows sum to 1.

    Raises
    ------
    ConfigError
        If the method has no matrix.
    """
    if method != "cubic":
        raise ConfigError(f"only method 'cubic' is a matrix, not {method!r}; use stc.correct")
    n_out = n_output_volumes(n_volumes, tr=tr, tr_out=tr_out)
    padded = n_volumes + 2 * REPLICATED
    replicate = np.zeros((padded, n_volumes))
    source = np.clip(np.arange(padded) - REPLICATED, 0, n_volumes - 1)
    replicate[np.arange(padded), source] = 1.0
    knots = np.arange(-REPLICATED, n_volumes + REPLICATED) * tr + slice_time
    return CubicSpline(knots, replicate)(np.arange(n_out) * tr_out)


def edge_samples(
    slice_times: np.ndarray, *, n_volumes: int, tr: float, tr_out: float
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

    Returns
    -------
    ndarray, shape (n_output,), bool
        True where at least one slice is held at its first or last value.
    """
    times = np.arange(n_output_volumes(n_volumes, tr=tr, tr_out=tr_out)) * tr_out
    slice_times = np.asarray(slice_times, dtype=np.float64)
    first = slice_times.max()
    last = (n_volumes - 1) * tr + slice_times.min()
    return (times < first - 1e-6) | (times > last + 1e-6)


def slice_axis_and_times(
    slice_timing: np.ndarray, *, slice_encoding_direction: str = "k"
) -> tuple[int, np.ndarray]:
    """Bring BIDS SliceTiming into the order of the stored slices.

    Parameters
    ----------
    slice_timing : array, shape (z,)
        SliceTiming of the sidecar, seconds.
    slice_encoding_direction : str
        "i", "j" or "k", with "-" when the first entry belongs to the last stored slice.

    Returns
    -------
    axis : int
    times : ndarray, shape (z,), float64

    Raises
    ------
    MetadataError
        If the direction is none of the six.
    """
    axis = "ijk".find(slice_encoding_direction[:1]) if slice_encoding_direction else -1
    if axis < 0 or slice_encoding_direction[1:] not in ("", "-"):
        raise MetadataError(
            f"SliceEncodingDirection {slice_encoding_direction!r}: expected i, j or k, "
            "with - for the reverse order"
        )
    times = np.asarray(slice_timing, dtype=np.float64)
    return axis, times[::-1] if slice_encoding_direction.endswith("-") else times


@kernel
def _pchip_rows(data, index, fraction, out):
    """Interpolate every column of data (t, p) by monotone cubic Hermite polynomials."""
    n, pixels = data.shape
    one = np.float32(1.0)
    two = np.float32(2.0)
    three = np.float32(3.0)
    zero = np.float32(0.0)
    for k in range(index.size):
        i = index[k]
        a = data[min(max(i - 1, 0), n - 1)]
        b = data[min(max(i, 0), n - 1)]
        c = data[min(max(i + 1, 0), n - 1)]
        d = data[min(max(i + 2, 0), n - 1)]
        u = fraction[k]
        v = one - u
        h00 = (one + two * u) * v * v
        h01 = u * u * (three - two * u)
        h10 = u * v * v
        h11 = -u * u * v
        row = out[k]
        for m in range(pixels):
            before = b[m] - a[m]
            inner = c[m] - b[m]
            after = d[m] - c[m]
            # Equal spacing: the slope is the harmonic mean of its neighbours, 0 at an extremum.
            left = before * inner
            right = inner * after
            slope0 = two * left / (before + inner) if left > zero else zero
            slope1 = two * right / (inner + after) if right > zero else zero
            row[m] = h00 * b[m] + h01 * c[m] + h10 * slope0 + h11 * slope1


def _pchip(data: np.ndarray, slice_time: float, tr: float, times: np.ndarray, out) -> None:
    """Resample the columns of data (t, p) at times of the run's clock into out (T, p)."""
    position = (times - slice_time) / tr
    index = np.floor(position).astype(np.int64)
    fraction = (position - index).astype(np.float32)
    result = np.empty(out.shape, np.float32)
    _pchip_rows(np.ascontiguousarray(data), index, fraction, result)
    out[...] = result


def _checked_times(slice_times: np.ndarray, n_slices: int, tr: float) -> np.ndarray:
    """Return the slice times as float64 after checking count and range."""
    times = np.asarray(slice_times, dtype=np.float64)
    if times.shape != (n_slices,):
        raise MetadataError(
            f"SliceTiming has {times.size} entries for {n_slices} slices; expected one per slice"
        )
    if not np.all(np.isfinite(times)) or times.min() < -1e-6 or times.max() > tr + 1e-6:
        raise MetadataError(
            f"SliceTiming spans {times.min():g} to {times.max():g} s, outside 0 to the "
            f"RepetitionTime of {tr:g} s; expected seconds within one volume"
        )
    return times


def correct(
    data: np.ndarray,
    slice_times: np.ndarray,
    *,
    tr: float,
    tr_out: float,
    method: str = "cubic",
    slice_axis: int = 2,
) -> np.ndarray:
    """Resample a series in time, each slice from its own acquisition times.

    Parameters
    ----------
    data : ndarray, shape (x, y, z, t)
        Magnitudes. Fortran order (as images are stored) is read without a copy.
    slice_times : array, shape (number of slices,)
        Seconds after the start of the volume, in the order of the stored slices.
    tr, tr_out : float
        Repetition time and output sampling interval in seconds.
    method : {"cubic", "pchip"}
        Cubic spline, or the monotone piecewise cubic Hermite polynomial.
    slice_axis : int
        Axis along which slices were acquired.

    Returns
    -------
    ndarray, shape (x, y, z, n_output), float32
        Every volume is contiguous, in Fortran order when slices are axis 2. Sample k lies at
        ``k * tr_out`` after the start of volume 0. A voxel with a non-finite sample stays
        non-finite.

    Raises
    ------
    MetadataError
        If slice times do not match the slices or the repetition time.
    ConfigError
        If the method is unknown.
    DataError
        If the series has fewer than two volumes.
    """
    if method not in METHODS:
        raise ConfigError(f"slice timing method {method!r}: expected one of {', '.join(METHODS)}")
    if data.ndim != 4 or data.shape[3] < 2:
        raise DataError(f"slice timing needs a series of at least 2 volumes, got {data.shape}")
    times = _checked_times(slice_times, data.shape[slice_axis], tr)
    n = data.shape[3]
    n_out = n_output_volumes(n, tr=tr, tr_out=tr_out)
    # Volumes as they are stored, slices second: matrix products read and write without copies.
    sources = np.moveaxis(data.T, 3 - slice_axis, 1)
    out = np.empty((n_out, *sources.shape[1:]), np.float32)
    results = out.reshape(n_out, len(times), -1)
    matrices: dict[float, np.ndarray] = {}
    for s, time in enumerate(times):
        source = sources[:, s].astype(np.float32, copy=False).reshape(n, -1)
        if method == "pchip":
            _pchip(source, time, tr, np.arange(n_out) * tr_out, results[:, s])
            continue
        key = round(float(time), 7)
        if key not in matrices:
            matrices[key] = operator(time, n_volumes=n, tr=tr, tr_out=tr_out).astype(np.float32)
        np.matmul(matrices[key], source, out=results[:, s])
    return np.moveaxis(out, 1, 3 - slice_axis).T
