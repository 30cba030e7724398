"""A GLM of the conditions of a task: nilearn's design, noise model and fixed effects on arrays."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from nilearn.glm import Contrast, compute_contrast
from nilearn.glm.first_level import make_first_level_design_matrix, mean_scaling, run_glm

from mebold.confounds import drifts
from mebold.errors import DataError, GridMismatchError, MetadataError
from mebold.rois import contrasts

_VOXELS_AT_ONCE = 20_000
_SINGULAR = 1e-10  # of the largest singular value
_NOT_ESTIMABLE = 1e-6  # share of a contrast that lies outside of what the design spans


@dataclass(frozen=True)
class Estimate:
    """One contrast in one run.

    Attributes
    ----------
    effect : (V,) float32 array
        Percent of the mean signal, where a long block has a response of 1 (nilearn's regressors).
    variance : (V,) float32 array
        Its variance, percent squared.
    dof : float
        Degrees of freedom.
    """

    effect: np.ndarray
    variance: np.ndarray
    dof: float


def events_of(
    table: pd.DataFrame, *, column: str, baseline: Collection[str], end_s: float, name: str
) -> pd.DataFrame:
    """Return the events that a design is made of.

    Parameters
    ----------
    table : DataFrame
        As read from events.tsv.
    column : str
        Names the condition.
    baseline : collection of str
        Values of `column` that are no condition.
    end_s : float
        Events that start there or later are left out.
    name : str
        Of the file, for messages.

    Returns
    -------
    DataFrame
        ``onset``, ``duration`` (s) and ``trial_type``.

    Raises
    ------
    MetadataError
        When a column is absent.
    DataError
        For an onset or a duration that is no number, or below 0; when no event is left.
    """
    lacking = [one for one in ("onset", "duration", column) if one not in table]
    if lacking:
        raise MetadataError(
            f"{name}: events have no column {lacking[0]!r} (they have: {', '.join(table.columns)})"
        )
    shown = set(contrasts.labels(table[column], baseline))
    label = table[column].astype(str).str.strip()
    kept = table[label.isin(shown)]
    found = pd.DataFrame({"trial_type": label[kept.index]})
    for one in ("onset", "duration"):
        found[one] = pd.to_numeric(kept[one], errors="coerce")
        bad = ~np.isfinite(found[one]) | (found[one] < 0 if one == "duration" else False)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            cell = str(kept[one].iloc[row])
            raise DataError(
                f"{name}: {int(bad.sum())} of {len(found)} events have no usable {one}, such as "
                f"{cell!r} of {found['trial_type'].iloc[row]}; seconds are needed"
            )
    found = found[found["onset"] < end_s].reset_index(drop=True)
    if found.empty:
        raise DataError(f"{name}: no event of a condition begins before the run ends ({end_s:g} s)")
    return found[["onset", "duration", "trial_type"]]


def design(
    events: pd.DataFrame,
    *,
    n_samples: int,
    tr: float,
    first_s: float,
    response: str,
    drift: str,
    cut_off_s: float,
    confounds: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the design of a run.

    Parameters
    ----------
    events : DataFrame
        ``onset``, ``duration`` (s) and ``trial_type``.
    n_samples : int
    tr : float
        Between samples, s.
    first_s : float
        Time of the first sample, s after the start of the run.
    response : str
        Response function, as nilearn names them: ``glover``, ``spm``, with ``+ derivative`` and
        ``+ dispersion``.
    drift : {"cosine", "polynomial", "none"}
        Polynomials have one degree per two minutes.
    cut_off_s : float
        Shortest period of the cosines, s.
    confounds : (T, q) array, optional

    Returns
    -------
    (T, P) DataFrame
        Conditions under their own names, drifts, ``constant``, and confounds as ``nuisanceNN``.

    Raises
    ------
    DataError
        When the run has no more samples than the design columns.
    """
    # Under names of our own: labels may be anything, `constant` and `drift_1` too.
    labels = list(dict.fromkeys(events["trial_type"]))
    own = {label: f"condition{index:03d}" for index, label in enumerate(labels)}
    named = events[["onset", "duration"]].assign(trial_type=events["trial_type"].map(own))
    extra = {}
    if confounds is not None:
        confounds = np.asarray(confounds, float)[:, np.any(confounds, axis=0)]
    if confounds is not None and confounds.shape[1]:
        names = [f"nuisance{index:02d}" for index in range(confounds.shape[1])]
        extra = {"add_regs": confounds, "add_reg_names": names}
    with warnings.catch_warnings():
        # Confounds may be alike; whether a contrast can be estimated is looked at in `fit`.
        warnings.filterwarnings("ignore", message="Matrix is singular")
        matrix = make_first_level_design_matrix(
            first_s + tr * np.arange(n_samples),
            named,
            hrf_model=response,
            drift_model=None if drift == "none" else drift,
            high_pass=1 / cut_off_s,
            drift_order=max(drifts.degree(n_samples, tr=tr), 1),
            **extra,
        )
    if n_samples <= matrix.shape[1]:
        raise DataError(
            f"the run has {n_samples} samples for {matrix.shape[1]} regressors "
            f"({len(labels)} conditions, {len(extra.get('add_reg_names', ()))} confounds): leave "
            "confounds out (`rois.localizer.confounds`), or the run (`exclude`)"
        )
    return matrix.rename(columns={name: label for label, name in own.items()})


def fit(
    data: np.ndarray,
    matrix: pd.DataFrame,
    weights: Mapping[str, Mapping[str, float]],
    *,
    noise: str,
) -> dict[str, Estimate]:
    """Fit a run and estimate contrasts, as nilearn's ``FirstLevelModel`` does on images.

    Parameters
    ----------
    data : (V, T) array
        Series; one without variance has no estimate (NaN).
    matrix : (T, P) DataFrame
        From `design`.
    weights : mapping of str to mapping of str to float
        Contrast to the weights of its conditions.
    noise : {"ar1", "ols"}
        Autoregressive noise of order 1, or white noise.

    Returns
    -------
    dict of str to Estimate

    Raises
    ------
    DataError
        When a contrast cannot be estimated: its conditions are told apart by nothing.
    """
    if data.shape[1] != len(matrix):
        raise GridMismatchError(f"a series of {data.shape[1]} samples, a design of {len(matrix)}")
    vectors = {name: _vector(name, own, matrix) for name, own in weights.items()}
    known = np.isfinite(data).all(axis=1) & (data.std(axis=1) > 0) & (data.mean(axis=1) > 0)
    voxels = np.flatnonzero(known)
    empty = np.full(len(data), np.nan, np.float32)
    effects = {name: empty.copy() for name in vectors}
    variances = {name: empty.copy() for name in vectors}
    dof = {name: float(len(matrix) - np.linalg.matrix_rank(matrix.to_numpy())) for name in vectors}
    for first in range(0, voxels.size, _VOXELS_AT_ONCE):
        chosen = voxels[first : first + _VOXELS_AT_ONCE]
        scaled, _ = mean_scaling(np.asarray(data[chosen], np.float64).T)
        labels, results = run_glm(scaled, matrix.to_numpy(), noise_model=noise)
        for name, vector in vectors.items():
            found = compute_contrast(labels, results, vector, stat_type="t")
            effects[name][chosen] = found.effect_size()
            variances[name][chosen] = found.effect_variance()
            dof[name] = float(found.dof)
    return {name: Estimate(effects[name], variances[name], dof[name]) for name in vectors}


def _vector(name: str, weights: Mapping[str, float], matrix: pd.DataFrame) -> np.ndarray:
    """Return a contrast over the columns of a design, checked to be estimable in it."""
    vector = np.array([weights.get(column, 0.0) for column in matrix.columns])
    values = matrix.to_numpy()
    spanned = vector @ np.linalg.pinv(values, rcond=_SINGULAR) @ values
    if np.abs(spanned - vector).max() > _NOT_ESTIMABLE * np.abs(vector).max():
        raise DataError(
            f"contrast {name} cannot be estimated: {', '.join(weights)} have responses that other "
            "regressors of the run explain wholly, or none at all (events after its end)"
        )
    return vector


def combined(estimates: Sequence[Estimate]) -> tuple[np.ndarray, np.ndarray, float]:
    """Combine a contrast over runs: nilearn's fixed effects, each run with the same weight.

    Parameters
    ----------
    estimates : sequence of Estimate
        Of one contrast, a run each.

    Returns
    -------
    effect, z : (V,) float32 array
        Percent; NaN in voxels that some run has no data of.
    dof : float
        Of all runs together.
    """
    known = np.all([np.isfinite(one.effect) for one in estimates], axis=0)
    effect, z = (np.full(known.size, np.nan, np.float32) for _ in range(2))
    dofs = [one.dof for one in estimates]
    if not known.any():
        return effect, z, sum(dofs)
    # As nilearn's `compute_fixed_effects` on images.
    count = len(estimates)
    found = Contrast(
        effect=np.mean([one.effect[known] for one in estimates], axis=0, dtype=np.float64),
        variance=np.sum([one.variance[known] for one in estimates], axis=0) / count**2,
        dim=1,
        dof=sum(dofs),
        stat_type="t",
    )
    effect[known], z[known] = found.effect, found.z_score()
    return effect, z, sum(dofs)
