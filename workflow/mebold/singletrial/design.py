"""From events to a single-trial design: labels, blanks, onset volumes, and what was left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mebold.errors import DataError, MetadataError

logger = logging.getLogger(__name__)

MISSING = "n/a"
COLUMNS = ["onset", "label", "volume", "shift_s", "row"]


def trials_from_events(
    events: pd.DataFrame,
    *,
    label_column: str,
    blank_rule: Mapping[str, Sequence] | None,
    tr: float,
    n_volumes: int,
    first_sample_s: float = 0.0,
    max_shift_s: float | None = None,
    min_tail_s: float = 0.0,
    beyond_end: str = "error",
) -> pd.DataFrame:
    """Turn the events of one run into trials on the grid of its volumes.

    Parameters
    ----------
    events : DataFrame
        Columns ``onset`` (seconds from the start of the run), `label_column`, and those that
        `blank_rule` names. Missing values may be NaN or the text ``n/a``.
    label_column : str
        Column whose value says which image was shown.
    blank_rule : mapping or None
        ``{column: [values]}``: a row in which any of these columns has one of its values shows no
        image and is no trial; a column that is absent means no blanks. The value ``n/a`` matches
        a missing value.
    tr : float
        Seconds between the samples of the series that will be fitted.
    n_volumes : int
        Samples in that series.
    first_sample_s : float
        Time of its first sample, in seconds from the start of the run.
    max_shift_s : float, optional
        Largest change of an onset by rounding, in seconds; half of `tr` unless given.
    min_tail_s : float
        Trials that leave less data than this after their onset are excluded.
    beyond_end : {"error", "drop"}
        What to do with trials that start after the last sample.

    Returns
    -------
    DataFrame
        One row per trial in time order: ``onset`` (s, as in the events), ``label`` (str),
        ``volume`` (int), ``shift_s`` (time of the volume minus onset), ``row`` (position in
        `events`). ``attrs["excluded"]`` lists a dict (onset, label, reason) for every image trial
        that was left out.

    Raises
    ------
    MetadataError
        If a column is absent.
    DataError
        If an onset or label is missing, an onset is farther from a volume than allowed, two trials
        fall on one volume, a trial starts after the end, or no trial remains.
    """
    _require_columns(events, ["onset", label_column])
    shown = ~_blank_rows(events, blank_rule)
    rows = events.loc[shown]
    onset = _onsets(rows)
    label = _labels(rows[label_column], onset, label_column)
    volume = np.floor((onset - first_sample_s) / tr + 0.5).astype(np.int64)
    trials = pd.DataFrame({"onset": onset, "label": label, "volume": volume})
    trials["shift_s"] = first_sample_s + volume * tr - onset
    trials["row"] = np.flatnonzero(shown)
    trials = trials.sort_values("onset", kind="stable", ignore_index=True)
    trials, excluded = _exclude_late(
        trials, first_sample_s + n_volumes * tr, n_volumes, min_tail_s, beyond_end
    )
    _check_grid(trials, tr / 2 if max_shift_s is None else max_shift_s)
    if trials.empty:
        raise DataError(
            f"No image trial in these events: {len(events)} rows, {len(events) - len(rows)} blank, "
            f"{len(excluded)} too late. Check label_column and the blank rule."
        )
    trials.attrs["excluded"] = excluded
    return trials


def stimulus_duration(
    events: Sequence[pd.DataFrame], *, blank_rule: Mapping[str, Sequence] | None
) -> float:
    """Return the median duration of the image trials of some runs, to a hundredth of a second.

    Parameters
    ----------
    events : sequence of DataFrame
        As for `trials_from_events`, with a column ``duration`` (s).
    blank_rule
        See `trials_from_events`.

    Raises
    ------
    DataError
        If no trial has a duration.
    """
    parts = [
        pd.to_numeric(table.loc[~_blank_rows(table, blank_rule), "duration"], errors="coerce")
        for table in events
        if "duration" in table
    ]
    known = pd.concat(parts).dropna() if parts else []
    if not len(known):
        raise DataError(
            "no image trial has a duration: give that of the stimulus, in seconds, in the "
            "configuration key `design.stimulus_duration_s`"
        )
    return usual_duration(known)


def usual_duration(known: Sequence[float]) -> float:
    """Return the median of durations (s) to a hundredth of a second.

    Stimulus clocks are finer than responses: 2.4999 s is 2.5 s, in every session.
    """
    return round(float(np.median(known)), 2)


def design_matrices(
    trials_per_run: Sequence[pd.DataFrame], *, n_volumes: Sequence[int]
) -> tuple[list[np.ndarray], list[str], pd.DataFrame]:
    """Build onset matrices with one column per label, and the trial table of the session.

    Parameters
    ----------
    trials_per_run : sequence of DataFrame
        Trials of every run as `trials_from_events` returns them.
    n_volumes : sequence of int
        Samples of every run.

    Returns
    -------
    design : list of ndarray, shape (T_r, C), float32
        1 where a trial of that condition starts, else 0.
    conditions : list of str
        Labels in sorted order, one per column.
    trials : DataFrame
        All trials, run after run in time order: ``run`` (0-based), ``beta_index`` (0-based row of
        the single-trial betas), ``label``, ``condition`` (column), ``onset``, ``volume``,
        ``shift_s``, ``row``.

    Raises
    ------
    DataError
        If the lists differ in length or a trial lies outside its run.
    """
    if len(trials_per_run) != len(n_volumes):
        raise DataError(f"{len(trials_per_run)} trial tables for {len(n_volumes)} runs")
    conditions = sorted({label for run in trials_per_run for label in run["label"]})
    column = {label: index for index, label in enumerate(conditions)}
    design, tables = [], []
    for run, (trials, length) in enumerate(zip(trials_per_run, n_volumes, strict=True)):
        volume = trials["volume"].to_numpy()
        if volume.size and not (volume.min() >= 0 and volume.max() < length):
            raise DataError(
                f"run {run + 1} of {len(n_volumes)} has {length} volumes, but trials at volumes "
                f"{volume.min()} to {volume.max()}"
            )
        condition = trials["label"].map(column).to_numpy(dtype=np.int64)
        matrix = np.zeros((length, len(conditions)), dtype=np.float32)
        matrix[volume, condition] = 1
        design.append(matrix)
        table = trials[COLUMNS].assign(run=run, condition=condition)
        table.attrs = {}
        tables.append(table.sort_values("volume", kind="stable"))
    trials = pd.concat(tables, ignore_index=True)
    trials["beta_index"] = np.arange(len(trials))
    order = ["run", "beta_index", "label", "condition", "onset", "volume", "shift_s", "row"]
    return design, conditions, trials[order]


def _require_columns(events: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise when a column is absent, naming it and those that exist."""
    absent = [column for column in dict.fromkeys(columns) if column not in events.columns]
    if absent:
        raise MetadataError(
            f"events have no column {', '.join(map(repr, absent))}; "
            f"columns present: {', '.join(map(str, events.columns))}"
        )


def _as_text(value: object) -> str:
    """Write a cell as text: n/a when missing, no decimals for whole numbers."""
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return MISSING
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _blank_rows(events: pd.DataFrame, rule: Mapping[str, Sequence] | None) -> np.ndarray:
    """Mark the rows that show no image."""
    blank = np.zeros(len(events), dtype=bool)
    for column, values in (rule or {}).items():
        if column not in events.columns:
            continue
        listed = [values] if isinstance(values, str) else list(values)
        wanted = {_as_text(value) for value in listed}
        blank |= np.array([_as_text(cell) in wanted for cell in events[column]], dtype=bool)
    return blank


def _onsets(rows: pd.DataFrame) -> np.ndarray:
    """Return onsets in seconds; a missing one is an error."""
    onset = pd.to_numeric(rows["onset"], errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(onset))
    if bad.size:
        cell = _as_text(rows["onset"].iloc[bad[0]])
        raise DataError(
            f"{bad.size} image trials have no usable onset; the first is row {rows.index[bad[0]]} "
            f"with onset {cell!r}. Onsets are seconds from the start of the run."
        )
    return onset


def _labels(column: pd.Series, onset: np.ndarray, name: str) -> list[str]:
    """Return labels as text; a missing one is an error, because it would be a condition."""
    labels = [_as_text(cell) for cell in column]
    missing = [index for index, label in enumerate(labels) if label in (MISSING, "")]
    if missing:
        raise DataError(
            f"{len(missing)} trials have no label in column {name!r}; the first is at "
            f"{onset[missing[0]]:.3f} s. If such rows show no image, add {name!r}: [n/a] to the "
            "blank rule."
        )
    return labels


def _exclude_late(
    trials: pd.DataFrame, end_s: float, n_volumes: int, min_tail_s: float, beyond_end: str
) -> tuple[pd.DataFrame, list[dict]]:
    """Split off trials that start after the run or leave too little data."""
    outside = (trials["volume"] >= n_volumes).to_numpy()
    if outside.any() and beyond_end != "drop":
        first = trials.loc[outside, "onset"].iloc[0]
        raise DataError(
            f"{outside.sum()} of {len(trials)} trials start after the last volume: the first at "
            f"{first:.3f} s, the run of {n_volumes} volumes ends at {end_s:.3f} s. The run is "
            "shorter than its events, or the events belong to another run."
        )
    tail = end_s - trials["onset"].to_numpy()
    short = ~outside & (tail < min_tail_s)
    excluded = [
        {
            "onset": float(trials["onset"].iloc[row]),
            "label": trials["label"].iloc[row],
            "reason": "starts after the end of the run"
            if outside[row]
            else f"only {tail[row]:.2f} s of data after onset, {min_tail_s:g} s needed",
        }
        for row in np.flatnonzero(outside | short)
    ]
    for trial in excluded:
        logger.warning("trial %(label)s at %(onset).3f s left out: %(reason)s", trial)
    return trials.loc[~(outside | short)].reset_index(drop=True), excluded


def _check_grid(trials: pd.DataFrame, max_shift_s: float) -> None:
    """Raise for trials off the grid or two on one volume."""
    shift = trials["shift_s"].abs() + np.where(trials["volume"] < 0, np.inf, 0.0)
    # A thousandth of tolerance: an onset exactly between two volumes is not an error.
    if (shift > max_shift_s * 1.001).any():
        row = trials.loc[shift.idxmax()]
        raise DataError(
            f"trial {row['label']!r} at {row['onset']:.3f} s is farther from the nearest volume "
            f"than {max_shift_s:.3f} s (volume {row['volume']}, shift {row['shift_s']:.3f} s). "
            "Resample the series to a grid that fits the onsets, or check the event times."
        )
    twice = trials["volume"].duplicated(keep=False)
    if twice.any():
        pair = trials.loc[twice].iloc[:2]
        raise DataError(
            f"two trials fall on volume {pair['volume'].iloc[0]}: {pair['label'].iloc[0]!r} at "
            f"{pair['onset'].iloc[0]:.3f} s and {pair['label'].iloc[1]!r} at "
            f"{pair['onset'].iloc[1]:.3f} s. Their responses cannot be told apart."
        )
    largest = float(trials["shift_s"].abs().max()) if len(trials) else 0.0
    if largest > 0:
        logger.info("onsets rounded to volumes: largest shift %.4f s", largest)
