"""Measures of scans as tables: one row each, and all of a dataset with those that failed."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from mebold.files import tables

#: Name of the table of a dataset.
NAME = "desc-anat_measures.tsv"
_FIRST = ["participant_id", "status", "reason"]
_ABOUT = {
    "participant_id": {"Description": "Subject of the scan."},
    "status": {
        "Description": "What became of the scan.",
        "Levels": {
            "done": "measured",
            "failed": "its job failed, or has not run",
            "left out": "not planned",
        },
    },
    "reason": {"Description": "Why there are no measures: the log of the job, or the plan."},
    "warnings": {"Description": "What speaks against the result, in sentences."},
}


def save(path: str | Path, sub: str, numbers: Mapping[str, float], warnings: list[str]) -> None:
    """Write the measures of one scan: a table of one row.

    Parameters
    ----------
    path : path-like
    sub : str
        ``sub-01``.
    numbers : mapping
    warnings : list of str
    """
    rounded = {k: None if v is None else round(float(v), 4) for k, v in numbers.items()}
    row = {"participant_id": sub, **rounded, "warnings": " ".join(warnings) or None}
    tables.write_tsv(path, pd.DataFrame([row]))


def collect(
    folder: str | Path,
    planned: Iterable[str],
    *,
    logs: Mapping[str, str],
    left_out: Mapping[str, str],
    units: Mapping[str, tuple[str, str]],
) -> Path | None:
    """Write the table of a dataset, with a row for every scan, measured or not.

    Parameters
    ----------
    folder : path-like
        ``anatomical`` of the output.
    planned : iterable of str
        Subjects whose anatomy is planned, ``sub-01``.
    logs : mapping
        Subject to the log of its job.
    left_out : mapping
        Subject to the reason why nothing is planned.
    units : mapping
        Measure to its unit and description.

    Returns
    -------
    Path or None
        The table; None when there is no scan at all.
    """
    rows = []
    for sub in sorted({*planned, *left_out}):
        own = Path(folder) / sub / "anat" / f"{sub}_{NAME}"
        head = {"participant_id": sub}
        if sub in left_out:
            rows.append(pd.DataFrame([head | {"status": "left out", "reason": left_out[sub]}]))
            continue
        try:
            found = tables.read_tsv(own)
            found.insert(1, "status", "done")
        except FileNotFoundError:
            reason = _last_error(logs.get(sub))
            found = pd.DataFrame([head | {"status": "failed", "reason": reason}])
        except ValueError as error:  # of pandas: the row of one scan is no end of a call
            reason = f"{own.name} cannot be read ({error}): remove it and call again"
            found = pd.DataFrame([head | {"status": "failed", "reason": reason}])
        rows.append(found)
    if not rows:
        return None
    table = pd.concat(rows, ignore_index=True).reindex(columns=[*_FIRST, *units, "warnings"])
    path = Path(folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    tables.write_tsv(path, table)
    about = {name: {"Description": text, "Units": unit} for name, (unit, text) in units.items()}
    tables.write_json(path.with_suffix(".json"), _ABOUT | about)
    return path


def _last_error(log: str | Path | None) -> str:
    """Return what a log says of an error, in one line."""
    if log is None or not Path(log).exists():
        return "its job has not run to the end and left no log"
    lines = [line.partition(" ERROR ") for line in Path(log).read_text().splitlines()]
    said = [message for _, mark, message in lines if mark]
    return f"{said[-1] if said else 'no message'} (work/logs/anat/{Path(log).name})"
