"""Whether the events of a run can be fitted: the checks of the single-trial fit, before any job."""

import math
from collections import Counter
from collections.abc import Mapping

from mebold.inventory.runs import Run

_MISSING = ("n/a", "", "nan")
#: Share of a sample that onsets may be moved by before the plan mentions it.
_WORTH_SAYING = 0.1


def check(run: Run, *, label_column: str, blank: Mapping, interval_s: float | str) -> tuple:
    """Check the trials of a run as the fit does.

    Parameters
    ----------
    run : Run
    label_column, blank
        Of the section ``design``. A blank column that the events do not have means no blanks.
    interval_s : float or "keep"
        ``output.repetition_time_s``.

    Returns
    -------
    problem : str
        Why the run cannot be fitted; empty if it can.
    note : str
        What to know of a run that can.
    """
    row = run.first
    columns = row["events_trials"]
    if not columns or label_column not in columns or not row["repetition_time"]:
        return "", ""
    step = row["repetition_time"] if interval_s == "keep" else float(interval_s)
    onsets, labels = trials(columns, label_column, blank)
    file = row["events"]
    if not onsets:
        return f"{file}: all {len(columns['onset'])} rows are blank (`design.blank`): no trial", ""
    times = [_number(onset) for onset in onsets]
    bad = [onset for onset, time in zip(onsets, times, strict=True) if time is None]
    if bad:
        return (
            f"{file}: {len(bad)} of {len(onsets)} onsets are no numbers, such as {bad[0]!r}; "
            "seconds from the start of the run are needed"
        ), ""
    unnamed = sum(label in _MISSING for label in labels)
    if unnamed:
        return (
            f"{file}: {unnamed} of {len(labels)} trials have no {label_column!r}; where such rows "
            f"show no image, add {{{label_column}: [n/a]}} to `design.blank`"
        ), ""
    return _on_grid(file, times, row, step)


def trials(columns: Mapping, label_column: str, blank: Mapping) -> tuple[list, list]:
    """Return onsets and labels, as text, of the rows that are no blanks."""
    rules = {
        name: {_text(value) for value in ([values] if isinstance(values, str) else values)}
        for name, values in blank.items()
        if name in columns
    }
    kept = [
        i
        for i in range(len(columns["onset"]))
        if not any(_text(columns[name][i]) in values for name, values in rules.items())
    ]
    return [columns["onset"][i] for i in kept], [_text(columns[label_column][i]) for i in kept]


def _on_grid(file: str, times: list[float], row: dict, step: float) -> tuple[str, str]:
    """Place the onsets on the samples of the series."""
    samples = [math.floor(time / step + 0.5) for time in times]
    early = [time for time, sample in zip(times, samples, strict=True) if sample < 0]
    if early:
        return (
            f"{file}: {len(early)} of {len(times)} trials start before the run, the first at "
            f"{min(early):g} s; onsets are seconds from the start of the first volume"
        ), ""
    notes, late = [], []
    if row["n_volumes"]:
        end = row["n_volumes"] * row["repetition_time"]
        count = math.ceil(round(end / step, 6))
        late = [time for time, sample in zip(times, samples, strict=True) if sample >= count]
        if len(late) == len(times):
            return (
                f"{file}: all {len(times)} trials start after the run's end ({min(late):g} s or "
                f"later, {row['n_volumes']} volumes end at {end:g} s)"
            ), ""
        if late:
            notes.append(
                f"{len(late)} of {len(times)} trials start after the run's end (the first at "
                f"{min(late):g} s, the run ends at {end:g} s) and are left out"
            )
    inside = [s for s, time in zip(samples, times, strict=True) if time not in late]
    twice = [sample for sample, n in Counter(inside).items() if n > 1]
    if twice:
        pair = [t for t, s in zip(times, samples, strict=True) if s == twice[0]][:2]
        return (
            f"{file}: two trials fall on one sample at {len(twice)} places, first those "
            f"at {pair[0]:g} and {pair[1]:g} s on a grid of {step:g} s "
            "(`output.repetition_time_s`): their responses cannot be told apart"
        ), ""
    shift = max(abs(s * step - t) for s, t in zip(samples, times, strict=True))
    if shift > _WORTH_SAYING * step:
        notes.append(
            f"onsets are moved by up to {shift:.2f} s onto the samples, every {step:g} s "
            "(`output.repetition_time_s`)"
        )
    return "", "; ".join(notes)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _text(value: object) -> str:
    """Write a cell as the fit does: n/a when missing, no decimals for whole numbers."""
    text = str(value).strip()
    if text.lower() in _MISSING:
        return "n/a"
    number = _number(text) if text.endswith(".0") else None
    return str(int(number)) if number is not None else text
