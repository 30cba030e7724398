"""The confounds table of a run, with the names that fMRIPrep users and nilearn expect."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from mebold.confounds.compcor import CompCorOptions, compcor, cosines
from mebold.confounds.dvars import dvars, map_to_samples
from mebold.errors import DataError, GridMismatchError
from mebold.hmc.path import framewise_displacement, relative_rms

_MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
_SUFFIXES = ("derivative1", "power2", "derivative1_power2")
_FIRST_ROW = "n/a in the first row, which has no predecessor."


_REGIONS = {
    "csf": "Mean of cerebrospinal fluid (eroded, without grey matter).",
    "white_matter": "Mean of white matter (eroded, without grey matter).",
    "csf_wm": "Mean of cerebrospinal fluid and white matter together.",
    "global_signal": "Mean of the brain.",
    "tcompcor": "Mean of the voxels of highest variance, which temporal CompCor is made of.",
}
_EXPANSIONS = {
    "_derivative1": "Backward difference of {name}. " + _FIRST_ROW,
    "_power2": "Square of {name}.",
    "_derivative1_power2": "Square of the backward difference of {name}. " + _FIRST_ROW,
}


def _expand(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return a regressor, its backward difference and the squares of both."""
    difference = np.concatenate([[np.nan], np.diff(values)])
    return {
        name: values,
        f"{name}_derivative1": difference,
        f"{name}_power2": values**2,
        f"{name}_derivative1_power2": difference**2,
    }


def _one_hot(rows: np.ndarray, n: int, stem: str) -> dict[str, np.ndarray]:
    """Return one 0/1 column per flagged row, numbered from 00."""
    columns = {}
    for index, row in enumerate(rows):
        column = np.zeros(n, dtype=np.int64)
        column[row] = 1
        columns[f"{stem}{index:02d}"] = column
    return columns


def _check(
    series: np.ndarray, motion: np.ndarray, masks: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return masks as booleans after shape checks."""
    if series.ndim != 2:
        message = f"Expected a voxels x time series, got shape {series.shape}."
        raise GridMismatchError(message)
    if motion.shape != (series.shape[1], 6):
        message = (
            f"Motion has shape {motion.shape}, the image {series.shape[1]} samples: "
            "motion must be given at the samples of the image."
        )
        raise GridMismatchError(message)
    if "brain" not in masks or not np.any(masks["brain"]):
        message = "Confounds need a brain mask with at least one voxel."
        raise DataError(message)
    checked = {name: np.asarray(mask, dtype=bool) for name, mask in masks.items()}
    for name, mask in checked.items():
        if mask.shape != (series.shape[0],):
            message = f"Mask {name!r} has shape {mask.shape}, the series {series.shape[0]} voxels."
            raise GridMismatchError(message)
    return checked


def _region_means(
    series: np.ndarray, masks: dict[str, np.ndarray], high_variance: np.ndarray
) -> dict[str, np.ndarray]:
    """Return mean signals over tissues and the brain, with their expansions where usual."""
    empty = np.zeros(series.shape[0], dtype=bool)
    csf, wm = masks.get("csf", empty), masks.get("wm", empty)
    columns: dict[str, np.ndarray] = {}
    for name, mask in (("csf", csf), ("white_matter", wm), ("global_signal", masks["brain"])):
        if mask.any():
            columns |= _expand(name, np.mean(series[mask], axis=0, dtype=np.float64))
    for name, mask in (("csf_wm", csf | wm), ("tcompcor", high_variance)):
        if mask.any():
            columns[name] = np.mean(series[mask], axis=0, dtype=np.float64)
    return columns


def _describe(
    columns: Iterable[str],
    *,
    radius_mm: float,
    fd_threshold_mm: float,
    dvars_threshold: float,
    high_pass_s: float,
    fd_mapping: str,
) -> dict[str, Any]:
    """Return the sidecar entries of the columns that are not components."""
    motion = {
        name: {
            "Description": "Rigid head motion at the times of the image samples.",
            "Units": "mm" if name.startswith("trans") else "rad",
        }
        for name in _MOTION
    }
    regions = {name: {"Description": text, "Units": "arbitrary"} for name, text in _REGIONS.items()}
    expansions = {
        name + end: {"Description": text.format(name=name)}
        for name in (*_MOTION, *_REGIONS)
        for end, text in _EXPANSIONS.items()
    }
    stems = {
        "motion_outlier": {
            "Description": "Marks one sample with framewise_displacement > "
            f"{fd_threshold_mm:g} mm, std_dvars > {dvars_threshold:g}, or motion that is doubtful "
            "(DoubtfulVolumes of desc-native_motion.json).",
            "FramewiseDisplacementThreshold": fd_threshold_mm,
            "StdDvarsThreshold": dvars_threshold,
        },
        "non_steady_state_outlier": {
            "Description": "Marks one sample that rests on volumes before the steady state "
            "(NonSteadyStateVolumes of desc-native_motion.json)."
        },
        "cosine": {
            "Description": "Discrete cosine with a period longer than "
            f"{high_pass_s:g} s, removed from the series before CompCor.",
            "Period": high_pass_s,
        },
    }
    numbered = {
        name: entry for name in columns for stem, entry in stems.items() if name.startswith(stem)
    }
    described = (
        motion
        | regions
        | expansions
        | {
            "framewise_displacement": {
                "Description": f"Power et al. 2012, sphere of {radius_mm:g} mm. {fd_mapping} "
                + _FIRST_ROW,
                "Units": "mm",
                "Radius": radius_mm,
            },
            "rmsd": {
                "Description": "Root mean squared displacement since the volume before inside a "
                f"sphere of 80 mm (Jenkinson 1999). {fd_mapping} " + _FIRST_ROW,
                "Units": "mm",
            },
            "dvars": {
                "Description": "Root mean squared change of brain voxels between samples, median "
                "of the series scaled to 1000. " + _FIRST_ROW,
                "Units": "arbitrary",
            },
            "std_dvars": {
                "Description": "DVARS divided by its expectation for a stationary AR(1) series "
                "(Nichols 2013). " + _FIRST_ROW,
                "Units": "1",
            },
        }
    )
    return {name: described[name] for name in columns if name in described} | numbered


def confounds_table(
    series: np.ndarray,
    *,
    tr: float,
    motion: np.ndarray,
    masks: dict[str, np.ndarray],
    fd_threshold_mm: float,
    dvars_threshold: float,
    motion_acquired: np.ndarray | None = None,
    tr_acquired: float | None = None,
    radius_mm: float = 50.0,
    options: CompCorOptions | None = None,
    n_non_steady: int = 0,
    doubtful: Iterable[int] = (),
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Build the confounds of a run and their sidecar.

    Parameters
    ----------
    series : (V, T) array
        The preprocessed image in the voxels of the brain mask of the output; may be a memory map.
    tr : float
        Seconds between samples.
    motion : (T, 6) array
        Translations in mm and rotations in radians at the samples of the image.
    masks : dict of str to (V,) bool array
        ``brain`` (required), ``csf`` and ``wm`` (eroded, without grey matter), optionally
        ``edge``. Columns of absent or empty masks are left out.
    fd_threshold_mm, dvars_threshold : float
        A sample above either gets a ``motion_outlierNN`` column.
    motion_acquired : (T_acquired, 6) array, optional
        Motion of the acquired volumes, when the image was resampled in time: displacements are
        computed there and mapped to the nearest samples (`map_to_samples`).
    tr_acquired : float, optional
        Seconds between acquired volumes; required with `motion_acquired`.
    radius_mm : float
        Sphere of the framewise displacement.
    options : CompCorOptions, optional
    n_non_steady : int
        Leading samples before the signal is steady; each gets a column, and CompCor, cosines and
        the usual level of DVARS do without them. Neither they nor the step to the first steady
        sample are outliers of motion.
    doubtful : iterable of int
        Acquired volumes, from 0, whose motion cannot be trusted: their samples get a
        ``motion_outlierNN`` column.

    Returns
    -------
    table : (T, ...) DataFrame
        Columns as named by fMRIPrep. Missing values only in the first row.
    metadata : dict
        Sidecar: one entry per component (also the dropped ones) and descriptions of the rest.

    Raises
    ------
    GridMismatchError
        When series, motion and masks disagree.
    DataError
        When the brain mask is empty or the series too short or constant.
    """
    motion = np.asarray(motion, dtype=np.float64)
    masks = _check(series, motion, masks)
    options = options or CompCorOptions()
    n = series.shape[1]
    acquired = motion if motion_acquired is None else np.asarray(motion_acquired)
    if motion_acquired is not None and tr_acquired is None:
        message = "motion_acquired needs tr_acquired, the seconds between acquired volumes."
        raise DataError(message)
    spacing = tr if motion_acquired is None else float(tr_acquired)
    mapping = (
        "Computed on the samples of the image."
        if motion_acquired is None
        else f"Computed between acquired volumes ({spacing:g} s apart); each sample ({tr:g} s "
        "apart) carries the largest value of the acquired volumes nearest to it, so one jump can "
        "show in neighbouring samples and the column must not be summed."
    )
    fd, rmsd, wrong = (
        map_to_samples(values, tr=spacing, tr_out=tr, n_out=n)
        for values in (
            framewise_displacement(acquired, radius_mm=radius_mm),
            relative_rms(acquired),
            np.isin(np.arange(len(acquired)), list(doubtful)),
        )
    )
    plain, standardised = dvars(series[masks["brain"]], skip=n_non_steady)
    components = compcor(series, masks, tr=tr, options=options, skip=n_non_steady)
    columns = _region_means(series, masks, components.high_variance)
    columns |= {"dvars": plain, "std_dvars": standardised}
    columns |= {"framewise_displacement": fd, "rmsd": rmsd}
    for index, name in enumerate(_MOTION):
        columns |= _expand(name, motion[:, index])
    columns |= {name: components.table[name].to_numpy() for name in components.table}
    drift = cosines(n, tr=tr, period_s=options.high_pass_s, skip=n_non_steady)
    columns |= {f"cosine{index:02d}": column for index, column in enumerate(drift.T)}
    steady = np.arange(n) >= n_non_steady
    with np.errstate(invalid="ignore"):
        flagged = (fd > fd_threshold_mm) | (standardised > dvars_threshold)
    if n_non_steady:
        # The step to the first steady sample is one of brightness.
        flagged[: n_non_steady + 1] = False
    flagged = (flagged | (wrong > 0)) & steady
    columns |= _one_hot(np.flatnonzero(~steady), n, "non_steady_state_outlier")
    columns |= _one_hot(np.flatnonzero(flagged), n, "motion_outlier")
    metadata = _describe(
        columns,
        radius_mm=radius_mm,
        fd_threshold_mm=fd_threshold_mm,
        dvars_threshold=dvars_threshold,
        high_pass_s=options.high_pass_s,
        fd_mapping=mapping,
    )
    return pd.DataFrame(columns), metadata | components.metadata
