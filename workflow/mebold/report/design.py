"""The design of a session as it was fitted: trials over time, repeats, gaps and efficiency."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from mebold.errors import MeboldError
from mebold.report.folder import Folder, number
from mebold.resample import samples
from mebold.singletrial import as_acquired, efficiency
from mebold.singletrial.design import usual_duration

# Drawing area, in the units of its picture.
_LEFT, _WIDTH, _ROW = 92.0, 500.0, 16.0


@dataclass
class Design:
    """Trials of a session.

    Attributes
    ----------
    session : str
    words : str
        Trials, repeats and gaps in a sentence.
    runs : list of (label, trials)
        Each trial with its place ``x``, width ``w`` and whether its image is repeated.
    height : float
        Of the drawing.
    end_s : float
        Seconds at its right end.
    efficiency : str
        What the design can tell, in a sentence; empty where the lengths of the runs are unknown.
    """

    session: str
    words: str
    runs: list[tuple[str, list[dict]]]
    height: float
    end_s: float
    efficiency: str = ""


def of(folder: Folder, group: str, dataset: str) -> Design | None:
    """Return the design of a session; None where nothing was fitted.

    Parameters
    ----------
    folder : Folder
    group : str
        Runs of a task in a session.
    dataset : str
        Of the fits.
    """
    file = folder.first(group, r"desc-SingletrialBetas_trials\.tsv", dataset)
    rows = folder.read_tsv(file.path) if file else []
    rows = [row for row in rows if number(row.get("onset")) is not None]
    if not rows:
        return None
    shown = Counter(row["label"] for row in rows)
    runs: dict[str, list[dict]] = {}
    for row in rows:
        runs.setdefault(row["run"], []).append(row)
    ends = [float(row["onset"]) + (number(row.get("duration")) or 0.0) for row in rows]
    end = max(ends) or 1.0
    drawn = []
    for name, trials in runs.items():
        marks = [
            {
                "x": round(_LEFT + _WIDTH * float(trial["onset"]) / end, 2),
                "w": round(max(1.0, _WIDTH * (number(trial.get("duration")) or 0.0) / end), 2),
                "again": shown[trial["label"]] > 1,
            }
            for trial in trials
        ]
        drawn.append((f"run-{name}", marks))
    words = _words(shown, list(runs.values()))
    about = folder.json(group, r"desc-GLMsingle_summary\.json", dataset)
    found = efficiency_of(folder, runs, about)
    return Design(group, words, drawn, _ROW * len(drawn) + 18, end, _told(found) if found else "")


def efficiency_of(
    folder: Folder, runs: Mapping[str, Sequence[Mapping]], about: Mapping
) -> efficiency.Efficiency | None:
    """Return the efficiency of a design; None where the lengths of the runs are not known.

    Parameters
    ----------
    folder : Folder
    runs : mapping
        Run to its rows of the trial table.
    about : mapping
        Summary of the fit.
    """
    parameters = about.get("Parameters") or {}
    rates = {one["stem"]: number(one.get("tr_out")) for one in parameters.get("runs") or ()}
    rows = [row for trials in runs.values() for row in trials]
    known = [value for row in rows if (value := number(row.get("duration"))) is not None]
    asked = number((parameters.get("design") or {}).get("stimulus_duration_s"))
    if asked is None and not known:
        return None
    lasts = usual_duration(known) if asked is None else asked
    regressors, labels = [], []
    for trials in runs.values():
        stem = trials[0].get("stem", "")
        moved = folder.json(stem, r"desc-native_motion\.json")
        tr = number(((moved.get("Parameters") or {}).get("run") or {}).get("tr"))
        acquired, tr_out = number(moved.get("Volumes")), rates.get(stem)
        if not (tr and acquired and tr_out):
            return None
        n = samples.n_output_volumes(int(acquired), tr=tr, tr_out=tr_out)
        early = int(number((about.get("SamplesLeftOut") or {}).get(stem)) or 0)
        onsets = np.array([float(trial["volume"]) for trial in trials]) * tr_out
        columns = as_acquired.of_onsets(onsets, tr=tr_out, n_volumes=n, stimulus_s=lasts)
        regressors.append(columns[:, early:])
        labels.append([trial["label"] for trial in trials])
    try:
        return efficiency.of_session(regressors, labels, tr=tr_out)
    except MeboldError:  # a run of a few samples
        return None


def _told(found: efficiency.Efficiency) -> str:
    """Say what a design can tell."""
    said = (
        f"Efficiency (1 / noise variance, response of peak 1): detection {found.detection:.3g}, "
        f"single trials {found.trial:.2g} of {found.trial_alone:.2g} without overlap "
        f"({found.overlap_share:.2g} %), images {found.image:.2g}."
    )
    errors = [value**-0.5 if value else None for value in (found.detection, found.trial)]
    if errors[1] is None:
        return f"{said} Two trials of a run cannot be told apart."
    return (
        f"{said} In units of the noise's standard deviation the mean response is known to "
        f"{errors[0]:.2g} and a single trial to {errors[1]:.2g}, before the ridge."
    )


def _words(shown: Counter, runs: Sequence[list[dict]]) -> str:
    """Say how many trials, repeats and gaps there are."""
    counts = Counter(shown.values())
    times = ", ".join(f"{counts[n]} shown {_times(n)}" for n in sorted(counts))
    within: dict[str, set[int]] = {}
    steps = []
    for index, trials in enumerate(runs):
        onsets = sorted(float(trial["onset"]) for trial in trials)
        steps += [late - early for early, late in itertools.pairwise(onsets)]
        for trial in trials:
            within.setdefault(trial["label"], set()).add(index)
    across = sum(len(found) > 1 for found in within.values())
    said = f"{sum(shown.values())} trials of {len(shown)} images ({times}); "
    said += f"{across} images in more than one run"
    if steps:
        said += (
            f"; a trial every {median(steps):.3g} s (median), the longest gap {max(steps):.3g} s"
        )
    return f"{said}."


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
