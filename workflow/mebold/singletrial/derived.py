"""Betas made of single-trial betas: means over the repeats of an image, and z-scores.

Both come in blocks of columns, so that no second array of the size of the betas is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mebold.errors import ConfigError

#: Columns in one block.
COLUMNS_AT_ONCE = 64
#: Voxels whose moments are taken together, in float64.
VOXELS_AT_ONCE = 512
#: A spread below this part of the largest beta is rounding.
CONSTANT = 1e-12

IMAGE_COLUMNS = {
    "image_index": {"Description": "Volume of the image means that holds this image, from 0."},
    "label": {"Description": "Condition: the image that was shown."},
    "n_trials": {"Description": "Trials that the mean is over."},
    "n_runs": {"Description": "Runs that these trials lie in."},
}


def images(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the images of a trial table in sorted order, with the columns of `IMAGE_COLUMNS`.

    Parameters
    ----------
    trials : DataFrame
        With the columns ``label`` and ``stem``.
    """
    found = trials.groupby("label", sort=True)["stem"].agg(["size", "nunique"]).reset_index()
    found.columns = ["label", "n_trials", "n_runs"]
    found.insert(0, "image_index", np.arange(len(found)))
    return found


def image_means(betas: np.ndarray, labels: Sequence[str]) -> Iterator[np.ndarray]:
    """Yield the mean betas of images, in the order of `images`, a block of images at a time.

    Parameters
    ----------
    betas : (V, N) array
    labels : sequence of str, length N

    Yields
    ------
    (V, k) float32 array
    """
    codes, names = pd.factorize(np.asarray(labels, dtype=object), sort=True)
    for first in range(0, len(names), COLUMNS_AT_ONCE):
        count = min(COLUMNS_AT_ONCE, len(names) - first)
        columns = np.flatnonzero((codes >= first) & (codes < first + count))
        weights = np.zeros((len(columns), count), np.float64)
        weights[np.arange(len(columns)), codes[columns] - first] = 1
        weights /= weights.sum(axis=0)
        block = np.empty((len(betas), count), np.float32)
        for part in _voxels(len(betas)):
            block[part] = betas[part][:, columns].astype(np.float64) @ weights
        yield block


def zscored(betas: np.ndarray, trials: pd.DataFrame, *, within: str) -> Iterator[np.ndarray]:
    """Yield betas of mean 0 and mean square 1 within every run or session, in blocks of trials.

    Parameters
    ----------
    betas : (V, N) array
    trials : DataFrame
        One row per beta, with ``stem`` and ``session``.
    within : {"run", "session"}

    Yields
    ------
    (V, k) float32 array
        NaN where a group of two or more trials does not vary; the numbers that noise ceilings are
        made of (`mebold.noiseceiling.ceilings.zscore_betas`).
    """
    if within not in ("run", "session"):
        raise ConfigError(f"within is {within!r}: betas are z-scored within run or session")
    groups = trials[{"run": "stem", "session": "session"}[within]].astype(str)
    codes, names = pd.factorize(groups.to_numpy())
    mean = np.empty((len(betas), len(names)))
    scale = np.empty_like(mean)
    for part in _voxels(len(betas)):
        block = np.asarray(betas[part])
        for code in range(len(names)):
            inside = block[:, codes == code]
            exact = inside.astype(np.float64)
            mean[part, code] = exact.mean(axis=1)
            spread = exact.std(axis=1)
            still = spread <= CONSTANT * np.abs(inside).max(axis=1, initial=0)
            unknown = np.nan if inside.shape[1] > 1 else 0
            scale[part, code] = np.where(still, unknown, 1 / np.where(still, 1, spread))
    for first in range(0, len(codes), COLUMNS_AT_ONCE):
        chosen = slice(first, first + COLUMNS_AT_ONCE)
        block = np.empty((len(betas), len(codes[chosen])), np.float32)
        for part in _voxels(len(betas)):
            exact = betas[part, chosen] - mean[part][:, codes[chosen]]
            block[part] = exact * scale[part][:, codes[chosen]]
        yield block


def _voxels(count: int) -> Iterator[slice]:
    for first in range(0, count, VOXELS_AT_ONCE):
        yield slice(first, first + VOXELS_AT_ONCE)
