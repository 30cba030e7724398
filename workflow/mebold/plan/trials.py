"""Whether the events of a run can be fitted: the checks of the single-trial fit, before any job."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from mebold.inventory.runs import Run
from mebold.singletrial import hrf
from mebold.singletrial.design import usual_duration

_MISSING = ("n/a", "", "nan")
#: Share of a sample that onsets may be moved by before the plan mentions it.
_WORTH_SAYING = 0.1
#: Share of the median duration that others may differ by before the plan mentions it.
_EQUAL_DURATIONS = 0.1


def check(run: Run, design: Mapping, *, interval_s: float | None) -> tuple[str, str]:
    """Check the trials of a run as the fit does.

    Parameters
    ----------
    run : Run
    design : mapping
        Section ``design`` of the configuration. Without a label column nothing is checked; a blank
        column that the events do not have means no blanks; without ``minimum_tail_s`` no trial is
        too close to the end.
    interval_s : float or None
        Between the samples of the series that is fitted; None where it is not known.

    Returns
    -------
    problem : str
        Why the run cannot be fitted; empty if it can.
    note : str
        What to know of a run that can.
    """
    row, name = run.first, design.get("label_column")
    columns = row["events_trials"]
    if not columns or name not in columns or not interval_s:
        return "", ""
    kept, file = _kept(columns, design), row["events"]
    if not kept:
        return f"{file}: all {len(columns['onset'])} rows are blank (`design.blank`): no trial", ""
    onsets, labels = [columns["onset"][i] for i in kept], [_text(columns[name][i]) for i in kept]
    bad = [onset for onset in onsets if _number(onset) is None]
    if bad:
        return (
            f"{file}: {len(bad)} of {len(onsets)} onsets are no numbers, such as {bad[0]!r}; "
            "seconds from the start of the run are needed"
        ), ""
    unnamed = sum(label in _MISSING for label in labels)
    if unnamed:
        return (
            f"{file}: {unnamed} of {len(labels)} trials have no {name!r}; where such rows "
            f"show no image, add {{{name}: [n/a]}} to `design.blank`"
        ), ""
    length, note = _duration(run, design)
    if length is None:
        return f"{file}: {note}", ""
    tail = hrf.minimum_tail_s(design.get("minimum_tail_s", 0), length)
    problem, others = _on_grid(row, [float(onset) for onset in onsets], interval_s, tail)
    return problem, "; ".join(filter(None, [others, note]))


def labels_of(run: Run, design: Mapping, *, interval_s: float | None) -> list[str]:
    """Return the images of the trials of a run that are fitted; none where events do not tell.

    Parameters
    ----------
    run, design, interval_s
        See `check`.
    """
    columns, name = run.first["events_trials"], design.get("label_column")
    if not columns or name not in columns:
        return []
    length, _ = _duration(run, design)
    tail = hrf.minimum_tail_s(design.get("minimum_tail_s", 0), length) if length is not None else 0
    end = _end(run.first, interval_s) if interval_s else math.inf
    return [
        _text(columns[name][i])
        for i in _kept(columns, design)
        if (_number(columns["onset"][i]) or 0) <= end - tail
    ]


def repeats(
    runs: Iterable[Run], design: Mapping, intervals: Mapping[str, float | None]
) -> tuple[Counter, int] | None:
    """Count the presentations of images over runs, as the noise ceilings see them.

    Parameters
    ----------
    runs : iterable of Run
    design
        See `check`.
    intervals : mapping of str to float or None
        Stem to the interval of its samples, s.

    Returns
    -------
    presentations : Counter
        Image to how often it is shown.
    in_runs : int
        Images that are shown in two runs or more.
    None where the events of a run do not tell.
    """
    shown, seen_in = Counter(), Counter()
    for run in runs:
        columns = run.first["events_trials"]
        if not columns or design.get("label_column") not in columns:
            return None
        found = labels_of(run, design, interval_s=intervals[run.stem])
        shown.update(found)
        seen_in.update(set(found))
    return shown, sum(n > 1 for n in seen_in.values())


def onsets_of(run: Run, design: Mapping) -> list[float]:
    """Return the onsets (s) of the trials of a run; none where events do not tell."""
    columns = run.first["events_trials"]
    if not columns or design.get("label_column") not in columns:
        return []
    times = (_number(columns["onset"][i]) for i in _kept(columns, design))
    return [time for time in times if time is not None]


def _kept(columns: Mapping, design: Mapping) -> list[int]:
    """Return the rows of the events that are no blanks."""
    rules = {
        name: {_text(value) for value in ([values] if isinstance(values, str) else values)}
        for name, values in (design.get("blank") or {}).items()
        if name in columns
    }
    rows = range(len(columns["onset"]))
    blank = {i for name, values in rules.items() for i in rows if _text(columns[name][i]) in values}
    return [i for i in rows if i not in blank]


def _duration(run: Run, design: Mapping) -> tuple[float | None, str]:
    """Return the duration of the stimulus (s), None if nothing tells, and what to know of it."""
    given = design.get("stimulus_duration_s")
    if given is not None:
        return float(given), ""
    columns = run.first["events_trials"]
    cells = columns.get("duration") or []
    known = [n for n in (_number(cells[i]) for i in _kept(columns, design)) if n is not None]
    if not known:
        return None, (
            "no trial has a `duration`: give that of the stimulus in `design.stimulus_duration_s`"
        )
    usual = usual_duration(known)
    far = sum(abs(n - usual) > _EQUAL_DURATIONS * usual for n in known)
    note = (
        f"durations of the trials differ ({min(known):g} to {max(known):g} s): all are fitted as "
        f"{usual:g} s, their median (`design.stimulus_duration_s`)"
    )
    return usual, note if far else ""


def _end(row: dict, step: float) -> float:
    """Return the end of a run's series of samples, s; infinite where its length is not known."""
    if not row["n_volumes"] or not row["repetition_time"]:
        return math.inf
    return math.ceil(round(row["n_volumes"] * row["repetition_time"] / step, 6)) * step


def _on_grid(row: dict, times: list[float], step: float, tail: float) -> tuple[str, str]:
    """Place the onsets on the samples of the series."""
    file = row["events"]
    samples = [math.floor(time / step + 0.5) for time in times]
    early = [time for time, sample in zip(times, samples, strict=True) if sample < 0]
    if early:
        return (
            f"{file}: {len(early)} of {len(times)} trials start before the run, the first at "
            f"{min(early):g} s; onsets are seconds from the start of the first volume"
        ), ""
    notes, last = [], _end(row, step) - tail
    if math.isfinite(last):
        end, count = row["n_volumes"] * row["repetition_time"], round((last + tail) / step)
        late = [time for time, sample in zip(times, samples, strict=True) if sample >= count]
        close = [time for time in times if time > last and time not in late]
        if len(late) == len(times):
            return (
                f"{file}: all {len(times)} trials start after the run's end ({min(late):g} s or "
                f"later, {row['n_volumes']} volumes end at {end:g} s)"
            ), ""
        if len(late) + len(close) == len(times):
            return (
                f"{file}: all {len(times)} trials start less than {tail:g} s before the run's "
                f"end or after it ({row['n_volumes']} volumes end at {end:g} s; "
                "`design.minimum_tail_s`)"
            ), ""
        if late:
            notes.append(
                f"{len(late)} of {len(times)} trials start after the run's end (the first at "
                f"{min(late):g} s, the run ends at {end:g} s) and are left out"
            )
            last = min(last, min(late) - step / 2)
        if close:
            notes.append(
                f"{len(close)} of {len(times)} trials start less than {tail:g} s before the run's "
                f"end ({end:g} s) and are left out (`design.minimum_tail_s`)"
            )
    inside = [(time, s) for time, s in zip(times, samples, strict=True) if time <= last]
    twice = [sample for sample, n in Counter(s for _, s in inside).items() if n > 1]
    if twice:
        pair = [time for time, sample in inside if sample == twice[0]][:2]
        return (
            f"{file}: two trials fall on one sample at {len(twice)} places, first those "
            f"at {pair[0]:g} and {pair[1]:g} s on a grid of {step:g} s "
            "(`output.repetition_time_s`): their responses cannot be told apart"
        ), ""
    shifts = [abs(sample * step - time) for time, sample in inside]
    moved = sum(shift > _WORTH_SAYING * step for shift in shifts)
    if moved:
        notes.append(
            f"{moved} of {len(inside)} onsets are moved by up to {max(shifts):.2f} s onto the "
            f"samples, every {step:g} s; `output.repetition_time_s: auto` looks for a grid that "
            "fits them"
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
