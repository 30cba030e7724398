"""Compare processing variants of one session: metrics, bootstrap and paired differences."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mebold.compare.metrics import METRICS
from mebold.errors import ConfigError, DataError
from mebold.noiseceiling.bootstrap import (
    METHODS,
    CeilingResamples,
    Resamples,
    draw_resamples,
    weight_plans,
)
from mebold.noiseceiling.ceilings import runs_of, total_deviation, zscore_betas
from mebold.noiseceiling.cells import RepeatCells, cell_sums, repeat_cells


@dataclass(frozen=True)
class VariantMetrics:
    """Metrics of one variant with their resamples.

    Attributes
    ----------
    values : dict of str to float
        Metric -> value in the data; keys and units as in ``METRICS``.
    samples : dict of str to dict of str to ndarray (B,)
        Method ("images", "runs") -> metric -> values in the resamples. Metrics that a method does
        not vary are absent.
    n_units : dict of str to int
        Method -> number of resampled units.
    draws_key : str
        Digest of trials and draws; paired differences need equal keys.
    """

    values: dict[str, float]
    samples: dict[str, dict[str, np.ndarray]]
    n_units: dict[str, int]
    draws_key: str = field(repr=False)


def prepare(
    labels: np.ndarray, runs: np.ndarray, *, n_resamples: int, seed: int, min_repeats: int = 2
) -> tuple[RepeatCells, Resamples]:
    """Arrange the repeats and draw the resamples that all variants of a session share.

    Parameters
    ----------
    labels, runs : array_like, (N,)
        Image and run of each trial.
    n_resamples : int
    seed : int
    min_repeats : int
        Images shown less often in the session are left out.

    Returns
    -------
    cells : RepeatCells
    resamples : Resamples
    """
    cells = repeat_cells(labels, runs, min_repeats=min_repeats)
    return cells, draw_resamples(cells, n_resamples=n_resamples, seed=seed)


def evaluate(
    betas: np.ndarray,
    *,
    labels: np.ndarray,
    runs: np.ndarray,
    roi: np.ndarray,
    cells: RepeatCells,
    resamples: Resamples,
    brain: np.ndarray | None = None,
    tsnr: np.ndarray | None = None,
    fwhm: np.ndarray | None = None,
    n_components: int | None = None,
    n_ica_fallbacks: int | None = None,
    zscore: str = "run",
    chunk_voxels: int = 8192,
) -> VariantMetrics:
    """Compute all metrics of one variant and session, with bootstrap over images and runs.

    Betas are z-scored per voxel once, before resampling. d-prime is the difference of
    the mean noise ceilings inside and outside the ROI over the root of the mean of the two
    variances (ddof 1), so it does not depend on the size of the ROI. Under resampled runs the mean
    of 1 / n stays that of the data: the number of repeats belongs to the design.

    Parameters
    ----------
    betas : ndarray, (V, N)
        Single-trial betas in percent signal change, trials in session order; a memory map or a
        dataset of an open file is read in chunks.
    labels, runs : array_like, (N,)
        Image and run of each trial.
    roi : ndarray, (V,), bool
        One mask for all variants.
    cells, resamples
        From :func:`prepare` with the same labels and runs.
    brain : ndarray, (V,), bool, optional
        Voxels of the brain; default all. ROI voxels outside it are left out.
    tsnr : ndarray, (R, V) or (V,), optional
        tSNR maps per run.
    fwhm : ndarray, (R,), optional
        Smoothness per run in mm.
    n_components : int, optional
        Number of GLMdenoise components.
    n_ica_fallbacks : int, optional
        Number of runs in which an ICA variant holds the optimal combination.
    zscore : {"run", "session", "none"}
        Level at which betas are z-scored, as for the noise-ceiling maps; "none" takes them as they
        are, so that they must have unit variance.
    chunk_voxels : int
        Voxels handled at a time.

    Returns
    -------
    VariantMetrics

    Raises
    ------
    DataError
        For shapes that do not belong together or an ROI that is empty or the whole brain.
    """
    labels, runs = np.asarray(labels), np.asarray(runs)
    inside, outside = _split(betas, labels, runs, roi, brain)
    summaries = {
        name: CeilingResamples(int(inside.sum()), plan)
        for name, plan in weight_plans(cells, resamples).items()
    }
    trial_means = np.zeros(betas.shape[1])
    used = inside | outside
    for start in range(0, betas.shape[0], chunk_voxels):
        rows = start + np.flatnonzero(used[start : start + chunk_voxels])
        if rows.size == 0:
            continue
        # A slice, and then the rows: files read a slice fast, and scattered rows one by one.
        block = np.asarray(betas[start : start + chunk_voxels], np.float32)[rows - start]
        in_roi = inside[rows]
        trial_means += np.nan_to_num(block[in_roi]).sum(0, dtype=np.float64)
        z = _zscore(block, runs, zscore)
        usable = np.isfinite(z).all(1) & (np.abs(z).max(1, initial=0) > 0)
        sums = cell_sums(np.where(usable[:, None], z, 0), cells)
        for summary in summaries.values():
            summary.add(sums, usable, in_roi)
    values, samples = _collect(summaries)
    _add_signal_change(values, samples, trial_means / inside.sum(), runs, cells, resamples)
    _add_run_metrics(values, samples, tsnr, fwhm, inside, used, cells, resamples)
    counts = {"glmdenoise_components": n_components, "ica_fallback_runs": n_ica_fallbacks}
    values |= {name: float(count) for name, count in counts.items() if count is not None}
    return VariantMetrics(
        values={m: values[m] for m in METRICS if m in values},
        samples=samples,
        n_units={"images": cells.n_images, "runs": cells.n_runs},
        draws_key=_draws_key(labels, runs, resamples),
    )


def _draws_key(labels: np.ndarray, runs: np.ndarray, resamples: Resamples) -> str:
    """Digest the trials and the draws, equal in every process."""
    text = repr((resamples.seed, resamples.n, labels.tolist(), runs.tolist()))
    return hashlib.sha256(text.encode()).hexdigest()


def _zscore(block: np.ndarray, runs: np.ndarray, level: str) -> np.ndarray:
    """z-score as the noise-ceiling maps do."""
    if level == "none":
        return block / total_deviation([block])
    if level not in ("run", "session"):
        raise ConfigError(f"z-scoring level is {level!r}; accepted: 'run', 'session', 'none'")
    return zscore_betas(block, runs if level == "run" else np.zeros_like(runs))


def _split(
    betas: np.ndarray,
    labels: np.ndarray,
    runs: np.ndarray,
    roi: np.ndarray,
    brain: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Check shapes; return the masks of ROI and rest of brain."""
    n_voxels, n_trials = betas.shape
    if labels.shape != (n_trials,) or runs.shape != (n_trials,):
        raise DataError(
            f"betas have {n_trials} trials, but there are {labels.size} labels and {runs.size} runs"
        )
    roi = np.asarray(roi, bool)
    brain = np.ones(n_voxels, bool) if brain is None else np.asarray(brain, bool)
    if roi.shape != (n_voxels,) or brain.shape != (n_voxels,):
        raise DataError(
            f"ROI mask {roi.shape} and brain mask {brain.shape} must have one entry for each of "
            f"the {n_voxels} voxels of the betas"
        )
    inside, outside = roi & brain, brain & ~roi
    if inside.sum() < 2 or outside.sum() < 2:
        raise DataError(
            f"the ROI has {inside.sum()} voxels and the rest of the brain {outside.sum()}; "
            "both need at least 2"
        )
    return inside, outside


def _collect(summaries: dict) -> tuple[dict, dict]:
    """Turn the collected noise ceilings into metrics."""
    values: dict[str, float] = {}
    samples: dict[str, dict[str, np.ndarray]] = {m: {} for m in METHODS}
    for (source, different), summary in summaries.items():
        suffix = "_different_runs" if different else ""
        found = {f"noise_ceiling_median{suffix}": summary.median()}
        if not different:
            found["dprime"] = summary.dprime()
        if source == "estimate":
            values |= {name: float(v[0]) for name, v in found.items()}
        else:
            samples[source] |= found
    return values, samples


def _add_signal_change(
    values: dict,
    samples: dict,
    trial_means: np.ndarray,
    runs: np.ndarray,
    cells: RepeatCells,
    resamples: Resamples,
) -> None:
    """Add the mean response over all trials, repeated images or not."""
    name = "percent_signal_change"
    values[name] = float(trial_means.mean())
    if resamples.images is not None:
        weight = resamples.images[:, cells.trial_image]
        samples["images"][name] = (weight @ trial_means) / weight.sum(1)
    if resamples.runs is not None:
        weight = resamples.runs[:, np.searchsorted(cells.run_names, runs)]
        samples["runs"][name] = (weight @ trial_means) / weight.sum(1)


def _add_run_metrics(
    values: dict,
    samples: dict,
    tsnr: np.ndarray | None,
    fwhm: np.ndarray | None,
    inside: np.ndarray,
    used: np.ndarray,
    cells: RepeatCells,
    resamples: Resamples,
) -> None:
    """Add metrics that exist per run: the median over voxels in each run, averaged over runs."""
    per_run = {}
    if tsnr is not None:
        maps = np.atleast_2d(tsnr)
        # 0 is no tSNR: the voxel has no data in that run.
        maps = np.where(maps > 0, maps, np.nan)
        for name, voxels in (("tsnr_median_roi", inside), ("tsnr_median_brain", used)):
            seen = [run[voxels & np.isfinite(run)] for run in maps]
            per_run[name] = np.array([np.median(run) if run.size else np.nan for run in seen])
    if fwhm is not None:
        per_run["smoothness_fwhm"] = np.atleast_1d(np.asarray(fwhm, float))
    for name, value in per_run.items():
        values[name] = float(value.mean())
        if resamples.runs is not None and value.size == cells.n_runs:
            samples["runs"][name] = resamples.runs @ value / resamples.runs.sum(1)


def evaluate_variants(
    betas: Mapping[str, np.ndarray],
    *,
    trials: pd.DataFrame,
    quality: Mapping[str, Mapping[str, np.ndarray]],
    summaries: Mapping[str, Mapping],
    roi: np.ndarray,
    brain: np.ndarray,
    zscore: str,
    n_resamples: int,
    seed: int,
) -> dict[str, VariantMetrics]:
    """Evaluate each variant of a session, read in chunks of voxels.

    Parameters
    ----------
    betas : mapping of str to (V, N) array
        Variant to single-trial betas in percent signal change; may be datasets of an open file.
        Voxels that are not finite count as voxels without signal.
    trials : DataFrame
        Columns ``label`` and ``run``, rows in the order of the betas; the same for all variants.
    quality : mapping of str to mapping
        Variant to ``tsnr`` (R, V) and ``fwhm`` (R,) in mm.
    summaries : mapping of str to mapping
        Variant to the summary of its fit: ``NoiseComponents``, and ``IcaFallbacks`` (a list of
        runs) for variants that ICA denoised.
    roi, brain : (V,) bool array
        Region of the comparison, and the voxels of the brain.
    zscore : {"run", "session", "none"}
        See `mebold.compare.session.evaluate`.
    n_resamples, seed : int
        See `mebold.compare.session.prepare`.

    Returns
    -------
    dict of str to VariantMetrics
        In the order of `betas`.
    """
    labels, runs = trials["label"].to_numpy(), runs_of(trials)
    cells, resamples = prepare(labels, runs, n_resamples=n_resamples, seed=seed)
    results = {}
    for variant, values in betas.items():
        fallbacks = summaries[variant].get("IcaFallbacks")
        results[variant] = evaluate(
            values,
            labels=labels,
            runs=runs,
            roi=roi,
            cells=cells,
            resamples=resamples,
            brain=brain,
            tsnr=quality[variant]["tsnr"],
            fwhm=quality[variant]["fwhm"],
            zscore=zscore,
            n_components=summaries[variant]["NoiseComponents"],
            n_ica_fallbacks=None if fallbacks is None else len(fallbacks),
        )
    return results
