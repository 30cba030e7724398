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
    image_counts: np.ndarray | None = None,
    run_counts: np.ndarray | None = None,
    different_runs_only: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn resampled images or runs into weights of the cells.

    The noise variance of a resample is the weighted sum of :func:`cell_sums`: the mean over its
    images of their mean over pairs. A run drawn twice gives its pairs with other runs twice; a
    trial is never paired with its own copy, which would count as a repeat without noise.

    Parameters
    ----------
    cells : RepeatCells
    image_counts : ndarray, (B, C), optional
        How often each image was drawn; default once.
    run_counts : ndarray, (B, R), optional
        How often each run was drawn; default once.
    different_runs_only : bool
        Use only pairs from two runs.

    Returns
    -------
    weights : ndarray, (B, K), float32
        Zero rows where a resample holds no pair.
    inverse_repeats : ndarray, (B,), float64
        Mean of 1 / n over the images used, n being the presentations in the data.
    """
    n = next((len(c) for c in (image_counts, run_counts) if c is not None), 1)
    draws = (
        np.ones((n, cells.n_images)) if image_counts is None else np.asarray(image_counts, float)
    )
    pair_weight = np.ones((n, len(cells.pairs)))
    if run_counts is not None:
        run_counts = np.asarray(run_counts, float)
        pair_weight = run_counts[:, cells.run_first] * run_counts[:, cells.run_second]
    if different_runs_only:
        pair_weight = pair_weight * cells.different_runs
    image_starts = np.flatnonzero(np.diff(cells.image, prepend=-1))
    per_image = np.add.reduceat(pair_weight * cells.pairs, image_starts, axis=1)
    used = draws * (per_image > 0)
    n_used = used.sum(1)
    share = used / np.where(per_image > 0, per_image, 1)
    weights = pair_weight * share[:, cells.image] / np.where(n_used > 0, n_used, 1)[:, None]
    inverse = (used / cells.repeats).sum(1) / np.where(n_used > 0, n_used, 1)
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
