"""Bootstrap over images and over runs: seeded resamples and the intervals made from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mebold.compare_pairs import RepeatCells
from mebold.errors import ConfigError, DataError

METHODS = ("images", "runs")


@dataclass(frozen=True)
class Resamples:
    """Seeded draws shared by all variants of a session, so that differences are paired.

    Attributes
    ----------
    images : ndarray, (B, C), int16
        How often each repeated image is drawn in each resample.
    runs : ndarray, (B, R), int16 or None
        How often each run is drawn; None with a single run.
    seed : int
    """

    images: np.ndarray
    runs: np.ndarray | None
    seed: int

    @property
    def n(self) -> int:
        """Number of resamples."""
        return len(self.images)


def draw_resamples(cells: RepeatCells, *, n_resamples: int, seed: int) -> Resamples:
    """Draw images and runs with replacement.

    Parameters
    ----------
    cells : RepeatCells
        The repeats of the session.
    n_resamples : int
        Number of resamples, at least 20.
    seed : int
        Seed of the generator; equal seeds give equal draws.

    Returns
    -------
    Resamples
        Run draws without any pair of repeats are drawn again (a session of 3 runs gives the same
        run three times in one of 9 draws).

    Raises
    ------
    ConfigError
        For fewer than 20 resamples.
    """
    if n_resamples < 20:
        raise ConfigError(f"{n_resamples} bootstrap resamples; at least 20 are needed")
    image_seed, run_seed = np.random.SeedSequence(seed).spawn(2)
    images = _multinomial(np.random.default_rng(image_seed), cells.n_images, n_resamples)
    runs = None
    if cells.n_runs > 1:
        runs = _usable_runs(np.random.default_rng(run_seed), cells, n_resamples)
    return Resamples(images=images, runs=runs, seed=seed)


def _multinomial(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Count draws of n items with replacement, (size, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.int16)


def _usable_runs(rng: np.random.Generator, cells: RepeatCells, size: int) -> np.ndarray:
    """Draw runs until every resample holds a pair of repeats, from two runs if the data do."""
    cell = np.flatnonzero(cells.different_runs)
    if cell.size == 0:
        cell = np.arange(len(cells.pairs))
    first, second = cells.run_first[cell], cells.run_second[cell]
    draws = _multinomial(rng, cells.n_runs, size)
    for _ in range(1000):
        bad = ~((draws[:, first] > 0) & (draws[:, second] > 0)).any(1)
        if not bad.any():
            return draws
        draws[bad] = _multinomial(rng, cells.n_runs, int(bad.sum()))
    raise DataError(
        f"bootstrap over {cells.n_runs} runs: no draw of runs holds a repeated image; "
        "the repeats sit in too few runs"
    )


def interval(
    estimate: float, samples: np.ndarray, *, n_units: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return a centred percentile interval.

    The spread of the resamples about their own mean is placed around the estimate: metrics with a
    floor at 0 or with a standard deviation below the line are shifted in the resamples, which hold
    more noise than the data, and the plain percentile interval inherits that shift. The spread is
    widened by sqrt(n / (n - 1)), which matters with few runs.

    Parameters
    ----------
    estimate : float
        Value in the data.
    samples : ndarray, (B,)
        Values in the resamples; non-finite ones are left out.
    n_units : int
        Number of resampled units (images or runs).
    confidence : float
        Level of the interval.

    Returns
    -------
    low, high : float
        NaN when fewer than 20 resamples are finite or there is one unit only.
    """
    samples = np.asarray(samples, float)
    samples = samples[np.isfinite(samples)]
    if samples.size < 20 or n_units < 2 or not np.isfinite(estimate):
        return float("nan"), float("nan")
    tail = 50 * (1 - confidence)
    deviation = np.percentile(samples, [tail, 100 - tail]) - samples.mean()
    low, high = estimate + deviation * np.sqrt(n_units / (n_units - 1))
    return float(low), float(high)
