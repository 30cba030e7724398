"""Noise ceilings of single-trial betas: how much of their variance an image can explain.

Betas are standardised first, so that total variance is 1. The noise variance is the mean, over
images shown at least twice, of the unbiased variance over presentations; what is left of 1 is
signal. A biased variance (division by n) would turn pure noise at two repeats into a ceiling of
67 %.

Sessions are streamed through `mebold.noiseceiling.sums` and never held together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mebold.errors import ConfigError, DataError
from mebold.noiseceiling.null import LabelNull, Null
from mebold.noiseceiling.sums import ImageSums, NoiseCeiling, Selection


def zscore_betas(betas: np.ndarray, groups: Sequence) -> np.ndarray:
    """Standardise the betas of every voxel within groups of trials.

    Parameters
    ----------
    betas : ndarray, (V, N)
    groups : sequence, length N
        Run or session of every trial.

    Returns
    -------
    ndarray, (V, N), of the floating point type of `betas` (float32 at least)
        Mean 0 and mean square 1 in every group; NaN where a group of two or more trials does not
        vary, because nothing is known of such a voxel and its trials would all agree. The mean
        square (ddof 0) is what makes the expected variance of two noise trials from different
        groups exactly 1; division by n - 1 would leave 1 - 1/n and hence a ceiling above 0 (12 %
        for 12 repeats in groups of 90).

    Raises
    ------
    DataError
        If lengths differ.
    """
    _check_length(betas, groups, "groups")
    dtype = np.result_type(np.asarray(betas).dtype, np.float32)
    standard = np.array(betas, dtype=dtype)
    codes = pd.factorize(np.asarray(groups))[0]
    for code in range(codes.max(initial=-1) + 1):
        # A slice instead of a mask spares two copies when there is one group.
        inside = codes == code if codes.max() else slice(None)
        part = standard[:, inside].astype(np.float64)
        part -= part.mean(axis=1, keepdims=True)
        deviation = part.std(axis=1, keepdims=True)
        # Rounding alone must not be blown up to unit variance.
        floor = 1e-12 * np.abs(betas[:, inside]).max(axis=1, keepdims=True, initial=0)
        still = deviation <= floor
        part /= np.where(still, 1, deviation)
        part[still[:, 0]] = np.nan if part.shape[1] > 1 else 0
        standard[:, inside] = part
    return standard


def total_deviation(sessions: Sequence[np.ndarray]) -> np.ndarray:
    """Return the standard deviation (V, 1) of the betas (V, N_s) of all sessions together.

    It makes the total variance of betas 1 that are not standardised within runs or sessions; their
    ceiling would follow their units otherwise. NaN where betas do not vary.
    """
    count = sum(session.shape[1] for session in sessions)
    mean = sum(session.sum(axis=1, keepdims=True) for session in sessions) / count
    square = sum(((session - mean) ** 2).sum(axis=1, keepdims=True) for session in sessions)
    largest = np.max([np.abs(session).max(axis=1, initial=0) for session in sessions], axis=0)
    deviation = np.sqrt(square / count)
    return np.where(deviation > 1e-12 * largest[:, None], deviation, np.nan)


def noise_ceiling(
    betas: np.ndarray,
    labels: Sequence,
    *,
    runs: Sequence | None = None,
    min_repeats: int = 2,
    exact_repeats: int | None = None,
    different_runs_only: bool = False,
    clip: bool = True,
) -> NoiseCeiling:
    """Return the noise ceiling of standardised betas.

    Parameters
    ----------
    betas : ndarray, (V, N)
        Betas of total variance 1, see `zscore_betas`.
    labels : sequence, length N
        Image of every trial; a missing value (None, NaN) marks a trial that is not used.
    runs : sequence, length N, optional
        Run of every trial, different for runs of different sessions.
    min_repeats, exact_repeats, clip
        See `Selection`.
    different_runs_only : bool
        Compare only presentations in different runs, so that processing inside a run (NORDIC)
        cannot make them alike. Needs `runs`.

    Returns
    -------
    NoiseCeiling
        ``nc = 100 ncsnr^2 / (ncsnr^2 + mean(1 / n))``, the mean over the images used, each shown n
        times.

    Raises
    ------
    DataError
        If lengths differ, or runs are needed and absent.
    ConfigError
        If a number of repeats below 2 is asked for.

    References
    ----------
    Allen et al. 2022, Nature Neuroscience 25:116-126 (ncsnr and noise ceiling).
    """
    if different_runs_only and runs is None:
        raise DataError("pairs in different runs need the run of every trial: runs is missing")
    pairs = "different_runs" if different_runs_only else "all"
    selection = Selection(min_repeats, exact_repeats, pairs, clip)
    _check_length(betas, labels, "labels")
    sums = ImageSums([labels], [np.zeros(len(labels)) if runs is None else runs], {"": selection})
    sums.start(len(betas))
    sums.add(0, np.asarray(betas))
    return sums.results()[""]


def noise_ceilings(
    betas: Sequence[np.ndarray],
    labels: Sequence[Sequence],
    *,
    runs: Sequence[Sequence],
    selections: Mapping[str, Selection],
    zscore: str | None = "session",
    null: LabelNull | None = None,
    chunk_voxels: int = 2048,
) -> dict[str, NoiseCeiling]:
    """Return several noise ceilings over sessions that together do not fit in memory.

    Parameters
    ----------
    betas : sequence of ndarray, (V, N_s)
        Betas of every session, possibly memory maps.
    labels, runs : sequence of sequences, length N_s
        Image and run of every trial of every session.
    selections : mapping
        Name to `Selection`.
    zscore : {"session", "run", None}
        Standardise betas within session or run; None divides all by one number per voxel
        (`total_deviation`), so that differences between runs and sessions stay.
    null : LabelNull, optional
        Gets the standardised betas of all voxels, in their order.
    chunk_voxels : int
        Voxels treated together; memory is this times the number of images, in float64.

    Returns
    -------
    dict of str to NoiseCeiling
    """
    if zscore not in ("session", "run", None):
        raise ConfigError(f"zscore is {zscore!r}: choose session, run or None")
    sums = ImageSums(labels, runs, selections)
    for number, (session, names) in enumerate(zip(betas, labels, strict=True), start=1):
        _check_length(session, names, f"labels of session {number}")
    n_voxels = {session.shape[0] for session in betas}
    if len(n_voxels) != 1:
        raise DataError(f"sessions differ in voxels: {sorted(n_voxels)}")
    parts: dict[str, list[NoiseCeiling]] = {name: [] for name in selections}
    for first in range(0, n_voxels.pop(), chunk_voxels):
        block = slice(first, first + chunk_voxels)
        sums.start(betas[0][block].shape[0])
        total = 1.0
        if zscore is None:
            total = total_deviation([np.asarray(s[block], np.float64) for s in betas])
        standard = []
        for index, session in enumerate(betas):
            part = np.asarray(session[block], dtype=np.float64) / total
            if zscore is not None:
                groups = runs[index] if zscore == "run" else np.zeros(part.shape[1])
                part = zscore_betas(part, groups)
            sums.add(index, part)
            if null is not None:
                standard.append(part.astype(np.float32))
        if null is not None:
            null.add(standard)
        for name, result in sums.results().items():
            parts[name].append(result)
    return {name: _join(results) for name, results in parts.items()}


def of_trials(
    betas: Sequence[np.ndarray],
    trials: Sequence[pd.DataFrame],
    *,
    selections: Mapping[str, Selection],
    zscore: str,
    null: LabelNull | None = None,
) -> dict[str, NoiseCeiling]:
    """Return the noise ceilings of sessions from their trial tables.

    Parameters
    ----------
    betas : sequence of ndarray, (V, N_s)
    trials : sequence of DataFrame
        One per session, with the columns ``label`` and those of `runs_of`, rows in the order of the
        betas.
    selections : mapping
        Name to `Selection`.
    zscore : {"session", "run", "none"}
        As the configuration names it.
    null : LabelNull, optional
        Of the same trials; see `with_chance`.

    Returns
    -------
    dict of str to NoiseCeiling
    """
    return noise_ceilings(
        betas,
        [table["label"].tolist() for table in trials],
        runs=[runs_of(table).tolist() for table in trials],
        selections=selections,
        zscore=None if zscore == "none" else zscore,
        null=null,
    )


def with_chance(
    betas: Sequence[np.ndarray],
    trials: Sequence[pd.DataFrame],
    *,
    selections: Mapping[str, Selection],
    zscore: str,
    permutations: int,
    false_discovery_rate: float,
    seed: int,
) -> tuple[dict[str, NoiseCeiling], dict[str, Null]]:
    """Return the noise ceilings of sessions, and what they would be by chance.

    Parameters
    ----------
    betas, trials, selections, zscore
        See `of_trials`.
    permutations : int
        Shifts of the image labels within runs.
    false_discovery_rate : float
        Of the masks.
    seed : int

    Returns
    -------
    found : dict of str to NoiseCeiling
    chance : dict of str to Null
    """
    labels = [table["label"].tolist() for table in trials]
    runs = [runs_of(table).tolist() for table in trials]
    null = LabelNull(labels, runs, selections, permutations=permutations, seed=seed)
    found = of_trials(betas, trials, selections=selections, zscore=zscore, null=null)
    return found, null.results(found, q=false_discovery_rate)


def runs_of(trials: pd.DataFrame) -> np.ndarray:
    """Return the run (N,) of every trial as text: its ``stem``, or its ``run`` in older tables.

    Run labels do not tell runs apart that differ in ``dir`` or ``acq`` alone.
    """
    return trials["stem" if "stem" in trials else "run"].astype(str).to_numpy()


def _join(parts: list[NoiseCeiling]) -> NoiseCeiling:
    """Concatenate the results of consecutive voxels."""
    maps = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("nc", "ncsnr", "noise_variance", "signal_variance")
    ]
    return NoiseCeiling(*maps, repeats=parts[0].repeats)


def _check_length(betas: np.ndarray, values: Sequence, name: str) -> None:
    """Raise when there is not one value per trial."""
    if np.ndim(betas) != 2 or len(values) != np.shape(betas)[1]:
        raise DataError(f"{len(values)} {name} for betas of shape {np.shape(betas)} (voxel, trial)")
