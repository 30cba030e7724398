"""Compiled inner loops of the simulator: head to complex echoes, complex echoes to integers."""

import math

import numba as nb
import numpy as np

# Channels of the component array that come before the fluctuation patterns.
S0, R2STAR, FIELD, FIELD_SLOPE, SLICE_SLOPE = 0, 1, 2, 3, 4
N_FIXED = 5


@nb.njit(cache=True, fastmath=True)
def _cell(shape, x, y, z, weights):
    """Return the flat index of a point's cell, or -1 outside, and set its corners' weights."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    if i < 0 or j < 0 or k < 0 or i >= shape[2] - 1 or j >= shape[1] - 1 or k >= shape[0] - 1:
        return -1
    a, b, c = np.float32(x - i), np.float32(y - j), np.float32(z - k)
    one = np.float32(1)
    weights[0] = (one - c) * (one - b) * (one - a)
    weights[1] = (one - c) * (one - b) * a
    weights[2] = (one - c) * b * (one - a)
    weights[3] = (one - c) * b * a
    weights[4] = c * (one - b) * (one - a)
    weights[5] = c * (one - b) * a
    weights[6] = c * b * (one - a)
    weights[7] = c * b * a
    return (k * shape[1] + j) * shape[2] + i


@nb.njit(cache=True, fastmath=True)
def _gather(cells, base, corners, weights, values):
    """Interpolate all channels linearly."""
    values[:] = 0
    for corner in range(8):
        row = cells[base + corners[corner]]
        weight = weights[corner]
        for m in range(len(values)):
            values[m] += weight * row[m]


@nb.njit(cache=True, fastmath=True)
def _channel(cells, base, corners, weights, channel):
    """Interpolate one channel linearly."""
    total = np.float32(0)
    for corner in range(8):
        total += weights[corner] * cells[base + corners[corner], channel]
    return total


@nb.njit(cache=True, fastmath=True)
def _bold(voxel_of, series, base, corners, weights):
    """Interpolate percent signal change, which is given in the truth voxels only."""
    total = np.float32(0)
    for corner in range(8):
        voxel = voxel_of[base + corners[corner]]
        if voxel >= 0:
            total += weights[corner] * series[voxel]
    return total


@nb.njit(cache=True, fastmath=True)
def _along(volume, k, position, i):
    """Interpolate along the second axis of a volume linearly, the end values beyond it."""
    n = volume.shape[1]
    position = min(max(position, np.float32(0)), np.float32(n - 1.001))
    j = int(position)
    return volume[k, j, i] + (position - j) * (volume[k, j + 1, i] - volume[k, j, i])


@nb.njit(cache=True, fastmath=True)
def acquire(
    components,
    voxel_of,
    series,
    matrices,
    weights_s0,
    weights_r2,
    offsets_hz,
    readout_s,
    echo_times,
    bold_te,
    bias,
    coil_phase,
    shift,
    out,
):
    """Acquire one noise-free volume, each slice with its own pose and fluctuations.

    Parameters
    ----------
    components : (Z, Y, X, 5 + K) float32
        S0, R2* (1/s), field (Hz), slopes of the field (Hz per voxel along the second axis of
        the acquisition, and through its slice) and K fluctuation patterns on the head grid. X
        is fastest because it follows the fastest axis of the acquisition: three times fewer
        cache misses.
    voxel_of : (Z, Y, X) int32
        Row of `series` or -1.
    series : (G, V) float32
        Percent signal change at `bold_te`; slice k reads row k modulo G. V may be 0.
    matrices : (z, 3, 4) float64
        Acquisition voxel (undistorted) to head-grid index.
    weights_s0, weights_r2 : (z, K) float32
        Fluctuations of log S0 and of R2* (1/s).
    offsets_hz : (z,) float32
        Uniform field change.
    readout_s : float
        Signed total readout time: displacement in voxels per Hz.
    echo_times : (E,) float64
        Seconds.
    bold_te : float
        Echo time of `series`, seconds.
    bias, coil_phase : (z, y, x) float32
        Receive sensitivity and phase, fixed to the scanner.
    shift : (z, y, x) float32
        In: a first guess of the displacement in voxels; out: the displacement.
    out : (E, z, y, x) complex64
        Result.
    """
    nz, ny, nx = shift.shape
    shape = components.shape[:3]
    cells = components.reshape(-1, components.shape[3])
    flat_voxel_of = voxel_of.ravel()
    corners = _corner_offsets(shape)
    weights = np.empty(8, dtype=np.float32)
    values = np.empty(components.shape[3], dtype=np.float32)
    te = echo_times.astype(np.float32)
    for k in range(nz):
        m = matrices[k]
        for j in range(ny):
            for i in range(nx):
                for e in range(len(te)):
                    out[e, k, j, i] = 0
                base, jacobian, delta = _undistort(
                    cells,
                    shape,
                    corners,
                    weights,
                    m,
                    i,
                    j,
                    k,
                    readout_s,
                    offsets_hz[k],
                    shift[k, j, i],
                )
                shift[k, j, i] = delta
                if base < 0 or cells[base, S0] + cells[base + corners[7], S0] < 1e-3:
                    continue
                _gather(cells, base, corners, weights, values)
                percent = np.float32(0)
                if series.shape[1]:
                    percent = _bold(flat_voxel_of, series[k % len(series)], base, corners, weights)
                log_s0, rate = _decay(values, weights_s0[k], weights_r2[k])
                rate -= np.float32(math.log1p(0.01 * percent) / bold_te)
                strength = values[S0] * jacobian * _along(bias, k, j - delta, i)
                base_phase = _along(coil_phase, k, j - delta, i)
                omega = np.float32(2 * math.pi) * (values[FIELD] + offsets_hz[k])
                spread = values[SLICE_SLOPE]
                _echoes(out, k, j, i, te, strength, log_s0, rate, base_phase, omega, spread)


@nb.njit(cache=True, fastmath=True)
def _echoes(out, k, j, i, te, strength, log_s0, rate, base_phase, omega, spread):
    """Write the signal of one voxel, whose field spreads over some Hz, at every echo time."""
    for e in range(len(te)):
        magnitude = strength * math.exp(log_s0 - te[e] * rate)
        half_turn = np.float32(math.pi) * spread * te[e]
        if abs(half_turn) > 1e-4:
            # Negative between the zeros: the phase of what is left turns by pi there.
            magnitude *= math.sin(half_turn) / half_turn
        phase = base_phase + omega * te[e]
        out[e, k, j, i] = complex(magnitude * math.cos(phase), magnitude * math.sin(phase))


@nb.njit(cache=True, fastmath=True)
def _decay(values, weights_s0, weights_r2):
    """Return the change of log S0 and the R2* (1/s) with all fluctuations."""
    log_s0 = np.float32(0)
    rate = values[R2STAR]
    for p in range(len(weights_s0)):
        log_s0 += weights_s0[p] * values[N_FIXED + p]
        rate += weights_r2[p] * values[N_FIXED + p]
    return log_s0, rate


@nb.njit(cache=True, fastmath=True)
def _corner_offsets(shape):
    """Return flat index offsets of the eight corners of a cell, in the order of `_cell`."""
    offsets = np.empty(8, dtype=np.int64)
    for corner in range(8):
        p, q, r = corner // 4, (corner // 2) % 2, corner % 2
        offsets[corner] = (p * shape[1] + q) * shape[2] + r
    return offsets


@nb.njit(cache=True, fastmath=True)
def _undistort(cells, shape, corners, weights, m, i, j, k, readout_s, offset_hz, delta):
    """Find the displacement delta = readout * field(j - delta) by Newton's method.

    Returns the cell of the source point (-1 outside), the intensity factor and delta; sets
    the weights of the cell's corners.
    """
    stretch = np.float32(1)
    for _ in range(4):
        y = j - delta
        base = _cell(
            shape,
            m[0, 0] * i + m[0, 1] * y + m[0, 2] * k + m[0, 3],
            m[1, 0] * i + m[1, 1] * y + m[1, 2] * k + m[1, 3],
            m[2, 0] * i + m[2, 1] * y + m[2, 2] * k + m[2, 3],
            weights,
        )
        if base < 0 or readout_s == 0:
            break
        field = _channel(cells, base, corners, weights, FIELD)
        error = delta - np.float32(readout_s) * (field + offset_hz)
        slope = _channel(cells, base, corners, weights, FIELD_SLOPE)
        stretch = np.float32(1) + np.float32(readout_s) * slope
        if stretch < 0.1:
            return -1, np.float32(1), delta
        # Below this the point is not moved again, so that the weights stay those of the point.
        if abs(error) < 1e-3:
            break
        delta -= error / stretch
    return base, np.float32(1) / stretch, delta


@nb.njit(cache=True, fastmath=True, inline="always")
def _angle(y, x):
    """Return atan2 to 2e-5 rad, a hundredth of a stored step, several times faster."""
    ax, ay = abs(x), abs(y)
    largest = max(max(ax, ay), np.float32(1e-20))
    a = min(ax, ay) / largest
    s = a * a
    # Minimax polynomial of the arc tangent on 0..1 (Abramowitz and Stegun 4.4.49 family).
    r = np.float32(-0.01172120)
    r = r * s + np.float32(0.05265332)
    r = r * s - np.float32(0.11643287)
    r = r * s + np.float32(0.19354346)
    r = r * s - np.float32(0.33262347)
    r = (r * s + np.float32(0.99997726)) * a
    r = np.float32(0.5 * np.pi) - r if ay > ax else r
    r = np.float32(np.pi) - r if x < 0 else r
    return -r if y < 0 else r


@nb.njit(cache=True, fastmath=True)
def digitise(signal, noise, scale, magnitude, phase, signed):
    """Add noise to complex echoes and store magnitude and phase as a scanner does.

    Parameters
    ----------
    signal : (E, z, y, x) complex64
    noise : (2, E, z, y, x) float32
        Standard normal real and imaginary parts; changed by nothing.
    scale : (z, y, x) float32
        SD of the noise.
    magnitude, phase : (E, z, y, x) int16
        Results. Magnitude is clipped to 0..4095; phase is 0..4095 for -pi..pi, or
        -4096..4094 in steps of 2 when `signed`.
    signed : bool
    """
    n_echoes, nz, ny, nx = signal.shape
    step = np.float32(2048 / np.pi)
    for e in range(n_echoes):
        for k in range(nz):
            for j in range(ny):
                for i in range(nx):
                    re = signal[e, k, j, i].real + scale[k, j, i] * noise[0, e, k, j, i]
                    im = signal[e, k, j, i].imag + scale[k, j, i] * noise[1, e, k, j, i]
                    size = np.int32(math.sqrt(re * re + im * im) + np.float32(0.5))
                    magnitude[e, k, j, i] = min(size, np.int32(4095))
                    turns = _angle(im, re) * step + np.float32(2048.5)
                    code = np.int32(turns) & np.int32(4095)
                    phase[e, k, j, i] = 2 * code - 4096 if signed else code
