"""Results of the single-trial fit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class SingleTrialFit:
    """Results of `fit_glmsingle`: V voxels, N trials, R runs, H responses, K - 1 components.

    R2 are percent. Betas are percent of the voxel's mean. A stage that did not run leaves None.
    Voxels that lack data in any run have NaN R2 and betas, response index 0, fraction 1 and
    badness 0. (The reference gives them betas: of a run without data they do not vary, and pass for
    responses that agree.)

    Attributes
    ----------
    hrf_assumed : ndarray, (L,) float32
        Response of the on-off model, peak 1.
    hrf_library : ndarray, (L', H) float32
        Candidate responses, peak 1.
    onoff_r2, onoff_betas, mean_volume : ndarray, (V,), (V, 1), (V,) float32
        Model of all trials as one regressor.
    lacking : ndarray, (V, R) bool
        Runs in which a voxel has no data: samples that are not finite, or nothing beyond drift.
    brain_r2_threshold, pc_r2_threshold : float
        Percent; below: noise pool, above: voxels that decide on the number of components.
    fithrf_r2 : ndarray, (V, H) float32
    fithrf_betas : ndarray, (V, N) float32
        Least squares betas with the chosen response.
    hrf_index, hrf_index_run : ndarray, (V,), (V, R) int16
        Chosen response, 0-based, from all runs and from every run.
    fithrf_r2_run : ndarray, (V, R) float32
        R2 of the chosen response in every run.
    noise_pool, pc_voxels : ndarray, (V,) bool
    pc_regressors : list of ndarray, (T_r, K) float32
        Candidate components, unit standard deviation, sign arbitrary; empty without GLMdenoise.
    glm_badness : ndarray, (V, K) float32
        Cross-validated error with 0 to K - 1 components.
    xval_trend : ndarray, (K,) float32
    pc_num : int
        Components in the final model.
    denoise_r2, denoise_betas : ndarray, (V,), (V, N) float32
        Final model without ridge regression; the betas only on request.
    rr_badness : ndarray, (V, F) float32
        Cross-validated error of every fraction.
    frac_value : ndarray, (V,) float32
    scale_offset : ndarray, (V, 2) float32
        Slope and offset, in units of the data, applied to ridge betas.
    r2, r2_run : ndarray, (V,), (V, R) float32
        Final model, before rescaling.
    betas : ndarray, (V, N) float32
        Betas of the last model that was fitted, named by `model`.
    model : str
        FITHRF, FITHRF_GLMDENOISE, FITHRF_RR or FITHRF_GLMDENOISE_RR.
    fractions : ndarray, (F,) float64
        Candidates, largest first.
    trial_run, trial_volume, trial_condition : ndarray, (N,) int
        Run, onset volume and design column of every beta.
    notes : list of str
        Remarks: stages that were left out and why, voxels and trials that could not be used.
    """

    hrf_assumed: np.ndarray
    hrf_library: np.ndarray
    onoff_r2: np.ndarray
    onoff_betas: np.ndarray
    mean_volume: np.ndarray
    lacking: np.ndarray
    brain_r2_threshold: float
    pc_r2_threshold: float
    fithrf_r2: np.ndarray
    fithrf_betas: np.ndarray | None
    hrf_index: np.ndarray
    hrf_index_run: np.ndarray
    fithrf_r2_run: np.ndarray
    trial_run: np.ndarray
    trial_volume: np.ndarray
    trial_condition: np.ndarray
    fractions: np.ndarray
    noise_pool: np.ndarray | None = None
    pc_voxels: np.ndarray | None = None
    pc_regressors: list[np.ndarray] = field(default_factory=list)
    glm_badness: np.ndarray | None = None
    xval_trend: np.ndarray | None = None
    pc_num: int = 0
    denoise_r2: np.ndarray | None = None
    denoise_betas: np.ndarray | None = None
    rr_badness: np.ndarray | None = None
    frac_value: np.ndarray | None = None
    scale_offset: np.ndarray | None = None
    r2: np.ndarray | None = None
    r2_run: np.ndarray | None = None
    betas: np.ndarray | None = None
    model: str = "FITHRF"
    notes: list[str] = field(default_factory=list)


def blank(fit: SingleTrialFit) -> np.ndarray:
    """Leave no betas in voxels that lack data in any run, in place; return these voxels, (V,)."""
    bad = fit.lacking.any(axis=1)
    rows = np.flatnonzero(bad)
    for values in (fit.fithrf_betas, fit.denoise_betas, fit.betas):
        if values is not None:
            values[rows] = np.nan
    return bad


def to_percent(betas: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Convert betas (m, N) from raw units to percent of the mean; NaN where the mean is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return betas * (100 / np.abs(mean))[:, None].astype(np.float32)


def percent_of(explained: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Return explained sums of squares in percent of `energy`; NaN where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (100 * explained / energy).astype(np.float32)
