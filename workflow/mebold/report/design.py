"""The design of a session as it was fitted: trials over time, repeats of images, gaps."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from mebold.report.folder import Folder, number

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
    """

    session: str
    words: str
    runs: list[tuple[str, list[dict]]]
    height: float
    end_s: float


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
    return Design(group, words, drawn, _ROW * len(drawn) + 18, end)


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
