"""Read every voxel of a series at common times, although its slices were acquired in turn.

Output sample k lies at ``k * tr_out`` after the start of volume 0. A slice acquired s seconds into
each volume is therefore read at ``k * tr_out - s`` in its own clock. The first and last sample of
each slice are repeated three times on its time grid, so that nothing is extrapolated by a
polynomial; `samples.edge_samples` tells which output samples rest on these copies.

Volumes before the steady state are brighter than all others, and a spline would carry that into its
neighbours. The samples within their time come from the whole series; later ones from the steady
volumes alone, the first of which is repeated as at the start of a run.

The conventions (number of samples, replication, clock) are those of ``tseriesinterp`` in
cvnlab/knkutils; slice times are the acquired ones, never ranks.
"""

import math

import numpy as np
from scipy.interpolate import CubicSpline

from mebold.errors import ConfigError, DataError, MetadataError
from mebold.geometry.jit import kernel
from mebold.resample import samples

#: Copies of the first and of the last sample.
REPLICATED = 3

METHODS = ("cubic", "pchip")

#: Weight of a volume in a sample below which it is left out.
NEGLIGIBLE = 1e-8

#: Samples computed by one matrix product: few, so that few volumes bear on them.
_SAMPLES = 16


def operator(
    slice_time: float,
    *,
    n_volumes: int,
    tr: float,
    tr_out: float,
    method: str = "cubic",
    non_steady: int = 0,
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
    non_steady : int
        Volumes at the start that samples after their time must not see.

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
    if non_steady:
        known = {"tr": tr, "tr_out": tr_out}
        matrix = operator(slice_time, n_volumes=n_volumes, **known)
        first = samples.non_steady_samples(non_steady, **known)
        late, steady = slice_time + non_steady * tr, n_volumes - non_steady
        matrix[first:, :non_steady] = 0.0
        matrix[first:, non_steady:] = _spline(
            late, steady, tr, np.arange(first, len(matrix)) * tr_out
        )
        return matrix
    n_out = samples.n_output_volumes(n_volumes, tr=tr, tr_out=tr_out)
    return _spline(slice_time, n_volumes, tr, np.arange(n_out) * tr_out)


def _spline(first_s: float, n_volumes: int, tr: float, times: np.ndarray) -> np.ndarray:
    """Return the matrix (len(times), n_volumes) of a spline with its first sample at `first_s`."""
    padded = n_volumes + 2 * REPLICATED
    replicate = np.zeros((padded, n_volumes))
    source = np.clip(np.arange(padded) - REPLICATED, 0, n_volumes - 1)
    replicate[np.arange(padded), source] = 1.0
    knots = np.arange(-REPLICATED, n_volumes + REPLICATED) * tr + first_s
    return CubicSpline(knots, replicate)(times)


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
    # Only the samples that these times see are copied; the ends of the run repeat as before.
    low, high = np.clip([index.min() - 1, index.max() + 2], 0, len(data) - 1)
    result = np.empty(out.shape, np.float32)
    _pchip_rows(np.ascontiguousarray(data[low : high + 1]), index - low, fraction, result)
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


class Corrected:
    """A series resampled in time, computed where it is read.

    ``corrected[..., first:last]`` returns the samples first..last-1; nothing else is held. Sample k
    lies at ``k * tr_out`` after the start of volume 0.

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
    non_steady : int
        Volumes at the start that samples after their time must not see.

    Attributes
    ----------
    shape : tuple of int
        (x, y, z, n_output).

    Raises
    ------
    MetadataError
        If slice times do not match the slices or the repetition time.
    ConfigError
        If the method is unknown.
    DataError
        If the series has fewer than two volumes.
    """

    ndim = 4

    def __init__(
        self,
        data: np.ndarray,
        slice_times: np.ndarray,
        *,
        tr: float,
        tr_out: float,
        method: str = "cubic",
        slice_axis: int = 2,
        non_steady: int = 0,
    ) -> None:
        if method not in METHODS:
            expected = ", ".join(METHODS)
            raise ConfigError(f"slice timing method {method!r}: expected one of {expected}")
        if data.ndim != 4 or data.shape[3] < 2:
            raise DataError(f"slice timing needs a series of at least 2 volumes, got {data.shape}")
        if not 0 <= non_steady <= data.shape[3] - 2:
            raise DataError(
                f"{non_steady} volumes of {data.shape[3]} before the steady state: at least two "
                "must be steady"
            )
        self._slice_times = _checked_times(slice_times, data.shape[slice_axis], tr)
        n = data.shape[3]
        n_out = samples.n_output_volumes(n, tr=tr, tr_out=tr_out)
        self.shape = (*data.shape[:3], n_out)
        self._tr, self._times = tr, np.arange(n_out) * tr_out
        self._early = non_steady, samples.non_steady_samples(non_steady, tr=tr, tr_out=tr_out)
        self._axis = 3 - slice_axis
        # Volumes as they are stored, slices second: matrix products read and write without copies.
        self._sources = np.moveaxis(data.T, self._axis, 1)
        self._matrices = None
        if method == "cubic":
            self._matrices = {
                time: operator(
                    time, n_volumes=n, tr=tr, tr_out=tr_out, non_steady=non_steady
                ).astype(np.float32)
                for time in np.unique(self._slice_times)
            }
        self._spoilt = [~np.isfinite(self._source(s).sum(axis=0)) for s in self._slices()]

    def _slices(self) -> range:
        return range(len(self._slice_times))

    def _source(self, s: int) -> np.ndarray:
        """Return the time series of a slice, (t, pixels)."""
        source = self._sources[:, s].astype(np.float32, copy=False)
        return source.reshape(len(source), -1)

    def __getitem__(self, key: tuple) -> np.ndarray:
        """Return samples as (x, y, z, samples) float32; the key is ``[..., first:last]``."""
        first, last, step = key[1].indices(self.shape[3])
        if key[0] is not Ellipsis or len(key) != 2 or step != 1:
            raise IndexError(f"{key}: only [..., first:last] can be read")
        n = max(0, last - first)
        out = np.empty((n, *self._sources.shape[1:]), np.float32)
        results = out.reshape(n, len(self._slice_times), math.prod(out.shape[2:]))
        for s in self._slices() if n else ():
            self._resample(s, first, last, results[:, s])
            if self._spoilt[s].any():
                # What is not finite once is so throughout: half a series would look like signal.
                results[:, s, self._spoilt[s]] = np.nan
        return np.moveaxis(out, 1, self._axis).T

    def _resample(self, s: int, first: int, last: int, out: np.ndarray) -> None:
        """Write samples first..last-1 of a slice to out (last - first, pixels)."""
        source, time = self._source(s), self._slice_times[s]
        if self._matrices is None:
            volumes, early = self._early
            cut = min(max(first, early), last)
            if first < cut:
                _pchip(source, time, self._tr, self._times[first:cut], out[: cut - first])
            if cut < last:
                late = time + volumes * self._tr
                _pchip(source[volumes:], late, self._tr, self._times[cut:last], out[cut - first :])
            return
        for start in range(first, last, _SAMPLES):
            end = min(start + _SAMPLES, last)
            rows = self._matrices[time][start:end]
            # Far from its time a spline sees nothing that single precision could hold.
            seen = np.flatnonzero(np.abs(rows).max(axis=0) > NEGLIGIBLE)
            low, high = seen[0], seen[-1] + 1
            np.matmul(rows[:, low:high], source[low:high], out=out[start - first : end - first])


def correct(data: np.ndarray, slice_times: np.ndarray, **options: object) -> np.ndarray:
    """Resample a series in time, each slice from its own acquisition times.

    Parameters
    ----------
    data, slice_times, **options
        As in `Corrected`, whose errors it raises.

    Returns
    -------
    ndarray, shape (x, y, z, n_output), float32
        Every volume is contiguous, in Fortran order when slices are axis 2. A voxel with a
        non-finite sample stays non-finite.
    """
    return Corrected(data, slice_times, **options)[..., :]
