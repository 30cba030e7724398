"""Compare processing variants of one session: the same voxels, trials and resamples for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from mebold.compare import price
from mebold.compare.predictivity import Reference, partners
from mebold.compare.variant import VariantMetrics, blocks, evaluate, ordered
from mebold.noiseceiling.bootstrap import METHODS, Resamples, draw_resamples
from mebold.noiseceiling.ceilings import runs_of
from mebold.noiseceiling.cells import RepeatCells, repeat_cells


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


def voxels_with_data(
    betas: np.ndarray, runs: np.ndarray, *, chunk_voxels: int = 8192
) -> np.ndarray:
    """Find the voxels of a variant whose betas are finite and vary in every run.

    A voxel without data in a run has one value there, which z-scoring turns into zeros that
    repeat perfectly: in noise alone its noise ceiling is 16 % with one of 12 runs missing.

    Parameters
    ----------
    betas : ndarray, (V, N)
        As for `mebold.compare.variant.evaluate`; read in chunks.
    runs : array_like, (N,)
    chunk_voxels : int

    Returns
    -------
    ndarray, (V,), bool
    """
    order = np.argsort(runs, kind="stable")
    sizes = np.unique(np.asarray(runs), return_counts=True)[1]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    in_order = bool((np.diff(order) == 1).all())
    found = np.zeros(betas.shape[0], bool)
    for rows, block in blocks(betas, np.ones_like(found), chunk_voxels):
        sorted_block = block if in_order else block[:, order]
        with np.errstate(invalid="ignore"):
            largest = np.maximum.reduceat(sorted_block, starts, axis=1)
            smallest = np.minimum.reduceat(sorted_block, starts, axis=1)
            # Rounding of a constant is no variation; a run of one trial cannot vary.
            floor = 1e-5 * np.maximum(largest, -smallest).max(axis=1, keepdims=True)
            varies = (largest - smallest > floor) | ((sizes == 1) & np.isfinite(largest))
        found[rows] = varies.all(axis=1)
    return found


def evaluate_variants(
    betas: Mapping[str, np.ndarray],
    *,
    trials: pd.DataFrame,
    quality: Mapping[str, Mapping[str, np.ndarray]],
    summaries: Mapping[str, Mapping],
    seen: Mapping[str, np.ndarray],
    roi: np.ndarray,
    brain: np.ndarray,
    threshold: float,
    zscore: str,
    n_resamples: int,
    seed: int,
) -> dict[str, VariantMetrics]:
    """Evaluate each variant of a session in the voxels that all have, read in chunks.

    Parameters
    ----------
    betas : mapping of str to (V, N) array
        Variant to single-trial betas in percent signal change; may be datasets of an open file.
    trials : DataFrame
        Columns ``label`` and ``run``, rows in the order of the betas; the same for all variants.
    quality : mapping of str to mapping
        Variant to ``tsnr`` (R, V), ``fwhm`` (R,) in mm, and where it is known ``score`` (V,), the
        cross-validated response to images.
    summaries : mapping of str to mapping
        Variant to the summary of its fit: ``NoiseComponents``, and ``IcaFallbacks`` (a list of
        runs) for variants that ICA denoised.
    seen : mapping of str to (V,) bool array
        `voxels_with_data` of every variant. Region and brain are cut to what all have.
    roi, brain : (V,) bool array
        Region of the comparison, and the voxels of the brain.
    threshold : float
        Score above which a voxel responds.
    zscore : {"run", "session", "none"}
        See `mebold.compare.variant.evaluate`.
    n_resamples, seed : int
        See `prepare`.

    Returns
    -------
    dict of str to VariantMetrics
        In the order of `betas`. Predictivity and prices are absent where no undenoised variant is
        among them, or no image is shown in two runs.
    """
    labels, runs = trials["label"].to_numpy(), runs_of(trials)
    cells, resamples = prepare(labels, runs, n_resamples=n_resamples, seed=seed)
    everywhere = brain & np.all(list(seen.values()), axis=0)
    reference = _reference(betas, roi & everywhere, labels, runs)
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
            brain=everywhere,
            tsnr=quality[variant]["tsnr"],
            fwhm=quality[variant]["fwhm"],
            zscore=zscore,
            n_components=summaries[variant]["NoiseComponents"],
            n_ica_fallbacks=None if fallbacks is None else len(fallbacks),
            reference=reference,
        )
        lacking = np.count_nonzero(brain & ~seen[variant])
        results[variant].values["voxels_lacking"] = float(lacking)
    scores = {v: quality[v]["score"][everywhere] for v in results if "score" in quality[v]}
    return {
        variant: _with_prices(variant, results, scores, threshold=threshold) for variant in results
    }


def _reference(
    betas: Mapping[str, np.ndarray], region: np.ndarray, labels: np.ndarray, runs: np.ndarray
) -> Reference | None:
    """Read the undenoised variant that all predict; None where there is nothing to predict."""
    name, found = price.reference_of(betas), partners(labels, runs)
    if name is None or found is None:
        return None
    return Reference((block for _, block in blocks(betas[name], region, 8192)), runs, found)


def _with_prices(
    variant: str,
    results: Mapping[str, VariantMetrics],
    scores: Mapping[str, np.ndarray],
    *,
    threshold: float,
) -> VariantMetrics:
    """Add what a variant costs against its undenoised counterpart."""
    own, name = results[variant], price.counterpart(variant, results)
    if name is None:
        return own
    other, values = results[name], dict(own.values)
    samples = {method: dict(found) for method, found in own.samples.items()}
    if own.amplitude is not None:
        values["signal_kept"], found = price.signal_kept(own.amplitude, other.amplitude)
        for method, resampled in found.items():
            samples[method]["signal_kept"] = resampled
    smooth = "smoothness_fwhm"
    if smooth in values and other.values.get(smooth, 0) > 0:
        values["smoothness_growth"] = 100 * (values[smooth] / other.values[smooth] - 1)
        for method in [m for m in METHODS if smooth in own.samples[m]]:
            ratio = own.samples[method][smooth] / other.samples[method][smooth]
            samples[method]["smoothness_growth"] = 100 * (ratio - 1)
    if variant in scores and name in scores:
        pair = scores[variant], scores[name]
        values["responsive_kept"] = price.responsive_kept(*pair, threshold=threshold)
    return replace(own, values=ordered(values), samples=samples)
