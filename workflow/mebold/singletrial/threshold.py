"""Split voxels into "no response" and "response" by a mixture of two normal distributions."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

MAX_VALUES = 1_000_000
GRID_POINTS = 500
MAX_ITERATIONS = 100
TOLERANCE = 1e-10
STARTS = 3
SPLIT_ITERATIONS = 300
SPLIT_TOLERANCE = 1e-4


def mixture_threshold(values: np.ndarray, *, seed: int = 0) -> float:
    """Return the value above which the upper of two mixed normal distributions is likelier.

    Parameters
    ----------
    values : ndarray
        Variance explained in percent, any shape; non-finite values are ignored. Above one million
        values a random subset is used.
    seed : int
        Seed of that subset and of the starts of the mixture.

    Returns
    -------
    float
        Threshold in the unit of `values`, quantised to 1/499 of their robust range. Fewer than
        two distinct finite values give the largest of them (or 0), so that nothing lies above.

    References
    ----------
    GLMsingle 1.2, commit 1ab54a6: its rule for brainR2 and pcR2cutoff.
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size > MAX_VALUES:
        finite = np.random.default_rng(seed).choice(finite, MAX_VALUES, replace=False)
    if finite.size == 0 or finite.min() == finite.max():
        return float(finite[0]) if finite.size else 0.0
    weights, means, deviations = fit_two_normals(finite, seed=seed)
    low, high = robust_range(finite)
    grid = np.linspace(min(low, means.min()), max(high, means.max()), GRID_POINTS)
    tail = expit(_log_odds(grid, weights, means, deviations)[0])
    if tail[-1] < 0.5:
        tail = 1 - tail
    below = np.flatnonzero(tail <= 0.5)
    return float(grid[below[-1]] if below.size else grid[0])


def robust_range(values: np.ndarray) -> tuple[float, float]:
    """Return a range that ignores outliers.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite values.

    Returns
    -------
    low, high : float
        Extremes of the values if no outlier exists, else the 0.1 and 99.9 percentiles of what
        remains when values far beyond the 10th and 90th percentiles are dropped.
    """
    while True:
        low, tenth, median, ninetieth, high = np.percentile(values, [0.1, 10, 50, 90, 99.9])
        lower_fence = median - 5 * (median - tenth)
        upper_fence = median + 5 * (ninetieth - median)
        kept = values[(values >= lower_fence) & (values <= upper_fence)]
        if kept.size == values.size or kept.size == 0:
            break
        values = kept
    if values.min() >= median - 1.1 * (median - low):
        low = values.min()
    if values.max() <= median + 1.1 * (high - median):
        high = values.max()
    return float(low), float(high)


def fit_two_normals(
    values: np.ndarray, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a mixture of two normal distributions by expectation maximisation.

    The iterations are limited, so where they end can depend on where they begin. As in the
    reference, the likeliest of three ends is taken, and the starts are those that
    ``GaussianMixture`` of scikit-learn draws from `seed`.

    Parameters
    ----------
    values : ndarray, shape (n,), float64
        At least two distinct values.
    seed : int

    Returns
    -------
    weights, means, deviations : ndarray, each of shape (2,)
        Mixture weight, mean and standard deviation of either distribution.
    """
    random = np.random.RandomState(seed)
    splits = dict.fromkeys(_kmeans_split(values, random) for _ in range(STARTS))
    ends = [_maximise(values, values > split) for split in splits]
    return max(ends, key=lambda end: end[0])[1]


def _maximise(values: np.ndarray, above: np.ndarray) -> tuple[float, tuple]:
    """Return mean log likelihood and moments of the mixture that begins with a split."""
    upper = above.astype(np.float64)
    previous = -np.inf
    for _ in range(MAX_ITERATIONS):
        log_odds, log_density = _log_odds(values, *_moments(values, upper))
        upper = expit(log_odds)
        likelihood = float(np.mean(log_density))
        if abs(likelihood - previous) < TOLERANCE:
            break
        previous = likelihood
    return likelihood, _moments(values, upper)


def _kmeans_split(values: np.ndarray, random: np.random.RandomState) -> float:
    """Return the largest value of the lower of two classes, by k-means from k-means++ centres."""
    first = values[random.choice(values.size, p=np.full(values.size, 1 / values.size))]
    distance = (values - first) ** 2
    drawn = np.searchsorted(np.cumsum(distance), random.uniform(size=2) * distance.sum())
    seconds = values[np.minimum(drawn, values.size - 1)]
    rest = [np.minimum(distance, (values - second) ** 2).sum() for second in seconds]
    centres = np.sort([first, seconds[int(np.argmin(rest))]])
    above = values > centres.mean()
    for _ in range(SPLIT_ITERATIONS):
        moved = np.array([values[~above].mean(), values[above].mean()])
        before, above = above, values > moved.mean()
        shift = np.sum((moved - centres) ** 2)
        centres = moved
        if np.array_equal(above, before) or shift <= SPLIT_TOLERANCE * values.var():
            break
    return float(values[~above].max())


def _moments(values: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weight, mean and standard deviation of both classes from posteriors."""
    # Not quite 0: a class of one value gets a tiny width, as in scikit-learn.
    mass = np.array([values.size - upper.sum(), upper.sum()]) + 10 * np.finfo(float).eps
    total, upper_total = values.sum(), upper @ values
    means = np.array([total - upper_total, upper_total]) / mass
    squares = [(1 - upper) @ (values - means[0]) ** 2, upper @ (values - means[1]) ** 2]
    floor = np.finfo(float).eps * np.ptp(values)
    return mass / values.size, means, np.maximum(np.sqrt(squares / mass), floor)


def _log_odds(
    values: np.ndarray, weights: np.ndarray, means: np.ndarray, deviations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log odds of the upper class and the log density of the mixture."""
    lower, upper = (
        np.log(weights[k] / deviations[k]) - 0.5 * ((values - means[k]) / deviations[k]) ** 2
        for k in (0, 1)
    )
    density = np.logaddexp(lower, upper) - 0.5 * np.log(2 * np.pi)
    return upper - lower, density
