"""Regressors of single trials at the volumes as acquired, for questions about a design."""

import contextlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mebold.errors import DataError
from mebold.singletrial import hrf
from mebold.singletrial.design import stimulus_duration, trials_from_events

_FINE_S = 0.01  # onsets stay where they are, and no two trials share a volume
#: Trials of the reference design (s), which stands in where a run has none: one in ten is blank.
REFERENCE_EVERY_S = 4.0
REFERENCE_BLANKS = 10
#: Duration of a stimulus where nothing tells, s.
WITHOUT_DURATION_S = 2.0


def of_onsets(onsets: np.ndarray, *, tr: float, n_volumes: int, stimulus_s: float) -> np.ndarray:
    """Return the assumed response to every trial, peak 1.

    Parameters
    ----------
    onsets : (trials,) array
        Seconds from the start of the run.
    tr : float
        Seconds between volumes; volume i is taken at i times this.
    n_volumes : int
    stimulus_s : float
        Duration of the stimulus, s.

    Returns
    -------
    (trials, n_volumes) float64
    """
    shape = hrf.assumed(hrf.STEP_S, stimulus_s).astype(np.float64)
    time = np.arange(n_volumes) * tr - np.asarray(onsets, dtype=np.float64)[:, None]
    return np.interp(time, np.arange(len(shape)) * hrf.STEP_S, shape, left=0, right=0)


def of_run(
    events: pd.DataFrame | None,
    *,
    tr: float,
    n_volumes: int,
    label_column: str,
    blank: Mapping | None,
    stimulus_duration_s: float | None,
) -> tuple[np.ndarray, str]:
    """Return the regressors of a run's trials, or of a reference design where it has none.

    Parameters
    ----------
    events : DataFrame or None
        As read from events.tsv. None, or fewer than two trials, takes a trial every 4 s, each tenth
        one blank.
    tr, n_volumes
        See `of_onsets`.
    label_column, blank
        See `mebold.singletrial.design.trials_from_events`.
    stimulus_duration_s : float or None
        None takes the median duration in the events, 2 s without events.

    Returns
    -------
    regressors : (trials, n_volumes) float64
    origin : str
        What they are, in words.

    Raises
    ------
    MetadataError, DataError
        Events that no trials can be made of.
    """
    onsets, why = np.empty(0), "no events"
    if events is not None:
        trials = trials_from_events(
            events,
            label_column=label_column,
            blank_rule=blank,
            tr=_FINE_S,
            n_volumes=int(np.ceil(n_volumes * tr / _FINE_S)),
            beyond_end="drop",
        )
        onsets, why = trials["onset"].to_numpy(), "fewer than two trials"
    origin = f"the {len(onsets)} trials of the run"
    if len(onsets) < 2:
        number = np.arange(int(n_volumes * tr / REFERENCE_EVERY_S))
        onsets = REFERENCE_EVERY_S * number[number % REFERENCE_BLANKS != REFERENCE_BLANKS - 1]
        origin = f"a reference design ({why}): a trial every {REFERENCE_EVERY_S:g} s, each "
        origin += f"{REFERENCE_BLANKS}th blank"
    if stimulus_duration_s is None:
        stimulus_duration_s = WITHOUT_DURATION_S
        with contextlib.suppress(DataError):
            known = [] if events is None else [events]
            stimulus_duration_s = stimulus_duration(known, blank_rule=blank)
    rows = of_onsets(onsets, tr=tr, n_volumes=n_volumes, stimulus_s=stimulus_duration_s)
    return rows, f"{origin}, stimuli of {stimulus_duration_s:g} s"
