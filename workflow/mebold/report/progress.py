"""What is done so far as a text for the terminal, with an estimate of what is left."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from mebold.progress import duration
from mebold.report.status import DONE, FAILED, RUNNING, SKIPPED, WAITING, State
from mebold.report.study import Study

_LEAST_DONE = 3


def text(study: Study, *, every: bool = False) -> str:
    """Say how far an output folder has come.

    Parameters
    ----------
    study : Study
    every : bool
        Name the runs in which nothing is amiss, too.

    Returns
    -------
    str
        A line on the whole, one per subject, and one for each run or fit that failed, runs or
        waits, with reason and log.
    """
    lines = [summary(study)]
    for name, subject in study.subjects.items():
        own = [one.name for one in subject.planned]
        own += [run.planned.group for run in subject.runs]
        found = {one: study.states.get(one, []) for one in dict.fromkeys(own)}
        counts = Counter(state.state for states in found.values() for state in states)
        lines += ["", f"{name}: {_counted(counts)}"]
        lines += [f"  left out: {row['stem']}: {row['reason']}" for row in subject.left_out]
        for one, states in found.items():
            lines += _of(one, states, every=every)
    shown = {state.log for states in study.states.values() for state in states}
    others = [failure for failure in study.failures if failure.log not in shown]
    lines += [""] * bool(others)
    lines += [f"failed: {f.name}: {f.message}\n  log: {f.log}" for f in others]
    return "\n".join(lines) + "\n"


def _of(name: str, states: list[State], *, every: bool) -> Iterator[str]:
    """Yield the lines on a run, a group or a subject."""
    amiss = [state for state in states if state.state in (FAILED, RUNNING, WAITING)]
    if not amiss:
        if every and states:
            yield f"  {name}: done"
        return
    alike: dict[tuple[str, str, str], list[str]] = {}
    for state in amiss:
        alike.setdefault((state.state, state.reason, state.log), []).append(state.stage)
    for (state, reason, log), stages in alike.items():
        why = f": {reason}" if reason else ""
        yield f"  {name}: {', '.join(stages)} {state}{why}"
        if log and state != WAITING:
            yield f"    log: {log}"


def summary(study: Study) -> str:
    """Say in one line how far the whole has come, and how long it may still take."""
    counts = Counter(state.state for states in study.states.values() for state in states)
    del counts[SKIPPED]
    if not counts:
        return "Nothing is planned here: is this the `output_dir` of a call?"
    whole = sum(counts.values())
    said = f"{counts[DONE]} of {whole} stages done ({100 * counts[DONE] // whole} %)"
    others = [f"{counts[state]} {state}" for state in (RUNNING, FAILED, WAITING) if counts[state]]
    line = ", ".join([said, *others])
    left = remaining_s(study, whole - counts[DONE])
    return f"{line}; about {duration(left)} left at this pace" if left else line


def remaining_s(study: Study, n_left: int) -> float | None:
    """Estimate the time that is left from the logs that began since the call did; None if idle."""
    work = study.folder.root / "work"
    held = study.folder.read_json("work/.lock.json")
    try:
        since = datetime.fromisoformat(held["Since"]).astimezone(UTC).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
    logs = [path.stat().st_mtime for path in (work / "benchmarks").rglob("*.tsv")]
    done = sum(when >= since for when in logs)
    spent = time.time() - since
    if done < _LEAST_DONE or not n_left:
        return None
    return spent / done * n_left


def _counted(counts: Counter) -> str:
    order = (DONE, RUNNING, FAILED, WAITING)
    return ", ".join(f"{counts[state]} {state}" for state in order if counts[state]) or "nothing"
