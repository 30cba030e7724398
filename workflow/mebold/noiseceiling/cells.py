"""Noise variance from pairs of repeats: one matrix product per set of resamples.

For one image shown n times, the unbiased variance over its presentations equals the mean over all
pairs of presentations of half their squared difference. Sums of those terms, one per image and
pair of runs (a *cell*), are all that the noise ceiling needs; resampling images or runs then only
changes the weights of the cells, and a thousand resamples are one product of matrices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mebold.errors import DataError


@dataclass(frozen=True)
class RepeatCells:
    """The repeats of a session, arranged by image and pair of runs.

    Attributes
    ----------
    trials : ndarray, (M,), int
        Trials of repeated images, ordered by image, then run.
    starts : ndarray, (G,), int
        First position in ``trials`` of each group (one image in one run).
    size : ndarray, (G,), int
        Presentations in each group.
    group_image : ndarray, (G,), int
        Image of each group, 0..C-1.
    first, second : ndarray, (K,), int
        The two groups of every cell; equal for pairs inside one run.
    image : ndarray, (K,), int
        Image of the cell, 0..C-1.
    run_first, run_second : ndarray, (K,), int
        Run positions (0..R-1) of the two groups.
    pairs : ndarray, (K,), int
        Pairs of presentations in the cell.
    repeats : ndarray, (C,), int
        Presentations of each repeated image.
    repeated : ndarray, (C,), int
        Position of each repeated image among all images of the session.
    trial_image : ndarray, (N,), int
        Image of every trial, repeated or not, 0..I-1.
    run_names : ndarray, (R,)
        Names of the runs, sorted.
    """

    trials: np.ndarray
    starts: np.ndarray
    size: np.ndarray
    group_image: np.ndarray
    first: np.ndarray
    second: np.ndarray
    image: np.ndarray
    run_first: np.ndarray
    run_second: np.ndarray
    pairs: np.ndarray
    repeats: np.ndarray
    repeated: np.ndarray
    trial_image: np.ndarray
    run_names: np.ndarray

    @property
    def n_images(self) -> int:
        """Number of repeated images."""
        return len(self.repeats)

    @property
    def n_runs(self) -> int:
        """Number of runs in the session."""
        return len(self.run_names)

    @property
    def different_runs(self) -> np.ndarray:
        """True for the cells whose pairs come from two runs, (K,)."""
        return self.run_first != self.run_second


def repeat_cells(labels: np.ndarray, runs: np.ndarray, *, min_repeats: int = 2) -> RepeatCells:
    """Arrange the trials of a session by repeated image and pair of runs.

    Parameters
    ----------
    labels : array_like, (N,)
        Image shown in each trial.
    runs : array_like, (N,)
        Run of each trial.
    min_repeats : int
        Images shown less often are left out.

    Returns
    -------
    RepeatCells

    Raises
    ------
    DataError
        When no image is shown often enough.
    """
    labels, runs = np.asarray(labels), np.asarray(runs)
    if labels.shape != runs.shape or labels.ndim != 1:
        raise DataError(f"labels {labels.shape} and runs {runs.shape} must be two equal lists")
    _, image, count = np.unique(labels, return_inverse=True, return_counts=True)
    run_names, run = np.unique(runs, return_inverse=True)
    keep = count[image] >= max(2, min_repeats)
    if not keep.any():
        raise DataError(
            f"no image is shown at least {max(2, min_repeats)} times in this session "
            f"({labels.size} trials, {count.size} images): noise ceilings and the comparison of "
            "variants need repeats"
        )
    repeated, image_of = np.unique(image[keep], return_inverse=True)
    order = np.lexsort((run[keep], image_of))
    trials = np.flatnonzero(keep)[order]
    key = image_of[order] * len(run_names) + run[trials]
    group, starts, size = np.unique(key, return_index=True, return_counts=True)
    group_image, group_run = np.divmod(group, len(run_names))
    first, second = _cells(group_image, size)
    same = first == second
    pairs = np.where(same, size[first] * (size[first] - 1) // 2, size[first] * size[second])
    return RepeatCells(
        trials=trials,
        starts=starts,
        size=size,
        group_image=group_image,
        first=first,
        second=second,
        image=group_image[first],
        run_first=group_run[first],
        run_second=group_run[second],
        pairs=pairs,
        repeats=count[repeated],
        repeated=repeated,
        trial_image=image,
        run_names=run_names,
    )


def _cells(group_image: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List every pair of groups of one image; a group pairs with itself when it has 2 trials."""
    first, second = [], []
    bounds = np.flatnonzero(np.diff(group_image, prepend=-1, append=-1))
    for start, stop in itertools.pairwise(bounds):
        a, b = np.triu_indices(stop - start)
        a, b = a + start, b + start
        valid = (a != b) | (size[a] > 1)
        first.append(a[valid])
        second.append(b[valid])
    return np.concatenate(first), np.concatenate(second)


def cell_sums(betas: np.ndarray, cells: RepeatCells) -> np.ndarray:
    """Sum half the squared differences over the pairs of each cell.

    Parameters
    ----------
    betas : ndarray, (V, N)
        z-scored betas of all trials.
    cells : RepeatCells
        From :func:`repeat_cells` with the labels and runs of the same trials.

    Returns
    -------
    ndarray, (V, K), float32
    """
    z = betas[:, cells.trials].astype(np.float64)
    total = np.add.reduceat(z, cells.starts, axis=1)
    square = np.add.reduceat(z * z, cells.starts, axis=1)
    a, b = cells.first, cells.second
    n_a, n_b = cells.size[a], cells.size[b]
    across = n_b * square[:, a] + n_a * square[:, b] - 2 * total[:, a] * total[:, b]
    within = n_a * square[:, a] - total[:, a] ** 2
    sums = np.where(cells.different_runs, across, within)
    return (np.maximum(sums, 0) / 2).astype(np.float32)


def cell_weights(
    cells: RepeatCells,
    *,
    images: np.ndarray | None = None,
    runs: np.ndarray | None = None,
    different_runs_only: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn resampled images or runs into weights of the cells.

    The noise variance of a resample is the weighted sum of :func:`cell_sums`: the mean over images
    of their mean over pairs. A pair weighs what its two runs weigh together, and an image the
    weight of its pairs. A trial is never paired with its own copy, which would count as a repeat
    without noise.

    Parameters
    ----------
    cells : RepeatCells
    images : ndarray, (B, I), optional
        Weight of every image of the session (or how often it was drawn); default 1.
    runs : ndarray, (B, R), optional
        Weight of every run; default 1.
    different_runs_only : bool
        Use only pairs from two runs.

    Returns
    -------
    weights : ndarray, (B, K), float32
        Zero rows where no pair has weight.
    inverse_repeats : ndarray, (B,), float64
        Weighted mean of 1 / n over images, n being the presentations in the data.
    """
    n = next((len(c) for c in (images, runs) if c is not None), 1)
    draws = np.ones((n, cells.n_images))
    if images is not None:
        draws = np.asarray(images, float)[:, cells.repeated]
    pair_weight = np.ones((n, len(cells.pairs)))
    if runs is not None:
        runs = np.asarray(runs, float)
        pair_weight = runs[:, cells.run_first] * runs[:, cells.run_second]
    image_starts = np.flatnonzero(np.diff(cells.image, prepend=-1))
    available = cells.pairs * (cells.different_runs if different_runs_only else 1)
    in_data = np.add.reduceat(available, image_starts)
    in_draw = np.add.reduceat(pair_weight * available, image_starts, axis=1)
    # An image counts by the weight of its pairs, so runs that weigh nothing take it along.
    used = draws * in_draw / np.where(in_data > 0, in_data, 1)
    total = used.sum(1)
    scale = np.where(total > 0, total, 1)[:, None]
    per_pair = draws / np.where(in_data > 0, in_data, 1)
    weights = pair_weight * per_pair[:, cells.image] * (available > 0) / scale
    inverse = (used / cells.repeats).sum(1) / scale[:, 0]
    return weights.astype(np.float32), inverse


def noise_ceiling_percent(
    noise_variance: np.ndarray, inverse_repeats: float | np.ndarray
) -> np.ndarray:
    """Convert a noise variance of z-scored betas to a noise ceiling.

    Parameters
    ----------
    noise_variance : ndarray
        Variance over presentations of one image, in units of the total variance (1).
    inverse_repeats : float or ndarray broadcast against it
        Mean of 1 / n over images.

    Returns
    -------
    ndarray
        Percent, 0..100: ``100 s / (s + noise * inverse_repeats)`` with ``s = max(0, 1 - noise)``.

    References
    ----------
    Allen et al. 2022, Nature Neuroscience 25, noise ceiling signal-to-noise ratio.
    """
    noise_variance = np.asarray(noise_variance)
    signal = np.maximum(0, 1 - noise_variance)
    total = signal + noise_variance * inverse_repeats
    return 100 * signal / np.where(total > 0, total, 1)
