"""Cubic B-spline coefficients of a volume and their evaluation at arbitrary points.

Coefficients are stored in C order with a rim of two mirrored samples on every side, so that the
64-tap sum never tests for the boundary. A point belongs to the field of view when it lies within
half a voxel of the outermost voxel centres.

References
----------
M. Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Processing
Magazine 16(6), 1999. The recursion and its mirror boundary agree with scipy.ndimage
(``map_coordinates(..., order=3, mode="mirror")``).
"""

import math

import numpy as np

from mebold.geometry.jit import kernel

#: Mirrored samples on each side of a coefficient array.
RIM = 2

_POLE = np.float32(math.sqrt(3.0) - 2.0)
_HORIZON = 24  # the pole to this power is below the resolution of float32
_LANES = 48  # lines filtered side by side: the tile stays in the first-level cache

FWHM_PER_SIGMA = math.sqrt(8.0 * math.log(2.0))


@kernel
def _mirrored(index, n):
    """Fold an index of the mirrored sequence back into 0..n-1."""
    if n == 1:
        return 0
    period = 2 * (n - 1)
    index = abs(index) % period
    return period - index if index >= n else index


@kernel
def _smooth_lines(lines, n, taps, scratch):
    """Convolve the columns of lines (n, lanes) in place with a symmetric kernel."""
    radius = taps.size - 1
    lanes = lines.shape[1]
    for i in range(n):
        for m in range(lanes):
            scratch[i, m] = taps[0] * lines[i, m]
        for r in range(1, radius + 1):
            low = _mirrored(i - r, n)
            high = _mirrored(i + r, n)
            for m in range(lanes):
                scratch[i, m] += taps[r] * (lines[low, m] + lines[high, m])
    lines[:, :] = scratch


@kernel
def _spline_lines(lines, n):
    """Turn samples into cubic B-spline coefficients along the first axis, in place."""
    if n == 1:
        return
    z = _POLE
    lanes = lines.shape[1]
    gain = np.float32(6.0)
    last = min(_HORIZON, 2 * (n - 1))
    first = np.zeros(lanes, np.float32)
    power = np.float32(1.0)
    for i in range(last):
        source = _mirrored(i, n)
        for m in range(lanes):
            first[m] += power * lines[source, m]
        power *= z
    # A short sequence repeats after 2(n-1) samples: sum the geometric series of its periods.
    scale = gain / (np.float32(1.0) - power) if last < _HORIZON else gain
    for m in range(lanes):
        lines[0, m] = first[m] * scale
    for i in range(1, n):
        for m in range(lanes):
            lines[i, m] = gain * lines[i, m] + z * lines[i - 1, m]
    end = z / (z * z - np.float32(1.0))
    for m in range(lanes):
        lines[n - 1, m] = end * (lines[n - 1, m] + z * lines[n - 2, m])
    for i in range(n - 2, -1, -1):
        for m in range(lanes):
            lines[i, m] = z * (lines[i + 1, m] - lines[i, m])


@kernel
def _load_and_filter_last(volume, taps, spline, out):
    """Copy a volume (z, y, x) into the middle of out (x, y, z), filtering along z."""
    nz, ny, nx = volume.shape
    lines = np.zeros((nz, _LANES), np.float32)
    scratch = np.empty((nz, _LANES), np.float32)
    for j in range(ny):
        for start in range(0, nx, _LANES):
            lanes = min(_LANES, nx - start)
            for k in range(nz):
                for m in range(lanes):
                    value = volume[k, j, start + m]
                    # One non-finite voxel would spoil its whole line, and then the volume.
                    lines[k, m] = value if np.isfinite(value) else np.float32(0.0)
            if taps.size > 1:
                _smooth_lines(lines, nz, taps, scratch)
            if spline:
                _spline_lines(lines, nz)
            for m in range(lanes):
                for k in range(nz):
                    out[start + m + RIM, j + RIM, k + RIM] = lines[k, m]


@kernel
def _filter_middle(taps, spline, out):
    """Filter the interior of out along its second axis."""
    nx, ny, nz = out.shape[0] - 2 * RIM, out.shape[1] - 2 * RIM, out.shape[2] - 2 * RIM
    scratch = np.empty((ny, nz), np.float32)
    lines = np.empty((ny, nz), np.float32)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                lines[j, k] = out[i + RIM, j + RIM, k + RIM]
        if taps.size > 1:
            _smooth_lines(lines, ny, taps, scratch)
        if spline:
            _spline_lines(lines, ny)
        for j in range(ny):
            for k in range(nz):
                out[i + RIM, j + RIM, k + RIM] = lines[j, k]


@kernel
def _filter_first(taps, spline, out):
    """Filter the interior of out along its first axis."""
    nx, ny, nz = out.shape[0] - 2 * RIM, out.shape[1] - 2 * RIM, out.shape[2] - 2 * RIM
    scratch = np.empty((nx, nz), np.float32)
    lines = np.empty((nx, nz), np.float32)
    for j in range(ny):
        for i in range(nx):
            for k in range(nz):
                lines[i, k] = out[i + RIM, j + RIM, k + RIM]
        if taps.size > 1:
            _smooth_lines(lines, nx, taps, scratch)
        if spline:
            _spline_lines(lines, nx)
        for i in range(nx):
            for k in range(nz):
                out[i + RIM, j + RIM, k + RIM] = lines[i, k]


@kernel
def _fill_rim(out):
    """Fill the rim with mirrored samples, one axis after the other."""
    sx, sy, sz = out.shape
    nx, ny, nz = sx - 2 * RIM, sy - 2 * RIM, sz - 2 * RIM
    for i in range(RIM, RIM + nx):
        for j in range(RIM, RIM + ny):
            for r in range(RIM):
                out[i, j, r] = out[i, j, RIM + _mirrored(r - RIM, nz)]
                out[i, j, RIM + nz + r] = out[i, j, RIM + _mirrored(nz + r, nz)]
        for r in range(RIM):
            out[i, r, :] = out[i, RIM + _mirrored(r - RIM, ny), :]
            out[i, RIM + ny + r, :] = out[i, RIM + _mirrored(ny + r, ny), :]
    for r in range(RIM):
        out[r, :, :] = out[RIM + _mirrored(r - RIM, nx), :, :]
        out[RIM + nx + r, :, :] = out[RIM + _mirrored(nx + r, nx), :, :]


@kernel
def fill_coefficients(volume, taps_x, taps_y, taps_z, spline, out):
    """Smooth a volume (z, y, x), prefilter it and mirror its rim: the body of `coefficients`."""
    _load_and_filter_last(volume, taps_z, spline, out)
    _filter_middle(taps_y, spline, out)
    _filter_first(taps_x, spline, out)
    _fill_rim(out)


def gaussian_taps(fwhm: float) -> np.ndarray:
    """Return one side of a normalised Gaussian kernel.

    Parameters
    ----------
    fwhm : float
        Full width at half maximum in voxels; 0 for no smoothing.

    Returns
    -------
    ndarray, shape (radius + 1,), float32
        The central weight first. The kernel is cut at four standard deviations.
    """
    if fwhm <= 0:
        return np.ones(1, np.float32)
    sigma = fwhm / FWHM_PER_SIGMA
    radius = max(1, math.ceil(4.0 * sigma))
    taps = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return (taps / (taps[0] + 2.0 * taps[1:].sum())).astype(np.float32)


def empty_coefficients(shape: tuple[int, int, int]) -> np.ndarray:
    """Return an uninitialised float32 array that holds the coefficients of such a volume."""
    return np.empty(tuple(n + 2 * RIM for n in shape[:3]), np.float32)


def coefficients(
    volume: np.ndarray,
    *,
    fwhm_voxels: tuple[float, float, float] = (0.0, 0.0, 0.0),
    order: int = 3,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Turn a volume into rimmed spline coefficients, smoothing it first if asked.

    Parameters
    ----------
    volume : ndarray, shape (x, y, z)
        Any real type and memory layout; non-finite voxels count as 0.
    fwhm_voxels : tuple of float
        Full width at half maximum of a Gaussian applied before, in voxels per axis.
    order : {0, 1, 3}
        3 prefilters; 0 and 1 keep the samples themselves.
    out : ndarray, shape (x + 4, y + 4, z + 4), float32, optional
        Where to write.

    Returns
    -------
    ndarray, shape (x + 4, y + 4, z + 4), float32
        Coefficients with `RIM` mirrored samples on every side.
    """
    if out is None:
        out = empty_coefficients(volume.shape)
    # Images are stored in Fortran order. One layout, read-only, means one compiled kernel.
    stored = np.asfortranarray(volume, dtype=np.float32).T.view()
    stored.flags.writeable = False
    taps = [gaussian_taps(f) for f in fwhm_voxels]
    fill_coefficients(stored, taps[0], taps[1], taps[2], order == 3, out)
    return out
