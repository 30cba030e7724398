"""A run of a head that responds, for what NORDIC keeps of it: all truth known, much else going on.

Nothing of the estimators is used. Besides thermal noise of uneven level there can be slow drifts,
breathing and heart beat with patterns of their own, fluctuations of each voxel that are
correlated in time, and noise that is correlated between voxels (images interpolated in k-space).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, special

HEAD = (24, 26, 18)


class Run(NamedTuple):
    """A simulated run.

    ``magnitude`` and ``phase`` (x, y, z, t; phase None where it was not asked for); ``regressors``
    (trials, t); ``responding`` (x, y, z) bool; ``shared`` and ``images`` (voxels, t), the true
    responses of the responding voxels, without their means over time; ``signal`` (x, y, z), the
    mean signal.
    """

    magnitude: np.ndarray
    phase: np.ndarray | None
    regressors: np.ndarray
    responding: np.ndarray
    shared: np.ndarray
    images: np.ndarray
    signal: np.ndarray


def regressors(n: int, *, tr: float, every_s: float, blanks: float, rng) -> np.ndarray:
    """Responses (trials, n) to trials every so many seconds, a share of them blanks; peak 1."""
    onsets = np.arange(2.0, n * tr - 8.0, every_s)
    onsets = onsets[rng.random(len(onsets)) >= blanks]
    time = np.arange(n) * tr - onsets[:, None]
    after = np.maximum(time, 0)
    shape = after**5 * np.exp(-after) / special.gamma(6)
    shape -= after**11 * np.exp(-after) / special.gamma(12) / 4
    return shape / 0.172


def _anatomy(shape, rng) -> tuple[np.ndarray, np.ndarray]:
    """Mean signal, 0 in air, and the points of the grid from -1 to 1."""
    points = np.stack(np.meshgrid(*(np.linspace(-1, 1, k) for k in shape), indexing="ij"))
    x, y, z = points
    inside = (x / 0.9) ** 2 + (y / 0.92) ** 2 + (z / 1.2) ** 2 < 1
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2)
    return inside * (0.8 + 0.15 * np.sin(4 * x * y + 2 * z) + 0.8 * texture), points


def _structure(n: int, tr: float, points, rng) -> np.ndarray:
    """Drifts, breathing and heart beat (x, y, z, t), relative to the signal."""
    x, y, z = points
    time = np.arange(n) * tr
    total = np.zeros((*x.shape, n))
    for power, pattern in ((1, np.cos(2 * x + y)), (2, np.sin(2 * z - x)), (3, np.cos(3 * y))):
        total += 0.01 * pattern[..., None] * np.linspace(-1, 1, n) ** power
    for hertz, size, pattern in ((0.27, 0.012, np.exp(2 * (z - 1))), (1.1, 0.01, np.cos(5 * x))):
        wander = np.cumsum(rng.standard_normal(n)) * 0.15
        total += size * pattern[..., None] * np.sin(2 * np.pi * hertz * time + wander)
    return total


def _thermal(shape, n, spread_voxels, rng) -> np.ndarray:
    """Complex noise (x, y, z, t) of unit variance per channel."""
    noise = rng.standard_normal((*shape, n)) + 1j * rng.standard_normal((*shape, n))
    if spread_voxels:
        noise = ndimage.gaussian_filter(noise, (spread_voxels, spread_voxels, 0, 0), mode="wrap")
        noise /= noise.real.std()
    return noise


def make(
    *,
    n: int = 120,
    snr: float = 40,
    percent: float = 1.0,
    images_percent: float = 0.0,
    dimensions: int | None = None,
    share: float = 0.15,
    blob: bool = False,
    with_phase: bool = True,
    structure: bool = False,
    own_fluctuation: float = 0.0,
    noise_spread: float = 0.0,
    tr: float = 1.6,
    every_s: float = 4.0,
    blanks: float = 0.3,
    shape: tuple = HEAD,
    seed: int = 0,
) -> Run:
    """Simulate a run.

    Parameters
    ----------
    n : int
        Volumes.
    snr : float
        Mean signal over noise per channel in the middle of the head.
    percent, images_percent : float
        Response that all trials share, and standard deviation of what differs between them.
    dimensions : int or None
        Of what differs; None makes it independent between voxels.
    share : float
        Of the voxels that respond, drawn at random; with `blob` they all lie in one ball.
    structure : bool
        Drifts, breathing, heart beat.
    own_fluctuation : float
        Share of the signal by which each voxel fluctuates by itself, correlated in time (0.6).
    noise_spread : float
        Width (voxels, in plane) over which the noise is correlated.
    """
    rng = np.random.default_rng(seed)
    signal, points = _anatomy(shape, rng)
    inside = signal > 0
    level = 1 + 0.6 * np.exp(-np.sum(points**2, axis=0) / 0.5)
    gain = snr * level[tuple(k // 2 for k in shape)] / np.median(signal[inside])
    signal = np.maximum(signal, 0) * gain
    if blob:
        order = np.sum((points - 0.2) ** 2, axis=0)
        responding = inside & (order <= np.quantile(order[inside], share))
    else:
        responding = inside & (rng.random(shape) < share)
    rows = regressors(n, tr=tr, every_s=every_s, blanks=blanks, rng=rng)
    place = signal[responding][:, None]
    shared = place * percent / 100 * rows.sum(axis=0)
    if dimensions is None:
        deviation = rng.standard_normal((len(place), len(rows)))
    else:
        scores = rng.standard_normal((dimensions, len(rows)))
        deviation = rng.standard_normal((len(place), dimensions)) @ scores / np.sqrt(dimensions)
    deviation *= images_percent / 100
    images = place * ((deviation - deviation.mean(axis=1, keepdims=True)) @ rows)
    series = np.repeat(signal[..., None], n, axis=-1)
    series[responding] += shared + images
    if structure:
        series += signal[..., None] * _structure(n, tr, points, rng)
    if own_fluctuation:
        white = rng.standard_normal((*shape, n + 20))
        for t in range(1, n + 20):
            white[..., t] = 0.6 * white[..., t - 1] + 0.8 * white[..., t]
        series += signal[..., None] * own_fluctuation * white[..., 20:]
    x, y, z = points
    angle = 2.0 * x * y + 0.8 * z
    drift = 0.4 * np.sin(0.05 * np.arange(n)) + 0.15 * x[..., None] * np.sin(0.03 * np.arange(n))
    data = series * np.exp(1j * (angle[..., None] + drift))
    data = data + level[..., None] * _thermal(shape, n, noise_spread, rng)
    return Run(
        np.abs(data).astype(np.float32),
        np.angle(data).astype(np.float32) if with_phase else None,
        rows,
        responding,
        shared - shared.mean(axis=1, keepdims=True),
        images - images.mean(axis=1, keepdims=True),
        signal,
    )


def share_of(truth: np.ndarray, found: np.ndarray) -> float:
    """Slope of what was found on the truth, both (voxels, t)."""
    found = found - found.mean(axis=1, keepdims=True)
    return float(np.sum(truth * found) / np.sum(truth**2))


def realised_sd(run: Run, energy: float) -> float:
    """Standard deviation (percent) of what differs between trials, as it turned out over time.

    Few trials along one dimension can have much more or less of it than was asked for; `energy` is
    what one unit is expected to have.
    """
    power = np.sum(run.signal[run.responding] ** 2)
    return float(100 * np.sqrt(np.sum(run.images**2) / power / energy))
