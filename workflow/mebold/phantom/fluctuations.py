"""What fluctuates in a run besides the responses: drift, breathing, heart beat, rest."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.phantom.anatomy import smooth_noise
from mebold.phantom.spec import PhantomSpec

_N_RESTING = 4
_PATTERNS = (
    "drift_a",
    "drift_b",
    "respiratory",
    "cardiac",
    *tuple(f"resting_{i}" for i in range(_N_RESTING)),
)


def fluctuation_patterns(
    spec: PhantomSpec,
    rng: np.random.Generator,
    tissue: dict[str, np.ndarray],
    offset: np.ndarray,
) -> np.ndarray:
    """Return where each fluctuation of `_PATTERNS` acts, about 1 where it is strong."""
    shape = tissue["gm"].shape
    smooth = [smooth_noise(rng, shape, 50 / spec.head_mm) for _ in range(3)]
    radius = np.linalg.norm(offset, axis=1).reshape(shape) / 80
    maps = [smooth[0], smooth[1], radius**2 + 0.2 * smooth[2]]
    maps.append(np.clip(tissue["csf"] + 0.25 * (radius < 0.5), 0, 1))
    for _ in range(_N_RESTING):
        network = smooth_noise(rng, shape, 35 / spec.head_mm)
        maps.append(np.clip(network, 0, 2) * (tissue["gm"] + 0.2 * tissue["wm"]))
    return np.stack(maps, axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Fluctuations:
    """Time courses of the fluctuation patterns at given times.

    Attributes
    ----------
    log_s0, r2star : (..., K) float32 arrays
        Change of log S0 and of R2* (1/s).
    offset_hz : (...) float32 array
        Uniform change of the field.
    """

    log_s0: np.ndarray
    r2star: np.ndarray
    offset_hz: np.ndarray


def make_fluctuations(
    spec: PhantomSpec, rng: np.random.Generator, times_s: np.ndarray
) -> Fluctuations:
    """Draw drift, respiration, heart beat and resting activity of a run.

    Parameters
    ----------
    spec : PhantomSpec
        SDs in percent at echo 2.
    rng : numpy.random.Generator
    times_s : (...) array
        Seconds after the start of volume 0.

    Returns
    -------
    Fluctuations
    """
    shape, times = times_s.shape, times_s.ravel()
    bold_te = spec.bold_te_s
    log_s0 = np.zeros((len(times), len(_PATTERNS)))
    r2star = np.zeros_like(log_s0)
    phase = (times - times.min()) / max(np.ptp(times), 1e-9)
    for pattern in (0, 1):
        course = sum(
            rng.standard_normal() / (f + 1) * np.cos(np.pi * (f + 1) * phase + rng.uniform(0, 6))
            for f in range(4)
        )
        log_s0[:, pattern] = spec.drift_percent / 100 * (course - course[0])
    breath = np.sin(_wandering_phase(rng, times, 0.27))
    log_s0[:, 2] = np.sqrt(2) * spec.respiratory_percent / 100 * breath
    heart = np.sin(_wandering_phase(rng, times, 1.05))
    log_s0[:, 3] = spec.cardiac_percent / 100 * heart
    r2star[:, 3] = -spec.cardiac_percent / 100 / bold_te * heart
    for pattern in range(4, len(_PATTERNS)):
        course = _slow_noise(rng, times)
        r2star[:, pattern] = -spec.resting_percent / 100 / bold_te * course
    offset = spec.field_offset_hz * (_slow_noise(rng, times, 60.0) + 0.3 * breath)
    return Fluctuations(
        log_s0.reshape(*shape, -1).astype(np.float32),
        r2star.reshape(*shape, -1).astype(np.float32),
        offset.reshape(shape).astype(np.float32),
    )


def _wandering_phase(rng: np.random.Generator, times: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the phase of an oscillation whose rate varies by some percent."""
    return 2 * np.pi * rate_hz * (times + 1.0 * _slow_noise(rng, times, 15.0)) + rng.uniform(0, 6)


def _slow_noise(rng: np.random.Generator, times: np.ndarray, width_s: float = 8.0) -> np.ndarray:
    """Return a smooth random time course of SD 1; `width_s` is the FWHM of its kernel."""
    step = 0.5
    grid = np.arange(times.min(), times.max() + 2 * step, step)
    course = rng.standard_normal(len(grid))
    course = ndimage.gaussian_filter1d(course, width_s / 2.3548 / step, mode="wrap")
    course = (course - course.mean()) / max(course.std(), 1e-9)
    return np.interp(times, grid, course)
