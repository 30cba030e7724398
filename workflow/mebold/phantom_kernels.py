"""Compiled inner loops of the simulator: head to complex echoes, complex echoes to integers."""

import math

import numba as nb
import numpy as np

# Channels of the component array that come before the fluctuation patterns.
S0, R2STAR, FIELD, FIELD_SLOPE = 0, 1, 2, 3
N_FIXED = 4


@nb.njit(cache=True, fastmath=True)
def _gather(components, x, y, z, values):
    """Interpolate all channels linearly; False when the point lies outside the grid."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    nx, ny, nz, n = components.shape
    if i < 0 or j < 0 or k < 0 or i >= nx - 1 or j >= ny - 1 or k >= nz - 1:
        return False
    a, b, c = np.float32(x - i), np.float32(y - j), np.float32(z - k)
    one = np.float32(1)
    for m in range(n):
        low = (one - b) * (
            (one - c) * components[i, j, k, m] + c * components[i, j, k + 1, m]
        ) + b * ((one - c) * components[i, j + 1, k, m] + c * components[i, j + 1, k + 1, m])
        high = (one - b) * (
            (one - c) * components[i + 1, j, k, m] + c * components[i + 1, j, k + 1, m]
        ) + b * (
            (one - c) * components[i + 1, j + 1, k, m] + c * components[i + 1, j + 1, k + 1, m]
        )
        values[m] = low + a * (high - low)
    return True


@nb.njit(cache=True, fastmath=True)
def _field(components, x, y, z):
    """Interpolate the field and its slope linearly; zeros outside the grid."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    nx, ny, nz, _ = components.shape
    if i < 0 or j < 0 or k < 0 or i >= nx - 1 or j >= ny - 1 or k >= nz - 1:
        return np.float32(0), np.float32(0)
    field = np.float32(0)
    slope = np.float32(0)
    for p in range(2):
        u = x - i if p else 1 - (x - i)
        for q in range(2):
            v = y - j if q else 1 - (y - j)
            for r in range(2):
                w = np.float32(u * v * (z - k if r else 1 - (z - k)))
                field += w * components[i + p, j + q, k + r, FIELD]
                slope += w * components[i + p, j + q, k + r, FIELD_SLOPE]
    return field, slope


@nb.njit(cache=True, fastmath=True)
def _bold(voxel_of, series, x, y, z):
    """Interpolate percent signal change, which is given in the truth voxels only."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    total = 0.0
    for p in range(2):
        u = x - i if p else 1 - (x - i)
        for q in range(2):
            v = y - j if q else 1 - (y - j)
            for r in range(2):
                voxel = voxel_of[i + p, j + q, k + r]
                if voxel >= 0:
                    total += u * v * (z - k if r else 1 - (z - k)) * series[voxel]
    return total


@nb.njit(cache=True, fastmath=True)
def _along(profile, position):
    """Interpolate a line of values linearly, the end values beyond its ends."""
    n = len(profile)
    position = min(max(position, 0.0), n - 1.001)
    j = int(position)
    w = np.float32(position - j)
    return profile[j] + w * (profile[j + 1] - profile[j])


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
    components : (X, Y, Z, 4 + K) float32
        S0, R2* (1/s), field (Hz), slope of the field (Hz per voxel along the second axis of
        the acquisition) and K fluctuation patterns on the head grid.
    voxel_of : (X, Y, Z) int32
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
    n_patterns = components.shape[3] - 4
    values = np.empty(components.shape[3], dtype=np.float32)
    for k in range(nz):
        m = matrices[k]
        for i in range(nx):
            for j in range(ny):
                ok, jacobian, delta = _undistort(
                    components, m, i, j, k, readout_s, offsets_hz[k], shift[k, j, i]
                )
                shift[k, j, i] = delta
                y = j - delta
                ok = ok and _gather(
                    components,
                    m[0, 0] * i + m[0, 1] * y + m[0, 2] * k + m[0, 3],
                    m[1, 0] * i + m[1, 1] * y + m[1, 2] * k + m[1, 3],
                    m[2, 0] * i + m[2, 1] * y + m[2, 2] * k + m[2, 3],
                    values,
                )
                if not ok or values[S0] < 1e-3:
                    for e in range(len(echo_times)):
                        out[e, k, j, i] = 0
                    continue
                log_s0 = np.float32(0)
                rate = values[R2STAR]
                for p in range(n_patterns):
                    log_s0 += weights_s0[k, p] * values[4 + p]
                    rate += weights_r2[k, p] * values[4 + p]
                if series.shape[1]:
                    percent = _bold(
                        voxel_of,
                        series[k % series.shape[0]],
                        m[0, 0] * i + m[0, 1] * y + m[0, 2] * k + m[0, 3],
                        m[1, 0] * i + m[1, 1] * y + m[1, 2] * k + m[1, 3],
                        m[2, 0] * i + m[2, 1] * y + m[2, 2] * k + m[2, 3],
                    )
                    rate -= np.float32(math.log1p(0.01 * percent) / bold_te)
                strength = values[S0] * jacobian * _along(bias[k, :, i], y) * math.exp(log_s0)
                base_phase = _along(coil_phase[k, :, i], y)
                omega = 2 * math.pi * (values[FIELD] + offsets_hz[k])
                for e in range(len(echo_times)):
                    te = echo_times[e]
                    magnitude = strength * math.exp(-te * rate)
                    phase = base_phase + omega * te
                    out[e, k, j, i] = complex(
                        magnitude * math.cos(phase), magnitude * math.sin(phase)
                    )


@nb.njit(cache=True, fastmath=True)
def _undistort(components, m, i, j, k, readout_s, offset_hz, delta):
    """Find the displacement delta = readout * field(j - delta) by Newton's method."""
    if readout_s == 0.0:
        return True, np.float32(1), np.float32(0)
    slope = np.float32(0)
    for _ in range(3):
        y = j - delta
        field, slope = _field(
            components,
            m[0, 0] * i + m[0, 1] * y + m[0, 2] * k + m[0, 3],
            m[1, 0] * i + m[1, 1] * y + m[1, 2] * k + m[1, 3],
            m[2, 0] * i + m[2, 1] * y + m[2, 2] * k + m[2, 3],
        )
        error = delta - readout_s * (field + offset_hz)
        stretch = 1 + readout_s * slope
        if stretch < 0.1:
            return False, np.float32(1), np.float32(delta)
        delta -= error / stretch
        if abs(error) < 1e-3:
            break
    return True, np.float32(1 / (1 + readout_s * slope)), np.float32(delta)


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
    for e in range(n_echoes):
        for k in range(nz):
            for j in range(ny):
                for i in range(nx):
                    re = signal[e, k, j, i].real + scale[k, j, i] * noise[0, e, k, j, i]
                    im = signal[e, k, j, i].imag + scale[k, j, i] * noise[1, e, k, j, i]
                    size = math.sqrt(re * re + im * im) + np.float32(0.5)
                    magnitude[e, k, j, i] = min(int(size), 4095)
                    angle = math.atan2(im, re)
                    code = math.floor((angle + math.pi) * (2048 / math.pi) + 0.5) & 4095
                    phase[e, k, j, i] = 2 * code - 4096 if signed else code
