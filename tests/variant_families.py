"""Families of processing variants with known truth, made of time series and not of betas.

A session of voxels on a grid: images that repeat unequally or never, responses that differ between
voxels, thermal noise, and physiological noise that is shared by voxels and correlated in time.
Every variant is what a processing does to the same series; betas come from one ridge fit per run.
The truth of a variant is the median over the region of the correlation of its betas with the
noise-free responses, over all trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from mebold.singletrial import hrf

GRID = (12, 12, 6)
N_RUNS, N_VOLUMES, SPACING = 6, 156, 3
PER_RUN = 48
#: Families of which the variants differ in truth, and what counts as a tie of the truth.
NAMES = ("kept", "found", "lost", "smoothing", "leakage")
TIE = 0.02


@dataclass(frozen=True)
class Session:
    """Series (R, V, T) of two thermal noises, their design, and the true responses (V, N)."""

    clean: np.ndarray
    shared: np.ndarray
    thermal: np.ndarray
    labels: np.ndarray
    runs: np.ndarray
    truth: np.ndarray
    roi: np.ndarray
    fit: np.ndarray

    def betas(self, series):
        """Fit single trials of all runs, (V, N)."""
        return np.concatenate([run @ self.fit for run in series], axis=1)

    def correlation(self, betas):
        """Return the truth of a variant: the median over the region of the correlation."""
        a, b = (x[self.roi] - x[self.roi].mean(1, keepdims=True) for x in (betas, self.truth))
        if not b.any():
            return 0.0
        r = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        return float(np.median(r))


# Images shown twice, four times, eight times and once, and a session of eight times alone.
UNEQUAL = np.r_[np.full(48, 2), np.full(12, 4), np.full(6, 8), np.full(96, 1)]
OFTEN = np.full(36, 8)


def trial_list(rng, counts=UNEQUAL):
    """Draw image and run of every trial."""
    labels = np.repeat(np.arange(counts.size), counts)
    rng.shuffle(labels)
    return labels, np.repeat(np.arange(N_RUNS), PER_RUN)


def design():
    """Return the responses of the trials of one run, (T, 48), 1 s apart."""
    response = hrf.assumed(1.0, 2.0)
    x = np.zeros((N_VOLUMES, PER_RUN))
    for trial in range(PER_RUN):
        x[4 + SPACING * trial :, trial] = np.r_[response, np.zeros(N_VOLUMES)][
            : N_VOLUMES - 4 - SPACING * trial
        ]
    return x


def smooth(maps, sigma):
    """Smooth maps (..., V) over the grid, to unit variance."""
    shape = maps.shape[:-1]
    volumes = maps.reshape(*shape, *GRID)
    out = ndimage.gaussian_filter(volumes, (0,) * len(shape) + (sigma,) * 3, mode="wrap")
    out = out.reshape(*shape, -1)
    return out / out.std(-1, keepdims=True)


def simulate(
    seed,
    subject=None,
    *,
    strength=1.0,
    features=6,
    local=0.6,
    physiology=1.0,
    thermal=2.0,
    counts=UNEQUAL,
):
    """Simulate a session; strengths are standard deviations in percent.

    Sessions of one `subject` share voxels (gain, what they respond to, shared noise) and differ in
    images and noise; without, every seed is a subject of its own.
    """
    rng = np.random.default_rng(seed)
    voxels = np.random.default_rng((seed if subject is None else subject, 1))
    labels, runs = trial_list(rng, counts)
    n = int(np.prod(GRID))
    # The region is a slab; its responses share features and differ from voxel to voxel.
    roi = np.zeros(GRID, bool)
    roi[: round(0.4 * GRID[0])] = True
    roi = roi.ravel()
    gain = strength * roi * voxels.lognormal(0, 0.4, n)
    n_images = labels.max() + 1
    weights = smooth(voxels.standard_normal((features, n)), 1.0)
    common = rng.standard_normal((n_images, features)) @ weights / np.sqrt(features)
    own = rng.standard_normal((n_images, n))
    responses = gain * (1.5 + (1 - local) ** 0.5 * common + local**0.5 * own)
    truth = responses[labels].T
    x = design()
    drift = np.polynomial.legendre.legvander(np.linspace(-1, 1, N_VOLUMES), 3)
    residual = np.eye(N_VOLUMES) - drift @ np.linalg.pinv(drift)
    xr = residual @ x
    fit = residual @ xr @ np.linalg.inv(xr.T @ xr + 1.0 * np.eye(PER_RUN))
    clean = np.stack([truth[:, runs == run] @ x.T for run in range(N_RUNS)])
    maps = smooth(voxels.standard_normal((8, n)), 2.0)
    courses = rng.standard_normal((N_RUNS, 8, N_VOLUMES))
    courses = signal.lfilter([np.sqrt(1 - 0.85**2)], [1, -0.85], courses, axis=-1)
    shared = physiology * np.einsum("kv,rkt->rvt", maps, courses) / np.sqrt(8)
    noise = thermal * rng.standard_normal((2, N_RUNS, n, N_VOLUMES))
    return Session(clean, shared, noise, labels, runs, truth, roi, fit)


def denoised(series, level, edge):
    """Drop components of patches below a noise edge, as NORDIC does; `edge` scales it."""
    out = np.empty_like(series)
    for r, run in enumerate(series):
        volume = run.reshape(*GRID, -1)
        for x in range(0, GRID[0], 6):
            for y in range(0, GRID[1], 6):
                patch = volume[x : x + 6, y : y + 6].reshape(-1, run.shape[1])
                mean = patch.mean(1, keepdims=True)
                u, s, v = np.linalg.svd(patch - mean, full_matrices=False)
                threshold = edge * level * (np.sqrt(patch.shape[0]) + np.sqrt(patch.shape[1]))
                s[s < threshold] = 0
                kept = (u * s) @ v + mean
                out[r].reshape(*GRID, -1)[x : x + 6, y : y + 6] = kept.reshape(6, 6, GRID[2], -1)
    return out


def blurred(series, sigma):
    """Smooth every volume of the series."""
    volumes = series.reshape(len(series), *GRID, -1)
    out = ndimage.gaussian_filter(volumes, (0, sigma, sigma, sigma, 0), mode="nearest")
    return out.reshape(series.shape)


def leaking(series, roi, share, seed):
    """Add the mean of the strongest-varying voxels of the region to every voxel."""
    rng = np.random.default_rng(seed)
    sources = rng.choice(np.flatnonzero(roi), roi.sum() // 3, replace=False)
    mean = series[:, sources].mean(1, keepdims=True)
    spread = series.std() / mean.std()
    return series + share * spread * mean


def family(name, seed, subject=None):
    """Return a session and the series of its variants, the reference first; see `simulate`."""
    if name == "kept":
        one = simulate(seed, subject, strength=1.0)
        raw = one.clean + one.shared
        a, b = one.thermal
        return one, {
            "standardOptcom": raw + a,
            "less": raw + 0.75 * a,
            "least": raw + 0.5 * a,
            "more": raw + a + 0.75 * b,
        }
    if name in ("lost", "found"):
        # Weak responses of many voxels on their own; strong ones that voxels share.
        options = {"strength": 0.5, "local": 0.9} if name == "lost" else {
            "strength": 1.6, "local": 0.1, "features": 3}  # fmt: skip
        one = simulate(seed, subject, **options)
        series = one.clean + one.shared + one.thermal[0]
        edges = {"mild": 0.9, "full": 1.0, "strong": 1.2} if name == "lost" else {
            "mild": 0.9, "full": 1.0}  # fmt: skip
        return one, {"standardOptcom": series} | {
            k: denoised(series, 2.0, edge) for k, edge in edges.items()
        }
    if name == "smoothing":
        one = simulate(seed, subject, strength=1.0, local=0.9, physiology=0.7, thermal=1.0)
        series = one.clean + one.shared + one.thermal[0]
        return one, {"standardOptcom": series} | {
            k: blurred(series, s) for k, s in {"little": 0.8, "much": 1.6}.items()
        }
    if name == "steady":
        # Smoothing that steadies single trials more than it blurs responses; many repeats.
        options = {"thermal": 3.0, "physiology": 0.5, "local": 0.35, "counts": OFTEN}
        one = simulate(seed, subject, **options)
        series = one.clean + one.shared + one.thermal[0]
        return one, {"standardOptcom": series} | {
            k: blurred(series, s) for k, s in {"little": 0.5, "more": 0.9}.items()
        }
    if name == "leakage":
        one = simulate(seed, subject, strength=0.8, local=0.8)
        series = one.clean + one.shared + one.thermal[0]
        return one, {"standardOptcom": series} | {
            k: leaking(series, one.roi, s, seed if subject is None else subject)
            for k, s in {"some": 0.8, "much": 2.0}.items()
        }
    one = simulate(seed, subject, strength=0.0)
    series = one.clean + one.shared + one.thermal[0]
    return one, {"standardOptcom": series, "denoised": denoised(series, 2.0, 1.0),
                 "blurred": blurred(series, 1.2)}  # fmt: skip
