"""The metrics of the comparison, and what readers of its tables ask of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

#: Name -> (label for people, unit).
METRICS: dict[str, tuple[str, str]] = {
    "noise_ceiling_median": ("Median noise ceiling in ROI", "percent"),
    "noise_ceiling_median_different_runs": (
        "Median noise ceiling in ROI, pairs from different runs",
        "percent",
    ),
    "dprime": ("d-prime of noise ceiling, ROI against rest of brain", "1"),
    "percent_signal_change": ("Mean response to images in ROI", "percent"),
    "tsnr_median_roi": ("Median tSNR in ROI", "1"),
    "tsnr_median_brain": ("Median tSNR in brain", "1"),
    "smoothness_fwhm": ("Smoothness of the residuals, FWHM", "mm"),
    "glmdenoise_components": ("GLMdenoise components", "count"),
    "ica_fallback_runs": ("Runs with the optimal combination because ICA was not used", "count"),
}


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
