"""What a file of a single-trial fit holds: names, axes, units, and the names of GLMsingle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mebold.singletrial.result import SingleTrialFit
from mebold.singletrial.session import Session


class Item(NamedTuple):
    """Axes, unit and meaning of one dataset."""

    axes: str
    units: str
    description: str


_PERCENT, _OF_MEAN, _NONE = "percent", "percent signal change", "1"
_BETAS = "voxel, trial"
#: Every dataset that a fit can have, by the name of the field of `SingleTrialFit`.
ITEMS = {
    "betas": Item(_BETAS, _OF_MEAN, "Single-trial betas of the last model, see `model`"),
    "fithrf_betas": Item(_BETAS, _OF_MEAN, "Betas of FITHRF: response per voxel, least squares"),
    "denoise_betas": Item(_BETAS, _OF_MEAN, "Betas of FITHRF_GLMDENOISE, before ridge regression"),
    "onoff_betas": Item("voxel, 1", _OF_MEAN, "Beta of all trials as one regressor"),
    "mean_volume": Item("voxel", "as the series", "Mean of the series"),
    "lacking": Item("voxel, run", _NONE, "1: runs in which a voxel has no data"),
    "onoff_r2": Item("voxel", _PERCENT, "Variance explained by all trials as one regressor"),
    "fithrf_r2": Item("voxel, response", _PERCENT, "Variance explained with every response"),
    "fithrf_r2_run": Item("voxel, run", _PERCENT, "The same per run, with the chosen response"),
    "denoise_r2": Item("voxel", _PERCENT, "Variance explained before ridge regression"),
    "r2": Item("voxel", _PERCENT, "Variance explained by the last model, before rescaling"),
    "r2_run": Item("voxel, run", _PERCENT, "The same per run"),
    "hrf_index": Item("voxel", _NONE, "Chosen response, column of hrf_library, from 0"),
    "hrf_index_run": Item("voxel, run", _NONE, "The same from every run alone"),
    "hrf_library": Item("time, response", _NONE, "Responses at the sampling interval, peak 1"),
    "hrf_assumed": Item("time", _NONE, "Response of the on-off model, peak 1"),
    "noise_pool": Item("voxel", _NONE, "1: voxels that the noise components come from"),
    "pc_voxels": Item("voxel", _NONE, "1: voxels that decide on the number of components"),
    "pc_regressors": Item("time, component", _NONE, "Noise components per run, sign arbitrary"),
    "pc_num": Item("", _NONE, "Noise components in the last model"),
    "glm_badness": Item("voxel, components", _NONE, "Cross-validated error with 0, 1 ... of them"),
    "xval_trend": Item("components", _NONE, "Minus the median of that error over pc_voxels"),
    "rr_badness": Item("voxel, fraction", _NONE, "Cross-validated error of every ridge fraction"),
    "frac_value": Item("voxel", "fraction", "Chosen ridge fraction; 1 is no regularisation"),
    "fractions": Item("fraction", "fraction", "Candidates of the ridge fraction"),
    "scale_offset": Item("voxel, 2", "as the series", "Slope (1) and offset put on ridge betas"),
    "brain_r2_threshold": Item("", _PERCENT, "On-off R2 below which bright voxels are noise pool"),
    "pc_r2_threshold": Item("", _PERCENT, "On-off R2 above which voxels are pc_voxels"),
    "trial_run": Item("trial", _NONE, "Run of every trial, position in `runs`, from 0"),
    "trial_volume": Item("trial", _NONE, "Sample of the run at which the trial starts, from 0"),
    "trial_condition": Item("trial", _NONE, "Position of the trial's label in `conditions`"),
    "model": Item("", "n/a", "Name of the last model, as GLMsingle has it"),
    "notes": Item("note", "n/a", "Remarks: stages left out, voxels or trials without use"),
    # What surrounds the fit.
    "mask": Item("x, y, z", _NONE, "1: voxels of the rows, in C order"),
    "affine": Item("4, 4", "mm", "Voxel of `mask` to world, RAS+"),
    "conditions": Item("condition", "n/a", "Labels in the order of the columns of `design`"),
    "design": Item("time, condition", _NONE, "Per run: 1 at the sample where a trial starts"),
    "confounds": Item("time, regressor", _NONE, "Per run: extra regressors, standardised"),
    "runs": Item("run", "n/a", "Runs that were fitted"),
    "non_steady": Item("run", _NONE, "Samples left out at the start of every run"),
    "tr": Item("", "s", "Interval of the samples of the series"),
    "stimulus_duration": Item("", "s", "Duration of the stimulus in the responses"),
    "about": Item("", "n/a", "Options, runs, trials left out, versions: JSON text"),
}
#: Names of GLMsingle for the results of the last model.
GLMSINGLE = {
    "betasmd": "betas", "R2": "r2", "R2run": "r2_run", "HRFindex": "hrf_index",
    "HRFindexrun": "hrf_index_run", "FRACvalue": "frac_value", "meanvol": "mean_volume",
    "glmbadness": "glm_badness", "rrbadness": "rr_badness", "pcnum": "pc_num",
    "pcregressors": "pc_regressors", "pcvoxels": "pc_voxels", "noisepool": "noise_pool",
    "scaleoffset": "scale_offset", "xvaltrend": "xval_trend", "onoffR2": "onoff_r2",
    "FitHRFR2": "fithrf_r2",
}  # fmt: skip
#: The same for its other models, in a group named as the file that GLMsingle writes.
GLMSINGLE_TYPES = {
    "TYPEA_ONOFF": {"betasmd": "onoff_betas", "onoffR2": "onoff_r2", "meanvol": "mean_volume"},
    "TYPEB_FITHRF": {"betasmd": "fithrf_betas", "R2run": "fithrf_r2_run", "HRFindex": "hrf_index"},
    "TYPEC_FITHRF_GLMDENOISE": {"betasmd": "denoise_betas", "R2": "denoise_r2"},
}


def links() -> dict[str, str]:
    """Return name in the group ``glmsingle`` to the name of our dataset."""
    found = {f"glmsingle/{name}": ours for name, ours in GLMSINGLE.items()}
    for kind, names in GLMSINGLE_TYPES.items():
        found |= {f"glmsingle/{kind}/{name}": ours for name, ours in names.items()}
    return found


def model(session: Session, fields: Mapping[str, object]) -> dict[str, object]:
    """Return all that the file of a fit holds, but mask and affine.

    Parameters
    ----------
    session : Session
    fields : mapping
        From `mebold.singletrial.fit.fields`.

    Returns
    -------
    dict
        The fields, and beside them conditions, design matrices, confounds, runs and times.
    """
    return {
        **fields,
        "pc_regressors": fields["pc_regressors"] or None,
        "conditions": session.conditions,
        "design": [np.asarray(matrix, np.uint8) for matrix in session.design],
        "confounds": session.confounds,
        "runs": session.used,
        "non_steady": np.asarray(session.non_steady, np.int64),
        "tr": session.tr,
        "stimulus_duration": session.stimulus_duration_s,
    }


def attributes(columns: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, str]]:
    """Return the attributes of every dataset, those of the trial table by its `columns`.

    Parameters
    ----------
    columns : mapping
        Column of the trial table to its entry in a BIDS sidecar.
    """
    found = {name: item._asdict() for name, item in ITEMS.items()}
    for name, entry in columns.items():
        units, text = entry.get("Units", "n/a"), entry.get("Description", "")
        found[f"trials/{name}"] = {"axes": "trial", "units": str(units), "description": str(text)}
    return found


def described(fields: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """Return what a sidecar says of the datasets that a file has."""
    theirs: dict[str, str] = {ours: name for name, ours in GLMSINGLE.items()}
    entries = {}
    for name, item in ITEMS.items():
        if fields.get(name) is None and name not in ("mask", "affine", "about"):
            continue
        entry = {"Description": item.description, "Units": item.units, "Axes": item.axes}
        entries[name] = entry | ({"GLMsingle": theirs[name]} if name in theirs else {})
    return entries


def kept(found: SingleTrialFit, further: tuple[str, ...] | list[str]) -> SingleTrialFit:
    """Drop the betas of simpler models that are not asked for; the last model's always stay.

    Parameters
    ----------
    found : SingleTrialFit
        Changed in place.
    further : sequence of {"FITHRF", "FITHRF_GLMDENOISE"}
    """
    fields = {"FITHRF": "fithrf_betas", "FITHRF_GLMDENOISE": "denoise_betas"}
    for name, field in fields.items():
        if name not in further and getattr(found, field) is not found.betas:
            setattr(found, field, None)
    return found
