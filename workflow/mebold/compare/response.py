"""Mean response to images of a region, in percent: the median over its voxels.

A mean over voxels is ruled by the few whose signal is low, and their percentages high: 8.9 % was
seen where the median is 0.6 %.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mebold.noiseceiling.bootstrap import Resamples
from mebold.noiseceiling.cells import RepeatCells

#: Voxels in which images are resampled, taken evenly from the region. Their median varies over
#: images as that of all voxels does, and a few thousand spare the rest.
SPREAD_VOXELS = 4000
#: Resamples whose voxels are held at a time.
_BLOCK = 64


class Response:
    """Mean beta of every voxel of a region, over all trials, repeated images or not.

    Parameters
    ----------
    n_voxels : int
    runs : array_like, (N,)
    cells : RepeatCells
        Of the same trials.
    """

    def __init__(self, n_voxels: int, runs: np.ndarray, cells: RepeatCells) -> None:
        run = np.searchsorted(cells.run_names, runs)
        self._run, self._image = np.eye(cells.n_runs, dtype=np.float32)[run], cells.trial_image
        one_each = np.ones(len(run), np.float32)
        self._sum_images = sparse.csr_matrix((one_each, (self._image, np.arange(len(run)))))
        self._sizes = self._run.sum(axis=0)
        self._by_run = np.zeros((cells.n_runs, n_voxels), np.float32)
        # Rounded up, so that no more than the wanted number is kept.
        self._step = max(1, -(-n_voxels // SPREAD_VOXELS))
        self._by_image: list[np.ndarray] = []
        self._filled = 0

    def add(self, betas: np.ndarray) -> None:
        """Add the next voxels of the region, betas (v, N) in percent."""
        part = slice(self._filled, self._filled + len(betas))
        self._by_run[:, part] = (betas @ self._run).T
        chosen = betas[(-self._filled) % self._step :: self._step]
        self._by_image.append(self._sum_images @ chosen.T)
        self._filled = part.stop

    def median(self) -> float:
        """Return the median over voxels; NaN without any."""
        if self._filled == 0:
            return float("nan")
        return float(np.median(self._by_run.sum(axis=0) / self._sizes.sum()))

    def samples(self, resamples: Resamples) -> dict[str, np.ndarray]:
        """Return the median in resamples: method -> (B,)."""
        found = {}
        if self._filled and resamples.images is not None:
            counts = np.bincount(self._image)
            sums = np.concatenate(self._by_image, axis=1)
            found["images"] = _medians(resamples.images, sums, counts)
        if self._filled and resamples.runs is not None:
            found["runs"] = _medians(resamples.runs, self._by_run, self._sizes)
        return found


def _medians(weights: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the median over voxels of weighted means, (B,); sums are (U, V), sizes (U,)."""
    medians = [
        np.median(weights[start : start + _BLOCK] @ sums, axis=1)
        for start in range(0, len(weights), _BLOCK)
    ]
    return np.concatenate(medians).astype(float) / (weights @ sizes)
