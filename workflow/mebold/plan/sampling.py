"""How far apart the samples of the preprocessed series lie."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mebold.inventory.runs import Run
from mebold.plan import trials

#: Onsets may lie off the samples by this share of their interval (the largest error is a half).
TOLERANCE = 0.1
#: `auto` stays between these, s: coarser blurs the responses, finer multiplies the data.
_FINEST_S, _COARSEST_S = 0.4, 1.0
#: What `auto` takes where onsets have no common grid, s.
_WITHOUT_GRID_S = 0.5


def intervals(runs: Iterable[Run], wanted: str | float, design: Mapping) -> dict[str, float | None]:
    """Return the sampling interval of each run after slice timing.

    Parameters
    ----------
    runs : iterable of Run
    wanted : {"keep", "auto"} or float
        ``output.repetition_time_s``.
    design : mapping
        Section ``design`` of the configuration: ``label_column`` and ``blank``.

    Returns
    -------
    dict of str to float or None
        Stem to seconds; None where the repetition time is not known. With ``auto`` all runs of a
        subject's task have one interval, see `for_onsets`; runs without trials keep their own.
    """
    runs = list(runs)
    own = {run.stem: run.first["repetition_time"] for run in runs}
    if wanted == "keep":
        return own
    if wanted != "auto":
        return dict.fromkeys(own, float(wanted))
    together = defaultdict(list)
    for run in runs:
        together[run.subject_task].append(run)
    for members in together.values():
        onsets = [trials.onsets_of(run, design) for run in members]
        known = [own[run.stem] for run, times in zip(members, onsets, strict=True) if times]
        if known and None not in known:
            step = for_onsets([time for times in onsets for time in times], min(known))
            own |= {run.stem: step for run, times in zip(members, onsets, strict=True) if times}
    return own


def for_onsets(times: Sequence[float], repetition_time_s: float) -> float:
    """Choose samples that trials start on.

    Parameters
    ----------
    times : sequence of float
        Onsets, s from the start of their runs.
    repetition_time_s : float
        Of the acquisition.

    Returns
    -------
    float
        The repetition time where all trials start on volumes; else the largest fraction of the
        shortest distance of two trials that all onsets lie on, from 0.4 to 1 s and not above the
        repetition time; else 0.5 s.
    """
    times = np.unique(np.round(times, 3))
    if largest_shift(times, repetition_time_s) <= TOLERANCE * repetition_time_s:
        return repetition_time_s
    coarsest = min(_COARSEST_S, repetition_time_s)
    steps = np.diff(times)
    # Onsets of several runs: what differs by less than the tolerance is the same time.
    steps = steps[steps > TOLERANCE * _FINEST_S]
    distances = [*np.unique(np.round(steps, 2)), float(coarsest)] if steps.size else [coarsest]
    for distance in distances:
        for parts in range(1, int(distance / _FINEST_S) + 1):
            step = round(float(distance) / parts, 6)
            if step <= coarsest and largest_shift(times, step) <= TOLERANCE * step:
                return step
    return min(_WITHOUT_GRID_S, repetition_time_s)


def largest_shift(times: Sequence[float], step: float) -> float:
    """Return how far onsets are moved at most when they are put on samples, s."""
    times = np.asarray(times, float)
    return float(np.abs(times - step * np.floor(times / step + 0.5)).max(initial=0))
