"""What noise ceilings are without any image: labels shifted within runs, thresholds, a mask.

The labels of every run are shifted cyclically, each run by a random number of trials of its own.
That is a permutation within the run which keeps what makes false ceilings: how often an image is
shown in which runs, how far apart its repeats in one run are (betas of neighbouring trials are
correlated), the trials that no image repeats, and, in the betas, the differences between runs
that z-scoring leaves. A free permutation within runs loses the second of these.

Every voxel is held against its own null: what is compared is its noise variance minus the mean of
its null, over the standard deviation of its null. The voxels' nulls differ (kurtosis, differences
between runs, correlation in time), but standardised they have one shape, which is pooled over
voxels, so that small p values need few permutations. The values of the null are standardised by
the other permutations only, as the data are by all of them.

Voxels are streamed: nothing of the size of the betas is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse, stats

from mebold.errors import ConfigError
from mebold.noiseceiling.sums import NoiseCeiling, Selection

LEVEL = 0.05  # of the threshold; its name, the 95th percentile, is in texts
_FEWEST = 20
_BLOCK_VOXELS = 512
# Histograms: of standardised values, and of noise variances in units of the total variance.
_SCORES = np.linspace(-20, 20, 20001)
_NOISE = np.linspace(0, 3, 30001)


@dataclass(frozen=True)
class Null:
    """Null of one selection.

    Attributes
    ----------
    threshold : float
        95th percentile of the noise ceiling without images, percent, over voxels and permutations.
    p : (V,) float64
        Of each voxel; NaN where it has no ceiling.
    significant : (V,) bool
        Voxels above chance at a false discovery rate.
    permutations : int
    q : float
        The false discovery rate.
    """

    threshold: float
    p: np.ndarray
    significant: np.ndarray
    permutations: int
    q: float


def shifted(runs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw trials whose labels go to the trials of a session: a cyclic shift within every run.

    Parameters
    ----------
    runs : (N,) array
        Run of every trial; the trials of a run in the order of time.
    rng : Generator

    Returns
    -------
    (N,) int
        Trial i gets the label of trial ``shifted[i]``.
    """
    order = np.arange(len(runs))
    for run in pd.unique(np.asarray(runs)):
        inside = np.flatnonzero(np.asarray(runs) == run)
        order[inside] = np.roll(inside, rng.integers(len(inside)))
    return order


class LabelNull:
    """Noise variances under shifted labels, collected over blocks of voxels.

    Parameters
    ----------
    labels, runs : sequence of sequences
        Image and run of every trial of every session, as for `mebold.noiseceiling.sums.ImageSums`.
    selections : mapping of str to Selection
        Those that a null is wanted of.
    permutations : int
        At least 20.
    seed : int
    """

    def __init__(
        self,
        labels: Sequence[Sequence],
        runs: Sequence[Sequence],
        selections: Mapping[str, Selection],
        *,
        permutations: int,
        seed: int,
    ) -> None:
        if permutations < _FEWEST:
            raise ConfigError(f"{permutations} permutations; accepted are {_FEWEST} and more.")
        flat = [label for session in labels for label in session]
        codes, images = pd.factorize(pd.Series(flat, dtype=object), use_na_sentinel=True)
        session = np.repeat(np.arange(len(labels)), [len(part) for part in labels])
        names = [run for part in runs for run in part]
        run = pd.factorize(pd.MultiIndex.from_arrays([session, names]))[0]
        blocks = {"all": None, "different_runs": run, "different_sessions": session}
        rng = np.random.default_rng(seed)
        self.permutations = permutations
        self._orders = [shifted(run, rng) for _ in range(permutations)]
        self._forms = {
            name: _Form(codes, len(images), blocks[selection.pairs], selection)
            for name, selection in selections.items()
        }
        self._moments: dict[str, list] = {name: [] for name in selections}
        self._scores = {name: np.zeros(len(_SCORES) + 1, np.int64) for name in selections}
        self._noise = {name: np.zeros(len(_NOISE) + 1, np.int64) for name in selections}

    def add(self, betas: Sequence[np.ndarray]) -> None:
        """Add the standardised betas of the next voxels, one (V, N_s) array per session."""
        for first in range(0, len(betas[0]), _BLOCK_VOXELS):
            block = slice(first, first + _BLOCK_VOXELS)
            self._add(np.concatenate([part[block].T for part in betas]).astype(np.float32))

    def _add(self, values: np.ndarray) -> None:
        """Add a block of voxels, (N, V)."""
        squares = values**2
        for name, form in self._forms.items():
            noise = np.stack([form.noise(values, squares, order) for order in self._orders])
            mean, deviation = noise.mean(axis=0), noise.std(axis=0, ddof=1)
            self._moments[name].append((mean, deviation))
            usable = np.isfinite(mean) & (deviation > 0)
            known = noise[:, usable]
            self._scores[name] += _counts(_left_out(known), _SCORES)
            self._noise[name] += _counts(known, _NOISE)

    def results(self, found: Mapping[str, NoiseCeiling], *, q: float) -> dict[str, Null]:
        """Compare ceilings with their nulls.

        Parameters
        ----------
        found : mapping of str to NoiseCeiling
            Of the same voxels, with the names of the selections.
        q : float
            False discovery rate of the mask (Benjamini and Hochberg).

        Returns
        -------
        dict of str to Null
        """
        return {name: self._result(name, found[name], q) for name in self._forms}

    def _result(self, name: str, ceiling: NoiseCeiling, q: float) -> Null:
        p = np.full(len(ceiling.nc), np.nan)
        significant = np.zeros(len(p), dtype=bool)
        total = self._noise[name].sum()
        if not total:
            return Null(np.nan, p, significant, self.permutations, q)
        mean, deviation = (np.concatenate(part) for part in zip(*self._moments[name], strict=True))
        usable = np.isfinite(mean) & (deviation > 0) & np.isfinite(ceiling.noise_variance)
        score = (ceiling.noise_variance[usable] - mean[usable]) / deviation[usable]
        # Less noise than by chance is what an image explains; a bin counts whole, against it.
        below = np.cumsum(self._scores[name])[np.searchsorted(_SCORES, score, side="left")]
        p[usable] = (1 + below) / (1 + total)
        if usable.any():
            significant[usable] = stats.false_discovery_control(p[usable]) <= q
        place = np.searchsorted(np.cumsum(self._noise[name]), LEVEL * total)
        noise = _NOISE[min(place, len(_NOISE) - 1)]
        threshold = self._forms[name].ceiling(noise)
        return Null(threshold, p, significant, self.permutations, q)


def _left_out(noise: np.ndarray) -> np.ndarray:
    """Standardise every permutation (B, V) by the mean and standard deviation of the others."""
    n = len(noise)
    off = noise - noise.mean(axis=0)
    others = (np.sum(off**2, axis=0) - off**2 * n / (n - 1)) / (n - 2)
    scale = np.sqrt(np.maximum(others, 0))
    return np.divide(off * n / (n - 1), scale, out=np.zeros_like(off), where=scale > 0)


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Count values between evenly spaced edges: bin i holds those in (edges[i-1], edges[i]]."""
    step = edges[1] - edges[0]
    place = np.ceil((values.ravel() - edges[0]) / step).astype(np.int64)
    return np.bincount(np.clip(place, 0, len(edges)), minlength=len(edges) + 1)


class _Form:
    """The noise variance of one selection as a quadratic form in the betas of all trials.

    The mean over images of the mean over their pairs of half the squared difference is ``sum a_t
    z_t^2 - sum_i (w_i sum z)^2 + sum_c (w_c sum z)^2``, over images i and the cells c of one image
    inside which pairs do not count: one run or session, or each trial by itself.
    """

    def __init__(
        self, codes: np.ndarray, n_images: int, block: np.ndarray | None, selection: Selection
    ) -> None:
        known = codes >= 0
        count = np.bincount(codes[known], minlength=n_images)
        cell = np.arange(len(codes)) if block is None else _cells(codes, block)
        size = np.bincount(cell)[cell]
        pairs = count.astype(float) ** 2
        pairs -= np.bincount(codes[known], size[known], minlength=n_images)
        used = selection.uses(count) & (pairs > 0)
        self.empty = not used.any()
        if self.empty:
            return
        weight = np.zeros(n_images)
        weight[used] = 1 / pairs[used] / used.sum()
        self._inverse = float(np.mean(1 / count[used]))
        of_trial = np.where(known, weight[codes], 0.0)
        # The square of a trial that is alone in its cell needs no sum over the cell.
        alone = size == 1
        self._squares = (of_trial * (count[codes] - size + alone)).astype(np.float32)
        self._images = _sums(codes, np.flatnonzero(of_trial > 0), of_trial)
        self._cells = _sums(cell, np.flatnonzero((of_trial > 0) & ~alone), of_trial)

    def noise(self, values: np.ndarray, squares: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Noise variance (V,) when trial i has the label of trial ``order[i]``."""
        if self.empty:
            return np.full(values.shape[1], np.nan)
        place = np.argsort(order)  # where each label's trial went
        total = self._squares[order] @ squares
        for sign, (rows, trials) in ((-1, self._images), (1, self._cells)):
            if trials.size:
                sums = rows @ values[place[trials]]
                total += sign * np.einsum("iv,iv->v", sums, sums)
        return total.astype(np.float64)

    def ceiling(self, noise: float) -> float:
        """Noise ceiling in percent of a noise variance."""
        if self.empty:
            return np.nan
        signal = max(1 - noise, 0.0)
        return 100 * signal / (signal + noise * self._inverse)


def _cells(codes: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the cell (N,) of each trial: one image in one run or session."""
    return pd.factorize(pd.MultiIndex.from_arrays([codes, block]))[0]


def _sums(
    codes: np.ndarray, trials: np.ndarray, weight: np.ndarray
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return the matrix (group, trial) that sums trials times the root of their weight."""
    local, groups = pd.factorize(codes[trials])
    entries = np.sqrt(weight[trials]).astype(np.float32), (local, np.arange(len(trials)))
    return sparse.csr_matrix(entries, (len(groups), len(trials))), trials
