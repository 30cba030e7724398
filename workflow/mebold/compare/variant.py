"""The metrics of one variant in one session, with their resamples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from mebold.compare.metrics import METRICS
from mebold.compare.predictivity import Amplitude, Predictivity, Reference
from mebold.compare.response import Response
from mebold.errors import ConfigError, DataError
from mebold.noiseceiling.bootstrap import METHODS, CeilingResamples, Resamples, weight_plans
from mebold.noiseceiling.ceilings import total_deviation, zscore_betas
from mebold.noiseceiling.cells import RepeatCells, cell_sums


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
    amplitude : Amplitude or None
        Response along that of the undenoised reference, for what a variant keeps of it.
    """

    values: dict[str, float]
    samples: dict[str, dict[str, np.ndarray]]
    n_units: dict[str, int]
    draws_key: str = field(repr=False)
    amplitude: Amplitude | None = field(default=None, repr=False)


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
    reference: Reference | None = None,
    zscore: str = "run",
    chunk_voxels: int = 8192,
) -> VariantMetrics:
    """Compute the metrics of one variant and session, with bootstrap over images and runs.

    Betas are z-scored per voxel once, before resampling. d-prime is the difference of
    the mean noise ceilings inside and outside the ROI over the root of the mean of the two
    variances (ddof 1), so it does not depend on the size of the ROI; NaN where either has fewer
    than two voxels, as are medians over an ROI without voxels. Under resampled runs the mean
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
        From `mebold.compare.session.prepare` with the same labels and runs.
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
    reference : Reference, optional
        Undenoised betas of the same ROI that this variant predicts.
    zscore : {"run", "session", "none"}
        Level at which betas are z-scored, as for the noise-ceiling maps; "none" takes them as they
        are, so that they must have unit variance. Predictivity is always standardised within run.
    chunk_voxels : int
        Voxels handled at a time.

    Returns
    -------
    VariantMetrics

    Raises
    ------
    DataError
        For shapes that do not belong together.
    """
    labels, runs = np.asarray(labels), np.asarray(runs)
    inside, used = _split(betas, labels, runs, roi, brain)
    n_inside = int(inside.sum())
    summaries = {
        name: CeilingResamples(n_inside, plan)
        for name, plan in weight_plans(cells, resamples).items()
    }
    response = Response(n_inside, runs, cells)
    predicted = None if reference is None else Predictivity(reference, n_inside)
    for rows, block in blocks(betas, used, chunk_voxels):
        in_roi = inside[rows]
        response.add(block[in_roi])
        if predicted is not None:
            predicted.add(block[in_roi])
        z = _zscore(block, runs, zscore)
        usable = np.isfinite(z).all(1) & (np.abs(z).max(1, initial=0) > 0)
        sums = cell_sums(np.where(usable[:, None], z, 0), cells)
        for summary in summaries.values():
            summary.add(sums, usable, in_roi)
    values, samples = _collect(summaries, inside, used)
    values["percent_signal_change"] = response.median()
    for method, found in response.samples(resamples).items():
        samples[method]["percent_signal_change"] = found
    if predicted is not None:
        values |= predicted.values()
        for method, found in predicted.samples(resamples).items():
            samples[method] |= found
    _add_run_metrics(values, samples, tsnr, fwhm, inside, used, cells, resamples)
    counts = {"glmdenoise_components": n_components, "ica_fallback_runs": n_ica_fallbacks}
    counts |= {"voxels_roi": n_inside, "voxels_brain": used.sum()}
    values |= {name: float(count) for name, count in counts.items() if count is not None}
    return VariantMetrics(
        values=ordered(values),
        samples=samples,
        n_units={"images": cells.n_images, "runs": cells.n_runs},
        draws_key=_draws_key(labels, runs, resamples),
        amplitude=None if predicted is None else predicted.amplitude(resamples),
    )


def ordered(values: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics in the order of `METRICS`."""
    return {metric: values[metric] for metric in METRICS if metric in values}


def blocks(
    betas: np.ndarray, used: np.ndarray, chunk_voxels: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read the voxels that are used in chunks: their positions and betas (float32)."""
    for start in range(0, betas.shape[0], chunk_voxels):
        rows = start + np.flatnonzero(used[start : start + chunk_voxels])
        if rows.size:
            # A slice, and then the rows: files read a slice fast, scattered rows one by one.
            yield rows, np.asarray(betas[start : start + chunk_voxels], np.float32)[rows - start]


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
    """Check shapes; return the masks of ROI and brain."""
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
    return roi & brain, brain


def _collect(summaries: dict, inside: np.ndarray, used: np.ndarray) -> tuple[dict, dict]:
    """Turn the collected noise ceilings into metrics."""
    n_inside, n_outside = inside.sum(), (used & ~inside).sum()
    values: dict[str, float] = {}
    samples: dict[str, dict[str, np.ndarray]] = {m: {} for m in METHODS}
    for (source, different), summary in summaries.items():
        suffix = "_different_runs" if different else ""
        nothing = np.full(len(summary.weights), np.nan)
        found = {f"noise_ceiling_median{suffix}": summary.median() if n_inside else nothing}
        if not different:
            found["dprime"] = summary.dprime() if min(n_inside, n_outside) > 1 else nothing
        if source == "estimate":
            values |= {name: float(v[0]) for name, v in found.items()}
        else:
            samples[source] |= found
    return values, samples


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
