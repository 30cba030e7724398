"""Conditions of localizer tasks, from the events in the run table."""

from collections.abc import Iterable, Mapping

from mebold.errors import ConfigError
from mebold.inventory.runs import Run
from mebold.rois import contrasts


def labels_of(run: Run, item: Mapping) -> list[str] | None:
    """Return the labels of the conditions of a run, each once; None where the table does not tell.

    Parameters
    ----------
    run : Run
    item : mapping
        Of ``rois.localizer.tasks``.
    """
    columns = run.first["events_trials"]
    if not columns or item["column"] not in columns:
        return None
    return contrasts.labels(columns[item["column"]], item["baseline"])


def of_runs(runs: Iterable[Run], item: Mapping) -> list[str] | None:
    """Return the labels of some runs together, sorted; None where the table does not tell."""
    found = [labels_of(run, item) for run in runs]
    known = [labels for labels in found if labels is not None]
    return sorted(set().union(*known)) if known else None


def check(runs: Iterable[Run], tasks: Mapping[str, Mapping]) -> None:
    """Check that localizer tasks have runs, and these the conditions of their contrasts.

    Parameters
    ----------
    runs : iterable of Run
    tasks : mapping of str to mapping
        Label to its item of ``rois.localizer.tasks``.

    Raises
    ------
    ConfigError
        See `mebold.rois.contrasts.check`.
    """
    runs = list(runs)
    for task, item in tasks.items():
        own = [run for run in runs if run.first["task"] == task]
        if not own:
            known = sorted({str(run.first["task"]) for run in runs})
            raise ConfigError(
                f"Configuration key `rois.localizer.tasks`: no run has the task {task}; there are "
                f"{', '.join(known) or 'none'}."
            )
        told = {run.first["events"]: labels_of(run, item) for run in own}
        known = {path: labels for path, labels in told.items() if labels is not None}
        if known:
            contrasts.check(item, known)
