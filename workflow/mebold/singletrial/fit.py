"""Single-trial betas: response choice, noise components and fractional ridge regression.

The numbers are those of GLMsingle 1.2 (Prince et al. 2022, eLife 11:e77599; upstream commit
1ab54a6). The algebra is another one: the model is block diagonal over runs, so every
matrix is that of one run, and voxels stream through in blocks, read from memory maps if need be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mebold.singletrial import contents, result
from mebold.singletrial.final import fraction_list
from mebold.singletrial.inputs import collect
from mebold.singletrial.result import SingleTrialFit
from mebold.singletrial.session import Session
from mebold.singletrial.stages import Options, run
from mebold.singletrial.stream import block_size, one_blas_thread
from mebold.singletrial.upstream import fit_upstream

#: Hears of the name of a stage and how much of it is done, 0 to 1.
Progress = Callable[[str, float], None]


def fit_glmsingle(
    data: Sequence[np.ndarray],
    design: Sequence[np.ndarray],
    *,
    tr: float,
    stimdur: float,
    session: Sequence | None = None,
    extra_regressors: Sequence[np.ndarray] | None = None,
    hrf_library: np.ndarray | None = None,
    hrf_assumed: np.ndarray | None = None,
    want_library: bool = True,
    want_glmdenoise: bool = True,
    want_fracridge: bool = True,
    n_pcs: int = 10,
    pcstop: float = 1.05,
    fractions: Sequence[float] | float | None = None,
    max_poly_degree: int | Sequence[int] | None = None,
    autoscale: bool = True,
    xval_groups: Sequence | None = None,
    brain_r2: float | None = None,
    pc_r2_cutoff: float | None = None,
    keep_extra_regressors: bool = False,
    chunk_voxels: int | None = None,
    n_threads: int = 1,
    seed: int = 0,
    want_denoise_betas: bool = False,
    brain_exclude: np.ndarray | None = None,
    pc_r2_mask: np.ndarray | None = None,
    out: Mapping[str, np.ndarray] | None = None,
    skip: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> SingleTrialFit:
    """Fit one beta per trial and voxel, as GLMsingle does.

    Parameters
    ----------
    data : sequence of ndarray, (V, T_r)
        Series of every run, any real dtype; may be read-only memory maps.
    design : sequence of ndarray or sparse matrix, (T_r, C)
        1 at the onset volume of a trial of that condition, else 0. If a run differs in length from
        its data, the longer one is cut, and that is noted.
    tr, stimdur : float
        Sampling interval and stimulus duration in seconds.
    session : sequence, length R, optional
        Session label of every run; betas are standardised within session in cross-validation.
    extra_regressors : sequence of ndarray (T_r, q) or None, optional
        Nuisance regressors of every run.
    hrf_library : ndarray (L', H), hrf_assumed : ndarray (L,), optional
        Responses sampled at `tr`, instead of those of `mebold.singletrial.hrf`.
    want_library : bool
        Choose a response per voxel; otherwise the assumed one is used everywhere.
    want_glmdenoise, want_fracridge : bool
        Use noise components; use fractional ridge regression.
    n_pcs : int
        Largest number of components.
    pcstop : float
        See `components.choose_count`; 0 or less means exactly -pcstop components.
    fractions : float or sequence of float, optional
        Candidates above 0 and at most 1; 1, 0.95 ... 0.05 unless given. A single one is used
        without cross-validation.
    max_poly_degree : int or sequence of int, optional
        Degree of the drifts (of every run); half the minutes of the run, rounded, unless given.
    autoscale : bool
        Bring shrunken betas back to the scale of the least squares betas.
    xval_groups : sequence, optional
        Runs (0-based), or groups of runs, left out together; every run alone unless given.
    brain_r2, pc_r2_cutoff : float, optional
        Thresholds of the on-off R2 in percent; found from the data unless given (0 is a value).
    keep_extra_regressors : bool
        Keep `extra_regressors` also in models without components. The reference drops them.
    chunk_voxels : int, optional
        Voxels in memory per thread.
    n_threads : int
        Worker threads, each with one BLAS thread.
    seed : int
        For the subset of more than a million values that the threshold is found from.
    want_denoise_betas : bool
        Also return the betas before ridge regression.
    brain_exclude : ndarray of bool (V,), optional
        Voxels that must not enter the noise pool.
    pc_r2_mask : ndarray of bool (V,), optional
        Voxels that may decide on the number of components.
    out : mapping, optional
        Arrays of shape (V, N) to write into, for example memory maps, under the names
        ``fithrf_betas``, ``denoise_betas``, ``betas``. The value None drops ``fithrf_betas``.
    skip : sequence of int, length R, optional
        Volumes at the start of every run that are left out of everything, for instance before the
        steady state: rows of data, regressors and drifts. Onsets keep their times, so a response to
        a trial among them is fitted with what is left of it.
    progress : callable, optional
        Called as ``progress(stage, fraction)`` while voxels are worked on.

    Returns
    -------
    SingleTrialFit

    Raises
    ------
    DataError
        If data, design or regressors do not fit together or hold nothing to fit.
    ConfigError
        If an option is out of range.

    References
    ----------
    Prince et al. 2022, eLife 11:e77599; GLMsingle 1.2, commit 1ab54a6.
    """
    collected = collect(
        data,
        design,
        tr=tr,
        stimdur=stimdur,
        session=session,
        extra_regressors=extra_regressors,
        hrf_library=hrf_library,
        hrf_assumed=hrf_assumed,
        want_library=want_library,
        max_poly_degree=max_poly_degree,
        xval_groups=xval_groups,
        skip=skip,
    )
    options = Options(
        glmdenoise=want_glmdenoise,
        fracridge=want_fracridge,
        n_pcs=n_pcs,
        pcstop=pcstop,
        fractions=fraction_list(fractions),
        autoscale=autoscale,
        keep_extra=keep_extra_regressors,
        denoise_betas=want_denoise_betas,
        brain_r2=brain_r2,
        pc_r2_cutoff=pc_r2_cutoff,
        seed=seed,
        exclude=brain_exclude,
        pc_mask=pc_r2_mask,
        out=dict(out or {}),
        chunk=block_size(sum(collected.n_volumes), chunk_voxels),
        n_threads=n_threads,
        progress=progress,
    )
    with one_blas_thread():
        return run(collected, options)


def fit(
    session: Session,
    *,
    engine: str,
    hrf_library: bool,
    glmdenoise: bool,
    fracridge: bool,
    n_pcs: int,
    pcstop: float,
    seed: int,
    n_threads: int,
    further: Sequence[str] = (),
    progress: Progress | None = None,
) -> result.SingleTrialFit:
    """Fit the session with the own implementation or with the glmsingle package.

    Parameters
    ----------
    session : Session
    engine : {"mebold", "upstream"}
    hrf_library, glmdenoise, fracridge, n_pcs, pcstop, seed, n_threads, progress
        As ``want_...`` and the rest of `fit_glmsingle`.
    further : sequence of {"FITHRF", "FITHRF_GLMDENOISE"}
        Simpler models whose betas are kept beside those of the last one.

    Returns
    -------
    SingleTrialFit
        Confounds of the session stay in every model, whatever number of noise components is
        chosen; only `engine` upstream leaves them out where it chooses none.
    """
    own = engine != "upstream"
    options = {"out": {} if "FITHRF" in further else {"fithrf_betas": None}, "progress": progress}
    options["keep_extra_regressors"] = session.confounds is not None
    function = fit_glmsingle if own else fit_upstream
    found = function(
        session.data,
        session.design,
        tr=session.tr,
        stimdur=session.stimulus_duration_s,
        want_library=hrf_library,
        want_glmdenoise=glmdenoise,
        want_fracridge=fracridge,
        n_pcs=n_pcs,
        pcstop=pcstop,
        seed=seed,
        n_threads=n_threads,
        skip=session.non_steady,
        extra_regressors=session.confounds,
        want_denoise_betas="FITHRF_GLMDENOISE" in further,
        **(options if own else {}),
    )
    return contents.kept(found, further)


def packages(engine: str) -> list[str]:
    """Return the distributions that an engine uses beside those of the own implementation."""
    return ["glmsingle", "scikit-learn"] if engine == "upstream" else []


def fields(found: result.SingleTrialFit) -> dict:
    """Return the results by name, with every per-voxel map that later steps rely on.

    A fit without ridge regression reports the fraction 1 everywhere and the R2 of its last model.
    """
    named = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    if named["frac_value"] is None:
        named["frac_value"] = np.ones(len(named["mean_volume"]), np.float32)
    return named


def maps(fields: Mapping) -> dict[str, tuple[np.ndarray, type, dict]]:
    """Return the maps of a fit that users get.

    Parameters
    ----------
    fields : mapping
        From `fields`.

    Returns
    -------
    dict of str to (values (V,), dtype on disk, metadata)
        ``r2`` (percent), ``hrf`` (index of the response, from 0), ``fracridge`` (above 0 to 1),
        ``onoff`` (R2 of all trials as one regressor, percent) and ``meanvol`` (mean of the series);
        0 where a voxel has no model.
    """
    return {
        "r2": (np.nan_to_num(fields["r2"]), np.float32, {"Units": "percent"}),
        "hrf": (np.nan_to_num(fields["hrf_index"]), np.int16, {}),
        "fracridge": (np.nan_to_num(fields["frac_value"]), np.float32, {"Units": "fraction"}),
        "onoff": (np.nan_to_num(fields["onoff_r2"]), np.float32, {"Units": "percent"}),
        "meanvol": (np.nan_to_num(fields["mean_volume"]), np.float32, {"Units": "as the series"}),
    }


def fitted(fields: Mapping) -> np.ndarray:
    """Return where a fit has results, (V,) bool: the voxels that every fitted run has data of."""
    return ~np.asarray(fields["lacking"]).any(axis=1)


def summary(session: Session, found: result.SingleTrialFit) -> dict:
    """Return what a reader wants to know of a fit before opening its maps."""
    repeats = session.trials["label"].value_counts()
    return {
        "RunsUsed": session.used,
        "RunsLeftOut": session.left_out,
        "TrialsLeftOut": session.excluded,
        "SamplesLeftOut": dict(zip(session.used, session.non_steady, strict=True)),
        "Trials": len(session.trials),
        "Conditions": int(repeats.size),
        "RepeatsPerCondition": {
            str(k): int(v) for k, v in repeats.value_counts().sort_index().items()
        },
        "LargestOnsetShift_s": float(session.trials["shift_s"].abs().max()),
        "Model": found.model,
        "NoiseComponents": found.pc_num,
        "BrainR2Threshold": found.brain_r2_threshold,
        "VoxelsFitted": int((~found.lacking.any(axis=1)).sum()),
        "VoxelsWithoutData": dict(
            zip(session.used, found.lacking.sum(axis=0).tolist(), strict=True)
        ),
        "Remarks": list(found.notes),
        "ReferencesAndLinks": [
            "Prince et al. 2022, eLife 11:e77599, doi 10.7554/eLife.77599",
            "Allen et al. 2022, Nat Neurosci 25:116, doi 10.1038/s41593-021-00962-x",
        ],
    }
