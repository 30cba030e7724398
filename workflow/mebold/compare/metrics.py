"""The metrics of the comparison, and what readers of its tables ask of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

#: Name -> (label for people, unit).
METRICS: dict[str, tuple[str, str]] = {
    "predictivity_single": ("Held-out predictivity of single trials in ROI", "1"),
    "predictivity": ("Held-out predictivity, repeats averaged, in ROI", "1"),
    "noise_ceiling_median": ("Median noise ceiling in ROI", "percent"),
    "noise_ceiling_median_different_runs": (
        "Median noise ceiling in ROI, pairs from different runs",
        "percent",
    ),
    "dprime": ("d-prime of noise ceiling, ROI against rest of brain", "1"),
    "signal_kept": ("Response to images kept, of the undenoised variant", "percent"),
    "smoothness_growth": ("Growth of smoothness, over the undenoised variant", "percent"),
    "responsive_kept": ("Responsive voxels kept, of the undenoised variant", "percent"),
    "percent_signal_change": ("Response to images, median over ROI", "percent"),
    "tsnr_median_roi": ("Median tSNR in ROI", "1"),
    "tsnr_median_brain": ("Median tSNR in brain", "1"),
    "smoothness_fwhm": ("Smoothness of the residuals, FWHM", "mm"),
    "glmdenoise_components": ("GLMdenoise components", "count"),
    "ica_fallback_runs": ("Runs with the optimal combination because ICA was not used", "count"),
    "voxels_roi": ("Voxels of the ROI that all variants have", "count"),
    "voxels_brain": ("Voxels of the brain that all variants have", "count"),
    "voxels_lacking": ("Voxels of the brain in which this variant has no betas", "count"),
}
#: Counts that say what was compared: they are neither subtracted nor tested.
COUNTS = ("voxels_roi", "voxels_brain", "voxels_lacking")
#: Metrics of which every pair of variants is subtracted, not only those with a reference.
HEADLINES = ("predictivity_single", "noise_ceiling_median")


def ica_fallbacks(table: pd.DataFrame) -> dict[str, int]:
    """Return the runs in which a variant holds the optimal combination for want of a usable ICA.

    Parameters
    ----------
    table : DataFrame
        Long table of `mebold.compare.tables.comparison_table`, one or more subjects.

    Returns
    -------
    dict of str to int
        Variant -> runs over all sessions; variants without such runs are absent.
    """
    rows = table[(table["metric"] == "ica_fallback_runs") & (table["value"] > 0)]
    return {v: int(n) for v, n in rows.groupby("variant", sort=False)["value"].sum().items()}


def envelope(intervals: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the smallest lower and the largest upper limit; NaN when there is none."""
    limits = np.array([i for i in intervals if np.isfinite(i).all()], float).reshape(-1, 2)
    if len(limits) == 0:
        return float("nan"), float("nan")
    return float(limits[:, 0].min()), float(limits[:, 1].max())
