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
_FEWEST_DRAWN = 5  # short runs have no more; with fewer there is no null
_TRIES = 10  # of drawing a permutation that was not drawn before
_BLOCK_BYTES = 4_000_000  # of the betas that are worked on at once: they stay in the cache
# Histograms: of standardised values, and of noise variances in units of the total variance.
_SCORES = np.linspace(-20, 20, 20001)
_NOISE = np.linspace(0, 3, 30001)


@dataclass(frozen=True)
class Null:
    """Null of one selection.

    Attributes
    ----------
    threshold : float
        95th percentile of the noise ceiling without images, percent, over voxels and permutations;
        NaN where there is no ceiling or there are too few permutations.
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


def lags(lengths: Sequence[int], permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Draw by how many trials the labels of every run are shifted.

    No run keeps its labels, and as far as there are enough lags no two runs are shifted alike,
    which would leave their repeats together. No two permutations are the same shift of all runs
    against the first.

    Parameters
    ----------
    lengths : sequence of int, length R
        Trials of every run.
    permutations : int
        How many are wanted.
    rng : Generator

    Returns
    -------
    (B, R) int
        Fewer than wanted where there are not as many: one less than trials for one or two runs.
    """
    longest, drawn, seen = max(lengths), [], set()
    free = np.maximum(np.asarray(lengths) - 1, 1)
    for _ in range(_TRIES * permutations):
        if len(drawn) == permutations:
            break
        # Every lag once before one comes again.
        rounds = -(-len(lengths) // int(free.max()))
        order = np.concatenate([1 + rng.permutation(free.max()) for _ in range(rounds)])
        row = order[: len(lengths)]
        relative = (row - row[0] if len(row) > 1 else row) % longest
        row = np.minimum(1 + (row - 1) % free, np.asarray(lengths) - 1)
        keys = {("relative", *relative), ("lags", *row)}
        if not keys & seen:
            drawn.append(row)
            seen |= keys
    return np.array(drawn)


def shifted(runs: np.ndarray, lag: np.ndarray) -> np.ndarray:
    """Return whose label every trial gets when the labels of every run are shifted cyclically.

    Parameters
    ----------
    runs : (N,) int array
        Run of every trial, from 0; the trials of a run in the order of time.
    lag : (R,) int array
        Trials by which the labels of each run move.

    Returns
    -------
    (N,) int
        Trial i gets the label of trial ``shifted[i]``.
    """
    order = np.arange(len(runs))
    for run, by in enumerate(lag):
        inside = np.flatnonzero(runs == run)
        order[inside] = np.roll(inside, by)
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
        At least 20; short sessions of one or two runs have fewer (attribute `permutations`).
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
        drawn = lags(np.bincount(run), permutations, rng)
        self.permutations = len(drawn)
        orders = [shifted(run, lag) for lag in drawn]
        self._form = _Form(codes, len(images), blocks, selections)
        self._shifts = self._form.shifts(orders)
        self._moments: dict[str, list] = {name: [] for name in selections}
        self._scores = {name: np.zeros(len(_SCORES) + 1, np.int64) for name in selections}
        self._noise = {name: np.zeros(len(_NOISE) + 1, np.int64) for name in selections}

    def add(self, betas: Sequence[np.ndarray]) -> None:
        """Add the standardised betas of the next voxels, one (V, N_s) array per session."""
        if self.permutations < _FEWEST_DRAWN:
            return
        step = max(32, _BLOCK_BYTES // (4 * sum(part.shape[1] for part in betas)))
        for first in range(0, len(betas[0]), step):
            block = slice(first, first + step)
            rows = np.concatenate([part[block].T for part in betas])
            self._add(np.ascontiguousarray(rows, dtype=np.float32))

    def _add(self, values: np.ndarray) -> None:
        """Add a block of voxels, (N, V)."""
        every = self._form.noise(values, self._shifts)
        for name, noise in zip(self._moments, every, strict=True):
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
        return {name: self._result(name, found[name], q) for name in self._moments}

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
        threshold = self._form.ceiling(name, noise)
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


@dataclass(frozen=True)
class _Shifts:
    """Where the labels went, for all permutations."""

    squares: np.ndarray  # (permutations, selections, N): weight of the square of each trial
    members: list[np.ndarray]  # per kind of group, (permutations, trials in groups)


class _Form:
    """The noise variances of all selections as quadratic forms in the betas of all trials.

    The mean over images of the mean over their pairs of half the squared difference is ``sum a_t
    z_t^2 - sum_i w_i (sum z)^2 + sum_c w_c (sum z)^2``, over images i and the cells c of one image
    inside which pairs do not count: one run or session, or each trial by itself. The sums over
    images are shared by the selections, which differ in their weights.
    """

    def __init__(
        self,
        codes: np.ndarray,
        n_images: int,
        blocks: Mapping[str, np.ndarray | None],
        selections: Mapping[str, Selection],
    ) -> None:
        known = codes >= 0
        count = np.bincount(codes[known], minlength=n_images)
        self._inverse: dict[str, float] = {}
        squares = np.zeros((len(selections), len(codes)))
        of_image = np.zeros((len(selections), n_images))
        alone = {}
        for row, (name, selection) in enumerate(selections.items()):
            cell = _cells(codes, blocks[selection.pairs])
            size = np.bincount(cell)[cell]
            pairs = count.astype(float) ** 2
            pairs -= np.bincount(codes[known], size[known], minlength=n_images)
            used = selection.uses(count) & (pairs > 0)
            self._inverse[name] = float(np.mean(1 / count[used])) if used.any() else np.nan
            of_image[row, used] = 1 / pairs[used] / max(used.sum(), 1)
            # The square of a trial that is alone in its cell needs no sum over the cell.
            alone[selection.pairs] = size == 1
            of_trial = np.where(known, of_image[row, codes], 0)
            squares[row] = of_trial * (count[codes] - size + (size == 1))
        self._squares = squares.astype(np.float32)
        shown = known & (of_image > 0).any(axis=0)[codes]
        self._groups = [_Groups(codes, shown, -of_image, codes)]
        for kind, single in alone.items():
            rows = np.array([selection.pairs == kind for selection in selections.values()])
            if (shown & ~single).any():
                cell, weight = _cells(codes, blocks[kind]), of_image * rows[:, None]
                self._groups.append(_Groups(cell, shown & ~single, weight, codes))

    def shifts(self, orders: Sequence[np.ndarray]) -> _Shifts:
        """Prepare permutations: in each, trial i has the label of trial ``order[i]``."""
        squares = np.stack([self._squares[:, order] for order in orders])
        places = np.stack([np.argsort(order) for order in orders])  # where each label went
        return _Shifts(squares, [places[:, group.trials] for group in self._groups])

    def noise(self, values: np.ndarray, shifts: _Shifts) -> np.ndarray:
        """Return the noise variances (selections, permutations, V) of betas (N, V)."""
        n, rows = shifts.squares.shape[:2]
        total = (shifts.squares.reshape(n * rows, -1) @ values**2).reshape(n, rows, -1)
        for group, members in zip(self._groups, shifts.members, strict=True):
            for row, trials in enumerate(members):
                total[row] += group.weight @ group.sums(values, trials) ** 2
        total = total.transpose(1, 0, 2).astype(np.float64)
        total[np.isnan(list(self._inverse.values()))] = np.nan
        return total

    def ceiling(self, name: str, noise: float) -> float:
        """Noise ceiling of a selection in percent, from a noise variance."""
        signal = max(1 - noise, 0.0)
        return 100 * signal / (signal + noise * self._inverse[name])


class _Groups:
    """Sums of betas over groups of trials: images, or cells of images."""

    def __init__(
        self, group: np.ndarray, member: np.ndarray, of_image: np.ndarray, codes: np.ndarray
    ) -> None:
        trials = np.flatnonzero(member)
        self.trials = trials[np.argsort(group[trials], kind="stable")]
        first = np.flatnonzero(np.diff(group[self.trials], prepend=-1))
        self.weight = of_image[:, codes[self.trials[first]]].astype(np.float32)
        self._bounds = np.append(first, len(trials)).astype(np.int32)
        self._ones = np.ones(len(trials), np.float32)

    def sums(self, values: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """Sum betas (N, V) over groups whose members lie at `trials`: (groups, V)."""
        shape = len(self._bounds) - 1, len(values)
        return sparse.csr_matrix((self._ones, trials, self._bounds), shape) @ values


def _cells(codes: np.ndarray, block: np.ndarray | None) -> np.ndarray:
    """Return the cell (N,) of each trial: one image in one block; without blocks the trial."""
    if block is None:
        return np.arange(len(codes))
    return pd.factorize(pd.MultiIndex.from_arrays([codes, block]))[0]
