"""All variants of one session with the same trials, region and resamples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mebold import compare
from mebold.compare import VariantMetrics


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
        See `mebold.compare.evaluate`.
    n_resamples, seed : int
        See `mebold.compare.prepare`.

    Returns
    -------
    dict of str to VariantMetrics
        In the order of `betas`.
    """
    labels, runs = trials["label"].to_numpy(), trials["run"].astype(str).to_numpy()
    cells, resamples = compare.prepare(labels, runs, n_resamples=n_resamples, seed=seed)
    results = {}
    for variant, values in betas.items():
        fallbacks = summaries[variant].get("IcaFallbacks")
        results[variant] = compare.evaluate(
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
