"""Split voxels into "no response" and "response" by a mixture of two normal distributions."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

MAX_VALUES = 1_000_000
GRID_POINTS = 500
MAX_ITERATIONS = 100
TOLERANCE = 1e-10


def mixture_threshold(values: np.ndarray, *, seed: int = 0) -> float:
    """Return the value above which the upper of two mixed normal distributions is likelier.

    Parameters
    ----------
    values : ndarray
        Variance explained in percent, any shape; non-finite values are ignored. Above one million
        values a random subset is used.
    seed : int
        Seed of that subset; nothing else is random.

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
    weights, means, deviations = fit_two_normals(finite)
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


def fit_two_normals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a mixture of two normal distributions by expectation maximisation.

    The start is the best split of the sorted values in two (k-means, solved exactly), so that no
    random number is needed.

    Parameters
    ----------
    values : ndarray, shape (n,), float64
        At least two distinct values.

    Returns
    -------
    weights, means, deviations : ndarray, each of shape (2,)
        Mixture weight, mean and standard deviation of either distribution.
    """
    upper = (values > _best_split(values)).astype(np.float64)
    previous = -np.inf
    for _ in range(MAX_ITERATIONS):
        weights, means, deviations = _moments(values, upper)
        log_odds, log_density = _log_odds(values, weights, means, deviations)
        upper = expit(log_odds)
        likelihood = float(np.mean(log_density))
        if abs(likelihood - previous) < TOLERANCE:
            break
        previous = likelihood
    return _moments(values, upper)


def _best_split(values: np.ndarray) -> float:
    """Return the largest value of the lower of two classes with least squares within."""
    ordered = np.sort(values)
    count = np.arange(1, ordered.size)
    # Least variance within is greatest variance between; centred sums keep digits.
    below = np.cumsum(ordered - ordered.mean())[:-1]
    between = below**2 / (count * (ordered.size - count) / ordered.size)
    between[ordered[1:] == ordered[:-1]] = -1
    return float(ordered[int(np.argmax(between))])


def _moments(values: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weight, mean and standard deviation of both classes from posteriors."""
    mass = np.array([values.size - upper.sum(), upper.sum()])
    mass = np.maximum(mass, np.finfo(float).tiny)
    total, upper_total = values.sum(), upper @ values
    means = np.array([total - upper_total, upper_total]) / mass
    squares = [(1 - upper) @ (values - means[0]) ** 2, upper @ (values - means[1]) ** 2]
    # A class of identical values has no width; the floor keeps its density finite.
    floor = 1e-9 * np.ptp(values)
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
