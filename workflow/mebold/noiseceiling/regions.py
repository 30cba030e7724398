"""How sure the median noise ceiling of a region is: its spread over resampled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mebold.noiseceiling import bootstrap, ceilings, cells
from mebold.noiseceiling.sums import Selection

_CHUNK_VOXELS = 256


@dataclass(frozen=True)
class Spread:
    """Interval of a region's median noise ceiling.

    Attributes
    ----------
    low, high : float
        95 % interval, percent; NaN where images are too few to be resampled.
    voxels : int
        Voxels that it was found from: of a large region a seeded part.
    """

    low: float
    high: float
    voxels: int


def chosen_voxels(
    member: np.ndarray, *, most: int, seed: int, usable: np.ndarray | None = None
) -> np.ndarray:
    """Return positions of a region's voxels, a seeded part where there are more than `most`.

    Parameters
    ----------
    member : (V,) bool array
    most : int
    seed : int
    usable : (V,) bool array, optional
        Voxels that may be taken.

    Returns
    -------
    (v,) int array
        Ascending.
    """
    voxels = np.flatnonzero(member if usable is None else np.asarray(member, bool) & usable)
    if voxels.size <= most:
        return voxels
    return np.sort(np.random.default_rng(seed).choice(voxels, most, replace=False))


def resampled(
    betas: Sequence[np.ndarray],
    labels: Sequence[Sequence],
    runs: Sequence[Sequence],
    *,
    selection: Selection,
    zscore: str | None,
    n_resamples: int,
    seed: int,
) -> np.ndarray | None:
    """Return the noise ceilings of voxels in resamples of the images.

    Parameters
    ----------
    betas : sequence of (V, N_s) array
        Of each session, the voxels of a region.
    labels, runs : sequence of sequences, length N_s
        Image and run of each trial of each session.
    selection : Selection
        Which images and pairs count.
    zscore : {"session", "run", None}
        See `mebold.noiseceiling.ceilings.noise_ceilings`.
    n_resamples, seed
        See `mebold.noiseceiling.bootstrap.draw_resamples`.

    Returns
    -------
    (B, V) float32 array, or None
        Percent; None where fewer than three images are repeated so often.
    """
    image = np.concatenate([np.asarray(one, object) for one in labels])
    run = np.concatenate([[f"{number}/{name}" for name in one] for number, one in enumerate(runs)])
    named = ~pd.isna(image)
    _, code, count = np.unique(image[named].astype(str), return_inverse=True, return_counts=True)
    shown = np.zeros(image.size, int)
    shown[named] = count[code]
    least = max(2, selection.min_repeats)
    exact = selection.exact_repeats
    keep = named & (shown == exact if exact else shown >= least)
    if np.unique(image[keep].astype(str)).size < bootstrap.MIN_UNITS:
        return None
    different = selection.pairs == "different_runs"
    found = cells.repeat_cells(image[keep].astype(str), run[keep])
    if different and not found.different_runs.any():
        return None
    drawn = bootstrap.draw_resamples(found, n_resamples=n_resamples, seed=seed)
    weights, inverse = cells.cell_weights(found, images=drawn.images, different_runs_only=different)
    inverse = inverse[:, None].astype(np.float32)
    out = np.empty((n_resamples, betas[0].shape[0]), np.float32)
    for first in range(0, out.shape[1], _CHUNK_VOXELS):
        block = slice(first, first + _CHUNK_VOXELS)
        parts = [np.asarray(one[block], np.float64) for one in betas]
        total = ceilings.total_deviation(parts) if zscore is None else None
        standard = [
            part / total
            if zscore is None
            else ceilings.zscore_betas(
                part, names_of if zscore == "run" else np.zeros(part.shape[1])
            )
            for part, names_of in zip(parts, runs, strict=True)
        ]
        sums = cells.cell_sums(np.concatenate(standard, axis=1)[:, keep], found)
        out[:, block] = cells.noise_ceiling_percent(weights @ sums.T, inverse)
    return out


def spreads(
    resamples: np.ndarray | None,
    voxels: np.ndarray,
    rois: Mapping[str, np.ndarray],
    medians: Mapping[str, float],
) -> dict[str, Spread]:
    """Return the interval of each region's median.

    Parameters
    ----------
    resamples : (B, v) array or None
        From `resampled`, of `voxels`.
    voxels : (v,) int array
        Positions of these voxels among all V.
    rois : mapping of str to (V,) bool array
        Voxels of each region that may be used.
    medians : mapping of str to float
        Median of each region in the data.

    Returns
    -------
    dict of str to Spread
    """
    found = {}
    for name, member in rois.items():
        inside = np.asarray(member, bool)[voxels]
        low = high = float("nan")
        if resamples is not None and inside.any():
            middle = np.nanmedian(resamples[:, inside], axis=1)
            low, high = bootstrap.interval(medians[name], middle)
        found[name] = Spread(low, high, int(inside.sum()))
    return found
