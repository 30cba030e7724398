"""Bootstrap over images and over runs: seeded weights and the intervals made from them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mebold.errors import ConfigError
from mebold.noiseceiling.cells import RepeatCells, cell_weights, noise_ceiling_percent

METHODS = ("images", "runs")

# Variance of the weights. Drawing units with replacement has 1 and adds as much noise to each voxel
# as the data hold, which pulls d-prime far below its value; 1/4 adds a quarter of it.
WEIGHT_VARIANCE = 0.25

# With two runs every pair of repeats across runs has the same weight, and nothing varies.
MIN_UNITS = 3


@dataclass(frozen=True)
class Resamples:
    """Seeded weights shared by all variants of a session, so that differences are paired.

    Attributes
    ----------
    images : (B, I) float32 array or None
        Weight of every image of the session in each resample; None below three images.
    runs : (B, R) float32 array or None
        Weight of every run; None below three runs.
    seed : int
    n : int
        Number of resamples.
    """

    images: np.ndarray | None
    runs: np.ndarray | None
    seed: int
    n: int


def draw_resamples(cells: RepeatCells, *, n_resamples: int, seed: int) -> Resamples:
    """Draw random weights of images and of runs (fractional-weight bootstrap).

    Instead of drawing whole units with replacement, every unit gets a random weight; in each
    resample the weights have mean 1 and variance 1/4. No resample of a few runs is left without
    repeats, all carry the same amount of noise, and :func:`interval` scales the spread back.

    Parameters
    ----------
    cells : RepeatCells
        The repeats of the session.
    n_resamples : int
        Number of resamples, at least 20.
    seed : int
        Equal seeds give equal weights.

    Returns
    -------
    Resamples

    Raises
    ------
    ConfigError
        For fewer than 20 resamples.

    References
    ----------
    Praestgaard and Wellner 1993, Annals of Probability 21 (exchangeably weighted bootstraps).
    """
    if n_resamples < 20:
        raise ConfigError(f"{n_resamples} bootstrap resamples; at least 20 are needed")
    seeds = np.random.SeedSequence(seed).spawn(2)
    sizes = (int(cells.trial_image.max()) + 1, cells.n_runs)
    images, runs = (
        _weights(np.random.default_rng(s), n_resamples, n) if n >= MIN_UNITS else None
        for s, n in zip(seeds, sizes, strict=True)
    )
    return Resamples(images=images, runs=runs, seed=seed, n=n_resamples)


def _weights(rng: np.random.Generator, n_resamples: int, n: int) -> np.ndarray:
    """Draw normal weights and bring each row to mean 1 and the fixed variance, (B, n)."""
    deviation = rng.standard_normal((n_resamples, n))
    deviation -= deviation.mean(1, keepdims=True)
    deviation /= deviation.std(1, keepdims=True)
    return (1 + np.sqrt(WEIGHT_VARIANCE) * deviation).astype(np.float32)


def interval(
    estimate: float, samples: np.ndarray, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return a bootstrap interval around an estimate.

    The standard error is the standard deviation of the resamples over the root of the variance of
    their weights, the interval the estimate plus and minus its normal quantile. Percentiles are not
    used: metrics with a floor at 0 are shifted in resamples, which hold more noise than the data.

    Parameters
    ----------
    estimate : float
        Value in the data.
    samples : (B,) array
        Values in the resamples; non-finite ones are left out.
    confidence : float
        Level of the interval.

    Returns
    -------
    low, high : float
        NaN when fewer than 20 resamples are finite.
    """
    samples = np.asarray(samples, float)
    samples = samples[np.isfinite(samples)]
    if samples.size < 20 or not np.isfinite(estimate):
        return float("nan"), float("nan")
    half = NormalDist().inv_cdf((1 + confidence) / 2) * standard_error(samples)
    return float(estimate - half), float(estimate + half)


def standard_error(samples: np.ndarray) -> float:
    """Return the bootstrap standard error from values in the resamples."""
    return float(np.std(samples, ddof=1) / np.sqrt(WEIGHT_VARIANCE))


class CeilingResamples:
    """Noise ceilings of the data or all resamples, collected over chunks of voxels.

    Parameters
    ----------
    n_inside : int
        Voxels in the ROI.
    plan : tuple
        One entry of :func:`weight_plans`.
    """

    def __init__(self, n_inside: int, plan: tuple[np.ndarray, np.ndarray, bool]) -> None:
        self.weights, self.inverse, self.wants_outside = plan
        n = len(self.weights)
        self.inside = np.zeros((n, n_inside), np.float32)
        self.filled = 0
        self.sums = np.zeros((3, n))

    def add(self, sums: np.ndarray, usable: np.ndarray, in_roi: np.ndarray) -> None:
        """Add a chunk: cell sums (v, K), usable voxels and ROI membership."""
        keep = np.ones(len(sums), bool) if self.wants_outside else in_roi
        ceiling = noise_ceiling_percent(
            self.weights @ sums[keep].T, self.inverse[:, None].astype(np.float32)
        )
        ceiling[:, ~usable[keep]] = 0
        new = ceiling[:, in_roi[keep]]
        self.inside[:, self.filled : self.filled + new.shape[1]] = new
        self.filled += new.shape[1]
        if self.wants_outside:
            rest = ceiling[:, ~in_roi]
            self.sums[0] += rest.shape[1]
            self.sums[1] += rest.sum(1, dtype=np.float64)
            self.sums[2] += np.einsum("bv,bv->b", rest, rest, dtype=np.float64)

    def median(self) -> np.ndarray:
        """Median over the ROI for every row."""
        return np.median(self.inside, axis=1).astype(float)

    def dprime(self) -> np.ndarray:
        """d-prime of ROI against rest for every row."""
        n, total, square = self.sums
        mean_out = total / n
        var_out = np.maximum(square - n * mean_out**2, 0) / (n - 1)
        mean_in = self.inside.mean(1, dtype=np.float64)
        var_in = self.inside.var(1, ddof=1, dtype=np.float64)
        pooled = np.sqrt((var_in + var_out) / 2)
        return np.where(pooled > 0, (mean_in - mean_out) / np.where(pooled > 0, pooled, 1), 0)


def weight_plans(cells: RepeatCells, resamples: Resamples) -> dict:
    """List the weight matrices of the data and of both bootstraps.

    Parameters
    ----------
    cells : RepeatCells
    resamples : Resamples

    Returns
    -------
    dict
        (``"estimate"``, ``"images"`` or ``"runs"``; different runs only?) -> (weights (B, K),
        mean 1 / n (B,), whether voxels outside the ROI are needed). Under resampled runs the mean
        of 1 / n stays that of the data: the number of repeats belongs to the design.
    """
    plans = {}
    for different in (False, True):
        if different and not cells.different_runs.any():
            continue
        only = {"different_runs_only": different}
        estimate, inverse = cell_weights(cells, **only)
        plans["estimate", different] = (estimate, inverse, not different)
        if resamples.images is not None:
            images = cell_weights(cells, images=resamples.images, **only)
            plans["images", different] = (*images, not different)
        if resamples.runs is not None:
            weights, _ = cell_weights(cells, runs=resamples.runs, **only)
            plans["runs", different] = (
                weights,
                np.repeat(inverse, resamples.n),
                not different,
            )
    return plans
