"""What a variant costs: response to images kept, smoothness added, responsive voxels kept.

Each is relative to the undenoised variant of the same echoes, its counterpart: the response of one
echo and that of a combination differ by their echo times, and nothing is lost by that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from mebold.compare.predictivity import Amplitude
from mebold.noiseceiling.bootstrap import interval
from mebold.variants import VARIANTS

#: Undenoised variants that others are held against, the first of them that is compared.
REFERENCES = ("standardOptcom", "standardSingle")
#: Metric -> (key of the configuration, whether larger values are worse, what it warns of).
LIMITS = {
    "signal_kept": (
        *("least_signal_kept", False),
        "keeps {value:.3g} % of the response to images of {other}",
    ),
    "smoothness_growth": (
        *("most_smoothness_growth", True),
        "is {value:.3g} % smoother than {other}",
    ),
    "responsive_kept": (
        *("least_responsive_kept", False),
        "keeps {value:.3g} % of the responsive voxels of {other}",
    ),
}


def reference_of(compared: Collection[str]) -> str | None:
    """Return the undenoised variant whose betas are predicted; None where none is compared."""
    return next((variant for variant in REFERENCES if variant in compared), None)


def counterpart(variant: str, compared: Collection[str]) -> str | None:
    """Return the undenoised variant that a variant is held against.

    That of the same echoes (the optimal combination, for ICA); where it is not compared, the
    reference of all.
    """
    own = "standardSingle" if VARIANTS.get(variant, ("", ""))[1] == "single" else "standardOptcom"
    return own if own in compared else reference_of(compared)


def signal_kept(own: Amplitude, other: Amplitude) -> tuple[float, dict[str, np.ndarray]]:
    """Return the share of the response to images that a variant keeps of its counterpart.

    Parameters
    ----------
    own, other : Amplitude
        Of the variant, and of its counterpart.

    Returns
    -------
    value : float
        Percent. NaN where the counterpart's own amplitude is not surely above 0: then there is no
        response to keep.
    samples : dict of str to ndarray (B,)
    """
    lowest = [interval(other.value, s)[0] for s in other.samples.values()]
    if not lowest or not min(lowest) > 0:
        return float("nan"), {}
    samples = {method: 100 * s / other.samples[method] for method, s in own.samples.items()}
    return 100 * own.value / other.value, samples


def responsive_kept(score: np.ndarray, other: np.ndarray, *, threshold: float) -> float:
    """Return the share of the counterpart's responsive voxels that respond in a variant.

    Parameters
    ----------
    score, other : ndarray, (V,)
        Cross-validated response to images of the variant and its counterpart, in the brain.
    threshold : float
        Score above which a voxel responds.

    Returns
    -------
    float
        Percent; NaN where the counterpart has none.
    """
    responsive = np.nan_to_num(other) > threshold
    if not responsive.any():
        return float("nan")
    return float(100 * np.mean(np.nan_to_num(score)[responsive] > threshold))


def warnings(table: pd.DataFrame, limits: Mapping[str, float]) -> dict[str, list[str]]:
    """Say which variants are beyond the limits of the configuration.

    Parameters
    ----------
    table : DataFrame
        Long table of one comparison (`mebold.compare.tasks`), subjects and sessions are averaged.
    limits : mapping
        Keys of `LIMITS` in the section ``compare``, percent.

    Returns
    -------
    dict of str to list of str
        Variant -> what is to be said of it, as predicates; just the variants that have one.
    """
    compared = list(dict.fromkeys(table["variant"]))
    found: dict[str, list[str]] = {}
    for metric, (key, larger_is_worse, words) in LIMITS.items():
        for variant, value in averages(table, metric).items():
            if value > limits[key] if larger_is_worse else value < limits[key]:
                text = words.format(value=value, other=counterpart(variant, compared))
                found.setdefault(variant, []).append(f"{text} (`{key}`: {limits[key]:g} %)")
    return found


def averages(table: pd.DataFrame, metric: str) -> pd.Series:
    """Return a metric of every variant: sessions of a subject averaged, then subjects."""
    part = table[(table["metric"] == metric) & table["value"].notna()]
    per_subject = part.groupby(["subject", "variant"], sort=False)["value"].mean()
    return per_subject.groupby(level="variant", sort=False).mean()
