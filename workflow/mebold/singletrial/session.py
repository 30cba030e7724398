"""From a session's series and events to single-trial betas: what surrounds the fit itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mebold.errors import DataError
from mebold.singletrial import design, hrf

TRIAL_COLUMNS = {
    "session": {"Description": "Session label, n/a without sessions."},
    "run": {"Description": "Run label of the raw data."},
    "beta_index": {"Description": "Volume of the betas image that holds this trial, from 0."},
    "label": {"Description": "Condition of the trial: the image that was shown."},
    "onset": {"Description": "Onset in the run as given in the events.", "Units": "s"},
    "volume": {"Description": "Sample of the preprocessed series at which the trial starts."},
    "shift_s": {"Description": "Time of that sample minus onset.", "Units": "s"},
    "non_steady_state": {
        "Description": "1 where the trial starts before the steady state: the fit leaves these "
        "samples out, and its beta rests on what follows."
    },
    "stem": {"Description": "Run as its files are named: runs may differ in dir or acq alone."},
}


@dataclass(frozen=True)
class Session:
    """Data, design and trial table of the runs that are fitted, and the runs that are not.

    Attributes
    ----------
    data : list of (V, T_r) array
    design : list of (T_r, C) array
    trials : DataFrame
        Columns of `TRIAL_COLUMNS`, trials in the order of the betas.
    tr, stimulus_duration_s : float
        Seconds.
    non_steady : list of int
        Samples before the steady state, at the start of every run.
    used, left_out, excluded : list
        Run stems, dicts of run and reason, dicts of run, onset, label and reason.
    """

    data: list
    design: list
    trials: pd.DataFrame
    tr: float
    stimulus_duration_s: float
    non_steady: list
    used: list
    left_out: list
    excluded: list


def prepare(
    data: Sequence[np.ndarray],
    events: Sequence[pd.DataFrame],
    *,
    runs: Sequence[Mapping],
    label_column: str,
    blank: Mapping,
    stimulus_duration_s: float | None,
    minimum_volumes: int,
    minimum_tail_s: float | str = 0.0,
    minimum_coverage: float = 0.0,
    coverage: Sequence[float] | None = None,
    non_steady: Sequence[int] | None = None,
) -> Session:
    """Choose the runs of a session, and make the trial table and the design.

    Parameters
    ----------
    data : sequence of (V, T_r) arrays
        Masked series, may be memory maps.
    events : sequence of DataFrame
        One per run, as read from events.tsv.
    runs : sequence of mapping
        With ``stem``, ``session``, ``run``, ``tr_out`` (s) and, where the series is resampled in
        time, ``n_acquired`` (volumes of the scanner).
    label_column, blank
        See `mebold.singletrial.design.trials_from_events`.
    stimulus_duration_s : float or None
        Duration of the stimulus; None takes the median ``duration`` of the image trials.
    minimum_volumes : int
        Runs with fewer acquired volumes are left out.
    minimum_tail_s : float or "auto"
        Trials that start closer to the end of their run are left out; ``auto`` is the time by which
        the assumed response has half of its energy.
    minimum_coverage : float
        Runs that saw a smaller share of the brain are left out.
    coverage : sequence of float, optional
        That share of every run, 0 to 1; 1 unless given.
    non_steady : sequence of int, optional
        Samples before the steady state at the start of every run; none by default.

    Returns
    -------
    Session

    Raises
    ------
    DataError
        When no run is left, or the runs differ in their sampling interval.
    """
    intervals = {run["tr_out"] for run in runs}
    if len(intervals) != 1:
        message = (
            f"Runs of one session are sampled every {sorted(intervals)} s; a single-trial fit "
            "needs one interval: set `output.repetition_time_s` to a number."
        )
        raise DataError(message)
    tr = intervals.pop()
    kept, left_out, trials, excluded = [], [], [], []
    early = [0] * len(runs) if non_steady is None else non_steady
    shares = [1.0] * len(runs) if coverage is None else coverage
    if stimulus_duration_s is None:
        stimulus_duration_s = design.stimulus_duration(events, blank_rule=blank)
    tail = hrf.half_energy_s(stimulus_duration_s) if minimum_tail_s == "auto" else minimum_tail_s
    for series, table, run, first, share in zip(data, events, runs, early, shares, strict=True):
        acquired = run.get("n_acquired") or series.shape[1]
        reason = _unfit(acquired, share, minimum_volumes, minimum_coverage)
        if reason:
            left_out.append({"run": run["stem"], "reason": reason})
            continue
        try:
            trial = design.trials_from_events(
                table,
                label_column=label_column,
                blank_rule=blank,
                tr=tr,
                n_volumes=series.shape[1],
                min_tail_s=tail,
                beyond_end="drop",
            )
        except ValueError as error:
            message = f"events of {run['stem']}: {error}"
            raise type(error)(message) from error
        kept.append((series, run, first))
        trials.append(trial)
        excluded += [{"run": run["stem"], **item} for item in trial.attrs.get("excluded", [])]
    if not kept:
        message = f"No run of {runs[0]['stem']} and its session can be fitted: {left_out}."
        raise DataError(message)
    matrices, _, table = design.design_matrices(
        trials, n_volumes=[series.shape[1] for series, _, _ in kept]
    )
    used, first = [run for _, run, _ in kept], np.array([first for _, _, first in kept])
    table["non_steady_state"] = (table["volume"] < first[table["run"]]).astype(int)
    table["session"] = [used[r]["session"] or "n/a" for r in table["run"]]
    table["stem"] = [used[r]["stem"] for r in table["run"]]
    table["run"] = [used[r]["run"] or "n/a" for r in table["run"]]
    return Session(
        data=[series for series, _, _ in kept],
        design=matrices,
        trials=table[list(TRIAL_COLUMNS)],
        tr=tr,
        stimulus_duration_s=stimulus_duration_s,
        non_steady=first.tolist(),
        used=[run["stem"] for run in used],
        left_out=left_out,
        excluded=excluded,
    )


def shares_of(seen: Sequence[np.ndarray]) -> list[float]:
    """Return the share of the voxels that any run saw that each run saw.

    Parameters
    ----------
    seen : sequence of (V,) bool array
        Voxels that each run has data of.
    """
    total = np.count_nonzero(np.logical_or.reduce(seen)) if len(seen) else 0
    return [np.count_nonzero(one) / total if total else 0.0 for one in seen]


def _unfit(acquired: int, share: float, minimum_volumes: int, minimum_coverage: float) -> str:
    """Say why a run is left out; nothing if it is not."""
    if acquired < minimum_volumes:
        return (
            f"{acquired} volumes acquired, fewer than {minimum_volumes} (`design.minimum_volumes`)"
        )
    if share < minimum_coverage:
        return (
            f"has data in {100 * share:.0f} % of the brain that the session saw, less than "
            f"{100 * minimum_coverage:g} % (`design.minimum_coverage`)"
        )
    return ""
