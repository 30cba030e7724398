"""Component-based noise regressors (CompCor) and the slow cosines removed before them."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mebold.errors import ConfigError

logger = logging.getLogger(__name__)
# Column prefix, mask name in the sidecar, and method of each decomposition.
_KINDS = {
    "c": ("CSF", "aCompCor"),
    "w": ("WM", "aCompCor"),
    "a": ("combined", "aCompCor"),
    "t": ("brain", "tCompCor"),
    "edge": ("edge", "aCompCor"),
}


@dataclass(frozen=True)
class CompCorOptions:
    """How many components are kept, and of what.

    Attributes
    ----------
    variance : float
        Share of variance that the kept components explain together.
    high_pass_s : float
        Longest period, in seconds, that survives the cosine filter before the decomposition.
    high_variance_share : float
        Share of brain voxels with the largest temporal standard deviation used by tCompCor.
    min_voxels : int
        Smallest mask that is decomposed.
    """

    variance: float = 0.5
    high_pass_s: float = 128.0
    high_variance_share: float = 0.02
    min_voxels: int = 10


@dataclass(frozen=True)
class CompCor:
    """Columns, their sidecar entries, and the voxels that tCompCor chose ((V,) bool)."""

    table: pd.DataFrame
    metadata: dict[str, Any]
    high_variance: np.ndarray


def cosines(n_times: int, *, tr: float, period_s: float, skip: int = 0) -> np.ndarray:
    """Return the discrete cosine regressors slower than a period, without the constant.

    Parameters
    ----------
    n_times : int
        Samples of the series.
    tr : float
        Seconds between samples.
    period_s : float
        Shortest period of a regressor in seconds.
    skip : int
        Leading samples outside the basis; they are 0.

    Returns
    -------
    (T, K) float64 array
        K may be 0 in a short series.

    References
    ----------
    nipype 1.10 ``algorithms.confounds.cosine_filter``.
    """
    from nipype.algorithms.confounds import cosine_filter

    n_used = n_times - skip
    if n_used < 2:
        return np.zeros((n_times, 0))
    basis = cosine_filter(np.zeros((1, n_used)), tr, period_s)[1]
    if basis.size == 0:
        return np.zeros((n_times, 0))
    return np.vstack([np.zeros((skip, basis.shape[1])), basis])


def high_variance_voxels(series: np.ndarray, brain: np.ndarray, *, share: float) -> np.ndarray:
    """Find the brain voxels with the largest temporal standard deviation after a quadratic trend.

    Parameters
    ----------
    series : (V, T) array
    brain : (V,) bool array
    share : float
        Share of brain voxels to return.

    Returns
    -------
    (V,) bool array

    References
    ----------
    nipype 1.10 ``algorithms.confounds.TCompCor``.
    """
    from nipype.algorithms.confounds import regress_poly

    deviation = np.zeros(len(brain))
    indices = np.flatnonzero(brain)
    for start in range(0, len(indices), 20_000):
        here = indices[start : start + 20_000]
        deviation[here] = regress_poly(2, np.asarray(series[here], dtype=np.float64))[0].std(axis=1)
    threshold = np.percentile(deviation[indices], 100 * (1 - share))
    return brain & (deviation >= threshold) & (deviation > 0)


def _decompose(
    values: np.ndarray, *, tr: float, options: CompCorOptions
) -> tuple[np.ndarray, dict[str, Any]]:
    """Run nipype's decomposition on the voxels of one mask: components (T, K) and their table."""
    import nibabel as nib
    from nipype.algorithms.confounds import compute_noise_components

    # nipype wants a grid; NIfTI-2 allows more than 32767 voxels along one axis.
    everything = nib.Nifti2Image(np.ones((len(values), 1, 1), dtype=np.uint8), np.eye(4))
    components, _, table = compute_noise_components(
        values[:, None, None, :],
        [everything],
        components_criterion=options.variance,
        filter_type="cosine",
        period_cut=options.high_pass_s,
        repetition_time=tr,
    )
    return components, table


def compcor(
    series: np.ndarray,
    masks: dict[str, np.ndarray],
    *,
    tr: float,
    options: CompCorOptions | None = None,
    skip: int = 0,
) -> CompCor:
    """Compute anatomical and temporal CompCor regressors.

    Parameters
    ----------
    series : (V, T) array
        May be a memory map; only voxels of the masks are read.
    masks : dict of str to (V,) bool array
        ``csf``, ``wm``, ``brain`` and optionally ``edge``; absent or too small masks give no
        columns, and the log says so.
    tr : float
        Seconds between samples.
    options : CompCorOptions, optional
    skip : int
        Leading samples that are not steady; the components are 0 there.

    Returns
    -------
    CompCor
        Columns ``c_comp_cor_NN`` (CSF), ``w_comp_cor_NN`` (white matter), ``a_comp_cor_NN``
        (both), ``t_comp_cor_NN`` (most variable brain voxels), ``edge_comp_NN``; numbers are
        consecutive from 00. The metadata also describe the dropped components.

    Raises
    ------
    ConfigError
        When the share of variance is not between 0 and 1.

    References
    ----------
    Behzadi et al. 2007, NeuroImage 37(1):90; nipype 1.10 ``compute_noise_components``.
    """
    options = options or CompCorOptions()
    if not 0 < options.variance < 1:
        message = f"CompCor variance is {options.variance}; a share between 0 and 1 is needed."
        raise ConfigError(message)
    regions = dict(masks)
    empty = np.zeros(len(series), dtype=bool)
    csf, wm = regions.get("csf", empty), regions.get("wm", empty)
    high = empty
    if "brain" in regions:
        high = high_variance_voxels(
            series[:, skip:], np.asarray(regions["brain"], bool), share=options.high_variance_share
        )
    chosen = {"c": csf, "w": wm, "a": csf | wm, "t": high, "edge": regions.get("edge", empty)}
    columns: dict[str, np.ndarray] = {}
    metadata: dict[str, Any] = {}
    dropped = 0
    for prefix, region in chosen.items():
        mask_name, method = _KINDS[prefix]
        values = np.array(series[np.asarray(region, dtype=bool), skip:], dtype=np.float64)
        values = values[values.std(axis=1) > 0]
        if len(values) < options.min_voxels:
            if prefix in "cwat":
                logger.warning("No %s components: mask of %d voxels", mask_name, len(values))
            continue
        components, table = _decompose(values, tr=tr, options=options)
        stem = "edge_comp" if prefix == "edge" else f"{prefix}_comp_cor"
        for index, retained in enumerate(table["retained"]):
            name = f"{stem}_{index:02d}" if retained else f"dropped_{dropped}"
            dropped += not retained
            metadata[name] = {
                "Mask": mask_name,
                "Method": method,
                "Retained": bool(retained),
                "SingularValue": float(table["singular_value"][index]),
                "VarianceExplained": float(table["variance_explained"][index]),
                "CumulativeVarianceExplained": float(table["cumulative_variance_explained"][index]),
            }
            if retained:
                columns[name] = np.concatenate([np.zeros(skip), components[:, index]])
    return CompCor(pd.DataFrame(columns), metadata, high)
