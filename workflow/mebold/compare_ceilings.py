"""Noise ceilings under resampling: median in an ROI and d-prime against the rest of the brain."""

from __future__ import annotations

import numpy as np

from mebold.compare_bootstrap import Resamples
from mebold.compare_pairs import RepeatCells, cell_weights, noise_ceiling_percent


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
