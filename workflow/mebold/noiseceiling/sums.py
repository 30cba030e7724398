"""Sums per image from which noise ceilings follow, and the selections they are made for.

The unbiased variance over the presentations of an image equals the mean over pairs of half the
squared difference. That gives the same measure for a subset of pairs (those in different runs or
sessions), and it needs only sums per image: sessions are streamed and never held together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from mebold.errors import ConfigError, DataError

PAIRS = ("all", "different_runs", "different_sessions")


@dataclass(frozen=True)
class NoiseCeiling:
    """Noise ceiling of V voxels.

    Attributes
    ----------
    nc : ndarray, (V,) float64
        Percent of the variance of an image's mean response that is signal. NaN for voxels with
        betas that are not finite, or where no image qualifies.
    ncsnr : ndarray, (V,) float64
        Signal over noise standard deviation of single trials; does not depend on repeats.
    noise_variance, signal_variance : ndarray, (V,) float64
        In units of the total variance.
    repeats : dict of int to int
        Number of images used for every number of presentations.
    """

    nc: np.ndarray
    ncsnr: np.ndarray
    noise_variance: np.ndarray
    signal_variance: np.ndarray
    repeats: dict[int, int]


@dataclass(frozen=True)
class Selection:
    """Which images and pairs of presentations a noise ceiling uses.

    Attributes
    ----------
    min_repeats : int
        Fewest presentations of an image, at least 2.
    exact_repeats : int or None
        Use only images with exactly this many presentations.
    pairs : {"all", "different_runs", "different_sessions"}
        Which presentations are compared.
    clip : bool
        Set a negative signal variance to 0. Without, the mean over voxels without signal is 0,
        and `ncsnr` keeps the sign.
    """

    min_repeats: int = 2
    exact_repeats: int | None = None
    pairs: str = "all"
    clip: bool = True

    def __post_init__(self):
        fewest = self.min_repeats if self.exact_repeats is None else self.exact_repeats
        if fewest < 2:
            raise ConfigError(f"a noise ceiling needs 2 or more repeats, not {fewest}")
        if self.pairs not in PAIRS:
            raise ConfigError(f"pairs is {self.pairs!r}: choose one of {', '.join(PAIRS)}")

    def uses(self, count: np.ndarray) -> np.ndarray:
        """Mark the images whose number of presentations qualifies."""
        if self.exact_repeats is not None:
            return count == self.exact_repeats
        return count >= self.min_repeats


class ImageSums:
    """Sums per image over sessions, from which noise ceilings follow.

    Which images qualify is known from the labels alone, so sums of squares are added up over
    images at once; only the sums of the betas are kept per image.

    Parameters
    ----------
    labels, runs : sequence of sequences
        Image and run of every trial of every session.
    selections : mapping of str to Selection
    """

    def __init__(
        self,
        labels: Sequence[Sequence],
        runs: Sequence[Sequence],
        selections: Mapping[str, Selection],
    ):
        if len(labels) != len(runs):
            raise DataError(f"labels of {len(labels)} sessions, runs of {len(runs)}")
        lengths = [len(session) for session in labels]
        if lengths != [len(session) for session in runs]:
            raise DataError("labels and runs differ in their number of trials")
        flat = [label for session in labels for label in session]
        codes, images = pd.factorize(pd.Series(flat, dtype=object), use_na_sentinel=True)
        session = np.repeat(np.arange(len(lengths)), lengths)
        run = pd.factorize(
            pd.MultiIndex.from_arrays([session, [run for part in runs for run in part]])
        )[0]
        self._blocks = {"different_runs": run, "different_sessions": session}
        self._codes, self._n_images = codes, len(images)
        ends = np.cumsum(lengths)
        self._parts = [slice(e - n, e) for e, n in zip(ends, lengths, strict=True)]
        self._selections = dict(selections)
        self._count = np.bincount(codes[codes >= 0], minlength=self._n_images)
        self._weight = {name: self._pair_weight(s) for name, s in selections.items()}
        self.start(0)

    def _pair_weight(self, selection: Selection) -> np.ndarray:
        """Return 1 / (twice the number of pairs) of every image used, 0 for the others."""
        known = self._codes >= 0
        if selection.pairs == "all":
            same = self._count
        else:
            cell = pd.DataFrame(
                {"image": self._codes[known], "block": self._blocks[selection.pairs][known]}
            )
            size = cell.value_counts()
            images = size.index.get_level_values("image")
            same = np.bincount(images, size.to_numpy() ** 2, minlength=self._n_images)
        pairs = self._count.astype(np.float64) ** 2 - same
        used = selection.uses(self._count) & (pairs > 0)
        return np.divide(1, pairs, out=np.zeros_like(pairs), where=used)

    def start(self, n_voxels: int) -> None:
        """Forget all betas and expect those of `n_voxels` voxels."""
        self._sum = np.zeros((self._n_images, n_voxels))
        self._spread = {name: np.zeros(n_voxels) for name in self._selections}

    def add(self, session: int, betas: np.ndarray) -> None:
        """Add the standardised betas (V, N_s) of one session, each session once."""
        part = self._parts[session]
        codes = self._codes[part]
        known = codes >= 0
        values = betas.T[known].astype(np.float64)
        codes = codes[known]
        squares = values**2
        local, images = pd.factorize(codes)
        self._sum[images] += _incidence(local, len(images)) @ values
        for name, selection in self._selections.items():
            weight = self._weight[name]
            # n sum z^2 of the pair formula; the square of the sum follows in `results`.
            self._spread[name] += (weight * self._count)[codes] @ squares
            if selection.pairs != "all":
                block = self._blocks[selection.pairs][part][known]
                self._spread[name] -= _within(codes, block, weight, values)

    def results(self) -> dict[str, NoiseCeiling]:
        """Return the noise ceiling of every selection."""
        results = {}
        for name, selection in self._selections.items():
            weight = self._weight[name]
            used = weight > 0
            repeats = dict(sorted(Counter(self._count[used].tolist()).items()))
            if used.any():
                spread = self._spread[name] - weight @ self._sum**2
                noise = np.maximum(spread / np.count_nonzero(used), 0)
                inverse = float(np.mean(1 / self._count[used]))
            else:
                noise, inverse = np.full(self._sum.shape[1], np.nan), np.nan
            results[name] = _ceiling(noise, inverse, repeats, clip=selection.clip)
        return results


def _incidence(codes: np.ndarray, n_rows: int) -> sparse.csr_matrix:
    """Return the matrix (row, trial) that sums trials by code."""
    ones = np.ones(len(codes))
    return sparse.csr_matrix((ones, (codes, np.arange(len(codes)))), (n_rows, len(codes)))


def _within(
    codes: np.ndarray, block: np.ndarray, weight: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Sum the weighted squared differences over pairs of one image inside one block."""
    cell = pd.factorize(pd.MultiIndex.from_arrays([codes, block]))[0]
    size = np.bincount(cell)
    repeated = size[cell] > 1
    if not repeated.any():
        return np.zeros(values.shape[1])
    cell = pd.factorize(cell[repeated])[0]
    size = np.bincount(cell)
    inside = weight[codes[repeated]]
    cell_weight = np.zeros(len(size))
    cell_weight[cell] = inside
    totals = _incidence(cell, len(size)) @ values[repeated]
    return (inside * size[cell]) @ values[repeated] ** 2 - cell_weight @ totals**2


def _ceiling(
    noise: np.ndarray, inverse_count: float, repeats: dict[int, int], *, clip: bool
) -> NoiseCeiling:
    """Turn the noise variance of standardised betas into a noise ceiling."""
    signal = 1 - noise
    if clip:
        signal = np.maximum(signal, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = signal / noise
        # From variances, not from ncsnr, so that a voxel without noise gets 100.
        nc = 100 * signal / (signal + noise * inverse_count)
        ncsnr = np.sign(power) * np.sqrt(np.abs(power))
    return NoiseCeiling(nc, ncsnr, noise, signal, repeats)
