"""Which noise ceilings are written of a session and of a subject, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mebold.noiseceiling.null import Null
from mebold.noiseceiling.sums import NoiseCeiling, Selection

_CLEAR_R2 = 15.0  # percent; the name of the mask says it


def session_selections() -> dict[str, Selection]:
    """Return the selections of a session's maps: ``all`` pairs, and those of ``DifferentRuns``."""
    return {"all": Selection(), "DifferentRuns": Selection(pairs="different_runs")}


def subject_selections(groups: Mapping[str, int]) -> dict[str, Selection]:
    """Return the selections of a subject's maps, in the order in which they are written.

    Parameters
    ----------
    groups : mapping of str to int
        Name of a map to the exact number of presentations of its images.

    Returns
    -------
    dict of str to Selection
        The groups, then ``Allrep`` (every repeated image) and ``DifferentRuns``.
    """
    exact = {name: Selection(exact_repeats=count) for name, count in groups.items()}
    rest = {"Allrep": Selection(), "DifferentRuns": Selection(pairs="different_runs")}
    return exact | rest


def mean_r2(r2: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean variance explained over sessions, and where it is clear.

    Parameters
    ----------
    r2 : sequence of (V,) array
        Percent, one per session; not finite where a session has no fit.

    Returns
    -------
    mean : (V,) array
        Percent; not finite where any session has no fit, hence 0 in an image: readers mask with
        a mean above 0.
    clear : (V,) bool array
        Above 15 percent.
    """
    mean = np.mean(r2, axis=0)
    return mean, mean > _CLEAR_R2


def by_chance(null: Null, ceiling: NoiseCeiling) -> dict:
    """Return what a sidecar says of a ceiling's null.

    Parameters
    ----------
    null : Null
    ceiling : NoiseCeiling
        Of the same voxels.

    Returns
    -------
    dict
        ``ChanceThreshold`` (percent), ``ShareAboveThreshold`` and ``ShareSignificant`` (of the
        voxels with a ceiling), and how they were found.
    """
    known = np.isfinite(ceiling.nc)
    n = max(int(known.sum()), 1)
    above = np.count_nonzero(ceiling.nc[known] > null.threshold)
    return {
        "ChanceThreshold": None if np.isnan(null.threshold) else round(float(null.threshold), 3),
        "ShareAboveThreshold": float(above / n),
        "ShareSignificant": float(np.count_nonzero(null.significant) / n),
        "Null": "95th percentile over voxels and permutations; image labels shifted within runs",
        "Permutations": null.permutations,
        "FalseDiscoveryRate": null.q,
    }


def without(found: Mapping[str, NoiseCeiling], selections: Mapping[str, Selection]) -> dict:
    """Say why some ceilings have no map: their 0 would be read as no signal.

    Returns
    -------
    dict of str to str
        Name of each ceiling that no image enters, and the reason.
    """
    reasons = {}
    for name, ceiling in found.items():
        if ceiling.repeats:
            continue
        chosen = selections[name]
        reasons[name] = "no image is shown in two runs"
        if chosen.pairs == "all":
            reasons[name] = "no image is shown twice"
            if chosen.exact_repeats:
                reasons[name] = f"no image is shown exactly {chosen.exact_repeats} times"
    return reasons


def summary(
    trials: Sequence[Sequence],
    found: Mapping[str, NoiseCeiling],
    selections: Mapping[str, Selection],
) -> dict:
    """Return what a reader wants to know of a subject's ceilings before opening the maps.

    Parameters
    ----------
    trials : sequence of DataFrame
        One per session, a row per trial.
    found : mapping of str to NoiseCeiling
    selections : mapping of str to Selection
        What each is of.

    Returns
    -------
    dict
        ``Sessions``, ``Trials`` of each, ``ImagesPerRepeatCount`` of each ceiling, and
        ``MapsNotWritten`` with the reasons.
    """
    return {
        "Sessions": len(trials),
        "Trials": [len(table) for table in trials],
        "ImagesPerRepeatCount": {name: ceiling.repeats for name, ceiling in found.items()},
        "MapsNotWritten": without(found, selections),
    }
